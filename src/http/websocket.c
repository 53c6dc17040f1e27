/*
 * WebSockets on a server's connection (RFC 6455): the opening handshake, life, and the closing
 * handshake.
 *
 * Life. Each ping_interval_ms a ping is sent; a peer of which nothing at all was heard between two
 * of them is dead, unless reading was stopped meanwhile. Output goes to the connection's out buffer
 * at once, so http_ws_pending() is what tcp has not handed to the kernel.
 *
 * End. Whoever begins, a close frame goes each way. After ours the peer has CLOSE_MS_MAX to send
 * its own; then, or when it violates the protocol, or when both have closed, the connection is
 * flushed and closed, and on_close() follows.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/frames.h"
#include "http/server.h"
#include "http/upgrade.h"

enum { CLOSE_MS_MAX = 5 * 1000 };

struct http_ws {
    struct connection *connection;
    struct frames *frames;
    const struct http_ws_events *events;
    void *data;
    bool heard;   /* since the last ping */
    bool kicked;  /* the timer was set to feed what waits */
    bool stopped; /* by the owner */
};

/* ---- opening handshake ---- */

static bool check_handshake(struct http_request *request, const char *subprotocol) {
    const struct http_header extra[] = {
        {STR("Upgrade"), STR("websocket")},
        {STR("Sec-WebSocket-Version"), STR("13")},
    };
    const char *why;
    int status = upgrade_check(exchange_of(request), subprotocol, &why);
    if (status)
        http_respond(request, status, "text/plain", str_of(why), extra, status == 426 ? 2 : 0);
    return status == 0;
}

static void answer_handshake(struct http_request *request, const char *subprotocol) {
    struct connection *connection = connection_of(request);
    const char *date = answer_date_text(&connection->server->date, clock_wall_ms());
    upgrade_answer(request, subprotocol, date, tcp_out(&connection->tcp));
}

/* ---- life ---- */

static uint64_t now_of(const struct connection *connection) {
    return loop_now_ms(connection->server->loop);
}

static void set_deadline(struct http_ws *ws, unsigned delay_ms) {
    ws->connection->deadline_ms = now_of(ws->connection) + delay_ms;
    http_connection_start_timer(ws->connection, delay_ms);
}

/* Feeds what waits from the loop, not from inside the call that allowed it. */
static void kick(struct http_ws *ws) {
    ws->kicked = true;
    http_connection_start_timer(ws->connection, 0);
}

static void on_message(void *data, bool is_text, struct str message) {
    struct http_ws *ws = data;
    if (ws->connection->state == CONNECTION_WEBSOCKET)
        ws->events->on_message(ws, is_text, message, ws->data);
}

static void on_output(void *data, struct str bytes) {
    struct http_ws *ws = data;
    buf_add_str(tcp_out(&ws->connection->tcp), bytes);
}

struct http_ws *http_ws_accept(struct http_request *request, const char *subprotocol,
                               const struct http_ws_events *events, size_t message_bytes_max,
                               void *data) {
    static const struct frames_events frames_events = {on_message, on_output};
    struct connection *connection = connection_of(request);
    if (!check_handshake(request, subprotocol))
        return NULL;
    answer_handshake(request, subprotocol);
    struct http_ws *ws = xcalloc(1, sizeof *ws);
    ws->connection = connection;
    ws->frames = frames_new(message_bytes_max, &frames_events, ws);
    ws->events = events;
    ws->data = data;
    ws->heard = true;
    connection->ws = ws;
    http_connection_end_request(connection);
    if (connection->state != CONNECTION_HANDLING)
        return ws; /* The connection is closing: on_close follows. */
    connection->state = CONNECTION_WEBSOCKET;
    set_deadline(ws, ws->connection->server->ping_interval_ms);
    if (!connection->consuming && (buf_len(&connection->pending) || connection->reads_paused))
        kick(ws);
    return ws;
}

void http_ws_send(struct http_ws *ws, bool is_text, struct str message) {
    frames_send(ws->frames, is_text, message);
}

size_t http_ws_pending(const struct http_ws *ws) {
    return tcp_pending(&ws->connection->tcp);
}

void http_ws_read_stop(struct http_ws *ws) {
    ws->stopped = true;
    frames_stop(ws->frames, true);
    if (ws->connection->state == CONNECTION_WEBSOCKET && !ws->connection->consuming)
        http_connection_resume(ws->connection);
}

void http_ws_read_start(struct http_ws *ws) {
    if (!ws->stopped)
        return;
    ws->stopped = false;
    ws->heard = true; /* Nobody listened before. */
    frames_stop(ws->frames, false);
    if (ws->connection->state == CONNECTION_WEBSOCKET && !ws->connection->consuming)
        kick(ws);
}

bool ws_is_stopped(const struct http_ws *ws) {
    return ws->stopped;
}

/* After anything that may have ended it. */
static void check_end(struct http_ws *ws) {
    if (frames_finished(ws->frames))
        http_connection_finish(ws->connection);
}

size_t ws_feed(struct http_ws *ws, const uint8_t *at, size_t len) {
    ws->heard = true;
    size_t taken = frames_feed(ws->frames, at, len);
    check_end(ws);
    return taken;
}

void ws_on_drain(struct http_ws *ws) {
    if (ws->connection->state == CONNECTION_WEBSOCKET && ws->events->on_drain)
        ws->events->on_drain(ws, ws->data);
}

static void on_deadline(struct http_ws *ws) {
    if (frames_close_sent(ws->frames)) {
        http_connection_finish(ws->connection);
    } else if (!ws->heard && !ws->stopped) {
        ws->connection->state = CONNECTION_CLOSED;
        tcp_close(&ws->connection->tcp);
    } else {
        ws->heard = false;
        frames_ping(ws->frames);
        set_deadline(ws, ws->connection->server->ping_interval_ms);
    }
}

void ws_on_timer(struct http_ws *ws) {
    struct connection *connection = ws->connection;
    if (connection->state != CONNECTION_WEBSOCKET)
        return;
    if (ws->kicked) {
        ws->kicked = false;
        http_connection_resume(connection);
    }
    if (connection->state != CONNECTION_WEBSOCKET)
        return;
    uint64_t now_ms = now_of(connection);
    if (connection->deadline_ms > now_ms)
        http_connection_start_timer(connection, connection->deadline_ms - now_ms);
    else
        on_deadline(ws);
}

/* ---- closing handshake (section 7) ---- */

void http_ws_close(struct http_ws *ws, int code) {
    if (ws->connection->state != CONNECTION_WEBSOCKET || frames_close_sent(ws->frames))
        return;
    frames_close(ws->frames, code);
    set_deadline(ws, CLOSE_MS_MAX);
    http_ws_read_start(ws); /* The peer's close frame must be seen; its messages are dropped. */
}

void ws_on_server_close(struct http_ws *ws) {
    http_ws_close(ws, 1001);
}

void ws_on_closed(struct http_ws *ws) {
    ws->connection->ws = NULL;
    ws->events->on_close(ws, ws->data);
    frames_free(ws->frames);
    free(ws);
}
