/*
 * For the tests and the fuzzer of manage: one worker on a loop that is turned by hand, a gate and
 * rules that the test moves, MQTT clients without sockets, and calls without a server.
 */
#ifndef MANAGE_TEST_WORLD_H
#define MANAGE_TEST_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/test_rest.h"
#include "manage/call.h"

struct world {
    struct arena arena;
    struct mqtt_config config;
    struct loop *loop;
    struct mqtt *mqtt;
    struct mqtt_worker *worker;
    struct manage *manage;
    bool stopped;
    /* the gate, and rules for topics that begin with "rule/" */
    struct sink_gate gate;
    uint64_t ticket;
    bool full;
    struct message_sink rules;
    unsigned rules_count;
    struct buf rules_properties; /* of the last message */
    struct str principal, source_ip;
    char names[128];
    struct test_answer answer;
};

static inline bool world_has_room(struct sink_gate *gate) {
    return !CONTAINER_OF(gate, struct world, gate)->full;
}

static inline uint64_t world_ticket(struct sink_gate *gate) {
    return CONTAINER_OF(gate, struct world, gate)->ticket;
}

static inline const void *world_route(struct message_sink *sink, struct str topic) {
    return str_starts(topic, STR("rule/")) ? "rule" : NULL;
}

static inline int world_push(struct message_sink *sink, const void *route,
                             const struct message *message) {
    struct world *world = CONTAINER_OF(sink, struct world, rules);
    world->rules_count++;
    buf_clear(&world->rules_properties);
    buf_add_str(&world->rules_properties, message->properties);
    snprintf(world->names, sizeof world->names, "%.*s %.*s", STR_ARG(message->principal),
             STR_ARG(message->source_ip));
    return MESSAGE_STAGED;
}

static inline void world_begin(struct world *world) {
    struct err err = {0};
    *world = (struct world){.ticket = 1};
    log_setup(LOG_ERROR, LOG_TEXT);
    int failed = option_load(&world->arena, mqtt_options, NULL, &world->config, &err);
    ASSERT(!failed);
    world->gate.has_room = world_has_room;
    world->gate.ticket = world_ticket;
    list_init(&world->gate.listeners);
    world->rules.route = world_route;
    world->rules.push = world_push;
    world->loop = loop_new();
    world->mqtt = mqtt_new(&world->config, 1);
    world->worker = mqtt_worker_new(world->mqtt, 0, world->loop);
    mqtt_worker_set_rules(world->worker, &world->rules, &world->gate);
    const struct manage_config config = {
        .worker = world->worker, .gate = &world->gate, .payload_bytes_max = 1000};
    world->manage = manage_new(&config);
}

static inline void world_turn(struct world *world) {
    uv_run(loop_uv(world->loop), UV_RUN_NOWAIT);
}

static inline void world_commit(struct world *world, uint64_t ticket, int status) {
    LIST_EACH(item, &world->gate.listeners) {
        struct sink_gate_listener *listener = LIST_ITEM(item, struct sink_gate_listener, link);
        listener->on_commit(listener, ticket, status);
    }
}

static inline void world_on_stopped(void *data) {
    ((struct world *)data)->stopped = true;
}

static inline void world_end(struct world *world) {
    manage_free(world->manage);
    mqtt_worker_stop(world->worker, world_on_stopped, world);
    world_commit(world, world->ticket, 0);
    for (int i = 0; i < 1000 && !world->stopped; i++)
        world_turn(world);
    ASSERT(world->stopped);
    mqtt_worker_free(world->worker);
    mqtt_free(world->mqtt);
    loop_free(world->loop);
    buf_done(&world->rules_properties);
    buf_done(&world->answer.body);
    arena_done(&world->arena);
}

/* ---- calls ---- */

/* Begins a call; its answer may come later. The request must live until then. */
static inline void world_call(struct world *world, struct http_request *request) {
    const struct rest_service *services[MANAGE_SERVICES];
    for (unsigned i = 0; i < MANAGE_SERVICES; i++)
        services[i] = manage_service(world->manage, i);
    rest_run(test_begin(services, MANAGE_SERVICES, request, &world->answer));
}

/* "GET /v1/clients?limit=1" */
static inline struct http_request world_request(const char *line) {
    struct http_request request = test_request(line, "");
    struct sockaddr_in *peer = (struct sockaddr_in *)&request.peer;
    *peer = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return request;
}

/* Asks and waits for the answer. Returns its status. */
static inline int world_ask(struct world *world, const char *line) {
    struct http_request request = world_request(line);
    unsigned before = world->answer.count;
    world_call(world, &request);
    for (int i = 0; i < 100 && world->answer.count == before; i++)
        world_turn(world);
    ASSERT(world->answer.count == before + 1);
    return world->answer.status;
}

static inline bool world_body_is(struct world *world, const char *text) {
    return str_eq(buf_str(&world->answer.body), str_of(text));
}

static inline bool world_body_has(struct world *world, const char *text) {
    return test_answer_has(&world->answer, text);
}

/* ---- MQTT clients ---- */

struct world_client {
    struct mqtt_connection *connection;
    bool closed;
};

static inline void client_write(void *transport, const uint8_t *at, size_t len) {}

static inline void client_close(void *transport) {
    ((struct world_client *)transport)->closed = true;
}

static inline void client_nothing(void *transport) {}

static inline size_t client_pending(void *transport) {
    return 0;
}

/* 3.1.1 with a two-character id; a clean session unless it is `stored`. */
static inline void client_open(struct world *world, struct world_client *client, const char *id,
                               bool stored) {
    static const struct mqtt_transport_ops ops = {client_write, client_close, client_nothing,
                                                  client_nothing, client_pending};
    uint8_t packet[] = {0x10, 14, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 2, 0, 0};
    packet[9] = stored ? 0 : 2;
    memcpy(packet + 14, id, 2);
    client->closed = false;
    client->connection = mqtt_worker_attach(world->worker, &ops, client, "127.0.0.1:4242", true);
    mqtt_connection_feed(client->connection, packet, sizeof packet);
    world_turn(world);
}

static inline void client_done(struct world *world, struct world_client *client) {
    mqtt_connection_detach(client->connection);
    world_turn(world);
}

#endif
