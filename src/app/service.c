#include "app/service.h"
#include "app/statements.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_write.h"
#include "base/mem.h"

enum { GRACE_MS = 5000 };

/* ---- start, on the service loop ---- */

static int start_deliveries(struct service *service, struct err *err) {
    const struct config *config = service->config;
    struct loop *loop = service->lane->thread.loop;
    size_t count = config->delivery_streams.count + 1;
    service->deliveries = xcalloc(count, sizeof(struct delivery *));
    service->shares = xcalloc(count, sizeof(struct delivery_share *));
    for (size_t i = 0; i < config->delivery_streams.count; i++) {
        const struct delivery_config *delivery =
            OPTION_AT(config->delivery_streams, struct delivery_config, i);
        struct stream *stream =
            stream_find(service->log, STREAM_DELIVERY, str_of(delivery->head.name));
        const struct bucket_config *bucket = config_find_bucket(config, delivery->bucket);
        int code = stream_is_shared(stream)
                       ? delivery_share_open(loop, service->client, delivery, bucket, stream,
                                             &service->shares[i], err)
                       : delivery_open(loop, service->facts, service->client, delivery, bucket,
                                       stream, &service->deliveries[i], err);
        if (code)
            return code;
        service->delivery_count = i + 1;
    }
    return 0;
}

static int start_functions(struct service *service, struct err *err) {
    const struct config *config = service->config;
    service->redis_pairs[0] = (struct option_pair){"redis_url", state_url_host(service->state)};
    service->redis_pairs[1] = (struct option_pair){"redis_port", state_url_port(service->state)};
    service->function_environment =
        (struct option_pairs){service->redis_pairs, COUNT_OF(service->redis_pairs)};
    struct function_host_config host = {.functions = &config->functions,
                                        .region = "us-east-1",
                                        .account = "000000000000",
                                        .default_environment = &service->function_environment};
    int code = function_host_open(service->lane->thread.loop, &host, &service->functions, err);
    for (size_t i = 0; !code && i < config->mappings.count; i++) {
        const struct function_mapping_config *mapping =
            OPTION_AT(config->mappings, struct function_mapping_config, i);
        struct stream *stream = stream_find(service->log, STREAM_DATA, str_of(mapping->stream));
        code = function_mapping_open(service->functions, service->facts, mapping, stream, err);
    }
    return code;
}

/* ---- actions of rules ---- */

static int fail_action(void *data, const struct action_failure *failure) {
    const struct service *service = data;
    struct rule_failure report = {.rule = failure->rule,
                                  .failed_action = failure->failed_action,
                                  .resource = failure->resource,
                                  .why = failure->why,
                                  .record = failure->record,
                                  .batch = failure->batch,
                                  .batch_count = failure->batch_count,
                                  .is_across_topics = failure->is_across_topics};
    return rule_engine_fail(service->lane->engine, &report);
}

struct invocation {
    action_begun_cb *begun; /* or NULL */
    action_invoked_cb *done;
    void *data;
};

static void on_begun(void *data) {
    const struct invocation *invocation = data;
    if (invocation->begun)
        invocation->begun(invocation->data);
}

static void on_invoked(void *data, const struct function_result *result) {
    struct invocation invocation = *(struct invocation *)data;
    free(data);
    char why[400] = "";
    if (!result->ok)
        snprintf(why, sizeof why, "%s %.*s",
                 result->error_type ? result->error_type : "it failed:", STR_ARG(result->payload));
    invocation.done(invocation.data, result->ok, result->ok ? result->payload : str_of(why));
}

static int invoke_function(void *data, struct str function, struct str event,
                           action_begun_cb *begun, action_invoked_cb *done, void *done_data) {
    const struct service *service = data;
    struct invocation *invocation = xmalloc(sizeof *invocation);
    *invocation = (struct invocation){begun, done, done_data};
    int code =
        function_invoke(service->functions, function, event, on_begun, on_invoked, invocation);
    if (code)
        free(invocation);
    return code;
}

