/*
 * Shared subscriptions, "$share/NAME/FILTER" (MQTT 5.0 section 4.8.2). Every worker knows every
 * share and how many members each worker has; the members themselves only their own worker knows.
 * The worker that a message is published on chooses the worker of the member that gets it, and that
 * worker chooses the member. All belongs to the worker's thread.
 */
#ifndef MQTT_SHARE_H
#define MQTT_SHARE_H

#include "base/map.h"
#include "mqtt/session.h"

struct mqtt_worker;
struct publication;

/* Members, those among them whose clients are connected, and those with stored sessions. */
struct share_count {
    uint32_t members, online, stored;
};

struct share {
    struct share *next;       /* of the same filter */
    struct tree_node *node;   /* of the filter; its value is the first share */
    struct str key;           /* "NAME/FILTER", owned */
    struct str filter;        /* in `key` */
    struct share_count total; /* on all workers */
    uint32_t turn;            /* whose turn it is among them */
    uint32_t member_count, member_cap, member_turn;
    struct subscription **members; /* those of this worker */
    struct share_count counts[];   /* by worker */
};

struct shares {
    struct map by_key;
    struct tree by_filter;
};

/* The session's subscription to the share, or NULL. `key` is "NAME/FILTER". */
struct subscription *share_find(const struct mqtt_worker *worker, const struct session *session,
                                struct str key);

/* Makes the session a member; it was none. The other workers are told. */
struct subscription *share_join(struct mqtt_worker *worker, struct session *session,
                                struct str name, struct str key);

/* Ends and frees the subscription. */
void share_leave(struct mqtt_worker *worker, struct subscription *subscription);

/* Another worker has so many members now. */
void share_apply(struct mqtt_worker *worker, unsigned from, struct str key,
                 struct share_count count);

/* The session's client has connected or gone. */
void share_member_changed(struct mqtt_worker *worker, const struct session *session);

/* Calls `visit` with the nodes whose filters match; a node's value is the first of its shares. */
void share_match(struct mqtt_worker *worker, struct str topic, tree_visit *visit, void *data);

/* To one member, on whichever worker it is. */
void share_publish(struct mqtt_worker *worker, struct share *share,
                   const struct publication *publication);

/*
 * A message for one of the members here, chosen by another worker; if none is here any more it goes
 * on to where one is, `hops` times already.
 */
void share_arrive(struct mqtt_worker *worker, struct str key, const struct publication *publication,
                  uint8_t hops);

/* What came through shares to a session that ends and was not acknowledged goes to other members.
 * The session is a member no more. */
void share_return_all(struct mqtt_worker *worker, struct session *session);

void shares_done(struct mqtt_worker *worker);

#endif
