#include "base/test.h"

#include "app/command.h"

static const char *shard, *from;
static int follow;
static const struct command_flag flags[] = {
    {"shard", 's', &shard, NULL}, {"from", 'f', &from, NULL}, {"follow", 0, NULL, &follow}, {0}};

static int parse(int argc, const char **argv) {
    shard = from = NULL;
    follow = 0;
    return command_flags(&argc, (char **)argv, flags) ? argc : -1;
}

static void flags_may_stand_anywhere_and_in_three_forms(void **state) {
    const char *argv[] = {"stream", "read", "--shard", "3", "name", "--from=LATEST", "--follow"};
    assert_int_equal(parse(7, argv), 3);
    assert_string_equal(argv[1], "read");
    assert_string_equal(argv[2], "name");
    assert_string_equal(shard, "3");
    assert_string_equal(from, "LATEST");
    assert_int_equal(follow, 1);
    const char *shorter[] = {"stream", "-s", "7"};
    assert_int_equal(parse(3, shorter), 1);
    assert_string_equal(shard, "7");
}

static void wrong_flags_are_refused(void **state) {
    const char *unknown[] = {"stream", "--sahrd", "3"}, *missing[] = {"stream", "--shard"};
    const char *extra[] = {"stream", "--follow=yes"}, *letter[] = {"stream", "-x"};
    assert_int_equal(parse(3, unknown), -1);
    assert_int_equal(parse(2, missing), -1);
    assert_int_equal(parse(2, extra), -1);
    assert_int_equal(parse(2, letter), -1);
}

static void a_single_dash_is_an_argument(void **state) {
    const char *argv[] = {"check", "-"};
    assert_int_equal(parse(2, argv), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_may_stand_anywhere_and_in_three_forms),
        cmocka_unit_test(wrong_flags_are_refused),
        cmocka_unit_test(a_single_dash_is_an_argument),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
