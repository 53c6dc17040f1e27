/*
 * Time zones: offsets by name and instant, from the system's files (tzfile(5), RFC 8536: versions 1
 * to 4). Immutable once made.
 */
#ifndef RULE_ZONE_H
#define RULE_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

enum { ZONE_ABBREVIATION_CHARS_MAX = 15, ZONE_OFFSET_SECONDS_MAX = 18 * 3600 };

struct zone;

/* A name of the system's data ("Europe/Berlin"), "Z", or an offset, alone or behind
 * UTC, GMT or UT: "+01:00", "UTC-5". NULL if there is none of that name. */
const struct zone *zone_find(struct arena *arena, struct str name);

/* Of a file's bytes; NULL if they are none. */
const struct zone *zone_read(struct arena *arena, struct str name, struct str bytes);

/* An offset as above: [+-]h, hh, hhmm, hh:mm, hhmmss or hh:mm:ss. */
bool zone_offset_read(struct str text, int *ret_offset_seconds);

struct zone_moment {
    int offset_seconds; /* east of UTC */
    const char *abbreviation;
};

struct zone_moment zone_at(const struct zone *zone, int64_t epoch_seconds);

/*
 * The instant of a local time (seconds as if it were UTC). Of two that a clock shows in autumn the
 * earlier; a time that spring leaves out is moved on by what is left out. So does Java.
 */
int64_t zone_instant(const struct zone *zone, int64_t local_seconds);

struct str zone_name(const struct zone *zone);

extern const struct zone zone_utc;

#endif
