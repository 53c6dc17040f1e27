/*
 * The life of a connection, and its way out.
 *
 *      NEW -- CONNECT --> JOINING -- credentials and client id settled --> OPEN --> ENDED
 *
 * A connection is counted by references: the transport's until mqtt_connection_detach(), and one
 * for each thing under way that will look at it again (a held acknowledgement, a wait, a password).
 * ENDED means that the broker keeps nothing for it any more; the memory goes with the last
 * reference. The way in is input.c.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mqtt/alias.h"
#include "mqtt/claim.h"
#include "mqtt/crowd.h"
#include "mqtt/lifecycle.h"
#include "mqtt/limits.h"
#include "mqtt/stored.h"

/* ---- life ---- */

/* "127.0.0.1:1234", "[::1]:1234" */
static void set_peer(struct mqtt_connection *connection, const char *peer) {
    const char *colon = strrchr(peer, ':');
    size_t bytes = colon ? (size_t)(colon - peer) : strlen(peer);
    bool bracketed = bytes >= 2 && peer[0] == '[';
    ASSERT(bytes <= UINT8_MAX);
    connection->peer = connection->names = xstrdup(peer);
    connection->ip_at = bracketed;
    connection->ip_bytes = (uint8_t)(bracketed ? bytes - 2 : bytes);
}

static bool admit(struct mqtt_worker *worker) {
    _Atomic int64_t *count = &worker->mqtt->connection_count;
    if (atomic_fetch_add_explicit(count, 1, memory_order_relaxed) < worker->config->connections_max)
        return true;
    atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
    return false;
}

/*
 * Whoever holds connections open without a CONNECT ends its own with every new one: the oldest goes
 * first, and clients that mean to connect do so long before.
 */
static void evict_newcomers(struct mqtt_worker *worker) {
    while (worker->newcomer_count >= worker->config->connecting_max) {
        struct mqtt_connection *oldest =
            LIST_ITEM(worker->newcomers.next, struct mqtt_connection, link);
        metric_add(&worker->metrics.refused_connecting, 1);
        connection_end(oldest, PACKET_SERVER_BUSY);
    }
}

void connection_settle(struct mqtt_connection *connection) {
    struct mqtt_worker *worker = connection->worker;
    if (connection->settled)
        return;
    connection->settled = true;
    list_remove(&connection->link);
    list_push_back(&worker->connections, &connection->link);
    metric_set(&worker->metrics.connecting, --worker->newcomer_count);
}

