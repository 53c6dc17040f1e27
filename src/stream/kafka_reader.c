/*
 * The consuming side of a Kafka topic: readers.
 *
 * librdkafka keeps one position per partition and consumer handle. So there are *lanes*: handles
 * without a group, made when they are needed, of which the n-th serves the n-th reader of each
 * partition that is open at a time. A place in a lane (lane, partition) is a *cursor*, and is the
 * reader while it is in use. Afterwards it is parked with what it has fetched: who goes on where
 * another has stopped, as GetRecords does with each call, finds the records there already.
 *
 *      IDLE     the reader works, or was woken
 *      ARMED    next() has said AGAIN and the queue was still empty afterwards. When librdkafka puts
 *               something in: ARMED -> POSTED, and posts the wake
 *      POSTED   the wake is under way; when it runs: POSTED -> IDLE, on_ready if the reader is open
 *
 * librdkafka calls on_queue under the queue's lock, and queue_cb_event_enable() takes that lock: once
 * that has returned nothing is posted any more.
 *
 * `held` are the messages that were taken from the queue and not yet read by the next call; going
 * back within them (the rest of a batch did not fit) asks nobody. Any other move tells librdkafka to
 * seek, which drops what it has fetched.
 *
 * Two things must be asked for, on libuv's pool: the offset that belongs to a moment, and what the
 * partition still has when the broker says that an offset is out of range. Until the answer is there
 * the cursor is RESOLVING and gives AGAIN.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stream/kafka.h"
#include "stream/log.h"

enum { ANSWER_MS = 2000, PAUSE_US = 200000, LOG_MS = 10000 };

enum state { IDLE, ARMED, POSTED };

struct kafka_cursor {
    struct stream_reader reader;
    struct kafka_engine *engine;
    struct kafka_lane *lane;
    unsigned partition;
    bool in_use, resolving;
    bool lost;               /* librdkafka does not read on from `counter` */
    rd_kafka_queue_t *queue; /* NULL: never started */
    uint64_t counter;        /* of the next record; may be a time while it is resolved */
    uint64_t skipped, arrival_ms;
    rd_kafka_message_t **held; /* KAFKA_HELD_MAX, as `records`; NULL: never used */
    struct stream_record *records;
    size_t at, count; /* held[at] is the next record; those before it were given out */

    struct loop *loop;
    void (*on_ready)(struct stream_reader *reader, void *data);
    void *data;
    _Atomic int state;
    struct task wake;
    struct log_limit limit;

    struct work work;
    uint64_t asked; /* the counter that is resolved */
    rd_kafka_resp_err_t answer;
    int64_t low, high, found;
};

struct kafka_lane {
    rd_kafka_t *handle;
    rd_kafka_topic_t *topic;
    struct kafka_cursor *cursors; /* one per partition */
};

static const struct kafka_setting settings[] = {
    {"enable.auto.commit", "false"},        {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "error"},         {"queued.max.messages.kbytes", "4096"},
    {"fetch.message.max.bytes", "2097152"}, {"fetch.error.backoff.ms", "100"},
    {"enable.partition.eof", "false"},      {NULL, NULL},
};

static struct kafka_cursor *of(const struct stream_reader *reader) {
    return CONTAINER_OF(reader, struct kafka_cursor, reader);
}

/* ---- waking ---- */

/* On a thread of librdkafka, under the queue's lock. */
static void on_queue(rd_kafka_t *handle, void *opaque) {
    struct kafka_cursor *cursor = opaque;
    int armed = ARMED;
    if (atomic_compare_exchange_strong(&cursor->state, &armed, POSTED))
        loop_post(cursor->loop, &cursor->wake);
}

static void on_wake(struct task *task) {
    struct kafka_cursor *cursor = CONTAINER_OF(task, struct kafka_cursor, wake);
    atomic_store(&cursor->state, IDLE);
    if (cursor->in_use)
        cursor->on_ready(&cursor->reader, cursor->data);
}

