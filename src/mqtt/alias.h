/*
 * Topic aliases (MQTT 5.0 section 3.3.2.3.4), in both directions: those that a client gives to topics it
 * publishes to, and those that the broker gives to topics that it sends to a client. Both end with
 * the connection.
 */
#ifndef MQTT_ALIAS_H
#define MQTT_ALIAS_H

#include "mqtt/broker.h"

/*
 * Learns or replaces the alias of a PUBLISH by its topic, or its topic by the alias; takes the alias
 * out of the properties, which go to subscribers. The topic is valid as long as the connection, the
 * properties until the next call.
 */
enum packet_reason alias_resolve(struct mqtt_connection *connection, struct packet_publish *in);

/* What a PUBLISH to the client may say in place of its topic, or beside it. */
struct alias_choice {
    uint16_t alias; /* 0: none */
    bool known;     /* the client has been told: the topic may be left out */
};

/* The client takes up to `count_max` aliases. Topics get them first come, first served, and keep them. */
void alias_allow(struct mqtt_connection *connection, uint16_t count_max);
struct alias_choice alias_choose(const struct mqtt_connection *connection, struct str topic);

/* The client was sent `topic` together with its alias. */
void alias_told(struct mqtt_connection *connection, struct str topic, struct alias_choice choice);

void aliases_free(struct mqtt_connection *connection);

#endif
