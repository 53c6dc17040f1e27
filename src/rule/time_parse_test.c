#include "base/test.h"

#include "base/mem.h"
#include "rule/time_parse.h"

/* -1: the text is not by the pattern, or says no instant. */
static int64_t epoch_of(const char *pattern_text, const char *text) {
    struct arena arena = {0};
    struct jdk_parsed parsed;
    int64_t ms = -1;
    const struct jdk_pattern *pattern = jdk_compile(&arena, str_of(pattern_text));
    if (!pattern)
        fail_msg("%s is a pattern", pattern_text);
    if (jdk_parse(pattern, str_of(text), &parsed)) {
        const struct zone *zone = parsed.zone.len ? zone_find(&arena, parsed.zone) : NULL;
        if (!jdk_resolve(&parsed, zone, &ms))
            ms = -1;
    }
    arena_done(&arena);
    return ms;
}

struct parse_case {
    const char *pattern, *text;
    int64_t ms;
};

static void check(const struct parse_case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        int64_t got = epoch_of(cases[i].pattern, cases[i].text);
        if (got != cases[i].ms)
            fail_msg("%s by %s is %lld, not %lld", cases[i].text, cases[i].pattern, (long long)got,
                     (long long)cases[i].ms);
    }
}

static void dates_and_times(void **state) {
    static const struct parse_case cases[] = {
        {"yyyy-MM-dd", "2024-02-29", 1709164800000},
        {"yyyy-M-d", "2024-2-9", 1707436800000},
        {"yyyyMMdd", "20240229", 1709164800000},
        {"yyyyMMddHHmmssSSS", "20240229010203004", 1709168523004},
        {"uuuu-DDD", "2024-060", 1709164800000},
        {"uuuu-D", "2024-60", 1709164800000},
        {"yy-MM-dd", "24-02-29", 1709164800000},
        {"dd MMM yyyy", "29 Feb 2024", 1709164800000},
        {"EEEE, d MMMM yyyy", "Thursday, 29 February 2024", 1709164800000},
        {"E d MMM yyyy", "Fri 29 Feb 2024", -1},
        {"QQQ yyyy-MM-dd", "Q1 2024-02-29", 1709164800000},
        {"QQQ yyyy-MM-dd", "Q2 2024-02-29", -1},
        {"yyyy-MM-dd G", "0001-01-01 BC", -62167219200000},
        {"yyyy-MM-dd", "0000-01-01", -1},
        {"uuuu-MM-dd", "0000-01-01", -62167219200000},
        {"yyyy-MM-dd", "2023-02-29", 1677542400000}, /* SMART: the last day of the month */
        {"yyyy-MM-dd", "2023-04-31", 1682812800000},
        {"yyyy-MM-dd", "2023-04-32", -1},
        {"yyyy-MM-dd", "2023-13-01", -1},
        {"yyyy-MM-dd", "12023-01-01", -1},
        {"yyyy-MM-dd", "+12023-01-01", 317242051200000},
        {"uuuu-MM-dd", "-0001-01-01", -62198755200000},
        {"uuuu-MM-dd", "+999999999-01-01", -1}, /* its milliseconds are beyond 64 bits */
        {"uuuu-MM-dd", "-999999999-01-01", -1},
        {"yyyy-MM-dd HH:mm:ss.SSS", "2024-02-29 01:02:03.004", 1709168523004},
        {"yyyy-MM-dd HH:mm:ss.SSSSSSSSS", "2024-02-29 01:02:03.004999999", 1709168523004},
        {"yyyy-MM-dd hh:mm a", "2024-02-29 12:30 AM", 1709166600000},
        {"yyyy-MM-dd hh:mm a", "2024-02-29 01:30 PM", 1709213400000},
        {"yyyy-MM-dd KK:mm a", "2024-02-29 00:30 PM", 1709209800000},
        {"yyyy-MM-dd hh:mm", "2024-02-29 01:30", -1},
        {"yyyy-MM-dd kk:mm", "2024-02-29 24:30", 1709166600000},
        {"yyyy-MM-dd HH:mm", "2024-02-29 24:00", 1709251200000},
        {"yyyy-MM-dd HH:mm", "2024-02-29 24:01", -1},
        {"yyyy-MM-dd HH", "2024-02-29 13", 1709211600000},
        {"yyyy-MM-dd mm", "2024-02-29 13", -1},
        {"yyyy-MM-dd A", "2024-02-29 1000", 1709164801000},
        {"yyyy-MM-dd N", "2024-02-29 1000000", 1709164800001},
        {"yyyy-MM-dd HH:mm:ss n", "2024-02-29 00:00:00 5000000", 1709164800005},
        {"HH:mm", "10:00", -1},
        {"yyyy-MM", "2024-02", -1},
        {"yyyy-MM-dd", "2024-02-29 ", -1},
        {"yyyy-MM-dd", "2024-2-29", -1},
        {"yyyy-MM-dd", "", -1},
        {"yyyy-MM-dd w", "2024-02-29 9", 1709164800000},
        {"yyyy-MM-dd dd", "2024-02-29 28", -1},
    };
    check(cases, COUNT_OF(cases));
}

