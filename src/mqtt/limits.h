/*
 * Rates. A rate is kept by one number, the time at which the next one is due if all come evenly
 * (GCRA, the virtual scheduling form of ITU-T I.371): it runs ahead of the clock while more comes,
 * and by at most the allowance, which is what may come at once.
 */
#ifndef MQTT_LIMITS_H
#define MQTT_LIMITS_H

#include <stdatomic.h>

#include "base/list.h"
#include "mqtt/mqtt.h"

struct mqtt_worker;
struct mqtt_connection;

/* What all workers know of a listener. */
struct listener_state {
    _Atomic int64_t connections;
    _Atomic uint64_t next_connect_ns;
};

/* NULL: there is nothing to be counted. */
struct listener_state *listener_state(struct mqtt_worker *worker,
                                      const struct mqtt_listener_config *listener);

/* For how many milliseconds arrivals at the listener have to wait; 0: the next may come. */
unsigned limits_connect_delay_ms(struct listener_state *state, int64_t rate, uint64_t now_ns);

/* One has come. */
void limits_count_connect(struct listener_state *state, int64_t rate, uint64_t now_ns);

/* ---- publishes of one connection ---- */

struct pace {
    uint64_t next_message_ns, next_byte_ns;
};

/* NULL when its listener has no rates. The caller frees. */
struct pace *pace_new(const struct mqtt_listener_config *listener);

/* Counts a PUBLISH of so many bytes and returns 0, or returns for how many nanoseconds it has to
 * wait. */
uint64_t pace_take(struct pace *pace, const struct mqtt_listener_config *listener, size_t bytes,
                   uint64_t now_ns);

/* Whether the PUBLISH of so many bytes may be taken now; if not, the connection is parked until it
 * may. */
bool pace_admit(struct mqtt_connection *connection, size_t bytes);

/* For the worker's beginning. */
void paces_init(struct mqtt_worker *worker);

#endif
