/*
 * The broker's state as messages below $SYS/broker, named and formed as mosquitto has them
 * (mosquitto(8), "Broker status"). They behave as retained messages but are not kept as such: they
 * are made when somebody subscribes to them, and every sys_interval those that have changed and that
 * somebody wants. All of it belongs to the worker's thread; counters of other workers are read as
 * /metrics reads them.
 */
#ifndef MQTT_SYS_TOPICS_H
#define MQTT_SYS_TOPICS_H

#include "mqtt/broker.h"

enum { SYS_TEXT_BYTES = 48 };

/* What the first worker keeps: when it is due, what was counted then and said. */
struct sys_topics {
    uint32_t due_s;
    int64_t counted[SYS_RATES];
    char (*said)[SYS_TEXT_BYTES]; /* by row */
};

/* Calls `visit` with the messages that `filter` matches, as retained_find() does. */
void sys_topics_find(struct mqtt_worker *worker, struct str filter, retained_visit *visit,
                     void *data);

/* A second has passed. */
void sys_topics_tick(struct mqtt_worker *worker);
void sys_topics_done(struct mqtt_worker *worker);

#endif
