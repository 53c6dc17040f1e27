/*
 * Bytes in, and packets out of them.
 *
 * Packets are handled where they lie in the read buffer. Only what cannot be handled yet is copied
 * into the connection's inbox: the beginning of a packet whose rest has not come, or all that comes
 * while the connection waits (`waiting`: for its own CONNECT or SUBSCRIBE) or is parked (it has a
 * PUBLISH that there is no room for). While it is parked, PINGREQs in the inbox are answered all
 * the same.
 *
 * Nothing is read from the socket while PARKED_BYTES_MAX bytes wait in the inbox, or while more
 * than out_bytes_max bytes wait to be sent: a client that does not read its acknowledgements cannot
 * make them pile up.
 *
 * For keep alive a client is seen when a whole packet has come [MQTT-3.1.2-22]; so that a large one may
 * take its time on a slow line, ALIVE_BYTES of it that come at once count too.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "mqtt/crowd.h"
#include "mqtt/limits.h"
#include "mqtt/stored.h"

enum { ALIVE_BYTES = 256 };

/* ---- reading ---- */

static void stop_reading(struct mqtt_connection *connection) {
    if (connection->reading_stopped)
        return;
    connection->reading_stopped = true;
    if (connection->tcp)
        tcp_read_stop(connection->tcp);
    else
        connection->foreign->ops->read_stop(connection->foreign->transport);
}

static void start_reading(struct mqtt_connection *connection) {
    if (!connection->reading_stopped)
        return;
    connection->reading_stopped = false;
    if (connection->tcp)
        tcp_read_start(connection->tcp);
    else
        connection->foreign->ops->read_start(connection->foreign->transport);
}

static bool is_blocked(const struct mqtt_connection *connection) {
    return connection->waiting || list_linked(&connection->parked);
}

static bool may_read(const struct mqtt_connection *connection) {
    const struct inbox *inbox = connection->inbox;
    bool full = is_blocked(connection) && inbox && buf_len(&inbox->bytes) >= PARKED_BYTES_MAX;
    return !full && !connection->worker->stopping &&
           connection_pending(connection) <= (size_t)connection->worker->config->out_bytes_max;
}

void input_update_reading(struct mqtt_connection *connection) {
    if (connection->state == CONNECTION_ENDED)
        return;
    if (may_read(connection))
        start_reading(connection);
    else
        stop_reading(connection);
}

/* ---- one packet ---- */

static void take_ping(struct mqtt_connection *connection, const struct packet *packet) {
    if (packet->flags || packet->body.len) {
        connection_fail(connection, PACKET_MALFORMED, "PINGREQ with flags or a body");
        return;
    }
    if (connection->inbox && connection->inbox->pings_answered)
        connection->inbox->pings_answered--;
    else
        packet_write_pingresp(connection_out(connection));
    deliver_waiting(connection); /* What could not be kept before it is sent may be kept now. */
}

/* Section 3.14.2.2.2. */
static void change_expiry(struct mqtt_connection *connection, uint32_t expiry_s) {
    struct stored *stored = connection->session->stored;
    uint32_t most_s = (uint32_t)(connection->worker->config->session_expiry_max_ms / 1000);
    if (stored)
        stored->expiry_s = expiry_s < most_s ? expiry_s : most_s;
}

static void take_disconnect(struct mqtt_connection *connection, const struct packet *packet) {
    uint8_t said;
    struct packet_properties properties;
    enum packet_reason reason =
        packet_read_disconnect(packet, connection->version, &said, &properties);
    bool extends =
        properties.session_expiry_s && !connection->wants_expiry; /* section 3.14.2.2.2 */
    if (!reason && extends)
        reason = PACKET_PROTOCOL_ERROR;
    if (reason) {
        connection_fail(connection, reason, "DISCONNECT: %s", packet_reason_text(reason));
        return;
    }
    if (packet_has(&properties, PROPERTY_SESSION_EXPIRY))
        change_expiry(connection, properties.session_expiry_s);
    connection->ended_by_client = true;
    connection_retire(connection, said != PACKET_NORMAL);
    connection_close(connection);
}

