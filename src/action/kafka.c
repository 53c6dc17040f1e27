/*
 * kafka: a message to a Kafka topic, through librdkafka, which is loaded when the first rule asks for
 * it. Keys are those of AWS's action (AWS IoT developer guide, "Apache Kafka"); client_properties are
 * librdkafka's, which are Java's for all that both have.
 *
 * The producer is idempotent unless client_properties say otherwise: order within a partition holds,
 * and librdkafka sends nothing twice by itself. What it gives up after message.timeout.ms comes again
 * from the runner and may then be in the topic twice. A message that Kafka can never take (too large, a
 * topic name that is none) goes to the error action.
 *
 * librdkafka works on threads of its own. They post `reports` to the loop, which polls: every callback
 * runs on the loop. Destroying a producer waits for those threads, so it is done on the pool.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "action/kinds.h"
#include "action/target.h"
#include "base/mem.h"
#include "io/kafka_calls.h"

enum { HEADERS_MAX = 100, HEADER_KEY_BYTES_MAX = 240, PARTITION_DIGITS_MAX = 9 };

#define HEADER STR("header.")

struct kafka_header {
    struct option_head head;
    const char *key, *value;
};

struct kafka_settings {
    struct action_settings common;
    struct option_pairs properties;
    const char *topic, *key, *partition;
    struct option_items headers; /* struct kafka_header */
    const char *destination;
};

struct kafka_target {
    struct action_target target;
    struct loop *loop;
    rd_kafka_t *producer;
    struct task reports;
    _Atomic bool reports_posted;
    struct work destroy;
    bool is_destroyed;
    void (*closed)(void *data); /* set: closing */
    void *closed_data;
};

/* ---- configuration ---- */

#define AT(field) offsetof(struct kafka_settings, field)

static const struct option header_options[] = {
    {.key = "key",
     .type = OPTION_STRING,
     .offset = offsetof(struct kafka_header, key),
     .required = true},
    {.key = "value",
     .type = OPTION_STRING,
     .offset = offsetof(struct kafka_header, value),
     .required = true,
     .help = "template"},
    {.key = NULL},
};

static const struct option options[] = {
    {.key = "client_properties",
     .type = OPTION_STRING_MAP,
     .offset = AT(properties),
     .required = true,
     .help = "of librdkafka; bootstrap.servers must be there"},
    {.key = "topic",
     .type = OPTION_STRING,
     .offset = AT(topic),
     .required = true,
     .help = "template"},
    {.key = "key", .type = OPTION_STRING, .offset = AT(key), .help = "template"},
    {.key = "partition",
     .type = OPTION_STRING,
     .offset = AT(partition),
     .help = "template; absent: by the key, as Java's clients do"},
    {.key = "headers",
     .type = OPTION_LIST,
     .offset = AT(headers),
     .fields = header_options,
     .item_size = sizeof(struct kafka_header),
     .help = "at most 100"},
    {.key = "destination_arn",
     .type = OPTION_STRING,
     .offset = AT(destination),
     .help = "of AWS's VPC, which AWS's clients must name; means nothing here"},
    ACTION_COMMON_OPTIONS("-1", "0s"),
};

/* Java's alone; what they say is so here anyway. */
static bool is_java_only(const char *key) {
    return strcmp(key, "key.serializer") == 0 || strcmp(key, "value.serializer") == 0;
}

static int set_property(rd_kafka_conf_t *conf, const char *key, const char *value,
                        const struct conf *at, struct err *err) {
    char why[256];
    if (strstr(value, "${get_secret("))
        return conf_error(at, err, ERR_INVALID,
                          "kafka: client_properties are no templates: write the secret itself, or "
                          "${env:NAME} in the file");
    if (is_java_only(key) || kafka.conf_set(conf, key, value, why, sizeof why) == RD_KAFKA_CONF_OK)
        return 0;
    return conf_error(at, err, ERR_INVALID, "kafka: %s", why);
}

/* NULL: `err` tells. */
static rd_kafka_conf_t *make_conf(const struct kafka_settings *settings, struct err *err) {
    const struct conf *whole = settings->common.head.conf;
    const struct conf *properties = conf_get(whole, "client_properties");
    rd_kafka_conf_t *conf = kafka.conf_new();
    bool has_acks = conf_get(properties, "acks") != NULL;
    int code = set_property(conf, "enable.idempotence", has_acks ? "false" : "true", whole, err);
    if (!code)
        code = set_property(conf, "partitioner", "murmur2_random", whole, err);
    for (size_t i = 0; !code && i < settings->properties.count; i++) {
        const struct option_pair *pair = &settings->properties.items[i];
        code = set_property(conf, pair->key, pair->value, conf_get(properties, pair->key), err);
    }
    if (!code)
        return conf;
    kafka.conf_destroy(conf);
    return NULL;
}

