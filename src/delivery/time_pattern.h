/*
 * Times by pattern, as `!{timestamp:...}` in an object prefix wants them: the letters of Java's
 * DateTimeFormatter (Java SE API, DateTimeFormatter.ofPattern) in UTC with English names. Pure.
 */
#ifndef DELIVERY_TIME_PATTERN_H
#define DELIVERY_TIME_PATTERN_H

#include "base/buf.h"
#include "base/err.h"

/*
 * Appends the time as `pattern` says. INVALID with a sentence in `err` when the pattern is none
 * that is known here; what was appended until then stays. Whether a pattern is valid does not
 * depend on the time.
 */
int time_pattern_write(struct buf *out, struct str pattern, uint64_t wall_ms, struct err *err);

#endif
