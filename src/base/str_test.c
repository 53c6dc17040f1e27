#include "base/test.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/str.h"

static void compares_and_cuts(void **state) {
    assert_int_equal(str_compare(STR("a"), STR("ab")), -1);
    assert_int_equal(str_compare(STR("b"), STR("ab")), 1);
    assert_int_equal(str_compare(STR(""), (struct str){NULL, 0}), 0);
    struct str rest;
    assert_str(str_cut(STR("a/b/c"), '/', &rest), "a");
    assert_str(rest, "b/c");
    assert_str(str_cut(STR("abc"), '/', &rest), "abc");
    assert_str(rest, "");
    assert_str(str_trim(STR(" \t x y\r\n")), "x y");
    assert_true(str_eq_nocase(STR("Content-Type"), STR("content-type")));
}

static void reads_numbers_exactly(void **state) {
    uint64_t value = 5;
    assert_true(str_to_u64(STR("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    value = 5;
    assert_false(str_to_u64(STR("18446744073709551616"), &value));
    assert_false(str_to_u64(STR(""), &value));
    assert_false(str_to_u64(STR("-1"), &value));
    assert_false(str_to_u64(STR("1 "), &value));
    assert_int_equal(value, 5);
}

static void hashes_depend_on_every_byte(void **state) {
    char text[40];
    memset(text, 'x', sizeof text);
    for (size_t len = 0; len < sizeof text; len++) {
        uint64_t before = str_hash(str_from(text, len));
        assert_true(before == str_hash(str_from(text, len)));
        for (size_t i = 0; i < len; i++) {
            text[i] ^= 1;
            assert_true(str_hash(str_from(text, len)) != before);
            text[i] ^= 1;
        }
    }
}

static void distance_counts_edits(void **state) {
    assert_int_equal(str_distance(STR("bind"), STR("bind")), 0);
    assert_int_equal(str_distance(STR("bnid"), STR("bind")), 2);
    assert_int_equal(str_distance(STR(""), STR("abc")), 3);
    assert_int_equal(str_distance(STR("kitten"), STR("sitting")), 3);
}

static void errors_are_wrapped_on_the_way_up(void **state) {
    struct err err = {0};
    assert_int_equal(err_set(&err, ERR_INVALID, "bad %s", "key"), ERR_INVALID);
    assert_int_equal(err_wrap(&err, "rule \"%s\"", "r1"), ERR_INVALID);
    assert_string_equal(err.text, "rule \"r1\": bad key");
    assert_string_equal(err_text(ERR_NO_SPACE), "no space left");
    assert_int_equal(err_set(NULL, ERR_FULL, "nobody listens"), ERR_FULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares_and_cuts),
        cmocka_unit_test(reads_numbers_exactly),
        cmocka_unit_test(hashes_depend_on_every_byte),
        cmocka_unit_test(distance_counts_edits),
        cmocka_unit_test(errors_are_wrapped_on_the_way_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
