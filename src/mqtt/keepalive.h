/*
 * Keep alive (MQTT 5.0 section 3.1.2.10) and other deadlines of connections: a wheel of seconds, on which
 * each connection has one place. Belongs to the worker's thread.
 */
#ifndef MQTT_KEEPALIVE_H
#define MQTT_KEEPALIVE_H

#include "base/list.h"
#include "io/loop.h"

struct mqtt_worker;
struct mqtt_connection;

enum { WHEEL_SLOTS = 256, WHEEL_TICK_MS = 1000 };

struct wheel {
    struct timer timer;
    struct link slots[WHEEL_SLOTS];
    uint32_t now_s; /* ticks since the start */
};

void wheel_start(struct mqtt_worker *worker);

/* Looks at the connection again when its deadline has come. */
void wheel_add(struct mqtt_connection *connection);

/* One second has passed. */
void wheel_tick(struct mqtt_worker *worker);

#endif
