/*
 * A Kafka topic as the engine of a stream.
 *
 *      shard             a partition; as many as the topic has when Weir starts
 *      counter           the offset, and so part of the sequence number
 *      shard of a key    MD5 in even ranges, as in Kinesis, when we are the producer: the partition is
 *                        told explicitly, librdkafka's partitioner is not asked
 *      commit            the delivery report: acks=all, idempotent producer
 *      creation time     of the stream and its shards: 1 (second), the same on every node, so that a
 *                        record has one sequence number wherever it is read. A topic that was deleted
 *                        and made anew under its name is the same stream.
 *
 * Kafka's offsets may have gaps (markers of transactions, compaction); nothing here counts on there
 * being none but the lag, which then shows too much.
 *
 * Three kinds of handles of librdkafka: one producer; *lanes*, which are consumers without a group,
 * each with one cursor per partition (kafka_reader.c); and groups. Handles have threads of their own,
 * which reach Weir's loops only by loop_post().
 *
 * The ends of the partitions are asked for every KAFKA_TIP_MS on libuv's pool, and moved on by
 * delivery reports and by what is read: STREAM_LATEST lies behind all that this node has had
 * acknowledged, and is at most that much behind what other nodes have written.
 */
#include "stream/kafka.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stream/log.h"

enum { TIP_ANSWER_MS = 1000, CREATED_S = 1, LOG_MS = 10000 };

/* ---- handles ---- */

/* What durability and order rest on, and what a handle's use decides. */
static const char *const reserved[] = {"acks",
                                       "request.required.acks",
                                       "auto.offset.reset",
                                       "bootstrap.servers",
                                       "metadata.broker.list",
                                       "enable.auto.commit",
                                       "enable.auto.offset.store",
                                       "enable.idempotence",
                                       "group.id",
                                       "max.in.flight",
                                       "max.in.flight.requests.per.connection",
                                       "message.send.max.retries",
                                       "retries",
                                       "transactional.id"};

int stream_kafka_check(const struct stream_kafka_config *config, struct err *err) {
    if (!config->brokers.count)
        return conf_error(config->head.conf, err, ERR_INVALID,
                          "kafka: brokers: at least one host:port is wanted");
    for (size_t i = 0; i < config->properties.count; i++)
        for (size_t j = 0; j < COUNT_OF(reserved); j++)
            if (strcmp(config->properties.items[i].key, reserved[j]) == 0)
                return conf_error(config->head.conf, err, ERR_INVALID,
                                  "kafka: properties: Weir itself sets %s", reserved[j]);
    return 0;
}

/* librdkafka's threads log here. Levels are syslog's. */
static void on_log(const rd_kafka_t *handle, int level, const char *facility, const char *text) {
    if (level <= 4)
        log_warn("stream", "kafka: %s: %s", facility, text);
    else
        log_debug("stream", "kafka: %s: %s", facility, text);
}

static int set(rd_kafka_conf_t *conf, const char *key, const char *value, struct err *err) {
    char why[256];
    if (!value || kafka.conf_set(conf, key, value, why, sizeof why) == RD_KAFKA_CONF_OK)
        return 0;
    return err_set(err, ERR_INVALID, "kafka: %s", why);
}

static int set_brokers(rd_kafka_conf_t *conf, const struct stream_kafka_config *config,
                       struct err *err) {
    struct buf list = {0};
    for (size_t i = 0; i < config->brokers.count; i++)
        buf_printf(&list, "%s%s", i ? "," : "", config->brokers.items[i]);
    int status = set(conf, "bootstrap.servers", buf_cstr(&list), err);
    buf_done(&list);
    return status;
}

