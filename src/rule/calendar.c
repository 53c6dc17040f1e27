/* Days are counted in years that begin with March, so that a leap day is the last of its year, and in
 * eras of 400 years, which all have as many days. */
#include "rule/calendar.h"

enum { DAYS_PER_ERA = 146097, YEARS_PER_ERA = 400, EPOCH_FROM_ERA = 719468 };

#define NAME(text)                                                                                 \
    { text, sizeof(text) - 1 }

const struct str calendar_months[13] = {
    NAME(""),        NAME("January"),  NAME("February"), NAME("March"),  NAME("April"),
    NAME("May"),     NAME("June"),     NAME("July"),     NAME("August"), NAME("September"),
    NAME("October"), NAME("November"), NAME("December")};

const struct str calendar_weekdays[8] = {NAME(""),          NAME("Monday"),   NAME("Tuesday"),
                                         NAME("Wednesday"), NAME("Thursday"), NAME("Friday"),
                                         NAME("Saturday"),  NAME("Sunday")};

int64_t calendar_days(struct calendar_date date) {
    int64_t year = date.month <= 2 ? date.year - 1 : date.year;
    int64_t era = floor_divide(year, YEARS_PER_ERA), year_of_era = year - era * YEARS_PER_ERA;
    int month_from_march = (date.month + 9) % 12;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - EPOCH_FROM_ERA;
}

struct calendar_date calendar_date_of(int64_t days) {
    days += EPOCH_FROM_ERA;
    int64_t era = floor_divide(days, DAYS_PER_ERA), day_of_era = days - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int month_from_march = (int)((5 * day_of_year + 2) / 153);
    struct calendar_date date = {
        .year = year_of_era + era * YEARS_PER_ERA,
        .month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9,
        .day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1),
    };
    date.year += date.month <= 2;
    return date;
}

bool calendar_is_leap(int64_t year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

int calendar_month_length(int64_t year, int month) {
    static const int lengths[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return lengths[month] + (month == 2 && calendar_is_leap(year));
}

int calendar_weekday(int64_t days) {
    int64_t from_monday = days + 3; /* 1970-01-01 was a Thursday */
    return (int)(from_monday - floor_divide(from_monday, 7) * 7) + 1;
}

int calendar_day_of_year(struct calendar_date date) {
    struct calendar_date first = {date.year, 1, 1};
    return (int)(calendar_days(date) - calendar_days(first)) + 1;
}

void calendar_week(int64_t days, int64_t *ret_week_year, int *ret_week) {
    int64_t thursday = days - calendar_weekday(days) + 4;
    struct calendar_date date = calendar_date_of(thursday);
    *ret_week_year = date.year;
    *ret_week = (calendar_day_of_year(date) - 1) / 7 + 1;
}
