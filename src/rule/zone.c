/*
 * A TZif file (RFC 8536) is one or two blocks of the same form, numbers big-endian:
 *
 *   header      "TZif" version reserved[15] isutcnt isstdcnt leapcnt timecnt typecnt charcnt
 *   data        timecnt times (4 bytes; 8 in the second block), timecnt types of a byte,
 *               typecnt * { offset[4] is_dst[1] abbreviation_index[1] }, charcnt bytes of
 *               abbreviations, leapcnt * (time + 4), isstdcnt, isutcnt bytes
 *   footer      behind the second block: a newline, a POSIX TZ string for all later times, a newline
 *
 * Version 1 has the first block only; in later versions only the second counts. The POSIX string is
 * STD offset [ DST [ offset ] , start , end ], where start and end are Mm.w.d, Jn or n, with /time.
 */
#include "rule/zone.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/wire.h"
#include "rule/calendar.h"

enum { FILE_BYTES_MAX = 65536, NAME_CHARS_MAX = 64, TIMES_MAX = 10000, TYPES_MAX = 256 };

struct zone_type {
    int offset_seconds;
    char abbreviation[ZONE_ABBREVIATION_CHARS_MAX + 1];
};

struct change_rule {
    char kind; /* M, J, or 0 for a day from 0 */
    int month, week, day;
    int seconds; /* of local time */
};

struct zone_footer {
    bool present, changes;
    struct zone_type standard, summer;
    struct change_rule begin, end; /* of summer time */
};

struct zone {
    struct str name;
    size_t time_count, type_count;
    const int64_t *times;
    const uint8_t *time_types;
    const struct zone_type *types;
    struct zone_footer footer;
};

static const struct zone_type utc_type = {0, "UTC"};
const struct zone zone_utc = {.name = {"UTC", 3}, .type_count = 1, .types = &utc_type};

struct str zone_name(const struct zone *zone) {
    return zone->name;
}

/* --- the footer --- */

static bool take(struct str *rest, char c) {
    if (rest->len == 0 || rest->at[0] != c)
        return false;
    *rest = str_skip(*rest, 1);
    return true;
}

static bool take_number(struct str *rest, int max, int *ret_number) {
    int number = 0;
    size_t digits = 0;
    for (; digits < rest->len && digits < 4; digits++) {
        char c = rest->at[digits];
        if (c < '0' || c > '9')
            break;
        number = number * 10 + (c - '0');
    }
    *rest = str_skip(*rest, digits);
    *ret_number = number;
    return digits > 0 && number <= max;
}

/* [+-]hh[:mm[:ss]]; up to a week of hours. */
static bool take_time(struct str *rest, int *ret_seconds) {
    bool negative = take(rest, '-');
    int hours, minutes = 0, seconds = 0;
    if (!negative)
        take(rest, '+');
    if (!take_number(rest, 167, &hours) || (take(rest, ':') && !take_number(rest, 59, &minutes)) ||
        (take(rest, ':') && !take_number(rest, 59, &seconds)))
        return false;
    *ret_seconds = (hours * 60 + minutes) * 60 + seconds;
    *ret_seconds = negative ? -*ret_seconds : *ret_seconds;
    return true;
}

/* Letters, or anything in <>. */
static bool take_abbreviation(struct str *rest, struct zone_type *type) {
    bool quoted = take(rest, '<');
    size_t len = 0;
    while (len < rest->len &&
           (quoted ? rest->at[len] != '>'
                   : ((rest->at[len] | 0x20) >= 'a' && (rest->at[len] | 0x20) <= 'z')))
        len++;
    if (len == 0 || len > ZONE_ABBREVIATION_CHARS_MAX)
        return false;
    memcpy(type->abbreviation, rest->at, len);
    type->abbreviation[len] = '\0';
    *rest = str_skip(*rest, len);
    return !quoted || take(rest, '>');
}

