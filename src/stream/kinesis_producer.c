/*
 * The producing side: PutRecords, one request at a time, of the oldest records that have no answer
 * yet. Those that the answer says have failed, or all if there was no answer, stand at the head of the
 * next request, in their order, after a pause that doubles; so nothing that is sent later overtakes
 * them. Within one request Kinesis itself may take a record and not an earlier one (API reference,
 * PutRecords: the order is not guaranteed).
 *
 * A request that the other side can never take (a record may be larger than the stream there allows) is
 * cut into requests of one record each, and the one that is refused then fails at once; the others do
 * not suffer for it.
 *
 * Records that went to shards which are new there are answered for when the shards are known here.
 *
 * A record that has found no taker for GIVE_UP_MS fails, and with it its ticket. A request without an
 * answer may have been carried out, and its records are then there twice: at least once, never
 * acknowledged and lost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "stream/kinesis.h"
#include "stream/log.h"

enum { PAUSE_MS_MIN = 100, PAUSE_MS_MAX = 5000, GIVE_UP_MS = 60000, LOG_MS = 5000 };

static void send_next(struct kinesis_engine *engine);

/* ---- the request ---- */

static size_t bytes_of(const struct engine_record *record) {
    return record->key_bytes + record->data_bytes;
}

static void take_pending(struct kinesis_producer *producer) {
    size_t bytes = 0;
    for (size_t i = 0; i < producer->count; i++)
        bytes += bytes_of(producer->sending[i]);
    while (producer->pending && producer->count < KINESIS_PUT_RECORDS_MAX) {
        struct engine_batch *batch = producer->pending;
        struct engine_record *record = &batch->records[producer->at];
        if (producer->count && bytes + bytes_of(record) > KINESIS_PUT_BYTES_MAX)
            return;
        bytes += bytes_of(record);
        producer->sending[producer->count++] = record;
        if (++producer->at < batch->count)
            continue;
        producer->at = 0;
        producer->pending = batch->next;
        if (!producer->pending)
            producer->pending_end = &producer->pending;
    }
}

static void write_record(struct buf *out, const struct engine_record *record) {
    struct str hash = engine_record_hash(record);
    json_write_comma(out);
    buf_add_str(out, STR("{\"Data\":\""));
    base64_write(out, engine_record_data(record));
    buf_add_u8(out, '"');
    json_write_text(out, "PartitionKey", engine_record_key(record));
    if (hash.len) {
        json_write_text(out, "ExplicitHashKey", hash);
    }
    buf_add_u8(out, '}');
}

static void on_put(struct kinesis_call *call, int status, struct json_value answer);

static void on_timer(struct timer *timer) {
    send_next(CONTAINER_OF(timer, struct kinesis_engine, producer.timer));
}

static void send_next(struct kinesis_engine *engine) {
    struct kinesis_producer *producer = &engine->producer;
    struct kinesis_call *call = &producer->call;
    if (producer->under_way || timer_running(&producer->timer))
        return;
    take_pending(producer);
    if (!producer->count)
        return;
    kinesis_call_begin(call, engine);
    json_write_key(&call->body, "Records");
    buf_add_u8(&call->body, '[');
    producer->sent = producer->single ? 1 : producer->count;
    for (size_t i = 0; i < producer->sent; i++)
        write_record(&call->body, producer->sending[i]);
    buf_add_u8(&call->body, ']');
    producer->under_way = true;
    kinesis_call_send(call, "PutRecords", on_put);
}

/* ---- the answer ---- */

static void fail(struct kinesis_producer *producer, struct engine_record *record, int status) {
    metric_add(&producer->failed, 1);
    engine_record_settle(record, status, 0, 0);
}

static struct kinesis_place read_place(struct kinesis_call *call, struct json_value item) {
    struct sequence sequence;
    struct str code = json_str(json_member(item, STR("ErrorCode")), &call->arena);
    struct str number = json_str(json_member(item, STR("SequenceNumber")), &call->arena);
    if (!number.len) {
        struct str text = json_str(json_member(item, STR("ErrorMessage")), &call->arena);
        snprintf(call->why, sizeof call->why, "%.*s %.*s", STR_ARG(code), STR_ARG(text));
        return (struct kinesis_place){0};
    }
    if (sequence_read(number, &sequence))
        sequence = (struct sequence){0}; /* It is kept; only the receipt cannot say where. */
    return (struct kinesis_place){.kept = true,
                                  .shard = sequence.shard,
                                  .counter = sequence.counter,
                                  .arrival_ms = sequence.arrival_s * 1000};
}

static void read_places(struct kinesis_producer *producer, int status, struct json_value answer) {
    struct json_cursor items = json_each(json_member(answer, STR("Records")));
    for (size_t i = 0; i < producer->sent; i++)
        producer->places[i] = !status && json_next(&items)
                                  ? read_place(&producer->call, items.value)
                                  : (struct kinesis_place){.refused = status == ERR_INVALID};
}

static bool is_too_old(const struct engine_record *record) {
    return clock_wall_ms() > record->batch->arrival_ms + GIVE_UP_MS;
}

static void log_refused(struct kinesis_producer *producer) {
    const struct kinesis_engine *engine = producer->call.engine;
    unsigned missed;
    if (log_limit_pass(&producer->limit, LOG_MS, &missed))
        log_error("stream", "kinesis stream %s: a record was not taken: %s (%u more like this)",
                  engine->stream, producer->call.why, missed);
}

/* Those without a place there stay in `sending`, in their order. Returns how many of those that
 * were sent. */