static int check_headers(const struct kafka_settings *settings, struct err *err) {
    const struct conf *at = conf_get(settings->common.head.conf, "headers");
    if (settings->headers.count > HEADERS_MAX)
        return conf_error(at, err, ERR_INVALID, "kafka: at most %d headers can be", HEADERS_MAX);
    for (size_t i = 0; i < settings->headers.count; i++) {
        const struct kafka_header *header = OPTION_AT(settings->headers, struct kafka_header, i);
        if (strlen(header->key) > HEADER_KEY_BYTES_MAX)
            return conf_error(header->head.conf, err, ERR_INVALID,
                              "kafka: a header's key has at most %d bytes", HEADER_KEY_BYTES_MAX);
    }
    return 0;
}

static int check(const void *data, struct err *err) {
    const struct kafka_settings *settings = data;
    const struct conf *whole = settings->common.head.conf;
    struct err why;
    int code = kafka_calls_load(&why);
    if (code)
        return conf_error(whole, err, code, "%s", why.text);
    if (!conf_get(conf_get(whole, "client_properties"), "bootstrap.servers"))
        return conf_error(conf_get(whole, "client_properties"), err, ERR_INVALID,
                          "kafka: client_properties must say bootstrap.servers");
    code = check_headers(settings, err);
    if (code)
        return code;
    rd_kafka_conf_t *conf = make_conf(settings, err);
    if (!conf)
        return ERR_INVALID;
    kafka.conf_destroy(conf);
    return 0;
}

static void templates(const void *data, struct action_templates *templates) {
    const struct kafka_settings *settings = data;
    const struct option_head *head = &settings->common.head;
    action_template_add(templates, "topic", settings->topic, head, "topic");
    action_template_add(templates, "key", settings->key, head, "key");
    action_template_add(templates, "partition", settings->partition, head, "partition");
    for (size_t i = 0; i < settings->headers.count; i++) {
        const struct kafka_header *header = OPTION_AT(settings->headers, struct kafka_header, i);
        char *name = xprintf("header.%s", header->key);
        action_template_add(templates, arena_strdup(templates->arena, str_of(name)), header->value,
                            &header->head, "value");
        free(name);
    }
}

/* ---- sending ---- */

static bool read_partition(struct str text, int32_t *ret_partition) {
    uint64_t number = 0;
    *ret_partition = RD_KAFKA_PARTITION_UA;
    if (!text.len)
        return true;
    if (text.len > PARTITION_DIGITS_MAX || !str_to_u64(text, &number))
        return false;
    *ret_partition = (int32_t)number;
    return true;
}

static rd_kafka_headers_t *headers_of(const struct action_params *params) {
    rd_kafka_headers_t *headers = kafka.headers_new(8);
    struct action_place place = {0};
    struct action_param param;
    while (action_param_next(params, &place, &param)) {
        if (!str_starts(param.name, HEADER))
            continue;
        struct str name = str_skip(param.name, HEADER.len);
        kafka.header_add(headers, name.at, (ssize_t)name.len, param.value.at,
                         (ssize_t)param.value.len);
    }
    return headers;
}

static enum action_verdict verdict_of(rd_kafka_resp_err_t code) {
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return ACTION_OK;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:    /* its name is none */
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: /* the topic has fewer: a value of a message's */
    case RD_KAFKA_RESP_ERR__INVALID_ARG:
        return ACTION_FAILED;
    default:
        return ACTION_RETRY;
    }
}

static void settle(struct action_item *item, rd_kafka_resp_err_t code) {
    enum action_verdict verdict = verdict_of(code);
    action_item_settle(item, verdict, verdict == ACTION_OK ? NULL : "%s", kafka.err2str(code));
}

