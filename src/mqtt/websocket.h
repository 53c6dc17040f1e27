/* MQTT over WebSocket on a listener of the broker's own (MQTT 5.0 section 6). */
#ifndef MQTT_WEBSOCKET_H
#define MQTT_WEBSOCKET_H

#include "mqtt/broker.h"

/*
 * The transport of a connection that has just been made: a socket on which the upgrade to a
 * WebSocket is awaited. It detaches the connection and frees itself when the socket is closed.
 */
struct tcp *websocket_new(struct mqtt_connection *connection, const char *path);

/* The path that a listener speaks WebSocket at, or NULL if it does not. */
const char *websocket_path(const struct mqtt_listener_config *listener);

#endif
