#include "base/test.h"

#include "base/mem.h"
#include "rule/regexp.h"

static struct arena arena;
static struct regexp_room *room;

static int setup(void **state) {
    arena = (struct arena){0};
    room = NULL;
    return 0;
}

static int teardown(void **state) {
    regexp_room_free(room);
    arena_done(&arena);
    return 0;
}

/* Constant patterns run as machine code, others are interpreted: both must find the same. */
static void matches_in_their_order(void **state) {
    for (int constant = 0; constant < 2; constant++) {
        const struct regexp *regexp = regexp_compile(&arena, STR("b+"), constant);
        struct regexp_match match;
        struct str text = STR("abbcb");
        assert_int_equal(regexp_search(&room, regexp, text, 0, false, &match), REGEXP_FOUND);
        assert_int_equal(match.begin, 1);
        assert_int_equal(match.end, 3);
        assert_int_equal(regexp_search(&room, regexp, text, 3, true, &match), REGEXP_FOUND);
        assert_int_equal(match.begin, 4);
        assert_int_equal(match.end, 5);
        assert_int_equal(regexp_search(&room, regexp, text, 5, true, &match), REGEXP_NOT_FOUND);
    }
}

static void what_is_no_pattern(void **state) {
    static const char *const patterns[] = {"(",  "a{2,1}",         "[a",   "*",
                                           "\\", "(?<n>a)(?<n>b)", "\xff", "\\C"};
    char long_pattern[REGEXP_PATTERN_BYTES_MAX + 1];
    for (size_t i = 0; i < COUNT_OF(patterns); i++)
        assert_null(regexp_compile(&arena, str_of(patterns[i]), true));
    memset(long_pattern, 'a', sizeof long_pattern);
    assert_null(regexp_compile(&arena, str_from(long_pattern, sizeof long_pattern), false));
    assert_non_null(regexp_compile(&arena, str_from(long_pattern, sizeof long_pattern - 1), false));
}

static void what_is_no_text_or_too_much(void **state) {
    const struct regexp *plain = regexp_compile(&arena, STR("x"), true);
    const struct regexp *endless = regexp_compile(&arena, STR("(a+)+$"), true);
    const struct regexp *interpreted = regexp_compile(&arena, STR("(a+)+$"), false);
    struct regexp_match match;
    char text[REGEXP_TEXT_BYTES_MAX + 1];
    memset(text, 'a', sizeof text);
    assert_int_equal(regexp_search(&room, plain, STR("\xff"), 0, false, &match), REGEXP_NOT_TEXT);
    assert_int_equal(regexp_search(&room, plain, str_from(text, sizeof text), 0, false, &match),
                     REGEXP_TOO_MUCH);
    assert_int_equal(regexp_search(&room, plain, str_from(text, sizeof text - 1), 0, false, &match),
                     REGEXP_NOT_FOUND);
    text[100] = '!';
    struct str evil = str_from(text, 101);
    assert_int_equal(regexp_search(&room, endless, evil, 0, false, &match), REGEXP_TOO_MUCH);
    assert_int_equal(regexp_search(&room, interpreted, evil, 0, false, &match), REGEXP_TOO_MUCH);
}

static void replacements(void **state) {
    static const char *const good[] = {"", "x", "$0", "$1$2", "${name}", "\\$", "$23"};
    static const char *const bad[] = {"$", "$x", "$3", "${none}", "${name", "\\", "${}"};
    const struct regexp *regexp = regexp_compile(&arena, STR("(a)(?<name>b)"), true);
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(regexp_replacement_valid(regexp, str_of(good[i])));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(regexp_replacement_valid(regexp, str_of(bad[i])));
    struct regexp_match match;
    struct buf out = {0};
    assert_int_equal(regexp_search(&room, regexp, STR("xab"), 0, false, &match), REGEXP_FOUND);
    regexp_replacement_add(&out, room, regexp, STR("xab"), STR("${name}-$1-$0-\\$23-$23"));
    assert_string_equal(buf_cstr(&out), "b-a-ab-$23-b3");
    buf_done(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(matches_in_their_order, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_pattern, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_text_or_too_much, setup, teardown),
        cmocka_unit_test_setup_teardown(replacements, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
