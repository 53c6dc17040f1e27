#include "rule/sql_test.h"

#define V2 RULE_VERSION_2016_03_23

#define CHECK(version, cases)                                                                      \
    check_expressions(version, "{\"nul\":null,\"a\":[10,20]}", cases, COUNT_OF(cases))

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
        {"endswith(substring('a',5),'b')", "false"},
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
        {"upper('\xc3\xb7\xc3\xbf')", "\"\xc3\xb7\xc5\xb8\""},
        {"upper('stra\xc3\x9f"
         "e')",
         "\"STRASSE\""},
        {"lower('\xce\x9f\xce\xa3')", "\"\xce\xbf\xcf\x82\""},
        {"upper('\xc7\x86\xe2\xb1\xa5')", "\"\xc7\x84\xc8\xba\""},
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