static int set_all(rd_kafka_conf_t *conf, const struct stream_kafka_config *config,
                   const struct kafka_setting *extra, struct err *err) {
    const struct kafka_setting settings[] = {
        {"client.id", "weir"},
        {"security.protocol", config->security_protocol},
        {"sasl.mechanism", config->sasl_mechanism},
        {"sasl.username", config->sasl_username},
        {"sasl.password", config->sasl_password},
        {"ssl.ca.location", config->ssl_ca_location},
        {"ssl.certificate.location", config->ssl_certificate_location},
        {"ssl.key.location", config->ssl_key_location},
        {"ssl.key.password", config->ssl_key_password},
        {"reconnect.backoff.max.ms", "2000"},
        {"topic.metadata.refresh.interval.ms", "10000"},
    };
    int status = set_brokers(conf, config, err);
    for (size_t i = 0; !status && i < COUNT_OF(settings); i++)
        status = set(conf, settings[i].key, settings[i].value, err);
    for (; !status && extra->key; extra++)
        status = set(conf, extra->key, extra->value, err);
    for (size_t i = 0; !status && i < config->properties.count; i++)
        status = set(conf, config->properties.items[i].key, config->properties.items[i].value, err);
    return status;
}

rd_kafka_t *kafka_handle_new(struct kafka_engine *engine, rd_kafka_type_t type,
                             const struct kafka_setting *extra,
                             void (*prepare)(rd_kafka_conf_t *conf), void *opaque,
                             struct err *err) {
    char why[256];
    rd_kafka_conf_t *conf = kafka.conf_new();
    kafka.conf_set_log_cb(conf, on_log);
    kafka.conf_set_opaque(conf, opaque);
    if (prepare)
        prepare(conf);
    rd_kafka_t *handle = NULL;
    if (!set_all(conf, engine->config, extra, err)) {
        handle = kafka.new(type, conf, why, sizeof why);
        if (!handle)
            err_set(err, ERR_INVALID, "kafka: %s", why);
    }
    if (!handle)
        kafka.conf_destroy(conf);
    return handle;
}

/* ---- tips ---- */

static void raise_to(_Atomic uint64_t *value, uint64_t to) {
    uint64_t now = atomic_load(value);
    while (now < to && !atomic_compare_exchange_weak(value, &now, to))
        ;
}

void kafka_tip_raise(struct kafka_engine *engine, unsigned partition, uint64_t high) {
    raise_to(&engine->tips[partition].high, high);
}

rd_kafka_resp_err_t kafka_ask_offsets(rd_kafka_t *handle, const char *topic, unsigned first,
                                      unsigned count, int64_t moment, int64_t *ret_offsets,
                                      int timeout_ms) {
    rd_kafka_topic_partition_list_t *list = kafka.topic_partition_list_new((int)count);
    for (unsigned i = 0; i < count; i++)
        kafka.topic_partition_list_add(list, topic, (int32_t)(first + i))->offset = moment;
    rd_kafka_resp_err_t code = kafka.offsets_for_times(handle, list, timeout_ms);
    for (int i = 0; i < list->cnt && !code; i++) {
        const rd_kafka_topic_partition_t *answer = &list->elems[i];
        code = answer->err;
        ret_offsets[(unsigned)answer->partition - first] = answer->offset;
    }
    kafka.topic_partition_list_destroy(list);
    return code;
}

/* Blocks; on a pool thread, or on main before the loops run. */
static rd_kafka_resp_err_t ask_tips(struct kafka_engine *engine, int timeout_ms) {
    static const int64_t moments[] = {RD_KAFKA_OFFSET_BEGINNING, RD_KAFKA_OFFSET_END};
    int64_t *offsets = xcalloc(engine->partitions, sizeof *offsets);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    for (size_t m = 0; m < COUNT_OF(moments) && !code; m++) {
        code = kafka_ask_offsets(engine->producer.handle, engine->topic, 0, engine->partitions,
                                 moments[m], offsets, timeout_ms);
        for (unsigned i = 0; i < engine->partitions && !code; i++) {
            struct kafka_tip *tip = &engine->tips[i];
            if (offsets[i] >= 0)
                raise_to(m == 0 ? &tip->low : &tip->high, (uint64_t)offsets[i]);
        }
    }
    free(offsets);
    return code;
}

