#include "histogram.h"

enum { STEPS_LOG2 = 6 };

/* Below 64 each value has a bucket; above, the six bits that follow the leading one choose a bucket
 * of its power of two. */
static unsigned bucket_of(uint64_t duration_ns) {
    if (duration_ns < HISTOGRAM_STEPS)
        return (unsigned)duration_ns;
    unsigned shift = 63 - STEPS_LOG2 - (unsigned)__builtin_clzll(duration_ns);
    return (shift + 1) * HISTOGRAM_STEPS +
           (unsigned)((duration_ns >> shift) & (HISTOGRAM_STEPS - 1));
}

static uint64_t bucket_middle_ns(unsigned bucket) {
    if (bucket < HISTOGRAM_STEPS)
        return bucket;
    unsigned shift = bucket / HISTOGRAM_STEPS - 1;
    uint64_t low = (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << shift;
    return low + ((1ull << shift) >> 1);
}

void histogram_add(struct histogram *h, uint64_t duration_ns, uint64_t count) {
    h->buckets[bucket_of(duration_ns)] += count;
    h->total += count;
}

uint64_t histogram_quantile_ns(const struct histogram *h, double share) {
    uint64_t wanted = (uint64_t)(share * (double)h->total);
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (h->buckets[i] && seen >= wanted)
            return bucket_middle_ns(i);
    }
    return 0;
}