static const struct bucket_config *find_bucket(void *data, struct str name) {
    const struct option_items *buckets = &((const struct service *)data)->config->buckets;
    for (size_t i = 0; i < buckets->count; i++) {
        const struct bucket_config *bucket = OPTION_AT(*buckets, struct bucket_config, i);
        if (str_eq(str_of(bucket->head.name), name))
            return bucket;
    }
    return NULL;
}

static int start_actions(struct service *service, struct err *err) {
    const struct config *config = service->config;
    struct rule_set *set = rule_book_set(service->rules->book);
    service->action_services = (struct action_services){
        .log = service->log,
        .corrupted = (enum stream_corrupted)config->corrupted_blocks,
        .facts = service->facts,
        .client = service->client,
        .gate = stream_writer_gate(service->lane->writer),
        .redis_url = state_url(service->state),
        .region = config->api.region,
        .account = config->api.account,
        .confirm_url = "",
        .fail = fail_action,
        .invoke = invoke_function,
        .statements = &service_statements,
        .bucket = find_bucket,
        .data = service,
    };
    int code = action_destinations_open(service->lane->thread.loop, &service->action_services,
                                        &service->destinations, err);
    service->action_services.destinations = service->destinations;
    if (!code)
        code = action_host_open(service->lane->thread.loop, &service->action_services,
                                rule_set_actions(set), &service->actions, err);
    rules_use_actions(service->rules, service->actions);
    rule_set_unref(set);
    return code;
}

static bool confirm_destination(void *data, struct str token) {
    const struct service *service = data;
    return action_destinations_confirm(service->destinations, token) == 0;
}

/* Runners begin in a later turn than this one. */
static void name_confirm_url(struct service *service) {
    const struct web_config *web = &service->config->web;
    char address[TCP_ADDRESS_CHARS];
    tcp_address_text(&service->web_address, address);
    service->confirm_url = web->public_url
                               ? str_dup(str_of(web->public_url))
                               : xprintf("%s://%s", web->tls.head.conf ? "https" : "http", address);
    service->action_services.confirm_url = service->confirm_url;
}

static bool is_ready(void *data, struct buf *why) {
    const struct service *service = data;
    bool redis = state_ready(service->state);
    json_write_bool(why, "redis", redis);
    return redis;
}

static int start_web(struct service *service, struct err *err) {
    const struct config *config = service->config;
    int code = tcp_address(config->web.bind, &service->web_address, err);
    if (!code)
        code = tcp_address_probe(&service->web_address, err);
    if (code)
        return code;
    service->mqtt_websocket =
        (struct mqtt_websocket){.worker = service->lane->worker,
                                .listener = &config->mqtt.web,
                                .message_bytes_max = (size_t)config->mqtt.packet_bytes_max + 1024};
    struct web_services services = {.state = service->state,
                                    .mqtt = mqtt_websocket_accept,
                                    .mqtt_data = &service->mqtt_websocket,
                                    .ready = is_ready,
                                    .ready_data = service,
                                    .confirm = confirm_destination,
                                    .confirm_data = service};
    code = web_open(service->lane->thread.loop, &config->web, &config->live_feed, &services,
                    &service->web_address, &service->web, err);
    if (!code)
        name_confirm_url(service);
    return code;
}

static bool is_configured(void *data, struct str stream) {
    const struct config *config = ((const struct service *)data)->config;
    for (size_t i = 0; i < config->streams.count; i++)
        if (str_eq(stream, str_of(OPTION_AT(config->streams, struct config_stream, i)->head.name)))
            return true;
    return false;
}

static struct rule_book *book_of(void *data) {
    return ((const struct service *)data)->rules->book;
}

static bool is_frozen(void *data) {
    return ((const struct service *)data)->rules->frozen;
}

static void apply_rules(void *data, void (*done)(void *done_data, int code), void *done_data) {
    rules_apply(((const struct service *)data)->rules, done, done_data);
}

static void trace_rule(void *data, struct rest_call *call, struct str rule, uint64_t count) {
    trace_begin(&((struct service *)data)->traces, call, rule, count);
}

