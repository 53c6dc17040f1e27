/*
 * What the broker keeps for a client apart from its connection: its subscriptions, the QoS 1
 * messages that it has been sent and not yet acknowledged, and those that wait behind them. It
 * belongs to the worker of its connection. At present a session ends with its connection.
 *
 * Bounds: in flight at most what the client's Receive Maximum and the broker's allow; the queue
 * behind at most SESSION_QUEUE_MAX messages and the bytes that the caller gives.
 */
#ifndef MQTT_SESSION_H
#define MQTT_SESSION_H

#include "base/buf.h"
#include "base/list.h"
#include "mqtt/packet.h"
#include "mqtt/retained.h"
#include "mqtt/tree.h"

struct mqtt_connection;

enum { SESSION_QUEUE_MAX = 1000 };

struct session {
    struct mqtt_connection *connection;
    struct link subscriptions;
    uint32_t subscription_count;
    struct flight *flight; /* made by the first message that needs it */
};

/* One filter of one session. It stands in its session's list and in the list of its filter's node.
 */
struct subscription {
    struct link link;
    struct session *session;
    struct tree_node *node;
    uint32_t id;    /* subscription identifier, 0: none */
    uint32_t index; /* among the subscribers of the node */
    uint8_t qos;
    bool no_local, retain_as_published;
};

/* The value of a node in a worker's tree of subscriptions. */
struct subscribers {
    uint32_t count, cap;
    struct subscription *items[];
};

struct session *session_new(struct mqtt_connection *connection);

/* The subscriptions must have been removed. */
void session_free(struct session *session);

/* The session's subscription to exactly this filter, or NULL. */
struct subscription *session_find(const struct session *session, const struct tree *tree,
                                  struct str filter);

/* Subscribes in the tree; *ret_first tells that nobody had subscribed to this filter before. */
struct subscription *session_subscribe(struct session *session, struct tree *tree,
                                       struct str filter, bool *ret_first);

/* Removes and frees it; true when nobody is left who subscribes to this filter. */
bool session_unsubscribe(struct tree *tree, struct subscription *subscription);

/* The text of a node's filter, appended to `out`. */
void session_filter_text(const struct tree_node *node, struct buf *out);

/* ---- in flight ---- */

/* Whether one more may be sent when `in_flight_max` may be unacknowledged. */
bool session_may_send(const struct session *session, uint32_t in_flight_max);

/* The packet identifier for the next message; it is in flight from now on. Only if
 * session_may_send(). */
uint16_t session_take_id(struct session *session);

/* PUBACK came: false if nothing with this identifier was in flight. */
bool session_acknowledge(struct session *session, uint16_t packet_id);

uint32_t session_in_flight(const struct session *session);

/* ---- waiting ---- */

/* A packet that waits to be sent, and what has to be filled in then. */
struct queued {
    uint32_t bytes, packet_id_at,
        expiry_at; /* expiry_at 0: the packet does not hold the interval */
    bool expires;
    uint32_t expiry_s;
    uint64_t received_ms;
};

bool session_queue_is_empty(const struct session *session);

/* Adds a packet; false when the queue is full. */
bool session_queue_push(struct session *session, const struct queued *queued, const uint8_t *packet,
                        size_t bytes_max);

/* The first packet, valid until the next call, or false. session_queue_pop() drops it. */
bool session_queue_first(const struct session *session, struct queued *ret, uint8_t **ret_packet);
void session_queue_pop(struct session *session);

/* A retained message that a subscription asked for and that has not been sent yet. */
struct session_retained {
    struct retained *retained;
    uint32_t subscription_id;
    uint8_t qos;
};

/* Takes a reference of its own. False when as many wait already as `count_max`. */
bool session_retained_push(struct session *session, struct retained *retained, uint8_t qos,
                           uint32_t subscription_id, size_t count_max);
const struct session_retained *session_retained_first(const struct session *session);
void session_retained_pop(struct session *session);

#endif
