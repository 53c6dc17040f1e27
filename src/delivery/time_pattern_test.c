#include "base/test.h"

#include "delivery/time_pattern.h"

/* Saturday 2026-03-07T00:05:09.042Z, and Tuesday 2024-12-31T15:30:00.900Z. */
static const uint64_t night = 1772841909042, afternoon = 1735659000900;

static void assert_time(const char *pattern, uint64_t wall_ms, const char *expected) {
    struct buf out = {0};
    assert_int_equal(time_pattern_write(&out, str_of(pattern), wall_ms, NULL), 0);
    assert_str(buf_str(&out), expected);
    buf_done(&out);
}

static void patterns_are_written_as_java_writes_them(void **state) {
    static const struct {
        const char *pattern, *night, *afternoon;
    } rows[] = {
        {"yyyy/MM/dd/HH/", "2026/03/07/00/", "2024/12/31/15/"},
        {"y-M-d H:m:s", "2026-3-7 0:5:9", "2024-12-31 15:30:0"},
        {"yy uu yyyyy", "26 26 02026", "24 24 02024"},
        {"MMM MMMM MMMMM LLL", "Mar March M Mar", "Dec December D Dec"},
        {"D DD DDD", "66 66 066", "366 366 366"},
        {"h hh K KK k kk", "12 12 0 00 24 24", "3 03 3 03 15 15"},
        {"a", "AM", "PM"},
        {"S SSS SSSSSSSSS", "0 042 042000000", "9 900 900000000"},
        {"n", "42000000", "900000000"},
        {"E EE EEE EEEE EEEEE", "Sat Sat Sat Saturday S", "Tue Tue Tue Tuesday T"},
        {"e ee eee eeee eeeee", "7 07 Sat Saturday S", "3 03 Tue Tuesday T"},
        {"X XX x xx xxx xxxx xxxxx", "Z Z +00 +0000 +00:00 +0000 +00:00",
         "Z Z +00 +0000 +00:00 +0000 +00:00"},
        {"Z ZZZ ZZZZ ZZZZZ", "+0000 +0000 GMT Z", "+0000 +0000 GMT Z"},
        {"z zzzz", "UTC Coordinated Universal Time", "UTC Coordinated Universal Time"},
        {"'year='yyyy'/it''s'", "year=2026/it's", "year=2024/it's"},
        {"''dd''", "'07'", "'31'"},
        {"yyyyMMdd'T'HHmmss", "20260307T000509", "20241231T153000"},
        {"=_-.:,+ ", "=_-.:,+ ", "=_-.:,+ "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_time(rows[i].pattern, night, rows[i].night);
        assert_time(rows[i].pattern, afternoon, rows[i].afternoon);
    }
}

static void other_patterns_are_refused_with_a_reason(void **state) {
    static const struct {
        const char *pattern, *reason;
    } rows[] = {
        {"yyyy-Q", "letter Q"},
        {"YYYY", "letter Y"},
        {"MMMMMM", "too many letters M"},
        {"ddd", "too many letters d"},
        {"aa", "letters a"},
        {"'open", "quote"},
        {"yyyy'", "quote"},
        {"[yyyy]", "\"[\""},
        {"yyyy#", "\"#\""},
        {"SSSSSSSSSS", "letters S"},
        {"zzzzz", "letters z"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = {0};
        struct err err = {0};
        int code = time_pattern_write(&out, str_of(rows[i].pattern), night, &err);
        assert_int_equal(code, ERR_INVALID);
        assert_non_null(strstr(err.text, rows[i].reason));
        buf_done(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_are_written_as_java_writes_them),
        cmocka_unit_test(other_patterns_are_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
