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
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/mem.h"
#include "http/frames.h"
#include "http/server.h"

enum { CLOSE_MS_MAX = 5 * 1000, KEY_BYTES = 16 };

struct http_ws {
    struct connection *connection;
    struct frames *frames;
    const struct http_ws_events *events;
    void *data;
    bool heard;   /* since the last ping */
    bool kicked;  /* the timer was set to feed what waits */
    bool stopped; /* by the owner */
};

/* ---- opening handshake (section 4.2) ---- */

static bool has_token(struct str list, struct str token) {
    while (list.len)
        if (str_eq_nocase(str_trim(str_cut(list, ',', &list)), token))
            return true;
    return false;
}

static bool is_offered(const struct http_request *request, const char *subprotocol) {
    for (size_t i = 0; i < request->header_count; i++)
        if (str_eq_nocase(request->headers[i].name, STR("Sec-WebSocket-Protocol")) &&
            has_token(request->headers[i].value, str_of(subprotocol)))
            return true;
    return false;
}

static bool is_key(struct str key) {
    struct buf bytes = {0};
    bool fine = base64_read(&bytes, key) && buf_len(&bytes) == KEY_BYTES;
    buf_done(&bytes);
    return fine;
}

/* Section 4.2.2, point 5, item 4: base64 of the SHA-1 of the key and a constant. */
static void add_accept_value(struct buf *out, struct str key) {
    struct buf text = {0};
    buf_add_str(&text, key);
    buf_add_str(&text, STR("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    uint8_t hash[20];
    int fine = EVP_Digest(buf_at(&text), buf_len(&text), hash, NULL, EVP_sha1(), NULL);
    ASSERT(fine);
    base64_write(out, str_from(hash, sizeof hash));
    buf_done(&text);
}

static bool refuse(struct http_request *request, int status, const char *why) {
    const struct http_header extra[] = {
        {STR("Upgrade"), STR("websocket")},
        {STR("Sec-WebSocket-Version"), STR("13")},
    };
    http_respond(request, status, "text/plain", str_of(why), extra, status == 426 ? 2 : 0);
    return false;
}

static bool check_handshake(struct http_request *request, const char *subprotocol) {
    struct str upgrade = http_header(request, "Upgrade");
    struct str version = http_header(request, "Sec-WebSocket-Version");
    if (!exchange_of(request)->is_upgrade || !has_token(upgrade, STR("websocket")))
        return refuse(request, 426, "This address speaks WebSocket.\n");
    if (!str_eq(version, STR("13")))
        return refuse(request, 426, "Only WebSocket version 13 is spoken here.\n");
    if (!str_eq(request->method, STR("GET")) || request->body.len || request->is_too_large ||
        !is_key(http_header(request, "Sec-WebSocket-Key")))
        return refuse(request, 400, "This is no proper WebSocket handshake.\n");
    if (subprotocol && !is_offered(request, subprotocol))
        return refuse(request, 400,
                      "The subprotocol of this address is not among those offered.\n");
    return true;
}

static void answer_handshake(struct http_request *request, const char *subprotocol) {
    struct connection *connection = connection_of(request);
    struct buf accept = {0};
    add_accept_value(&accept, http_header(request, "Sec-WebSocket-Key"));
    const struct http_header extra[] = {
        {STR("Upgrade"), STR("websocket")},
        {STR("Connection"), STR("Upgrade")},
        {STR("Sec-WebSocket-Accept"), buf_str(&accept)},
        {STR("Sec-WebSocket-Protocol"), str_of(subprotocol)},
    };
    struct answer_head head = {
        .status = 101,
        .date = answer_date_text(&connection->server->date, clock_wall_ms()),
        .extra = extra,
        .extra_count = subprotocol ? 4 : 3,
    };
    answer_write_head(tcp_out(&connection->tcp), &head);
    buf_done(&accept);
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
