/*
 * A pattern is a row of runs of one letter ("yyyy", "MM"), of text in single quotes ('T'; '' is a
 * quote, inside and outside of quotes), and of other characters, which stand for themselves.
 * Java keeps [ ] { } # for itself; they are refused here as there.
 *
 *   letter    runs       written as
 *   y u       1..19      year; two letters: its last two digits; else padded with zeros
 *   M L       1 2 3 4 5  7, 07, Jul, July, J
 *   d         1 2        day of the month
 *   D         1..3       day of the year
 *   H k K h   1 2        hour 0-23, 1-24, 0-11, 1-12
 *   m s       1 2        minute, second
 *   S         1..9       that many digits of the fraction of the second
 *   n         1..19      nanosecond of the second
 *   a         1          AM, PM
 *   E         1..5       Mon (1 to 3), Monday, M
 *   e         1..5       day of the week, 1 is Sunday: 2, 02, Mon, Monday, M
 *   X         1..5       Z
 *   x         1..5       +00 (1), +0000 (2, 4), +00:00 (3, 5)
 *   Z         1..5       +0000 (1 to 3), GMT, Z
 *   z         1..4       UTC (1 to 3), Coordinated Universal Time
 */
#include "delivery/time_pattern.h"

#include <stdio.h>
#include <time.h>

enum { NAMES_SHORT = 3, NAMES_FULL = 4, NAMES_NARROW = 5 };

struct moment {
    struct tm tm;
    unsigned ms;
};

static void number(struct buf *out, int64_t value, size_t width) {
    buf_printf(out, "%0*lld", (int)width, (long long)value);
}

static void name(struct buf *out, const char *full, size_t count) {
    size_t len = count == NAMES_FULL ? strlen(full) : count == NAMES_NARROW ? 1 : 3;
    buf_add(out, full, len);
}

static const char *month_name(const struct moment *moment) {
    static const char *const names[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};
    return names[moment->tm.tm_mon];
}

static const char *day_name(const struct moment *moment) {
    static const char *const names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};
    return names[moment->tm.tm_wday];
}

/* One function per kind of letter: the run has `count` letters, which the table allows. */

static void year(struct buf *out, const struct moment *moment, size_t count) {
    int value = moment->tm.tm_year + 1900;
    number(out, count == 2 ? value % 100 : value, count);
}

static void month(struct buf *out, const struct moment *moment, size_t count) {
    if (count < NAMES_SHORT)
        number(out, moment->tm.tm_mon + 1, count);
    else
        name(out, month_name(moment), count);
}

static void day_of_month(struct buf *out, const struct moment *moment, size_t count) {
    number(out, moment->tm.tm_mday, count);
}

static void day_of_year(struct buf *out, const struct moment *moment, size_t count) {
    number(out, moment->tm.tm_yday + 1, count);
}

static void hour_0_23(struct buf *out, const struct moment *moment, size_t count) {
    number(out, moment->tm.tm_hour, count);
}

static void hour_1_24(struct buf *out, const struct moment *moment, size_t count) {
    number(out, moment->tm.tm_hour ? moment->tm.tm_hour : 24, count);
}

static void hour_0_11(struct buf *out, const struct moment *moment, size_t count) {
    number(out, moment->tm.tm_hour % 12, count);
}

static void hour_1_12(struct buf *out, const struct moment *moment, size_t count) {
    int value = moment->tm.tm_hour % 12;
    number(out, value ? value : 12, count);
}

static void minute(struct buf *out, const struct moment *moment, size_t count) {
    number(out, moment->tm.tm_min, count);
}

static void second(struct buf *out, const struct moment *moment, size_t count) {
    number(out, moment->tm.tm_sec, count);
}

static void fraction(struct buf *out, const struct moment *moment, size_t count) {
    char digits[10];
    snprintf(digits, sizeof digits, "%03u000000", moment->ms % 1000);
    buf_add(out, digits, count);
}

static void nanosecond(struct buf *out, const struct moment *moment, size_t count) {
    number(out, (int64_t)moment->ms * 1000000, count);
}

static void half_of_day(struct buf *out, const struct moment *moment, size_t count) {
    buf_add(out, moment->tm.tm_hour < 12 ? "AM" : "PM", 2);
}

static void weekday(struct buf *out, const struct moment *moment, size_t count) {
    name(out, day_name(moment), count);
}

