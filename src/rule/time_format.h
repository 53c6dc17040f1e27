/* parse_time(): an instant as text, by a pattern in the letters of Joda-Time's DateTimeFormat. */
#ifndef RULE_TIME_FORMAT_H
#define RULE_TIME_FORMAT_H

#include "base/arena.h"
#include "base/buf.h"
#include "rule/zone.h"

struct joda_pattern;

/* NULL if it is no pattern. */
const struct joda_pattern *joda_compile(struct arena *arena, struct str text);

void joda_format(struct buf *out, const struct joda_pattern *pattern, const struct zone *zone,
                 int64_t epoch_ms);

#endif
