#include "rule/sql_test.h"

#define V1 RULE_VERSION_2015_10_08
#define V2 RULE_VERSION_2016_03_23

#define CHECK_SQL(version, cases) check_sql(version, cases, COUNT_OF(cases))
#define CHECK_EXPRESSIONS(version, payload, cases)                                                 \
    check_expressions(version, payload, cases, COUNT_OF(cases))

static const char thing[] =
    "{\"color\":\"red\",\"t\":50,\"o\":{\"a\":{\"b\":7}},\"nul\":null,\"d\":10.0,\"arr\":[1,2,3,"
    "\"three\",5.7,null],\"on\":\"TRUE\"}";

static void select_builds_the_payload(void **state) {
    static const struct sql_case cases[] = {
        {"{\"a\":1}", "SELECT * FROM 'dev/#'", "{\"a\":1}"},
        {" { \"a\" : 1.0 } ", "SELECT * FROM 'dev/#'", " { \"a\" : 1.0 } "},
        {"{\"a\":1}", "SELECT *, 15 AS speed FROM 'dev/#'", "{\"a\":1,\"speed\":15}"},
        {"{\"a\":1}", "SELECT *, 2 AS a FROM 'dev/#'", "{\"a\":2}"},
        {"{\"a\":1,\"b\":3}", "SELECT 2 AS a, * FROM 'dev/#'", "{\"a\":1,\"b\":3}"},
        {"{\"a\":1}", "SELECT 2 AS a, *, 3 AS a FROM 'dev/#'", "{\"a\":3}"},
        {"{\"a\":1}", "SELECT *, missing AS a FROM 'dev/#'", "{\"a\":1}"},
        {"", "SELECT *, 1 AS a FROM 'dev/#'", "{\"a\":1}"},
        {thing, "SELECT color FROM 'dev/#'", "{\"color\":\"red\"}"},
        {thing, "SELECT color AS c, t AS f FROM 'dev/#'", "{\"c\":\"red\",\"f\":50}"},
        {thing, "SELECT o.a.b AS bee FROM 'dev/#'", "{\"bee\":7}"},
        {thing, "SELECT o.a.b FROM 'dev/#'", "{\"b\":7}"},
        {thing, "SELECT color AS x.y FROM 'dev/#'", "{\"x\":{\"y\":\"red\"}}"},
        {thing, "SELECT t AS x.y, t AS x.z FROM 'dev/#'", "{\"x\":{\"y\":50,\"z\":50}}"},
        {thing, "SELECT t AS x, t AS x.z FROM 'dev/#'", "{\"x\":{\"z\":50}}"},
        {thing, "SELECT t AS x.z, t AS x FROM 'dev/#'", "{\"x\":50}"},
        {thing, "SELECT missing AS x.y FROM 'dev/#'", "{}"},
        {"{\"a\":[1]}", "SELECT * AS message FROM 'dev/#'", "{\"message\":{\"a\":[1]}}"},
        {thing, "SELECT missing FROM 'dev/#'", "{}"},
        {thing, "SELECT nul FROM 'dev/#'", "{\"nul\":null}"},
        {thing, "SELECT NULL AS n FROM 'dev/#'", "{\"n\":null}"},
        {"{\"m\":1,\"t\":2}", "SELECT {'m': *, 'x': t} AS o FROM 'dev/#'",
         "{\"o\":{\"m\":{\"m\":1,\"t\":2},\"x\":2}}"},
        {thing, "SELECT VALUE color FROM 'dev/#'", "\"red\""},
        {thing, "SELECT VALUE o FROM 'dev/#'", "{\"a\":{\"b\":7}}"},
        {thing, "SELECT VALUE [1,2] FROM 'dev/#'", "[1,2]"},
        {thing, "SELECT VALUE missing FROM 'dev/#'", ""},
        {thing, "SELECT topic(2) FROM 'dev/#'", "{\"topic\":\"a1\"}"},
        {"{\"value\":3,\"a\":1}", "SELECT value, a FROM 'dev/#'", "{\"value\":3,\"a\":1}"},
        {"{\"value\":{\"x\":4}}", "SELECT value.x FROM 'dev/#'", "{\"x\":4}"},
        {"{\"t\":1}", "SELECT [t, missing] AS a, {\"k\": missing} AS o FROM 'dev/#'",
         "{\"a\":[1],\"o\":{}}"},
        {"{\"timestamp\":5}", "SELECT timestamp, timestamp() AS now FROM 'dev/#'",
         "{\"timestamp\":5,\"now\":1700000000123}"},
        {"{\"k\\u0065y\":\"a\\n\\\"b\"}", "SELECT key FROM 'dev/#'", "{\"key\":\"a\\n\\\"b\"}"},
        {"{\"a\":1,\"a\":2}", "SELECT a FROM 'dev/#'", "{\"a\":2}"},
    };
    CHECK_SQL(V2, cases);
}

