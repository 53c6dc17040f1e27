#include "rule/sql_test.h"

#define V1 RULE_VERSION_2015_10_08
#define V2 RULE_VERSION_2016_03_23

#define CHECK_SQL(version, cases) check_sql(version, cases, COUNT_OF(cases))
#define CHECK_EXPRESSIONS(version, payload, cases)                                                 \
    check_expressions(version, payload, cases, COUNT_OF(cases))

static const char thing[] =
    "{\"color\":\"red\",\"t\":50,\"o\":{\"a\":{\"b\":7}},\"nul\":null,\"d\":10.0,\"arr\":[1,2,3,"
    "\"three\",5.7,null],\"on\":\"TRUE\"}";

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

static void paths_and_indices(void **state) {
    static const struct expression_case cases[] = {
        {"o.a.b", "7"},   {"o.x.b", ""},           {"color.x", ""},   {"arr[0]", "1"},
        {"arr[9]", ""},   {"arr[3]", "\"three\""}, {"o['a'].b", "7"}, {"color[1]", "\"e\""},
        {"(o).a.b", "7"}, {"arr.x", ""},           {"nul.x", ""},     {"{'a':{'b':1}}.a.b", "1"},
    };
    CHECK_EXPRESSIONS(V2, thing, cases);
}

/* Fields are remembered over the rules of a message, which may be of both versions. */
static void remembered_fields(void **state) {
    static const struct expression_case cases[] = {
        {"[abc, abc, abd, abc]", "[1.50,1.50,2,1.50]"},
        {"[esc, esc, nul, missing, nul]", "[\"\xc3\xa9\",\"\xc3\xa9\",null,null]"},
        {"abc + abc + abd", "5"},
        {"(SELECT VALUE abc FROM arr)", "[1.50,7]"},
        {"abcdefghijk + abc", "4.5"},
    };
    static const char payload[] =
        "{\"abc\":1.50,\"abd\":2.0,\"esc\":\"\\u00e9\",\"nul\":null,\"arr\":[1,{\"abc\":7}],"
        "\"abcdefghijk\":3}";
    CHECK_EXPRESSIONS(V2, payload, cases);
    struct sql_run young, old;
    struct str result;
    const char *sql = "SELECT VALUE d FROM 'dev/#'";
    struct message message = test_message(STR("{\"d\":10.0}"));
    assert_int_equal(sql_run_init(&young, V2, sql, message), 0);
    assert_int_equal(sql_run_init(&old, V1, sql, message), 0);
    old.evaluation.payload = young.evaluation.payload;
    assert_int_equal(rule_evaluate(young.plan, &young.evaluation, &young.out, &result),
                     RULE_RESULT);
    assert_str(result, "10");
    assert_int_equal(rule_evaluate(old.plan, &old.evaluation, &old.out, &result), RULE_RESULT);
    assert_str(result, "10.0");
    sql_run_done(&young);
    sql_run_done(&old);
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

/* Work that goes through a long text for each element of an array is counted by the byte. */
static void long_texts_are_bounded(void **state) {
    enum { BYTES = 60000, ELEMENTS = 20000 };
    static const char *const conditions[] = {
        "s - 1 = 1",
        "o.n > 1",
        "length(s) = 1",
        "indexof(s, 'zz') = 1",
        "trim(s) = 'x'",
        "isNull(o.n)",
        "cast(s AS Int) = 1",
        "substring(s, 50000) = ''",
        "md2(s) = ''",
        "upper(s) = ''",
        "s = t",
        "topic(s) = ''",
        "decode(s, 'base64') = 1",
        "get(a, s) = 2",
        "escaped = 'x'",
    };
    struct buf payload = {0};
    buf_add_str(&payload, STR("{\"s\":\""));
    memset(buf_room(&payload, BYTES), '1', BYTES);
    buf_added(&payload, BYTES);
    buf_add_str(&payload, STR("\",\"t\":\""));
    memset(buf_room(&payload, BYTES), '1', BYTES);
    buf_added(&payload, BYTES);
    buf_add_str(&payload, STR("\",\"o\":{\"n\":"));
    memset(buf_room(&payload, BYTES), '1', BYTES);
    buf_added(&payload, BYTES);
    buf_add_str(&payload, STR("},\"escaped\":\""));
    for (int i = 0; i < BYTES / 6; i++)
        buf_add_str(&payload, STR("\\u00e9"));
    buf_add_str(&payload, STR("\",\"a\":[0"));
    for (int i = 1; i < ELEMENTS; i++)
        buf_add_str(&payload, STR(",0"));
    buf_add_str(&payload, STR("]}"));
    for (size_t i = 0; i < COUNT_OF(conditions); i++) {
        char sql[200];
        snprintf(sql, sizeof sql, "SELECT VALUE (SELECT VALUE 1 FROM a WHERE %s) FROM 'dev/#'",
                 conditions[i]);
        char *got = sql_result(V2, sql, test_message(str_of(buf_cstr(&payload))));
        assert_string_equal(got, "exhausted");
        free(got);
    }
    buf_done(&payload);
}

/* AWS: all variables together at most 128 KiB as JSON, and what transform() makes. */
static void values_are_bounded(void **state) {
    enum { LIMIT = 128 * 1024 };
    static const char *const statements[] = {
        "SET @a = s SELECT 1 AS x FROM 'dev/#'",
        "SET @a = [s] SELECT 1 AS x FROM 'dev/#'",
        "SET @a = substring(s, 0, 70000), @b = substring(s, 0, 70000) SELECT 1 AS x FROM 'dev/#'",
        "SELECT transform('enrichArray', {'s': s}, [{}]) AS x FROM 'dev/#'",
    };
    char *payload = malloc(LIMIT + 64);
    memset(payload, 'a', LIMIT + 64);
    memcpy(payload, "{\"s\":\"", 6);
    memcpy(payload + 6 + LIMIT, "\"}", 3);
    for (size_t i = 0; i < COUNT_OF(statements); i++) {
        char *got = sql_result(V2, statements[i], test_message(str_of(payload)));
        assert_string_equal(got, "exhausted");
        free(got);
    }
    char *got = sql_result(
        V2, "SET @a = substring(s, 0, 60000), @b = @a SELECT length(@b) AS x FROM 'dev/#'",
        test_message(str_of(payload)));
    assert_string_equal(got, "{\"x\":60000}");
    free(got);
    free(payload);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_statements),
        cmocka_unit_test(the_versions_differ),
        cmocka_unit_test(paths_and_indices),
        cmocka_unit_test(remembered_fields),
        cmocka_unit_test(case_compares_with_values),
        cmocka_unit_test(nested_queries),
        cmocka_unit_test(set_variables),
        cmocka_unit_test(payloads_that_are_no_document),
        cmocka_unit_test(evaluation_is_bounded),
        cmocka_unit_test(long_texts_are_bounded),
        cmocka_unit_test(values_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
