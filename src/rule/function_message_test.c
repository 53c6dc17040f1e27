#include "rule/sql_test.h"

#define V2 RULE_VERSION_2016_03_23

#define CHECK(version, cases)                                                                      \
    check_expressions(version, "{\"nul\":null,\"a\":[10,20]}", cases, COUNT_OF(cases))

static void the_message(void **state) {
    static const struct expression_case cases[] = {
        {"topic()", "\"dev/a1/t\""},
        {"topic(1)", "\"dev\""},
        {"topic(3)", "\"t\""},
        {"topic(9)", ""},
        {"topic(0)", ""},
        {"clientid()", "\"client-7\""},
        {"principal()", "\"abcdef\""},
        {"sourceip()", "\"192.0.2.9\""},
        {"accountid()", "\"123456789012\""},
        {"newuuid()", "\"" TEST_UUID "\""},
        {"traceid()", "\"" TEST_UUID "\""},
        {"timestamp()", "1700000000123"},
        {"sql_version()", "\"2016-03-23\""},
        {"get_user_properties()", ""},
        {"get_mqtt_property('format_indicator')", "\"UNSPECIFIED_BYTES\""},
        {"get_mqtt_property('content_type')", ""},
    };
    CHECK(V2, cases);
}

static void a_message_that_came_not_by_mqtt(void **state) {
    struct message message = {.topic = STR("a/b"), .payload = STR("{}")};
    char *got = sql_result(
        V2, "SELECT clientid() AS c, traceid() AS t, sourceip() AS s, principal() AS p FROM '#'",
        message);
    assert_string_equal(got, "{\"c\":\"n/a\"}");
    free(got);
}

static void properties_of_mqtt_5(void **state) {
    static const char wire[] = "\x01\x01"
                               "\x02\x00\x00\x00\x3c"
                               "\x03\x00\x04text"
                               "\x26\x00\x01k\x00\x01"
                               "1"
                               "\x26\x00\x01m\x00\x01"
                               "x"
                               "\x26\x00\x01k\x00\x01"
                               "2"
                               "\x08\x00\x03r/t"
                               "\x09\x00\x02\x01\xff";
    struct message message = test_message(STR("{}"));
    message.properties = str_from(wire, sizeof wire - 1);
    char *got = sql_result(
        V2,
        "SELECT get_mqtt_property('format_indicator') AS f, get_mqtt_property('content_type') AS "
        "c, "
        "get_mqtt_property('response_topic') AS r, get_mqtt_property('correlation_data') AS d, "
        "get_user_properties('k') AS k, get_user_properties('none') AS n, get_user_properties() AS "
        "a FROM '#'",
        message);
    assert_string_equal(
        got, "{\"f\":\"UTF8_DATA\",\"c\":\"text\",\"r\":\"r/t\",\"d\":\"Af8=\",\"k\":[\"1\",\"2\"],"
             "\"a\":[{\"k\":\"1\"},{\"m\":\"x\"},{\"k\":\"2\"}]}");
    free(got);
    message.properties = str_from(wire, 9);
    got = sql_result(V2, "SELECT get_mqtt_property('content_type') AS c FROM '#'", message);
    assert_string_equal(got, "{}");
    free(got);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_message),
        cmocka_unit_test(a_message_that_came_not_by_mqtt),
        cmocka_unit_test(properties_of_mqtt_5),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
