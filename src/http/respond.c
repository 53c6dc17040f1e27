/*
 * How a handler answers: at once, or in pieces (chunked, RFC 9112 section 7.1; to HTTP/1.0 until the
 * connection ends). A request that came over HTTP/2 is answered on its stream. When the connection has
 * ended meanwhile, the handler need not know: what it says goes nowhere.
 */
#include "base/clock.h"
#include "http/h2.h"
#include "http/server.h"

static void respond_stream(struct http_request *request, int status, const char *content_type,
                           struct str body, const struct http_header *extra, size_t extra_count) {
    bool is_body_sent = answer_has_body(status) && !str_eq(request->method, STR("HEAD"));
    h2_respond_begin(request, status, content_type, &body.len, extra, extra_count);
    if (is_body_sent)
        h2_respond_chunk(request, body);
    h2_respond_end(request);
}

void http_respond(struct http_request *request, int status, const char *content_type,
                  struct str body, const struct http_header *extra, size_t extra_count) {
    struct exchange *exchange = exchange_of(request);
    struct connection *connection = exchange->owner;
    struct http_server *server = connection->server;
    if (exchange->stream) {
        respond_stream(request, status, content_type, body, extra, extra_count);
        return;
    }
    ASSERT(connection->exchange == exchange);
    bool keep_alive = exchange->keep_alive && !request->is_too_large && !server->is_closing;
    bool is_body_sent = answer_has_body(status) && !str_eq(request->method, STR("HEAD"));
    struct answer_head head = {
        .status = status,
        .date = answer_date_text(&server->date, clock_wall_ms()),
        .content_type = content_type,
        .body_bytes = body.len,
        .extra = extra,
        .extra_count = extra_count,
        .keep_alive = keep_alive,
        .is_http_1_0 = exchange->is_http_1_0,
    };
    if (connection->state == CONNECTION_HANDLING) {
        answer_write_head(tcp_out(&connection->tcp), &head);
        buf_add_str(tcp_out(&connection->tcp), is_body_sent ? body : (struct str){0});
    }
    http_connection_answered(connection, keep_alive);
}

/* ---- answers in pieces ---- */

void http_respond_begin(struct http_request *request, int status, const char *content_type,
                        const struct http_header *extra, size_t extra_count) {
    struct exchange *exchange = exchange_of(request);
    struct connection *connection = exchange->owner;
    struct http_server *server = connection->server;
    if (exchange->stream) {
        h2_respond_begin(request, status, content_type, NULL, extra, extra_count);
        return;
    }
    ASSERT(connection->exchange == exchange && !exchange->is_streaming);
    ASSERT(answer_has_body(status) && !str_eq(request->method, STR("HEAD")));
    exchange->is_streaming = true;
    exchange->keep_alive &= !exchange->is_http_1_0 && !request->is_too_large && !server->is_closing;
    struct answer_head head = {
        .status = status,
        .date = answer_date_text(&server->date, clock_wall_ms()),
        .content_type = content_type,
        .extra = extra,
        .extra_count = extra_count,
        .keep_alive = exchange->keep_alive,
        .is_http_1_0 = exchange->is_http_1_0,
        .is_streamed = true,
    };
    if (connection->state == CONNECTION_HANDLING)
        answer_write_head(tcp_out(&connection->tcp), &head);
}

void http_respond_chunk(struct http_request *request, struct str bytes) {
    struct exchange *exchange = exchange_of(request);
    struct connection *connection = exchange->owner;
    if (exchange->stream) {
        h2_respond_chunk(request, bytes);
        return;
    }
    ASSERT(exchange->is_streaming);
    if (connection->state != CONNECTION_HANDLING || !bytes.len)
        return;
    struct buf *out = tcp_out(&connection->tcp);
    if (!exchange->is_http_1_0)
        buf_printf(out, "%zx\r\n", bytes.len);
    buf_add_str(out, bytes);
    if (!exchange->is_http_1_0)
        buf_add(out, "\r\n", 2);
}

bool http_respond_is_full(const struct http_request *request) {
    const struct exchange *exchange = CONTAINER_OF(request, const struct exchange, request);
    const struct connection *connection = exchange->owner;
    if (exchange->stream)
        return h2_respond_is_full(request);
    return tcp_is_full(&connection->tcp);
}

void http_respond_end(struct http_request *request) {
    struct exchange *exchange = exchange_of(request);
    struct connection *connection = exchange->owner;
    if (exchange->stream) {
        h2_respond_end(request);
        return;
    }
    bool keep_alive = exchange->keep_alive && !connection->server->is_closing;
    ASSERT(exchange->is_streaming);
    if (connection->state == CONNECTION_HANDLING && !exchange->is_http_1_0)
        buf_add_str(tcp_out(&connection->tcp), STR("0\r\n\r\n"));
    http_connection_answered(connection, keep_alive);
}
