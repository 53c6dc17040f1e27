/*
 * The life of a stored session beyond its connection.
 *
 *      connected -- connection ends --> away -- client comes back --> connected
 *                                        |
 *                                        +-- will delay has passed --> the will is published
 *                                        +-- expiry has passed, or a clean start --> ended
 *
 * Times are looked at once a second, over the same wheel of lists as keep alive (keepalive.c):
 * times farther away than the wheel is round are looked at once per round.
 */
#include "mqtt/stored.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mqtt/claim.h"
#include "mqtt/crowd.h"

bool stored_has_room(const struct mqtt_worker *worker) {
    return atomic_load_explicit(&worker->mqtt->session_count, memory_order_relaxed) <
           worker->config->sessions_max;
}

void stored_begin(struct mqtt_worker *worker, struct session *session, struct str client_id) {
    struct stored *stored = xcalloc(1, sizeof *stored);
    ASSERT(!session->stored);
    stored->session = session;
    list_init(&stored->unsettled);
    stored->client_id = str_from(str_dup(client_id), client_id.len);
    stored->number = journal_number(worker);
    session->queued_bytes = &worker->mqtt->queued_bytes;
    session->stored = stored;
    map_put(&worker->stored, stored->client_id, session);
    atomic_fetch_add_explicit(&worker->mqtt->session_count, 1, memory_order_relaxed);
    metric_add(&worker->metrics.sessions, 1);
}

struct session *stored_find(const struct mqtt_worker *worker, struct str client_id) {
    return map_get(&worker->stored, client_id);
}

static void set_away(struct mqtt_worker *worker, struct stored *stored, bool away) {
    metric_add(&worker->metrics.sessions_away, (int)away - (int)stored->away);
    stored->away = away;
}

static void unsettle(struct held *held) {
    list_remove(&held->unsettling);
    held->unsettled = NULL;
}

/* Frees what makes it a stored one, without a trace elsewhere. The will has been taken out. */
static void forget(struct mqtt_worker *worker, struct session *session) {
    struct stored *stored = session->stored;
    if (!stored)
        return;
    ASSERT(!stored->will);
    LIST_EACH(item, &stored->unsettled) {
        unsettle(LIST_ITEM(item, struct held, unsettling));
    }
    list_remove(&stored->wheel);
    set_away(worker, stored, false);
    map_remove(&worker->stored, stored->client_id);
    free((char *)stored->client_id.at);
    free(stored);
    session->stored = NULL;
    atomic_fetch_sub_explicit(&worker->mqtt->session_count, 1, memory_order_relaxed);
    metric_add(&worker->metrics.sessions, -1);
}

/* ---- away and back ---- */

static void wheel_put(struct mqtt_worker *worker, struct stored *stored) {
    uint32_t now = worker->wheel.now_s, due = stored->ends_at_s;
    if (stored->will && stored->will_at_s < due)
        due = stored->will_at_s;
    list_remove(&stored->wheel);
    if (due == SESSION_NEVER_EXPIRES)
        return;
    if (due <= now)
        due = now + 1;
    if (due - now >= WHEEL_SLOTS)
        due = now + WHEEL_SLOTS - 1;
    list_push_back(&worker->session_slots[due % WHEEL_SLOTS], &stored->wheel);
}

/* The tick at which it is not too early any more: a tick may be up to a second old. */
static uint32_t due_in(const struct mqtt_worker *worker, uint32_t seconds) {
    uint32_t now = worker->wheel.now_s;
    return seconds >= UINT32_MAX - now - 1 ? SESSION_NEVER_EXPIRES : now + seconds + 1;
}

void stored_wait(struct mqtt_worker *worker, struct session *session, uint32_t ends_in_s,
                 struct will *will, uint32_t will_in_s) {
    struct stored *stored = session->stored;
    bool forever = stored->expiry_s == SESSION_NEVER_EXPIRES;
    stored->ends_at_s = forever ? SESSION_NEVER_EXPIRES : due_in(worker, ends_in_s);
    stored->will = will;
    stored->will_at_s = due_in(worker, will_in_s);
    wheel_put(worker, stored);
    set_away(worker, stored, true);
}

