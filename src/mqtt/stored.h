/*
 * Sessions that outlive their connection (MQTT 5.0 sections 3.1.2.11.2 and 4.1; 3.1.1: clean
 * session 0). A stored session belongs to the worker that its client was connected to last; while
 * the client is away it keeps its subscriptions there, and messages of QoS 1 and 2 wait in it.
 *
 * Bounds: sessions_max sessions; queue_max messages and queue_bytes_max bytes in each and
 * queue_total_bytes_max bytes in all; session_expiry_max. All of it belongs to the worker's thread.
 */
#ifndef MQTT_STORED_H
#define MQTT_STORED_H

#include "mqtt/broker.h"

enum { SESSION_NEVER_EXPIRES = UINT32_MAX };

/* What only a session has that may outlive its connection. */
struct stored {
    struct session *session;
    struct link wheel;      /* while the client is away, see stored_tick() */
    struct str client_id;   /* owned */
    uint64_t number;        /* in the journal; 0: it is not there */
    uint64_t away_ms;       /* wall clock when the client went away */
    bool full;              /* publishers have been told that the queue is full */
    bool overdue;           /* its time was over before the process began */
    uint32_t expiry_s;      /* 0: the session ends with its connection */
    uint32_t ends_at_s;     /* wheel time; while the client is away */
    uint32_t will_at_s;     /* wheel time */
    struct will *will;      /* that waits for its delay; or NULL */
    struct claim *leaving;  /* the claim of another worker that the session moves to; or NULL */
    struct claim *arriving; /* that it comes with from another worker; or NULL */
    bool away;              /* counted as one whose client is not connected */
    uint64_t refused;       /* workers whose messages the session does not take here, see claim.c */
    struct link unsettled;  /* struct held of former connections: PUBRECs wait for the disk */
};

static inline bool stored_survives(const struct session *session) {
    return session->stored && session->stored->expiry_s > 0;
}

/* Whether the session takes a message that was published on worker `origin`: always, unless it is
 * on its way from one worker to another. */
static inline bool stored_takes(const struct session *session, unsigned origin) {
    return !session->stored || !(session->stored->refused >> origin & 1);
}

/* Whether one more session may be stored. */
bool stored_has_room(const struct mqtt_worker *worker);

/* Makes the session one that may outlive its connection. */
void stored_begin(struct mqtt_worker *worker, struct session *session, struct str client_id);

/* The client's stored session on this worker, or NULL. */
struct session *stored_find(const struct mqtt_worker *worker, struct str client_id);

/*
 * The connection has gone: the session stays, for expiry_s, and so does the will (may be NULL; owned
 * now), until its delay has passed or the session ends.
 */
void stored_go_offline(struct mqtt_worker *worker, struct session *session, struct will *will);

/* The session is without its client, for `ends_in_s` more; `will` (owned now; or NULL) is due in
 * `will_in_s`. */
void stored_wait(struct mqtt_worker *worker, struct session *session, uint32_t ends_in_s,
                 struct will *will, uint32_t will_in_s);

/* The client is back: nothing of this is due any more. */
void stored_go_online(struct session *session, struct mqtt_connection *connection);

/* Ends and frees a session, stored or not: its subscriptions, what waits in it, its delayed will
 * (which is published). */
void stored_end(struct mqtt_worker *worker, struct session *session);

/* No PUBREC of the former connection is held any more, or it does not matter to the session. */
void stored_settle(struct mqtt_worker *worker, struct held *held);

/* A second has passed: publishes delayed wills and ends sessions that are due. */
void stored_tick(struct mqtt_worker *worker);

/*
 * Queues a message for a session; takes the delivery. If a full queue is to refuse, what is in the
 * journal is taken all the same: its publisher did not yet know that the queue is full. What is
 * dropped at the bounds is counted: the oldest ones of a stored session if the configuration says
 * so, else this one. False if it was this one.
 */
bool stored_queue(struct mqtt_worker *worker, struct session *session, struct delivery *delivery);

/* Whether a message for these targets has to be refused because a queue here, or all together, are
 * full, and the configuration wants that. */
bool stored_must_refuse(struct mqtt_worker *worker, const struct route *route);

/* Something has left the session's queue, or it has come with one. */
void stored_queue_changed(struct mqtt_worker *worker, struct session *session);

/* Publishers need not mind the session's queue any more. */
void stored_not_full(struct mqtt_worker *worker, struct session *session);

/* Ends the sessions that are overdue. */
void stored_end_overdue(struct mqtt_worker *worker);

/* Ends all sessions; when the worker has no connections any more. */
void stored_end_all(struct mqtt_worker *worker);

#endif
