/*
 * Law 1: a PUBACK or PUBREC leaves when what its PUBLISH staged is on disk, and in the order of the
 * PUBLISHes. Acknowledgements are encoded at once into the connection's held bytes; a ring of
 * holds, in the order of tickets, says up to where a ticket releases whose bytes. A commit takes
 * holds off the front and appends their bytes to the connections' output.
 *
 * An acknowledgement that waits for nothing joins the connection's newest hold, if there is one, so
 * that it does not overtake. When a ticket fails, all acknowledgements of its holds become refusals
 * (0x97), and the identifiers of QoS 2 messages are free again [MQTT-4.3.3-9]; in 3.1.1 the
 * connection is closed; a client then publishes again what need not have been, which "at least
 * once" allows.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "mqtt/stored.h"

static struct hold *hold_at(const struct holds *holds, uint64_t number) {
    return &holds->items[number & (holds->cap - 1)];
}

static void push(struct holds *holds, struct hold hold) {
    if (holds->end - holds->begin == holds->cap) {
        struct holds wider = {
            .begin = holds->begin, .end = holds->end, .cap = holds->cap ? holds->cap * 2 : 64};
        wider.items = xmalloc(wider.cap * sizeof *wider.items);
        for (uint64_t i = holds->begin; i < holds->end; i++)
            *hold_at(&wider, i) = *hold_at(holds, i);
        free(holds->items);
        *holds = wider;
    }
    *hold_at(holds, holds->end++) = hold;
}

uint32_t hold_count(const struct mqtt_connection *connection) {
    return connection->held ? connection->held->count : 0;
}

uint32_t hold_puback_count(const struct mqtt_connection *connection) {
    return connection->held ? connection->held->puback_count : 0;
}

/* The hold that the acknowledgement joins: the newest one, unless it waits for an earlier ticket. */
static void join(struct mqtt_connection *connection, bool staged, uint64_t ticket) {
    struct holds *holds = &connection->worker->holds;
    struct held *held = connection->held;
    bool has_last = held->count > 1;
    struct hold *last = has_last ? hold_at(holds, held->last_hold) : NULL;
    uint64_t end = held->begin + buf_len(&held->bytes);
    if (last && (!staged || last->ticket == ticket)) {
        last->end = end;
        return;
    }
    connection_ref(connection);
    push(holds, (struct hold){ticket, connection, end});
    held->last_hold = holds->end - 1;
}

void hold_ack(struct mqtt_connection *connection, enum packet_type type, uint16_t packet_id,
              uint8_t reason, bool staged, uint64_t ticket) {
    if (!staged && hold_count(connection) == 0) {
        packet_write_ack(connection_out(connection), type, packet_id, reason);
        return;
    }
    if (!connection->held)
        connection->held = xcalloc(1, sizeof *connection->held);
    packet_write_ack(&connection->held->bytes, type, packet_id, reason);
    connection->held->count++;
    connection->held->puback_count += type == PACKET_PUBACK;
    join(connection, staged, ticket);
}

static size_t ack_bytes(const uint8_t *at) {
    return 2u + at[1];
}

static enum packet_type ack_type(const uint8_t *at) {
    return (enum packet_type)(at[0] >> 4);
}

static uint16_t ack_id(const uint8_t *at) {
    return (uint16_t)(at[2] << 8 | at[3]);
}

static bool is_success(const uint8_t *at) {
    return ack_bytes(at) == PACKET_ACK_BYTES;
}

/* The messages of a ticket that failed will be sent anew, under the same identifiers or others. */
static void forget_received(struct session *session, const uint8_t *at, size_t len) {
    for (const uint8_t *end = at + len; at < end; at += ack_bytes(at))
        if (ack_type(at) == PACKET_PUBREC && is_success(at))
            session_release(session, ack_id(at));
}

static void uncount(struct held *held, const uint8_t *ack) {
    held->count--;
    held->puback_count -= ack_type(ack) == PACKET_PUBACK;
}

