/*
 * Acknowledgements that wait for the disk: PUBACK and PUBREC leave when the ticket commits under which
 * their message was staged, in the order in which the publishes came. Belongs to the worker's thread.
 */
#ifndef MQTT_HOLD_H
#define MQTT_HOLD_H

#include "base/buf.h"
#include "base/list.h"
#include "mqtt/packet.h"

struct mqtt_worker;
struct mqtt_connection;
struct session;

struct hold {
    uint64_t ticket;
    struct mqtt_connection *connection;
    uint64_t end; /* of the bytes that this ticket releases, counted from the connection's first
                     held byte ever */
};

/* A ring of holds in the order of their tickets. */
struct holds {
    struct hold *items;
    uint64_t begin, end; /* absolute; index = number & (cap - 1) */
    size_t cap;
};

struct held {
    struct buf bytes;
    uint64_t begin;               /* absolute position of the first byte in `bytes` */
    uint64_t last_hold;           /* absolute index of this connection's newest hold */
    uint32_t count, puback_count; /* acknowledgements in `bytes`, and PUBACKs among them */
    /* When the connection has ended and its session has not: the session, and the link in its
     * list, until no PUBREC is held any more. */
    struct session *unsettled;
    struct link unsettling;
};

/* Sends PUBACK or PUBREC (`type`), or keeps it back: until `ticket` commits, or, if nothing was
 * staged, until those before it have left. */
void hold_ack(struct mqtt_connection *connection, enum packet_type type, uint16_t packet_id,
              uint8_t reason, bool staged, uint64_t ticket);
uint32_t hold_count(const struct mqtt_connection *connection);

/* Those among them that are PUBACKs. */
uint32_t hold_puback_count(const struct mqtt_connection *connection);

/* Frees what is held, unsent. */
void hold_forget(struct mqtt_connection *connection);
void holds_commit(struct mqtt_worker *worker, uint64_t ticket, int status);
void holds_done(struct mqtt_worker *worker);

#endif
