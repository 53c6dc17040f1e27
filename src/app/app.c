#include "app/app.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "app/devices.h"
#include "app/lane.h"
#include "app/rules.h"
#include "app/service.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/file.h"

/* How long another machine that keeps a stream has to take what was published before the end. */
enum { ENGINE_GRACE_MS = 5000 };

struct listener {
    const struct mqtt_listener_config *config;
    struct tls_context *tls;
    struct sockaddr_storage address;
};

struct app {
    struct config *config;
    int lock_fd;
    struct facts *facts;
    struct stream_log *log;
    struct stream *sessions; /* what the broker keeps */
    struct stream *requests; /* what clients ask of shadows */
    struct things *things;
    struct mqtt *mqtt;
    struct lane *lanes; /* the workers', then the service's */
    unsigned worker_count;
    struct listener *listeners;
    struct rules rules;
    struct service service;
};

static struct lane *service_lane(struct app *app) {
    return &app->lanes[app->worker_count];
}

/* ---- start ---- */

/* One Weir per data directory: an advisory lock that the kernel drops with the process. */
static int lock_data(struct app *app, struct err *err) {
    int code = file_make_directories(app->config->data, err);
    if (code)
        return code;
    char *path = xprintf("%s/lock", app->config->data);
    app->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (app->lock_fd < 0)
        code = err_set_errno(err, errno, "%s", path);
    else if (flock(app->lock_fd, LOCK_EX | LOCK_NB))
        code = err_set(err, ERR_EXISTS, "another weir runs on the data directory %s",
                       app->config->data);
    free(path);
    return code;
}

static void say_sync(const struct config *config) {
    if (config->sync != STREAM_SYNC_ALWAYS)
        log_warn("app",
                 "sync: %s: a message may be acknowledged before it is on disk; a power cut loses "
                 "what is younger",
                 config->sync_text);
}

static enum stream_corrupted corrupted_of(const struct config *config, int of_stream) {
    return (enum stream_corrupted)(of_stream == CONFIG_CORRUPTED_GLOBAL ? config->corrupted_blocks
                                                                        : of_stream);
}

static int open_log(struct app *app, struct err *err) {
    const struct config *config = app->config;
    struct stream_log_config log = {.directory = config->data,
                                    .sync = config->sync,
                                    .sync_interval_ms = config->sync_interval_ms,
                                    .defers_sync = true,
                                    .corrupted = corrupted_of(config, CONFIG_CORRUPTED_GLOBAL)};
    int code = facts_open(config->data, FACTS_BYTES_MAX, &app->facts, err);
    if (!code)
        code = stream_log_open(&log, &app->log, err);
    if (!code)
        code = things_open(app->facts, config->api.region, config->api.account, &app->things, err);
    say_sync(config);
    return code;
}

static int open_stream(struct app *app, const struct config_stream *settings, struct err *err) {
    const struct stream_config data = {
        .name = settings->head.name,
        .kind = STREAM_DATA,
        .shard_count = settings->shard_count,
        .retention_ms = settings->retention_ms,
        .record_bytes_max = settings->record_bytes_max,
        .bytes_max = settings->bytes_max,
        .compression_level =
            settings->compression == CONFIG_ZSTD ? (int)settings->compression_level : 0,
        .corrupted = corrupted_of(app->config, settings->corrupted_blocks),
        .kafka = settings->kafka.head.conf ? &settings->kafka : NULL,
        .kinesis = settings->kinesis.head.conf ? &settings->kinesis : NULL};
    struct stream *stream;
    return stream_open(app->log, &data, &stream, err);
}

static int open_buffer(struct app *app, const struct delivery_config *settings, struct err *err) {
    const struct stream_config buffer = {
        .name = settings->head.name,
        .kind = STREAM_DELIVERY,
        .shard_count = 1,
        .bytes_max = settings->backlog_bytes_max,
        .kafka = settings->kafka.head.conf ? &settings->kafka : NULL,
        .corrupted = corrupted_of(app->config, CONFIG_CORRUPTED_GLOBAL)};
    struct stream *stream;
    return stream_open(app->log, &buffer, &stream, err);
}

/* What the broker must know again. It is rewritten from time to time: segments of a quarter of the
 * least size at which that happens let the old go soon. */
static int open_sessions(struct app *app, struct err *err) {
    const int64_t segments = 4, segment_bytes_most = 64 << 20;
    int64_t segment_bytes = app->config->mqtt.journal_bytes_min / segments;
    const struct stream_config sessions = {.name = "mqtt",
                                           .kind = STREAM_SESSIONS,
                                           .shard_count = 1,
                                           .segment_bytes_max = segment_bytes < segment_bytes_most
                                                                    ? segment_bytes
                                                                    : segment_bytes_most};
    return stream_open(app->log, &sessions, &app->sessions, err);
}

static int open_requests(struct app *app, struct err *err) {
    const struct stream_config requests = {.name = "shadows",
                                           .kind = STREAM_REQUESTS,
                                           .shard_count = 1,
                                           .bytes_max = THINGS_REQUESTS_BYTES_MAX,
                                           .segment_bytes_max = THINGS_REQUESTS_BYTES_MAX / 16};
    return stream_open(app->log, &requests, &app->requests, err);
}

