/*
 * The producing side of a Kafka topic.
 *
 *      submit     a writer's batch comes to the engine thread and stands at the end of `pending`
 *      pump       its records go to librdkafka, which keeps pointers into the batch, until its queue
 *                 is full; the rest goes when reports have made room
 *      on_report  one per record, when all in-sync replicas have it or when librdkafka has given up;
 *                 with its last report the batch goes home
 *
 * The idempotent producer keeps the order within a partition, whatever is sent again, and sends
 * nothing twice by itself. It gives a record up after message.timeout.ms (which the configuration's
 * properties may set): then its ticket fails, and the publisher gets no acknowledgement; the record
 * may still have been written. When librdkafka finds that it can keep its promise no more (a broker
 * has lost what it had acknowledged), the handle is dead: what it has left fails, and another one
 * takes its place.
 *
 * Bounds: bytes by the writers' staging_bytes_max, which counts until a ticket has ended.
 */
#include <inttypes.h>

#include "base/mem.h"
#include "stream/kafka.h"
#include "stream/log.h"

enum { LOG_MS = 5000 };

static const struct kafka_setting settings[] = {
    {"enable.idempotence", "true"},
    {"acks", "all"},
    {"message.max.bytes", "11534336"}, /* the largest record, and what Kafka adds to it */
    {"queue.buffering.max.messages", "1000000"},
    {"linger.ms", "1"},
    {"message.timeout.ms", "60000"},
    {NULL, NULL},
};

static void show_waiting(struct kafka_producer *producer) {
    metric_set(&producer->waiting, (int64_t)producer->unreported);
}

/* ---- sending ---- */

static int status_of(rd_kafka_resp_err_t code) {
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE ? ERR_TOO_LARGE : ERR_IO;
}

static void log_failure(struct kafka_engine *engine, rd_kafka_resp_err_t code) {
    unsigned missed;
    metric_add(&engine->producer.failures, 1);
    if (log_limit_pass(&engine->producer.limit, LOG_MS, &missed))
        log_error("stream", "kafka topic %s: a record was not taken: %s (%u more like this)",
                  engine->topic, kafka.err2str(code), missed);
}

static rd_kafka_resp_err_t produce(struct kafka_engine *engine, struct engine_record *record) {
    struct str key = engine_record_key(record), data = engine_record_data(record);
    return kafka.producev(engine->producer.handle, RD_KAFKA_V_RKT(engine->producer.topic),
                          RD_KAFKA_V_PARTITION((int32_t)record->shard), RD_KAFKA_V_MSGFLAGS(0),
                          RD_KAFKA_V_KEY(key.at, key.len),
                          RD_KAFKA_V_VALUE((void *)(uintptr_t)data.at, data.len),
                          RD_KAFKA_V_TIMESTAMP((int64_t)record->batch->arrival_ms),
                          RD_KAFKA_V_OPAQUE(record), RD_KAFKA_V_END);
}

/* False: librdkafka has no room. Afterwards the batch may be home. */
static bool send_batch(struct kafka_engine *engine, struct engine_batch *batch) {
    struct kafka_producer *producer = &engine->producer;
    for (size_t count = batch->count; producer->at < count; producer->at++) {
        struct engine_record *record = &batch->records[producer->at];
        rd_kafka_resp_err_t code = produce(engine, record);
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL || code == RD_KAFKA_RESP_ERR__FATAL)
            return false;
        if (code) {
            log_failure(engine, code);
            engine_record_settle(record, status_of(code), 0, 0);
        } else {
            producer->unreported++;
        }
    }
    return true;
}

static struct engine_batch *pop_pending(struct kafka_producer *producer) {
    struct engine_batch *batch = producer->pending;
    producer->pending = batch->next;
    if (!producer->pending)
        producer->pending_end = &producer->pending;
    producer->at = 0;
    return batch;
}

static void pump(struct kafka_engine *engine) {
    struct kafka_producer *producer = &engine->producer;
    while (producer->pending && !producer->fatal) {
        struct engine_batch *batch = producer->pending, *next = batch->next;
        if (!send_batch(engine, batch))
            break;
        producer->pending = next;
        if (!next)
            producer->pending_end = &producer->pending;
        producer->at = 0;
    }
    show_waiting(producer);
}

void kafka_producer_submit(struct stream_engine *base, struct engine_batch *batch) {
    struct kafka_engine *engine = kafka_engine_of(base);
    struct kafka_producer *producer = &engine->producer;
    if (producer->gave_up) {
        engine_batch_fail(batch, 0, ERR_IO);
        return;
    }
    batch->next = NULL;
    *producer->pending_end = batch;
    producer->pending_end = &batch->next;
    pump(engine);
}

/* ---- reports ---- */

/* On the engine thread, from within poll. */
static void on_report(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque) {
    struct kafka_engine *engine = opaque;
    struct engine_record *record = message->_private;
    uint64_t next = (uint64_t)message->offset + 1;
    engine->producer.unreported--;
    if (message->err) {
        log_failure(engine, message->err);
    } else {
        metric_add(&engine->producer.records, 1);
        kafka_tip_raise(engine, record->shard, next);
    }
    engine_record_settle(record, status_of(message->err), next - 1, record->batch->arrival_ms);
}

