/* Wildcards and variables, each row on its own, and against a slow obvious matcher. */
#include "base/test.h"

#include "base/random.h"
#include "base/utf8.h"
#include "mqtt/policy.h"

static struct arena arena;
static struct buf scratch;

static int tear_down(void **state) {
    arena_done(&arena);
    buf_done(&scratch);
    scratch = (struct buf){0};
    return 0;
}

static const struct str no_values[POLICY_VARIABLE_COUNT];

static bool matches_with(const char *text, enum policy_wildcards wildcards,
                         const struct str *values, const char *resource) {
    struct policy_pattern pattern;
    const char *why;
    assert_int_equal(policy_pattern_compile(&arena, str_of(text), wildcards, &pattern, &why), 0);
    return policy_pattern_matches(&pattern, values, str_of(resource), &scratch);
}

static const struct row {
    const char *pattern, *text;
    bool matches;
} rows[] = {
    {"topic/a", "topic/a", true},
    {"topic/a", "topic/ab", false},
    {"topic/a", "topic/", false},
    {"", "", true},
    {"", "a", false},
    {"*", "", true},
    {"*", "topic/a/b", true},
    {"**", "a", true},
    /* '*' crosses levels, and may stand for nothing. */
    {"topic/*", "topic/a/b/c", true},
    {"topic/*", "topic/", true},
    {"topic/*", "topicfilter/a", false},
    {"topic/*/b", "topic/a/x/b", true},
    {"topic/*/b", "topic/b", false},
    {"topic/*/b", "topic/a/b/c", false},
    {"*b", "abab", true},
    {"*ab*ab", "ab", false},
    {"*ab*ab", "abab", true},
    {"a*a", "a", false},
    {"*a*b*c*", "xaybzc", true},
    {"*a*b*c*", "xcybza", false},
    {"*aab", "aaaab", true},
    /* '?' is one character, not one byte. */
    {"?", "", false},
    {"?", "a", true},
    {"?", "/", true},
    {"?", "ab", false},
    {"?", "\xc3\xa9", true},
    {"a?c",
     "a\xe2\x82\xac"
     "c",
     true},
    {"??", "\xf0\x9f\x98\x80", false},
    {"*?", "", false},
    {"*?", "\xc3\xa9", true},
    {"*?b",
     "\xc3\xa9"
     "b",
     true},
    {"*a?c*", "xxabbabc", true},
    {"*a?c*", "xxabbabb", false},
    {"*a?", "aab", true},
    {"*??*", "a", false},
    {"*??*", "ab", true},
    {"*?a*?b", "xaxxb", true},
    /* MQTT's wildcards are ordinary characters here. */
    {"topicfilter/a/+/c", "topicfilter/a/+/c", true},
    {"topicfilter/a/+/c", "topicfilter/a/b/c", false},
    {"topicfilter/a/#", "topicfilter/a/#", true},
    {"topicfilter/a/#", "topicfilter/a/b", false},
    {"topicfilter/a/*", "topicfilter/a/#", true},
    {"topicfilter/a/*", "topicfilter/a/+/c", true},
    /* The fixed variables. */
    {"a${*}", "a*", true},
    {"a${*}", "ab", false},
    {"a${?}", "a?", true},
    {"a${?}", "ab", false},
    {"${$}aws/things/x", "$aws/things/x", true},
    {"$aws/things/x", "$aws/things/x", true},
    {"$", "$", true},
};

static void each_row(void **state) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct row *row = &rows[i];
        bool matches = matches_with(row->pattern, POLICY_WILDCARDS, no_values, row->text);
        if (matches != row->matches)
            print_error("\"%s\" and \"%s\"\n", row->pattern, row->text);
        assert_int_equal(matches, row->matches);
    }
}

static void literal_text_has_no_wildcards(void **state) {
    assert_true(matches_with("a*?", POLICY_LITERAL, no_values, "a*?"));
    assert_false(matches_with("a*?", POLICY_LITERAL, no_values, "abc"));
}

static void values_take_the_places_of_variables(void **state) {
    struct str values[POLICY_VARIABLE_COUNT] = {
        [POLICY_CLIENT_ID] = STR("dev-1"),
        [POLICY_SOURCE_IP] = STR("10.0.0.7"),
        [POLICY_COMMON_NAME] = STR("thing"),
        [POLICY_CERTIFICATE_ID] = STR("00ff"),
    };
    assert_true(matches_with("topic/${iot:ClientId}/*", POLICY_WILDCARDS, values, "topic/dev-1/a"));
    assert_false(
        matches_with("topic/${iot:ClientId}/*", POLICY_WILDCARDS, values, "topic/dev-2/a"));
    assert_true(
        matches_with("${aws:SourceIp}|${iot:Certificate.Subject.CommonName}|${iot:CertificateId}",
                     POLICY_LITERAL, values, "10.0.0.7|thing|00ff"));
    assert_true(matches_with("*${iot:clientid}?", POLICY_WILDCARDS, values, "dev-1dev-12"));
    /* A value is literal, whatever it holds. */
    values[POLICY_CLIENT_ID] = STR("a*");
    assert_true(matches_with("${iot:ClientId}", POLICY_WILDCARDS, values, "a*"));
    assert_false(matches_with("${iot:ClientId}", POLICY_WILDCARDS, values, "abc"));
}