static int open_streams(struct app *app, struct err *err) {
    const struct config *config = app->config;
    int code = 0;
    for (size_t i = 0; !code && i < config->streams.count; i++)
        code = open_stream(app, OPTION_AT(config->streams, struct config_stream, i), err);
    for (size_t i = 0; !code && i < config->delivery_streams.count; i++)
        code =
            open_buffer(app, OPTION_AT(config->delivery_streams, struct delivery_config, i), err);
    if (!code)
        code = stream_open_rest(app->log, err);
    if (!code)
        code = open_sessions(app, err);
    return code ? code : open_requests(app, err);
}

/* The users and certificates of a configuration, and the devices. */
static int read_identities(struct app *app, const struct mqtt_config *config,
                           struct mqtt_identities **ret_identities, struct err *err) {
    struct arena arena = {0};
    struct mqtt_device *devices;
    size_t count;
    int code = devices_read(app->facts, &arena, &devices, &count);
    if (code)
        err_set(err, code, "the devices in facts.mdb: %s", err_text(code));
    else
        code = mqtt_identities_new(config, devices, count, ret_identities, err);
    arena_done(&arena);
    return code;
}

static void apply_identities(struct app *app, struct mqtt_identities *identities) {
    for (unsigned i = 0; i <= app->worker_count; i++)
        lane_set_identities(&app->lanes[i], identities);
    mqtt_identities_unref(identities);
}

static int start_identities(struct app *app, struct err *err) {
    struct mqtt_identities *identities;
    int code = read_identities(app, &app->config->mqtt, &identities, err);
    if (!code)
        apply_identities(app, identities);
    return code;
}

static int start_lanes(struct app *app, struct err *err) {
    app->worker_count = (unsigned)app->config->workers;
    app->lanes = xcalloc(app->worker_count + 1, sizeof *app->lanes);
    app->mqtt = mqtt_new(&app->config->mqtt, app->worker_count + 1);
    const struct lane_common common = {.mqtt = app->mqtt,
                                       .log = app->log,
                                       .account = app->config->api.account,
                                       .sessions = app->sessions,
                                       .requests = app->requests,
                                       .things = app->things};
    for (unsigned i = 0; i <= app->worker_count; i++) {
        static const char *const names[] = {"worker", "service"};
        lane_start(&app->lanes[i], names[i == app->worker_count], i, &common);
    }
    int code = start_identities(app, err);
    if (!code)
        code = rules_start(&app->rules, app->lanes, app->worker_count + 1, err);
    return code ? code : lanes_restore(app->lanes, app->worker_count + 1, err);
}

static int listen_on(struct app *app, struct listener *listener, struct err *err) {
    const struct mqtt_listener_config *config = listener->config;
    int code = tcp_address(config->bind, &listener->address, err);
    if (!code)
        code = tcp_address_probe(&listener->address, err);
    if (!code && config->tls.head.conf) {
        struct tls_server_config tls = mqtt_listener_tls(config);
        code = tls_server_context(&tls, &listener->tls, err);
    }
    for (unsigned i = 0; !code && i < app->worker_count; i++)
        code = lane_listen(&app->lanes[i], config, &listener->address, listener->tls, err);
    return code ? conf_error(config->head.conf, err, code, "%.400s", err->text) : 0;
}

static int start_listeners(struct app *app, struct err *err) {
    const struct option_items *items = &app->config->mqtt.listeners;
    app->listeners = xcalloc(items->count + 1, sizeof *app->listeners);
    int code = 0;
    for (size_t i = 0; !code && i < items->count; i++) {
        app->listeners[i].config = OPTION_AT(*items, struct mqtt_listener_config, i);
        code = listen_on(app, &app->listeners[i], err);
    }
    return code;
}

/* What DescribeEndpoint says: the first listener with TLS, or else the first. */
static void tell_endpoint(struct app *app) {
    const struct sockaddr_storage *address = NULL;
    for (size_t i = 0; i < app->config->mqtt.listeners.count; i++)
        if (!address || (app->listeners[i].tls && !app->listeners[0].tls))
            address = &app->listeners[i].address;
    if (address)
        service_set_endpoint(&app->service, address);
}

/* The logs of all actions, before any engine pushes into them. */
static int open_actions(struct app *app, struct err *err) {
    struct rule_set *set = rule_book_set(app->rules.book);
    int code = action_logs_open(app->log, rule_set_actions(set),
                                corrupted_of(app->config, CONFIG_CORRUPTED_GLOBAL), err);
    rule_set_unref(set);
    return code;
}

static int start(struct app *app, struct err *err) {
    int code = lock_data(app, err);
    if (!code)
        code = open_log(app, err);
    if (!code)
        code = open_streams(app, err);
    if (!code)
        code = rules_open(&app->rules, app->facts, app->config, err);
    if (!code)
        code = open_actions(app, err);
    if (!code)
        code = start_lanes(app, err);
    if (!code)
        code = service_start(&app->service, app->config, service_lane(app), app->facts, app->log,
                             &app->rules, app->things, app->requests, err);
    if (!code)
        code = start_listeners(app, err);
    if (!code)
        tell_endpoint(app);
    return code;
}

