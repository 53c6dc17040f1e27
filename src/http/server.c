/*
 * The HTTP/1.1 server: listener, connections, time-outs. How requests are answered: respond.c.
 *
 * A connection handles one request at a time. What arrives meanwhile (pipelined requests) waits in
 * `pending`; when that is full, reading stops until the answer is given. The next request is not
 * begun either while the peer does not take the answers (tcp_is_full), so a peer that asks and
 * never reads fills one out buffer and no more.
 *
 *     READING --request whole--> HANDLING --http_respond()--> READING, or ENDING after the last one
 *        |                          +--------http_ws_accept()--> WEBSOCKET
 *        +--malformed, too large, too slow--> the error answer, then CLOSED
 *
 * CLOSED means that tcp is on its way to on_close(); the connection is freed when its timer is
 * closed too. A request that is with its handler then is aborted from on_close(), so http_respond()
 * may still come before and does nothing.
 *
 * Time. A head must be there idle_timeout_ms after the answer before it (or the beginning of the
 * connection); a body must bring BODY_BYTES_PER_TIMEOUT_MIN in each idle_timeout_ms, an answer must
 * be taken at all by the peer. The timer is not restarted per request: it compares `deadline_ms`
 * when it fires and sleeps again for what is left.
 *
 * Memory. An idle connection owns its struct and nothing else: request memory (struct exchange) is
 * taken from the server's few spare ones when the first byte of a request arrives, and goes back
 * with the answer.
 */
#include "http/server.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/h2.h"

enum {
    BODY_BYTES_MAX_DEFAULT = 1024 * 1024,
    CONNECTIONS_MAX_DEFAULT = 1024,
    IDLE_TIMEOUT_MS_DEFAULT = 60 * 1000,
    PING_INTERVAL_MS_DEFAULT = 30 * 1000,
    BODY_BYTES_PER_TIMEOUT_MIN = 16 * 1024,
};

static struct connection *connection_of_tcp(struct tcp *tcp) {
    return CONTAINER_OF(tcp, struct connection, tcp);
}

/* ---- request memory ---- */

static struct exchange *take_exchange(struct connection *connection) {
    struct http_server *server = connection->server;
    struct link *spare = list_pop_front(&server->spares);
    struct exchange *exchange = spare ? LIST_ITEM(spare, struct exchange, link) : exchange_new();
    server->spare_count -= spare != NULL;
    exchange->owner = connection;
    exchange->request.peer = connection->peer;
    return exchange;
}

void http_connection_end_request(struct connection *connection) {
    struct http_server *server = connection->server;
    struct exchange *exchange = connection->exchange;
    connection->exchange = NULL;
    if (!exchange)
        return;
    if (server->spare_count == SERVER_SPARE_EXCHANGES) {
        exchange_free(exchange);
        return;
    }
    exchange_reset(exchange);
    list_push_front(&server->spares, &exchange->link);
    server->spare_count++;
}

/* ---- time ---- */

static void on_timer(struct timer *timer);

void http_connection_start_timer(struct connection *connection, uint64_t delay_ms) {
    timer_start(connection->server->loop, &connection->timer, delay_ms, 0, on_timer);
}

static void set_deadline(struct connection *connection) {
    struct http_server *server = connection->server;
    connection->deadline_ms = loop_now_ms(server->loop) + server->idle_timeout_ms;
    connection->last_to_send = tcp_pending(&connection->tcp);
    connection->last_arrived = connection->exchange ? buf_len(&connection->exchange->body) : 0;
    if (!timer_running(&connection->timer))
        http_connection_start_timer(connection, server->idle_timeout_ms);
}

/* ---- ends ---- */

void http_connection_finish(struct connection *connection) {
    if (connection->state == CONNECTION_CLOSED)
        return;
    connection->state = CONNECTION_CLOSED;
    connection->deadline_ms = 0;
    tcp_close_after_flush(&connection->tcp);
}

/* tcp_close_after_flush() gives the rest only some seconds, so a long answer goes out before. */
static void end_after_answer(struct connection *connection) {
    if (tcp_is_full(&connection->tcp))
        connection->state = CONNECTION_ENDING;
    else
        http_connection_finish(connection);
}

