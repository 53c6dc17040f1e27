/*
 * PUBLISH out. A message is encoded once per form that its subscribers need (protocol version, QoS,
 * RETAIN), and copied into each one's output with its own packet identifier. Only subscribers with
 * subscription identifiers get an encoding of their own.
 *
 * A subscriber that does not keep up: QoS 0 is dropped while more than out_bytes_max bytes wait for
 * its socket. QoS 1 waits in the session's queue while too much is unacknowledged or unsent, and is
 * dropped when that is full. Packets that are larger than the client's Maximum Packet Size are
 * dropped as if they had been sent (section 3.1.2.11.4).
 */
#include "base/clock.h"
#include "base/mem.h"
#include "mqtt/broker.h"

struct copy {
    bool made;
    size_t at; /* in the worker's scratch buffer */
    struct packet_marks marks;
};

/* One message on its way to many. */
struct fan_out {
    struct mqtt_worker *worker;
    const struct publication *publication;
    struct copy copies[2][2][2]; /* version 5, QoS, RETAIN */
    uint64_t sent[2], sent_bytes[2];
};

static uint32_t in_flight_max(const struct mqtt_connection *connection) {
    int64_t most = connection->worker->config->inflight_max;
    return connection->receive_max < most ? connection->receive_max : (uint32_t)most;
}

static bool is_slow(const struct mqtt_connection *connection) {
    return connection_pending(connection) > (size_t)connection->worker->config->out_bytes_max;
}

static void log_drop(struct mqtt_connection *connection, struct metric *metric, const char *why) {
    unsigned missed;
    metric_add(metric, 1);
    if (log_limit_pass(&connection->worker->log_slow, 10000, &missed))
        log_warn("mqtt", "client \"%.*s\" at %s: message dropped: %s (%u more like this)",
                 STR_ARG(connection_client_id(connection)), connection->peer, why, missed);
}

static void encode(struct buf *out, const struct publication *publication,
                   const struct packet_form *form, struct copy *copy) {
    copy->made = true;
    copy->at = buf_len(out);
    packet_write_publish(out, &publication->message, form, &copy->marks);
}

static const struct copy *copy_for(struct fan_out *fan, uint8_t version, uint8_t qos, bool retain) {
    bool v5 = version == PACKET_VERSION_5;
    struct copy *copy = &fan->copies[v5][qos][retain];
    if (!copy->made) {
        struct packet_form form = {.version = version, .qos = qos, .retain = retain};
        encode(&fan->worker->scratch, fan->publication, &form, copy);
    }
    return copy;
}

/* Where the bytes of the expiry interval are in an encoded packet; 0: nowhere. */
static uint32_t expiry_in_packet(const struct publication *publication,
                                 const struct packet_marks *marks) {
    bool there = publication->expiry_at >= 0 && marks->properties_at;
    return there ? (uint32_t)(marks->properties_at + (size_t)publication->expiry_at) : 0;
}

static void patch_id(uint8_t *at, uint16_t packet_id) {
    at[0] = (uint8_t)(packet_id >> 8);
    at[1] = (uint8_t)packet_id;
}

static void queue(struct fan_out *fan, struct session *session, const struct copy *copy) {
    struct mqtt_connection *connection = session->connection;
    const struct publication *publication = fan->publication;
    struct queued queued = {
        .bytes = (uint32_t)copy->marks.bytes,
        .packet_id_at = (uint32_t)copy->marks.packet_id_at,
        .expiry_at = expiry_in_packet(publication, &copy->marks),
        .expires = publication->expiry_at >= 0,
        .expiry_s = publication->expiry_at >= 0 ? publication_expiry_s(publication) : 0,
        .received_ms = publication->message.received_ms,
    };
    const uint8_t *packet = buf_at(&fan->worker->scratch) + copy->at;
    size_t bytes_max = (size_t)fan->worker->config->out_bytes_max;
    if (!session_queue_push(session, &queued, packet, bytes_max))
        log_drop(connection, &fan->worker->metrics.dropped_queue_full,
                 "too many QoS 1 messages wait for its acknowledgements");
}

static void send_copy(struct fan_out *fan, struct session *session, uint8_t qos,
                      const struct copy *copy) {
    struct mqtt_connection *connection = session->connection;
    size_t bytes = copy->marks.bytes;
    if (connection->packet_bytes_max && bytes > connection->packet_bytes_max) {
        metric_add(&fan->worker->metrics.dropped_too_large, 1);
        return;
    }
    bool slow = is_slow(connection);
    if (qos == 0 && slow) {
        log_drop(connection, &fan->worker->metrics.dropped_slow, "it reads too slowly");
        return;
    }
    if (qos && (slow || !session_queue_is_empty(session) ||
                !session_may_send(session, in_flight_max(connection)))) {
        queue(fan, session, copy);
        return;
    }
    struct buf *out = connection_out(connection);
    uint8_t *room = buf_room(out, bytes);
    memcpy(room, buf_at(&fan->worker->scratch) + copy->at, bytes);
    if (qos)
        patch_id(room + copy->marks.packet_id_at, session_take_id(session));
    buf_added(out, bytes);
    fan->sent[qos]++;
    fan->sent_bytes[qos] += bytes;
}