int app_start(struct config *config, struct app **ret_app, struct err *err) {
    struct app *app = xcalloc(1, sizeof *app);
    app->config = config;
    app->lock_fd = -1;
    log_setup((enum log_level)config->log.level, (enum log_format)config->log.format);
    int code = start(app, err);
    if (code)
        app_stop(app);
    else
        *ret_app = app;
    return code;
}

static void add_address(struct buf *out, const char *name, const struct sockaddr_storage *address) {
    char text[TCP_ADDRESS_CHARS];
    tcp_address_text(address, text);
    buf_printf(out, "%s%s=%s", buf_len(out) ? " " : "", name, text);
}

static const char *scheme(const struct listener *listener) {
    const char *websocket = listener->config->websocket;
    bool is_websocket = websocket && strcmp(websocket, "false") != 0;
    if (is_websocket)
        return listener->tls ? "mqttwss" : "mqttws";
    return listener->tls ? "mqtts" : "mqtt";
}

void app_addresses(const struct app *app, struct buf *out) {
    for (size_t i = 0; i < app->config->mqtt.listeners.count; i++)
        add_address(out, scheme(&app->listeners[i]), &app->listeners[i].address);
    add_address(out, app->config->web.tls.head.conf ? "webs" : "web", &app->service.web_address);
    if (app->service.api)
        add_address(out, app->config->api.tls.head.conf ? "apis" : "api",
                    &app->service.api_address);
}

/* ---- reload ---- */

static int reload_certificates(struct app *app, struct err *err) {
    int code = 0;
    for (size_t i = 0; !code && i < app->config->mqtt.listeners.count; i++)
        if (app->listeners[i].tls)
            code = tls_context_reload(app->listeners[i].tls, err);
    return code ? code : service_reload(&app->service, err);
}

static void apply_policies(struct app *app, const struct mqtt_config *config) {
    struct mqtt_policies *policies = mqtt_policies_new(config);
    for (unsigned i = 0; i <= app->worker_count; i++)
        lane_set_policies(&app->lanes[i], policies);
    mqtt_policies_unref(policies);
}

int app_reload(struct app *app, struct err *err) {
    struct config *fresh;
    struct mqtt_identities *identities = NULL;
    int code = config_read(app->config->path, &fresh, err);
    if (code)
        return code;
    code = read_identities(app, &fresh->mqtt, &identities, err);
    if (!code)
        code = rules_reload(&app->rules, fresh, err);
    if (!code)
        code = reload_certificates(app, err);
    if (code) {
        mqtt_identities_unref(identities);
    } else {
        apply_policies(app, &fresh->mqtt);
        apply_identities(app, identities);
        log_setup((enum log_level)fresh->log.level, (enum log_format)fresh->log.format);
    }
    config_free(fresh);
    return code;
}

/* ---- stop ---- */

struct stopping {
    struct task task;
    struct lane *lane;
    uv_sem_t *stopped;
};

static void on_worker_stopped(void *data) {
    uv_sem_post(data);
}

static void stop_worker(struct task *task) {
    struct stopping *stopping = CONTAINER_OF(task, struct stopping, task);
    mqtt_worker_stop(stopping->lane->worker, on_worker_stopped, stopping->stopped);
}

/* All at once: they wait for each other's messages. */
static void stop_workers(struct app *app) {
    unsigned count = app->worker_count + 1;
    struct stopping *stoppings = xcalloc(count, sizeof *stoppings);
    uv_sem_t stopped;
    int failed = uv_sem_init(&stopped, 0);
    ASSERT(!failed);
    for (unsigned i = 0; i < count; i++) {
        stoppings[i] = (struct stopping){{.run = stop_worker}, &app->lanes[i], &stopped};
        loop_post(app->lanes[i].thread.loop, &stoppings[i].task);
    }
    for (unsigned i = 0; i < count; i++)
        uv_sem_wait(&stopped);
    uv_sem_destroy(&stopped);
    free(stoppings);
}

static void stop_lanes(struct app *app) {
    if (!app->lanes)
        return;
    service_stop_actions(&app->service);
    stream_log_finish(app->log, ENGINE_GRACE_MS);
    stop_workers(app);
    service_stop(&app->service);
    for (unsigned i = 0; i <= app->worker_count; i++)
        lane_drain(&app->lanes[i]);
    for (unsigned i = 0; i <= app->worker_count; i++)
        lane_stop(&app->lanes[i]);
}

void app_stop(struct app *app) {
    if (!app)
        return;
    stop_lanes(app);
    for (size_t i = 0; app->listeners && i < app->config->mqtt.listeners.count; i++)
        tls_context_free(app->listeners[i].tls);
    rules_close(&app->rules);
    mqtt_free(app->mqtt);
    if (app->log)
        stream_log_close(app->log);
    things_close(app->things);
    if (app->facts)
        facts_close(app->facts);
    if (app->lock_fd >= 0)
        close(app->lock_fd);
    free(app->listeners);
    free(app->lanes);
    config_free(app->config);
    free(app);
}
