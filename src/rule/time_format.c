/*
 * The letters (Joda-Time, DateTimeFormat); n is how often a letter stands in a row:
 *
 *   G era                     text        a half of the day        text
 *   C century of the era      number      K hour of it, 0..11      number
 *   Y year of the era         year        h hour of it, 1..12      number
 *   y year                    year        H hour, 0..23            number
 *   x year of the ISO week    year        k hour, 1..24            number
 *   w ISO week                number      m minute, s second       number
 *   e day of the week, 1..7   number      S fraction of a second   n digits
 *   E day of the week         text        z zone                   its abbreviation
 *   M month                   number, text from n = 3              Z offset: +hhmm, +hh:mm for n = 2,
 *   d day of the month        number                               the zone's name from n = 3
 *   D day of the year         number      '...' text, '' a quote
 *
 * Text is short, in full from n = 4; numbers have n digits at least; years with n = 2 have two. Any
 * other letter makes it no pattern; so does zzzz, the zone's name in words, which the system's data
 * lacks.
 */
#include "rule/time_format.h"

#include "rule/calendar.h"
#include "rule/number.h"

struct piece {
    char letter; /* 0: text */
    unsigned count;
    struct str text;
};

struct joda_pattern {
    size_t count;
    struct piece pieces[];
};

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* 'text', in which '' is a quote; without the closing one to the end. `*rest` begins with a quote. */
static struct str take_quoted(struct arena *arena, struct str *rest) {
    char *copy = arena_alloc(arena, rest->len), *to = copy;
    size_t i = 1;
    for (; i < rest->len; i++) {
        bool pair = rest->at[i] == '\'' && i + 1 < rest->len && rest->at[i + 1] == '\'';
        if (rest->at[i] == '\'' && !pair)
            break;
        *to++ = rest->at[i];
        i += pair;
    }
    if (i == 1) /* '' alone */
        *to++ = '\'';
    *rest = str_skip(*rest, i + 1);
    return str_from(copy, (size_t)(to - copy));
}

static struct piece take_piece(struct arena *arena, struct str *rest) {
    char first = rest->at[0];
    size_t len = 1;
    if (first == '\'')
        return (struct piece){.text = take_quoted(arena, rest)};
    while (len < rest->len &&
           (is_letter(first) ? rest->at[len] == first
                             : !is_letter(rest->at[len]) && rest->at[len] != '\''))
        len++;
    struct piece piece = {is_letter(first) ? first : '\0', (unsigned)len, str_from(rest->at, len)};
    *rest = str_skip(*rest, len);
    return piece;
}

static bool is_known(const struct piece *piece) {
    return piece->letter == '\0' || (strchr("GCYyxweEMdDaKhHkmsSzZ", piece->letter) &&
                                     !(piece->letter == 'z' && piece->count > 3));
}

const struct joda_pattern *joda_compile(struct arena *arena, struct str text) {
    /* No piece is shorter than a byte. */
    struct joda_pattern *pattern =
        arena_alloc(arena, sizeof *pattern + text.len * sizeof pattern->pieces[0]);
    pattern->count = 0;
    if (text.len == 0)
        return NULL;
    while (text.len) {
        struct piece *piece = &pattern->pieces[pattern->count++];
        *piece = take_piece(arena, &text);
        if (!is_known(piece))
            return NULL;
    }
    return pattern;
}

/* --- writing --- */

static void add_number(struct buf *out, int64_t number, unsigned digits_min) {
    uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    unsigned digits = 1;
    for (uint64_t rest = magnitude; rest >= 10; rest /= 10)
        digits++;
    if (number < 0)
        buf_add_u8(out, '-');
    for (; digits < digits_min; digits++)
        buf_add_u8(out, '0');
    rule_number_write_int(out, (int64_t)magnitude);
}

static void add_year(struct buf *out, int64_t year, unsigned count) {
    if (count == 2)
        add_number(out, (year < 0 ? -year : year) % 100, 2);
    else
        add_number(out, year, count);
}

static void add_name(struct buf *out, struct str name, bool full) {
    buf_add(out, name.at, full ? name.len : 3);
}

/* More digits than milliseconds have are zeros. */
static void add_fraction(struct buf *out, int milliseconds, unsigned digits) {
    for (unsigned i = 0, unit = 100; i < digits; i++, unit /= 10)
        buf_add_u8(out, (uint8_t)('0' + (unit ? (unsigned)milliseconds / unit % 10 : 0)));
}