struct mqtt_connection *connection_new(struct mqtt_worker *worker, const char *peer,
                                       bool anonymous) {
    if (!admit(worker)) {
        unsigned missed;
        metric_add(&worker->metrics.refused_limit, 1);
        if (log_limit_pass(&worker->log_protocol, 1000, &missed))
            log_warn("mqtt",
                     "connection from %s refused: connections_max is reached (%u more like this)",
                     peer, missed);
        return NULL;
    }
    evict_newcomers(worker);
    struct mqtt_connection *connection = xcalloc(1, sizeof *connection);
    connection->worker = worker;
    connection->references = 1;
    connection->anonymous = anonymous;
    connection->number =
        atomic_fetch_add_explicit(&worker->mqtt->connection_number, 1, memory_order_relaxed) + 1;
    set_peer(connection, peer);
    connection->seen_s = worker->wheel.now_s;
    connection->connect_due_s =
        worker->wheel.now_s +
        (uint32_t)((worker->config->connect_timeout_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS) + 1;
    list_push_back(&worker->newcomers, &connection->link);
    metric_set(&worker->metrics.connecting, ++worker->newcomer_count);
    wheel_add(connection);
    metric_add(&worker->metrics.connections, 1);
    metric_add(&worker->metrics.accepted, 1);
    return connection;
}

void connection_set_transport(struct mqtt_connection *connection,
                              const struct mqtt_transport_ops *ops, void *transport) {
    connection->foreign = xcalloc(1, sizeof *connection->foreign);
    connection->foreign->connection = connection;
    connection->foreign->ops = ops;
    connection->foreign->transport = transport;
}

void connection_ref(struct mqtt_connection *connection) {
    connection->references++;
}

void connection_free_inbox(struct mqtt_connection *connection) {
    if (connection->inbox)
        buf_done(&connection->inbox->bytes);
    free(connection->inbox);
    connection->inbox = NULL;
}

static void free_gather(struct mqtt_connection *connection) {
    struct foreign *foreign = connection->foreign;
    if (!foreign)
        return;
    list_remove(&foreign->writing);
    buf_done(&foreign->gather);
}

void connection_unref(struct mqtt_connection *connection) {
    if (--connection->references)
        return;
    ASSERT(connection->state == CONNECTION_ENDED && connection->detached);
    list_remove(&connection->link);
    connection_free_inbox(connection);
    free_gather(connection);
    free(connection->foreign);
    hold_forget(connection);
    auth_free(connection);
    free(connection->pace);
    free(connection->names);
    free(connection->authority);
    free(connection);
}

/* ---- the listener ---- */

bool mqtt_connection_set_listener(struct mqtt_connection *connection,
                                  const struct mqtt_listener_config *listener) {
    struct mqtt_worker *worker = connection->worker;
    struct listener_state *state = listener_state(worker, listener);
    if (state && listener->connections_max &&
        atomic_load_explicit(&state->connections, memory_order_relaxed) >=
            listener->connections_max) {
        metric_add(&worker->metrics.refused_listener, 1);
        return false;
    }
    if (state)
        atomic_fetch_add_explicit(&state->connections, 1, memory_order_relaxed);
    connection->listener = listener;
    connection->pace = pace_new(listener);
    return true;
}

static void leave_listener(struct mqtt_connection *connection) {
    struct listener_state *state = listener_state(connection->worker, connection->listener);
    if (state)
        atomic_fetch_sub_explicit(&state->connections, 1, memory_order_relaxed);
}

size_t connection_packet_bytes_max(const struct mqtt_connection *connection) {
    const struct mqtt_config *config = connection->worker->config;
    const struct mqtt_listener_config *listener = connection->listener;
    int64_t most = config->packet_bytes_max;
    if (listener && listener->packet_bytes_max && listener->packet_bytes_max < most)
        most = listener->packet_bytes_max;
    if (connection->state != CONNECTION_OPEN && config->connect_bytes_max < most)
        most = config->connect_bytes_max;
    return (size_t)most;
}

const struct tls *connection_tls(const struct mqtt_connection *connection) {
    if (connection->tcp)
        return connection->tcp->tls;
    const struct foreign *foreign = connection->foreign;
    bool tells = foreign && foreign->ops->tls && !connection->detached;
    return tells ? foreign->ops->tls(foreign->transport) : NULL;
}

/* ---- out ---- */

struct buf *connection_out(struct mqtt_connection *connection) {
    metric_add(&connection->worker->metrics.packets_sent, 1);
    if (connection->tcp)
        return tcp_out(connection->tcp);
    struct foreign *foreign = connection->foreign;
    if (!list_linked(&foreign->writing))
        list_push_back(&connection->worker->writing, &foreign->writing);
    return &foreign->gather;
}

size_t connection_pending(const struct mqtt_connection *connection) {
    if (connection->tcp)
        return tcp_pending(connection->tcp);
    const struct foreign *foreign = connection->foreign;
    return buf_len(&foreign->gather) + foreign->ops->pending(foreign->transport);
}

void connection_write_gathered(struct mqtt_connection *connection) {
    struct foreign *foreign = connection->foreign;
    struct buf bytes = foreign->gather;
    foreign->gather = (struct buf){0};
    free_gather(connection);
    metric_add(&connection->worker->metrics.bytes_sent, (int64_t)buf_len(&bytes));
    if (buf_len(&bytes))
        foreign->ops->write(foreign->transport, buf_at(&bytes), buf_len(&bytes));
    buf_done(&bytes);
}

void connection_close(struct mqtt_connection *connection) {
    if (connection->closing || connection->detached)
        return;
    connection->closing = true;
    if (connection->tcp) {
        tcp_close_after_flush(connection->tcp);
        return;
    }
    connection_write_gathered(connection);
    connection->foreign->ops->close(connection->foreign->transport);
}

/* ---- the end ---- */

/* MQTT 3.1.1, table 3.1; 0: the connection is closed without a CONNACK. */
static uint8_t return_code(enum packet_reason reason) {
    switch (reason) {
    case PACKET_UNSUPPORTED_VERSION:
        return 1;
    case PACKET_CLIENT_ID_INVALID:
        return 2;
    case PACKET_SERVER_UNAVAILABLE:
    case PACKET_SERVER_BUSY:
    case PACKET_QUOTA_EXCEEDED:
        return 3;
    case PACKET_BAD_CREDENTIALS:
        return 4;
    case PACKET_NOT_AUTHORIZED:
        return 5;
    default:
        return 0;
    }
}

/* Reasons that stand in a DISCONNECT but not in a CONNACK (section 2.4). */
static bool is_for_disconnect_only(enum packet_reason reason) {
    return reason == PACKET_TAKEN_OVER || reason == PACKET_KEEP_ALIVE_TIMEOUT;
}

static void say_why(struct mqtt_connection *connection, enum packet_reason reason) {
    bool v5 = connection->version == PACKET_VERSION_5;
    if (connection->state == CONNECTION_OPEN) {
        if (v5)
            packet_write_disconnect(connection_out(connection), reason);
        return;
    }
    if (reason == PACKET_SHUTTING_DOWN)
        reason = PACKET_SERVER_UNAVAILABLE;
    struct packet_connack connack = {.reason = v5 ? (uint8_t)reason : return_code(reason)};
    if (connection->version && connack.reason && !is_for_disconnect_only(reason))
        packet_write_connack(connection_out(connection), connection->version, &connack);
}

void will_publish(struct mqtt_worker *worker, struct will *will, struct str client_id) {
    will->publication.message.client_id = client_id;
    worker->wall_ms = will->publication.message.received_ms = clock_wall_ms();
    /* The client's own session, if it goes on, may have asked not to hear itself [MQTT-3.8.3-3]. */
    int result = publish(worker, &will->publication, stored_find(worker, client_id));
    if (result < 0) {
        metric_add(&worker->metrics.dropped_refused, 1);
        log_warn("mqtt", "client \"%.*s\": its will to \"%.*s\" was not taken: %s",
                 STR_ARG(client_id), STR_ARG(will->publication.message.topic),
                 publish_refusal(result));
    }
    free(will);
}

static void publish_will(struct mqtt_connection *connection) {
    struct will *will = connection->will;
    connection->will = NULL;
    will->publication.message.principal = connection_principal(connection);
    will->publication.message.source_ip = connection_ip(connection);
    will_publish(connection->worker, will, connection_client_id(connection));
}

void connection_unpark(struct mqtt_connection *connection) {
    if (!list_linked(&connection->parked))
        return;
    list_remove(&connection->parked);
    metric_add(&connection->worker->metrics.parked, -1);
}

/* The session stays behind, with the will if that has a delay, or ends (section 3.1.3.2.2). */
static void leave_session(struct mqtt_connection *connection, bool with_will) {
    struct mqtt_worker *worker = connection->worker;
    struct str client_id = connection_client_id(connection);
    struct session *session = connection->session;
    map_remove(&worker->clients, client_id);
    crowd_leave(worker, session);
    connection->session = NULL;
    if (!stored_survives(session)) {
        stored_end(worker, session);
        claim_tell_gone(worker, claim_gone_new(worker, client_id));
        return;
    }
    struct will *delayed = NULL;
    if (with_will && connection->will && connection->will->delay_s) {
        delayed = connection->will;
        connection->will = NULL;
    }
    stored_go_offline(worker, session, delayed);
}

/* Those that are ended for what the client did wrong are counted where that is found. */
static void count_end(struct worker_metrics *metrics, const struct mqtt_connection *connection) {
    metric_add(&metrics->clients, -1);
    if (connection->ended_by_client)
        metric_add(&metrics->closed_by_client, 1);
    else if (!connection->end_reason)
        metric_add(&metrics->closed_lost, 1);
    else if (connection->end_reason == PACKET_ADMINISTRATIVE_ACTION)
        metric_add(&metrics->closed_kicked, 1);
    else if (connection->end_reason == PACKET_SHUTTING_DOWN)
        metric_add(&metrics->closed_stopping, 1);
}

void connection_retire(struct mqtt_connection *connection, bool with_will) {
    struct mqtt_worker *worker = connection->worker;
    if (connection->state == CONNECTION_ENDED)
        return;
    bool was_open = connection->state == CONNECTION_OPEN;
    connection->state = CONNECTION_ENDED;
    connection_settle(connection);
    leave_listener(connection);
    connection_unpark(connection);
    list_remove(&connection->wheel);
    if (connection->session)
        leave_session(connection, with_will);
    aliases_free(connection);
    if (connection->will && with_will)
        publish_will(connection);
    free(connection->will);
    connection->will = NULL;
    if (was_open) {
        count_end(&worker->metrics, connection);
        lifecycle_disconnected(connection);
    }
    metric_add(&worker->metrics.connections, -1);
    atomic_fetch_sub_explicit(&worker->mqtt->connection_count, 1, memory_order_relaxed);
}

void connection_end(struct mqtt_connection *connection, enum packet_reason reason) {
    if (connection->state == CONNECTION_ENDED)
        return;
    bool was_open = connection->state == CONNECTION_OPEN;
    connection->end_reason = (uint8_t)reason;
    say_why(connection, reason);
    connection_retire(connection, was_open);
    connection_close(connection);
}

void connection_fail(struct mqtt_connection *connection, enum packet_reason reason,
                     const char *format, ...) {
    struct mqtt_worker *worker = connection->worker;
    if (connection->state == CONNECTION_ENDED)
        return;
    metric_add(connection->state == CONNECTION_OPEN ? &worker->metrics.closed_protocol
                                                    : &worker->metrics.refused_protocol,
               1);
    unsigned missed;
    if (log_limit_pass(&worker->log_protocol, 1000, &missed)) {
        char what[200];
        va_list args;
        va_start(args, format);
        vsnprintf(what, sizeof what, format, args);
        va_end(args);
        log_warn("mqtt", "client \"%.*s\" at %s closed, reason 0x%02x: %s (%u more like this)",
                 STR_ARG(connection_client_id(connection)), connection->peer, (unsigned)reason,
                 what, missed);
    }
    connection_end(connection, reason);
}

void connection_end_if_stopping(struct mqtt_connection *connection) {
    bool busy = connection->waiting || list_linked(&connection->parked) || hold_count(connection) ||
                connection->output;
    if (connection->worker->stopping && !busy)
        connection_end(connection, PACKET_SHUTTING_DOWN);
}

void mqtt_connection_detach(struct mqtt_connection *connection) {
    connection->detached = true;
    connection_retire(connection, connection->state == CONNECTION_OPEN);
    free_gather(connection);
    connection->tcp = NULL;
    connection_unref(connection);
}
