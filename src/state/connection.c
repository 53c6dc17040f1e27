/*
 * Attempts, and what is noticed.
 *
 *     WAITING --timer--> RESOLVING --address--> GREETING --PONG--> UP
 *        ^                   |                     |                |
 *        +---- back-off -----+---------------------+----------------+   any failure
 *
 * A greeting is AUTH and SELECT, if the URL wants them, and PING, sent at once and answered in
 * order. Redis is up only with the PONG: one that still loads its append-only file accepts
 * connections and answers -LOADING. The wait between attempts doubles from 50 ms to 5 s and is
 * drawn from the upper half, so that many Weirs do not knock in step; it begins anew when a
 * connection has lived for one beat.
 *
 * A hung Redis, or a network that swallows packets, closes no connection: at each beat something
 * must have been heard since the beat before.
 *
 * hiredis calls back through its own watcher functions, here over uv_poll. Its own adapter for
 * libuv leaves errors of the descriptor aside (a refused connection would never be noticed), so
 * this file has one that lets hiredis see them. The host name is resolved by libuv's pool, because
 * hiredis would block the loop for it.
 *
 * hiredis frees a context by itself when it finds it broken, and runs the callbacks of commands
 * under way with a NULL reply while it does. A context that is no longer `connection->redis` is on
 * that way: its callbacks are not listened to.
 */
#include "state/connection.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/backoff.h"
#include "base/mem.h"

enum { BACKOFF_MS_MIN = 50, BACKOFF_MS_MAX = 5000, GREETING_MS_MAX = 5000 };

/* ---- hiredis on the loop ---- */

struct watch {
    uv_poll_t uv;
    redisAsyncContext *redis; /* NULL: closing */
    int events;
};

/* An error comes with the poll stopped; reading makes hiredis find out what it is. */
static void on_poll(uv_poll_t *uv, int status, int events) {
    struct watch *watch = CONTAINER_OF(uv, struct watch, uv);
    if (watch->redis && (status || (events & UV_READABLE)))
        redisAsyncHandleRead(watch->redis);
    if (watch->redis && (events & UV_WRITABLE))
        redisAsyncHandleWrite(watch->redis);
}

static void watch_events(struct watch *watch, int events) {
    watch->events = events;
    if (events)
        uv_poll_start(&watch->uv, events, on_poll);
    else
        uv_poll_stop(&watch->uv);
}

static void watch_add_read(void *data) {
    struct watch *watch = data;
    watch_events(watch, watch->events | UV_READABLE);
}

static void watch_remove_read(void *data) {
    struct watch *watch = data;
    watch_events(watch, watch->events & ~UV_READABLE);
}

static void watch_add_write(void *data) {
    struct watch *watch = data;
    watch_events(watch, watch->events | UV_WRITABLE);
}

static void watch_remove_write(void *data) {
    struct watch *watch = data;
    watch_events(watch, watch->events & ~UV_WRITABLE);
}

static void on_watch_closed(uv_handle_t *uv) {
    free(CONTAINER_OF(uv, struct watch, uv));
}

static void watch_close(void *data) {
    struct watch *watch = data;
    watch->redis = NULL;
    uv_close((uv_handle_t *)&watch->uv, on_watch_closed);
}

static void watch_open(struct loop *loop, redisAsyncContext *redis) {
    struct watch *watch = xcalloc(1, sizeof *watch);
    int failed = uv_poll_init(loop_uv(loop), &watch->uv, redis->c.fd);
    ASSERT(!failed);
    watch->redis = redis;
    redis->ev.data = watch;
    redis->ev.addRead = watch_add_read;
    redis->ev.delRead = watch_remove_read;
    redis->ev.addWrite = watch_add_write;
    redis->ev.delWrite = watch_remove_write;
    redis->ev.cleanup = watch_close;
}

/* ---- failing ---- */

static void on_attempt(struct timer *timer);

static unsigned next_delay_ms(struct state_connection *connection) {
    uint64_t delay_ms = backoff_ms(BACKOFF_MS_MIN, BACKOFF_MS_MAX, ++connection->failures);
    return (unsigned)backoff_spread_ms(delay_ms);
}

/* The context is gone already, or hiredis is freeing it. */
static void go_down(struct state_connection *connection, const char *why) {
    bool was_up = connection->phase == CONNECTION_UP;
    char text[160];
    snprintf(text, sizeof text, "%s", why); /* `why` may be part of a context that goes. */
    connection->redis = NULL;
    connection->phase = CONNECTION_WAITING;
    timer_start(connection->loop, &connection->timer, next_delay_ms(connection), 0, on_attempt);
    connection->events->on_down(connection, was_up, text);
}

static void drop_context(struct state_connection *connection) {
    redisAsyncContext *redis = connection->redis;
    connection->redis = NULL;
    if (redis)
        redisAsyncFree(redis);
}

static void give_up(struct state_connection *connection, const char *why) {
    drop_context(connection);
    go_down(connection, why);
}

static void on_disconnected(const redisAsyncContext *redis, int status) {
    struct state_connection *connection = redis->data;
    if (connection->redis == redis)
        go_down(connection, redis->c.errstr[0] ? redis->c.errstr : "closed");
}

/* ---- greeting ---- */

static void on_beat(struct timer *timer) {
    struct state_connection *connection = CONTAINER_OF(timer, struct state_connection, timer);
    if (!connection->heard) {
        give_up(connection, "it does not answer");
        return;
    }
    connection->failures = 0;
    connection->heard = false;
    connection->events->beat(connection);
}

static void on_greeting_late(struct timer *timer) {
    struct state_connection *connection = CONTAINER_OF(timer, struct state_connection, timer);
    give_up(connection, "it did not answer in time");
}