static void free_server_if_done(struct http_server *server) {
    if (!server->is_closing_over || server->connection_count)
        return;
    void (*closed)(void *data) = server->closed;
    void *data = server->closed_data;
    LIST_EACH(item, &server->spares) {
        list_remove(item);
        exchange_free(LIST_ITEM(item, struct exchange, link));
    }
    metric_done(&server->connections_open);
    metric_done(&server->connections_refused);
    metric_done(&server->requests);
    metric_done(&server->requests_rejected);
    free(server);
    if (closed)
        closed(data);
}

static void on_timer_closed(struct timer *timer) {
    struct connection *connection = CONTAINER_OF(timer, struct connection, timer);
    struct http_server *server = connection->server;
    free(connection);
    server->connection_count--;
    metric_set(&server->connections_open, server->connection_count);
    free_server_if_done(server);
}

static void abort_request(struct connection *connection) {
    struct http_request *request = &connection->exchange->request;
    if (connection->reader.state >= READER_DONE && request->on_abort)
        request->on_abort(request);
    http_connection_end_request(connection);
}

static void on_close(struct tcp *tcp, int reason) {
    struct connection *connection = connection_of_tcp(tcp);
    connection->state = CONNECTION_CLOSED;
    if (connection->exchange)
        abort_request(connection);
    if (connection->ws)
        ws_on_closed(connection->ws);
    if (connection->h2)
        h2_free(connection->h2);
    list_remove(&connection->link);
    buf_done(&connection->pending);
    timer_close(&connection->timer, on_timer_closed);
}

/* ---- answers ---- */

/* Answers a request that cannot be read, or not in time. */
static void refuse(struct connection *connection, int status) {
    struct http_server *server = connection->server;
    struct buf body = {0};
    buf_printf(&body, "%d %s\n", status, http_status_text(status));
    struct answer_head head = {
        .status = status,
        .date = answer_date_text(&server->date, clock_wall_ms()),
        .content_type = "text/plain",
        .body_bytes = buf_len(&body),
    };
    metric_add(&server->requests_rejected, 1);
    answer_write_head(tcp_out(&connection->tcp), &head);
    buf_add_str(tcp_out(&connection->tcp), buf_str(&body));
    buf_done(&body);
    http_connection_end_request(connection);
    end_after_answer(connection);
}

void http_connection_answered(struct connection *connection, bool keep_alive) {
    bool is_handling = connection->state == CONNECTION_HANDLING;
    http_connection_end_request(connection);
    if (!is_handling)
        return;
    set_deadline(connection);
    if (keep_alive) {
        connection->state = CONNECTION_READING;
        http_connection_resume(connection);
    } else {
        end_after_answer(connection);
    }
}

/* ---- requests ---- */

static void handle(struct connection *connection) {
    struct http_server *server = connection->server;
    connection->state = CONNECTION_HANDLING;
    connection->deadline_ms = 0;
    metric_add(&server->requests, 1);
    server->handler(&connection->exchange->request, server->data);
}

