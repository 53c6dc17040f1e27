#include "base/test.h"

#include <stdio.h>

#include "rule/cache.h"

static void what_is_asked_for_again_is_kept(void **state) {
    struct rule_cache cache = {0};
    bool made;
    const void *first = rule_cache_get(&cache, CACHE_REGEXP, STR("a+"), &made);
    assert_non_null(first);
    assert_true(made);
    assert_ptr_equal(rule_cache_get(&cache, CACHE_REGEXP, STR("a+"), &made), first);
    assert_false(made);
    assert_non_null(rule_cache_get(&cache, CACHE_ZONE, STR("Europe/Berlin"), &made));
    assert_non_null(rule_cache_get(&cache, CACHE_JODA_PATTERN, STR("HH"), &made));
    assert_non_null(rule_cache_get(&cache, CACHE_JDK_PATTERN, STR("HH"), &made));
    assert_true(made);
    assert_null(rule_cache_get(&cache, CACHE_NOTHING, STR("a"), &made));
    assert_ptr_equal(rule_cache_get(&cache, CACHE_REGEXP, STR("a+"), &made), first);
    rule_cache_done(&cache);
}

static void what_is_wrong_is_kept_as_such(void **state) {
    struct rule_cache cache = {0};
    bool made;
    assert_null(rule_cache_get(&cache, CACHE_REGEXP, STR("("), &made));
    assert_true(made);
    assert_null(rule_cache_get(&cache, CACHE_REGEXP, STR("("), &made));
    assert_false(made);
    rule_cache_done(&cache);
}

static void it_holds_so_many_and_no_longer_texts(void **state) {
    struct rule_cache cache = {0};
    char text[CACHE_TEXT_BYTES_MAX + 1] = "";
    unsigned made_again = 0;
    bool made;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 10 * CACHE_ENTRIES; i++) {
            int len = snprintf(text, sizeof text, "a{%d}", i);
            assert_non_null(
                rule_cache_get(&cache, CACHE_REGEXP, str_from(text, (size_t)len), &made));
            made_again += round && made;
        }
    }
    assert_true(made_again > 8 * CACHE_ENTRIES);
    memset(text, 'a', sizeof text);
    assert_non_null(
        rule_cache_get(&cache, CACHE_REGEXP, str_from(text, CACHE_TEXT_BYTES_MAX), &made));
    assert_null(
        rule_cache_get(&cache, CACHE_REGEXP, str_from(text, CACHE_TEXT_BYTES_MAX + 1), &made));
    rule_cache_done(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_for_again_is_kept),
        cmocka_unit_test(what_is_wrong_is_kept_as_such),
        cmocka_unit_test(it_holds_so_many_and_no_longer_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
