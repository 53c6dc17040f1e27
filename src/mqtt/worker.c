/* The broker and its workers: making, joining to rules and gate, back-pressure, stopping. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "mqtt/claim.h"
#include "mqtt/identity.h"
#include "mqtt/lifecycle.h"
#include "mqtt/limits.h"
#include "mqtt/policy.h"
#include "mqtt/rewrite.h"
#include "mqtt/stored.h"
#include "mqtt/sys_topics.h"

/* ---- the broker ---- */

struct mqtt *mqtt_new(const struct mqtt_config *config, unsigned worker_count) {
    ASSERT(worker_count >= 1 && worker_count <= MQTT_WORKERS_MAX);
    struct mqtt *mqtt = xcalloc(1, sizeof *mqtt);
    mqtt->config = config;
    mqtt->worker_count = worker_count;
    mqtt->instance = random_u64();
    mqtt->started_ns = clock_mono_ns();
    mqtt->policies = mqtt_policies_new(config);
    mqtt->identities = mqtt_identities_of_users(config);
    mqtt->listener_states = xcalloc(config->listeners.count + 1, sizeof *mqtt->listener_states);
    random_bytes(mqtt->secret, sizeof mqtt->secret);
    return mqtt;
}

void mqtt_free(struct mqtt *mqtt) {
    if (!mqtt)
        return;
    for (unsigned i = 0; i < mqtt->worker_count; i++)
        ASSERT(!mqtt->workers[i]);
    mqtt_identities_unref(mqtt->identities);
    mqtt_policies_unref(mqtt->policies);
    free(mqtt->listener_states);
    free(mqtt);
}

/* ---- room ---- */

bool worker_has_room(struct mqtt_worker *worker) {
    return worker->channels_full == 0 && (!worker->gate || sink_gate_has_room(worker->gate));
}

/* Each of those that wait now gets its turn at most once: one that has to wait again goes to the
 * end. */
void worker_unpark(struct mqtt_worker *worker) {
    struct link mark = {0}, *item;
    if (list_empty(&worker->parked))
        return;
    list_push_back(&worker->parked, &mark);
    while (worker_has_room(worker) && worker->parked.next != &mark) {
        item = worker->parked.next;
        connection_resume(LIST_ITEM(item, struct mqtt_connection, parked));
    }
    list_remove(&mark);
}

static void on_commit(struct sink_gate_listener *listener, uint64_t ticket, int status) {
    struct mqtt_worker *worker = CONTAINER_OF(listener, struct mqtt_worker, gate_listener);
    holds_commit(worker, ticket, status);
    journal_commit(worker, ticket, status);
    rewrite_go_on(worker);
}

static void on_room(struct sink_gate_listener *listener) {
    worker_unpark(CONTAINER_OF(listener, struct mqtt_worker, gate_listener));
}

void mqtt_worker_set_rules(struct mqtt_worker *worker, struct message_sink *rules,
                           struct sink_gate *gate) {
    ASSERT(!worker->gate || worker->gate == gate);
    if (gate && !worker->gate) {
        worker->gate_listener.on_commit = on_commit;
        worker->gate_listener.on_room = on_room;
        sink_gate_listen(gate, &worker->gate_listener);
    }
    worker->gate = gate;
    worker->rules = rules;
    routes_expire(&worker->routes);
}

/* ---- publishing from inside ---- */

static int publish_message(struct message_publisher *publisher, const struct message *message) {
    struct mqtt_worker *worker = CONTAINER_OF(publisher, struct mqtt_worker, publisher);
    struct publication publication;
    if (!publication_from_message(message, &publication))
        return ERR_INVALID;
    bool may_wait = message->republish_depth == 0;
    if (may_wait && (worker->stopping || !worker_has_room(worker)))
        return ERR_FULL;
    worker->wall_ms = clock_wall_ms();
    if (message->received_ms == 0)
        publication.message.received_ms = worker->wall_ms;
    return publish(worker, &publication, NULL);
}

static bool is_wanted(struct message_publisher *publisher, struct str topic) {
    return route_is_wanted(CONTAINER_OF(publisher, struct mqtt_worker, publisher), topic);
}

void mqtt_worker_set_requests(struct mqtt_worker *worker, struct message_sink *requests) {
    worker->requests = requests;
    routes_expire(&worker->routes);
}

struct message_publisher *mqtt_worker_publisher(struct mqtt_worker *worker) {
    return &worker->publisher;
}

/* ---- the turn ---- */

static void write_gathered(struct mqtt_worker *worker) {
    LIST_EACH(item, &worker->writing) {
        connection_write_gathered(LIST_ITEM(item, struct foreign, writing)->connection);
    }
}

static void check_stopped(struct mqtt_worker *worker);

static void on_turn_end(struct turn_hook *hook) {
    struct mqtt_worker *worker = CONTAINER_OF(hook, struct mqtt_worker, turn_end);
    channels_flush(worker);
    write_gathered(worker);
    if (worker->stopping)
        check_stopped(worker);
}

/* ---- life ---- */

static void init_metrics(struct worker_metrics *metrics) {
#define X(member, type, ...) metric_init(&metrics->member, METRIC_##type, __VA_ARGS__);
    MQTT_METRICS(X)
#undef X
}

static void done_metrics(struct worker_metrics *metrics) {
#define X(member, ...) metric_done(&metrics->member);
    MQTT_METRICS(X)
#undef X
}