static int open_handle(struct kafka_engine *engine, struct err *err);
static void close_handle(struct kafka_producer *producer);

/* The reports of the dead handle are all in. */
static void replace_handle(struct kafka_engine *engine) {
    struct kafka_producer *producer = &engine->producer;
    struct err err;
    if (engine->asking_tips)
        return; /* They use the handle; the next report or timer tries again. */
    close_handle(producer);
    if (open_handle(engine, &err))
        log_error("stream", "%s", err.text);
    producer->fatal = !producer->handle;
}

void kafka_producer_check(struct kafka_engine *engine) {
    struct kafka_producer *producer = &engine->producer;
    char why[256];
    if (producer->gave_up)
        return;
    if (producer->handle && !producer->fatal &&
        kafka.fatal_error(producer->handle, why, sizeof why)) {
        log_error("stream", "kafka topic %s: the producer begins anew: %s", engine->topic, why);
        producer->fatal = true;
        kafka.purge(producer->handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    }
    if (producer->fatal && !producer->unreported)
        replace_handle(engine);
    pump(engine);
}

static void on_reports(struct task *task) {
    struct kafka_engine *engine = CONTAINER_OF(task, struct kafka_engine, producer.reports);
    atomic_store(&engine->producer.reports_posted, false);
    if (engine->producer.handle)
        kafka.poll(engine->producer.handle, 0);
    kafka_producer_check(engine);
}

/* On a thread of librdkafka. */
static void on_queue(rd_kafka_t *handle, void *opaque) {
    struct kafka_engine *engine = opaque;
    if (!atomic_exchange(&engine->producer.reports_posted, true))
        loop_post(engine->engine.loop, &engine->producer.reports);
}

/* ---- life ---- */

static void prepare(rd_kafka_conf_t *conf) {
    kafka.conf_set_dr_msg_cb(conf, on_report);
}

static void watch(struct kafka_engine *engine, void (*on_event)(rd_kafka_t *handle, void *opaque)) {
    rd_kafka_queue_t *queue = kafka.queue_get_main(engine->producer.handle);
    kafka.queue_cb_event_enable(queue, on_event, engine);
    kafka.queue_destroy(queue);
}

static int open_handle(struct kafka_engine *engine, struct err *err) {
    struct kafka_producer *producer = &engine->producer;
    producer->handle = kafka_handle_new(engine, RD_KAFKA_PRODUCER, settings, prepare, engine, err);
    if (!producer->handle)
        return ERR_INVALID;
    producer->topic = kafka.topic_new(producer->handle, engine->topic, NULL);
    if (!producer->topic)
        return err_set(err, ERR_INVALID, "kafka topic %s: %s", engine->topic,
                       kafka.err2str(kafka.last_error()));
    watch(engine, on_queue);
    /* librdkafka tells of a queue that was empty: what it put in before would keep it silent for ever. */
    kafka.poll(producer->handle, 0);
    return 0;
}

static void close_handle(struct kafka_producer *producer) {
    if (producer->topic)
        kafka.topic_destroy(producer->topic);
    if (producer->handle)
        kafka.destroy(producer->handle);
    producer->topic = NULL;
    producer->handle = NULL;
}

static void init_metrics(struct kafka_engine *engine) {
    struct buf labels = {0};
    struct kafka_producer *producer = &engine->producer;
    metric_label(&labels, "stream", str_of(engine->engine.stream->name));
    metric_label(&labels, "engine", STR("kafka"));
    metric_init(&producer->records, METRIC_COUNTER, "weir_engine_records_total",
                "Records that the engine of a stream has taken.", buf_cstr(&labels));
    metric_init(&producer->failures, METRIC_COUNTER, "weir_engine_failures_total",
                "Records that the engine of a stream has not taken.", buf_cstr(&labels));
    metric_init(&producer->waiting, METRIC_GAUGE, "weir_engine_waiting_records",
                "Records sent to the engine of a stream and not yet reported.", buf_cstr(&labels));
    buf_done(&labels);
}

int kafka_producer_open(struct kafka_engine *engine, struct err *err) {
    engine->producer.pending_end = &engine->producer.pending;
    engine->producer.reports.run = on_reports;
    init_metrics(engine);
    return open_handle(engine, err);
}

/* What is in flight is reported too, as purged. */
void kafka_producer_give_up(struct stream_engine *base) {
    struct kafka_engine *engine = kafka_engine_of(base);
    struct kafka_producer *producer = &engine->producer;
    if (producer->gave_up)
        return;
    producer->gave_up = true;
    if (producer->pending || producer->unreported)
        log_warn("stream", "kafka topic %s: %zu records are given up; they were not acknowledged",
                 engine->topic, producer->unreported);
    while (producer->pending) {
        size_t from = producer->at;
        engine_batch_fail(pop_pending(producer), from, ERR_IO);
    }
    kafka.purge(producer->handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

void kafka_producer_stop(struct kafka_engine *engine) {
    kafka_producer_give_up(&engine->engine);
    watch(engine, NULL);
}

void kafka_producer_free(struct kafka_engine *engine) {
    struct kafka_producer *producer = &engine->producer;
    close_handle(producer);
    metric_done(&producer->records);
    metric_done(&producer->failures);
    metric_done(&producer->waiting);
}