void stored_go_offline(struct mqtt_worker *worker, struct session *session, struct will *will) {
    struct stored *stored = session->stored;
    struct mqtt_connection *connection = session->connection;
    session->connection = NULL;
    if (hold_count(connection) > hold_puback_count(connection)) {
        connection->held->unsettled = session;
        list_push_back(&stored->unsettled, &connection->held->unsettling);
    }
    share_member_changed(worker, session);
    stored_wait(worker, session, stored->expiry_s, will, will ? will->delay_s : 0);
    stored->away_ms = clock_wall_ms();
    journal_session(worker, session);
}

void stored_settle(struct mqtt_worker *worker, struct held *held) {
    struct session *session = held->unsettled;
    unsettle(held);
    claim_go_on(worker, session);
}

void stored_go_online(struct session *session, struct mqtt_connection *connection) {
    struct stored *stored = session->stored;
    session->connection = connection;
    session_rewind(session);
    share_member_changed(connection->worker, session);
    if (!stored)
        return;
    list_remove(&stored->wheel);
    set_away(connection->worker, stored, false);
    free(stored->will);
    stored->will = NULL;
}

/* ---- the end ---- */

static void publish_will(struct mqtt_worker *worker, struct stored *stored) {
    struct will *will = stored->will;
    stored->will = NULL;
    if (!will)
        return;
    will_publish(worker, will, stored->client_id);
    journal_session(worker, stored->session);
}

void stored_end(struct mqtt_worker *worker, struct session *session) {
    if (session->stored) {
        ASSERT(!session->stored->leaving && !session->stored->arriving);
        publish_will(worker, session->stored);
    }
    subscribe_remove_all(worker, session);
    if (!worker->stopping) /* Then only memory ends, and the next start knows the session again. */
        journal_end(worker, session);
    share_return_all(worker, session);
    session_drop_flight(session);
    forget(worker, session);
    session_free(session);
}

static void expire(struct mqtt_worker *worker, struct stored *stored) {
    struct claim_gone *gone = claim_gone_new(worker, stored->client_id);
    metric_add(&worker->metrics.sessions_expired, 1);
    stored_end(worker, stored->session);
    claim_tell_gone(worker, gone);
}

static void look_at(struct mqtt_worker *worker, struct stored *stored) {
    uint32_t now = worker->wheel.now_s;
    if (stored->ends_at_s <= now && !stored->leaving && !stored->arriving) {
        expire(worker, stored);
        return;
    }
    if (stored->will && stored->will_at_s <= now)
        publish_will(worker, stored);
    wheel_put(worker, stored);
}

void stored_tick(struct mqtt_worker *worker) {
    struct link *slot = &worker->session_slots[worker->wheel.now_s % WHEEL_SLOTS];
    struct link due, *item;
    list_init(&due);
    while ((item = list_pop_front(slot)))
        list_push_back(&due, item);
    while ((item = list_pop_front(&due)))
        look_at(worker, LIST_ITEM(item, struct stored, wheel));
}

void stored_end_overdue(struct mqtt_worker *worker) {
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&worker->stored, &i));) {
        struct session *session = entry->value;
        if (!session->stored->overdue)
            continue;
        expire(worker, session->stored);
        i = 0;
    }
}

void stored_end_all(struct mqtt_worker *worker) {
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&worker->stored, &i)); i = 0) {
        struct session *session = entry->value;
        free(session->stored->will);
        session->stored->will = NULL;
        stored_end(worker, session);
    }
}

/* ---- the queue ---- */

static bool total_is_full(const struct mqtt_worker *worker) {
    return atomic_load_explicit(&worker->mqtt->queued_bytes, memory_order_relaxed) >=
           worker->config->queue_total_bytes_max;
}

/* A session that ends with its connection has bounds of its own. */
static int64_t count_max(const struct mqtt_config *config, const struct session *session) {
    return stored_survives(session) ? config->queue_max : config->clean_queue_max;
}

static int64_t bytes_max(const struct mqtt_config *config, const struct session *session) {
    return stored_survives(session) ? config->queue_bytes_max : config->clean_queue_bytes_max;
}