/* AUTH and SELECT: anything but an error will do. */
static void on_greeted(redisAsyncContext *redis, void *data, void *unused) {
    struct state_connection *connection = redis->data;
    const redisReply *reply = data;
    if (reply && connection->redis == redis && reply->type == REDIS_REPLY_ERROR)
        give_up(connection, reply->str);
}

static void on_pong(redisAsyncContext *redis, void *data, void *unused) {
    struct state_connection *connection = redis->data;
    const redisReply *reply = data;
    if (!reply || connection->redis != redis)
        return;
    if (reply->type == REDIS_REPLY_ERROR) {
        give_up(connection, reply->str);
        return;
    }
    connection->phase = CONNECTION_UP;
    connection->heard = true;
    timer_start(connection->loop, &connection->timer, connection->beat_ms, connection->beat_ms,
                on_beat);
    connection->events->on_up(connection);
}

static void greet(struct state_connection *connection) {
    const struct state_address *address = connection->address;
    redisAsyncContext *redis = connection->redis;
    if (address->password && address->user)
        redisAsyncCommand(redis, on_greeted, NULL, "AUTH %s %s", address->user, address->password);
    else if (address->password)
        redisAsyncCommand(redis, on_greeted, NULL, "AUTH %s", address->password);
    if (address->database)
        redisAsyncCommand(redis, on_greeted, NULL, "SELECT %u", address->database);
    redisAsyncCommand(redis, on_pong, NULL, "PING");
}

static void on_connected(const redisAsyncContext *redis, int status) {
    struct state_connection *connection = redis->data;
    if (status != REDIS_OK && connection->redis == redis)
        go_down(connection, redis->c.errstr);
}

/* Takes `redis`, which has begun to connect. */
static void begin_greeting(struct state_connection *connection, redisAsyncContext *redis) {
    ASSERT(redis);
    if (redis->err) {
        char why[160];
        snprintf(why, sizeof why, "%s", redis->errstr);
        redisAsyncFree(redis);
        go_down(connection, why);
        return;
    }
    redis->data = connection;
    connection->redis = redis;
    connection->phase = CONNECTION_GREETING;
    watch_open(connection->loop, redis);
    redisAsyncSetConnectCallback(redis, on_connected);
    redisAsyncSetDisconnectCallback(redis, on_disconnected);
    timer_start(connection->loop, &connection->timer, GREETING_MS_MAX, 0, on_greeting_late);
    greet(connection);
}

/* ---- attempts ---- */

static void finish_if_closed(struct state_connection *connection) {
    if (connection->is_timer_closed && !connection->is_resolver_busy)
        connection->closed(connection);
}

/* Of several addresses each attempt takes the next. */
static void on_resolved(uv_getaddrinfo_t *resolver, int status, struct addrinfo *found) {
    struct state_connection *connection = CONTAINER_OF(resolver, struct state_connection, resolver);
    char host[NI_MAXHOST];
    unsigned count = 0;
    connection->is_resolver_busy = false;
    for (const struct addrinfo *at = found; at; at = at->ai_next)
        count++;
    const struct addrinfo *chosen = found;
    for (unsigned i = 0; count && i < connection->failures % count; i++)
        chosen = chosen->ai_next;
    if (chosen && getnameinfo(chosen->ai_addr, chosen->ai_addrlen, host, sizeof host, NULL, 0,
                              NI_NUMERICHOST) != 0)
        chosen = NULL;
    uv_freeaddrinfo(found);
    if (connection->phase == CONNECTION_CLOSED)
        finish_if_closed(connection);
    else if (chosen)
        begin_greeting(connection, redisAsyncConnect(host, connection->address->port));
    else
        go_down(connection, status ? uv_strerror(status) : "the host has no address");
}

static void on_attempt(struct timer *timer) {
    struct state_connection *connection = CONTAINER_OF(timer, struct state_connection, timer);
    const struct state_address *address = connection->address;
    if (address->path) {
        begin_greeting(connection, redisAsyncConnectUnix(address->path));
        return;
    }
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    connection->phase = CONNECTION_RESOLVING;
    connection->is_resolver_busy = true;
    int failed = uv_getaddrinfo(loop_uv(connection->loop), &connection->resolver, on_resolved,
                                address->host, NULL, &hints);
    if (failed) {
        connection->is_resolver_busy = false;
        go_down(connection, uv_strerror(failed));
    }
}

/* ---- life ---- */

void state_connection_open(struct state_connection *connection, struct loop *loop,
                           const struct state_address *address,
                           const struct state_connection_events *events, unsigned beat_ms) {
    *connection = (struct state_connection){
        .loop = loop, .address = address, .events = events, .beat_ms = beat_ms};
    timer_start(loop, &connection->timer, 0, 0, on_attempt);
}

static void on_timer_closed(struct timer *timer) {
    struct state_connection *connection = CONTAINER_OF(timer, struct state_connection, timer);
    connection->is_timer_closed = true;
    finish_if_closed(connection);
}

void state_connection_close(struct state_connection *connection,
                            void (*closed)(struct state_connection *connection)) {
    connection->phase = CONNECTION_CLOSED;
    connection->closed = closed;
    drop_context(connection);
    if (connection->is_resolver_busy)
        uv_cancel((uv_req_t *)&connection->resolver);
    timer_close(&connection->timer, on_timer_closed);
}

redisAsyncContext *state_connection_redis(const struct state_connection *connection) {
    return connection->phase == CONNECTION_UP ? connection->redis : NULL;
}

void state_connection_hurry(struct state_connection *connection) {
    if (connection->phase != CONNECTION_WAITING)
        return;
    connection->failures = 0;
    timer_start(connection->loop, &connection->timer, 0, 0, on_attempt);
}

void state_connection_heard(struct state_connection *connection) {
    connection->heard = true;
}
