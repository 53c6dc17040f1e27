/*
 * Packet identifiers are given out in turn, 1 to 65535 and round again. Serial numbers count
 * without end; identifier = 1 + serial % 65535. Those between `oldest` and `next` may be in flight;
 * one state each tells what they wait for. Clients acknowledge nearly in order, so the window stays
 * small; it doubles up to FLIGHT_WINDOW_MAX, and if a client keeps its oldest message
 * unacknowledged for longer than that, nothing more is sent until it answers.
 */
#include "mqtt/session.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

enum { FLIGHT_WINDOW_MIN = 64, FLIGHT_WINDOW_MAX = 32768, PACKET_ID_COUNT = 65535 };

struct flight {
    uint64_t oldest, next;        /* serial numbers */
    uint32_t window;              /* states there are; a power of two */
    uint32_t count;               /* in flight on this connection */
    uint64_t resend, resend_end;  /* from where to where it has to be sent again */
    uint8_t *states;              /* enum flight_state */
    struct delivery **deliveries; /* as many as states; NULL until one has to be known */
    struct packet_ids received;
    struct link queue; /* struct delivery */
    uint32_t queue_count;
    size_t queue_bytes;
    struct session_retained *retained;
    size_t retained_begin, retained_end, retained_cap;
};

struct session *session_new(struct mqtt_connection *connection) {
    struct session *session = xcalloc(1, sizeof *session);
    session->connection = connection;
    list_init(&session->subscriptions);
    return session;
}

void session_drop_flight(struct session *session) {
    struct flight *flight = session->flight;
    if (!flight)
        return;
    while (session_retained_first(session))
        session_retained_pop(session);
    while (!session_queue_is_empty(session))
        delivery_free(session_queue_pop(session));
    for (uint32_t i = 0; flight->deliveries && i < flight->window; i++)
        delivery_free(flight->deliveries[i]);
    packet_ids_done(&flight->received);
    free(flight->retained);
    free(flight->deliveries);
    free(flight->states);
    free(flight);
    session->flight = NULL;
}

void session_free(struct session *session) {
    if (!session)
        return;
    ASSERT(list_empty(&session->subscriptions));
    session_drop_flight(session);
    free(session);
}

/* ---- subscriptions ---- */

/* Looks through the shorter of the two lists that it must be in. */
struct subscription *session_find(const struct session *session, const struct tree *tree,
                                  struct str filter) {
    const struct tree_node *node = tree_get(tree, filter);
    const struct subscribers *subscribers = node ? node->value : NULL;
    if (!subscribers)
        return NULL;
    if (subscribers->count <= session->subscription_count) {
        for (uint32_t i = 0; i < subscribers->count; i++)
            if (subscribers->items[i]->session == session)
                return subscribers->items[i];
        return NULL;
    }
    LIST_EACH(item, &session->subscriptions) {
        struct subscription *subscription = LIST_ITEM(item, struct subscription, link);
        if (subscription->node == node)
            return subscription;
    }
    return NULL;
}

static void add_subscriber(struct subscription *subscription) {
    struct tree_node *node = subscription->node;
    struct subscribers *subscribers = node->value;
    if (!subscribers || subscribers->count == subscribers->cap) {
        uint32_t count = subscribers ? subscribers->count : 0, cap = count ? count * 2 : 1;
        subscribers =
            xrealloc(subscribers, sizeof *subscribers + cap * sizeof subscribers->items[0]);
        subscribers->count = count;
        subscribers->stored_count = count ? subscribers->stored_count : 0;
        subscribers->full_count = count ? subscribers->full_count : 0;
        subscribers->cap = cap;
        node->value = subscribers;
    }
    subscription->index = subscribers->count;
    subscribers->items[subscribers->count++] = subscription;
    subscribers->stored_count += subscription->session->stored != NULL;
}

struct subscription *session_subscribe(struct session *session, struct tree *tree,
                                       struct str filter, bool *ret_first) {
    struct subscription *subscription = xcalloc(1, sizeof *subscription);
    subscription->session = session;
    subscription->node = tree_add(tree, filter);
    *ret_first = !subscription->node->value;
    add_subscriber(subscription);
    list_push_back(&session->subscriptions, &subscription->link);
    session->subscription_count++;
    return subscription;
}