static void produce(struct kafka_target *target, struct action_item *item) {
    const struct action_params *params = &item->record.params;
    struct str payload = item->record.payload, key = action_param_get(params, "key");
    struct str topic = action_param_get(params, "topic");
    struct str number = action_param_get(params, "partition");
    int32_t partition;
    if (!read_partition(number, &partition)) {
        action_item_settle(item, ACTION_FAILED, "partition \"%.*s\" is no number of one",
                           STR_ARG(number));
        return;
    }
    char *name = str_dup(topic);
    rd_kafka_headers_t *headers = headers_of(params);
    rd_kafka_resp_err_t code = kafka.producev(
        target->producer, RD_KAFKA_V_TOPIC(name), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key.len ? key.at : NULL, key.len),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)payload.at, payload.len),
        RD_KAFKA_V_TIMESTAMP((int64_t)item->record.received_ms), RD_KAFKA_V_HEADERS(headers),
        RD_KAFKA_V_OPAQUE(item), RD_KAFKA_V_END);
    free(name);
    if (!code)
        return;
    kafka.headers_destroy(headers);
    settle(item, code);
}

static void on_send(struct action_target *base, struct action_item *const *items, size_t count) {
    struct kafka_target *target = CONTAINER_OF(base, struct kafka_target, target);
    for (size_t i = 0; i < count; i++)
        produce(target, items[i]);
}

/* ---- reports ---- */

static void on_report(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque) {
    struct kafka_target *target = opaque;
    if (!target->closed)
        settle(message->_private, message->err);
}

static void free_target(struct kafka_target *target) {
    void (*closed)(void *data) = target->closed;
    void *data = target->closed_data;
    free(target);
    closed(data);
}

static void on_reports(struct task *task) {
    struct kafka_target *target = CONTAINER_OF(task, struct kafka_target, reports);
    atomic_store(&target->reports_posted, false);
    if (target->is_destroyed)
        free_target(target);
    else if (!target->closed)
        kafka.poll(target->producer, 0);
}

/* On a thread of librdkafka. */
static void on_queue(rd_kafka_t *producer, void *opaque) {
    struct kafka_target *target = opaque;
    if (!atomic_exchange(&target->reports_posted, true))
        loop_post(target->loop, &target->reports);
}

static void watch(struct kafka_target *target, void (*on_event)(rd_kafka_t *handle, void *opaque)) {
    rd_kafka_queue_t *queue = kafka.queue_get_main(target->producer);
    kafka.queue_cb_event_enable(queue, on_event, target);
    kafka.queue_destroy(queue);
}

/* ---- life ---- */

static void destroy_on_pool(struct work *work) {
    struct kafka_target *target = CONTAINER_OF(work, struct kafka_target, destroy);
    kafka.purge(target->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    kafka.destroy(target->producer);
}

/* A task that is posted still comes, and frees. */
static void on_destroyed(struct work *work) {
    struct kafka_target *target = CONTAINER_OF(work, struct kafka_target, destroy);
    target->is_destroyed = true;
    if (!atomic_load(&target->reports_posted))
        free_target(target);
}

static void on_close(struct action_target *base, void (*closed)(void *data), void *data) {
    struct kafka_target *target = CONTAINER_OF(base, struct kafka_target, target);
    target->closed = closed;
    target->closed_data = data;
    watch(target, NULL);
    loop_work(target->loop, &target->destroy, destroy_on_pool, on_destroyed);
}

static const struct action_target_ops target_ops = {.send = on_send, .close = on_close};

static int open_target(struct loop *loop, const struct action_services *services, const void *data,
                       struct action_target **ret_target, struct err *err) {
    char why[256];
    rd_kafka_conf_t *conf = make_conf(data, err);
    if (!conf)
        return ERR_INVALID;
    struct kafka_target *target = xcalloc(1, sizeof *target);
    target->target.ops = &target_ops;
    target->loop = loop;
    target->reports.run = on_reports;
    kafka.conf_set_opaque(conf, target);
    kafka.conf_set_dr_msg_cb(conf, on_report);
    kafka.conf_set_log_cb(conf, NULL);
    target->producer = kafka.new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!target->producer) {
        kafka.conf_destroy(conf);
        free(target);
        return err_set(err, ERR_INVALID, "kafka: %s", why);
    }
    watch(target, on_queue);
    /* librdkafka tells of a queue that was empty: what it put in before would keep it silent for ever. */
    kafka.poll(target->producer, 0);
    *ret_target = &target->target;
    return 0;
}

const struct action_target_kind action_kafka = {
    .kind = {.name = "kafka",
             .failed_action = "KafkaAction",
             .options = options,
             .settings_size = sizeof(struct kafka_settings),
             .role_offset = offsetof(struct action_settings, role),
             .check = check,
             .templates = templates},
    .batch_items_max = 1000,
    .batch_bytes_max = 4 * 1024 * 1024,
    .open = open_target,
};
