/* How long to wait before something that has failed is tried again. Any thread. */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdint.h>

/* `ms_min` after the first failure, twice as long after each further one, up to `ms_max`. */
uint64_t backoff_ms(uint64_t ms_min, uint64_t ms_max, unsigned failures);

/* At least half of `ms` and at most all of it, so that those who wait do not all come at once. */
uint64_t backoff_spread_ms(uint64_t ms);

#endif
