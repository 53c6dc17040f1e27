#include "base/test.h"

#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "rule/zone.h"

/* Against the C library's reading of the same files, also behind the last change that they hold. */
static void offsets_as_the_system_has_them(void **state) {
    static const char *const names[] = {"Europe/Berlin",    "America/New_York",  "Asia/Kolkata",
                                        "Australia/Sydney", "Africa/Casablanca", "UTC",
                                        "America/Belize",   "Asia/Jerusalem",    "Pacific/Apia"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct arena arena = {0};
        const struct zone *zone = zone_find(&arena, str_of(names[i]));
        assert_non_null(zone);
        assert_str(zone_name(zone), names[i]);
        setenv("TZ", names[i], 1);
        tzset();
        for (int64_t seconds = -2000000000; seconds < 6000000000; seconds += 1234567) {
            time_t at = (time_t)seconds;
            struct tm tm;
            localtime_r(&at, &tm);
            struct zone_moment moment = zone_at(zone, seconds);
            if (moment.offset_seconds != tm.tm_gmtoff || strcmp(moment.abbreviation, tm.tm_zone))
                fail_msg("%s at %lld: %d %s, not %ld %s", names[i], (long long)seconds,
                         moment.offset_seconds, moment.abbreviation, tm.tm_gmtoff, tm.tm_zone);
            /* There and back, except in the hour that a clock shows twice. */
            int64_t back = zone_instant(zone, seconds + moment.offset_seconds);
            assert_true(back == seconds ||
                        zone_at(zone, back).offset_seconds != moment.offset_seconds);
        }
        arena_done(&arena);
    }
    unsetenv("TZ");
}

/* Berlin: 2024-03-31 02:30 does not exist, 2024-10-27 02:30 is there twice. */
static void gaps_and_overlaps(void **state) {
    struct arena arena = {0};
    const struct zone *zone = zone_find(&arena, STR("Europe/Berlin"));
    assert_int_equal(zone_instant(zone, 1711852200), 1711848600); /* 03:30+02:00 */
    assert_int_equal(zone_instant(zone, 1729996200), 1729989000); /* 02:30+02:00 */
    assert_int_equal(zone_instant(zone, 1720000000), 1720000000 - 7200);
    arena_done(&arena);
}

static void offsets_as_names(void **state) {
    static const struct {
        const char *name;
        int offset;
    } cases[] = {
        {"+01:00", 3600}, {"UTC-5", -18000},   {"GMT+0530", 19800}, {"UT+02", 7200},
        {"Z", 0},         {"+01:02:03", 3723}, {"-18:00", -64800},
    };
    static const char *const none[] = {
        "",     "+",       "+19:00",         "+1:00",  "+01:", "+01:60",       "UTC+",     "../UTC",
        "/UTC", "Europe/", "Europe//Berlin", "Europe", "a b",  "+01:00:00:00", "tzdata.zi"};
    struct arena arena = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct zone *zone = zone_find(&arena, str_of(cases[i].name));
        if (!zone || zone_at(zone, 0).offset_seconds != cases[i].offset)
            fail_msg("%s", cases[i].name);
    }
    for (size_t i = 0; i < COUNT_OF(none); i++)
        if (zone_find(&arena, str_of(none[i])))
            fail_msg("%s is no zone", none[i]);
    arena_done(&arena);
}

/* A file with no changes but a footer, then every beginning of it and each byte changed. */
static void damaged_files_are_refused_or_read(void **state) {
    static const char file[] = "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                               "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4"
                               "\0\0\0\0\0\0UTC\0"
                               "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                               "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4"
                               "\0\0\0\0\0\0UTC\0"
                               "\nEST5EDT,M3.2.0,M11.1.0\n";
    struct arena arena = {0};
    struct str whole = str_from(file, sizeof file - 1);
    /* One read of an exact block for each damage, so that a sanitizer sees what reads behind it. */
    const struct zone *zone = zone_read(&arena, STR("x"), whole);
    assert_non_null(zone);
    assert_int_equal(zone_at(zone, 1720000000).offset_seconds, -4 * 3600);
    assert_int_equal(zone_at(zone, 1704067200).offset_seconds, -5 * 3600);
    for (size_t i = 0; i < whole.len; i++) {
        char *copy = xmemdup(whole.at, i);
        assert_true(i > 108 || !zone_read(&arena, STR("x"), str_from(copy, i)));
        free(copy);
        copy = xmemdup(whole.at, whole.len);
        copy[i] = (char)(copy[i] ^ 0x41);
        zone = zone_read(&arena, STR("x"), str_from(copy, whole.len));
        if (zone)
            zone_at(zone, 1720000000);
        free(copy);
    }
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_as_the_system_has_them),
        cmocka_unit_test(gaps_and_overlaps),
        cmocka_unit_test(offsets_as_names),
        cmocka_unit_test(damaged_files_are_refused_or_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
