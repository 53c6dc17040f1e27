#include "base/test.h"

#include <stdio.h>

#include <time.h>

#include "rule/calendar.h"

/* Against the C library's, over some 5000 years. */
static void days_and_dates(void **state) {
    for (int64_t days = -1000000; days < 1000000; days += 17) {
        time_t seconds = (time_t)(days * SECONDS_PER_DAY);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        struct calendar_date date = calendar_date_of(days);
        assert_int_equal(date.year, tm.tm_year + 1900);
        assert_int_equal(date.month, tm.tm_mon + 1);
        assert_int_equal(date.day, tm.tm_mday);
        assert_int_equal(calendar_days(date), days);
        assert_int_equal(calendar_day_of_year(date), tm.tm_yday + 1);
        assert_int_equal(calendar_weekday(days) % 7, tm.tm_wday);
        char text[32], expected[32];
        int64_t week_year;
        int week;
        calendar_week(days, &week_year, &week);
        strftime(expected, sizeof expected, "%G %V", &tm);
        snprintf(text, sizeof text, "%lld %02d", (long long)week_year, week);
        assert_string_equal(text, expected);
    }
}

static void months(void **state) {
    assert_int_equal(calendar_month_length(2024, 2), 29);
    assert_int_equal(calendar_month_length(1900, 2), 28);
    assert_int_equal(calendar_month_length(2000, 2), 29);
    assert_int_equal(calendar_month_length(2023, 12), 31);
    assert_str(calendar_months[12], "December");
    assert_str(calendar_weekdays[7], "Sunday");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(days_and_dates), cmocka_unit_test(months)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