static void add_offset(struct buf *out, const struct zone *zone, int seconds, unsigned count) {
    if (count >= 3) {
        buf_add_str(out, zone_name(zone));
        return;
    }
    int minutes = (seconds < 0 ? -seconds : seconds) / 60;
    buf_add_u8(out, seconds < 0 ? '-' : '+');
    add_number(out, minutes / 60, 2);
    if (count == 2)
        buf_add_u8(out, ':');
    add_number(out, minutes % 60, 2);
}

struct moment {
    const struct zone *zone;
    struct zone_moment at;
    int64_t days;
    struct calendar_date date;
    int second_of_day, milliseconds;
};

static void add_day_field(struct buf *out, const struct piece *piece, const struct moment *moment) {
    int64_t year = moment->date.year, year_of_era = year > 0 ? year : 1 - year, week_year;
    int week, weekday = calendar_weekday(moment->days), month = moment->date.month;
    calendar_week(moment->days, &week_year, &week);
    switch (piece->letter) {
    case 'G':
        buf_add_str(out, year > 0 ? STR("AD") : STR("BC"));
        break;
    case 'C':
        add_number(out, year_of_era / 100, piece->count);
        break;
    case 'Y':
        add_year(out, year_of_era, piece->count);
        break;
    case 'y':
        add_year(out, year, piece->count);
        break;
    case 'x':
        add_year(out, week_year, piece->count);
        break;
    case 'w':
        add_number(out, week, piece->count);
        break;
    case 'e':
        add_number(out, weekday, piece->count);
        break;
    case 'E':
        add_name(out, calendar_weekdays[weekday], piece->count >= 4);
        break;
    case 'M':
        if (piece->count >= 3)
            add_name(out, calendar_months[month], piece->count >= 4);
        else
            add_number(out, month, piece->count);
        break;
    case 'd':
        add_number(out, moment->date.day, piece->count);
        break;
    default: /* D */
        add_number(out, calendar_day_of_year(moment->date), piece->count);
        break;
    }
}

static void add_time_field(struct buf *out, const struct piece *piece,
                           const struct moment *moment) {
    int hour = moment->second_of_day / 3600;
    switch (piece->letter) {
    case 'a':
        buf_add_str(out, hour < 12 ? STR("AM") : STR("PM"));
        break;
    case 'K':
        add_number(out, hour % 12, piece->count);
        break;
    case 'h':
        add_number(out, hour % 12 ? hour % 12 : 12, piece->count);
        break;
    case 'H':
        add_number(out, hour, piece->count);
        break;
    case 'k':
        add_number(out, hour ? hour : 24, piece->count);
        break;
    case 'm':
        add_number(out, moment->second_of_day / 60 % 60, piece->count);
        break;
    case 's':
        add_number(out, moment->second_of_day % 60, piece->count);
        break;
    case 'S':
        add_fraction(out, moment->milliseconds, piece->count);
        break;
    case 'z':
        buf_add_str(out, str_of(moment->at.abbreviation));
        break;
    default: /* Z */
        add_offset(out, moment->zone, moment->at.offset_seconds, piece->count);
        break;
    }
}

void joda_format(struct buf *out, const struct joda_pattern *pattern, const struct zone *zone,
                 int64_t epoch_ms) {
    int64_t seconds = floor_divide(epoch_ms, 1000);
    struct moment moment = {.zone = zone, .at = zone_at(zone, seconds)};
    moment.milliseconds = (int)((epoch_ms % 1000 + 1000) % 1000);
    seconds += moment.at.offset_seconds;
    moment.days = floor_divide(seconds, SECONDS_PER_DAY);
    moment.second_of_day = (int)(seconds - moment.days * SECONDS_PER_DAY);
    moment.date = calendar_date_of(moment.days);
    for (const struct piece *piece = pattern->pieces; piece < pattern->pieces + pattern->count;
         piece++) {
        if (piece->letter == '\0')
            buf_add_str(out, piece->text);
        else if (strchr("GCYyxweEMdD", piece->letter))
            add_day_field(out, piece, &moment);
        else
            add_time_field(out, piece, &moment);
    }
}
