/* What the parts of the server share: server.c (connections and their requests), respond.c (answers) and
 * websocket.c (what a connection can become). */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "base/metric.h"
#include "http/answer.h"
#include "http/http.h"
#include "http/reader.h"

enum {
    SERVER_PENDING_BYTES_MAX = 64 * 1024, /* pipelined requests that wait; beyond, reading stops */
    SERVER_SPARE_EXCHANGES = 2,
};

enum connection_state {
    CONNECTION_READING,   /* a request comes in, or the next one is waited for */
    CONNECTION_HANDLING,  /* the handler has a request */
    CONNECTION_WEBSOCKET, /* `ws` is set */
    CONNECTION_H2,        /* `h2` is set */
    CONNECTION_ENDING,    /* the last answer goes out */
    CONNECTION_CLOSED,    /* tcp is closing: nothing is read or written */
};

struct connection {
    struct tcp tcp;
    struct timer timer;
    struct http_server *server;
    struct link link;
    enum connection_state state;
    struct reader reader;
    struct exchange *exchange; /* being read or handled */
    struct http_ws *ws;
    struct h2 *h2;
    /* arrived, and must wait: for an answer, or until the peer takes what was sent */
    struct buf pending;
    uint64_t deadline_ms; /* 0: none */
    size_t last_to_send,
        last_arrived;  /* bytes to be sent, and of a body, when the deadline was set */
    bool has_spoken;   /* the first bytes have shown which protocol it is */
    bool consuming;    /* what arrived is being handled further up the stack */
    bool reads_paused; /* because of `pending`, or by http_ws_read_stop() */
    struct sockaddr_storage peer;
};

struct http_server {
    struct loop *loop;
    struct tcp_listener *listener;
    http_handler *handler;
    void *data;
    size_t body_bytes_max;
    bool hand_over_too_large, http2;
    unsigned connections_max, connection_count, spare_count;
    unsigned idle_timeout_ms, ping_interval_ms;
    struct link connections, spares;
    struct answer_date date;
    struct timer closing; /* runs once at the end, so that `closed` never comes from inside
                             http_server_close() */
    bool is_closing, is_closing_over;
    void (*closed)(void *data);
    void *closed_data;
    struct metric connections_open, connections_refused, requests, requests_rejected;
};

static inline struct exchange *exchange_of(struct http_request *request) {
    return CONTAINER_OF(request, struct exchange, request);
}

static inline struct connection *connection_of(struct http_request *request) {
    return exchange_of(request)->owner;
}

/* The request that is being handled is over; its memory goes back to the server. */
void http_connection_end_request(struct connection *connection);

/* Its answer is written, or the connection has ended meanwhile: the next request may come, or the
 * connection ends. */
void http_connection_answered(struct connection *connection, bool keep_alive);

/* Restarts the timer that time-outs (or ws_on_timer()) depend on. */
void http_connection_start_timer(struct connection *connection, uint64_t delay_ms);

/* Goes on with what waits in `pending`, unless it is being done further up the stack. */
void http_connection_resume(struct connection *connection);

/* Sends what is in the out buffer and closes. */
void http_connection_finish(struct connection *connection);

/* websocket.c: what server.c tells a connection that has become a WebSocket. */
size_t ws_feed(struct http_ws *ws, const uint8_t *at, size_t len);
bool ws_is_stopped(const struct http_ws *ws);
void ws_on_drain(struct http_ws *ws);
void ws_on_timer(struct http_ws *ws);
void ws_on_server_close(struct http_ws *ws);
void ws_on_closed(struct http_ws *ws); /* frees it */

#endif
