/*
 * Lifecycle events, as AWS IoT Core publishes them (AWS IoT Core Developer Guide, "Lifecycle
 * events"): who connects, goes, could not connect, subscribes and unsubscribes. They are messages
 * of QoS 1 like others, to subscribers and rules; nothing is written when there is neither for the
 * event. All of it belongs to the worker's thread.
 */
#ifndef MQTT_LIFECYCLE_H
#define MQTT_LIFECYCLE_H

#include "mqtt/broker.h"

/* The connection is OPEN; it was and has ended; a policy has refused its CONNECT. */
void lifecycle_connected(struct mqtt_connection *connection);
void lifecycle_disconnected(struct mqtt_connection *connection);
void lifecycle_refused(struct mqtt_connection *connection);

/* Around the filters of a SUBSCRIBE or UNSUBSCRIBE: those that took effect are named in between. */
void lifecycle_filters_begin(struct mqtt_connection *connection, enum packet_type type);
void lifecycle_filter(struct mqtt_worker *worker, struct str filter);
void lifecycle_filters_end(struct mqtt_connection *connection, enum packet_type type);

/* 32 hexadecimal digits that no other connection has. */
void lifecycle_session_id(const struct mqtt_connection *connection, struct buf *out);

/* A second has passed: forgets clients that have been away for long. */
void lifecycle_tick(struct mqtt_worker *worker);
void lifecycle_done(struct mqtt_worker *worker);

#endif
