/* The two clocks, and times as text. Wall time is for people and records, monotonic time for
 * everything that waits. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Since an arbitrary start; never goes back. */
uint64_t clock_mono_ns(void);

/* Since 1970-01-01 UTC; may jump. */
uint64_t clock_wall_ms(void);

enum { CLOCK_RFC3339_BYTES = 25 };

/* "2026-11-23T06:15:00.123Z" and a NUL. */
void clock_rfc3339(uint64_t wall_ms, char ret_text[CLOCK_RFC3339_BYTES]);

#endif