/* From the reader's own loop. */
static void wake(struct kafka_cursor *cursor) {
    int now = atomic_exchange(&cursor->state, POSTED);
    if (now != POSTED)
        loop_post(cursor->loop, &cursor->wake);
}

/* Whether the reader may sleep: false if there is more now. */
static bool arm(struct kafka_cursor *cursor) {
    int idle = IDLE, armed = ARMED;
    if (!atomic_compare_exchange_strong(&cursor->state, &idle, ARMED))
        return true; /* A wake is under way. */
    if (!cursor->queue || kafka.queue_length(cursor->queue) == 0)
        return true;
    return !atomic_compare_exchange_strong(&cursor->state, &armed, IDLE);
}

/* ---- moving ---- */

static void drop_held(struct kafka_cursor *cursor) {
    for (size_t i = 0; i < cursor->count; i++)
        kafka.message_destroy(cursor->held[i]);
    cursor->at = cursor->count = 0;
}

static void log_trouble(struct kafka_cursor *cursor, const char *what, rd_kafka_resp_err_t code) {
    unsigned missed;
    if (log_limit_pass(&cursor->limit, LOG_MS, &missed))
        log_warn("stream", "kafka topic %s, partition %u: %s: %s (%u more like this)",
                 cursor->engine->topic, cursor->partition, what, kafka.err2str(code), missed);
}

/* librdkafka reads on from `counter`. */
static void fetch_from(struct kafka_cursor *cursor, uint64_t counter) {
    struct kafka_lane *lane = cursor->lane;
    int32_t partition = (int32_t)cursor->partition;
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    drop_held(cursor);
    cursor->counter = counter;
    cursor->lost = false;
    if (cursor->queue) {
        code = kafka.seek(lane->topic, partition, (int64_t)counter, 0);
    } else {
        cursor->queue = kafka.queue_new(lane->handle);
        kafka.queue_cb_event_enable(cursor->queue, on_queue, cursor);
        if (kafka.consume_start_queue(lane->topic, partition, (int64_t)counter, cursor->queue))
            code = kafka.last_error();
    }
    if (code)
        log_trouble(cursor, "cannot be read", code);
}

static void resolve(struct kafka_cursor *cursor);

static void go_to(struct kafka_cursor *cursor, uint64_t counter) {
    if (engine_counter_is_time(counter)) {
        drop_held(cursor);
        cursor->counter = counter;
        resolve(cursor);
    } else {
        fetch_from(cursor, counter);
    }
}

/* True if the next record of that counter is among what is held. */
static bool move_within(struct kafka_cursor *cursor, uint64_t counter) {
    if (!cursor->count)
        return counter == cursor->counter && !cursor->lost;
    uint64_t last = (uint64_t)cursor->held[cursor->count - 1]->offset;
    if (counter < (uint64_t)cursor->held[0]->offset || counter > last + 1)
        return false;
    cursor->at = 0;
    while (cursor->at < cursor->count && (uint64_t)cursor->held[cursor->at]->offset < counter)
        cursor->at++;
    cursor->counter = counter;
    return true;
}

/* ---- asking ---- */

/* On a pool thread. What lies behind `high`, asked for first, cannot be before the moment. */
static void ask(struct work *work) {
    struct kafka_cursor *cursor = CONTAINER_OF(work, struct kafka_cursor, work);
    rd_kafka_t *handle = cursor->lane->handle;
    const char *topic = cursor->engine->topic;
    int64_t moments[] = {RD_KAFKA_OFFSET_BEGINNING, RD_KAFKA_OFFSET_END,
                         (int64_t)engine_counter_time(cursor->asked)};
    int64_t *answers[] = {&cursor->low, &cursor->high, &cursor->found};
    size_t count = engine_counter_is_time(cursor->asked) ? 3 : 2;
    cursor->answer = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (size_t i = 0; i < count && !cursor->answer; i++)
        cursor->answer = kafka_ask_offsets(handle, topic, cursor->partition, 1, moments[i],
                                           answers[i], ANSWER_MS);
    if (cursor->answer)
        usleep(PAUSE_US);
}