/* What is asked for by its path on the api listener. */
static void add_rest(struct service *service, struct aws_services *services) {
    const struct config *config = service->config;
    const struct manage_config manage = {.worker = service->lane->worker,
                                         .gate = stream_writer_gate(service->lane->writer),
                                         .payload_bytes_max =
                                             (size_t)config->mqtt.packet_bytes_max};
    service->manage = manage_new(&manage);
    for (unsigned i = 0; i < MANAGE_SERVICES; i++)
        services->rest[services->rest_count++] = manage_service(service->manage, i);
    const struct iot_config iot = {.region = config->api.region,
                                   .account = config->api.account,
                                   .environment = &service->lane->environment,
                                   .host = {.book = book_of,
                                            .is_frozen = is_frozen,
                                            .apply = apply_rules,
                                            .trace = trace_rule,
                                            .data = service}};
    service->iot = iot_new(&iot);
    service->traces = (struct traces){.lanes = service->rules->lanes,
                                      .lane_count = service->rules->lane_count,
                                      .loop = service->rules->loop};
    services->rest[services->rest_count++] = iot_service(service->iot);
    services->rest[services->rest_count++] = action_destinations_service(service->destinations);
    for (unsigned i = 0; i < THINGS_SERVICES; i++)
        services->rest[services->rest_count++] = things_service(service->things, i);
}

static int start_api(struct service *service, struct err *err) {
    const struct config *config = service->config;
    if (!config->api.head.conf)
        return 0;
    struct aws_services services = {.log = service->log,
                                    .writer = service->lane->writer,
                                    .facts = service->facts,
                                    .credentials = &config->credentials,
                                    .is_configured = is_configured,
                                    .data = service};
    add_rest(service, &services);
    return aws_open(service->lane->thread.loop, &config->api, &services, &service->api_address,
                    &service->api, err);
}

static int start_shadows(struct service *service, struct err *err) {
    const struct things_surroundings around = {
        .loop = service->lane->thread.loop,
        .requests = service->requests,
        .gate = stream_writer_gate(service->lane->writer),
        .publisher = mqtt_worker_publisher(service->lane->worker),
        .intake = service->lane->intake,
    };
    return things_start(service->things, &around, err);
}

struct order {
    struct service *service;
    struct err *err;
    int code;
};

static void do_start(void *data) {
    struct order *order = data;
    struct service *service = order->service;
    struct loop *loop = service->lane->thread.loop;
    service->client = http_client_new(loop);
    order->code = state_open(loop, &service->config->redis, service->config->data, &service->state,
                             order->err);
    if (!order->code)
        order->code = start_deliveries(service, order->err);
    if (!order->code)
        order->code = start_functions(service, order->err);
    if (!order->code)
        order->code = start_actions(service, order->err);
    if (!order->code)
        order->code = start_shadows(service, order->err);
    if (!order->code)
        order->code = start_web(service, order->err);
    if (!order->code)
        order->code = start_api(service, order->err);
    if (!order->code)
        service->consumers = consumers_open(loop, service->log, service->facts);
}

int service_start(struct service *service, const struct config *config, struct lane *lane,
                  struct facts *facts, struct stream_log *log, struct rules *rules,
                  struct things *things, struct stream *requests, struct err *err) {
    *service = (struct service){.config = config,
                                .lane = lane,
                                .facts = facts,
                                .log = log,
                                .rules = rules,
                                .things = things,
                                .requests = requests};
    struct order order = {.service = service, .err = err};
    loop_call(lane->thread.loop, do_start, &order);
    return order.code;
}

struct endpoint {
    struct service *service;
    unsigned port;
};

static void do_set_endpoint(void *data) {
    const struct endpoint *endpoint = data;
    if (endpoint->service->iot)
        iot_set_endpoint(endpoint->service->iot, endpoint->port);
}

void service_set_endpoint(struct service *service, const struct sockaddr_storage *address) {
    const void *any = address;
    in_port_t port = address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)any)->sin6_port
                                                    : ((const struct sockaddr_in *)any)->sin_port;
    struct endpoint endpoint = {service, ntohs(port)};
    loop_call(service->lane->thread.loop, do_set_endpoint, &endpoint);
}

