/*
 * The records of one event, taken out of it, and how far each shard has got.
 *
 * The records point into the event. A batch is used again for the next event and keeps its memory;
 * a zeroed batch is valid.
 */
#ifndef SENSOR_COUNTER_BATCH_H
#define SENSOR_COUNTER_BATCH_H

#include <lambda.h>
#include <stdbool.h>

#define BATCH_RECORDS_MAX 10000 /* the largest BatchSize of an event source mapping */
#define BATCH_SHARDS_MAX  16    /* natively an event holds records of one shard */

struct batch_shard {
    struct lambda_bytes id;
    char last[130]; /* sequence number of the last counted record; empty: none was counted yet */
};

struct batch_record {
    struct lambda_kinesis_record kinesis;
    size_t shard; /* index into the shards */
};

struct batch {
    struct batch_record *records;
    size_t record_count;
    size_t bad_count; /* records that cannot be read; no retry would change that */
    struct batch_shard shards[BATCH_SHARDS_MAX];
    size_t shard_count;
};

/* Takes the event's records. NULL, or why it is no batch that can be counted (a constant text). */
const char *batch_read(struct batch *batch, char *body, size_t size);

/*
 * Passes over the records in their order: those above their shard's `last` are new and raise it,
 * the others were counted before. Returns how many are new; ret_latest is the last of them, or
 * NULL.
 */
size_t batch_advance(struct batch *batch, const struct batch_record **ret_latest);

void batch_done(struct batch *batch);

#endif
