#include "rule/sql_test.h"

#define V1 RULE_VERSION_2015_10_08
#define V2 RULE_VERSION_2016_03_23

#define CHECK_EXPRESSIONS(version, payload, cases)                                                 \
    check_expressions(version, payload, cases, COUNT_OF(cases))

static const char thing[] =
    "{\"color\":\"red\",\"t\":50,\"o\":{\"a\":{\"b\":7}},\"nul\":null,\"d\":10.0,\"arr\":[1,2,3,"
    "\"three\",5.7,null],\"on\":\"TRUE\"}";

static void logic_knows_no_third_value(void **state) {
    static const struct expression_case cases[] = {
        {"true AND false", "false"},
        {"true OR false", "true"},
        {"NOT false", "true"},
        {"true OR missing", ""},
        {"false AND missing", ""},
        {"NOT missing", ""},
        {"'TRUE' AND true", "true"},
        {"NOT 'false'", "true"},
        {"1 AND true", ""},
        {"NULL OR true", ""},
        {"true OR false AND false", "true"},
        {"(true OR false) AND false", "false"},
        {"NOT true OR true", "true"},
    };
    CHECK_EXPRESSIONS(V2, thing, cases);
}

static void comparisons_convert_strings_to_numbers(void **state) {
    static const struct expression_case cases[] = {
        {"1 < 2", "true"},
        {"2 <= 2", "true"},
        {"2.5 > 2", "true"},
        {"2 >= 2.5", "false"},
        {"\"b\" > \"a\"", ""},
        {"\"10\" > 9", "true"},
        {"\"10\" > \"9\"", "true"},
        {"NULL < 1", ""},
        {"true > false", ""},
        {"missing < 1", ""},
        {"[1] < 2", ""},
        {"\"2024-01-01\" < \"2024-02-01\"", ""},
        {"9007199254740993 > 9007199254740992.0", "true"},
    };
    CHECK_EXPRESSIONS(V2, thing, cases);
}

static void equality_converts_nothing(void **state) {
    static const struct expression_case cases[] = {
        {"1 = 1.0", "true"},
        {"\"50\" = 50", "false"},
        {"\"50\" <> 50", "true"},
        {"'a' = 'a'", "true"},
        {"'a' = 'A'", "false"},
        {"NULL = NULL", "true"},
        {"NULL <> NULL", "false"},
        {"NULL = 1", "false"},
        {"missing = 1", ""},
        {"missing <> missing", ""},
        {"true = true", "true"},
        {"[1,2] = [1,2.0]", "true"},
        {"[1,2] = [2,1]", "false"},
        {"[1] = [1,2]", "false"},
        {"{'a':1,'b':2} = {'b':2,'a':1}", "true"},
        {"{'a':1} = {'a':1,'b':2}", "false"},
        {"{'a':1} <> {'a':2}", "true"},
        {"{'a':1} = [1]", "false"},
    };
    CHECK_EXPRESSIONS(V2, thing, cases);
}

static void arithmetic(void **state) {
    static const struct expression_case cases[] = {
        {"1 + 2", "3"},
        {"1 + 2.5", "3.5"},
        {"\"1\" + \"2\"", "\"12\""},
        {"1 + \"2\"", "\"12\""},
        {"true + \"!\"", "\"true!\""},
        {"[1] + \"x\"", "\"[1]x\""},
        {"{'k':'v'} + ''", "\"{\\\"k\\\":\\\"v\\\"}\""},
        {"'a' + NULL", ""},
        {"'a' + missing", ""},
        {"true + 1", ""},
        {"NULL + 1", ""},
        {"5 - 7", "-2"},
        {"\"6\" * 2", "12"},
        {"\"abc\" - 1", ""},
        {"true * 2", ""},
        {"90 / 9", "10"},
        {"5 / 2", "2.5"},
        {"1 / 0", ""},
        {"1 % 0", ""},
        {"8 % 3", "2"},
        {"-7 % 3", "-1"},
        {"7.5 % 2", "1.5"},
        {"-t", "-50"},
        {"-(1 + 2)", "-3"},
        {"1 + 2 * 3", "7"},
        {"(1 + 2) * 3", "9"},
        {"10 - 3 - 2", "5"},
        {"-\"4\"", "-4"},
        {"-color", ""},
        {"0.5 + 0.25", "0.75"},
        {"2 - -1", "3"},
        {"9223372036854775807 + 1", "9223372036854775808"},
        {"1E999 * 10", ""},
        {"1 / 8192", "0.0001220703125"},
        {"1 / 1E9", "1E-9"},
        {"1.5 / 1E10", "1.5E-10"},
        {"1E34 * 2", "2E34"},
        {"1E20 * 2", "200000000000000000000"},
    };
    CHECK_EXPRESSIONS(V2, thing, cases);
}

