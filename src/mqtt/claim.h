/*
 * Who has a client id. Every client id has a home: one worker, by the hash of the id, that knows on
 * which worker its connection or its stored session is. A CONNECT claims the id there; claims of one
 * id are granted one after the other.
 */
#ifndef MQTT_CLAIM_H
#define MQTT_CLAIM_H

#include "mqtt/broker.h"

/*
 * Claims the client id for the connection. connect_granted() follows, at once or later; the
 * connection may have ended meanwhile.
 */
void claim_begin(struct mqtt_connection *connection);

/* The home of a client id. */
unsigned claim_home(const struct mqtt_worker *worker, struct str client_id);

/* The session that moves to another worker, if it does, may have become ready for it. */
void claim_go_on(struct mqtt_worker *worker, struct session *session);

/* Tells the home that neither connection nor session of a client id are here any more. */
struct claim_gone *claim_gone_new(struct mqtt_worker *worker, struct str client_id);
void claim_tell_gone(struct mqtt_worker *worker, struct claim_gone *gone);

void claims_done(struct mqtt_worker *worker);

#endif
