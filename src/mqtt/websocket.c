/*
 * A client of a listener with WebSocket:
 *
 *      UPGRADING -- GET PATH, Upgrade: websocket, subprotocol mqtt --> OPEN -- close frame --> ENDING
 *
 * The upgrade must come within connect_timeout, which runs for the connection already. A request for
 * anything else is answered with its HTTP status and ends. Frames are taken apart by http/frames.h;
 * their payloads are a stream of bytes, whatever packets they hold ([MQTT-6.0.0-2]). A text message
 * ends the connection with close code 1003 ([MQTT-6.0.0-1]).
 *
 * While reading is stopped, what the socket gave and frames did not take waits in `rest`: at most
 * one read. It is taken from the loop, never from inside the call that allowed it.
 */
#include "mqtt/websocket.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "http/answer.h"
#include "http/frames.h"
#include "http/upgrade.h"

enum { CLOSE_NORMAL = 1000, CLOSE_UNSUPPORTED = 1003 };

struct request {
    struct reader reader;
    struct exchange *exchange;
};

struct client {
    struct tcp tcp;
    struct mqtt_connection *connection;
    const char *path;
    struct request *request; /* UPGRADING */
    struct frames *frames;   /* OPEN */
    struct buf rest;
    struct task go_on;
    bool posted, stopped, feeding, ending, gone;
};

static struct client *client_of(struct tcp *tcp) {
    return CONTAINER_OF(tcp, struct client, tcp);
}

const char *websocket_path(const struct mqtt_listener_config *listener) {
    const char *text = listener->websocket;
    if (!text || strcmp(text, "false") == 0)
        return NULL;
    return strcmp(text, "true") == 0 ? "/mqtt" : text;
}

/* ---- the end ---- */

static void end(struct client *client) {
    client->ending = true;
    tcp_close_after_flush(&client->tcp);
}

static void free_request(struct client *client) {
    if (client->request)
        exchange_free(client->request->exchange);
    free(client->request);
    client->request = NULL;
}

static void free_client(struct client *client) {
    free_request(client);
    frames_free(client->frames);
    buf_done(&client->rest);
    free(client);
}

static void on_close(struct tcp *tcp, int reason) {
    struct client *client = client_of(tcp);
    if (reason)
        log_debug("mqtt", "client \"%.*s\" at %s: %s",
                  STR_ARG(connection_client_id(client->connection)), client->connection->peer,
                  tcp->error_text ? tcp->error_text : err_text(reason));
    mqtt_connection_detach(client->connection);
    client->gone = true;
    if (!client->posted)
        free_client(client);
}

/* ---- as the broker's transport ---- */

static void transport_write(void *transport, const uint8_t *at, size_t len) {
    struct client *client = transport;
    if (client->frames)
        frames_send(client->frames, false, str_from(at, len));
}

static void transport_close(void *transport) {
    struct client *client = transport;
    if (client->frames)
        frames_close(client->frames, CLOSE_NORMAL);
    end(client);
}

static void transport_read_stop(void *transport) {
    struct client *client = transport;
    client->stopped = true;
    if (client->frames)
        frames_stop(client->frames, true);
    tcp_read_stop(&client->tcp);
}

static void on_go_on(struct task *task);

static void transport_read_start(void *transport) {
    struct client *client = transport;
    client->stopped = false;
    if (client->frames)
        frames_stop(client->frames, false);
    if (client->feeding || client->posted || client->ending)
        return;
    client->posted = true;
    client->go_on.run = on_go_on;
    loop_post(client->tcp.loop, &client->go_on);
}

static size_t transport_pending(void *transport) {
    return tcp_pending(&((struct client *)transport)->tcp);
}

static struct tls *transport_tls(void *transport) {
    return ((struct client *)transport)->tcp.tls;
}

static const struct mqtt_transport_ops transport_ops = {
    .write = transport_write,
    .close = transport_close,
    .read_stop = transport_read_stop,
    .read_start = transport_read_start,
    .pending = transport_pending,
    .tls = transport_tls,
};

/* ---- OPEN ---- */

static void on_message(void *data, bool is_text, struct str message) {
    struct client *client = data;
    if (client->ending)
        return;
    if (!is_text) {
        mqtt_connection_feed(client->connection, (const uint8_t *)message.at, message.len);
        return;
    }
    frames_close(client->frames, CLOSE_UNSUPPORTED);
    end(client);
}

static void on_output(void *data, struct str bytes) {
    struct client *client = data;
    buf_add_str(tcp_out(&client->tcp), bytes);
}

static const struct frames_events frames_events = {on_message, on_output};

