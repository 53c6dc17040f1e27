/*
 * What a stream stands on. Each stream has one engine: the log of the data directory, a Kafka topic,
 * or a stream of another Kinesis. The public functions of stream.h ask the engine; nobody outside
 * this folder knows which one it is.
 *
 * Producing. Records for the log go the way of writer.c and commit.c and know nothing of this. For
 * the other two a writer gathers the records of a turn in one engine_batch per stream and posts it,
 * at the end of the turn, to the *engine thread* (one loop for all engines of a log, started by the
 * first stream that needs it). The engine sends the records off, notes for each what became of it,
 * and gives the batch home. A ticket commits when its part of the log and all its engine batches are
 * home, and all tickets before it have committed: what waits for a slow engine holds back what was
 * pushed after it by the same writer, as the gate's order demands.
 *
 * Consuming. A reader is what its engine makes of `struct stream_reader`, on the reader's own loop.
 *
 * Shards. The engine's stream has a layout as any other, whose `shards` are NULL. The engine may put
 * a new one in `fresh`, from any thread; the service loop takes it up when it next asks.
 */
#ifndef STREAM_ENGINE_H
#define STREAM_ENGINE_H

#include <stdatomic.h>

#include "base/buf.h"
#include "stream/stream.h"

struct layout;
struct batch;
struct stream_engine;
struct engine_batch;

struct stream_reader {
    const struct engine_ops *ops;
};

struct stream_member {
    const struct engine_ops *ops;
};

struct engine_ops {
    const char *name;      /* "log", "kafka", "kinesis": for messages */
    bool writer_picks;     /* a record's shard is chosen by its writer, by the layout */
    bool uncounted;        /* next_counter of a shard is a moment: where it ends nobody can say */
    const char *unchanged; /* why shards and retention cannot be changed here; NULL: they can */

    /* What the layout does not say: first_counter, next_counter, removed. [service] */
    void (*shard_get)(const struct stream *stream, unsigned shard, struct stream_shard_info *info);

    /* As the functions of stream.h. */
    int (*reader_open)(struct stream *stream, unsigned shard, struct loop *loop,
                       const struct stream_position *position,
                       void (*on_ready)(struct stream_reader *reader, void *data), void *data,
                       struct stream_reader **ret_reader, struct err *err);
    void (*reader_close)(struct stream_reader *reader);
    int (*reader_next)(struct stream_reader *reader, size_t records_max, size_t bytes_max,
                       struct stream_batch *ret_batch);
    void (*reader_seek)(struct stream_reader *reader, uint64_t counter);
    uint64_t (*reader_counter)(const struct stream_reader *reader);
    uint64_t (*reader_skipped)(const struct stream_reader *reader);
    void (*reader_lag)(const struct stream_reader *reader, uint64_t *ret_records,
                       uint64_t *ret_behind_ms);
    bool (*reader_pending)(const struct stream_reader *reader);

    /* ---- what only engines beside the log have ---- */

    /* As the functions of stream.h; NULL: streams of this engine are never shared. */
    bool (*is_shared)(const struct stream *stream);
    int (*member_join)(struct stream *stream, const char *name, struct loop *loop,
                       const struct stream_member_events *events, void *data,
                       struct stream_member **ret_member, struct err *err);
    void (*member_commit)(struct stream_member *member, unsigned shard, uint64_t counter);
    int (*member_note)(struct stream_member *member, unsigned shard, uint64_t counter,
                       struct str note, void (*done)(void *data, int status), void *data);
    void (*member_forget_note)(struct stream_member *member, unsigned shard);
    void (*member_leave)(struct stream_member *member);

    /* Takes the batch; `home` runs when every record has its status. [engine] */
    void (*submit)(struct stream_engine *engine, struct engine_batch *batch);
    /* What is not through yet fails, and so does all that is submitted from now on. [engine] */
    void (*give_up)(struct stream_engine *engine);
    /* Closes what the engine has on the loop. [engine] */
    void (*stop)(struct stream_engine *engine);
    /* The loop has ended. [main] */
    void (*free)(struct stream_engine *engine);
};

