/*
 * Connects: all workers of a listener share its number through one atomic, so that the rate is that
 * of the listener and not of each worker. What comes too fast waits in the kernel's queue of the
 * listening socket, and beyond that in the peers' retries: nobody is refused.
 *
 * Publishes: the connection is parked, as when there is no room (input.c), so its socket is not
 * read and its PINGREQs are answered; a timer lets it go on.
 */
#include "mqtt/limits.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mqtt/broker.h"

enum { PACE_TICK_MS = 10 };

static const uint64_t second_ns = 1000000000;

/* What may come at once: of connects a tenth of a second's, of publishes a whole second's. */
static const uint64_t connect_allowance_ns = second_ns / 10, publish_allowance_ns = second_ns;

/* ---- connects ---- */

struct listener_state *listener_state(struct mqtt_worker *worker,
                                      const struct mqtt_listener_config *listener) {
    struct mqtt *mqtt = worker->mqtt;
    const struct mqtt_listener_config *first = mqtt->config->listeners.items;
    size_t count = mqtt->config->listeners.count;
    if (listener == &mqtt->config->web)
        return &mqtt->listener_states[count];
    if (!listener || !count || listener < first || listener >= first + count)
        return NULL;
    return &mqtt->listener_states[listener - first];
}

unsigned limits_connect_delay_ms(struct listener_state *state, int64_t rate, uint64_t now_ns) {
    if (!state || !rate)
        return 0;
    uint64_t next_ns = atomic_load_explicit(&state->next_connect_ns, memory_order_relaxed);
    if (next_ns <= now_ns + connect_allowance_ns)
        return 0;
    return (unsigned)((next_ns - now_ns - connect_allowance_ns) / 1000000) + 1;
}

void limits_count_connect(struct listener_state *state, int64_t rate, uint64_t now_ns) {
    if (!state || !rate)
        return;
    uint64_t next_ns = atomic_load_explicit(&state->next_connect_ns, memory_order_relaxed), after;
    do
        after = (next_ns > now_ns ? next_ns : now_ns) + second_ns / (uint64_t)rate;
    while (!atomic_compare_exchange_weak_explicit(&state->next_connect_ns, &next_ns, after,
                                                  memory_order_relaxed, memory_order_relaxed));
}

/* ---- publishes ---- */

struct pace *pace_new(const struct mqtt_listener_config *listener) {
    bool paced = listener && (listener->publish_rate || listener->publish_bytes_rate);
    return paced ? xcalloc(1, sizeof(struct pace)) : NULL;
}

static uint64_t excess_ns(uint64_t next_ns, uint64_t now_ns) {
    return next_ns > now_ns + publish_allowance_ns ? next_ns - now_ns - publish_allowance_ns : 0;
}

static void advance(uint64_t *next_ns, uint64_t now_ns, uint64_t step_ns) {
    *next_ns = (*next_ns > now_ns ? *next_ns : now_ns) + step_ns;
}

uint64_t pace_take(struct pace *pace, const struct mqtt_listener_config *listener, size_t bytes,
                   uint64_t now_ns) {
    uint64_t by_count = excess_ns(pace->next_message_ns, now_ns);
    uint64_t by_bytes = excess_ns(pace->next_byte_ns, now_ns);
    if (by_count || by_bytes)
        return by_count > by_bytes ? by_count : by_bytes;
    if (listener->publish_rate)
        advance(&pace->next_message_ns, now_ns, second_ns / (uint64_t)listener->publish_rate);
    if (listener->publish_bytes_rate)
        advance(&pace->next_byte_ns, now_ns,
                bytes * second_ns / (uint64_t)listener->publish_bytes_rate);
    return 0;
}

static void on_tick(struct timer *timer) {
    struct mqtt_worker *worker = CONTAINER_OF(timer, struct mqtt_worker, pace_timer);
    struct link waited, *item;
    list_init(&waited);
    while ((item = list_pop_front(&worker->paced)))
        list_push_back(&waited, item);
    while (!list_empty(&waited)) /* Each leaves the list by itself, maybe for the other again. */
        connection_resume(LIST_ITEM(waited.next, struct mqtt_connection, parked));
    if (list_empty(&worker->paced))
        timer_stop(timer);
}

bool pace_admit(struct mqtt_connection *connection, size_t bytes) {
    struct mqtt_worker *worker = connection->worker;
    if (!connection->pace || worker->stopping ||
        pace_take(connection->pace, connection->listener, bytes, clock_mono_ns()) == 0)
        return true;
    list_push_back(&worker->paced, &connection->parked);
    metric_add(&worker->metrics.parked, 1);
    metric_add(&worker->metrics.paced, 1);
    if (!timer_running(&worker->pace_timer))
        timer_start(worker->loop, &worker->pace_timer, PACE_TICK_MS, PACE_TICK_MS, on_tick);
    return false;
}

void paces_init(struct mqtt_worker *worker) {
    list_init(&worker->paced);
}