static void take_other(struct mqtt_connection *connection, const struct packet *packet) {
    static const char *const names[] = {
        "packet type 0", NULL, "CONNACK",  NULL, NULL,      NULL, NULL, NULL, NULL,
        "SUBACK",        NULL, "UNSUBACK", NULL, "PINGRESP"};
    const char *name = packet->type < COUNT_OF(names) ? names[packet->type] : NULL;
    enum packet_reason reason = packet->type == 0 ? PACKET_MALFORMED : PACKET_PROTOCOL_ERROR;
    connection_fail(connection, reason, "%s is not for a client to send here",
                    name ? name : "packet");
}

static void take_packet(struct mqtt_connection *connection, const struct packet *packet) {
    if (connection->state == CONNECTION_NEW && packet->type != PACKET_CONNECT) {
        connection_fail(connection, PACKET_PROTOCOL_ERROR, "the first packet is not CONNECT");
        return;
    }
    bool answers = packet->type == PACKET_AUTH || packet->type == PACKET_DISCONNECT;
    if (connection->state == CONNECTION_AUTHENTICATING && !answers) {
        connection_fail(connection, PACKET_PROTOCOL_ERROR, "a packet before authentication ended");
        return;
    }
    if (connection->state == CONNECTION_AUTHENTICATING && packet->type == PACKET_DISCONNECT) {
        connection_retire(connection, false);
        connection_close(connection);
        return;
    }
    switch (packet->type) {
    case PACKET_CONNECT:
        connect_take(connection, packet);
        break;
    case PACKET_AUTH:
        auth_take(connection, packet);
        break;
    case PACKET_PUBLISH:
        publish_take(connection, packet);
        break;
    case PACKET_PUBACK:
    case PACKET_PUBREC:
    case PACKET_PUBREL:
    case PACKET_PUBCOMP:
        ack_take(connection, packet);
        break;
    case PACKET_SUBSCRIBE:
        subscribe_take(connection, packet);
        break;
    case PACKET_UNSUBSCRIBE:
        unsubscribe_take(connection, packet);
        break;
    case PACKET_PINGREQ:
        take_ping(connection, packet);
        break;
    case PACKET_DISCONNECT:
        take_disconnect(connection, packet);
        break;
    default:
        take_other(connection, packet);
    }
}

/* ---- bytes ---- */

/* Whether a PUBLISH has to wait: for room, for a subscriber, or in 3.1.1 because the client has too
 * much unacknowledged. */
static bool must_park(struct mqtt_connection *connection) {
    struct mqtt_worker *worker = connection->worker;
    if (connection->state != CONNECTION_OPEN)
        return false;
    bool too_many = connection->version != PACKET_VERSION_5 &&
                    hold_count(connection) >= worker->config->inflight_max;
    return too_many || !worker_has_room(worker) || crowd_holds(connection);
}

static void park(struct mqtt_connection *connection) {
    list_push_back(&connection->worker->parked, &connection->parked);
    metric_add(&connection->worker->metrics.parked, 1);
}

/* Handles whole packets as far as it may; returns the bytes that are done with. */
static size_t take_packets(struct mqtt_connection *connection, const uint8_t *at, size_t len) {
    size_t taken = 0;
    while (connection->state != CONNECTION_ENDED && !connection->waiting && taken < len) {
        struct packet packet;
        int found =
            packet_find(at + taken, len - taken, connection_packet_bytes_max(connection), &packet);
        if (found == ERR_AGAIN)
            break;
        if (found) {
            bool large = found == ERR_TOO_LARGE;
            connection_fail(connection, large ? PACKET_TOO_LARGE : PACKET_MALFORMED,
                            large ? "packet larger than packet_bytes_max"
                                  : "packet length is no variable byte integer");
            break;
        }
        if (connection->version == PACKET_VERSION_5 && !packet_length_is_minimal(&packet)) {
            connection_fail(connection, PACKET_MALFORMED,
                            "packet length takes more bytes than it needs");
            break;
        }
        if (packet.type == PACKET_PUBLISH && must_park(connection)) {
            park(connection);
            break;
        }
        if (packet.type == PACKET_PUBLISH && connection->state == CONNECTION_OPEN &&
            !pace_admit(connection, packet.bytes))
            break;
        metric_add(&connection->worker->metrics.packets_received, 1);
        connection->seen_s = connection->worker->wheel.now_s;
        take_packet(connection, &packet);
        taken += packet.bytes;
    }
    return connection->state == CONNECTION_ENDED ? len : taken;
}

static void stash(struct mqtt_connection *connection, const uint8_t *at, size_t len) {
    if (!connection->inbox)
        connection->inbox = xcalloc(1, sizeof *connection->inbox);
    buf_add(&connection->inbox->bytes, at, len);
}