static void in_looks_for_an_equal_item(void **state) {
    static const struct expression_case cases[] = {
        {"3 IN arr", "true"},
        {"\"3\" IN [3]", "false"},
        {"\"red\" IN [\"red\",\"green\"]", "true"},
        {"5.7 IN arr", "true"},
        {"9 IN arr", "false"},
        {"1 IN color", ""},
        {"missing IN arr", ""},
        {"[1] IN [[1],2]", "true"},
    };
    CHECK_EXPRESSIONS(V2, thing, cases);
}

static void casts(void **state) {
    static const struct expression_case cases[] = {
        {"cast(true AS Int)", "1"},
        {"cast(\"5E-1\" AS Decimal)", "0.5"},
        {"cast(-1.2 AS Int)", "-2"},
        {"cast(\"2.9\" AS INTEGER)", "2"},
        {"cast(0 AS Boolean)", "false"},
        {"cast(\"yes\" AS Bool)", ""},
        {"cast([1,\"a\"] AS String)", "\"[1,\\\"a\\\"]\""},
        {"cast(NULL AS String)", ""},
        {"cast(10.0 AS Decimal)", "10"},
        {"cast(\"TRUE\" AS Bool)", "true"},
        {"cast(true AS String)", "\"true\""},
        {"cast(false AS Decimal)", "0"},
        {"cast('+1' AS Int)", ""},
        {"cast(' 5' AS Int)", ""},
        {"cast('.5' AS Decimal)", ""},
        {"cast('5.' AS Decimal)", ""},
        {"cast('1e+3' AS Decimal)", ""},
        {"cast('007' AS Int)", "7"},
        {"cast('0x1' AS Int)", ""},
        {"cast(missing AS Int)", ""},
        {"cast([1] AS Int)", ""},
        {"cast('' AS Int)", ""},
        {"cast('-' AS Int)", ""},
    };
    CHECK_EXPRESSIONS(V2, thing, cases);
    static const struct expression_case old[] = {{"cast(true AS Double)", "1.0"},
                                                 {"cast(1.5 AS Nvarchar)", "\"1.5\""}};
    CHECK_EXPRESSIONS(V1, thing, old);
}

/* The table of conversions (reference 1.6), seen through what converts: get()'s index wants an Int,
 * subtraction a Decimal, NOT a Boolean, concatenation a String. */
static void every_conversion(void **state) {
    static const struct expression_case cases[] = {
        /* to Decimal */
        {"5 - 0", "5"},
        {"5.5 - 0", "5.5"},
        {"true - 0", ""},
        {"'5.5' - 0", "5.5"},
        {"'x' - 0", ""},
        {"[1] - 0", ""},
        {"{} - 0", ""},
        {"NULL - 0", ""},
        {"missing - 0", ""},
        {"'5E-12' - 0", "5E-12"},
        {"'1E1000' - 0", ""},
        /* to Int: a Decimal to the nearest, a String cut */
        {"get([0,1,2,3], 2)", "2"},
        {"get([0,1,2,3], 1.5)", "2"},
        {"get([0,1,2,3], 1.4)", "1"},
        {"get([0,1,2,3], '1.9')", "1"},
        {"get([0,1,2,3], true)", ""},
        {"get([0,1,2,3], 'x')", ""},
        {"get([0,1,2,3], [1])", ""},
        {"get([0,1,2,3], {})", ""},
        {"get([0,1,2,3], NULL)", ""},
        {"get([0,1,2,3], missing)", ""},
        {"get([0,1,2,3], 1E30)", ""},
        {"get([0,1,2,3], -0.4)", "0"},
        /* to Boolean */
        {"NOT true", "false"},
        {"NOT 'TRUE'", "false"},
        {"NOT 'fAlSe'", "true"},
        {"NOT 'yes'", ""},
        {"NOT 1", ""},
        {"NOT 1.5", ""},
        {"NOT [true]", ""},
        {"NOT {}", ""},
        {"NOT NULL", ""},
        {"NOT missing", ""},
        /* to String */
        {"'' + 5", "\"5\""},
        {"'' + 5.50", "\"5.50\""},
        {"'' + (5.5 + 0)", "\"5.5\""},
        {"'' + 1E-20", "\"1E-20\""},
        {"'' + (1E20 + 1)", "\"100000000000000000001\""},
        {"'' + true", "\"true\""},
        {"'' + 'x'", "\"x\""},
        {"'' + [1,'x']", "\"[1,\\\"x\\\"]\""},
        {"'' + {'a':'x'}", "\"{\\\"a\\\":\\\"x\\\"}\""},
        {"'' + NULL", ""},
        {"'' + missing", ""},
    };
    CHECK_EXPRESSIONS(V2, thing, cases);
}

