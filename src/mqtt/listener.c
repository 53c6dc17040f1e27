/* Connections over TCP: a listener per worker and address, and what ties a socket to a connection.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "mqtt/broker.h"

struct listener {
    struct link link;
    struct mqtt_worker *worker;
    struct tcp_listener *tcp;
    const struct mqtt_listener_config *config;
    bool anonymous;
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

static struct tcp *on_accept(void *data, const struct sockaddr_storage *peer) {
    struct listener *listener = data;
    char text[TCP_ADDRESS_CHARS];
    tcp_address_text(peer, text);
    struct mqtt_connection *connection =
        connection_new(listener->worker, text, listener->anonymous);
    if (!connection)
        return NULL;
    struct client *client = xcalloc(1, sizeof *client);
    client->tcp.events = &client_events;
    client->connection = connection;
    connection->tcp = &client->tcp;
    client->tcp.sent = &listener->worker->metrics.bytes_sent;
    connection->listener = listener->config;
    return &client->tcp;
}

int mqtt_worker_listen(struct mqtt_worker *worker, const struct mqtt_listener_config *config,
                       struct sockaddr_storage *address, struct tls_context *tls, struct err *err) {
    struct listener *listener = xcalloc(1, sizeof *listener);
    listener->worker = worker;
    listener->config = config;
    listener->anonymous = mqtt_listener_is_anonymous(worker->config, config);
    int failed = tcp_listen(worker->loop, address, tls, on_accept, listener, &listener->tcp, err);
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
