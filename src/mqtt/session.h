/*
 * What the broker keeps for a client apart from its connection: its subscriptions, the QoS 1 and 2
 * messages that it has been sent and not yet acknowledged, those that wait behind them, and the
 * identifiers of the QoS 2 messages that it has published and not yet released. It belongs to the
 * worker of its connection; while the client is away, to that of the last one (stored.h).
 *
 * Bounds: in flight at most what the client's Receive Maximum and the broker's allow; the queue
 * behind at most what the caller gives.
 */
#ifndef MQTT_SESSION_H
#define MQTT_SESSION_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/list.h"
#include "mqtt/kept.h"
#include "mqtt/packet_ids.h"
#include "mqtt/tree.h"

struct mqtt_connection;
struct share;
struct session_retained;
struct stored;

struct session {
    struct mqtt_connection *connection; /* NULL: the client is away */
    struct stored *stored;              /* NULL: the session ends with its connection */
    struct link subscriptions;
    uint32_t subscription_count;
    struct flight *flight;         /* made by the first message that needs it */
    _Atomic int64_t *queued_bytes; /* where what waits is counted with that of others; or NULL */
    struct {                       /* see crowd.c */
        struct link link;
        uint8_t state;
        uint32_t since_s, low_count;
        size_t low_bytes;
    } crowd;
};

/* One filter of one session. It stands in its session's list and in the list of its filter's node. */
struct subscription {
    struct link link;
    struct session *session;
    struct tree_node *node; /* of the filter; NULL: `share` */
    struct share *share;
    uint32_t id;    /* subscription identifier, 0: none */
    uint32_t index; /* among the subscribers of the node, or the members of the share */
    uint8_t qos;
    bool no_local, retain_as_published;
};