/* The table of cast(), each cell. */
static void every_cast(void **state) {
    static const struct expression_case cases[] = {
        {"cast(7 AS Decimal)", "7"},
        {"cast(7 AS Int)", "7"},
        {"cast(7 AS Boolean)", "true"},
        {"cast(7 AS Text)", "\"7\""},
        {"cast(7.5 AS Decimal)", "7.5"},
        {"cast(7.5 AS Int)", "7"},
        {"cast(-7.5 AS Int)", "-8"},
        {"cast(0.5 AS Boolean)", "true"},
        {"cast(0.0 AS Boolean)", "false"},
        {"cast(7.5 AS Ntext)", "\"7.5\""},
        {"cast(true AS Decimal)", "1"},
        {"cast(false AS Int)", "0"},
        {"cast(true AS Boolean)", "true"},
        {"cast(false AS Varchar)", "\"false\""},
        {"cast('-2.5' AS Decimal)", "-2.5"},
        {"cast('-2.5' AS Int)", "-3"},
        {"cast('true' AS Boolean)", "true"},
        {"cast('1' AS Boolean)", ""},
        {"cast('x' AS String)", "\"x\""},
        {"cast([1] AS Decimal)", ""},
        {"cast([1] AS Boolean)", ""},
        {"cast({'a':1} AS Nvarchar)", "\"{\\\"a\\\":1}\""},
        {"cast({} AS Int)", ""},
        {"cast(NULL AS Decimal)", ""},
        {"cast(NULL AS Int)", ""},
        {"cast(NULL AS Boolean)", ""},
        {"cast(missing AS String)", ""},
        {"cast(0.1234567890123456789 AS Double)", "0.12345678901234568"},
        {"cast(0.1234567890123456789 AS Decimal)", "0.1234567890123456789"},
        {"cast(12345678901234567890123 AS Double)", "12345678901234567890123"},
        {"cast(12345678901234567890123456.7 AS INT)", "12345678901234567890123456"},
        {"CAST('1E33' as int)", "1000000000000000000000000000000000"},
    };
    CHECK_EXPRESSIONS(V2, thing, cases);
    static const struct expression_case old[] = {
        {"cast(10.0 AS Double)", "10.0"},
        {"cast('10' AS Double)", "10"},
        {"cast(false AS Double)", "0.0"},
        {"cast(2.5 AS Integer)", "2"},
    };
    CHECK_EXPRESSIONS(V1, thing, old);
}

/* 34 digits, half to even; what a double would get wrong. */
static void decimals(void **state) {
    static const struct expression_case cases[] = {
        {"0.1 + 0.2", "0.3"},
        {"0.1 + 0.2 = 0.3", "true"},
        {"0.1 * 3", "0.3"},
        {"1.1 - 1", "0.1"},
        {"4.35 * 100", "435"},
        {"215 / 9", "23.88888888888888888888888888888889"},
        {"(75 - 32) * 5 / 9", "23.88888888888888888888888888888889"},
        {"1 / 3 * 3", "0.9999999999999999999999999999999999"},
        {"2 / 3", "0.6666666666666666666666666666666667"},
        {"timestamp() / 1000", "1700000000.123"},
        {"floor(timestamp() / 1000)", "1700000000"},
        {"9999999999999999999999999999999999 + 1", "1E34"},
        {"1E500 * 1E500", ""},
        {"1E-500 * 1E-500", ""},
        {"9.99E999 + 9.99E999", ""},
        {"0.3 % 0.1", "0"},
        {"'0.1' + 0.2", "\"0.10.2\""},
        {"'0.1' - -0.2", "0.3"},
        {"10 % 0.3", "0.1"},
        {"-(0.1 + 0.2)", "-0.3"},
        {"12345678901234567890 > 12345678901234567889.5", "true"},
        {"power(0.1, 1) + 0.2", "0.3"},
    };
    CHECK_EXPRESSIONS(V2, thing, cases);
    static const struct expression_case old[] = {
        {"0.5 + 0.5", "1.0"},  {"0.5 * 4", "2.0"}, {"1 + 1", "2"},        {"4 / 2", "2"},
        {"5 / 2", "2.5"},      {"1.0 + 1", "2.0"}, {"d", "10.0"},         {"1E34 + 0.0", "1E34"},
        {"d * 1E2", "1000.0"}, {"'6' * 2", "12"},  {"'6.0' * 2", "12.0"},
    };
    CHECK_EXPRESSIONS(V1, thing, old);
}

