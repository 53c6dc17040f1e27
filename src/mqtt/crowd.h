/*
 * Back-pressure from subscribers to publishers: a connected client whose queue fills faster than it
 * acknowledges makes those wait that publish to it, instead of losing messages. All of it belongs to
 * the worker's thread, but for one word that tells the other workers.
 */
#ifndef MQTT_CROWD_H
#define MQTT_CROWD_H

#include "mqtt/broker.h"

/* For how long, at most two seconds more, a queue may make publishers wait before it has to be
 * small again. */
enum { CROWD_HELD_S_MAX = 2 };

/* A message has been queued for the session, which may hold `count_max` and `bytes_max`. */
void crowd_queued(struct mqtt_worker *worker, struct session *session, int64_t count_max,
                  int64_t bytes_max);

/* Something has left the session's queue. */
void crowd_drained(struct mqtt_worker *worker, struct session *session);

/* The session's connection is gone. */
void crowd_leave(struct mqtt_worker *worker, struct session *session);

/* A client has published a message of QoS 1 or 2: it may have to wait with the next. */
void crowd_published(struct mqtt_connection *connection, struct str topic);

/* Whether the connection's next PUBLISH has to wait. */
bool crowd_holds(struct mqtt_connection *connection);

/* A second has passed. */
void crowd_tick(struct mqtt_worker *worker);

#endif
