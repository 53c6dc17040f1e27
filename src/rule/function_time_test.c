#include "rule/sql_test.h"

#define V2 RULE_VERSION_2016_03_23

static const char payload[] =
    "{\"pattern\":\"HH:mm\",\"zone\":\"Europe/Berlin\",\"ms\":1700000000123,"
    "\"jdk\":\"yyyy-MM-dd\",\"day\":\"2024-02-29\"}";

static const struct expression_case formatted[] = {
    {"parse_time(\"yyyy-MM-dd'T'HH:mm:ss.SSS\", 1700000000123)", "\"2023-11-14T22:13:20.123\""},
    {"parse_time(\"yyyy.MM.dd G 'at' HH:mm:ss z\", 100000000, 'America/Belize')",
     "\"1970.01.01 AD at 21:46:40 CST\""},
    {"parse_time(\"HH:mm\",1700000000123,\"Europe/Berlin\")", "\"23:13\""},
    {"parse_time(pattern, ms, zone)", "\"23:13\""},
    {"parse_time('yyyy/MM/dd', timestamp())", "\"2023/11/14\""},
    {"parse_time('HH:mm', '1700000000123')", "\"22:13\""},
    {"parse_time('HH:mm', 1700000000123.9)", "\"22:13\""},
    {"parse_time('HH:mm', 'x')", ""},
    {"parse_time('HH:mm', 1E30)", ""},
    {"parse_time('HH:mm', null)", ""},
    {"parse_time('fff', 0)", ""},
    {"parse_time('', 0)", ""},
    {"parse_time('HH:mm', 0, 'Nowhere/Land')", ""},
    {"parse_time('HH:mm', 0, '../../../etc/passwd')", ""},
    {"parse_time('HH:mm', 0, missing)", ""},
    {"parse_time('HH:mm ZZ ZZZ', 0, '+05:30')", "\"05:30 +05:30 +05:30\""},
};

static const struct expression_case parsed[] = {
    {"time_to_epoch(\"18 December 2015\",\"dd MMMM yyyy\")", "1450396800000"},
    {"time_to_epoch(\"2020-04-03 09:45:18 UTC+01:00\",\"yyyy-MM-dd HH:mm:ss VV\")",
     "1585903518000"},
    {"time_to_epoch(\"2024-02-29 12:00\",\"yyyy-MM-dd HH:mm\")", "1709208000000"},
    {"time_to_epoch(day, jdk)", "1709164800000"},
    {"time_to_epoch('2024-07-01 12:00 Europe/Berlin', 'yyyy-MM-dd HH:mm VV')", "1719828000000"},
    {"time_to_epoch('2024-07-01 12:00 Nowhere/Land', 'yyyy-MM-dd HH:mm VV')", ""},
    {"time_to_epoch('x', 'yyyy-MM-dd')", ""},
    {"time_to_epoch('2024-02-29', 'bad')", ""},
    {"time_to_epoch(null, 'yyyy')", ""},
};

static void times(void **state) {
    check_expressions(V2, payload, formatted, COUNT_OF(formatted));
    check_expressions(V2, payload, parsed, COUNT_OF(parsed));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(times)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