/* Returns how many bytes were taken. */
static size_t feed_frames(struct client *client, const uint8_t *at, size_t len) {
    client->feeding = true;
    size_t taken = frames_feed(client->frames, at, len);
    client->feeding = false;
    if (frames_finished(client->frames) && !client->ending)
        end(client);
    return client->ending ? len : taken;
}

/* ---- UPGRADING ---- */

static void answer(struct client *client, int status, const char *why) {
    const struct http_header extra[] = {
        {STR("Upgrade"), STR("websocket")},
        {STR("Sec-WebSocket-Version"), STR("13")},
    };
    struct answer_date date = {0};
    const struct answer_head head = {
        .status = status,
        .date = answer_date_text(&date, clock_wall_ms()),
        .content_type = "text/plain",
        .body_bytes = strlen(why),
        .extra = extra,
        .extra_count = status == 426 ? 2 : 0,
    };
    struct buf *out = tcp_out(&client->tcp);
    answer_write_head(out, &head);
    buf_add_str(out, str_of(why));
    end(client);
}

static void open_websocket(struct client *client, const struct http_request *request) {
    struct answer_date date = {0};
    upgrade_answer(request, "mqtt", answer_date_text(&date, clock_wall_ms()),
                   tcp_out(&client->tcp));
    size_t message_bytes_max = (size_t)connection_packet_bytes_max(client->connection) + 1024;
    client->frames = frames_new(message_bytes_max, &frames_events, client);
    frames_stop(client->frames, client->stopped);
    free_request(client);
}

static void take_request(struct client *client) {
    const struct reader *reader = &client->request->reader;
    const struct exchange *exchange = client->request->exchange;
    const char *why;
    if (reader->state != READER_DONE) {
        int status = reader->state == READER_TOO_LARGE ? 413 : reader->status;
        answer(client, status, http_status_text(status));
        return;
    }
    if (!str_eq(exchange->request.path, str_of(client->path))) {
        answer(client, 404, "There is nothing at this address.\n");
        return;
    }
    int status = upgrade_check(exchange, "mqtt", &why);
    if (status)
        answer(client, status, why);
    else
        open_websocket(client, &exchange->request);
}

static size_t feed_request(struct client *client, const uint8_t *at, size_t len) {
    struct reader *reader = &client->request->reader;
    size_t taken = reader_feed(reader, at, len);
    if (reader->state >= READER_DONE)
        take_request(client);
    return client->ending ? len : taken;
}

/* ---- bytes ---- */

static size_t feed(struct client *client, const uint8_t *at, size_t len) {
    size_t taken = 0;
    if (client->request)
        taken = feed_request(client, at, len);
    if (client->frames && taken < len)
        taken += feed_frames(client, at + taken, len - taken);
    return taken;
}

static void on_read(struct tcp *tcp, const uint8_t *at, size_t len) {
    struct client *client = client_of(tcp);
    if (client->ending)
        return;
    if (buf_len(&client->rest) == 0) {
        size_t taken = feed(client, at, len);
        at += taken;
        len -= taken;
    }
    if (len && !client->ending)
        buf_add(&client->rest, at, len);
}

static void take_rest(struct client *client) {
    struct buf rest = client->rest;
    client->rest = (struct buf){0};
    size_t taken = feed(client, buf_at(&rest), buf_len(&rest));
    buf_consume(&rest, taken);
    if (buf_len(&rest) && !client->ending)
        client->rest = rest;
    else
        buf_done(&rest);
}

static void on_go_on(struct task *task) {
    struct client *client = CONTAINER_OF(task, struct client, go_on);
    client->posted = false;
    if (client->gone) {
        free_client(client);
        return;
    }
    if (!client->ending && !client->stopped && buf_len(&client->rest))
        take_rest(client);
    if (!client->ending && !client->stopped)
        tcp_read_start(&client->tcp);
}

static void on_drain(struct tcp *tcp) {
    mqtt_connection_drained(client_of(tcp)->connection);
}

static void on_end(struct tcp *tcp) {
    connection_peer_ended(client_of(tcp)->connection);
}

static const struct tcp_events events = {
    .on_read = on_read,
    .on_drain = on_drain,
    .on_close = on_close,
    .on_end = on_end,
};

struct tcp *websocket_new(struct mqtt_connection *connection, const char *path) {
    struct client *client = xcalloc(1, sizeof *client);
    client->tcp.events = &events;
    client->tcp.sent = &connection->worker->metrics.bytes_sent;
    client->connection = connection;
    client->path = path;
    client->request = xcalloc(1, sizeof *client->request);
    client->request->exchange = exchange_new();
    reader_begin(&client->request->reader, client->request->exchange, 1);
    connection_set_transport(connection, &transport_ops, client);
    return &client->tcp;
}