static void some_values_do_not_replace(void **state) {
    static const char *const refused[] = {"", "a*", "$a", "a+", "a?b", "#", "a\xff"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_false(policy_value_replaces(str_of(refused[i])));
    assert_true(policy_value_replaces(STR("Ger\xc3\xa4t 7/x_y:z@w.v-u")));
    assert_false(policy_value_replaces(str_from("a\0b", 3)));
    char full[POLICY_VALUE_BYTES_MAX + 1];
    memset(full, 'a', sizeof full);
    assert_true(policy_value_replaces(str_from(full, sizeof full - 1)));
    assert_false(policy_value_replaces(str_from(full, sizeof full)));
}

static void bad_references_are_refused(void **state) {
    static const char *const texts[] = {"${",  "${iot:ClientId", "${}", "${iot:Clientid2}", "${**}",
                                        "${x}"};
    struct policy_pattern pattern;
    const char *why = NULL;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(
            policy_pattern_compile(&arena, str_of(texts[i]), POLICY_WILDCARDS, &pattern, &why),
            ERR_INVALID);
    assert_non_null(why);
    assert_int_equal(policy_pattern_compile(&arena, STR("${iot:Connection.Thing.ThingName}"),
                                            POLICY_WILDCARDS, &pattern, &why),
                     0);
    assert_int_equal(pattern.variables, 1u << POLICY_VARIABLE_UNKNOWN);
}

/* What a pattern means, without a thought for time. */
static bool obvious(struct str pattern, struct str text) {
    if (pattern.len == 0)
        return text.len == 0;
    if (pattern.at[0] == '*')
        return obvious(str_skip(pattern, 1), text) ||
               (text.len && obvious(pattern, str_skip(text, utf8_sequence(text))));
    if (text.len == 0)
        return false;
    if (pattern.at[0] == '?')
        return obvious(str_skip(pattern, 1), str_skip(text, utf8_sequence(text)));
    return pattern.at[0] == text.at[0] && obvious(str_skip(pattern, 1), str_skip(text, 1));
}

/* One of few characters, so that matches are frequent; the last is of two bytes. */
static void add_random(struct buf *text, unsigned kinds) {
    static const char *const characters[] = {"a", "b", "\xc3\xa9", "*", "?"};
    const char *one = characters[random_u64() % kinds];
    buf_add(text, one, strlen(one));
}

static void agrees_with_the_obvious_matcher(void **state) {
    unsigned found = 0;
    for (int round = 0; round < 50000; round++) {
        struct buf pattern_text = {0}, text = {0};
        for (uint64_t i = random_u64() % 8; i; i--)
            add_random(&pattern_text, 5);
        for (uint64_t i = random_u64() % 10; i; i--)
            add_random(&text, 3);
        struct policy_pattern pattern;
        const char *why;
        buf_cstr(&pattern_text);
        buf_cstr(&text);
        arena_reset(&arena);
        assert_int_equal(policy_pattern_compile(&arena, buf_str(&pattern_text), POLICY_WILDCARDS,
                                                &pattern, &why),
                         0);
        bool expected = obvious(buf_str(&pattern_text), buf_str(&text));
        bool matches = policy_pattern_matches(&pattern, no_values, buf_str(&text), &scratch);
        if (matches != expected)
            print_error("\"%s\" and \"%s\"\n", buf_cstr(&pattern_text), buf_cstr(&text));
        assert_int_equal(matches, expected);
        found += matches;
        buf_done(&pattern_text);
        buf_done(&text);
    }
    assert_true(found > 1000);
}

/* An exponential matcher would never end. */
static void many_wildcards_end(void **state) {
    struct buf pattern_text = {0}, text = {0};
    for (int i = 0; i < 2000; i++)
        buf_add_str(&pattern_text, STR("*a"));
    buf_add_str(&pattern_text, STR("*b"));
    for (int i = 0; i < 60000; i++)
        buf_add_u8(&text, 'a');
    assert_false(
        matches_with(buf_cstr(&pattern_text), POLICY_WILDCARDS, no_values, buf_cstr(&text)));
    buf_done(&pattern_text);
    buf_done(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(each_row, tear_down),
        cmocka_unit_test_teardown(literal_text_has_no_wildcards, tear_down),
        cmocka_unit_test_teardown(values_take_the_places_of_variables, tear_down),
        cmocka_unit_test_teardown(some_values_do_not_replace, tear_down),
        cmocka_unit_test_teardown(bad_references_are_refused, tear_down),
        cmocka_unit_test_teardown(agrees_with_the_obvious_matcher, tear_down),
        cmocka_unit_test_teardown(many_wildcards_end, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
