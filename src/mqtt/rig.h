/*
 * For the tests and the fuzzer of the broker: one worker on a loop that is turned by hand, clients
 * without sockets that hand over bytes through the transport interface, and a gate and rules that
 * the test moves.
 */
#ifndef MQTT_RIG_H
#define MQTT_RIG_H

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/log.h"
#include "mqtt/broker.h"

struct rig {
    struct arena arena;
    struct mqtt_config config;
    struct loop *loop;
    struct mqtt *mqtt;
    struct mqtt_worker *worker;
    bool stopped;
    /* the gate */
    struct sink_gate gate;
    uint64_t ticket;
    bool full;
    /* the rules: topics that begin with "rule/" */
    struct message_sink rules;
    int rules_result;
    unsigned rules_count;
    char rules_last[64];
    uint8_t rules_properties[64];
    size_t rules_properties_bytes;
};

struct peer {
    struct rig *rig;
    struct mqtt_connection *connection;
    struct buf in; /* what the broker wrote */
    size_t pending;
    bool closed, reading_stopped;
    unsigned byte_by_byte;
};

static inline bool rig_has_room(struct sink_gate *gate) {
    return !CONTAINER_OF(gate, struct rig, gate)->full;
}

static inline uint64_t rig_ticket(struct sink_gate *gate) {
    return CONTAINER_OF(gate, struct rig, gate)->ticket;
}

static inline const void *rig_route(struct message_sink *sink, struct str topic) {
    return str_starts(topic, STR("rule/")) ? "rule" : NULL;
}

static inline int rig_push(struct message_sink *sink, const void *route,
                           const struct message *message) {
    struct rig *rig = CONTAINER_OF(sink, struct rig, rules);
    rig->rules_count++;
    snprintf(rig->rules_last, sizeof rig->rules_last, "%.*s", STR_ARG(message->payload));
    rig->rules_properties_bytes = message->properties.len;
    if (message->properties.len && message->properties.len <= sizeof rig->rules_properties)
        memcpy(rig->rules_properties, message->properties.at, message->properties.len);
    return rig->rules_result;
}

/* Defaults of the tables; the test may change rig->config before rig_start(). */
static inline void rig_init(struct rig *rig) {
    struct err err = {0};
    *rig = (struct rig){.ticket = 1};
    int failed = option_load(&rig->arena, mqtt_options, NULL, &rig->config, &err);
    ASSERT(!failed);
    rig->gate.has_room = rig_has_room;
    rig->gate.ticket = rig_ticket;
    list_init(&rig->gate.listeners);
    rig->rules.route = rig_route;
    rig->rules.push = rig_push;
    log_setup(LOG_ERROR, LOG_TEXT);
}

static inline void rig_start(struct rig *rig) {
    rig->loop = loop_new();
    rig->mqtt = mqtt_new(&rig->config, 1);
    rig->worker = mqtt_worker_new(rig->mqtt, 0, rig->loop);
    mqtt_worker_set_rules(rig->worker, &rig->rules, &rig->gate);
}

static inline void rig_turn(struct rig *rig) {
    uv_run(loop_uv(rig->loop), UV_RUN_NOWAIT);
}

static inline void rig_commit(struct rig *rig, uint64_t ticket, int status) {
    LIST_EACH(item, &rig->gate.listeners) {
        struct sink_gate_listener *listener = LIST_ITEM(item, struct sink_gate_listener, link);
        listener->on_commit(listener, ticket, status);
    }
    rig_turn(rig);
}

static inline void rig_make_room(struct rig *rig) {
    rig->full = false;
    LIST_EACH(item, &rig->gate.listeners) {
        struct sink_gate_listener *listener = LIST_ITEM(item, struct sink_gate_listener, link);
        listener->on_room(listener);
    }
    rig_turn(rig);
}

static inline void rig_on_stopped(void *data) {
    ((struct rig *)data)->stopped = true;
}

static inline void rig_done(struct rig *rig) {
    if (!rig->worker->stopping)
        mqtt_worker_stop(rig->worker, rig_on_stopped, rig);
    rig_commit(rig, rig->ticket, 0);
    for (int i = 0; i < 1000 && !rig->stopped; i++)
        rig_turn(rig);
    ASSERT(rig->stopped);
    mqtt_worker_free(rig->worker);
    mqtt_free(rig->mqtt);
    loop_free(rig->loop);
    arena_done(&rig->arena);
}

/* ---- clients ---- */

static inline void peer_write(void *transport, const uint8_t *at, size_t len) {
    struct peer *peer = transport;
    ASSERT(!peer->closed);
    buf_add(&peer->in, at, len);
}

static inline void peer_close(void *transport) {
    struct peer *peer = transport;
    ASSERT(!peer->closed);
    peer->closed = true;
}

static inline void peer_read_stop(void *transport) {
    ((struct peer *)transport)->reading_stopped = true;
}

static inline void peer_read_start(void *transport) {
    ((struct peer *)transport)->reading_stopped = false;
}

static inline size_t peer_pending(void *transport) {
    return ((struct peer *)transport)->pending;
}

static const struct mqtt_transport_ops peer_ops = {peer_write, peer_close, peer_read_stop,
                                                   peer_read_start, peer_pending};

static inline void peer_open(struct peer *peer, struct rig *rig) {
    *peer = (struct peer){.rig = rig};
    peer->connection = mqtt_worker_attach(rig->worker, &peer_ops, peer, "127.0.0.1:4242", true);
    ASSERT(peer->connection);
}

/* The transport goes. */
static inline void peer_done(struct peer *peer) {
    mqtt_connection_detach(peer->connection);
    buf_done(&peer->in);
    rig_turn(peer->rig);
}

static inline void peer_feed(struct peer *peer, const void *at, size_t len) {
    const uint8_t *bytes = at;
    size_t step = peer->byte_by_byte ? 1 : len;
    for (size_t i = 0; i < len && !peer->closed; i += step)
        mqtt_connection_feed(peer->connection, bytes + i, step);
    rig_turn(peer->rig);
}

/* "20 02 00 00": bytes; "'text'": text. */
static inline void hex_parse(struct buf *out, const char *hex) {
    for (; *hex; hex++) {
        if (*hex == '\'') {
            for (hex++; *hex != '\''; hex++)
                buf_add_u8(out, (uint8_t)*hex);
        } else if (*hex != ' ') {
            char digits[3] = {hex[0], hex[1], 0};
            buf_add_u8(out, (uint8_t)strtoul(digits, NULL, 16));
            hex++;
        }
    }
}

static inline void peer_send(struct peer *peer, const char *hex) {
    struct buf bytes = {0};
    hex_parse(&bytes, hex);
    peer_feed(peer, buf_at(&bytes), buf_len(&bytes));
    buf_done(&bytes);
}

#endif
