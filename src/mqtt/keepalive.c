/*
 * Deadlines of connections: CONNECT must come in time, and then packets within one and a half times
 * the keep alive (section 3.1.2.10). One timer per worker ticks once a second over a wheel of
 * WHEEL_SLOTS lists. A packet only notes the time in its connection; when the hand reaches the
 * connection it is closed if its deadline has passed, else moved to the slot of the new deadline.
 * Deadlines farther away than the wheel is round are looked at once per round.
 */
#include "mqtt/crowd.h"
#include "mqtt/lifecycle.h"
#include "mqtt/rewrite.h"
#include "mqtt/stored.h"
#include "mqtt/sys_topics.h"

/* The tick at which nothing can be too early any more: a tick may be up to a second old. */
static uint32_t deadline(const struct mqtt_connection *connection) {
    if (connection->state != CONNECTION_OPEN)
        return connection->connect_due_s;
    uint32_t keep_alive_s = connection->keep_alive_s;
    return connection->seen_s + keep_alive_s + (keep_alive_s + 1) / 2 + 1;
}

void wheel_add(struct mqtt_connection *connection) {
    struct wheel *wheel = &connection->worker->wheel;
    list_remove(&connection->wheel);
    if (connection->state == CONNECTION_OPEN && connection->keep_alive_s == 0)
        return;
    uint32_t due = deadline(connection), now = wheel->now_s;
    if (due <= now)
        due = now + 1;
    if (due - now >= WHEEL_SLOTS)
        due = now + WHEEL_SLOTS - 1;
    list_push_back(&wheel->slots[due % WHEEL_SLOTS], &connection->wheel);
}

static void check(struct mqtt_connection *connection) {
    struct mqtt_worker *worker = connection->worker;
    /* What the client sends cannot be seen while nothing is read from it. */
    if (connection->reading_stopped)
        connection->seen_s = worker->wheel.now_s;
    if (deadline(connection) > worker->wheel.now_s) {
        wheel_add(connection);
        return;
    }
    if (connection->state == CONNECTION_OPEN)
        metric_add(&worker->metrics.closed_keep_alive, 1);
    else
        metric_add(&worker->metrics.refused_timeout, 1);
    log_debug("mqtt", "client \"%.*s\" at %s: %s", STR_ARG(connection_client_id(connection)),
              connection->peer,
              connection->state == CONNECTION_OPEN ? "silent for longer than its keep alive"
                                                   : "did not connect in time");
    connection_end(connection, PACKET_KEEP_ALIVE_TIMEOUT);
}

void wheel_tick(struct mqtt_worker *worker) {
    struct wheel *wheel = &worker->wheel;
    wheel->now_s++;
    struct link *slot = &wheel->slots[wheel->now_s % WHEEL_SLOTS];
    struct link due, *item;
    list_init(&due);
    while ((item = list_pop_front(slot)))
        list_push_back(&due, item);
    while ((item = list_pop_front(&due)))
        check(LIST_ITEM(item, struct mqtt_connection, wheel));
}

static void on_tick(struct timer *timer) {
    struct mqtt_worker *worker = CONTAINER_OF(timer, struct mqtt_worker, wheel.timer);
    wheel_tick(worker);
    stored_tick(worker);
    rewrite_tick(worker);
    crowd_tick(worker);
    retained_tick(&worker->retained, loop_now_ms(worker->loop));
    lifecycle_tick(worker);
    sys_topics_tick(worker);
}

void wheel_start(struct mqtt_worker *worker) {
    for (unsigned i = 0; i < WHEEL_SLOTS; i++) {
        list_init(&worker->wheel.slots[i]);
        list_init(&worker->session_slots[i]);
    }
    timer_start(worker->loop, &worker->wheel.timer, WHEEL_TICK_MS, WHEEL_TICK_MS, on_tick);
}
