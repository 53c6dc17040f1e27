#include "rule/sql_test.h"

#include "rule/function.h"

#define V1 RULE_VERSION_2015_10_08
#define V2 RULE_VERSION_2016_03_23

#define CHECK(version, cases)                                                                      \
    check_expressions(version, "{\"nul\":null,\"a\":[10,20]}", cases, COUNT_OF(cases))

static void numbers(void **state) {
    static const struct expression_case cases[] = {
        {"abs(-5)", "5"},
        {"abs(\"-5.5\")", "5.5"},
        {"abs(true)", ""},
        {"abs(null)", ""},
        {"acos(0)", "1.5707963267948966"},
        {"acos(2)", ""},
        {"asin(1)", "1.5707963267948966"},
        {"asin(0)", "0"},
        {"atan(1)", "0.7853981633974483"},
        {"atan2(1,0)", "1.5707963267948966"},
        {"atan2(\"x\",1)", ""},
        {"bitand(13,5)", "5"},
        {"bitand(13.9,\"5\")", "5"},
        {"bitor(8,5)", "13"},
        {"bitxor(13,5)", "8"},
        {"bitnot(0)", "-1"},
        {"bitnot(13)", "-14"},
        {"bitand(true,1)", ""},
        {"ceil(1.2)", "2"},
        {"ceil(-1.2)", "-1"},
        {"ceil(\"2.1\")", "3"},
        {"cos(0)", "1"},
        {"sin(0)", "0"},
        {"tan(3)", "-0.1425465430742778"},
        {"cosh(2.3)", "5.037220649268761"},
        {"sinh(2.3)", "4.936961805545957"},
        {"tanh(2.3)", "0.9800963962661914"},
        {"exp(1)", "2.718281828459045"},
        {"floor(1.7)", "1"},
        {"floor(-1.2)", "-2"},
        {"floor([1])", ""},
        {"ln(10)", "2.302585092994046"},
        {"ln(0)", ""},
        {"ln(-1)", ""},
        {"log(100)", "2"},
        {"mod(8,3)", "2"},
        {"mod(\"8\",3)", "2"},
        {"mod(true,2)", ""},
        {"remainder(7,4)", "3"},
        {"nanvl(8,3)", "8"},
        {"nanvl(missing,3)", "3"},
        {"nanvl(\"a\",3)", "\"a\""},
        {"nanvl(nul,3)", "3"},
        {"power(2,5)", "32"},
        {"power(\"2\",0.5)", "1.4142135623730951"},
        {"rand()", "0.25"},
        {"round(1.5)", "2"},
        {"round(-1.5)", "-2"},
        {"round(1.2)", "1"},
        {"round(\"2.5\")", "3"},
        {"sign(-7.5)", "-1"},
        {"sign(\"0\")", "0"},
        {"sign(3)", "1"},
        {"sqrt(9)", "3"},
        {"sqrt(-1)", ""},
        {"trunc(2.888,2)", "2.88"},
        {"trunc(2.3,0)", "2"},
        {"trunc(-2.9,0)", "-2"},
        {"trunc(2.00,5)", "2"},
        {"trunc(7,3)", "7"},
        {"trunc(2.3,1)", "2.3"},
        {"trunc(1.5,'1')", ""},
        {"trunc('1.55',1)", "1.5"},
        {"abs()", ""},
        {"abs(1,2)", ""},
        {"ABS(-1)", "1"},
    };
    CHECK(V2, cases);
    static const struct expression_case old[] = {
        {"asin(0)", "0.0"}, {"log(100)", "2.0"}, {"power(2,5)", "32.0"},
        {"sqrt(9)", "3.0"}, {"floor(1.7)", "1"}, {"trunc(2.3,0)", "2"},
    };
    CHECK(V1, old);
}

