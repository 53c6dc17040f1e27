#include "base/test.h"

#include "base/mem.h"
#include "rule/time_format.h"

static void letters(void **state) {
    static const struct {
        const char *pattern;
        int64_t ms;
        const char *zone, *expected;
    } cases[] = {
        {"yyyy-MM-dd'T'HH:mm:ss.SSSZZ", 1700000000123, "UTC", "2023-11-14T22:13:20.123+00:00"},
        {"y yy yyy yyyy yyyyy", 1700000000123, "UTC", "2023 23 2023 2023 02023"},
        {"G C Y YY", 1700000000123, "UTC", "AD 20 2023 23"},
        {"G C Y y", -62198755200000, "UTC", "BC 0 2 -1"},
        {"x xx w ww e E EEEE", 1704067199000, "UTC", "2023 23 52 52 7 Sun Sunday"},
        {"x w", 1609459200000, "UTC", "2020 53"},
        {"M MM MMM MMMM d dd D DDD", 1700000000123, "UTC", "11 11 Nov November 14 14 318 318"},
        {"a h hh K KK H k kk", 1700000000123, "UTC", "PM 10 10 10 10 22 22 22"},
        {"a h K H k", 0, "UTC", "AM 12 0 0 24"},
        {"a h K H k", 43200000, "UTC", "PM 12 0 12 12"},
        {"m s S SS SSS SSSSSS", 61042, "UTC", "1 1 0 04 042 042000"},
        {"SSS", -1, "UTC", "999"},
        {"z Z ZZ ZZZ", 1700000000123, "Europe/Berlin", "CET +0100 +01:00 Europe/Berlin"},
        {"z Z", 1690000000000, "Europe/Berlin", "CEST +0200"},
        {"Z", 0, "-03:30", "-0330"},
        {"z", 0, "UTC", "UTC"},
        {"'it''s' ''yy'' HH'h'", 0, "UTC", "it's '70' 00h"},
        {"HH'open", 0, "UTC", "00open"},
        {"//,.-\xc3\xa4", 0, "UTC", "//,.-\xc3\xa4"},
        {"yyyy-MM-dd HH:mm", -62167219200000, "UTC", "0000-01-01 00:00"},
        {"y", INT64_MAX, "UTC", "292278994"},
        {"y", INT64_MIN, "UTC", "-292275055"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena arena = {0};
        struct buf out = {0};
        const struct joda_pattern *pattern = joda_compile(&arena, str_of(cases[i].pattern));
        const struct zone *zone = zone_find(&arena, str_of(cases[i].zone));
        assert_non_null(pattern);
        assert_non_null(zone);
        joda_format(&out, pattern, zone, cases[i].ms);
        assert_string_equal(buf_cstr(&out), cases[i].expected);
        buf_done(&out);
        arena_done(&arena);
    }
}

static void what_is_no_pattern(void **state) {
    static const char *const patterns[] = {"", "b", "yyyy-MM-ddTHH", "zzzz", "u", "n"};
    struct arena arena = {0};
    for (size_t i = 0; i < COUNT_OF(patterns); i++)
        assert_null(joda_compile(&arena, str_of(patterns[i])));
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters),
        cmocka_unit_test(what_is_no_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