/* Numbers that the dialect has no room for are passed on and cannot be computed with. */
static void numbers_beyond_the_range(void **state) {
    static const char payload[] = "{\"big\":1E1000,\"small\":1E-1000,\"more\":"
                                  "12345678901234567890123456789012345678,\"a\":[1E1000]}";
    static const struct expression_case cases[] = {
        {"big", "1E1000"},
        {"a", "[1E1000]"},
        {"big + 1", ""},
        {"big > 1", ""},
        {"big = big", "true"},
        {"big = small", "false"},
        {"big = 1", "false"},
        {"abs(small)", ""},
        {"big IN a", "true"},
        {"-big", ""},
        {"cast(big AS Int)", ""},
        {"cast(big AS Boolean)", ""},
        {"'' + big", "\"1E1000\""},
        {"more", "12345678901234567890123456789012345678"},
        {"more + 0", "1.234567890123456789012345678901235E37"},
    };
    CHECK_EXPRESSIONS(V2, payload, cases);
}

/* The text of a value is JSON without white space and needless escapes, however the device wrote it. */
static void texts_of_what_the_payload_holds(void **state) {
    static const char payload[] =
        "{\"o\": { \"a\" : [1, 2.0 ,\"\\u00e9\\/<\\/\"],\t\"k\\u0065y\":null } ,\"list\":[ 1,2 "
        "],\"e\":[ ]}";
    static const struct expression_case cases[] = {
        {"o = cast(o AS String)", "false"},
        {"'' + o", "\"{\\\"a\\\":[1,2,\\\"\xc3\xa9/</\\\"],\\\"key\\\":null}\""},
        {"o", "{\"a\":[1,2,\"\xc3\xa9/</\"],\"key\":null}"},
        {"length(list)", "5"},
        {"md5(list) = md5('[1,2]')", "true"},
        {"encode(list, 'base64')", "\"WzEsMl0=\""},
        {"'' + e", "\"[]\""},
        {"upper(list)", "\"[1,2]\""},
    };
    CHECK_EXPRESSIONS(V2, payload, cases);
    static const struct expression_case old[] = {
        {"'' + o", "\"{\\\"a\\\":[1,2.0,\\\"\xc3\xa9/</\\\"],\\\"key\\\":null}\""},
        {"cast(list AS String)", "\"[1,2]\""},
    };
    CHECK_EXPRESSIONS(V1, payload, old);
}

/* Looking both ways at each level would double the work with each. */
static void deep_objects_are_compared_in_a_pass(void **state) {
    enum { DEPTH = 60 };
    struct buf payload = {0};
    buf_add_str(&payload, STR("{\"o\":"));
    for (int i = 0; i < DEPTH; i++)
        buf_add_str(&payload, STR("{\"a\":1,\"b\":"));
    buf_add_u8(&payload, '2');
    for (int i = 0; i <= DEPTH; i++)
        buf_add_u8(&payload, '}');
    static const struct expression_case cases[] = {{"o = o", "true"}, {"o.b = o", "false"}};
    CHECK_EXPRESSIONS(V2, buf_cstr(&payload), cases);
    static const struct expression_case twice[] = {
        {"a = b", "true"}, {"a = c", "false"}, {"c = a", "false"}};
    CHECK_EXPRESSIONS(V2, "{\"a\":{\"x\":1,\"x\":2},\"b\":{\"x\":2},\"c\":{\"x\":2,\"y\":3}}",
                      twice);
    buf_done(&payload);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logic_knows_no_third_value),
        cmocka_unit_test(comparisons_convert_strings_to_numbers),
        cmocka_unit_test(equality_converts_nothing),
        cmocka_unit_test(arithmetic),
        cmocka_unit_test(in_looks_for_an_equal_item),
        cmocka_unit_test(casts),
        cmocka_unit_test(every_conversion),
        cmocka_unit_test(every_cast),
        cmocka_unit_test(decimals),
        cmocka_unit_test(numbers_beyond_the_range),
        cmocka_unit_test(texts_of_what_the_payload_holds),
        cmocka_unit_test(deep_objects_are_compared_in_a_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