/* Sends the bytes up to `end`, all as refusals if the ticket failed. */
static void send_held(struct mqtt_connection *connection, size_t len, bool failed) {
    struct held *held = connection->held;
    struct buf *out = connection_out(connection);
    const uint8_t *at = buf_at(&held->bytes), *end = at + len;
    uint32_t count_before = held->count;
    if (!failed)
        buf_add(out, at, len);
    for (; at < end; at += ack_bytes(at)) {
        uncount(held, at);
        if (failed)
            packet_write_ack(out, ack_type(at), ack_id(at),
                             is_success(at) ? PACKET_QUOTA_EXCEEDED : at[4]);
    }
    /* connection_out() has counted one. */
    metric_add(&connection->worker->metrics.packets_sent,
               (int64_t)(count_before - held->count) - 1);
}

void hold_forget(struct mqtt_connection *connection) {
    struct held *held = connection->held;
    connection->held = NULL;
    if (!held)
        return;
    list_remove(&held->unsettling);
    buf_done(&held->bytes);
    free(held);
}

static void fail_old_client(struct mqtt_connection *connection) {
    struct mqtt_worker *worker = connection->worker;
    unsigned missed;
    metric_add(&worker->metrics.closed_not_kept, 1);
    if (log_limit_pass(&worker->log_keep, 10000, &missed))
        log_warn(
            "mqtt",
            "client \"%.*s\" at %s closed: its messages could not be stored (%u more like this)",
            STR_ARG(connection_client_id(connection)), connection->peer, missed);
    connection_end(connection, PACKET_QUOTA_EXCEEDED);
}

/* The connection has ended and its session waits for the client: the PUBRECs are not sent, but it
 * has to be known what they would have said. */
static void settle(const struct hold *hold, size_t len, int status) {
    struct mqtt_connection *connection = hold->connection;
    struct held *held = connection->held;
    struct session *session = held->unsettled;
    if (!session)
        return;
    if (status)
        forget_received(session, buf_at(&held->bytes), len);
    if (status && session->connection) /* It may have been told otherwise about a repetition. */
        connection_end(session->connection, PACKET_QUOTA_EXCEEDED);
    for (const uint8_t *at = buf_at(&held->bytes), *end = at + len; at < end; at += ack_bytes(at))
        uncount(held, at);
    held->begin = hold->end;
    buf_consume(&held->bytes, len);
    if (held->count == held->puback_count)
        stored_settle(connection->worker, held);
}

static void release(const struct hold *hold, int status) {
    struct mqtt_connection *connection = hold->connection;
    struct held *held = connection->held;
    if (!held)
        return;
    size_t len = (size_t)(hold->end - held->begin);
    if (connection->state != CONNECTION_OPEN) {
        settle(hold, len, status);
        return;
    }
    if (status)
        forget_received(connection->session, buf_at(&held->bytes), len);
    if (status && connection->version != PACKET_VERSION_5) {
        fail_old_client(connection);
        return;
    }
    send_held(connection, len, status != 0);
    held->begin = hold->end;
    buf_consume(&held->bytes, len);
    if (held->count == 0)
        hold_forget(connection);
    connection_end_if_stopping(connection);
}

void holds_commit(struct mqtt_worker *worker, uint64_t ticket, int status) {
    struct holds *holds = &worker->holds;
    while (holds->begin < holds->end && hold_at(holds, holds->begin)->ticket <= ticket) {
        struct hold hold = *hold_at(holds, holds->begin++);
        release(&hold, status);
        connection_unref(hold.connection);
    }
    worker_unpark(worker);
}

void holds_done(struct mqtt_worker *worker) {
    struct holds *holds = &worker->holds;
    while (holds->begin < holds->end)
        connection_unref(hold_at(holds, holds->begin++)->connection);
    free(holds->items);
    *holds = (struct holds){0};
}
