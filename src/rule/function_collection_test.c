#include "rule/sql_test.h"

#define V2 RULE_VERSION_2016_03_23

#define CHECK(version, cases)                                                                      \
    check_expressions(version, "{\"nul\":null,\"a\":[10,20]}", cases, COUNT_OF(cases))

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
        {"decode('cmU','base64')", "\"re\""},
        {"decode('cmVk=','base64')", "null"},
        {"decode('c','base64')", "null"},
        {"decode('','base64')", "\"\""},
        {"decode('/w==','base64')", "\"\xef\xbf\xbd\""},
        {"numbytes(decode('/w==','base64'))", "3"},
        {"decode('eyJhIjoi/yJ9','base64').a", "\"\xef\xbf\xbd\""},
        {"decode('YeKCYvCfmIBj4g==','base64')", "\"a\xef\xbf\xbd"
                                                "b\xf0\x9f\x98\x80"
                                                "c\xef\xbf\xbd\""},
    };
    CHECK(V2, cases);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(collections_and_tests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