bool session_unsubscribe(struct tree *tree, struct subscription *subscription) {
    struct tree_node *node = subscription->node;
    struct subscribers *subscribers = node->value;
    struct subscription *last = subscribers->items[--subscribers->count];
    subscribers->items[subscription->index] = last;
    last->index = subscription->index;
    subscribers->stored_count -= subscription->session->stored != NULL;
    bool empty = subscribers->count == 0;
    if (empty) {
        free(subscribers);
        node->value = NULL;
        tree_prune(tree, node);
    }
    subscription->session->subscription_count--;
    list_remove(&subscription->link);
    free(subscription);
    return empty;
}

void session_filter_text(const struct tree_node *node, struct buf *out) {
    size_t bytes = 0;
    for (const struct tree_node *at = node; at->parent; at = at->parent)
        bytes += at->level_bytes + 1u;
    uint8_t *end = buf_room(out, bytes) + bytes - 1;
    for (const struct tree_node *at = node; at->parent; at = at->parent) {
        end -= at->level_bytes;
        memcpy(end, at->level, at->level_bytes);
        if (at->parent->parent)
            *--end = '/';
    }
    buf_added(out, bytes - 1);
}

/* ---- one message for one session ---- */

struct delivery *delivery_new(struct kept *message, uint8_t qos, bool retain, const uint32_t *ids,
                              uint32_t id_count, struct str share) {
    struct delivery *delivery = xmalloc(sizeof *delivery + id_count * sizeof *ids + share.len);
    *delivery = (struct delivery){.message = message,
                                  .id = message->publication.id,
                                  .qos = qos,
                                  .retain = retain,
                                  .share_bytes = (uint16_t)share.len,
                                  .id_count = id_count};
    if (id_count)
        memcpy(delivery->ids, ids, id_count * sizeof *ids);
    if (share.len)
        memcpy(delivery->ids + id_count, share.at, share.len);
    kept_ref(message);
    return delivery;
}

void delivery_free(struct delivery *delivery) {
    if (delivery)
        kept_unref(delivery->message);
    free(delivery);
}

struct str delivery_share(const struct delivery *delivery) {
    return str_from(delivery->ids + delivery->id_count, delivery->share_bytes);
}

static size_t delivery_bytes(const struct delivery *delivery) {
    return sizeof *delivery + delivery->message->size;
}

/* ---- in flight to the client ---- */

static struct flight *flight_of(struct session *session) {
    if (!session->flight) {
        session->flight = xcalloc(1, sizeof *session->flight);
        session->flight->window = FLIGHT_WINDOW_MIN;
        session->flight->states = xcalloc(FLIGHT_WINDOW_MIN, 1);
        list_init(&session->flight->queue);
    }
    return session->flight;
}

static uint8_t *state_at(const struct flight *flight, uint64_t serial) {
    return &flight->states[serial & (flight->window - 1)];
}

/* Only if there are deliveries. */
static struct delivery **delivery_at(const struct flight *flight, uint64_t serial) {
    return &flight->deliveries[serial & (flight->window - 1)];
}

bool session_may_send(const struct session *session, uint32_t in_flight_max) {
    const struct flight *flight = session->flight;
    if (!flight)
        return in_flight_max > 0;
    return flight->count < in_flight_max && flight->next - flight->oldest < FLIGHT_WINDOW_MAX &&
           flight->resend >= flight->resend_end;
}

static void widen(struct flight *flight) {
    struct flight wider = *flight;
    wider.window *= 2;
    wider.states = xcalloc(wider.window, 1);
    if (flight->deliveries)
        wider.deliveries = xcalloc(wider.window, sizeof(struct delivery *));
    for (uint64_t serial = flight->oldest; serial < flight->next; serial++) {
        *state_at(&wider, serial) = *state_at(flight, serial);
        if (flight->deliveries)
            *delivery_at(&wider, serial) = *delivery_at(flight, serial);
    }
    free(flight->states);
    free(flight->deliveries);
    flight->window = wider.window;
    flight->states = wider.states;
    flight->deliveries = wider.deliveries;
}

