/*
 * Durations in nanoseconds, counted in buckets whose width is 1/64 of their value: a quantile is
 * within 1.6 %. Zeroed is empty. Adding is a few instructions, so that it does not disturb what it
 * measures.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_STEPS = 64, HISTOGRAM_BUCKETS = HISTOGRAM_STEPS * 59 };

struct histogram {
    uint64_t total;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Adds `count` times the same duration. */
void histogram_add(struct histogram *h, uint64_t duration_ns, uint64_t count);

/* The duration that `share` (0 to 1) of all do not exceed; 0 of an empty histogram. */
uint64_t histogram_quantile_ns(const struct histogram *h, double share);

#endif