static void do_reload(void *data) {
    struct order *order = data;
    order->code = web_reload(order->service->web, order->err);
    if (!order->code && order->service->api)
        order->code = aws_reload(order->service->api, order->err);
}

int service_reload(struct service *service, struct err *err) {
    struct order order = {.service = service, .err = err};
    loop_call(service->lane->thread.loop, do_reload, &order);
    return order.code;
}

/* ---- stop: each part closes by itself on the loop; main waits for them, stage by stage ---- */

struct stage {
    struct service *service;
    void (*close)(struct stage *stage);
    uv_sem_t closed;
    size_t waiting;
};

static void on_closed(void *data) {
    struct stage *stage = data;
    if (--stage->waiting == 0)
        uv_sem_post(&stage->closed);
}

static void run_stage(void *data) {
    struct stage *stage = data;
    stage->close(stage);
    on_closed(stage); /* the stage's own share, so that one without parts ends too */
}

static void close_actions(struct stage *stage) {
    struct service *service = stage->service;
    stage->waiting++;
    things_stop(service->things, on_closed, stage);
    if (service->actions) {
        rules_use_actions(service->rules, NULL);
        stage->waiting++;
        action_host_close(service->actions, GRACE_MS, on_closed, stage);
        service->actions = NULL;
    }
    if (service->functions) /* The actions know by now why their calls fail. */
        function_host_halt(service->functions);
}

static void close_listeners(struct stage *stage) {
    struct service *service = stage->service;
    if (service->web) {
        stage->waiting++;
        web_close(service->web, on_closed, stage);
    }
    if (service->api) {
        stage->waiting++;
        aws_close(service->api, on_closed, stage);
    }
}

/* Behind the listeners, whose calls these are. */
static void close_consumers(struct stage *stage) {
    struct service *service = stage->service;
    action_destinations_close(service->destinations);
    service->destinations = NULL;
    manage_free(service->manage);
    if (service->consumers) {
        stage->waiting++;
        consumers_close(service->consumers, on_closed, stage);
    }
    if (service->functions) {
        stage->waiting++;
        function_host_close(service->functions, GRACE_MS, on_closed, stage);
    }
    stage->waiting += service->delivery_count;
    for (size_t i = 0; i < service->delivery_count; i++) {
        if (service->shares[i])
            delivery_share_close(service->shares[i], GRACE_MS, on_closed, stage);
        else
            delivery_close(service->deliveries[i], GRACE_MS, on_closed, stage);
    }
}

static void close_connections(struct stage *stage) {
    struct service *service = stage->service;
    if (service->state) {
        stage->waiting++;
        state_close(service->state, on_closed, stage);
    }
    if (service->client) {
        stage->waiting++;
        http_client_close(service->client, on_closed, stage);
    }
}

/* Changes of streams are confirmed by every lane, so they end before the lanes do. */
static void ask_changing(void *data) {
    struct order *order = data;
    order->code = stream_log_changing(order->service->log);
}

static void await_changes(struct service *service) {
    struct order order = {.service = service};
    do {
        loop_call(service->lane->thread.loop, ask_changing, &order);
        if (order.code)
            usleep(1000);
    } while (order.code);
}

static void stop_stage(struct service *service, void (*close)(struct stage *stage)) {
    struct stage stage = {.service = service, .close = close, .waiting = 1};
    int failed = uv_sem_init(&stage.closed, 0);
    ASSERT(!failed);
    loop_call(service->lane->thread.loop, run_stage, &stage);
    uv_sem_wait(&stage.closed);
    uv_sem_destroy(&stage.closed);
}

void service_stop_actions(struct service *service) {
    if (service->lane)
        stop_stage(service, close_actions);
}

void service_stop(struct service *service) {
    static void (*const stages[])(struct stage *) = {close_actions, close_listeners,
                                                     close_consumers, close_connections};
    for (size_t i = 0; service->lane && i < COUNT_OF(stages); i++)
        stop_stage(service, stages[i]);
    if (service->lane)
        await_changes(service);
    iot_free(service->iot);
    free(service->deliveries);
    free(service->confirm_url);
    free(service->shares);
    *service = (struct service){0};
}
