#include "batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The shard's index, a new one if need be; BATCH_SHARDS_MAX if there is no room. */
static size_t find_shard(struct batch *batch, struct lambda_bytes id) {
    for (size_t i = 0; i < batch->shard_count; i++) {
        struct lambda_bytes other = batch->shards[i].id;
        if (other.size == id.size && memcmp(other.data, id.data, id.size) == 0)
            return i;
    }
    if (batch->shard_count < BATCH_SHARDS_MAX)
        batch->shards[batch->shard_count++] = (struct batch_shard){.id = id};
    else
        return BATCH_SHARDS_MAX;
    return batch->shard_count - 1;
}

static const char *add(struct batch *batch, const struct lambda_kinesis_record *kinesis) {
    size_t shard = find_shard(batch, kinesis->shard_id);
    if (batch->record_count == BATCH_RECORDS_MAX)
        return "the event has more records than a batch can have";
    if (shard == BATCH_SHARDS_MAX)
        return "the event has records of too many shards";
    batch->records[batch->record_count++] = (struct batch_record){*kinesis, shard};
    return NULL;
}

static void begin(struct batch *batch) {
    if (!batch->records)
        batch->records = calloc(BATCH_RECORDS_MAX, sizeof *batch->records);
    if (!batch->records) {
        fputs("sensor-counter: out of memory\n", stderr);
        abort();
    }
    batch->record_count = 0;
    batch->bad_count = 0;
    batch->shard_count = 0;
}

const char *batch_read(struct batch *batch, char *body, size_t size) {
    struct lambda_kinesis walk;
    struct lambda_kinesis_record kinesis;
    const char *problem = NULL;
    int step;
    begin(batch);
    if (lambda_kinesis_open(&walk, body, size) != 0)
        return "the event is not a Kinesis batch";
    while (!problem && (step = lambda_kinesis_next(&walk, &kinesis)) != LAMBDA_KINESIS_END) {
        if (step == LAMBDA_KINESIS_RECORD)
            problem = add(batch, &kinesis);
        else if (step == LAMBDA_KINESIS_BAD_RECORD)
            batch->bad_count++;
        else
            problem = "the event is not JSON";
    }
    return problem;
}

static bool is_new(const struct batch_shard *shard, const struct lambda_kinesis_record *kinesis) {
    struct lambda_bytes last = {(char *)shard->last, strlen(shard->last)};
    return last.size == 0 || lambda_sequence_compare(kinesis->sequence_number, last) > 0;
}

size_t batch_advance(struct batch *batch, const struct batch_record **ret_latest) {
    size_t new_count = 0;
    *ret_latest = NULL;
    for (size_t i = 0; i < batch->record_count; i++) {
        const struct batch_record *record = &batch->records[i];
        struct batch_shard *shard = &batch->shards[record->shard];
        if (!is_new(shard, &record->kinesis))
            continue;
        memcpy(shard->last, record->kinesis.sequence_number.data,
               record->kinesis.sequence_number.size + 1);
        *ret_latest = record;
        new_count++;
    }
    return new_count;
}

void batch_done(struct batch *batch) {
    free(batch->records);
    *batch = (struct batch){0};
}
