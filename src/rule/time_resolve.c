/*
 * From fields to an instant, in Java's resolver style SMART: each field must be within its own range;
 * a day behind the end of its month is the last one; 24:00 is the midnight that follows.
 */
#include "base/mem.h"
#include "rule/calendar.h"
#include "rule/time_parse.h"

#define NANOS_PER_SECOND 1000000000ll

static bool said(const struct jdk_parsed *parsed, enum jdk_field field) {
    return parsed->fields[field] != JDK_UNSAID;
}

static bool within(const struct jdk_parsed *parsed) {
    static const struct {
        int64_t min, max;
    } ranges[JDK_FIELDS] = {
        [JDK_YEAR] = {-999999999, 999999999},
        [JDK_YEAR_OF_ERA] = {1, 999999999},
        [JDK_ERA] = {0, 1},
        [JDK_QUARTER] = {1, 4},
        [JDK_MONTH] = {1, 12},
        [JDK_WEEK] = {1, 54},
        [JDK_WEEKDAY] = {1, 7},
        [JDK_DAY] = {1, 31},
        [JDK_DAY_OF_YEAR] = {1, 366},
        [JDK_HALF] = {0, 1},
        [JDK_HOUR_OF_HALF] = {0, 11},
        [JDK_CLOCK_HOUR_OF_HALF] = {1, 12},
        [JDK_HOUR] = {0, 24},
        [JDK_CLOCK_HOUR] = {1, 24},
        [JDK_MINUTE] = {0, 59},
        [JDK_SECOND] = {0, 59},
        [JDK_NANO] = {0, NANOS_PER_SECOND - 1},
        [JDK_MILLI_OF_DAY] = {0, SECONDS_PER_DAY * 1000ll - 1},
        [JDK_NANO_OF_DAY] = {0, SECONDS_PER_DAY * NANOS_PER_SECOND - 1},
        [JDK_OFFSET] = {-ZONE_OFFSET_SECONDS_MAX, ZONE_OFFSET_SECONDS_MAX},
    };
    for (int i = 0; i < JDK_FIELDS; i++) {
        int64_t value = parsed->fields[i];
        if (value != JDK_UNSAID && (value < ranges[i].min || value > ranges[i].max))
            return false;
    }
    return true;
}

static bool resolve_year(const struct jdk_parsed *parsed, int64_t *ret_year) {
    int64_t of_era = parsed->fields[JDK_YEAR_OF_ERA];
    int64_t year = parsed->fields[JDK_ERA] == 0 ? 1 - of_era : of_era;
    if (!said(parsed, JDK_YEAR_OF_ERA))
        year = parsed->fields[JDK_YEAR];
    else if (said(parsed, JDK_YEAR) && parsed->fields[JDK_YEAR] != year)
        return false;
    *ret_year = year;
    return year != JDK_UNSAID;
}

/* Year, month and day, or year and day of the year; what else was said must agree. */
static bool resolve_date(const struct jdk_parsed *parsed, int64_t *ret_days) {
    struct calendar_date date;
    if (!resolve_year(parsed, &date.year))
        return false;
    if (said(parsed, JDK_MONTH) && said(parsed, JDK_DAY)) {
        date.month = (int)parsed->fields[JDK_MONTH];
        int length = calendar_month_length(date.year, date.month);
        int64_t day = parsed->fields[JDK_DAY];
        date.day = day > length ? length : (int)day;
        *ret_days = calendar_days(date);
    } else if (said(parsed, JDK_DAY_OF_YEAR)) {
        date = (struct calendar_date){date.year, 1, 1};
        *ret_days = calendar_days(date) + parsed->fields[JDK_DAY_OF_YEAR] - 1;
    } else {
        return false;
    }
    struct calendar_date made = calendar_date_of(*ret_days);
    const struct {
        enum jdk_field field;
        int64_t value;
    } checks[] = {
        {JDK_MONTH, made.month},
        {JDK_QUARTER, (made.month + 2) / 3},
        {JDK_WEEKDAY, calendar_weekday(*ret_days)},
        {JDK_DAY_OF_YEAR, calendar_day_of_year(made)},
    };
    bool agree = made.year == date.year;
    for (size_t i = 0; i < COUNT_OF(checks); i++)
        agree = agree && (!said(parsed, checks[i].field) ||
                          parsed->fields[checks[i].field] == checks[i].value);
    return agree;
}

/* -1: none was said. Hours of a half alone say nothing. */
static int64_t hour_of(const struct jdk_parsed *parsed) {
    const int64_t *fields = parsed->fields;
    if (said(parsed, JDK_HOUR))
        return fields[JDK_HOUR];
    if (said(parsed, JDK_CLOCK_HOUR))
        return fields[JDK_CLOCK_HOUR] % 24;
    if (!said(parsed, JDK_HALF))
        return -1;
    if (said(parsed, JDK_HOUR_OF_HALF))
        return fields[JDK_HALF] * 12 + fields[JDK_HOUR_OF_HALF];
    if (said(parsed, JDK_CLOCK_HOUR_OF_HALF))
        return fields[JDK_HALF] * 12 + fields[JDK_CLOCK_HOUR_OF_HALF] % 12;
    return -1;
}

static int64_t or_zero(const struct jdk_parsed *parsed, enum jdk_field field) {
    return said(parsed, field) ? parsed->fields[field] : 0;
}

/* Nanoseconds since midnight; a whole day for 24:00. */
static bool resolve_time(const struct jdk_parsed *parsed, int64_t *ret_nanos) {
    if (said(parsed, JDK_NANO_OF_DAY) || said(parsed, JDK_MILLI_OF_DAY)) {
        *ret_nanos = said(parsed, JDK_NANO_OF_DAY) ? parsed->fields[JDK_NANO_OF_DAY]
                                                   : parsed->fields[JDK_MILLI_OF_DAY] * 1000000;
        return true;
    }
    int64_t hour = hour_of(parsed);
    bool finer = said(parsed, JDK_MINUTE) || said(parsed, JDK_SECOND) || said(parsed, JDK_NANO);
    bool half = said(parsed, JDK_HOUR_OF_HALF) || said(parsed, JDK_CLOCK_HOUR_OF_HALF);
    if (hour < 0) {
        *ret_nanos = 0;
        return !finer && !half;
    }
    bool agree = !said(parsed, JDK_HALF) || parsed->fields[JDK_HALF] == hour % 24 / 12;
    int64_t seconds = (hour * 60 + or_zero(parsed, JDK_MINUTE)) * 60 + or_zero(parsed, JDK_SECOND);
    *ret_nanos = seconds * NANOS_PER_SECOND + or_zero(parsed, JDK_NANO);
    return agree && *ret_nanos <= SECONDS_PER_DAY * NANOS_PER_SECOND;
}

bool jdk_resolve(const struct jdk_parsed *parsed, const struct zone *zone, int64_t *ret_epoch_ms) {
    int64_t days, nanos;
    if (!within(parsed) || !resolve_date(parsed, &days) || !resolve_time(parsed, &nanos))
        return false;
    int64_t local = days * SECONDS_PER_DAY + nanos / NANOS_PER_SECOND;
    int64_t seconds = said(parsed, JDK_OFFSET) ? local - parsed->fields[JDK_OFFSET]
                      : zone                   ? zone_instant(zone, local)
                                               : local;
    int64_t milliseconds = nanos % NANOS_PER_SECOND / 1000000;
    return !__builtin_mul_overflow(seconds, 1000, &seconds) &&
           !__builtin_add_overflow(seconds, milliseconds, ret_epoch_ms);
}