static bool take_rule(struct str *rest, struct change_rule *rule) {
    *rule = (struct change_rule){.seconds = 2 * 3600};
    bool good;
    if (take(rest, 'M')) {
        rule->kind = 'M';
        good = take_number(rest, 12, &rule->month) && rule->month > 0 && take(rest, '.') &&
               take_number(rest, 5, &rule->week) && rule->week > 0 && take(rest, '.') &&
               take_number(rest, 6, &rule->day);
    } else {
        rule->kind = take(rest, 'J') ? 'J' : '\0';
        good = take_number(rest, 365, &rule->day) && (rule->kind == 0 || rule->day > 0);
    }
    return good && (!take(rest, '/') || take_time(rest, &rule->seconds));
}

static bool read_footer(struct str text, struct zone_footer *footer) {
    int west;
    *footer = (struct zone_footer){.present = true};
    if (!take_abbreviation(&text, &footer->standard) || !take_time(&text, &west))
        return false;
    footer->standard.offset_seconds = -west;
    if (text.len == 0)
        return true;
    footer->changes = true;
    if (!take_abbreviation(&text, &footer->summer))
        return false;
    footer->summer.offset_seconds = footer->standard.offset_seconds + 3600;
    if (text.len && text.at[0] != ',') {
        if (!take_time(&text, &west))
            return false;
        footer->summer.offset_seconds = -west;
    }
    return take(&text, ',') && take_rule(&text, &footer->begin) && take(&text, ',') &&
           take_rule(&text, &footer->end) && text.len == 0;
}

/* Local seconds, as if UTC, of the change in that year. */
static int64_t change_in(int64_t year, const struct change_rule *rule) {
    int64_t days;
    if (rule->kind == 'M') {
        struct calendar_date first = {year, rule->month, 1};
        days = calendar_days(first);
        int from = calendar_weekday(days) % 7; /* 0 Sunday */
        int day = (rule->day - from + 7) % 7 + 7 * (rule->week - 1);
        if (day >= calendar_month_length(year, rule->month))
            day -= 7;
        days += day;
    } else {
        struct calendar_date first = {year, 1, 1};
        bool passed_leap = rule->kind == 'J' && calendar_is_leap(year) && rule->day >= 60;
        days = calendar_days(first) + rule->day - (rule->kind == 'J') + passed_leap;
    }
    return days * SECONDS_PER_DAY + rule->seconds;
}

static const struct zone_type *footer_type(const struct zone_footer *footer, int64_t seconds) {
    if (!footer->changes)
        return &footer->standard;
    int standard = footer->standard.offset_seconds, summer = footer->summer.offset_seconds;
    int64_t year = calendar_date_of(floor_divide(seconds + standard, SECONDS_PER_DAY)).year;
    int64_t begin = change_in(year, &footer->begin) - standard;
    int64_t end = change_in(year, &footer->end) - summer;
    bool is_summer =
        begin < end ? seconds >= begin && seconds < end : seconds >= begin || seconds < end;
    return is_summer ? &footer->summer : &footer->standard;
}

/* --- the file --- */

struct block {
    uint32_t is_utc, is_std, leaps, times, types, chars;
};

static bool read_header(struct wire *wire, struct block *block, uint8_t *ret_version) {
    struct str magic = wire_bytes(wire, 4);
    *ret_version = wire_u8(wire);
    wire_bytes(wire, 15);
    uint32_t *const counts[] = {&block->is_utc, &block->is_std, &block->leaps,
                                &block->times,  &block->types,  &block->chars};
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        *counts[i] = wire_u32be(wire);
    return !wire->failed && str_eq(magic, STR("TZif")) && block->times <= TIMES_MAX &&
           block->types <= TYPES_MAX && block->types > 0 && block->leaps <= TIMES_MAX &&
           block->is_std <= TYPES_MAX && block->is_utc <= TYPES_MAX && block->chars <= 4096;
}

