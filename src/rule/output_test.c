#include "rule/sql_test.h"

#define V1 RULE_VERSION_2015_10_08
#define V2 RULE_VERSION_2016_03_23

#define CHECK_SQL(version, cases) check_sql(version, cases, COUNT_OF(cases))

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
        {"{\"value\":30}", "SELECT value / 10 AS v FROM 'dev/#'", "{\"v\":3}"},
        {"{\"value\":3}", "SELECT value * 2 AS v, value FROM 'dev/#'", "{\"v\":6,\"value\":3}"},
        {"{\"value\":3}", "SELECT value > 2 AS v FROM 'dev/#' WHERE value < 4", "{\"v\":true}"},
        {"{\"value\":3}", "SELECT VALUE value FROM 'dev/#'", "3"},
        {"{\"value\":3}", "SELECT VALUE * FROM 'dev/#'", "{\"value\":3}"},
        {"{\"t\":1}", "SELECT [t, missing] AS a, {\"k\": missing} AS o FROM 'dev/#'",
         "{\"a\":[1],\"o\":{}}"},
        {"{\"timestamp\":5}", "SELECT timestamp, timestamp() AS now FROM 'dev/#'",
         "{\"timestamp\":5,\"now\":1700000000123}"},
        {"{\"k\\u0065y\":\"a\\n\\\"b\"}", "SELECT key FROM 'dev/#'", "{\"key\":\"a\\n\\\"b\"}"},
        {"{\"a\":1,\"a\":2}", "SELECT a FROM 'dev/#'", "{\"a\":2}"},
    };
    CHECK_SQL(V2, cases);
}

/* An item behind * takes the place of the member that it overrides; all else goes on as it stands. */
static void star_and_more(void **state) {
    static const struct sql_case cases[] = {
        {"{\"a\":1,\"b\":2,\"c\":3}", "SELECT *, 9 AS b FROM 'dev/#'", "{\"a\":1,\"b\":9,\"c\":3}"},
        {"{\"a\":1,\"b\":2}", "SELECT *, a AS b, b AS a FROM 'dev/#'", "{\"a\":2,\"b\":1}"},
        {"{\"a\":1}", "SELECT *, missing AS a, missing AS b FROM 'dev/#'", "{\"a\":1}"},
        {"{ \"a\" : 1.0 ,\t\"b\":[ 1.5, 2 ],\"c\":[1.0, 2] }", "SELECT *, 1 AS x FROM 'dev/#'",
         "{\"a\":1,\"b\":[1.5,2],\"c\":[1,2],\"x\":1}"},
        {"{\"k\\u0065y\":1}", "SELECT *, 2 AS key FROM 'dev/#'", "{\"key\":2}"},
        {"{\"a\":-0,\"b\":[-0]}", "SELECT *, b AS c FROM 'dev/#'", "{\"a\":0,\"b\":[0],\"c\":[0]}"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "SELECT *, 9 AS a FROM 'dev/#'", "{\"a\":9,\"b\":2}"},
        {"{}", "SELECT *, 1 AS x.y FROM 'dev/#'", "{\"x\":{\"y\":1}}"},
        {"{\"x\":0}", "SELECT *, 1 AS x.y FROM 'dev/#'", "{\"x\":{\"y\":1}}"},
        {"{\"a\":1}", "SELECT 0 AS z, *, 2 AS b FROM 'dev/#'", "{\"z\":0,\"a\":1,\"b\":2}"},
        {"{\"a\":1}",
         "SELECT *, 1 AS i1, 2 AS i2, 3 AS i3, 4 AS i4, 5 AS i5, 6 AS i6, 7 AS i7, 8 AS i8, "
         "9 AS i9, 10 AS j0, 11 AS j1, 12 AS j2, 13 AS j3, 14 AS j4, 15 AS j5, 16 AS "
         "j6, 17 AS j7 FROM 'dev/#'",
         "{\"a\":1,\"i1\":1,\"i2\":2,\"i3\":3,\"i4\":4,\"i5\":5,\"i6\":6,\"i7\":7,\"i8\":8,\"i9\":"
         "9,"
         "\"j0\":10,\"j1\":11,\"j2\":12,\"j3\":13,\"j4\":14,\"j5\":15,\"j6\":16,\"j7\":17}"},
        {"[1]", "SELECT *, 1 AS x FROM 'dev/#'", "parse error"},
        {"text", "SELECT *, 1 AS x FROM 'dev/#'", "parse error"},
        {"text", "SELECT {'all': *} AS x FROM 'dev/#'", "parse error"},
    };
    CHECK_SQL(V2, cases);
    static const struct sql_case old[] = {
        {"{\"a\":1.0,\"b\":[1.0]}", "SELECT *, 2.0 AS c FROM 'dev/#'",
         "{\"a\":1.0,\"b\":[1.0],\"c\":2.0}"},
    };
    CHECK_SQL(V1, old);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(select_builds_the_payload),
        cmocka_unit_test(star_and_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