static void ask_tips_again(struct work *work) {
    struct kafka_engine *engine = CONTAINER_OF(work, struct kafka_engine, tip_work);
    rd_kafka_resp_err_t code = ask_tips(engine, TIP_ANSWER_MS);
    unsigned missed;
    if (code && !atomic_load(&engine->stopping) &&
        log_limit_pass(&engine->tip_limit, LOG_MS, &missed))
        log_warn("stream", "kafka topic %s: its ends are not known: %s (%u more like this)",
                 engine->topic, kafka.err2str(code), missed);
}

static void on_tips(struct work *work) {
    struct kafka_engine *engine = CONTAINER_OF(work, struct kafka_engine, tip_work);
    engine->asking_tips = false;
    kafka_producer_check(engine);
}

static void on_tip_timer(struct timer *timer) {
    struct kafka_engine *engine = CONTAINER_OF(timer, struct kafka_engine, tip_timer);
    kafka_producer_check(engine);
    if (engine->asking_tips || engine->producer.fatal)
        return;
    engine->asking_tips = true;
    loop_work(engine->engine.loop, &engine->tip_work, ask_tips_again, on_tips);
}

/* ---- shards ---- */

static void shard_get(const struct stream *stream, unsigned shard, struct stream_shard_info *info) {
    struct kafka_tip *tip = &kafka_engine_of(stream->engine)->tips[shard];
    info->first_counter = atomic_load(&tip->low);
    info->next_counter = atomic_load(&tip->high);
}

static void make_layout(struct stream *stream, unsigned partitions) {
    struct meta meta;
    meta_make(&meta, STREAM_DATA, partitions);
    meta.created_s = stream->created_s = CREATED_S;
    meta.retention_ms = stream->config.retention_ms;
    for (unsigned i = 0; i < partitions; i++)
        meta.shards[i].opened_ms = CREATED_S * 1000;
    stream->layout = layout_new(&meta, NULL);
}

/* ---- opening ---- */

static const rd_kafka_metadata_topic_t *topic_in(const struct rd_kafka_metadata *metadata) {
    return metadata->topic_cnt == 1 ? &metadata->topics[0] : NULL;
}

static int check_topic(const struct kafka_engine *engine, const rd_kafka_metadata_topic_t *topic,
                       struct err *err) {
    if (topic && topic->err)
        return err_set(err, ERR_NOT_FOUND, "kafka topic %s: %s", engine->topic,
                       kafka.err2str(topic->err));
    if (!topic || topic->partition_cnt < 1 || topic->partition_cnt > META_SHARDS_MAX)
        return err_set(err, ERR_INVALID, "kafka topic %s: 1 to %d partitions are wanted",
                       engine->topic, META_SHARDS_MAX);
    return 0;
}

/* A topic that was made this moment may have no leaders for a while. */
static int ask_partitions(struct kafka_engine *engine, struct err *err) {
    uint64_t end_ns = clock_mono_ns() + (uint64_t)KAFKA_ANSWER_MS * 1000000;
    int status;
    do {
        const struct rd_kafka_metadata *metadata;
        rd_kafka_resp_err_t code = kafka.metadata(
            engine->producer.handle, 0, engine->producer.topic, &metadata, KAFKA_ANSWER_MS);
        if (code)
            return err_set(err, ERR_TIMEOUT, "kafka brokers %s%s do not answer: %s",
                           engine->config->brokers.items[0],
                           engine->config->brokers.count > 1 ? ", ..." : "", kafka.err2str(code));
        const rd_kafka_metadata_topic_t *topic = topic_in(metadata);
        status = check_topic(engine, topic, err);
        if (!status)
            engine->partitions = (unsigned)topic->partition_cnt;
        kafka.metadata_destroy(metadata);
    } while (status && clock_mono_ns() < end_ns && usleep(100000) == 0);
    return status;
}

