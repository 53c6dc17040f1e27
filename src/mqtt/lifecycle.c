/*
 *      $aws/events/presence/connected|disconnected|connect_failed/CLIENTID
 *      $aws/events/subscriptions/subscribed|unsubscribed/CLIENTID
 *
 * A client that connects again and again would be told by events that may overtake one another, so
 * connected and disconnected carry a versionNumber, the same in both, that grows with each
 * connection of a client id. It is counted where the id has its home, one worker by the hash of the
 * id, wherever the client is connected: events of presence travel there and are published from
 * there. Those of a worker that stops are published at once, as its home may have stopped already.
 *
 *      presence    unknown --connected--> version 0 --disconnected--> away --connected--> version 1
 *                     ^-------------------- away for an hour ----------'
 *
 * Events that nobody wants are not made, so versions may skip connections and begin anew, as on AWS.
 * PRESENCES_MAX client ids are known per worker; with one more, all are forgotten.
 */
#include "mqtt/lifecycle.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "base/mem.h"

enum { PRESENCES_MAX = 65536, FORGET_AFTER_S = 3600, SWEEP_EVERY_S = 60 };

struct presence {
    uint64_t version, number; /* of the connection that it counts */
    uint32_t gone_at_s;       /* wheel time; 0: the client is connected */
    uint32_t id_bytes;
    char id[];
};

/* An event on its way to the home of its client id. */
struct event {
    struct call call;
    uint64_t number;
    bool connected;
    struct buf topic, body;
    uint32_t id_bytes;
    char id[];
};

/* ---- words ---- */

static const char *refused_by(enum packet_reason reason) {
    switch (reason) {
    case PACKET_TAKEN_OVER:
        return "DUPLICATE_CLIENTID";
    case PACKET_KEEP_ALIVE_TIMEOUT:
        return "MQTT_KEEP_ALIVE_TIMEOUT";
    case PACKET_NOT_AUTHORIZED:
        return "FORBIDDEN_ACCESS";
    case PACKET_SHUTTING_DOWN:
        return "SERVER_INITIATED_DISCONNECT";
    case PACKET_ADMINISTRATIVE_ACTION:
        return "API_INITIATED_DISCONNECT";
    case PACKET_QUOTA_EXCEEDED: /* What a 3.1.1 client published could not be kept. */
    case PACKET_UNSPECIFIED:
        return "SERVER_ERROR";
    default:
        return "CLIENT_ERROR";
    }
}

/* "KEEP_ALIVE..": AWS's word for why the connection has ended. */
static const char *reason_of(const struct mqtt_connection *connection) {
    if (connection->ended_by_client)
        return "CLIENT_INITIATED_DISCONNECT";
    if (!connection->end_reason)
        return "CONNECTION_LOST";
    return refused_by((enum packet_reason)connection->end_reason);
}

void lifecycle_session_id(const struct mqtt_connection *connection, struct buf *out) {
    buf_printf(out, "%016" PRIx64 "%016" PRIx64, connection->worker->mqtt->instance,
               connection->number);
}

/* ---- an event ---- */

/* A client id with a wildcard makes no topic name. */
static bool is_nameable(struct str client_id) {
    return str_find(client_id, '+') == client_id.len && str_find(client_id, '#') == client_id.len;
}

/* The topic of an event that somebody wants; else false. */
static bool begin(struct mqtt_connection *connection, const char *group, const char *type,
                  struct buf *topic) {
    struct mqtt_worker *worker = connection->worker;
    struct str client_id = connection_client_id(connection);
    buf_clear(topic);
    if (!worker->config->lifecycle_events || !is_nameable(client_id))
        return false;
    buf_printf(topic, "$aws/events/%s/%s/", group, type);
    buf_add_str(topic, client_id);
    return route_is_wanted(worker, buf_str(topic));
}

static void add_text(struct buf *body, const char *key, struct str text) {
    json_write_text(body, key, text);
}

/* The members that all events have, in the order of AWS's examples. */
static void begin_body(const struct mqtt_connection *connection, const char *type,
                       struct buf *body) {
    struct buf session_id = {0};
    lifecycle_session_id(connection, &session_id);
    buf_add_u8(body, '{');
    add_text(body, "clientId", connection_client_id(connection));
    json_write_int(body, "timestamp", clock_wall_ms());
    add_text(body, "eventType", str_of(type));
    add_text(body, "sessionIdentifier", buf_str(&session_id));
    add_text(body, "principalIdentifier", connection_principal(connection));
    buf_done(&session_id);
}

static void publish_event(struct mqtt_worker *worker, const struct buf *topic,
                          const struct buf *body) {
    worker->wall_ms = clock_wall_ms();
    const struct publication publication = {.message = {.topic = buf_str(topic),
                                                        .payload = buf_str(body),
                                                        .received_ms = worker->wall_ms,
                                                        .qos = 1},
                                            .expiry_at = -1};
    int result = publish(worker, &publication, NULL);
    metric_add(result < 0 ? &worker->metrics.dropped_events : &worker->metrics.events, 1);
}

/* ---- presence, at home ---- */

static void forget_all(struct mqtt_worker *worker) {
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&worker->presences, &i));)
        free(entry->value);
    map_done(&worker->presences);
}

static struct presence *presence_add(struct mqtt_worker *worker, struct str id) {
    if (worker->presences.count == PRESENCES_MAX)
        forget_all(worker);
    struct presence *presence = xcalloc(1, sizeof *presence + id.len);
    presence->id_bytes = (uint32_t)id.len;
    memcpy(presence->id, id.at, id.len);
    map_put(&worker->presences, str_from(presence->id, id.len), presence);
    return presence;
}