static void settle_time(struct kafka_cursor *cursor) {
    fetch_from(cursor, (uint64_t)(cursor->found >= 0 ? cursor->found : cursor->high));
}

/* The broker has no such offset. */
static void settle_range(struct kafka_cursor *cursor) {
    uint64_t low = (uint64_t)cursor->low, high = (uint64_t)cursor->high;
    uint64_t counter = cursor->counter;
    if (counter < low) {
        cursor->skipped += low - counter;
        log_warn("stream",
                 "kafka topic %s, partition %u: offsets %" PRIu64 " to %" PRIu64
                 " are gone by its retention",
                 cursor->engine->topic, cursor->partition, counter, low - 1);
        fetch_from(cursor, low);
    } else if (counter > high) {
        log_error("stream",
                  "kafka topic %s, partition %u: ends at %" PRIu64 ", but had been read to %" PRIu64
                  ": records were lost, or the topic was made anew",
                  cursor->engine->topic, cursor->partition, high, counter);
        fetch_from(cursor, high);
    } else {
        fetch_from(cursor, counter);
    }
}

static void on_answer(struct work *work) {
    struct kafka_cursor *cursor = CONTAINER_OF(work, struct kafka_cursor, work);
    cursor->resolving = false;
    if (!cursor->in_use)
        return;
    if (cursor->answer)
        log_trouble(cursor, "a position cannot be found", cursor->answer);
    if (cursor->answer || cursor->asked != cursor->counter) {
        if (cursor->answer || engine_counter_is_time(cursor->counter))
            resolve(cursor);
        return;
    }
    if (engine_counter_is_time(cursor->asked))
        settle_time(cursor);
    else
        settle_range(cursor);
    wake(cursor);
}

static void resolve(struct kafka_cursor *cursor) {
    if (cursor->resolving || atomic_load(&cursor->engine->stopping))
        return;
    cursor->resolving = cursor->lost = true;
    cursor->asked = cursor->counter;
    loop_work(cursor->loop, &cursor->work, ask, on_answer);
}

/* ---- reading ---- */

static void on_error(struct kafka_cursor *cursor, const rd_kafka_message_t *message) {
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        resolve(cursor);
    else
        log_trouble(cursor, "reading", message->err);
}

static void refill(struct kafka_cursor *cursor) {
    rd_kafka_message_t *taken[KAFKA_HELD_MAX];
    ssize_t count = kafka.consume_batch_queue(cursor->queue, 0, taken, KAFKA_HELD_MAX);
    drop_held(cursor);
    for (ssize_t i = 0; i < count; i++) {
        if (!taken[i]->err && (uint64_t)taken[i]->offset >= cursor->counter) {
            cursor->held[cursor->count++] = taken[i];
            continue;
        }
        if (taken[i]->err)
            on_error(cursor, taken[i]);
        kafka.message_destroy(taken[i]);
    }
    if (cursor->count)
        kafka_tip_raise(cursor->engine, cursor->partition,
                        (uint64_t)cursor->held[cursor->count - 1]->offset + 1);
}

static void view(const rd_kafka_message_t *message, struct stream_record *record) {
    rd_kafka_timestamp_type_t type;
    int64_t ms = kafka.message_timestamp(message, &type);
    *record = (struct stream_record){.counter = (uint64_t)message->offset,
                                     .arrival_ms = ms < 0 ? 0 : (uint64_t)ms,
                                     .partition_key = str_from(message->key, message->key_len),
                                     .data = str_from(message->payload, message->len)};
}

