/*
 * A consumer has a position in each shard that it has read from; what it has none in is unread. Its
 * lag is the sum over the shards in records, and the age of its oldest unread record in seconds, for
 * which that one record is read. A consumer of a stream of another Kinesis has neither: nobody can say
 * where that ends (stream_is_counted).
 */
#include "app/consumers.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"

/* A consumer of a stream. */
struct pair {
    struct pair *next;
    char *stream, *name;
    uint64_t created_s;
    bool seen; /* in this scan */
    struct metric records, seconds;
};

struct consumers {
    struct loop *loop;
    struct stream_log *log;
    struct facts *facts;
    struct timer timer;
    struct pair *pairs;
    size_t pair_count;
    uint64_t found;   /* in this scan */
    struct buf stale; /* positions of streams that are no more, one struct position each */
    struct metric count;
    void (*closed)(void *data);
    void *closed_data;
};

/* ---- pairs ---- */

static struct pair *pair_new(const struct stream_consumer *consumer) {
    struct pair *pair = xcalloc(1, sizeof *pair);
    struct buf labels = {0};
    pair->stream = str_dup(consumer->stream);
    pair->name = str_dup(consumer->name);
    pair->created_s = consumer->created_s;
    metric_label(&labels, "stream", consumer->stream);
    metric_label(&labels, "consumer", consumer->name);
    metric_init(&pair->records, METRIC_GAUGE, "weir_stream_consumer_lag_records",
                "Records that a named consumer has not read.", buf_cstr(&labels));
    metric_init(&pair->seconds, METRIC_GAUGE, "weir_stream_consumer_lag_seconds",
                "Age of the oldest record that a named consumer has not read.", buf_cstr(&labels));
    buf_done(&labels);
    return pair;
}

static void pair_free(struct pair *pair) {
    metric_done(&pair->records);
    metric_done(&pair->seconds);
    free(pair->stream);
    free(pair->name);
    free(pair);
}

static struct pair *find_pair(struct consumers *consumers, const struct stream_consumer *consumer) {
    for (struct pair *pair = consumers->pairs; pair; pair = pair->next)
        if (pair->created_s == consumer->created_s && str_eq(consumer->name, str_of(pair->name)) &&
            str_eq(consumer->stream, str_of(pair->stream)))
            return pair;
    return NULL;
}

static void drop_unseen(struct consumers *consumers) {
    for (struct pair **at = &consumers->pairs; *at;) {
        struct pair *pair = *at;
        if (pair->seen) {
            at = &pair->next;
            continue;
        }
        *at = pair->next;
        consumers->pair_count--;
        pair_free(pair);
    }
}

/* ---- positions ---- */

static void remove_stale(struct consumers *consumers) {
    struct facts_write *write;
    struct err err;
    if (buf_len(&consumers->stale) == 0 || facts_begin(consumers->facts, &write, &err))
        return;
    struct str rest = buf_str(&consumers->stale);
    while (rest.len) {
        struct stream_consumer consumer;
        size_t chars[2];
        memcpy(&consumer, rest.at, sizeof consumer);
        chars[0] = consumer.stream.len;
        chars[1] = consumer.name.len;
        consumer.stream = str_from(rest.at + sizeof consumer, chars[0]);
        consumer.name = str_from(rest.at + sizeof consumer + chars[0], chars[1]);
        stream_consumer_remove(write, &consumer);
        rest = str_skip(rest, sizeof consumer + chars[0] + chars[1]);
    }
    if (facts_commit(write, &err))
        log_warn("app", "positions of consumers of deleted streams: %s", err.text);
}

static void note_stale(struct consumers *consumers, const struct stream_consumer *consumer) {
    buf_add(&consumers->stale, consumer, sizeof *consumer);
    buf_add_str(&consumers->stale, consumer->stream);
    buf_add_str(&consumers->stale, consumer->name);
}

static bool on_position(void *data, const struct stream_consumer *consumer) {
    struct consumers *consumers = data;
    const struct stream *stream = stream_find(consumers->log, STREAM_DATA, consumer->stream);
    if (!stream || stream_created_s(stream) != consumer->created_s) {
        note_stale(consumers, consumer);
        return true;
    }
    struct pair *pair = find_pair(consumers, consumer);
    bool counted = pair && pair->seen;
    consumers->found += !counted;
    if (!pair && stream_is_counted(stream) && consumers->pair_count < CONSUMERS_MAX) {
        pair = pair_new(consumer);
        pair->next = consumers->pairs;
        consumers->pairs = pair;
        consumers->pair_count++;
    }
    if (pair)
        pair->seen = true;
    return true;
}

