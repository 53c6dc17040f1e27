#include "base/test.h"

#include "base/mem.h"
#include "base/wildcard.h"

static bool matches(const char *pattern, const char *text) {
    struct arena arena = {0};
    bool result = wildcard_matches(wildcard_compile(&arena, str_of(pattern)), str_of(text));
    arena_done(&arena);
    return result;
}

static void stars_and_question_marks(void **state) {
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"*", "", true},
        {"a", "a", true},
        {"a", "ab", false},
        {"a*", "a/b:c", true},
        {"*c", "a/b:c", true},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"a?c",
         "a\xc3\xa4"
         "c",
         true},
        {"a*b*c", "a--b--c", true},
        {"a*b*c", "a--c--b", false},
        {"arn:aws:kinesis:*:*:stream/s-?", "arn:aws:kinesis:us-east-1:000000000000:stream/s-1",
         true},
        {"kinesis:Put*", "kinesis:PutRecord", true},
        {"kinesis:Put*", "firehose:PutRecord", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (matches(cases[i].pattern, cases[i].text) != cases[i].matches)
            fail_msg("%s on %s", cases[i].pattern, cases[i].text);
}

/* What a compiler puts into the code as itself is literal. */
static void a_literal_star_is_possible(void **state) {
    assert_true(wildcard_matches(STR("a*b"), STR("a*b")));
    assert_false(wildcard_matches(STR("a*b"), STR("axb")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stars_and_question_marks),
        cmocka_unit_test(a_literal_star_is_possible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