struct stream_engine {
    const struct engine_ops *ops;
    struct stream *stream;
    struct loop *loop; /* of the engine thread */
    struct link link;  /* in the log's list */
    struct layout *_Atomic fresh;
};

/* The log of the data directory (reader.c). */
extern const struct engine_ops engine_log;

/* The layout as the service loop sees it, newest first. [service] */
struct layout *engine_layout(const struct stream *stream);

/* Takes the reference. [any thread] */
void engine_set_layout(struct stream_engine *engine, struct layout *layout);

/* Opens a stream of config->kafka or config->kinesis. [main] */
int engine_open(struct stream_log *log, const struct stream_config *config,
                struct stream **ret_stream, struct err *err);

/* Ends the engine thread and all engines; the streams stay. [main] */
void engine_close_all(struct stream_log *log);

/* ---- records on their way to an engine ---- */

struct engine_record {
    struct engine_batch *batch;
    size_t offset; /* in batch->bytes: key, explicit hash key, data */
    uint32_t key_bytes, hash_bytes, data_bytes;
    /* The writer's choice if the engine leaves it to the writer; else set with the status. */
    uint32_t shard;
    int status; /* these once it is home */
    uint64_t counter, arrival_ms;
};

struct engine_batch {
    struct task task;               /* to the engine and home */
    struct link staged;             /* the writer's */
    struct engine_batch *next_sent; /* the writer's: of the same ticket */
    struct engine_batch *next;      /* the engine's, while it has the batch */
    struct stream_engine *engine;
    struct batch *ticket; /* the writer's: what waits for it */
    void *owner;
    void (*home)(struct engine_batch *batch); /* on the engine's thread */
    struct engine_record *records;
    size_t count, cap;
    struct buf bytes;
    uint64_t arrival_ms; /* of all records */
    size_t left;         /* the engine's: records without a status */
    int status;          /* the first that failed */
};

/* Copies the record; returns its bytes. */
size_t engine_batch_add(struct engine_batch *batch, const struct record *record, unsigned shard);
size_t engine_batch_memory(const struct engine_batch *batch); /* bytes */
void engine_batch_clear(struct engine_batch *batch);          /* keeps the memory, up to 1 MiB */
void engine_batch_free(struct engine_batch *batch);

/* The record has its status. The batch goes home with its last one and is not the engine's any
 * more: true. */
bool engine_record_settle(struct engine_record *record, int status, uint64_t counter,
                          uint64_t arrival_ms);

/* Fails the records from number `from` on. */
void engine_batch_fail(struct engine_batch *batch, size_t from, int status);

static inline struct str engine_record_key(const struct engine_record *record) {
    return str_from(buf_at(&record->batch->bytes) + record->offset, record->key_bytes);
}

static inline struct str engine_record_hash(const struct engine_record *record) {
    return str_from(buf_at(&record->batch->bytes) + record->offset + record->key_bytes,
                    record->hash_bytes);
}

static inline struct str engine_record_data(const struct engine_record *record) {
    return str_from(buf_at(&record->batch->bytes) + record->offset + record->key_bytes +
                        record->hash_bytes,
                    record->data_bytes);
}

/* ---- positions that are not resolved yet ---- */

/*
 * A reader on another machine cannot say at once which record was the first behind a moment. Until it
 * can, its counter is the moment itself, marked with the highest bit, which no counter has: so an
 * iterator or a checkpoint made meanwhile holds the moment, and goes on from there.
 */
static const uint64_t engine_time_mark = UINT64_C(1) << 63;

static inline uint64_t engine_time_counter(uint64_t wall_ms) {
    return engine_time_mark | wall_ms;
}

static inline bool engine_counter_is_time(uint64_t counter) {
    return counter & engine_time_mark;
}

static inline uint64_t engine_counter_time(uint64_t counter) {
    return counter & ~engine_time_mark;
}

/* ---- the engines ---- */

int kafka_engine_open(struct stream *stream, struct loop *loop,
                      const struct stream_kafka_config *config, struct stream_engine **ret_engine,
                      struct err *err);
int kinesis_engine_open(struct stream *stream, struct loop *loop,
                        const struct stream_kinesis_config *config,
                        struct stream_engine **ret_engine, struct err *err);

#endif