static size_t settle_sent(struct kinesis_producer *producer) {
    size_t left = 0;
    for (size_t i = 0; i < producer->sent; i++) {
        struct engine_record *record = producer->sending[i];
        const struct kinesis_place *place = &producer->places[i];
        if (place->kept) {
            record->shard = place->shard;
            metric_add(&producer->records, 1);
            engine_record_settle(record, 0, place->counter, place->arrival_ms);
        } else if (place->refused) {
            log_refused(producer);
            fail(producer, record, ERR_INVALID);
        } else if (is_too_old(record)) {
            fail(producer, record, ERR_IO);
        } else {
            producer->sending[left++] = record;
        }
    }
    size_t gone = producer->sent - left;
    memmove(producer->sending + left, producer->sending + producer->sent,
            (producer->count - producer->sent) * sizeof producer->sending[0]);
    producer->count -= gone;
    producer->single -= gone < producer->single ? gone : producer->single;
    return left;
}

static void try_again_later(struct kinesis_engine *engine) {
    struct kinesis_producer *producer = &engine->producer;
    unsigned missed;
    producer->failures++;
    metric_add(&producer->retried, (int64_t)producer->count);
    if (log_limit_pass(&producer->limit, LOG_MS, &missed))
        log_warn("stream", "kinesis stream %s: records wait: %s (%u more like this)",
                 engine->stream, producer->call.why, missed);
    timer_start(engine->engine.loop, &producer->timer,
                backoff_ms(PAUSE_MS_MIN, PAUSE_MS_MAX, producer->failures), 0, on_timer);
}

/* Whoever gets a receipt asks for the shard's number, so it must be known by then. */
static bool knows_shards(const struct kinesis_engine *engine) {
    const struct kinesis_producer *producer = &engine->producer;
    const struct meta *known = &engine->discovery.known->meta;
    for (size_t i = 0; i < producer->sent; i++)
        if (producer->places[i].kept && producer->places[i].shard >= known->shard_count)
            return false;
    return true;
}

static void finish_put(struct kinesis_engine *engine) {
    struct kinesis_producer *producer = &engine->producer;
    producer->waits_for_shards = !knows_shards(engine);
    if (producer->waits_for_shards) {
        kinesis_discover(engine);
        return;
    }
    producer->under_way = false;
    if (settle_sent(producer)) {
        try_again_later(engine);
        return;
    }
    producer->failures = 0;
    send_next(engine);
}

static void on_put(struct kinesis_call *call, int status, struct json_value answer) {
    struct kinesis_producer *producer = &call->engine->producer;
    if (status == ERR_INVALID && producer->sent > 1) {
        producer->single = producer->sent;
        producer->under_way = false;
        send_next(call->engine);
        return;
    }
    read_places(producer, status, answer);
    finish_put(call->engine);
}

static void on_shards_timer(struct timer *timer) {
    finish_put(CONTAINER_OF(timer, struct kinesis_engine, producer.timer));
}

/* If it has not found them yet, a later one does. */
void kinesis_producer_on_discovery(struct kinesis_engine *engine) {
    struct kinesis_producer *producer = &engine->producer;
    if (producer->waits_for_shards && !timer_running(&producer->timer))
        timer_start(engine->engine.loop, &producer->timer, knows_shards(engine) ? 0 : PAUSE_MS_MIN,
                    0, on_shards_timer);
}

void kinesis_producer_submit(struct stream_engine *base, struct engine_batch *batch) {
    struct kinesis_engine *engine = kinesis_engine_of(base);
    struct kinesis_producer *producer = &engine->producer;
    if (producer->gave_up) {
        engine_batch_fail(batch, 0, ERR_IO);
        return;
    }
    batch->next = NULL;
    *producer->pending_end = batch;
    producer->pending_end = &batch->next;
    send_next(engine);
}

/* ---- life ---- */

void kinesis_producer_init(struct kinesis_engine *engine) {
    struct kinesis_producer *producer = &engine->producer;
    struct buf labels = {0};
    producer->pending_end = &producer->pending;
    metric_label(&labels, "stream", str_of(engine->engine.stream->name));
    metric_label(&labels, "engine", STR("kinesis"));
    metric_init(&producer->records, METRIC_COUNTER, "weir_engine_records_total",
                "Records that the engine of a stream has taken.", buf_cstr(&labels));
    metric_init(&producer->failed, METRIC_COUNTER, "weir_engine_failures_total",
                "Records that the engine of a stream has not taken.", buf_cstr(&labels));
    metric_init(&producer->retried, METRIC_COUNTER, "weir_engine_retries_total",
                "Records that had to be sent to the engine of a stream again.", buf_cstr(&labels));
    buf_done(&labels);
}

void kinesis_producer_give_up(struct stream_engine *base) {
    struct kinesis_engine *engine = kinesis_engine_of(base);
    struct kinesis_producer *producer = &engine->producer;
    if (producer->gave_up)
        return;
    producer->gave_up = true;
    producer->waits_for_shards = false;
    if (producer->count || producer->pending)
        log_warn("stream", "kinesis stream %s: records are given up; they were not acknowledged",
                 engine->stream);
    kinesis_call_done(&producer->call);
    timer_stop(&producer->timer);
    for (size_t i = 0; i < producer->count; i++)
        fail(producer, producer->sending[i], ERR_IO);
    producer->count = 0;
    while (producer->pending) {
        struct engine_batch *batch = producer->pending;
        producer->pending = batch->next;
        engine_batch_fail(batch, producer->at, ERR_IO);
        producer->at = 0;
    }
}

void kinesis_producer_stop(struct kinesis_engine *engine) {
    kinesis_producer_give_up(&engine->engine);
    timer_close(&engine->producer.timer, NULL);
}

void kinesis_producer_done(struct kinesis_engine *engine) {
    metric_done(&engine->producer.records);
    metric_done(&engine->producer.failed);
    metric_done(&engine->producer.retried);
}
