/* For the tests of things: facts in a directory of their own, calls without a server, and a broker
 * that writes down what it is given. */
#ifndef THINGS_TEST_WORLD_H
#define THINGS_TEST_WORLD_H

#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "http/test_rest.h"
#include "things/store.h"

struct world {
    char directory[32];
    struct loop *loop;
    struct facts *facts;
    struct things *things;
    struct things_intake *intake;
    struct journal journal; /* takes nothing */
    struct sink_gate gate;
    struct message_publisher publisher;
    struct buf published; /* "TOPIC PAYLOAD\n" of each message */
    int publish_result;
    uint64_t ticket;
    bool stopped;
    struct test_answer answer;
};

static inline bool world_has_room(struct sink_gate *gate) {
    return true;
}

static inline uint64_t world_ticket(struct sink_gate *gate) {
    return CONTAINER_OF(gate, struct world, gate)->ticket;
}

static inline uint64_t world_end_of_journal(struct journal *journal) {
    return 0;
}

static inline int world_publish(struct message_publisher *publisher,
                                const struct message *message) {
    struct world *world = CONTAINER_OF(publisher, struct world, publisher);
    buf_printf(&world->published, "%.*s %.*s\n", STR_ARG(message->topic),
               STR_ARG(message->payload));
    return world->publish_result;
}

static inline void world_turn(struct world *world) {
    uv_run(loop_uv(world->loop), UV_RUN_ONCE);
}

static inline void world_start(struct world *world, struct stream *requests) {
    struct err err;
    const struct things_surroundings around = {.loop = world->loop,
                                               .requests = requests,
                                               .gate = &world->gate,
                                               .publisher = &world->publisher,
                                               .intake = world->intake};
    if (things_start(world->things, &around, &err))
        fail_msg("%s", err.text);
}

static inline void world_on_stopped(void *data) {
    ((struct world *)data)->stopped = true;
}

static inline void world_stop(struct world *world) {
    world->stopped = false;
    things_stop(world->things, world_on_stopped, world);
    while (!world->stopped)
        world_turn(world);
}

static inline void world_open_facts(struct world *world) {
    struct err err;
    if (facts_open(world->directory, 64 << 20, &world->facts, &err) ||
        things_open(world->facts, "us-east-1", "000000000000", &world->things, &err))
        fail_msg("%s", err.text);
}

static inline void world_open(struct world *world) {
    world_open_facts(world);
    world->loop = loop_new();
    world->gate = (struct sink_gate){.has_room = world_has_room, .ticket = world_ticket};
    list_init(&world->gate.listeners);
    world->publisher.publish = world_publish;
    world->journal = (struct journal){.gate = &world->gate, .end = world_end_of_journal};
    world->intake = things_intake_new(world->things, &world->journal, &world->publisher);
    world->ticket = 1;
    world_start(world, NULL);
}

static inline void world_close(struct world *world) {
    world_stop(world);
    things_intake_free(world->intake);
    loop_free(world->loop);
    things_close(world->things);
    facts_close(world->facts);
}

static inline void world_begin(struct world *world) {
    *world = (struct world){.directory = "/tmp/weir-things-XXXXXX"};
    assert_non_null(mkdtemp(world->directory));
    world_open(world);
}

static inline void world_end(struct world *world) {
    static const char *const files[] = {"facts.mdb", "facts.mdb-lock"};
    char path[64];
    world_close(world);
    for (size_t i = 0; i < COUNT_OF(files); i++) {
        snprintf(path, sizeof path, "%s/%s", world->directory, files[i]);
        unlink(path);
    }
    rmdir(world->directory);
    buf_done(&world->answer.body);
    buf_done(&world->published);
}

/* "GET /things/a". Whatever is answered is JSON. */
static inline int world_ask(struct world *world, const char *line, const char *body) {
    const struct rest_service *services[THINGS_SERVICES];
    struct http_request request = test_request(line, body);
    for (unsigned i = 0; i < THINGS_SERVICES; i++)
        services[i] = things_service(world->things, i);
    world->answer.status = 0;
    rest_run(test_begin(services, THINGS_SERVICES, &request, &world->answer));
    while (!world->answer.status)
        world_turn(world);
    struct json json = {0};
    if (buf_len(&world->answer.body) && json_parse(&json, buf_str(&world->answer.body)))
        fail_msg("%s is answered %s", line, buf_cstr(&world->answer.body));
    json_done(&json);
    return world->answer.status;
}

static inline bool world_has(struct world *world, const char *text) {
    return test_answer_has(&world->answer, text);
}

#endif
