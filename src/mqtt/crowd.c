/*
 *      calm -- the queue is half full --> held -- it is a quarter full --> calm
 *                                          |
 *                                          +-- CROWD_HELD_S_MAX have passed --> slow
 *      slow -- it is a quarter full --> calm
 *
 * While a session is held, a publisher whose message went into its queue is parked with its next
 * PUBLISH (input.c). Publishers on other workers cannot see the queue: they wait if their topic has a
 * subscriber on a worker that has a held session (`crowded`, a bit per worker). When a worker has no
 * held session any more, it wakes them all, and each may publish once before it is looked at again.
 *
 * A connection whose own session is held is not parked: its acknowledgements stand behind its PUBLISH.
 *
 * A client that reads too slowly to empty half of its queue in that time does not deserve it: it is
 * slow, publishers go on, and what does not fit into its queue is dropped and counted.
 */
#include "mqtt/crowd.h"

#include <stdlib.h>

#include "base/mem.h"

enum { CALM, HELD, SLOW };

/* ---- who is held ---- */

static void run_wake(struct mqtt_worker *worker, struct call *call) {
    free(call);
    worker_unpark(worker);
}

/* Not at once: what a publisher does next must not run in the middle of what a subscriber does now. */
static void on_eased(struct task *task) {
    struct mqtt_worker *worker = CONTAINER_OF(task, struct mqtt_worker, crowd_task);
    worker->crowd_eased = false;
    worker_unpark(worker);
    for (unsigned i = 0; i < worker->mqtt->worker_count; i++) {
        if (i == worker->index)
            continue;
        struct call *call = xcalloc(1, sizeof *call);
        call->run = run_wake;
        channel_send_call(worker, i, call);
    }
}

static void wake_all(struct mqtt_worker *worker) {
    if (worker->crowd_eased)
        return;
    worker->crowd_eased = true;
    worker->crowd_task.run = on_eased;
    loop_post(worker->loop, &worker->crowd_task);
}

static uint64_t bit_of(const struct mqtt_worker *worker) {
    return 1ull << worker->index;
}

static void hold(struct mqtt_worker *worker, struct session *session) {
    session->crowd.state = HELD;
    session->crowd.since_s = worker->wheel.now_s;
    list_push_back(&worker->crowd, &session->crowd.link);
    metric_add(&worker->metrics.crowded, 1);
    atomic_fetch_or_explicit(&worker->mqtt->crowded, bit_of(worker), memory_order_relaxed);
}

static void let_go(struct mqtt_worker *worker, struct session *session, uint8_t state) {
    bool was_held = session->crowd.state == HELD;
    session->crowd.state = state;
    if (!was_held)
        return;
    list_remove(&session->crowd.link);
    metric_add(&worker->metrics.crowded, -1);
    if (!list_empty(&worker->crowd))
        return;
    atomic_fetch_and_explicit(&worker->mqtt->crowded, ~bit_of(worker), memory_order_relaxed);
    wake_all(worker);
}

void crowd_queued(struct mqtt_worker *worker, struct session *session, int64_t count_max,
                  int64_t bytes_max) {
    if (!session->connection)
        return;
    int64_t count = session_queue_count(session), bytes = (int64_t)session_queue_bytes(session);
    if (session->crowd.state == CALM && (count > count_max / 2 || bytes > bytes_max / 2)) {
        session->crowd.low_count = (uint32_t)(count_max / 4);
        session->crowd.low_bytes = (size_t)(bytes_max / 4);
        hold(worker, session);
    }
    worker->fed_crowd |= session->crowd.state == HELD;
}

void crowd_drained(struct mqtt_worker *worker, struct session *session) {
    if (session->crowd.state != CALM && session_queue_count(session) <= session->crowd.low_count &&
        session_queue_bytes(session) <= session->crowd.low_bytes)
        let_go(worker, session, CALM);
}

void crowd_leave(struct mqtt_worker *worker, struct session *session) {
    let_go(worker, session, CALM);
}

void crowd_tick(struct mqtt_worker *worker) {
    LIST_EACH(item, &worker->crowd) {
        struct session *session = LIST_ITEM(item, struct session, crowd.link);
        if (worker->wheel.now_s - session->crowd.since_s > CROWD_HELD_S_MAX)
            let_go(worker, session, SLOW);
    }
}

/* ---- who waits ---- */

static uint64_t crowded(const struct mqtt_worker *worker) {
    return atomic_load_explicit(&worker->mqtt->crowded, memory_order_relaxed);
}

void crowd_published(struct mqtt_connection *connection, struct str topic) {
    struct mqtt_worker *worker = connection->worker;
    uint64_t others = crowded(worker) & ~bit_of(worker);
    const struct route *route = others ? route_peek(worker, topic) : NULL;
    bool beyond = route && (route->workers & others || route->share_count);
    bool is_held = connection->session->crowd.state == HELD;
    connection->fed_crowd = !is_held && (worker->fed_crowd || beyond);
    worker->fed_crowd = false;
}

bool crowd_holds(struct mqtt_connection *connection) {
    const struct mqtt_worker *worker = connection->worker;
    if (connection->fed_crowd && (worker->stopping || !crowded(worker)))
        connection->fed_crowd = false;
    return connection->fed_crowd;
}
