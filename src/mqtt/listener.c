/* Connections over TCP: a listener per worker and address, and what ties a socket to a connection. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mqtt/identity.h"
#include "mqtt/limits.h"
#include "mqtt/websocket.h"

struct listener {
    struct link link;
    struct mqtt_worker *worker;
    struct tcp_listener *tcp;
    const struct mqtt_listener_config *config;
    struct listener_state *state;
    const char *websocket_path; /* NULL: plain MQTT */
};

struct client {
    struct tcp tcp;
    struct mqtt_connection *connection;
};

static struct mqtt_connection *connection_of(struct tcp *tcp) {
    return CONTAINER_OF(tcp, struct client, tcp)->connection;
}

static void on_read(struct tcp *tcp, const uint8_t *at, size_t len) {
    mqtt_connection_feed(connection_of(tcp), at, len);
}

static void on_drain(struct tcp *tcp) {
    mqtt_connection_drained(connection_of(tcp));
}

static void on_end(struct tcp *tcp) {
    connection_peer_ended(connection_of(tcp));
}

static void on_close(struct tcp *tcp, int reason) {
    struct client *client = CONTAINER_OF(tcp, struct client, tcp);
    struct mqtt_connection *connection = client->connection;
    if (reason)
        log_debug("mqtt", "client \"%.*s\" at %s: %s", STR_ARG(connection_client_id(connection)),
                  connection->peer, tcp->error_text ? tcp->error_text : err_text(reason));
    mqtt_connection_detach(connection);
    free(client);
}

static const struct tcp_events client_events = {
    .on_read = on_read,
    .on_drain = on_drain,
    .on_close = on_close,
    .on_end = on_end,
};

static struct tcp *client_new(struct mqtt_connection *connection) {
    struct client *client = xcalloc(1, sizeof *client);
    client->tcp.events = &client_events;
    client->connection = connection;
    connection->tcp = &client->tcp;
    client->tcp.sent = &connection->worker->metrics.bytes_sent;
    return &client->tcp;
}

bool mqtt_worker_is_anonymous(const struct mqtt_worker *worker,
                              const struct mqtt_listener_config *listener) {
    return listener_is_anonymous(listener, worker->identities->users.count > 0);
}

static struct tcp *on_accept(void *data, const struct sockaddr_storage *peer) {
    struct listener *listener = data;
    struct mqtt_worker *worker = listener->worker;
    char text[TCP_ADDRESS_CHARS];
    limits_count_connect(listener->state, listener->config->connect_rate, clock_mono_ns());
    tcp_address_text(peer, text);
    bool anonymous = mqtt_worker_is_anonymous(worker, listener->config);
    struct mqtt_connection *connection = connection_new(worker, text, anonymous);
    if (!connection)
        return NULL;
    if (!mqtt_connection_set_listener(connection, listener->config)) {
        mqtt_connection_detach(connection);
        return NULL;
    }
    return listener->websocket_path ? websocket_new(connection, listener->websocket_path)
                                    : client_new(connection);
}

static void on_refused(void *data, const struct sockaddr_storage *peer, const char *why) {
    struct mqtt_worker *worker = ((struct listener *)data)->worker;
    char text[TCP_ADDRESS_CHARS];
    unsigned missed;
    metric_add(&worker->metrics.refused_proxy, 1);
    tcp_address_text(peer, text);
    if (log_limit_pass(&worker->log_protocol, 1000, &missed))
        log_warn("mqtt", "connection from %s refused: %s (%u more like this)", text, why, missed);
}

static unsigned delay_ms(void *data) {
    struct listener *listener = data;
    unsigned wait_ms =
        limits_connect_delay_ms(listener->state, listener->config->connect_rate, clock_mono_ns());
    if (wait_ms)
        metric_add(&listener->worker->metrics.connects_delayed, 1);
    return wait_ms;
}

int mqtt_worker_listen(struct mqtt_worker *worker, const struct mqtt_listener_config *config,
                       struct sockaddr_storage *address, struct tls_context *tls, struct err *err) {
    struct listener *listener = xcalloc(1, sizeof *listener);
    listener->worker = worker;
    listener->config = config;
    listener->state = listener_state(worker, config);
    listener->websocket_path = websocket_path(config);
    const struct tcp_listen_options options = {
        .tls = tls,
        .proxy_protocol = config->proxy_protocol,
        .proxy_timeout_ms = (unsigned)worker->config->connect_timeout_ms,
        .on_refused = on_refused,
        .delay_ms = config->connect_rate ? delay_ms : NULL,
    };
    int failed =
        tcp_listen_with(worker->loop, address, &options, on_accept, listener, &listener->tcp, err);
    if (failed) {
        free(listener);
        return failed;
    }
    list_push_back(&worker->listeners, &listener->link);
    return 0;
}

void listeners_close(struct mqtt_worker *worker) {
    struct link *item;
    while ((item = list_pop_front(&worker->listeners))) {
        struct listener *listener = LIST_ITEM(item, struct listener, link);
        tcp_listener_close(listener->tcp);
        free(listener);
    }
}