static uint64_t version_of(struct mqtt_worker *worker, const struct event *event) {
    struct str id = str_from(event->id, event->id_bytes);
    struct presence *presence = map_get(&worker->presences, id);
    bool is_new = !presence;
    presence = presence ? presence : presence_add(worker, id);
    bool is_older = !is_new && event->number < presence->number;
    if (is_older) /* The event of the connection before comes behind that of its successor. */
        return presence->version ? presence->version - 1 : 0;
    if (!is_new && event->number != presence->number)
        presence->version++;
    presence->number = event->number;
    presence->gone_at_s = event->connected ? 0 : worker->wheel.now_s + 1;
    return presence->version;
}

static void arrive(struct mqtt_worker *worker, struct call *call) {
    struct event *event = CONTAINER_OF(call, struct event, call);
    json_write_key(&event->body, "versionNumber");
    buf_printf(&event->body, "%" PRIu64 "}", version_of(worker, event));
    publish_event(worker, &event->topic, &event->body);
    buf_done(&event->topic);
    buf_done(&event->body);
    free(event);
}

/* Takes topic and body. */
static void send_home(struct mqtt_connection *connection, bool connected, const struct buf *topic,
                      const struct buf *body) {
    struct mqtt_worker *worker = connection->worker;
    struct str id = connection_client_id(connection);
    struct event *event = xcalloc(1, sizeof *event + id.len);
    event->call.run = arrive;
    event->number = connection->number;
    event->connected = connected;
    event->topic = *topic;
    event->body = *body;
    event->id_bytes = (uint32_t)id.len;
    memcpy(event->id, id.at, id.len);
    if (worker->stopping)
        arrive(worker, &event->call);
    else
        channel_send_call(worker, (unsigned)(str_hash(id) % worker->mqtt->worker_count),
                          &event->call);
}

void lifecycle_tick(struct mqtt_worker *worker) {
    uint32_t now_s = worker->wheel.now_s;
    struct map_entry *entry;
    if (!worker->presences.count || now_s % SWEEP_EVERY_S)
        return;
    for (size_t i = 0; (entry = map_next(&worker->presences, &i));) {
        struct presence *presence = entry->value;
        if (!presence->gone_at_s || now_s - presence->gone_at_s < FORGET_AFTER_S)
            continue;
        map_remove(&worker->presences, str_from(presence->id, presence->id_bytes));
        free(presence);
        i--; /* What stood behind it may have moved into its slot. */
    }
}

void lifecycle_done(struct mqtt_worker *worker) {
    forget_all(worker);
    buf_done(&worker->event_topic);
    buf_done(&worker->event_filters);
}

/* ---- what happened ---- */

void lifecycle_connected(struct mqtt_connection *connection) {
    struct buf topic = {0}, body = {0};
    if (!begin(connection, "presence", "connected", &topic)) {
        buf_done(&topic);
        return;
    }
    begin_body(connection, "connected", &body);
    add_text(&body, "ipAddress", connection_ip(connection));
    send_home(connection, true, &topic, &body);
}

void lifecycle_disconnected(struct mqtt_connection *connection) {
    struct buf topic = {0}, body = {0};
    if (!begin(connection, "presence", "disconnected", &topic)) {
        buf_done(&topic);
        return;
    }
    begin_body(connection, "disconnected", &body);
    json_write_bool(&body, "clientInitiatedDisconnect", connection->ended_by_client);
    add_text(&body, "disconnectReason", str_of(reason_of(connection)));
    send_home(connection, false, &topic, &body);
}

void lifecycle_refused(struct mqtt_connection *connection) {
    struct buf topic = {0}, body = {0};
    if (begin(connection, "presence", "connect_failed", &topic)) {
        begin_body(connection, "connect_failed", &body);
        add_text(&body, "connectFailureReason", STR("AUTHORIZATION_FAILED"));
        add_text(&body, "ipAddress", connection_ip(connection));
        buf_add_u8(&body, '}');
        publish_event(connection->worker, &topic, &body);
    }
    buf_done(&topic);
    buf_done(&body);
}

/* ---- subscriptions ---- */

static const char *filters_type(enum packet_type type) {
    return type == PACKET_SUBSCRIBE ? "subscribed" : "unsubscribed";
}

void lifecycle_filters_begin(struct mqtt_connection *connection, enum packet_type type) {
    struct mqtt_worker *worker = connection->worker;
    worker->event_wanted =
        begin(connection, "subscriptions", filters_type(type), &worker->event_topic);
    buf_clear(&worker->event_filters);
}

void lifecycle_filter(struct mqtt_worker *worker, struct str filter) {
    if (!worker->event_wanted)
        return;
    json_write_comma(&worker->event_filters);
    json_write_string(&worker->event_filters, filter);
}

void lifecycle_filters_end(struct mqtt_connection *connection, enum packet_type type) {
    struct mqtt_worker *worker = connection->worker;
    struct buf body = {0};
    if (!worker->event_wanted || !buf_len(&worker->event_filters))
        return;
    begin_body(connection, filters_type(type), &body);
    json_write_key(&body, "topics");
    buf_add_u8(&body, '[');
    buf_add_str(&body, buf_str(&worker->event_filters));
    buf_add_str(&body, STR("]}"));
    publish_event(worker, &worker->event_topic, &body);
    buf_done(&body);
}
