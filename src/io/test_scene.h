/* For tests: a listener on loopback with one connection, both ends of which note what happens to them. */
#ifndef IO_TEST_SCENE_H
#define IO_TEST_SCENE_H

#include "base/test.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/tcp.h"

/* One end of a connection, and what happened to it. */
struct peer {
    struct tcp tcp;
    struct buf received;
    int reads, drains, reason;
    char error_text[128];
    bool connected, ended, closed;
    void (*on_data)(struct peer *peer);
    struct peer *other; /* for handlers that need one */
};

struct scene {
    struct loop *loop;
    struct tls_context *server_tls, *client_tls;
    struct sockaddr_storage address;
    struct tcp_listener *listener;
    struct peer server, client;
    struct tcp_events server_events;
    int arrivals;
    bool refuse, close_listener_on_arrival;
};

static inline struct peer *peer_of(struct tcp *tcp) {
    return CONTAINER_OF(tcp, struct peer, tcp);
}

static inline void on_read(struct tcp *tcp, const uint8_t *at, size_t len) {
    struct peer *peer = peer_of(tcp);
    assert_false(peer->closed);
    peer->reads++;
    buf_add(&peer->received, at, len);
    if (peer->on_data)
        peer->on_data(peer);
}

static inline void on_drain(struct tcp *tcp) {
    peer_of(tcp)->drains++;
}

static inline void on_close(struct tcp *tcp, int reason) {
    struct peer *peer = peer_of(tcp);
    assert_false(peer->closed);
    peer->closed = true;
    peer->reason = reason;
    snprintf(peer->error_text, sizeof peer->error_text, "%s",
             tcp->error_text ? tcp->error_text : "");
}

static inline void on_connect(struct tcp *tcp) {
    peer_of(tcp)->connected = true;
}

static inline void on_end(struct tcp *tcp) {
    assert_false(peer_of(tcp)->ended);
    peer_of(tcp)->ended = true;
}

static const struct tcp_events plain_events = {
    .on_read = on_read, .on_drain = on_drain, .on_close = on_close, .on_connect = on_connect};

static inline struct tcp *on_accept(void *data, const struct sockaddr_storage *peer) {
    struct scene *scene = data;
    assert_true(tcp_address_is_loopback(peer));
    scene->arrivals++;
    if (scene->close_listener_on_arrival) {
        tcp_listener_close(scene->listener);
        scene->listener = NULL;
    }
    if (scene->refuse)
        return NULL;
    scene->server.tcp.events = &scene->server_events;
    return &scene->server.tcp;
}

static inline void run_until(struct scene *scene, const bool *happened) {
    uint64_t give_up_ns = clock_mono_ns() + 30 * 1000000000ULL;
    while (!*happened) {
        assert_true(clock_mono_ns() < give_up_ns);
        uv_run(loop_uv(scene->loop), UV_RUN_NOWAIT);
        usleep(200);
    }
}

/* Sleeps in the loop, so that output which nobody wakes it for would stay there. */
static inline void run_until_received(struct scene *scene, struct peer *peer, size_t len) {
    uint64_t give_up_ns = clock_mono_ns() + 30 * 1000000000ULL;
    while (buf_len(&peer->received) < len) {
        assert_true(clock_mono_ns() < give_up_ns);
        uv_run(loop_uv(scene->loop), UV_RUN_ONCE);
    }
}

static inline void run_some_turns(struct scene *scene) {
    for (int i = 0; i < 20; i++) {
        uv_run(loop_uv(scene->loop), UV_RUN_NOWAIT);
        usleep(500);
    }
}

static inline void listen_here(struct scene *scene) {
    struct err err = {0};
    scene->loop = loop_new();
    scene->server_events = plain_events;
    assert_int_equal(tcp_address("127.0.0.1:0", &scene->address, &err), 0);
    if (tcp_listen(scene->loop, &scene->address, scene->server_tls, on_accept, scene,
                   &scene->listener, &err))
        fail_msg("%s", err.text);
}

static inline void begin_to_connect(struct scene *scene) {
    scene->client.tcp.events = &plain_events;
    tcp_connect(scene->loop, &scene->client.tcp, &scene->address, scene->client_tls, "localhost");
}

static inline void close_scene(struct scene *scene) {
    if (scene->client.tcp.loop) {
        tcp_close(&scene->client.tcp);
        run_until(scene, &scene->client.closed);
    }
    if (scene->server.tcp.loop) {
        tcp_close(&scene->server.tcp);
        run_until(scene, &scene->server.closed);
    }
    tcp_listener_close(scene->listener);
    loop_free(scene->loop);
    tls_context_free(scene->server_tls);
    tls_context_free(scene->client_tls);
    buf_done(&scene->server.received);
    buf_done(&scene->client.received);
}

static inline void write_text(struct peer *peer, const char *text) {
    tcp_write(&peer->tcp, text, strlen(text));
}

static inline void assert_received(const struct peer *peer, const char *text) {
    assert_int_equal(buf_len(&peer->received), strlen(text));
    assert_memory_equal(buf_at(&peer->received), text, strlen(text));
}

/* A socket that only the test moves. */
static inline int raw_client(struct scene *scene) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&scene->address, sizeof(struct sockaddr_in)),
                     0);
    while (!scene->server.tcp.connected)
        uv_run(loop_uv(scene->loop), UV_RUN_NOWAIT);
    return fd;
}

#endif
