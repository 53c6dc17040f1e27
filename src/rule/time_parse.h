/* time_to_epoch(): text as an instant, by a pattern in the letters of Java's DateTimeFormatter. */
#ifndef RULE_TIME_PARSE_H
#define RULE_TIME_PARSE_H

#include "base/arena.h"
#include "rule/zone.h"

struct jdk_pattern;

/* NULL if it is no pattern. */
const struct jdk_pattern *jdk_compile(struct arena *arena, struct str text);

/* What a text says by a pattern; fields that it does not say are UNSAID. */
enum jdk_field {
    JDK_YEAR,
    JDK_YEAR_OF_ERA,
    JDK_ERA, /* 0 BC, 1 AD */
    JDK_QUARTER,
    JDK_MONTH,
    JDK_WEEK,
    JDK_WEEKDAY,
    JDK_DAY,
    JDK_DAY_OF_YEAR,
    JDK_HALF, /* of the day */
    JDK_HOUR_OF_HALF,
    JDK_CLOCK_HOUR_OF_HALF,
    JDK_HOUR,
    JDK_CLOCK_HOUR,
    JDK_MINUTE,
    JDK_SECOND,
    JDK_NANO,
    JDK_MILLI_OF_DAY,
    JDK_NANO_OF_DAY,
    JDK_OFFSET, /* seconds east */
    JDK_FIELDS,
};

#define JDK_UNSAID INT64_MIN

struct jdk_parsed {
    int64_t fields[JDK_FIELDS];
    struct str zone; /* its name, as it stands in the text; empty: none */
};

/* Whether all of the text is by the pattern. */
bool jdk_parse(const struct jdk_pattern *pattern, struct str text, struct jdk_parsed *ret_parsed);

/* The instant, in Java's resolver style SMART; without a zone or offset it is UTC, without a time
 * midnight. False without a date, or if the fields contradict each other. `zone` is that of
 * parsed->zone, or NULL. */
bool jdk_resolve(const struct jdk_parsed *parsed, const struct zone *zone, int64_t *ret_epoch_ms);

#endif