uint16_t session_next_id(const struct session *session) {
    return (uint16_t)(1 + (session->flight ? session->flight->next % PACKET_ID_COUNT : 0));
}

uint16_t session_take_id(struct session *session, uint8_t qos, struct delivery *delivery) {
    struct flight *flight = flight_of(session);
    if (flight->next - flight->oldest == flight->window)
        widen(flight);
    uint64_t serial = flight->next++;
    *state_at(flight, serial) = qos == 2 ? FLIGHT_PUBREC : FLIGHT_PUBACK;
    if (delivery && !flight->deliveries)
        flight->deliveries = xcalloc(flight->window, sizeof(struct delivery *));
    if (delivery)
        *delivery_at(flight, serial) = delivery;
    flight->count++;
    return (uint16_t)(1 + serial % PACKET_ID_COUNT);
}

/* The serial number that an identifier stands for; false if nothing with it is in flight. */
static bool find_serial(const struct flight *flight, uint16_t packet_id, uint64_t *ret_serial) {
    if (!flight || packet_id == 0)
        return false;
    uint64_t first = flight->oldest % PACKET_ID_COUNT;
    uint64_t offset = (packet_id - 1u + PACKET_ID_COUNT - first) % PACKET_ID_COUNT;
    *ret_serial = flight->oldest + offset;
    return *ret_serial < flight->next && *state_at(flight, *ret_serial) != FLIGHT_FREE;
}

static struct delivery *take_delivery(struct flight *flight, uint64_t serial) {
    if (!flight->deliveries)
        return NULL;
    struct delivery *delivery = *delivery_at(flight, serial);
    *delivery_at(flight, serial) = NULL;
    return delivery;
}

enum flight_state session_awaits(const struct session *session, uint16_t packet_id) {
    uint64_t serial;
    bool found = find_serial(session->flight, packet_id, &serial);
    return found ? *state_at(session->flight, serial) : FLIGHT_FREE;
}

bool session_acknowledge(struct session *session, uint16_t packet_id, enum flight_state state) {
    struct flight *flight = session->flight;
    uint64_t serial;
    if (!find_serial(flight, packet_id, &serial) || *state_at(flight, serial) != state)
        return false;
    *state_at(flight, serial) = FLIGHT_FREE;
    delivery_free(take_delivery(flight, serial));
    bool is_to_resend = serial >= flight->resend && serial < flight->resend_end;
    flight->count -= !is_to_resend;
    while (flight->oldest < flight->next && *state_at(flight, flight->oldest) == FLIGHT_FREE)
        flight->oldest++;
    return true;
}

bool session_advance(struct session *session, uint16_t packet_id) {
    struct flight *flight = session->flight;
    uint64_t serial;
    if (!find_serial(flight, packet_id, &serial) || *state_at(flight, serial) == FLIGHT_PUBACK)
        return false;
    *state_at(flight, serial) = FLIGHT_PUBCOMP;
    delivery_free(take_delivery(flight, serial));
    return true;
}

enum flight_state session_state(const struct session *session, uint16_t packet_id) {
    uint64_t serial;
    bool found = find_serial(session->flight, packet_id, &serial);
    return found ? *state_at(session->flight, serial) : FLIGHT_FREE;
}

const struct delivery *session_delivery(const struct session *session, uint16_t packet_id) {
    const struct flight *flight = session->flight;
    uint64_t serial;
    if (!find_serial(flight, packet_id, &serial) || !flight->deliveries)
        return NULL;
    return *delivery_at(flight, serial);
}

uint32_t session_in_flight(const struct session *session) {
    return session->flight ? session->flight->count : 0;
}

void session_rewind(struct session *session) {
    struct flight *flight = session->flight;
    if (!flight)
        return;
    flight->count = 0;
    flight->resend = flight->oldest;
    flight->resend_end = flight->next;
}

