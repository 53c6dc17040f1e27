/*
 * One connection to Redis that comes back by itself. Embedded in its owner; belongs to its loop's
 * thread, all callbacks there and never from inside state_connection_open() or _close().
 */
#ifndef STATE_CONNECTION_H
#define STATE_CONNECTION_H

#include <hiredis/async.h>
#include <stdbool.h>

#include "io/loop.h"
#include "state/address.h"

struct state_connection;

struct state_connection_events {
    /* Let in, and Redis answers: commands may be sent. */
    void (*on_up)(struct state_connection *connection);
    /* It was up and is lost, or (was_up false) an attempt failed. The next attempt is scheduled. */
    void (*on_down)(struct state_connection *connection, bool was_up, const char *why);
    /* Send something that is answered by state_connection_heard(). */
    void (*beat)(struct state_connection *connection);
};

enum state_connection_phase {
    CONNECTION_WAITING,   /* for the next attempt */
    CONNECTION_RESOLVING, /* the host name */
    CONNECTION_GREETING,  /* connect, AUTH, SELECT, PING */
    CONNECTION_UP,
    CONNECTION_CLOSED,
};

struct state_connection {
    struct loop *loop;
    const struct state_address *address;
    const struct state_connection_events *events;
    unsigned beat_ms;
    enum state_connection_phase phase;
    redisAsyncContext *redis; /* while GREETING and UP */
    struct timer timer;       /* the next attempt, the limit of a greeting, the next beat */
    uv_getaddrinfo_t resolver;
    bool is_resolver_busy, is_timer_closed, heard;
    unsigned failures; /* attempts since it was last known to be good */
    void (*closed)(struct state_connection *connection);
};

/* Heard nothing between two beats: Redis hangs, the connection is given up. */
enum { STATE_BEAT_MS = 5000 };

/* `address` and `events` must outlive it. */
void state_connection_open(struct state_connection *connection, struct loop *loop,
                           const struct state_address *address,
                           const struct state_connection_events *events, unsigned beat_ms);

/* No callback but `closed` from now on (answers of commands under way come as NULL before this
 * returns). */
void state_connection_close(struct state_connection *connection,
                            void (*closed)(struct state_connection *connection));

/* What commands are sent with; NULL unless it is up. */
redisAsyncContext *state_connection_redis(const struct state_connection *connection);

/* Redis has just become reachable: do not wait for the back-off. */
void state_connection_hurry(struct state_connection *connection);

void state_connection_heard(struct state_connection *connection);

#endif