static void weekday_number(struct buf *out, const struct moment *moment, size_t count) {
    if (count < NAMES_SHORT)
        number(out, moment->tm.tm_wday + 1, count);
    else
        name(out, day_name(moment), count);
}

static void offset_or_z(struct buf *out, const struct moment *moment, size_t count) {
    buf_add_u8(out, 'Z');
}

static void offset(struct buf *out, const struct moment *moment, size_t count) {
    buf_add_str(out, count == 1 ? STR("+00") : count % 2 ? STR("+00:00") : STR("+0000"));
}

static void offset_old(struct buf *out, const struct moment *moment, size_t count) {
    buf_add_str(out, count == 5 ? STR("Z") : count == 4 ? STR("GMT") : STR("+0000"));
}

static void zone(struct buf *out, const struct moment *moment, size_t count) {
    buf_add_str(out, count == 4 ? STR("Coordinated Universal Time") : STR("UTC"));
}

static const struct letter {
    char letter;
    size_t count_max;
    void (*write)(struct buf *out, const struct moment *moment, size_t count);
} letters[] = {
    {'y', 19, year},          {'u', 19, year},       {'M', 5, month},       {'L', 5, month},
    {'d', 2, day_of_month},   {'D', 3, day_of_year}, {'H', 2, hour_0_23},   {'k', 2, hour_1_24},
    {'K', 2, hour_0_11},      {'h', 2, hour_1_12},   {'m', 2, minute},      {'s', 2, second},
    {'S', 9, fraction},       {'n', 19, nanosecond}, {'a', 1, half_of_day}, {'E', 5, weekday},
    {'e', 5, weekday_number}, {'X', 5, offset_or_z}, {'x', 5, offset},      {'Z', 5, offset_old},
    {'z', 4, zone},
};

static const struct letter *find_letter(char c) {
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
        if (letters[i].letter == c)
            return &letters[i];
    return NULL;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t run_of(struct str pattern) {
    size_t count = 1;
    while (count < pattern.len && pattern.at[count] == pattern.at[0])
        count++;
    return count;
}

/* `pattern` begins with the opening quote. Returns how much of it the quoted text takes, 0 if it
 * does not end. */
static size_t write_quoted(struct buf *out, struct str pattern) {
    if (pattern.len > 1 && pattern.at[1] == '\'') {
        buf_add_u8(out, '\'');
        return 2;
    }
    for (size_t i = 1; i < pattern.len; i++) {
        bool quote = pattern.at[i] == '\'';
        if (quote && (i + 1 == pattern.len || pattern.at[i + 1] != '\''))
            return i + 1;
        buf_add_u8(out, (uint8_t)pattern.at[i]);
        i += quote;
    }
    return 0;
}

static int write_letters(struct buf *out, struct str pattern, size_t count,
                         const struct moment *moment, struct err *err) {
    const struct letter *letter = find_letter(pattern.at[0]);
    if (!letter)
        return err_set(err, ERR_INVALID,
                       "the letter %c is not known in a time pattern; text goes in single quotes",
                       pattern.at[0]);
    if (count > letter->count_max)
        return err_set(err, ERR_INVALID, "too many letters %c in a row in a time pattern",
                       pattern.at[0]);
    letter->write(out, moment, count);
    return 0;
}

int time_pattern_write(struct buf *out, struct str pattern, uint64_t wall_ms, struct err *err) {
    struct moment moment = {.ms = (unsigned)(wall_ms % 1000)};
    time_t seconds = (time_t)(wall_ms / 1000);
    if (!gmtime_r(&seconds, &moment.tm))
        return err_set(err, ERR_INVALID, "a time beyond all calendars");
    while (pattern.len) {
        size_t taken = 1;
        if (pattern.at[0] == '\'') {
            taken = write_quoted(out, pattern);
            if (!taken)
                return err_set(err, ERR_INVALID, "a quote is not closed in a time pattern");
        } else if (is_letter(pattern.at[0])) {
            taken = run_of(pattern);
            int code = write_letters(out, pattern, taken, &moment, err);
            if (code)
                return code;
        } else if (memchr("[]{}#", pattern.at[0], 5)) {
            return err_set(err, ERR_INVALID,
                           "\"%c\" has to stand in single quotes in a time pattern", pattern.at[0]);
        } else {
            buf_add_u8(out, (uint8_t)pattern.at[0]);
        }
        pattern = str_skip(pattern, taken);
    }
    return 0;
}