bool session_resend_first(struct session *session, uint32_t in_flight_max, struct resend *ret) {
    struct flight *flight = session->flight;
    if (!flight || flight->count >= in_flight_max)
        return false;
    while (flight->resend < flight->resend_end && *state_at(flight, flight->resend) == FLIGHT_FREE)
        flight->resend++;
    if (flight->resend >= flight->resend_end)
        return false;
    *ret = (struct resend){.packet_id = (uint16_t)(1 + flight->resend % PACKET_ID_COUNT),
                           .state = *state_at(flight, flight->resend),
                           .delivery =
                               flight->deliveries ? *delivery_at(flight, flight->resend) : NULL};
    return true;
}

void session_resent(struct session *session) {
    session->flight->resend++;
    session->flight->count++;
}

struct delivery *session_take_shared(struct session *session) {
    struct flight *flight = session->flight;
    if (!flight || !flight->deliveries)
        return NULL;
    for (uint64_t serial = flight->oldest; serial < flight->next; serial++) {
        const struct delivery *delivery = *delivery_at(flight, serial);
        if (delivery && delivery->share_bytes && *state_at(flight, serial) == FLIGHT_PUBACK)
            return take_delivery(flight, serial);
    }
    return NULL;
}

/* ---- in flight from the client ---- */

bool session_receive(struct session *session, uint16_t packet_id) {
    return packet_ids_add(&flight_of(session)->received, packet_id);
}

bool session_has_received(const struct session *session, uint16_t packet_id) {
    return session->flight && packet_ids_has(&session->flight->received, packet_id);
}

bool session_release(struct session *session, uint16_t packet_id) {
    return session->flight && packet_ids_remove(&session->flight->received, packet_id);
}

uint32_t session_received_count(const struct session *session) {
    return session->flight ? session->flight->received.count : 0;
}

/* ---- waiting ---- */

bool session_queue_is_empty(const struct session *session) {
    return !session->flight || session->flight->queue_count == 0;
}

uint32_t session_queue_count(const struct session *session) {
    return session->flight ? session->flight->queue_count : 0;
}

size_t session_queue_bytes(const struct session *session) {
    return session->flight ? session->flight->queue_bytes : 0;
}

static void count_bytes(const struct session *session, int64_t bytes) {
    if (session->queued_bytes)
        atomic_fetch_add_explicit(session->queued_bytes, bytes, memory_order_relaxed);
}

void session_queue_push(struct session *session, struct delivery *delivery) {
    struct flight *flight = flight_of(session);
    list_push_back(&flight->queue, &delivery->link);
    flight->queue_count++;
    flight->queue_bytes += delivery_bytes(delivery);
    count_bytes(session, (int64_t)delivery_bytes(delivery));
}

struct delivery *session_queue_first(const struct session *session) {
    if (session_queue_is_empty(session))
        return NULL;
    return LIST_ITEM(session->flight->queue.next, struct delivery, link);
}

struct delivery *session_queue_pop(struct session *session) {
    struct flight *flight = session->flight;
    struct delivery *delivery = LIST_ITEM(list_pop_front(&flight->queue), struct delivery, link);
    flight->queue_count--;
    flight->queue_bytes -= delivery_bytes(delivery);
    count_bytes(session, -(int64_t)delivery_bytes(delivery));
    return delivery;
}

/* ---- moving ---- */

struct flight *session_take_flight(struct session *session) {
    struct flight *flight = session->flight;
    session->flight = NULL;
    if (flight)
        count_bytes(session, -(int64_t)flight->queue_bytes);
    return flight;
}

void session_put_flight(struct session *session, struct flight *flight) {
    if (!flight)
        return;
    count_bytes(session, (int64_t)flight->queue_bytes);
    struct flight *gathered = session->flight;
    session->flight = flight;
    if (!gathered)
        return;
    struct session from = {.flight = gathered, .queued_bytes = session->queued_bytes};
    while (!session_queue_is_empty(&from))
        session_queue_push(session, session_queue_pop(&from));
    session_drop_flight(&from);
}