/* The cases of the reference, "End-to-end cases". */
static void whole_statements(void **state) {
    static const struct sql_case cases[] = {
        {"{\"t\":50,\"c\":\"red\"}",
         "SELECT (t - 32) * 5 / 9 AS celsius, upper(c) AS c FROM 'dev/+/t'",
         "{\"celsius\":10,\"c\":\"RED\"}"},
        {"{\"t\":50}", "SELECT *, topic(2) AS id, timestamp() AS ts FROM 'dev/#'",
         "{\"t\":50,\"id\":\"a1\",\"ts\":1700000000123}"},
        {"{\"t\":\"50\"}", "SELECT t FROM 'dev/#' WHERE t > 49.5", "{\"t\":\"50\"}"},
        {"{\"t\":\"50\"}", "SELECT t FROM 'dev/#' WHERE t = 50", "-"},
        {"{}", "SELECT 1 AS x FROM 'dev/#' WHERE t > 1", "-"},
        {"{}", "SELECT 1 AS x FROM 'dev/#' WHERE NOT (t > 1)", "-"},
        {"{}", "SELECT 1 AS x FROM 'dev/#' WHERE isUndefined(t)", "{\"x\":1}"},
        {"{\"t\":null}", "SELECT t, isNull(t) AS n FROM 'dev/#'", "{\"t\":null,\"n\":true}"},
        {"{\"a\":[1,2,3]}", "SELECT VALUE a FROM 'dev/#'", "[1,2,3]"},
        {"{\"a\":[1,2,3]}", "SELECT a FROM 'dev/#' WHERE 2 IN a", "{\"a\":[1,2,3]}"},
        {"{\"d\":10.0}", "SELECT d FROM 'dev/#'", "{\"d\":10}"},
        {"{\"on\":\"TRUE\"}", "SELECT on AS o FROM 'dev/#' WHERE on AND true", "{\"o\":\"TRUE\"}"},
        {"{\"m\":{\"item\":{\"0\":{\"my-key\":\"v\"}}}}",
         "SELECT get(get(m.item,\"0\"),\"my-key\") AS k FROM 'dev/#'", "{\"k\":\"v\"}"},
        {"{\"on\":\"true\"}", "SELECT 1 AS x FROM 'dev/#' WHERE on", "{\"x\":1}"},
        {"{\"on\":1}", "SELECT 1 AS x FROM 'dev/#' WHERE on", "-"},
        {"80",
         "SELECT decode(encode(*,'base64'),'base64') AS value FROM 's/+' WHERE "
         "decode(encode(*,'base64'),'base64') > "
         "50",
         "{\"value\":80}"},
        {"10", "SELECT 1 AS value FROM 's/+' WHERE decode(encode(*,'base64'),'base64') > 50", "-"},
    };
    CHECK_SQL(V2, cases);
}

static void the_versions_differ(void **state) {
    static const struct sql_case old[] = {
        {"{\"d\":10.0,\"e\":1E3}", "SELECT d, e, d + 1 AS f FROM 'dev/#'",
         "{\"d\":10.0,\"e\":1E3,\"f\":11.0}"},
        {"{\"o\":{\"a\":1.0}}", "SELECT o FROM 'dev/#'", "{\"o\":{\"a\":1.0}}"},
        {"{}", "SELECT sql_version() AS v FROM 'dev/#'", "{\"v\":\"2015-10-08\"}"},
        {"{\"o\":{}}", "SELECT VALUE o FROM 'dev/#'", ""},
    };
    static const struct sql_case new[] = {
        {"{\"d\":10.0,\"e\":1E3}", "SELECT d, e, d + 1 AS f FROM 'dev/#'",
         "{\"d\":10,\"e\":1000,\"f\":11}"},
        {"{\"o\":{\"a\": 1.0, \"b\":[2.50, 3e0]}}", "SELECT o FROM 'dev/#'",
         "{\"o\":{\"a\":1,\"b\":[2.50,3]}}"},
        {"{}", "SELECT sql_version() AS v FROM 'dev/#'", "{\"v\":\"2016-03-23\"}"},
        {"{\"n\":1.00000000000000000000001}", "SELECT n FROM 'dev/#'",
         "{\"n\":1.00000000000000000000001}"},
        {"{\"n\":15e-1,\"m\":150e-1}", "SELECT n, m FROM 'dev/#'", "{\"n\":15e-1,\"m\":15}"},
    };
    CHECK_SQL(V1, old);
    CHECK_SQL(V2, new);
}

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

