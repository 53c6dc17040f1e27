/* The proleptic Gregorian calendar of ISO 8601, and its English names. Pure functions. */
#ifndef RULE_CALENDAR_H
#define RULE_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { SECONDS_PER_DAY = 86400 };

struct calendar_date {
    int64_t year; /* 0 is 1 BC */
    int month;    /* 1..12 */
    int day;      /* 1..31 */
};

/* Days since 1970-01-01. */
int64_t calendar_days(struct calendar_date date);
struct calendar_date calendar_date_of(int64_t days);

bool calendar_is_leap(int64_t year);
int calendar_month_length(int64_t year, int month);
int calendar_weekday(int64_t days); /* 1 Monday .. 7 Sunday */
int calendar_day_of_year(struct calendar_date date);

/* ISO 8601: week 1 is the one with the year's first Thursday. */
void calendar_week(int64_t days, int64_t *ret_week_year, int *ret_week);

/* Rounded down, also below zero. */
static inline int64_t floor_divide(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

/* From 1; the first three characters are the short form. */
extern const struct str calendar_months[13], calendar_weekdays[8];

#endif
