#include "base/backoff.h"

#include "base/random.h"

uint64_t backoff_ms(uint64_t ms_min, uint64_t ms_max, unsigned failures) {
    uint64_t ms = ms_min;
    for (unsigned i = 1; i < failures && ms < ms_max; i++)
        ms *= 2;
    return ms < ms_max ? ms : ms_max;
}

uint64_t backoff_spread_ms(uint64_t ms) {
    return ms / 2 + random_u64() % (ms / 2 + 1);
}