static bool is_full(const struct mqtt_worker *worker, const struct session *session) {
    const struct mqtt_config *config = worker->config;
    return session_queue_count(session) >= count_max(config, session) ||
           (int64_t)session_queue_bytes(session) >= bytes_max(config, session) ||
           total_is_full(worker);
}

static void drop(struct mqtt_worker *worker, const struct session *session,
                 struct delivery *delivery) {
    unsigned missed;
    struct str client_id =
        session->stored ? session->stored->client_id : connection_client_id(session->connection);
    journal_delivery(worker, NOTE_DROPPED, session, delivery, 0);
    delivery_free(delivery);
    metric_add(&worker->metrics.dropped_queue_full, 1);
    if (log_limit_pass(&worker->log_slow, 10000, &missed))
        log_warn("mqtt",
                 "client \"%.*s\": message dropped: too many wait for it (%u more like this)",
                 STR_ARG(client_id), missed);
}

/*
 * A publisher on another worker cannot see the queue. Where full queues refuse, the workers are told
 * of each filter of a full session, as they are told of interests; what they had sent before is taken.
 */
static void tell_full(struct mqtt_worker *worker, struct session *session, bool full) {
    struct buf filter = {0};
    session->stored->full = full;
    LIST_EACH(item, &session->subscriptions) {
        const struct subscription *subscription = LIST_ITEM(item, struct subscription, link);
        if (subscription->share)
            continue;
        struct subscribers *subscribers = subscription->node->value;
        subscribers->full_count += full ? 1u : -1u;
        if (subscribers->full_count != full)
            continue;
        buf_clear(&filter);
        session_filter_text(subscription->node, &filter);
        channel_send_interest(worker, full ? INTEREST_FULL : INTEREST_NOT_FULL, buf_str(&filter));
    }
    buf_done(&filter);
}

void stored_not_full(struct mqtt_worker *worker, struct session *session) {
    if (session->stored && session->stored->full)
        tell_full(worker, session, false);
}

/* Full until a tenth is free, so that it does not change with every message. */
void stored_queue_changed(struct mqtt_worker *worker, struct session *session) {
    const struct mqtt_config *config = worker->config;
    if (!stored_survives(session) || config->queue_full != MQTT_QUEUE_REFUSE)
        return;
    int64_t count = session_queue_count(session), bytes = (int64_t)session_queue_bytes(session);
    bool full = count >= config->queue_max || bytes >= config->queue_bytes_max;
    bool has_room =
        count <= config->queue_max / 10 * 9 && bytes <= config->queue_bytes_max / 10 * 9;
    if (full && !session->stored->full)
        tell_full(worker, session, true);
    else if (has_room)
        stored_not_full(worker, session);
}

bool stored_queue(struct mqtt_worker *worker, struct session *session, struct delivery *delivery) {
    bool drops_oldest =
        stored_survives(session) && worker->config->queue_full == MQTT_QUEUE_DROP_OLDEST;
    while (drops_oldest && is_full(worker, session) && !session_queue_is_empty(session))
        drop(worker, session, session_queue_pop(session));
    bool was_promised = delivery->id && stored_survives(session) && !drops_oldest;
    if (is_full(worker, session) && !was_promised) {
        drop(worker, session, delivery);
        return false;
    }
    session_queue_push(session, delivery);
    stored_queue_changed(worker, session);
    crowd_queued(worker, session, count_max(worker->config, session),
                 bytes_max(worker->config, session));
    return true;
}

static bool refuses(const struct mqtt_worker *worker, const struct session *session) {
    return stored_survives(session) && is_full(worker, session);
}

bool stored_must_refuse(struct mqtt_worker *worker, const struct route *route) {
    if (worker->config->queue_full != MQTT_QUEUE_REFUSE)
        return false;
    for (uint32_t i = 0; i < route->target_count; i++)
        if (route->targets[i].qos && refuses(worker, route->targets[i].session))
            return true;
    return route->full_workers || ((route->workers || route->share_count) && total_is_full(worker));
}
