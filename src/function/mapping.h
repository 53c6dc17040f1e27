/*
 * An event source mapping: one cursor per shard of a stream, whose records go to a function in
 * batches. mapping.c opens, closes and watches it; mapping_shard.c is the way of one batch.
 */
#ifndef FUNCTION_MAPPING_H
#define FUNCTION_MAPPING_H

#include "base/json.h"
#include "base/metric.h"
#include "function/event.h"
#include "function/pool.h"

enum {
    FUNCTION_RETRY_MS_MIN = 1000, /* after the first failure of a batch; doubles */
    FUNCTION_RETRY_MS_MAX = 30000,
    FUNCTION_SPLITS_MAX = 32, /* halves of 10000 records, and the ends of partial failures */
    FUNCTION_LAG_MS = 1000,
};

enum function_shard_phase {
    SHARD_WAITING,   /* for the end of the shards that it was made from */
    SHARD_GATHERING, /* reads, or waits for records or for the end of the window */
    SHARD_INVOKING,  /* the function has the batch */
    SHARD_RETRYING,  /* the batch failed and waits for its next attempt */
    SHARD_FINISHED,  /* it is closed and all of it is done; the reader is gone */
    SHARD_STOPPED,   /* the host stops */
    SHARD_ELSEWHERE, /* nodes share the stream, and another one has it */
    SHARD_LOST,      /* the same, and the function still has a batch, whose result says nothing */
};

/* What is in `event`: records from `first` up to but not `end`. */
struct function_batch {
    uint64_t first, end;
    size_t count;
    uint64_t first_arrival_ms, last_arrival_ms, last;
};

struct function_mapping_shard {
    struct function_mapping *mapping;
    unsigned index;
    int parents[2]; /* STREAM_NO_SHARD: none */
    struct stream_reader *reader;
    struct function_event_writer writer;
    struct function_invocation invocation;
    struct stream_checkpoint checkpoint;
    struct timer timer; /* window, back-off */
    enum function_shard_phase phase;
    struct buf event;
    struct function_batch batch;
    struct function_batch expired; /* records too old, not yet told */
    unsigned failures;             /* of this batch in a row: for the back-off */
    int64_t attempts;              /* failed ones that count against maximum_retry_attempts */
    /* A batch that is tried again in parts must not run past the last of these counters; when it is
     * reached, that one is dropped. */
    uint64_t splits[FUNCTION_SPLITS_MAX];
    unsigned split_count;
    uint64_t lost_seen;              /* stream_reader_skipped() so far */
    struct stream_position regained; /* SHARD_LOST: where to begin when it has come back */
    bool is_regained;
    struct log_limit failed_limit, read_limit;
    struct metric lag_records, behind_ms;
};

struct function_mapping {
    struct link link; /* in the host's list */
    struct loop *loop;
    const struct function_host_config *host;
    const struct function_mapping_config *config;
    struct function_pool *pool;
    struct stream_checkpoint_writer *checkpoints;
    struct stream *stream;
    bool reports_failures;
    char *name;                             /* of its checkpoints */
    struct stream_position start;           /* of the configuration */
    struct stream_member *member;           /* NULL: this node has all shards */
    struct function_mapping_shard **shards; /* by number; NULL: there was nothing left of it */
    unsigned shard_count;                   /* as many as are known of the stream */
    struct timer lag;
    struct json json;
    struct metric records, batches, failed_batches, skipped_records;
    int open_handles;
    void (*closed)(void *data);
    void *data;
};

/* Opens the readers and makes sure that each shard has a checkpoint on disk; starts with the loop.
 * All pointers outlive the mapping. */
int function_mapping_start(struct loop *loop, const struct function_host_config *host,
                           struct function_pool *pool, struct stream_checkpoint_writer *checkpoints,
                           struct facts *facts, const struct function_mapping_config *config,
                           struct stream *stream, struct function_mapping **ret_mapping,
                           struct err *err);

/* A shard is finished: its children, if the stream has any, may begin. */
void function_mapping_go_on(struct function_mapping *mapping);

/* The batch of a shard that was lost has come to its end. */
void function_mapping_shard_forget(struct function_mapping_shard *shard);

/* No new batches, no retries; a batch in hand may still succeed. */
void function_mapping_stop(struct function_mapping *mapping);

/* Stopped, nothing in hand, and the checkpoint writer is closed. Then `closed`, later, and the
 * memory is gone. */
void function_mapping_close(struct function_mapping *mapping, void (*closed)(void *data),
                            void *data);

/* ---- mapping_shard.c ---- */

void function_mapping_shard_on_ready(struct stream_reader *reader, void *data);
void function_mapping_shard_on_timer(struct timer *timer);
void function_mapping_shard_on_result(struct function_invocation *invocation,
                                      const struct function_result *result);

#endif