static void give(struct kafka_cursor *cursor, size_t records_max, size_t bytes_max,
                 struct stream_batch *batch) {
    *batch = (struct stream_batch){.records = cursor->records};
    for (; cursor->at < cursor->count && batch->count < records_max; cursor->at++) {
        const rd_kafka_message_t *message = cursor->held[cursor->at];
        if (batch->count && batch->bytes + message->len > bytes_max)
            break;
        view(message, &cursor->records[batch->count++]);
        batch->bytes += message->len;
        cursor->counter = (uint64_t)message->offset + 1;
    }
    cursor->arrival_ms = cursor->records[batch->count - 1].arrival_ms;
}

int kafka_reader_next(struct stream_reader *reader, size_t records_max, size_t bytes_max,
                      struct stream_batch *ret_batch) {
    struct kafka_cursor *cursor = of(reader);
    if (!records_max)
        return ERR_AGAIN;
    do {
        if (cursor->at == cursor->count && !cursor->lost)
            refill(cursor);
        if (cursor->at < cursor->count) {
            give(cursor, records_max, bytes_max, ret_batch);
            return 0;
        }
    } while (!arm(cursor));
    return ERR_AGAIN;
}

void kafka_reader_seek(struct stream_reader *reader, uint64_t counter) {
    struct kafka_cursor *cursor = of(reader);
    if (!move_within(cursor, counter))
        go_to(cursor, counter);
}

uint64_t kafka_reader_counter(const struct stream_reader *reader) {
    return of(reader)->counter;
}

uint64_t kafka_reader_skipped(const struct stream_reader *reader) {
    return of(reader)->skipped;
}

static uint64_t high_of(const struct kafka_cursor *cursor) {
    return atomic_load(&cursor->engine->tips[cursor->partition].high);
}

void kafka_reader_lag(const struct stream_reader *reader, uint64_t *ret_records,
                      uint64_t *ret_behind_ms) {
    const struct kafka_cursor *cursor = of(reader);
    uint64_t high = high_of(cursor), now_ms = clock_wall_ms(), next_ms = cursor->arrival_ms;
    bool is_time = engine_counter_is_time(cursor->counter);
    *ret_records = !is_time && high > cursor->counter ? high - cursor->counter : 0;
    if (is_time)
        next_ms = engine_counter_time(cursor->counter);
    else if (cursor->at < cursor->count)
        next_ms = (uint64_t)kafka.message_timestamp(cursor->held[cursor->at],
                                                    &(rd_kafka_timestamp_type_t){0});
    *ret_behind_ms =
        (*ret_records || is_time) && next_ms && next_ms < now_ms ? now_ms - next_ms : 0;
}

bool kafka_reader_pending(const struct stream_reader *reader) {
    const struct kafka_cursor *cursor = of(reader);
    return cursor->resolving || cursor->counter < high_of(cursor);
}

/* ---- opening ---- */

static int add_lane(struct kafka_engine *engine, struct err *err) {
    if (engine->lane_count == KAFKA_LANES_MAX)
        return err_set(err, ERR_FULL, "kafka topic %s: %d readers of a partition are open",
                       engine->topic, KAFKA_LANES_MAX);
    struct kafka_lane *lane = xcalloc(1, sizeof *lane);
    lane->handle = kafka_handle_new(engine, RD_KAFKA_CONSUMER, settings, NULL, engine, err);
    if (!lane->handle) {
        free(lane);
        return ERR_IO;
    }
    lane->topic = kafka.topic_new(lane->handle, engine->topic, NULL);
    ASSERT(lane->topic);
    lane->cursors = xcalloc(engine->partitions, sizeof *lane->cursors);
    for (unsigned i = 0; i < engine->partitions; i++) {
        struct kafka_cursor *cursor = &lane->cursors[i];
        cursor->reader.ops = engine->engine.ops;
        cursor->engine = engine;
        cursor->lane = lane;
        cursor->partition = i;
        cursor->wake.run = on_wake;
        cursor->lost = true;
    }
    engine->lanes[engine->lane_count++] = lane;
    return 0;
}