static void send_continue(struct connection *connection) {
    connection->reader.expects_continue = false;
    tcp_write(&connection->tcp, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

static size_t read_request(struct connection *connection, const uint8_t *at, size_t len) {
    struct http_server *server = connection->server;
    struct reader *reader = &connection->reader;
    if (!connection->exchange) {
        connection->exchange = take_exchange(connection);
        reader_begin(reader, connection->exchange, server->body_bytes_max);
        set_deadline(connection);
    }
    size_t taken = reader_feed(reader, at, len);
    if (reader->state == READER_TOO_LARGE && server->hand_over_too_large) {
        metric_add(&server->requests_rejected, 1);
        connection->exchange->request.is_too_large = true;
        handle(connection);
    } else if (reader->state > READER_DONE) {
        refuse(connection, reader->status);
    } else if (reader->state == READER_DONE) {
        handle(connection);
    } else if (reader->expects_continue) {
        send_continue(connection);
    }
    return taken;
}

/* Looks at the first bytes of a connection; false while they are too few to tell. */
static bool find_protocol(struct connection *connection, const uint8_t *at, size_t len) {
    int is_preface = connection->server->http2 ? h2_is_preface(at, len) : 0;
    if (is_preface < 0)
        return false;
    connection->has_spoken = true;
    if (is_preface) {
        connection->h2 = h2_new(connection);
        connection->state = CONNECTION_H2;
    }
    return true;
}

/* Takes as much as can be handled now; returns how much that was. */
static size_t consume(struct connection *connection, const uint8_t *at, size_t len) {
    size_t taken = 0;
    while (taken < len) {
        switch (connection->state) {
        case CONNECTION_READING:
            if (!connection->has_spoken) {
                if (!find_protocol(connection, at, len))
                    return taken;
                break;
            }
            if (!connection->exchange && tcp_is_full(&connection->tcp))
                return taken;
            taken += read_request(connection, at + taken, len - taken);
            break;
        case CONNECTION_HANDLING:
            return connection->exchange->request.is_too_large ? len : taken;
        case CONNECTION_WEBSOCKET:
            return taken + ws_feed(connection->ws, at + taken, len - taken);
        case CONNECTION_H2:
            h2_feed(connection->h2, at + taken, len - taken);
            return len;
        case CONNECTION_ENDING:
        case CONNECTION_CLOSED:
            return len;
        }
    }
    return taken;
}

/* Back-pressure. */
static void regulate(struct connection *connection) {
    size_t waiting = buf_len(&connection->pending);
    if (!waiting)
        buf_done(&connection->pending);
    if (connection->state == CONNECTION_CLOSED)
        return;
    bool pause =
        connection->ws ? ws_is_stopped(connection->ws) : waiting >= SERVER_PENDING_BYTES_MAX;
    if (pause && !connection->reads_paused)
        tcp_read_stop(&connection->tcp);
    else if (!pause && connection->reads_paused)
        tcp_read_start(&connection->tcp);
    connection->reads_paused = pause;
}

void http_connection_resume(struct connection *connection) {
    if (connection->consuming)
        return;
    connection->consuming = true;
    size_t waiting = buf_len(&connection->pending);
    size_t taken = waiting ? consume(connection, buf_at(&connection->pending), waiting) : 0;
    connection->consuming = false;
    if (buf_len(&connection->pending))
        buf_consume(&connection->pending, taken);
    regulate(connection);
}

static void on_read(struct tcp *tcp, const uint8_t *at, size_t len) {
    struct connection *connection = connection_of_tcp(tcp);
    if (buf_len(&connection->pending)) {
        buf_add(&connection->pending, at, len);
        http_connection_resume(connection);
        return;
    }
    connection->consuming = true;
    size_t taken = consume(connection, at, len);
    connection->consuming = false;
    if (connection->state != CONNECTION_CLOSED)
        buf_add(&connection->pending, at + taken, len - taken);
    regulate(connection);
}

static bool is_streaming(const struct connection *connection) {
    return connection->state == CONNECTION_HANDLING && connection->exchange->is_streaming;
}

static void drain_stream(struct connection *connection) {
    struct http_request *request = &connection->exchange->request;
    if (request->on_drain)
        request->on_drain(request);
}

static void on_drain(struct tcp *tcp) {
    struct connection *connection = connection_of_tcp(tcp);
    if (connection->ws)
        ws_on_drain(connection->ws);
    else if (connection->state == CONNECTION_H2)
        h2_on_drain(connection->h2);
    else if (is_streaming(connection))
        drain_stream(connection);
    else if (connection->state == CONNECTION_ENDING)
        http_connection_finish(connection);
    else
        http_connection_resume(connection);
}

/* Whether the peer did in the last period what it must: take an answer, or bring enough of a body. */
static bool made_progress(const struct connection *connection) {
    size_t to_send = tcp_pending(&connection->tcp);
    if (to_send)
        return to_send < connection->last_to_send;
    if (!connection->exchange || connection->reader.state == READER_HEAD)
        return false;
    size_t arrived = buf_len(&connection->exchange->body);
    return arrived >= connection->last_arrived + BODY_BYTES_PER_TIMEOUT_MIN;
}

static void on_late_h2(struct connection *connection) {
    if (h2_made_progress(connection->h2)) {
        set_deadline(connection);
    } else if (tcp_pending(&connection->tcp)) {
        connection->state = CONNECTION_CLOSED;
        tcp_close(&connection->tcp);
    } else {
        h2_say_goodbye(connection->h2);
        http_connection_finish(connection);
    }
}

static void on_late(struct connection *connection) {
    if (connection->state == CONNECTION_H2) {
        on_late_h2(connection);
    } else if (made_progress(connection)) {
        set_deadline(connection);
    } else if (tcp_pending(&connection->tcp)) {
        connection->state = CONNECTION_CLOSED;
        tcp_close(&connection->tcp);
    } else if (connection->exchange && connection->reader.head_bytes) {
        refuse(connection, 408);
    } else {
        http_connection_finish(connection);
    }
}

static void on_timer(struct timer *timer) {
    struct connection *connection = CONTAINER_OF(timer, struct connection, timer);
    uint64_t now_ms = loop_now_ms(connection->server->loop);
    if (connection->ws)
        ws_on_timer(connection->ws);
    else if (connection->deadline_ms > now_ms)
        http_connection_start_timer(connection, connection->deadline_ms - now_ms);
    else if (connection->deadline_ms)
        on_late(connection);
}

/* ---- listener ---- */

static const struct tcp_events events = {
    .on_read = on_read,
    .on_drain = on_drain,
    .on_close = on_close,
};

static struct tcp *on_accept(void *data, const struct sockaddr_storage *peer) {
    struct http_server *server = data;
    if (server->connection_count >= server->connections_max || server->is_closing) {
        metric_add(&server->connections_refused, 1);
        return NULL;
    }
    struct connection *connection = xcalloc(1, sizeof *connection);
    connection->tcp.events = &events;
    connection->server = server;
    connection->peer = *peer;
    list_push_back(&server->connections, &connection->link);
    metric_set(&server->connections_open, ++server->connection_count);
    connection->deadline_ms = loop_now_ms(server->loop) + server->idle_timeout_ms;
    http_connection_start_timer(connection, server->idle_timeout_ms);
    return &connection->tcp;
}

static void init_metrics(struct http_server *server, const char *name) {
    struct buf labels = {0};
    metric_label(&labels, "server", str_of(name ? name : "http"));
    const char *text = buf_cstr(&labels);
    metric_init(&server->connections_open, METRIC_GAUGE, "weir_http_connections",
                "Open HTTP connections, WebSockets included.", text);
    metric_init(&server->connections_refused, METRIC_COUNTER, "weir_http_connections_refused_total",
                "HTTP connections refused because connections_max was reached.", text);
    metric_init(&server->requests, METRIC_COUNTER, "weir_http_requests_total",
                "HTTP requests given to their handler.", text);
    metric_init(&server->requests_rejected, METRIC_COUNTER, "weir_http_requests_rejected_total",
                "HTTP requests that were malformed, too large or too slow.", text);
    buf_done(&labels);
}

int http_server_open(struct loop *loop, const struct http_server_config *config,
                     struct sockaddr_storage *ret_address, struct http_server **ret_server,
                     struct err *err) {
    struct http_server *server = xcalloc(1, sizeof *server);
    struct sockaddr_storage address = *config->address;
    int failed = tcp_listen(loop, &address, config->tls, on_accept, server, &server->listener, err);
    if (failed) {
        free(server);
        return failed;
    }
    server->loop = loop;
    server->handler = config->handler;
    server->data = config->data;
    server->hand_over_too_large = config->hand_over_too_large;
    server->http2 = config->http2;
    server->body_bytes_max =
        config->body_bytes_max ? config->body_bytes_max : BODY_BYTES_MAX_DEFAULT;
    server->connections_max =
        config->connections_max ? config->connections_max : CONNECTIONS_MAX_DEFAULT;
    server->idle_timeout_ms =
        config->idle_timeout_ms ? config->idle_timeout_ms : IDLE_TIMEOUT_MS_DEFAULT;
    server->ping_interval_ms =
        config->ping_interval_ms ? config->ping_interval_ms : PING_INTERVAL_MS_DEFAULT;
    list_init(&server->connections);
    list_init(&server->spares);
    init_metrics(server, config->name);
    if (ret_address)
        *ret_address = address;
    *ret_server = server;
    return 0;
}

static void on_closing_over(struct timer *timer) {
    struct http_server *server = CONTAINER_OF(timer, struct http_server, closing);
    server->is_closing_over = true;
    free_server_if_done(server);
}

static void on_closing(struct timer *timer) {
    timer_close(timer, on_closing_over);
}

void http_server_close(struct http_server *server, void (*closed)(void *data), void *data) {
    ASSERT(!server->is_closing);
    server->is_closing = true;
    server->closed = closed;
    server->closed_data = data;
    tcp_listener_close(server->listener);
    LIST_EACH(item, &server->connections) {
        struct connection *connection = LIST_ITEM(item, struct connection, link);
        if (connection->ws) {
            ws_on_server_close(connection->ws);
        } else {
            if (connection->state == CONNECTION_H2)
                h2_say_goodbye(connection->h2);
            http_connection_finish(connection);
        }
    }
    timer_start(server->loop, &server->closing, 0, 0, on_closing);
}