/* ---- lag ---- */

static void on_ready(struct stream_reader *reader, void *data) {}

/* When the record arrived, 0 if it cannot be read. */
static uint64_t arrival_ms(struct consumers *consumers, struct stream *stream, unsigned shard,
                           uint64_t counter) {
    const struct stream_position from = {.from = STREAM_AT_COUNTER, .counter = counter};
    struct stream_reader *reader;
    struct stream_batch batch;
    uint64_t ms = 0;
    if (stream_reader_open(stream, shard, consumers->loop, &from, on_ready, NULL, &reader, NULL))
        return 0;
    if (stream_reader_next(reader, 1, 1, &batch) == 0)
        ms = batch.records[0].arrival_ms;
    stream_reader_close(reader);
    return ms;
}

static void measure(struct consumers *consumers, struct pair *pair) {
    struct stream *stream = stream_find(consumers->log, STREAM_DATA, str_of(pair->stream));
    struct stream_consumer consumer = {
        .stream = str_of(pair->stream), .created_s = pair->created_s, .name = str_of(pair->name)};
    uint64_t records = 0, oldest_ms = UINT64_MAX, now_ms = clock_wall_ms();
    for (unsigned shard = 0; shard < stream_shard_count(stream); shard++) {
        struct stream_shard_info info;
        stream_shard_get(stream, shard, &info);
        consumer.shard = shard;
        consumer.counter = 0;
        if (info.removed || info.next_counter == info.first_counter ||
            (stream_consumer_get(consumers->facts, &consumer) == 0 &&
             consumer.counter >= info.next_counter))
            continue;
        if (consumer.counter < info.first_counter)
            consumer.counter = info.first_counter;
        records += info.next_counter - consumer.counter;
        uint64_t ms = arrival_ms(consumers, stream, shard, consumer.counter);
        if (ms && ms < oldest_ms)
            oldest_ms = ms;
    }
    metric_set(&pair->records, (int64_t)records);
    metric_set(&pair->seconds, oldest_ms < now_ms ? (int64_t)((now_ms - oldest_ms) / 1000) : 0);
}

static void on_scan(struct timer *timer) {
    struct consumers *consumers = CONTAINER_OF(timer, struct consumers, timer);
    for (struct pair *pair = consumers->pairs; pair; pair = pair->next)
        pair->seen = false;
    consumers->found = 0;
    buf_clear(&consumers->stale);
    int code = stream_consumer_each(consumers->facts, on_position, consumers);
    if (code) { /* What is shown stays as it was. */
        log_warn("app", "positions of consumers cannot be read: %s", err_text(code));
        return;
    }
    remove_stale(consumers);
    drop_unseen(consumers);
    for (struct pair *pair = consumers->pairs; pair; pair = pair->next)
        measure(consumers, pair);
    metric_set(&consumers->count, (int64_t)consumers->found);
}

/* ---- life ---- */

struct consumers *consumers_open(struct loop *loop, struct stream_log *log, struct facts *facts) {
    struct consumers *consumers = xcalloc(1, sizeof *consumers);
    consumers->loop = loop;
    consumers->log = log;
    consumers->facts = facts;
    metric_init(&consumers->count, METRIC_GAUGE, "weir_stream_consumers",
                "Named consumers of data streams.", NULL);
    timer_start(loop, &consumers->timer, 0, CONSUMERS_SCAN_MS, on_scan);
    return consumers;
}

static void on_timer_closed(struct timer *timer) {
    struct consumers *consumers = CONTAINER_OF(timer, struct consumers, timer);
    void (*closed)(void *data) = consumers->closed;
    void *data = consumers->closed_data;
    while (consumers->pairs) {
        struct pair *pair = consumers->pairs;
        consumers->pairs = pair->next;
        pair_free(pair);
    }
    metric_done(&consumers->count);
    buf_done(&consumers->stale);
    free(consumers);
    closed(data);
}

void consumers_close(struct consumers *consumers, void (*closed)(void *data), void *data) {
    consumers->closed = closed;
    consumers->closed_data = data;
    timer_close(&consumers->timer, on_timer_closed);
}