static int ask_topic(struct kafka_engine *engine, struct err *err) {
    int status = ask_partitions(engine, err);
    if (status)
        return status;
    engine->tips = xcalloc(engine->partitions, sizeof *engine->tips);
    rd_kafka_resp_err_t code = ask_tips(engine, KAFKA_ANSWER_MS);
    return code
               ? err_set(err, ERR_TIMEOUT, "kafka topic %s: %s", engine->topic, kafka.err2str(code))
               : 0;
}

static void start_timers(void *data) {
    struct kafka_engine *engine = data;
    timer_start(engine->engine.loop, &engine->tip_timer, KAFKA_TIP_MS, KAFKA_TIP_MS, on_tip_timer);
}

static void free_engine(struct stream_engine *base) {
    struct kafka_engine *engine = kafka_engine_of(base);
    kafka_members_free(engine);
    kafka_lanes_free(engine);
    kafka_producer_free(engine);
    free(engine->tips);
    free(engine);
}

static void stop_engine(struct stream_engine *base) {
    struct kafka_engine *engine = kafka_engine_of(base);
    atomic_store(&engine->stopping, true);
    kafka_producer_stop(engine);
    timer_close(&engine->tip_timer, NULL);
}

static bool is_shared(const struct stream *stream) {
    const char *group = kafka_engine_of(stream->engine)->config->group;
    return group && group[0];
}

static const struct engine_ops ops = {
    .name = "kafka",
    .writer_picks = true,
    .unchanged = "it is a Kafka topic; partitions and retention are changed in Kafka",
    .shard_get = shard_get,
    .reader_open = kafka_reader_open,
    .reader_close = kafka_reader_close,
    .reader_next = kafka_reader_next,
    .reader_seek = kafka_reader_seek,
    .reader_counter = kafka_reader_counter,
    .reader_skipped = kafka_reader_skipped,
    .reader_lag = kafka_reader_lag,
    .reader_pending = kafka_reader_pending,
    .is_shared = is_shared,
    .member_join = kafka_member_join,
    .member_commit = kafka_member_commit,
    .member_note = kafka_member_note,
    .member_forget_note = kafka_member_forget_note,
    .member_leave = kafka_member_leave,
    .submit = kafka_producer_submit,
    .give_up = kafka_producer_give_up,
    .stop = stop_engine,
    .free = free_engine,
};

static void stop_producer(void *data) {
    struct kafka_engine *engine = data;
    if (engine->producer.handle)
        kafka_producer_stop(engine);
}

static void do_nothing(void *data) {}

/* librdkafka's threads may have posted to the loop until the first call is through; the second one
 * runs behind what they posted. */
static void abandon(struct kafka_engine *engine) {
    loop_call(engine->engine.loop, stop_producer, engine);
    loop_call(engine->engine.loop, do_nothing, engine);
    free_engine(&engine->engine);
}

int kafka_engine_open(struct stream *stream, struct loop *loop,
                      const struct stream_kafka_config *config, struct stream_engine **ret_engine,
                      struct err *err) {
    int status = kafka_calls_load(err);
    if (status)
        return status;
    struct kafka_engine *engine = xcalloc(1, sizeof *engine);
    engine->engine = (struct stream_engine){.ops = &ops, .stream = stream, .loop = loop};
    engine->config = config;
    list_init(&engine->members);
    engine->topic = config->topic && config->topic[0] ? config->topic : stream->name;
    status = kafka_producer_open(engine, err);
    if (!status)
        status = ask_topic(engine, err);
    if (status) {
        abandon(engine);
        return status;
    }
    make_layout(stream, engine->partitions);
    loop_call(loop, start_timers, engine);
    log_info("stream", "%s is the Kafka topic %s with %u partitions", stream->name, engine->topic,
             engine->partitions);
    *ret_engine = &engine->engine;
    return 0;
}
