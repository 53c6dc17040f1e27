/*
 * Counts batches in Redis, each record once.
 *
 * Owns the connection to Redis and keeps it from one batch to the next. One thread.
 */
#ifndef SENSOR_COUNTER_COUNTER_H
#define SENSOR_COUNTER_COUNTER_H

#include <hiredis/hiredis.h>

#include "batch.h"
#include "settings.h"

struct counter {
    const struct settings *settings; /* borrowed */
    redisContext *redis;             /* NULL: not connected */
    char problem[512];               /* why the last counter_count() failed */
};

void counter_init(struct counter *counter, const struct settings *settings);

void counter_done(struct counter *counter);

/*
 * Counts the batch in one transaction; connects if need be. Blocks for at most about timeout_ms.
 * 0 with *ret_new_count, the number of records that had not been counted before; -1 with
 * counter->problem if Redis does not say that the batch is counted. It may be all the same: to
 * count the batch again is right in either case.
 */
int counter_count(struct counter *counter, struct batch *batch, int64_t timeout_ms,
                  size_t *ret_new_count);

#endif