struct mqtt_worker *mqtt_worker_new(struct mqtt *mqtt, unsigned index, struct loop *loop) {
    ASSERT(index < mqtt->worker_count && !mqtt->workers[index]);
    struct mqtt_worker *worker = xcalloc(1, sizeof *worker);
    worker->mqtt = mqtt;
    worker->config = mqtt->config;
    worker->index = index;
    worker->loop = loop;
    worker->publisher = (struct message_publisher){publish_message, is_wanted};
    worker->policies = policies_ref(mqtt->policies);
    worker->identities = identities_ref(mqtt->identities);
    password_cache_init(&worker->passwords, (size_t)mqtt->config->password_cache);
    worker->turn_end.run = on_turn_end;
    list_init(&worker->connections);
    list_init(&worker->newcomers);
    paces_init(worker);
    list_init(&worker->parked);
    list_init(&worker->writing);
    list_init(&worker->crowd);
    list_init(&worker->listeners);
    retained_store_init(&worker->retained, (size_t)worker->config->retained_max,
                        (size_t)worker->config->retained_bytes_max, mqtt->worker_count == 1);
    init_metrics(&worker->metrics);
    journal_init(worker);
    channels_init(worker);
    wheel_start(worker);
    loop_hook_add(loop, &worker->turn_end);
    mqtt->workers[index] = worker;
    return worker;
}

void mqtt_worker_free(struct mqtt_worker *worker) {
    if (!worker)
        return;
    ASSERT(worker->stopped && list_empty(&worker->connections) && list_empty(&worker->newcomers));
    loop_hook_remove(&worker->turn_end);
    list_remove(&worker->gate_listener.link);
    channels_done(worker);
    routes_done(&worker->routes);
    interests_done(&worker->interests);
    interests_done(&worker->stored_interests);
    interests_done(&worker->full_interests);
    shares_done(worker);
    tree_done(&worker->subscriptions);
    retained_store_done(&worker->retained);
    map_done(&worker->clients);
    map_done(&worker->stored);
    claims_done(worker);
    rewrite_done(worker);
    journal_done(worker);
    lifecycle_done(worker);
    sys_topics_done(worker);
    buf_done(&worker->scratch);
    buf_done(&worker->properties);
    buf_done(&worker->resource);
    buf_done(&worker->expanded);
    policies_unref(worker->policies);
    mqtt_identities_unref(worker->identities);
    password_cache_done(&worker->passwords);
    done_metrics(&worker->metrics);
    worker->mqtt->workers[worker->index] = NULL;
    free(worker);
}

struct mqtt_connection *mqtt_worker_attach(struct mqtt_worker *worker,
                                           const struct mqtt_transport_ops *ops, void *transport,
                                           const char *peer, bool anonymous) {
    struct mqtt_connection *connection =
        worker->stopping ? NULL : connection_new(worker, peer, anonymous);
    if (!connection)
        return NULL;
    connection_set_transport(connection, ops, transport);
    return connection;
}

/* ---- stopping ---- */

static void on_timers_closed(struct timer *timer) {
    struct mqtt_worker *worker = CONTAINER_OF(timer, struct mqtt_worker, stop_timer);
    worker->stopped = true;
    worker->on_stopped(worker->on_stopped_data);
}

static void on_pace_closed(struct timer *timer) {
    struct mqtt_worker *worker = CONTAINER_OF(timer, struct mqtt_worker, pace_timer);
    timer_close(&worker->stop_timer, on_timers_closed);
}

static void on_wheel_closed(struct timer *timer) {
    struct mqtt_worker *worker = CONTAINER_OF(timer, struct mqtt_worker, wheel.timer);
    timer_close(&worker->pace_timer, on_pace_closed);
}

/* A connection has ended or a batch has come home: maybe the worker is done stopping. */
static void check_stopped(struct mqtt_worker *worker) {
    if (worker->stop_checked || !list_empty(&worker->connections) ||
        !list_empty(&worker->newcomers) || worker->auth_under_way ||
        atomic_load(&worker->mqtt->claims_under_way) || atomic_load(&worker->mqtt->rewriting))
        return;
    stored_end_all(worker);
    if (!channels_idle(worker) || !list_empty(&worker->journal.waits))
        return;
    worker->stop_checked = true;
    holds_done(worker);
    timer_close(&worker->wheel.timer, on_wheel_closed);
}

/* All are treated alike from now on. */
static void settle_newcomers(struct mqtt_worker *worker) {
    while (!list_empty(&worker->newcomers))
        connection_settle(LIST_ITEM(worker->newcomers.next, struct mqtt_connection, link));
}

static void on_stop_late(struct timer *timer) {
    struct mqtt_worker *worker = CONTAINER_OF(timer, struct mqtt_worker, stop_timer);
    holds_done(worker);
    settle_newcomers(worker);
    journal_give_up(worker);
    LIST_EACH(item, &worker->connections) {
        struct mqtt_connection *connection = LIST_ITEM(item, struct mqtt_connection, link);
        connection_end(connection, PACKET_SHUTTING_DOWN);
        if (connection->tcp)
            tcp_close(connection->tcp);
    }
}

void mqtt_worker_stop(struct mqtt_worker *worker, void (*done)(void *data), void *data) {
    ASSERT(!worker->stopping);
    worker->stopping = true;
    worker->on_stopped = done;
    worker->on_stopped_data = data;
    listeners_close(worker);
    timer_start(worker->loop, &worker->stop_timer, MQTT_STOP_MS, 0, on_stop_late);
    settle_newcomers(worker);
    LIST_EACH(item, &worker->connections) {
        struct mqtt_connection *connection = LIST_ITEM(item, struct mqtt_connection, link);
        input_update_reading(connection);
        connection_end_if_stopping(connection);
    }
}