/* Law 5: a publisher that is made to wait still gets its PINGRESPs. */
static void answer_pings(struct mqtt_connection *connection) {
    struct inbox *inbox = connection->inbox;
    if (!list_linked(&connection->parked) || !inbox)
        return;
    struct packet packet;
    while (inbox->scanned < buf_len(&inbox->bytes) &&
           packet_find(buf_at(&inbox->bytes) + inbox->scanned,
                       buf_len(&inbox->bytes) - inbox->scanned,
                       connection_packet_bytes_max(connection), &packet) == 0) {
        inbox->scanned += packet.bytes;
        if (packet.type == PACKET_PINGREQ) {
            packet_write_pingresp(connection_out(connection));
            inbox->pings_answered++;
        }
    }
}

/* Handles what is in the inbox. */
static void take_inbox(struct mqtt_connection *connection) {
    struct inbox *inbox = connection->inbox;
    size_t taken = take_packets(connection, buf_at(&inbox->bytes), buf_len(&inbox->bytes));
    buf_consume(&inbox->bytes, taken);
    inbox->scanned -= taken < inbox->scanned ? taken : inbox->scanned;
    if (buf_len(&inbox->bytes) == 0)
        connection_free_inbox(connection);
}

/* The packet that has begun in the inbox gets as many bytes as it needs; returns how many it took. */
static size_t complete_packet(struct mqtt_connection *connection, const uint8_t *at, size_t len) {
    struct buf *bytes = &connection->inbox->bytes;
    struct packet packet;
    int found = packet_find(buf_at(bytes), buf_len(bytes), connection_packet_bytes_max(connection),
                            &packet);
    size_t wanted = found == ERR_AGAIN && packet.bytes ? packet.bytes - buf_len(bytes) : 1;
    size_t added = wanted < len ? wanted : len;
    buf_add(bytes, at, added);
    take_inbox(connection);
    return added;
}

/* The rest of a packet that cannot be CONNECT is not waited for. */
static bool is_another_protocol(const struct mqtt_connection *connection, const uint8_t *at,
                                size_t len) {
    return connection->state == CONNECTION_NEW && !connection->inbox && len &&
           at[0] >> 4 != PACKET_CONNECT;
}

void mqtt_connection_feed(struct mqtt_connection *connection, const uint8_t *at, size_t len) {
    if (connection->worker->stopping) /* What came before is finished, and nothing else. */
        return;
    if (is_blocked(connection) || len >= ALIVE_BYTES)
        connection->seen_s = connection->worker->wheel.now_s;
    connection->worker->wall_ms = clock_wall_ms();
    metric_add(&connection->worker->metrics.bytes_received, (int64_t)len);
    if (is_another_protocol(connection, at, len)) {
        connection_fail(connection, PACKET_PROTOCOL_ERROR, "the first byte is not CONNECT's");
        return;
    }
    while (len && connection->state != CONNECTION_ENDED && !is_blocked(connection)) {
        size_t taken = connection->inbox ? complete_packet(connection, at, len)
                                         : take_packets(connection, at, len);
        if (taken == 0) /* What is left is the beginning of a packet. */
            break;
        at += taken;
        len -= taken;
    }
    if (len && connection->state != CONNECTION_ENDED)
        stash(connection, at, len);
    answer_pings(connection);
    input_update_reading(connection);
}

void connection_resume(struct mqtt_connection *connection) {
    connection_unpark(connection);
    connection->fed_crowd = false;
    if (connection->state == CONNECTION_ENDED || connection->waiting)
        return;
    if (connection->inbox)
        take_inbox(connection);
    if (connection->state == CONNECTION_ENDED)
        return;
    if (connection->peer_ended && !is_blocked(connection)) {
        connection_retire(connection, true);
        connection_close(connection);
        return;
    }
    connection_end_if_stopping(connection);
    answer_pings(connection);
    input_update_reading(connection);
}

void mqtt_connection_drained(struct mqtt_connection *connection) {
    deliver_waiting(connection);
    input_update_reading(connection);
}

void connection_peer_ended(struct mqtt_connection *connection) {
    connection->peer_ended = true;
    if (connection->state == CONNECTION_ENDED)
        connection_close(connection);
    else if (!is_blocked(connection))
        connection_resume(connection);
}