static size_t block_bytes(const struct block *block, size_t time_bytes) {
    return block->times * (time_bytes + 1) + block->types * 6 + block->chars +
           block->leaps * (time_bytes + 4) + block->is_std + block->is_utc;
}

static int64_t read_time(struct wire *wire, size_t time_bytes) {
    int64_t high = (int32_t)wire_u32be(wire);
    return time_bytes == 4 ? high : (int64_t)((uint64_t)high << 32 | wire_u32be(wire));
}

static bool read_types(struct wire *wire, const struct block *block, struct zone_type *types) {
    uint8_t index[TYPES_MAX];
    for (size_t i = 0; i < block->types; i++) {
        types[i].offset_seconds = (int32_t)wire_u32be(wire);
        wire_u8(wire);
        index[i] = wire_u8(wire);
        if (types[i].offset_seconds > 26 * 3600 || types[i].offset_seconds < -26 * 3600)
            return false;
    }
    struct str chars = wire_bytes(wire, block->chars);
    for (size_t i = 0; i < block->types && !wire->failed; i++) {
        struct str behind, abbreviation = str_cut(str_skip(chars, index[i]), '\0', &behind);
        if (abbreviation.len > ZONE_ABBREVIATION_CHARS_MAX)
            return false;
        if (abbreviation.len)
            memcpy(types[i].abbreviation, abbreviation.at, abbreviation.len);
        types[i].abbreviation[abbreviation.len] = '\0';
    }
    return !wire->failed;
}

static bool read_block(struct arena *arena, struct wire *wire, const struct block *block,
                       size_t time_bytes, struct zone *zone) {
    if (wire_left(wire) < block_bytes(block, time_bytes))
        return false;
    int64_t *times = arena_alloc(arena, block->times * sizeof *times);
    struct zone_type *types = arena_zalloc(arena, block->types * sizeof *types);
    for (size_t i = 0; i < block->times; i++) {
        times[i] = read_time(wire, time_bytes);
        if (i && times[i] <= times[i - 1])
            return false;
    }
    struct str time_types = wire_bytes(wire, block->times);
    zone->time_types = memcpy(arena_alloc(arena, time_types.len), time_types.at, time_types.len);
    for (size_t i = 0; i < block->times; i++)
        if (zone->time_types[i] >= block->types)
            return false;
    zone->time_count = block->times;
    zone->times = times;
    zone->type_count = block->types;
    zone->types = types;
    if (!read_types(wire, block, types))
        return false;
    wire_bytes(wire, block->leaps * (time_bytes + 4) + block->is_std + block->is_utc);
    return !wire->failed;
}

const struct zone *zone_read(struct arena *arena, struct str name, struct str bytes) {
    struct wire wire = wire_over(bytes.at ? bytes.at : "", bytes.len);
    struct block block;
    uint8_t version;
    struct zone *zone = arena_zalloc(arena, sizeof *zone);
    zone->name = str_from(arena_strdup(arena, name), name.len);
    if (!read_header(&wire, &block, &version))
        return NULL;
    if (version == '\0')
        return read_block(arena, &wire, &block, 4, zone) ? zone : NULL;
    wire_bytes(&wire, block_bytes(&block, 4));
    if (wire.failed || !read_header(&wire, &block, &version) ||
        !read_block(arena, &wire, &block, 8, zone))
        return NULL;
    struct str footer = wire_bytes(&wire, wire_left(&wire));
    if (!take(&footer, '\n'))
        return NULL;
    struct str behind;
    footer = str_cut(footer, '\n', &behind);
    return footer.len == 0 || read_footer(footer, &zone->footer) ? zone : NULL;
}

/* --- asking --- */

static const struct zone_type *type_at(const struct zone *zone, int64_t seconds) {
    size_t low = 0, high = zone->time_count; /* how many changes were up to then */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (zone->times[middle] <= seconds)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == zone->time_count && zone->footer.present)
        return footer_type(&zone->footer, seconds);
    return &zone->types[low ? zone->time_types[low - 1] : 0];
}

