/*
 * For tests of what speaks to others: a server on loopback, on the loop of the test, whose answers
 * are bytes that the test names. So it can say what no good server does, and break off in the
 * middle.
 */
#ifndef ACTION_RAW_SERVER_TEST_H
#define ACTION_RAW_SERVER_TEST_H

#include "base/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/mem.h"
#include "io/tcp.h"

enum { RAW_CONNECTIONS_MAX = 16 };

struct raw_server;

struct raw_connection {
    struct tcp tcp;
    struct raw_server *server;
    struct buf in; /* what has come and was not taken off yet */
    bool is_open;
};

struct raw_server {
    /* More has come into `in`; answers go to tcp_out(). */
    void (*on_bytes)(struct raw_connection *connection);
    struct tcp_listener *listener;
    unsigned port;
    struct raw_connection connections[RAW_CONNECTIONS_MAX];
    unsigned open;
};

static inline void raw_on_read(struct tcp *tcp, const uint8_t *at, size_t len) {
    struct raw_connection *connection = CONTAINER_OF(tcp, struct raw_connection, tcp);
    buf_add(&connection->in, at, len);
    connection->server->on_bytes(connection);
}

static inline void raw_on_close(struct tcp *tcp, int reason) {
    struct raw_connection *connection = CONTAINER_OF(tcp, struct raw_connection, tcp);
    connection->is_open = false;
    connection->server->open--;
    buf_done(&connection->in);
}

static inline struct tcp *raw_on_accept(void *data, const struct sockaddr_storage *peer) {
    static const struct tcp_events events = {.on_read = raw_on_read, .on_close = raw_on_close};
    struct raw_server *server = data;
    for (unsigned i = 0; i < RAW_CONNECTIONS_MAX; i++) {
        struct raw_connection *connection = &server->connections[i];
        if (connection->is_open)
            continue;
        *connection = (struct raw_connection){.server = server, .is_open = true};
        connection->tcp.events = &events;
        server->open++;
        return &connection->tcp;
    }
    return NULL;
}

static inline void raw_server_start(struct raw_server *server, struct loop *loop,
                                    void (*on_bytes)(struct raw_connection *connection)) {
    struct sockaddr_storage address = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&address;
    struct err err;
    *server = (struct raw_server){.on_bytes = on_bytes};
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (tcp_listen(loop, &address, NULL, raw_on_accept, server, &server->listener, &err))
        fail_msg("%s", err.text);
    server->port = ntohs(in->sin_port);
}

static inline void raw_server_cut(struct raw_server *server) {
    for (unsigned i = 0; i < RAW_CONNECTIONS_MAX; i++)
        if (server->connections[i].is_open)
            tcp_close(&server->connections[i].tcp);
}

static inline void raw_server_stop(struct raw_server *server, struct loop *loop) {
    tcp_listener_close(server->listener);
    raw_server_cut(server);
    while (server->open)
        uv_run(loop_uv(loop), UV_RUN_ONCE);
}

#endif