static void paths_and_indices(void **state) {
    static const struct expression_case cases[] = {
        {"o.a.b", "7"},   {"o.x.b", ""},           {"color.x", ""},   {"arr[0]", "1"},
        {"arr[9]", ""},   {"arr[3]", "\"three\""}, {"o['a'].b", "7"}, {"color[1]", "\"e\""},
        {"(o).a.b", "7"}, {"arr.x", ""},           {"nul.x", ""},     {"{'a':{'b':1}}.a.b", "1"},
    };
    CHECK_EXPRESSIONS(V2, thing, cases);
}

static void case_compares_with_values(void **state) {
    static const struct expression_case cases[] = {
        {"CASE color WHEN 'green' THEN 'go' WHEN 'red' THEN 'stop' END", "\"stop\""},
        {"CASE color WHEN 'green' THEN 'go' END", ""},
        {"CASE color WHEN 'green' THEN 'go' ELSE 'what' END", "\"what\""},
        {"CASE missing WHEN 1 THEN 'one' ELSE 'else' END", ""},
        {"CASE t > 30 WHEN true THEN 'hot' ELSE 'ok' END", "\"hot\""},
        {"CASE t WHEN missing THEN 1 WHEN 50 THEN 2 END", "2"},
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

static void nested_queries(void **state) {
    static const char payload[] = "{\"e\":[{\"n\":\"temp\",\"v\":22.5},{\"n\":\"lux\",\"v\":135}],"
                                  "\"d\":{\"a\":1,\"b\":2,\"c\":[{\"x\":1},{\"x\":2}]},"
                                  "\"arr\":[1,2,3],\"foo\":4}";
    static const struct expression_case cases[] = {
        {"(SELECT VALUE n FROM e)", "[\"temp\",\"lux\"]"},
        {"(SELECT v FROM e WHERE n = 'temp')", "[{\"v\":22.5}]"},
        {"get((SELECT v FROM e WHERE n = 'temp'), 0).v", "22.5"},
        {"get((SELECT VALUE v FROM e WHERE n = 'lux'), 0)", "135"},
        {"(SELECT v FROM e WHERE n = 'none')", "[]"},
        {"(SELECT a, b FROM d)", "{\"a\":1,\"b\":2}"},
        {"(SELECT VALUE c FROM d)", "[{\"x\":1},{\"x\":2}]"},
        {"transform('enrichArray', (SELECT a, b FROM d), (SELECT VALUE c FROM d))",
         "[{\"x\":1,\"a\":1,\"b\":2},{\"x\":2,\"a\":1,\"b\":2}]"},
        {"exists (select * from arr as a where a = 3)", "true"},
        {"exists (select * from arr as a where a = 4)", "false"},
        {"exists (select * from e as e where v = 135)", "true"},
        {"(SELECT *, foo AS f FROM e WHERE v > 100)", "[{\"n\":\"lux\",\"v\":135,\"f\":4}]"},
        {"(SELECT VALUE x FROM foo)", ""},
        {"(SELECT *, 1 AS x FROM arr)", "[]"},
        {"(SELECT * FROM arr)", "[1,2,3]"},
        {"(SELECT VALUE topic(1) FROM arr)", "[\"dev\",\"dev\",\"dev\"]"},
        {"(SELECT VALUE a * 2 FROM arr AS a WHERE a > 1)", "[4,6]"},
        {"(SELECT VALUE (SELECT VALUE a + b FROM arr AS b) FROM arr AS a WHERE a = 1)",
         "[[2,3,4]]"},
    };
    CHECK_EXPRESSIONS(V2, payload, cases);
}

static void set_variables(void **state) {
    static const struct sql_case cases[] = {
        {"{\"t\":212}",
         "SET @c = (t - 32) * 5 / 9, @lim = 50 SELECT @c AS celsius FROM 'x' WHERE @c > @lim",
         "{\"celsius\":100}"},
        {"{\"t\":50}",
         "SET @c = (t - 32) * 5 / 9, @lim = 50 SELECT @c AS celsius FROM 'x' WHERE @c > @lim", "-"},
        {"{\"o\":{\"x\":[7]}}",
         "SET @o = o, @x = @o.x SELECT (SELECT VALUE v FROM @x AS v) AS v, @o.x AS w FROM 'x'",
         "{\"v\":[7],\"w\":[7]}"},
    };
    CHECK_SQL(V2, cases);
}

static void payloads_that_are_no_document(void **state) {
    static const struct sql_case cases[] = {
        {"\x01\x02\xff", "SELECT * FROM 'dev/#'", "\x01\x02\xff"},
        {"\x01\x02\xff", "SELECT * FROM 'dev/#' WHERE topic(1) = 'dev'", "\x01\x02\xff"},
        {"\x01\x02\xff", "SELECT * FROM 'dev/#' WHERE x = 1", "-"},
        {"\x01\x02\xff", "SELECT encode(*, 'base64') AS data, timestamp() AS ts FROM 'dev/#'",
         "{\"data\":\"AQL/\",\"ts\":1700000000123}"},
        {"\x01\x02\xff", "SELECT *, topic() AS t FROM 'dev/#'", "parse error"},
        {"{\"broken\":", "SELECT * AS m FROM 'dev/#'", "parse error"},
        {"hello", "SELECT x, 1 AS one FROM 'dev/#'", "{\"one\":1}"},
        {"[1,2]", "SELECT *, 1 AS x FROM 'dev/#'", "parse error"},
        {"[1,2]", "SELECT VALUE * FROM 'dev/#'", "[1,2]"},
        {"[1,2]", "SELECT x FROM 'dev/#'", "{}"},
        {"80", "SELECT x, 1 AS y FROM 'dev/#'", "{\"y\":1}"},
    };
    CHECK_SQL(V2, cases);
}

/* Statements that could be made to build or compare without end stop at a bound. */
static void evaluation_is_bounded(void **state) {
    struct buf payload = {0};
    buf_add_str(&payload, STR("{\"a\":["));
    for (int i = 0; i < 2000; i++)
        buf_printf(&payload, "%s%d", i ? "," : "", i);
    buf_add_str(&payload, STR("],\"s\":\""));
    for (int i = 0; i < 100000; i++)
        buf_add_u8(&payload, 'x');
    buf_add_str(&payload, STR("\"}"));
    const struct sql_case cases[] = {
        {buf_cstr(&payload), "SELECT VALUE (SELECT VALUE y IN a FROM a AS y) FROM 'x'",
         "exhausted"},
        {buf_cstr(&payload), "SELECT VALUE replace(s, 'x', s) FROM 'x'", "exhausted"},
        {buf_cstr(&payload),
         "SET @a = s + s, @b = @a + @a, @c = @b + @b, @d = @c + @c, @e = @d + @d, @f = @e + @e "
         "SELECT 1 "
         "AS x FROM 'x' WHERE length(@f) > 1",
         "exhausted"},
        {buf_cstr(&payload), "SELECT VALUE [*,*,*,*,*,*,*,*,*,*,*] FROM 'x'", "exhausted"},
    };
    CHECK_SQL(V2, cases);
    buf_done(&payload);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(select_builds_the_payload),
        cmocka_unit_test(whole_statements),
        cmocka_unit_test(the_versions_differ),
        cmocka_unit_test(logic_knows_no_third_value),
        cmocka_unit_test(comparisons_convert_strings_to_numbers),
        cmocka_unit_test(equality_converts_nothing),
        cmocka_unit_test(arithmetic),
        cmocka_unit_test(in_looks_for_an_equal_item),
        cmocka_unit_test(paths_and_indices),
        cmocka_unit_test(case_compares_with_values),
        cmocka_unit_test(casts),
        cmocka_unit_test(nested_queries),
        cmocka_unit_test(set_variables),
        cmocka_unit_test(payloads_that_are_no_document),
        cmocka_unit_test(evaluation_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
