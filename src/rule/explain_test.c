#include "rule/sql_test.h"

static void check_with(const char *sql, const char *topic, struct str payload, const char *answers,
                       const char *expected) {
    struct rule_question question = {
        .sql = str_of(sql),
        .sql_version = RULE_VERSION_2016_03_23,
        .topic = str_of(topic),
        .payload = payload,
        .environment = &test_environment,
        .answers = str_of(answers),
    };
    struct buf out = {0};
    bool valid = rule_explain(&question, &out);
    assert_string_equal(buf_cstr(&out), expected);
    assert_int_equal(valid, strstr(expected, "\"valid\":true") != NULL);
    buf_done(&out);
}

static void check(const char *sql, const char *topic, struct str payload, const char *expected) {
    check_with(sql, topic, payload, "", expected);
}

static void what_fires(void **state) {
    check("SELECT t, topic(2) AS d FROM 'd/+' WHERE t > 50", "d/7", STR("{\"t\":51}"),
          "{\"valid\":true,\"matched\":true,\"where\":{\"type\":\"Boolean\",\"value\":true},"
          "\"fires\":true,\"result\":{\"t\":51,\"d\":\"7\"}}");
    check("SET @c = t / 3, @n = missing SELECT @c AS c FROM 'd/+'", "d/7", STR("{\"t\":1}"),
          "{\"valid\":true,\"matched\":true,\"variables\":{\"c\":{\"type\":\"Decimal\",\"value\":"
          "0.3333333333333333333333333333333333},\"n\":{\"type\":\"Undefined\"}},\"fires\":true,"
          "\"result\":{\"c\":0.3333333333333333333333333333333333}}");
    check("SELECT * FROM 'd/+'", "d/7", str_from("\x01\x02\xff", 3),
          "{\"valid\":true,\"matched\":true,\"fires\":true,\"result_base64\":\"AQL/\"}");
}

static void what_does_not(void **state) {
    check("SELECT t FROM 'd/+' WHERE t > 50", "d/7", STR("{}"),
          "{\"valid\":true,\"matched\":true,\"where\":{\"type\":\"Undefined\"},\"fires\":false,"
          "\"reason\":\"WHERE is not true\"}");
    check("SELECT t FROM 'd/+' WHERE t > 50", "d/7", STR("hello"),
          "{\"valid\":true,\"matched\":true,\"where\":{\"type\":\"Undefined\"},\"fires\":false,"
          "\"reason\":\"WHERE is not true; it asks for fields, and the payload is no JSON "
          "document\"}");
    check("SELECT t FROM 'd/#'", "d", STR("{\"t\":1}"),
          "{\"valid\":true,\"matched\":false,\"fires\":false,\"reason\":\"FROM does not take this "
          "topic\",\"result\":{\"t\":1}}");
    check("SELECT *, 1 AS one FROM 'd'", "d", STR("hello"),
          "{\"valid\":true,\"matched\":true,\"fires\":false,\"reason\":\"the payload is no JSON "
          "object, and the statement adds to * or selects from it\"}");
    check("SELECT 1 AS one", "d", STR(""),
          "{\"valid\":true,\"matched\":false,\"fires\":false,\"reason\":\"there is no FROM: only "
          "messages to $aws/rules/NAME come to such a rule\",\"result\":{\"one\":1}}");
}

static void what_is_no_statement(void **state) {
    check("SELECT nosuch(1) AS x FROM 't'", "t", STR("{}"),
          "{\"valid\":false,\"error\":{\"line\":1,\"column\":8,\"message\":\"there is no function "
          "nosuch()\"}}");
}

/* None is called: what would be is told, and what is said to be its answer goes on. */
static void functions_are_told_of(void **state) {
    const char *sql =
        "SET @a = aws_lambda('f', n).a SELECT @a AS a, aws_lambda('g', @a) AS b FROM 't' "
        "WHERE @a > 1";
    check(
        sql, "t", STR("{\"n\":1}"),
        "{\"valid\":true,\"matched\":true,\"fires\":false,\"reason\":\"it waits for the answer of "
        "a function\",\"calls\":[{\"function\":\"f\",\"input\":1}]}");
    check_with(sql, "t", STR("{\"n\":1}"), "[{\"a\":2}]",
               "{\"valid\":true,\"matched\":true,\"fires\":false,\"reason\":\"it waits for the "
               "answer of a function\",\"calls\":[{\"function\":\"f\",\"input\":1,\"answer\":{"
               "\"a\":2}},{\"function\":\"g\",\"input\":2}]}");
    check_with(
        sql, "t", STR("{\"n\":1}"), "[{\"a\":2},[]]",
        "{\"valid\":true,\"matched\":true,\"variables\":{\"a\":{\"type\":\"Int\",\"value\":2}}"
        ",\"where\":{\"type\":\"Boolean\",\"value\":true},\"fires\":true,\"result\":{\"a\":2,"
        "\"b\":[]},\"calls\":[{\"function\":\"f\",\"input\":1,\"answer\":{\"a\":2}},"
        "{\"function\":\"g\",\"input\":2,\"answer\":[]}]}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fires),
        cmocka_unit_test(what_does_not),
        cmocka_unit_test(what_is_no_statement),
        cmocka_unit_test(functions_are_told_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