/* The value of a node in a worker's tree of subscriptions. */
struct subscribers {
    uint32_t count, cap;
    uint32_t stored_count; /* of stored sessions among them */
    uint32_t full_count;   /* and of those whose queue is full, see stored_is_full() */
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

/* ---- one message for one session ---- */

struct delivery {
    struct link link;
    struct kept *message;
    uint64_t id; /* of the message for this session in the journal, or 0 */
    uint8_t qos; /* 1 or 2 */
    bool retain;
    uint16_t share_bytes; /* of the share through which it came, behind the identifiers */
    uint32_t id_count;    /* subscription identifiers */
    uint32_t ids[];
};

/* Takes a reference of its own. Its id is that of the message. */
struct delivery *delivery_new(struct kept *message, uint8_t qos, bool retain, const uint32_t *ids,
                              uint32_t id_count, struct str share);
void delivery_free(struct delivery *delivery); /* NULL is fine */

/* "NAME/FILTER", or empty. */
struct str delivery_share(const struct delivery *delivery);

/* ---- in flight to the client ---- */

/* What a message in flight waits for. */
enum flight_state { FLIGHT_FREE, FLIGHT_PUBACK, FLIGHT_PUBREC, FLIGHT_PUBCOMP };

/* Whether one more may be sent when `in_flight_max` may be unacknowledged. */
bool session_may_send(const struct session *session, uint32_t in_flight_max);

/* What session_take_id() will give. */
uint16_t session_next_id(const struct session *session);

/*
 * The packet identifier for the next message, which is in flight from now on. Only if
 * session_may_send(). `delivery`, if it has to be known until it is acknowledged, belongs to the
 * session now; else NULL.
 */
uint16_t session_take_id(struct session *session, uint8_t qos, struct delivery *delivery);

/* PUBACK (`state` FLIGHT_PUBACK), PUBCOMP (FLIGHT_PUBCOMP) or a PUBREC that refuses (FLIGHT_PUBREC)
 * came: false if nothing with this identifier waited for it. */
bool session_acknowledge(struct session *session, uint16_t packet_id, enum flight_state state);

/* What the message with this identifier waits for; FLIGHT_FREE: there is none. */
enum flight_state session_awaits(const struct session *session, uint16_t packet_id);

/* PUBREC came: the message waits for PUBCOMP from now on. True also when it did before. */
bool session_advance(struct session *session, uint16_t packet_id);

/* What the message with the identifier waits for. */
enum flight_state session_state(const struct session *session, uint16_t packet_id);

/* What is in flight under the identifier, or NULL. */
const struct delivery *session_delivery(const struct session *session, uint16_t packet_id);

uint32_t session_in_flight(const struct session *session);

/* ---- in flight again, on a new connection (section 4.4) ---- */

/* Nothing of what is in flight counts as sent on this connection. */
void session_rewind(struct session *session);

struct resend {
    uint16_t packet_id;
    enum flight_state state;
    const struct delivery *delivery; /* NULL if PUBCOMP is awaited */
};

/* What has to be sent again next, in the order in which it was sent first; false when nothing is
 * left, or `in_flight_max` are unacknowledged. */
bool session_resend_first(struct session *session, uint32_t in_flight_max, struct resend *ret);

/* It has been sent. */
void session_resent(struct session *session);

/* ---- moving ---- */

/* Takes out all that is in flight, received and waiting; or NULL. */
struct flight *session_take_flight(struct session *session);

/* Puts it in front of what waits in the session, which has nothing in flight. NULL is fine. */
void session_put_flight(struct session *session, struct flight *flight);

/* ---- as it was before the process began ---- */

/* In flight under this identifier, behind what was put there before: false if that cannot be.
 * `delivery` (owned then) is NULL if PUBCOMP is awaited. */
bool session_restore(struct session *session, uint16_t packet_id, enum flight_state state,
                     struct delivery *delivery);

/* For all that the session has under way, in the order in which it was, or will be, sent. Members may
 * be NULL. */
struct session_visit {
    void (*flight)(void *data, uint16_t packet_id, enum flight_state state,
                   const struct delivery *delivery);
    void (*waiting)(void *data, const struct delivery *delivery);
    void (*retained)(void *data, const struct session_retained *retained);
    void (*received)(void *data, uint16_t packet_id);
};
void session_visit(const struct session *session, const struct session_visit *visit, void *data);

/* Frees all that is in flight, received and waiting. */
void session_drop_flight(struct session *session);

/* Takes out the first delivery in flight that waits for PUBACK and came through a share; NULL when
 * there is none. */
struct delivery *session_take_shared(struct session *session);

/* ---- in flight from the client: QoS 2 ---- */

/* A QoS 2 message came; false if one with its identifier came before and is not released. */
bool session_receive(struct session *session, uint16_t packet_id);
bool session_has_received(const struct session *session, uint16_t packet_id);

/* PUBREL came, or the message was refused; false if there is no such message. */
bool session_release(struct session *session, uint16_t packet_id);
uint32_t session_received_count(const struct session *session);

/* ---- waiting ---- */

bool session_queue_is_empty(const struct session *session);

uint32_t session_queue_count(const struct session *session);
size_t session_queue_bytes(const struct session *session);

/* Takes the delivery. */
void session_queue_push(struct session *session, struct delivery *delivery);

/* The first, which stays; or NULL. */
struct delivery *session_queue_first(const struct session *session);

/* Takes the first out: it is the caller's. */
struct delivery *session_queue_pop(struct session *session);

/* Whether anything waits to be sent: again, for the first time, or as retained. */
bool session_has_waiting(const struct session *session);

/* A retained message that a subscription asked for and that has not been sent yet. */
struct session_retained {
    struct kept *retained;
    uint64_t id; /* in the journal, or 0 */
    uint32_t subscription_id;
    uint8_t qos;
};

/* Takes a reference of its own. False when as many wait already as `count_max`. */
bool session_retained_push(struct session *session, const struct session_retained *waiting,
                           size_t count_max);
const struct session_retained *session_retained_first(const struct session *session);
void session_retained_pop(struct session *session);

#endif
