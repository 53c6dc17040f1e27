/* A message on its way through the broker: flow's message and where in its properties the expiry
 * interval stands. */
#ifndef MQTT_PUBLICATION_H
#define MQTT_PUBLICATION_H

#include "flow/message.h"

struct kept;

struct publication {
    struct message message;
    int32_t expiry_at;  /* offset of the message expiry interval's four bytes in message.properties,
                          or -1 */
    uint16_t packet_id; /* of QoS 2, if the publisher's session is in the journal; else 0 */
    uint64_t publisher; /* the number of that session, or 0 */
    uint64_t id;        /* in the journal; 0: it is not there */
    struct kept *kept;  /* that the views look into; NULL: none, it has to be copied to stay */
};

/* False if the properties are not valid ones of a PUBLISH or hold a topic alias. */
bool publication_from_message(const struct message *message, struct publication *ret);

/* Seconds; only if expiry_at >= 0. */
uint32_t publication_expiry_s(const struct publication *publication);

/*
 * Seconds left of a message that came at `received_ms`, both in wall time: false when it has
 * expired. A clock that went back counts as no time.
 */
bool publication_expiry_left(uint32_t expiry_s, uint64_t received_ms, uint64_t now_ms,
                             uint32_t *ret_left_s);

/* Overwrites an interval where it stands in a packet. */
void publication_expiry_patch(uint8_t *at, uint32_t expiry_s);

#endif
