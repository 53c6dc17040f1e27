/*
 * A Kafka topic as the engine of a stream. The essay is in kafka.c. What is marked [engine] belongs
 * to the engine thread, [service] to the loop that opens readers; the rest is constant.
 */
#ifndef STREAM_KAFKA_H
#define STREAM_KAFKA_H

#include "base/log.h"
#include "base/metric.h"
#include "io/kafka_calls.h"
#include "stream/engine.h"

enum {
    KAFKA_ANSWER_MS = 5000, /* for metadata and positions when a stream is opened */
    KAFKA_TIP_MS = 1000,    /* how old the known ends of the partitions are at most */
    KAFKA_LANES_MAX = 16,   /* readers of one partition at a time */
    KAFKA_HELD_MAX = 512,   /* messages that a reader takes from librdkafka at a time */
};

/* Where a partition begins and ends, as far as it is known. [any thread] */
struct kafka_tip {
    _Atomic uint64_t low, high;
};

struct kafka_producer {
    rd_kafka_t *handle;
    rd_kafka_topic_t *topic;
    struct engine_batch *pending, **pending_end; /* not wholly with librdkafka */
    size_t at;                                   /* the next record of the first of these */
    size_t unreported;                           /* records that librdkafka has */
    bool fatal; /* the handle takes nothing any more; a new one follows when all reports are in */
    bool gave_up;
    struct task reports;
    _Atomic bool reports_posted;
    struct log_limit limit;
    struct metric records, failures, waiting;
};

struct kafka_engine {
    struct stream_engine engine;
    const struct stream_kafka_config *config;
    const char *topic;
    unsigned partitions;
    struct kafka_tip *tips;
    struct kafka_producer producer; /* [engine] */

    struct timer tip_timer; /* [engine] */
    struct work tip_work;   /* [engine] */
    bool asking_tips;       /* [engine] */
    _Atomic bool stopping;
    struct log_limit tip_limit; /* of the work */

    struct kafka_lane *lanes[KAFKA_LANES_MAX]; /* [service] */
    unsigned lane_count;
    struct link members; /* [service] struct kafka_member */
};

static inline struct kafka_engine *kafka_engine_of(const struct stream_engine *engine) {
    return CONTAINER_OF(engine, struct kafka_engine, engine);
}

/* ---- kafka.c ---- */

/* A handle with what the configuration says. NULL: err tells. Sets of `extra` end with a NULL key. */
struct kafka_setting {
    const char *key, *value;
};
rd_kafka_t *kafka_handle_new(struct kafka_engine *engine, rd_kafka_type_t type,
                             const struct kafka_setting *extra,
                             void (*prepare)(rd_kafka_conf_t *conf), void *opaque, struct err *err);

/*
 * The first offsets behind a moment (milliseconds, or RD_KAFKA_OFFSET_BEGINNING, RD_KAFKA_OFFSET_END) of
 * `count` partitions from `first` on; RD_KAFKA_OFFSET_END: there is nothing behind it. Blocks, but
 * never longer than the time-out, which rd_kafka_query_watermark_offsets() does not keep when brokers
 * are away. Any thread.
 */
rd_kafka_resp_err_t kafka_ask_offsets(rd_kafka_t *handle, const char *topic, unsigned first,
                                      unsigned count, int64_t moment, int64_t *ret_offsets,
                                      int timeout_ms);

void kafka_tip_raise(struct kafka_engine *engine, unsigned partition, uint64_t high);

/* ---- kafka_producer.c ---- */

int kafka_producer_open(struct kafka_engine *engine, struct err *err);
void kafka_producer_submit(struct stream_engine *engine, struct engine_batch *batch);
void kafka_producer_give_up(struct stream_engine *engine);
void kafka_producer_check(struct kafka_engine *engine); /* replaces a handle that is dead */
void kafka_producer_stop(struct kafka_engine *engine);  /* no callback runs any more */
void kafka_producer_free(struct kafka_engine *engine);

/* ---- kafka_reader.c ---- */

int kafka_reader_open(struct stream *stream, unsigned shard, struct loop *loop,
                      const struct stream_position *position,
                      void (*on_ready)(struct stream_reader *reader, void *data), void *data,
                      struct stream_reader **ret_reader, struct err *err);
void kafka_reader_close(struct stream_reader *reader);
int kafka_reader_next(struct stream_reader *reader, size_t records_max, size_t bytes_max,
                      struct stream_batch *ret_batch);
void kafka_reader_seek(struct stream_reader *reader, uint64_t counter);
uint64_t kafka_reader_counter(const struct stream_reader *reader);
uint64_t kafka_reader_skipped(const struct stream_reader *reader);
void kafka_reader_lag(const struct stream_reader *reader, uint64_t *ret_records,
                      uint64_t *ret_behind_ms);
bool kafka_reader_pending(const struct stream_reader *reader);
void kafka_lanes_free(struct kafka_engine *engine); /* [main] */

/* ---- kafka_group.c: as the functions of stream.h ---- */

int kafka_member_join(struct stream *stream, const char *name, struct loop *loop,
                      const struct stream_member_events *events, void *data,
                      struct stream_member **ret_member, struct err *err);
void kafka_member_commit(struct stream_member *member, unsigned shard, uint64_t counter);
int kafka_member_note(struct stream_member *member, unsigned shard, uint64_t counter,
                      struct str note, void (*done)(void *data, int status), void *data);
void kafka_member_forget_note(struct stream_member *member, unsigned shard);
void kafka_member_leave(struct stream_member *member);
void kafka_members_free(struct kafka_engine *engine); /* [main] */

#endif
