/* For tests: destinations over real facts, and a server whose owner is asked to want messages. */
#ifndef ACTION_DESTINATION_WORLD_TEST_H
#define ACTION_DESTINATION_WORLD_TEST_H

#include "base/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "action/destination.h"
#include "base/clock.h"
#include "base/mem.h"
#include "io/file.h"

enum { TEST_SECONDS_MAX = 60 };

struct destination_world {
    char directory[40];
    struct loop *loop;
    struct facts *facts;
    struct http_client *client;
    struct http_server *server;
    struct action_services services;
    struct destinations *destinations;
    char base[64];    /* "http://127.0.0.1:PORT" */
    int status;       /* what the server answers */
    struct buf asked; /* per request: "TARGET HEADER HEADER BODY\n" */
    unsigned requests, changes, closed;
};

static inline void world_handle(struct http_request *request, void *data) {
    struct destination_world *world = data;
    buf_printf(&world->asked, "%.*s %.*s %.*s %.*s %.*s\n", STR_ARG(request->target),
               STR_ARG(http_header(request, "x-amz-rules-engine-message-type")),
               STR_ARG(http_header(request, "x-amz-rules-engine-destination-arn")),
               STR_ARG(http_header(request, "content-type")), STR_ARG(request->body));
    world->requests++;
    http_respond(request, world->status, NULL, (struct str){0}, NULL, 0);
}

static inline void world_on_change(void *data) {
    ((struct destination_world *)data)->changes++;
}

static inline void world_open_book(struct destination_world *world) {
    struct err err;
    if (facts_open(world->directory, 1 << 20, &world->facts, &err))
        fail_msg("%s", err.text);
    world->services = (struct action_services){.facts = world->facts,
                                               .client = world->client,
                                               .region = "us-east-1",
                                               .account = "000000000000",
                                               .confirm_url = "http://weir:8080"};
    if (action_destinations_open(world->loop, &world->services, &world->destinations, &err))
        fail_msg("%s", err.text);
    action_destinations_watch(world->destinations, world_on_change, world);
}

static inline void world_close_book(struct destination_world *world) {
    action_destinations_close(world->destinations);
    facts_close(world->facts);
}

static inline void world_begin(struct destination_world *world) {
    struct sockaddr_storage address = {0}, real;
    struct sockaddr_in *in = (struct sockaddr_in *)&address;
    struct err err;
    alarm(TEST_SECONDS_MAX);
    *world = (struct destination_world){.loop = loop_new(), .status = 200};
    snprintf(world->directory, sizeof world->directory, "/tmp/weir-destination-XXXXXX");
    assert_non_null(mkdtemp(world->directory));
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct http_server_config config = {
        .address = &address, .handler = world_handle, .data = world, .name = "test"};
    if (http_server_open(world->loop, &config, &real, &world->server, &err))
        fail_msg("%s", err.text);
    snprintf(world->base, sizeof world->base, "http://127.0.0.1:%d",
             ntohs(((struct sockaddr_in *)&real)->sin_port));
    world->client = http_client_new(world->loop);
    world_open_book(world);
}

static inline void world_turn(struct destination_world *world) {
    uv_run(loop_uv(world->loop), UV_RUN_ONCE);
}

/* The server was asked so often, and every answer has come back. */
static inline void world_settle(struct destination_world *world, unsigned requests) {
    for (size_t i = 0; world->requests < requests; i++)
        world_turn(world);
    for (size_t i = 0; i < world->destinations->count; i++)
        while (world->destinations->items[i]->call)
            world_turn(world);
}

static inline void world_on_closed(void *data) {
    ((struct destination_world *)data)->closed++;
}

static inline void world_end(struct destination_world *world) {
    struct err err;
    world_close_book(world);
    http_client_close(world->client, world_on_closed, world);
    http_server_close(world->server, world_on_closed, world);
    while (world->closed < 2)
        world_turn(world);
    loop_free(world->loop);
    if (file_remove_tree(world->directory, &err))
        fail_msg("%s", err.text);
    buf_done(&world->asked);
}

static inline struct destination *world_add(struct destination_world *world, const char *path) {
    struct destination *destination = NULL;
    struct err err;
    char *url = xprintf("%s%s", world->base, path);
    if (destination_add(world->destinations, str_of(url), NULL, &destination, &err))
        fail_msg("%s", err.text);
    free(url);
    return destination;
}

#endif