/* A parked one that stands there already is the best; NULL: all are in use. */
static struct kafka_cursor *find_cursor(struct kafka_engine *engine, unsigned partition,
                                        uint64_t counter) {
    struct kafka_cursor *found = NULL;
    for (unsigned i = 0; i < engine->lane_count; i++) {
        struct kafka_cursor *cursor = &engine->lanes[i]->cursors[partition];
        if (!cursor->in_use && !cursor->lost && cursor->counter == counter)
            return cursor;
        if (!cursor->in_use && !cursor->resolving && !found)
            found = cursor;
    }
    return found;
}

static uint64_t counter_of(const struct kafka_engine *engine, unsigned partition,
                           const struct stream_position *position) {
    switch (position->from) {
    case STREAM_TRIM_HORIZON:
        return atomic_load(&engine->tips[partition].low);
    case STREAM_LATEST:
        return atomic_load(&engine->tips[partition].high);
    case STREAM_AT_TIMESTAMP:
        return engine_time_counter(position->timestamp_ms);
    case STREAM_AT_COUNTER:
        return position->counter;
    }
    return 0;
}

int kafka_reader_open(struct stream *stream, unsigned shard, struct loop *loop,
                      const struct stream_position *position,
                      void (*on_ready)(struct stream_reader *reader, void *data), void *data,
                      struct stream_reader **ret_reader, struct err *err) {
    struct kafka_engine *engine = kafka_engine_of(stream->engine);
    if (shard >= engine->partitions)
        return err_set(err, ERR_NOT_FOUND, "stream %s has no shard %u", stream->name, shard);
    uint64_t counter = counter_of(engine, shard, position);
    struct kafka_cursor *cursor = find_cursor(engine, shard, counter);
    int status = cursor ? 0 : add_lane(engine, err);
    if (status)
        return status;
    if (!cursor)
        cursor = &engine->lanes[engine->lane_count - 1]->cursors[shard];
    cursor->in_use = true;
    cursor->loop = loop;
    cursor->on_ready = on_ready;
    cursor->data = data;
    cursor->skipped = 0;
    if (cursor->queue)
        kafka.queue_cb_event_enable(cursor->queue, on_queue, cursor);
    if (!cursor->held) {
        cursor->held = xcalloc(KAFKA_HELD_MAX, sizeof(rd_kafka_message_t *));
        cursor->records = xcalloc(KAFKA_HELD_MAX, sizeof *cursor->records);
    }
    if (cursor->lost || cursor->counter != counter)
        go_to(cursor, counter);
    *ret_reader = &cursor->reader;
    return 0;
}

void kafka_reader_close(struct stream_reader *reader) {
    struct kafka_cursor *cursor = of(reader);
    int armed = ARMED;
    cursor->in_use = false;
    if (cursor->queue)
        kafka.queue_cb_event_enable(cursor->queue, NULL, NULL);
    atomic_compare_exchange_strong(&cursor->state, &armed, IDLE);
}

/* ---- the end ---- */

static void free_cursor(struct kafka_cursor *cursor) {
    drop_held(cursor);
    free(cursor->held);
    free(cursor->records);
    if (!cursor->queue)
        return;
    kafka.consume_stop(cursor->lane->topic, (int32_t)cursor->partition);
    kafka.queue_destroy(cursor->queue);
}

void kafka_lanes_free(struct kafka_engine *engine) {
    for (unsigned i = 0; i < engine->lane_count; i++) {
        struct kafka_lane *lane = engine->lanes[i];
        for (unsigned p = 0; p < engine->partitions; p++)
            free_cursor(&lane->cursors[p]);
        free(lane->cursors);
        kafka.topic_destroy(lane->topic);
        kafka.destroy(lane->handle);
        free(lane);
    }
}