struct zone_moment zone_at(const struct zone *zone, int64_t epoch_seconds) {
    const struct zone_type *type = type_at(zone, epoch_seconds);
    return (struct zone_moment){type->offset_seconds, type->abbreviation};
}

int64_t zone_instant(const struct zone *zone, int64_t local_seconds) {
    int before = zone_at(zone, local_seconds - SECONDS_PER_DAY).offset_seconds;
    int after = zone_at(zone, local_seconds + SECONDS_PER_DAY).offset_seconds;
    int64_t early = local_seconds - before, late = local_seconds - after;
    bool shown_late = zone_at(zone, late).offset_seconds == after;
    return zone_at(zone, early).offset_seconds == before || !shown_late ? early : late;
}

/* --- by name --- */

bool zone_offset_read(struct str text, int *ret_offset_seconds) {
    if (text.len < 2 || (text.at[0] != '+' && text.at[0] != '-'))
        return false;
    bool negative = text.at[0] == '-';
    int parts[3] = {0}, count = 0;
    text = str_skip(text, 1);
    size_t digits = text.len == 1 ? 1 : 2;
    while (text.len) {
        if (count == 3 || text.len < digits)
            return false;
        struct str part = str_from(text.at, digits);
        uint64_t number;
        if (!str_to_u64(part, &number))
            return false;
        parts[count++] = (int)number;
        text = str_skip(text, digits);
        if (text.len == 1 && text.at[0] == ':')
            return false;
        if (text.len && text.at[0] == ':')
            text = str_skip(text, 1);
    }
    int seconds = (parts[0] * 60 + parts[1]) * 60 + parts[2];
    *ret_offset_seconds = negative ? -seconds : seconds;
    return parts[1] < 60 && parts[2] < 60 && seconds <= ZONE_OFFSET_SECONDS_MAX;
}

static const struct zone *fixed_zone(struct arena *arena, struct str name, int offset_seconds) {
    struct zone_type *type = arena_zalloc(arena, sizeof *type);
    struct zone *zone = arena_zalloc(arena, sizeof *zone);
    size_t len = name.len < ZONE_ABBREVIATION_CHARS_MAX ? name.len : ZONE_ABBREVIATION_CHARS_MAX;
    type->offset_seconds = offset_seconds;
    memcpy(type->abbreviation, name.at, len);
    zone->name = str_from(arena_strdup(arena, name), name.len);
    zone->type_count = 1;
    zone->types = type;
    return zone;
}

/* Letters, digits, "_", "-", "+" and single slashes between them: no way out of the folder. */
static bool is_name(struct str name) {
    if (name.len == 0 || name.len > NAME_CHARS_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i], letter = c | 0x20;
        bool slash = c == '/' && i && i + 1 < name.len && name.at[i - 1] != '/';
        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && c != '_' && c != '-' &&
            c != '+' && !slash)
            return false;
    }
    return true;
}

static const struct zone *system_zone(struct arena *arena, struct str name) {
    char path[NAME_CHARS_MAX + 32];
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%.*s", STR_ARG(name));
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    char *bytes = xmalloc(FILE_BYTES_MAX);
    ssize_t len = read(fd, bytes, FILE_BYTES_MAX);
    close(fd);
    const struct zone *zone = len > 0 ? zone_read(arena, name, str_from(bytes, (size_t)len)) : NULL;
    free(bytes);
    return zone;
}

const struct zone *zone_find(struct arena *arena, struct str name) {
    static const struct str prefixes[] = {{"UTC", 3}, {"GMT", 3}, {"UT", 2}, {"", 0}};
    int offset;
    if (str_eq(name, STR("Z")) || str_eq(name, STR("UTC")))
        return &zone_utc;
    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        if (str_starts(name, prefixes[i]) &&
            zone_offset_read(str_skip(name, prefixes[i].len), &offset))
            return fixed_zone(arena, name, offset);
    return is_name(name) ? system_zone(arena, name) : NULL;
}