static void send_to(struct fan_out *fan, const struct route_target *target) {
    const struct message *message = &fan->publication->message;
    struct session *session = target->session;
    uint8_t version = session->connection->version;
    uint8_t qos = message->qos < target->qos ? message->qos : target->qos;
    bool retain = target->retain_as_published && message->retain;
    if (target->id_count == 0 || version != PACKET_VERSION_5) {
        send_copy(fan, session, qos, copy_for(fan, version, qos, retain));
        return;
    }
    struct packet_form form = {version, qos, retain, 0, target->ids, target->id_count};
    struct copy own;
    encode(&fan->worker->scratch, fan->publication, &form, &own);
    send_copy(fan, session, qos, &own);
    fan->worker->scratch.end = fan->worker->scratch.begin + own.at;
}

static void count_sent(struct worker_metrics *metrics, const uint64_t sent[2],
                       const uint64_t sent_bytes[2]) {
    metric_add(&metrics->sent_qos0, (int64_t)sent[0]);
    metric_add(&metrics->sent_qos1, (int64_t)sent[1]);
    metric_add(&metrics->sent_bytes_qos0, (int64_t)sent_bytes[0]);
    metric_add(&metrics->sent_bytes_qos1, (int64_t)sent_bytes[1]);
}

void deliver(struct mqtt_worker *worker, const struct route *route,
             const struct publication *publication, const struct session *from) {
    struct fan_out fan = {.worker = worker, .publication = publication};
    buf_clear(&worker->scratch);
    for (uint32_t i = 0; i < route->target_count; i++)
        if (!(route->targets[i].no_local && route->targets[i].session == from))
            send_to(&fan, &route->targets[i]);
    count_sent(&worker->metrics, fan.sent, fan.sent_bytes);
}

/* ---- what waits ---- */

/* Sends or drops the first queued message; false if it has to go on waiting. */
static bool send_queued(struct mqtt_connection *connection) {
    struct session *session = connection->session;
    struct mqtt_worker *worker = connection->worker;
    struct queued queued;
    uint8_t *packet;
    if (is_slow(connection) || !session_queue_first(session, &queued, &packet) ||
        !session_may_send(session, in_flight_max(connection)))
        return false;
    uint32_t left_s;
    if (queued.expires &&
        !publication_expiry_left(queued.expiry_s, queued.received_ms, worker->wall_ms, &left_s)) {
        metric_add(&worker->metrics.dropped_expired, 1);
        session_queue_pop(session);
        return true;
    }
    patch_id(packet + queued.packet_id_at, session_take_id(session));
    if (queued.expires && queued.expiry_at)
        publication_expiry_patch(packet + queued.expiry_at, left_s);
    buf_add(connection_out(connection), packet, queued.bytes);
    metric_add(&worker->metrics.sent_qos1, 1);
    metric_add(&worker->metrics.sent_bytes_qos1, queued.bytes);
    session_queue_pop(session);
    return true;
}

static void send_retained_now(struct mqtt_connection *connection,
                              const struct session_retained *waiting, uint8_t qos,
                              uint32_t left_s) {
    struct mqtt_worker *worker = connection->worker;
    const struct publication *publication = &waiting->retained->publication;
    struct packet_form form = {.version = connection->version,
                               .qos = qos,
                               .retain = true,
                               .subscription_ids = &waiting->subscription_id,
                               .subscription_id_count = waiting->subscription_id != 0};
    struct copy copy;
    buf_clear(&worker->scratch);
    encode(&worker->scratch, publication, &form, &copy);
    if (connection->packet_bytes_max && copy.marks.bytes > connection->packet_bytes_max) {
        metric_add(&worker->metrics.dropped_too_large, 1);
        return;
    }
    uint8_t *packet = buf_at(&worker->scratch);
    uint32_t expiry_at = expiry_in_packet(publication, &copy.marks);
    if (qos)
        patch_id(packet + copy.marks.packet_id_at, session_take_id(connection->session));
    if (expiry_at)
        publication_expiry_patch(packet + expiry_at, left_s);
    buf_add(connection_out(connection), packet, copy.marks.bytes);
    uint64_t sent[2] = {!qos, qos},
             sent_bytes[2] = {qos ? 0 : copy.marks.bytes, qos ? copy.marks.bytes : 0};
    count_sent(&worker->metrics, sent, sent_bytes);
}

static bool send_retained(struct mqtt_connection *connection) {
    struct session *session = connection->session;
    const struct session_retained *waiting = session_retained_first(session);
    if (!waiting || is_slow(connection))
        return false;
    const struct publication *publication = &waiting->retained->publication;
    uint8_t qos = publication->message.qos < waiting->qos ? publication->message.qos : waiting->qos;
    if (qos && !session_may_send(session, in_flight_max(connection)))
        return false;
    uint32_t left_s = 0;
    bool lives =
        publication->expiry_at < 0 ||
        publication_expiry_left(publication_expiry_s(publication), publication->message.received_ms,
                                connection->worker->wall_ms, &left_s);
    if (lives)
        send_retained_now(connection, waiting, qos, left_s);
    else
        metric_add(&connection->worker->metrics.dropped_expired, 1);
    session_retained_pop(session);
    return true;
}

void deliver_waiting(struct mqtt_connection *connection) {
    if (connection->state != CONNECTION_OPEN || !connection->session->flight)
        return;
    connection->worker->wall_ms = clock_wall_ms();
    while (send_queued(connection)) {
    }
    while (send_retained(connection)) {
    }
}
