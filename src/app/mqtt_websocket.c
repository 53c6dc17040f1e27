#include "app/mqtt_websocket.h"

#include <stdlib.h>

#include "base/mem.h"

/* One client: the WebSocket on the one side, the broker's connection on the other. Ends with the
 * WebSocket. */
struct bridge {
    struct http_ws *ws;
    struct mqtt_connection *connection;
};

static void transport_write(void *transport, const uint8_t *at, size_t len) {
    struct bridge *bridge = transport;
    http_ws_send(bridge->ws, false, str_from(at, len));
}

static void transport_close(void *transport) {
    struct bridge *bridge = transport;
    http_ws_close(bridge->ws, 1000);
}

static void transport_read_stop(void *transport) {
    struct bridge *bridge = transport;
    http_ws_read_stop(bridge->ws);
}

static void transport_read_start(void *transport) {
    struct bridge *bridge = transport;
    http_ws_read_start(bridge->ws);
}

static size_t transport_pending(void *transport) {
    const struct bridge *bridge = transport;
    return http_ws_pending(bridge->ws);
}

static const struct mqtt_transport_ops transport_ops = {.write = transport_write,
                                                        .close = transport_close,
                                                        .read_stop = transport_read_stop,
                                                        .read_start = transport_read_start,
                                                        .pending = transport_pending};

static void on_message(struct http_ws *ws, bool is_text, struct str message, void *data) {
    struct bridge *bridge = data;
    if (is_text) /* [MQTT-6.0.0-1] */
        http_ws_close(ws, 1003);
    else if (bridge->connection)
        mqtt_connection_feed(bridge->connection, (const uint8_t *)message.at, message.len);
}

static void on_drain(struct http_ws *ws, void *data) {
    struct bridge *bridge = data;
    if (bridge->connection)
        mqtt_connection_drained(bridge->connection);
}

static void on_close(struct http_ws *ws, void *data) {
    struct bridge *bridge = data;
    if (bridge->connection)
        mqtt_connection_detach(bridge->connection);
    free(bridge);
}

static const struct http_ws_events ws_events = {
    .on_message = on_message, .on_drain = on_drain, .on_close = on_close};

void mqtt_websocket_accept(struct http_request *request, void *data) {
    const struct mqtt_websocket *server = data;
    struct bridge *bridge = xcalloc(1, sizeof *bridge);
    char peer[TCP_ADDRESS_CHARS];
    tcp_address_text(&request->peer, peer);
    bridge->ws = http_ws_accept(request, "mqtt", &ws_events, server->message_bytes_max, bridge);
    if (!bridge->ws) {
        free(bridge);
        return;
    }
    bool anonymous = mqtt_worker_is_anonymous(server->worker, server->listener);
    struct mqtt_connection *connection =
        mqtt_worker_attach(server->worker, &transport_ops, bridge, peer, anonymous);
    if (connection && !mqtt_connection_set_listener(connection, server->listener)) {
        mqtt_connection_detach(connection);
        connection = NULL;
    }
    bridge->connection = connection;
    if (!connection)
        http_ws_close(bridge->ws, 1001);
}
