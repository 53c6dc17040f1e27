/* Keeping the journal short; see rewrite.c. */
#ifndef MQTT_REWRITE_H
#define MQTT_REWRITE_H

#include "mqtt/broker.h"

/* A second has passed. */
void rewrite_tick(struct mqtt_worker *worker);

/* Tickets have been committed: there may be room to go on. */
void rewrite_go_on(struct mqtt_worker *worker);

/* A session has come from another worker. */
void rewrite_arrived(struct mqtt_worker *worker, const struct session *session);

void rewrite_done(struct mqtt_worker *worker);

#endif