static void strings(void **state) {
    static const struct expression_case cases[] = {
        {"chr(65)", "\"A\""},
        {"chr(\"49.9\")", "\"1\""},
        {"chr(300)", ""},
        {"chr(-1)", ""},
        {"concat(\"a\",1)", "\"a1\""},
        {"concat([1],2,[3])", "[1,2,3]"},
        {"concat(1,2)", ""},
        {"concat(\"a\",null)", ""},
        {"concat()", ""},
        {"concat(1)", "1"},
        {"concat('a','b','c')", "\"abc\""},
        {"concat(1,'b',true)", "\"1btrue\""},
        {"endswith(\"cat\",\"at\")", "true"},
        {"endswith(123,3)", "true"},
        {"endswith(null,\"a\")", ""},
        {"endswith('a','ba')", "false"},
        {"startswith(\"ranger\",\"ran\")", "true"},
        {"indexof(\"abcd\",\"bc\")", "1"},
        {"indexof('abc','x')", "-1"},
        {"indexof('\xc3\xa4z','z')", "1"},
        {"length(\"hi\")", "2"},
        {"length(false)", "5"},
        {"length([1,2])", "5"},
        {"length('\xe2\x82\xac')", "1"},
        {"numbytes(\"hi\")", "2"},
        {"numbytes('\xe2\x82\xac')", "3"},
        {"lower(\"AbC\")", "\"abc\""},
        {"upper([\"a\"])", "\"[\\\"A\\\"]\""},
        {"upper(true)", "\"TRUE\""},
        {"upper('\xc3\xa4\xce\xb1\xd1\x8f\xd1\x96')", "\"\xc3\x84\xce\x91\xd0\xaf\xd0\x86\""},
        {"lower('\xc3\x84\xd0\x86')", "\"\xc3\xa4\xd1\x96\""},
        {"upper('\xc3\xb7\xc3\xbf')", "\"\xc3\xb7\xc3\xbf\""},
        {"lpad(\"hi\",2)", "\"  hi\""},
        {"rpad(1,3)", "\"1   \""},
        {"lpad(\"x\",-4)", "\"x\""},
        {"lpad('x','n')", ""},
        {"ltrim(\" a \")", "\"a \""},
        {"rtrim(\" a \")", "\" a\""},
        {"trim(\" a\n\")", "\"a\""},
        {"trim(5)", "\"5\""},
        {"replace(\"abcdabcd\",\"b\",\"x\")", "\"axcdaxcd\""},
        {"replace(topic(),'/','-')", "\"dev-a1-t\""},
        {"replace('aaa','','x')", "\"aaa\""},
        {"replace('aaa','a','')", "\"\""},
        {"substring(\"012345\",2)", "\"2345\""},
        {"substring(\"012345\",1,3)", "\"12\""},
        {"substring(\"012345\",3,1)", "\"\""},
        {"substring(123,2)", "\"3\""},
        {"substring(\"012345\",2.745)", "\"2345\""},
        {"substring(true,1.2)", "\"rue\""},
        {"substring(\"abc\",-9,9)", "\"abc\""},
        {"substring('abc',7)", "\"\""},
        {"substring('abc','x')", ""},
        {"substring('\xc3\xa4\xc3\xb6\xc3\xbc',1,2)", "\"\xc3\xb6\""},
    };
    CHECK(V2, cases);
}

static void collections_and_tests(void **state) {
    static const struct expression_case cases[] = {
        {"get([10,20],1)", "20"},
        {"get(\"abc\",0)", "\"a\""},
        {"get({\"a-b\":1},\"a-b\")", "1"},
        {"get([1],-1)", ""},
        {"get({\"1\":5},1)", ""},
        {"get(null,0)", ""},
        {"get(a,1.4)", "20"},
        {"get(a,'0')", "10"},
        {"get('\xc3\xa4z',1)", "\"z\""},
        {"get_or_default(missing,\"d\")", "\"d\""},
        {"get_or_default(null,null)", "null"},
        {"get_or_default(5)", "5"},
        {"get_or_default(missing)", ""},
        {"isNull(null)", "true"},
        {"isNull(missing)", "false"},
        {"isUndefined(missing)", "true"},
        {"isUndefined(null)", "false"},
        {"isUndefined(floor([1]))", "true"},
        {"transform(\"enrichArray\",{\"id\":7},[{\"a\":1},{\"b\":2}])",
         "[{\"a\":1,\"id\":7},{\"b\":2,\"id\":7}]"},
        {"transform('other',{'id':7},[{'a':1}])", ""},
        {"transform('enrichArray',{'id':7},[1])", ""},
        {"encode('red','base64')", "\"cmVk\""},
        {"encode(missing,'base64')", ""},
        {"decode(\"eyJ0IjoyMS41fQ==\",'base64').t", "21.5"},
        {"decode(\"ODA=\",'base64')", "80"},
        {"decode(\"cmVk\",'base64')", "\"red\""},
        {"decode(\"!!\",'base64')", "null"},
        {"decode(5,'base64')", ""},
    };
    CHECK(V2, cases);
}

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

static void names_are_found_in_any_case(void **state) {
    assert_non_null(rule_function_find(STR("NEWUUID")));
    assert_ptr_equal(rule_function_find(STR("isNull")), rule_function_find(STR("ISNULL")));
    assert_null(rule_function_find(STR("newuui")));
    assert_string_equal(rule_function_nearest(STR("newuui")), "newuuid");
    assert_null(rule_function_nearest(STR("something_else_entirely")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(strings),
        cmocka_unit_test(collections_and_tests),
        cmocka_unit_test(the_message),
        cmocka_unit_test(a_message_that_came_not_by_mqtt),
        cmocka_unit_test(properties_of_mqtt_5),
        cmocka_unit_test(names_are_found_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
