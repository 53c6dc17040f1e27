/*
 * The live state: Redis, real. Either any Redis by URL, or a private redis-server that Weir starts
 * in the data folder (unix socket, append-only file), supervises and stops. Two connections: one
 * for commands, one for subscriptions (a subscribed RESP2 connection takes no other commands). Both
 * reconnect by themselves with back-off.
 *
 * Belongs to the service loop; all calls and callbacks there.
 */
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include <stdbool.h>

#include "base/err.h"
#include "base/option.h"
#include "base/str.h"
#include "io/loop.h"

struct state;

struct state_config {
    struct option_head head;
    /* redis://[user:password@]host:port[/db], unix:///path; NULL: the private server */
    const char *url;
    const char *redis_server; /* program of the private server; default "redis-server" */
};

extern const struct option state_options[];

/* `data_directory`: the private server lives in DATA/redis. Starts connecting; does not wait. A URL
 * that cannot be understood, or a redis-server that is not installed, is an error here. */
int state_open(struct loop *loop, const struct state_config *config, const char *data_directory,
               struct state **ret_state, struct err *err);

/* Stops the private server cleanly (SIGTERM: it saves), closes the connections; then `closed` and
 * the memory is gone. */
void state_close(struct state *state, void (*closed)(void *data), void *data);

/* Whether the command connection is up. */
bool state_ready(const struct state *state);

/* What functions need to reach the same Redis, as `redis_url` and `redis_port`: "127.0.0.1" and
 * "6379"; "unix:///.../redis.sock" and "0"; or, when a host alone does not say all (credentials, a
 * database, an IPv6 address), the whole URL and the port. Owned by the state; never to be logged.
 */
const char *state_url_host(const struct state *state);
const char *state_url_port(const struct state *state);

/* The same as one URL, for state_pipe_open(). Owned by the state; never to be logged. */
const char *state_url(const struct state *state);

/* The values of two keys, NULL views for absent ones, valid during the call; `ok` false when there
 * is no connection, too many calls wait (STATE_GETS_MAX) or Redis answers with an error. Then it
 * may run before state_get2() returns. */
typedef void state_get_cb(void *data, bool ok, struct str first, struct str second);
void state_get2(struct state *state, const char *first_key, const char *second_key,
                state_get_cb *on_values, void *data);

enum { STATE_GETS_MAX = 64, STATE_SUBSCRIPTIONS_MAX = 8 };

/* Any message on the channel (`is_message`), and once after each (re)connection: something may have
 * been missed. Never from inside state_subscribe(). At most STATE_SUBSCRIPTIONS_MAX (asserted). */
typedef void state_changed_cb(void *data, bool is_message);
void state_subscribe(struct state *state, const char *channel, state_changed_cb *on_changed,
                     void *data);

/* ---- a connection of one's own, for commands of any kind but those that subscribe or block ---- */

struct state_pipe;

/* INVALID if state_pipe_open() would not understand it. */
int state_url_check(const char *url, struct err *err);

struct state_pipe_events {
    void (*on_up)(void *data);
    /* Lost, or an attempt failed. The next attempt comes by itself. */
    void (*on_down)(void *data, const char *why);
};

/* As state_config.url; `err` never shows user or password. Starts connecting; no event before this
 * returns. */
int state_pipe_open(struct loop *loop, const char *url, const struct state_pipe_events *events,
                    void *data, struct state_pipe **ret_pipe, struct err *err);

/* "127.0.0.1:6379" or the path of the socket; holds no secret. */
const char *state_pipe_place(const struct state_pipe *pipe);

enum state_outcome {
    STATE_ANSWERED,
    STATE_ERROR, /* Redis answered with an error: `text` */
    STATE_LOST,  /* the connection went before the answer: carried out or not */
};

/* Pipelined, answered in order; `on_outcome` runs once, never before this returns, unless the pipe is
 * closed. What `words` look at is copied. False: there is no connection; nothing was sent. */
typedef void state_outcome_cb(void *data, enum state_outcome outcome, struct str text);
bool state_pipe_send(struct state_pipe *pipe, const struct str *words, size_t count,
                     state_outcome_cb *on_outcome, void *data);

/* No event and no outcome from now on; then `closed`, never before this returns. */
void state_pipe_close(struct state_pipe *pipe, void (*closed)(void *data), void *data);

/* No call back with this `data` comes any more: its subscriptions end, its values are dropped. */
void state_forget(struct state *state, const void *data);

#endif