static void zones_and_offsets(void **state) {
    static const struct parse_case cases[] = {
        {"yyyy-MM-dd'T'HH:mm:ssX", "2024-02-29T12:00:00Z", 1709208000000},
        {"yyyy-MM-dd'T'HH:mm:ssX", "2024-02-29T12:00:00+01", 1709204400000},
        {"yyyy-MM-dd'T'HH:mm:ssX", "2024-02-29T12:00:00+0130", 1709202600000},
        {"yyyy-MM-dd'T'HH:mm:ssXX", "2024-02-29T12:00:00+0130", 1709202600000},
        {"yyyy-MM-dd'T'HH:mm:ssXX", "2024-02-29T12:00:00+01", -1},
        {"yyyy-MM-dd'T'HH:mm:ssXXX", "2024-02-29T12:00:00-01:30", 1709213400000},
        {"yyyy-MM-dd'T'HH:mm:ssXXX", "2024-02-29T12:00:00-0130", -1},
        {"yyyy-MM-dd'T'HH:mm:ssXXXXX", "2024-02-29T12:00:00-01:30:30", 1709213430000},
        {"yyyy-MM-dd'T'HH:mm:ssxxx", "2024-02-29T12:00:00Z", -1},
        {"yyyy-MM-dd'T'HH:mm:ssxxx", "2024-02-29T12:00:00+00:00", 1709208000000},
        {"yyyy-MM-dd HH:mm Z", "2024-02-29 12:00 -0500", 1709226000000},
        {"yyyy-MM-dd HH:mm ZZZZ", "2024-02-29 12:00 GMT-05:00", 1709226000000},
        {"yyyy-MM-dd HH:mm ZZZZZ", "2024-02-29 12:00 Z", 1709208000000},
        {"yyyy-MM-dd HH:mm O", "2024-02-29 12:00 GMT-5", 1709226000000},
        {"yyyy-MM-dd HH:mm O", "2024-02-29 12:00 GMT", 1709208000000},
        {"yyyy-MM-dd HH:mm OOOO", "2024-02-29 12:00 GMT-5", -1},
        {"yyyy-MM-dd HH:mm VV", "2024-07-01 12:00 America/New_York", 1719849600000},
        {"yyyy-MM-dd HH:mm z", "2024-07-01 12:00 UTC", 1719835200000},
        {"yyyy-MM-dd HH:mm:ss VV", "2020-04-03 09:45:18 UTC+01:00", 1585903518000},
        {"yyyy-MM-dd HH:mm VV", "2024-03-31 02:30 Europe/Berlin", 1711848600000},
        {"yyyy-MM-dd HH:mmX", "2024-02-29 12:00+19", -1},
    };
    check(cases, COUNT_OF(cases));
}

static void optional_parts_padding_and_quotes(void **state) {
    static const struct parse_case cases[] = {
        {"yyyy-MM-dd[ HH:mm[:ss]]", "2024-02-29", 1709164800000},
        {"yyyy-MM-dd[ HH:mm[:ss]]", "2024-02-29 12:00", 1709208000000},
        {"yyyy-MM-dd[ HH:mm[:ss]]", "2024-02-29 12:00:01", 1709208001000},
        {"yyyy-MM-dd[ HH:mm[:ss]]", "2024-02-29 12", -1},
        {"yyyy-MM-dd[ HH:mm", "2024-02-29 12:00", 1709208000000},
        {"yyyy-MM-dd ppH:mm", "2024-02-29  9:05", 1709197500000},
        {"yyyy-MM-dd ppH:mm", "2024-02-29 12:05", 1709208300000},
        {"yyyy-MM-dd ppH:mm", "2024-02-29 9:05", -1},
        {"'day' yyyy-MM-dd 'o''clock'", "day 2024-02-29 o'clock", 1709164800000},
        {"yyyy''MM''dd", "2024'02'29", 1709164800000},
    };
    check(cases, COUNT_OF(cases));
}

static void what_is_no_pattern(void **state) {
    static const char *const patterns[] = {
        "",     "b",     "MMMMMM", "ddd", "HHH",       "aa", "V",  "VVV",  "OO",         "XXXXXX",
        "zzzz", "yyyy]", "{",      "#",   "'unclosed", "p",  "pp", "ppp ", "SSSSSSSSSS", "DDDD",
    };
    struct arena arena = {0};
    for (size_t i = 0; i < COUNT_OF(patterns); i++)
        if (jdk_compile(&arena, str_of(patterns[i])))
            fail_msg("%s is no pattern", patterns[i]);
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_and_times),
        cmocka_unit_test(zones_and_offsets),
        cmocka_unit_test(optional_parts_padding_and_quotes),
        cmocka_unit_test(what_is_no_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
