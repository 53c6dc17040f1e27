#include "rule/sql_test.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
