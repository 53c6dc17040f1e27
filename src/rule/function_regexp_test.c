#include "rule/sql_test.h"

#define V1 RULE_VERSION_2015_10_08
#define V2 RULE_VERSION_2016_03_23

static const char payload[] =
    "{\"p\":\"a{2,}\",\"bad\":\"(\",\"s\":\"aaaa\",\"g\":\"(.)(.)\",\"r\":\"$2$1\",\"n\":12}";

static const struct expression_case matches[] = {
    {"regexp_matches(\"aaaa\",\"a{2,}\")", "true"},
    {"regexp_matches(\"x1\",\"^[0-9]\")", "false"},
    {"regexp_matches(s, p)", "true"},
    {"regexp_matches(n, '^1')", "true"},
    {"regexp_matches('abc', bad)", ""},
    {"regexp_matches('abc', '(')", ""},
    {"regexp_matches('abc', missing)", ""},
    {"regexp_matches(null, 'a')", ""},
    {"regexp_matches('red', '(red|green)')", "true"},
    {"regexp_matches('\xc3\xa4', '^.$')", "true"},
    {"regexp_matches('a\\nb', '^a$')", "false"},
    {"regexp_matches('', '')", "true"},
};

static const struct expression_case replaced[] = {
    {"regexp_replace(\"abcd\",\"b(.*)d\",\"$1\")", "\"ac\""},
    {"regexp_replace('aXbXc', 'X', '-')", "\"a-b-c\""},
    {"regexp_replace('abcd', g, r)", "\"badc\""},
    {"regexp_replace('abc', 'x*', '-')", "\"-a-b-c-\""},
    {"regexp_replace('baaac', 'a*', 'X')", "\"XbXXcX\""},
    {"regexp_replace('\xc3\xa4\xc3\xb6', '', '-')", "\"-\xc3\xa4-\xc3\xb6-\""},
    {"regexp_replace('abc', 'b', '$')", ""},
    {"regexp_replace('abc', 'b', '$1')", ""},
    {"regexp_replace('abc', 'x', '$1')", ""},
    {"regexp_replace('abc', 'b', 'x\\\\')", ""},
    {"regexp_replace('abc', '(', 'x')", ""},
    {"regexp_replace('abc', 'b', '[$0]')", "\"a[b]c\""},
    {"regexp_replace('abc', '(b)', '$12')", "\"ab2c\""},
    {"regexp_replace('abc', '(?<mid>b)', '<${mid}>')", "\"a<b>c\""},
    {"regexp_replace('abc', '(?<mid>b)', '${other}')", ""},
    {"regexp_replace('abc', 'b', '\\$x')", "\"a$xc\""},
    {"regexp_replace('ac', '(b)?', '[$1]')", "\"[]a[]c[]\""},
    {"regexp_replace('', 'x', 'y')", "\"\""},
    {"regexp_replace(123, '2', 0)", "\"103\""},
    {"regexp_replace('abc', 'b', null)", ""},
};

static const struct expression_case found[] = {
    {"regexp_substr(\"hihihello\",\"(hi)*\")", "\"hihi\""},
    {"regexp_substr('hello', '(hi)*')", "\"\""},
    {"regexp_substr('abc', 'x')", ""},
    {"regexp_substr(s, p)", "\"aaaa\""},
    {"regexp_substr('t=21.5C', '[0-9]+\\.[0-9]')", "\"21.5\""},
};

static void by_pattern(void **state) {
    check_expressions(V1, payload, matches, COUNT_OF(matches));
    check_expressions(V2, payload, matches, COUNT_OF(matches));
    check_expressions(V2, payload, replaced, COUNT_OF(replaced));
    check_expressions(V2, payload, found, COUNT_OF(found));
}

/* What would search for hours, or in too long a text, ends the rule for this message. */
static void a_search_is_bounded(void **state) {
    static const char *const patterns[] = {"(a+)+$", "(a|a)*b", "(.*?,){20}x", "(a*)*\\\\1b"};
    char payload_text[6000];
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        for (int constant = 0; constant < 2; constant++) {
            char sql[200];
            snprintf(payload_text, sizeof payload_text, "{\"p\":\"%s\",\"s\":\"%0200d!\"}",
                     patterns[i], 0);
            for (char *at = strchr(payload_text + 10, '0'); at && *at == '0'; at++)
                *at = i == 2 ? ',' : 'a';
            snprintf(sql, sizeof sql, "SELECT regexp_matches(s, %s%s%s) AS m FROM 't'",
                     constant ? "'" : "p", constant ? patterns[i] : "", constant ? "'" : "");
            char *got = sql_result(V2, sql, test_message(str_of(payload_text)));
            assert_true(strcmp(got, "exhausted") == 0 || strcmp(got, "{\"m\":false}") == 0);
            free(got);
        }
    }
    snprintf(payload_text, sizeof payload_text, "{\"s\":\"%05000d\"}", 0);
    char *got = sql_result(V2, "SELECT regexp_matches(s, '1') AS m FROM 't'",
                           test_message(str_of(payload_text)));
    assert_string_equal(got, "exhausted");
    free(got);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_pattern),
        cmocka_unit_test(a_search_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