bool session_retained_push(struct session *session, const struct session_retained *waiting,
                           size_t count_max) {
    struct flight *flight = flight_of(session);
    if (flight->retained_end - flight->retained_begin >= count_max)
        return false;
    if (flight->retained_end == flight->retained_cap && flight->retained_begin > 0) {
        flight->retained_end -= flight->retained_begin;
        memmove(flight->retained, flight->retained + flight->retained_begin,
                flight->retained_end * sizeof *flight->retained);
        flight->retained_begin = 0;
    } else if (flight->retained_end == flight->retained_cap) {
        flight->retained_cap = flight->retained_cap ? flight->retained_cap * 2 : 16;
        flight->retained =
            xrealloc(flight->retained, flight->retained_cap * sizeof *flight->retained);
    }
    kept_ref(waiting->retained);
    flight->retained[flight->retained_end++] = *waiting;
    return true;
}

const struct session_retained *session_retained_first(const struct session *session) {
    const struct flight *flight = session->flight;
    bool empty = !flight || flight->retained_begin == flight->retained_end;
    return empty ? NULL : &flight->retained[flight->retained_begin];
}

void session_retained_pop(struct session *session) {
    struct flight *flight = session->flight;
    kept_unref(flight->retained[flight->retained_begin++].retained);
    if (flight->retained_begin < flight->retained_end)
        return;
    free(flight->retained);
    flight->retained = NULL;
    flight->retained_begin = flight->retained_end = flight->retained_cap = 0;
}

bool session_has_waiting(const struct session *session) {
    const struct flight *flight = session->flight;
    return flight && (flight->queue_count || flight->resend < flight->resend_end ||
                      flight->retained_begin != flight->retained_end);
}

/* ---- as it was before the process began ---- */

/* Identifiers that were in use in between and are not any more leave gaps. */
static bool skip_to(struct flight *flight, uint16_t packet_id) {
    if (flight->next == flight->oldest)
        flight->next = flight->oldest = packet_id - 1u;
    uint64_t gap =
        (packet_id - 1u + PACKET_ID_COUNT - flight->next % PACKET_ID_COUNT) % PACKET_ID_COUNT;
    if (flight->next + gap - flight->oldest >= FLIGHT_WINDOW_MAX)
        return false;
    for (; gap; gap--) {
        if (flight->next - flight->oldest == flight->window)
            widen(flight);
        *state_at(flight, flight->next++) = FLIGHT_FREE;
    }
    return true;
}

bool session_restore(struct session *session, uint16_t packet_id, enum flight_state state,
                     struct delivery *delivery) {
    struct flight *flight = flight_of(session);
    if (packet_id == 0 || !skip_to(flight, packet_id))
        return false;
    uint16_t taken = session_take_id(session, 1, delivery);
    ASSERT(taken == packet_id);
    *state_at(flight, flight->next - 1) = (uint8_t)state;
    return true;
}

static void visit_flight(const struct flight *flight, const struct session_visit *visit,
                         void *data) {
    for (uint64_t serial = flight->oldest; serial < flight->next; serial++) {
        enum flight_state state = *state_at(flight, serial);
        if (state != FLIGHT_FREE)
            visit->flight(data, (uint16_t)(1 + serial % PACKET_ID_COUNT), state,
                          flight->deliveries ? *delivery_at(flight, serial) : NULL);
    }
}

void session_visit(const struct session *session, const struct session_visit *visit, void *data) {
    const struct flight *flight = session->flight;
    if (!flight)
        return;
    if (visit->flight)
        visit_flight(flight, visit, data);
    LIST_EACH(item, &flight->queue) {
        if (visit->waiting)
            visit->waiting(data, LIST_ITEM(item, struct delivery, link));
    }
    for (size_t i = flight->retained_begin; visit->retained && i < flight->retained_end; i++)
        visit->retained(data, &flight->retained[i]);
    for (uint32_t i = 0; visit->received && i < flight->received.slot_count; i++)
        if (flight->received.slots[i])
            visit->received(data, flight->received.slots[i]);
}
