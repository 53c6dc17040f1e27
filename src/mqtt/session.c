/*
 * Packet identifiers are given out in turn, 1 to 65535 and round again. Serial numbers count
 * without end; identifier = 1 + serial % 65535. Those between `oldest` and `next` may be in flight;
 * one bit each tells which are. Clients acknowledge nearly in order, so the window stays small; it
 * doubles up to FLIGHT_WINDOW_MAX, and if a client keeps its oldest message unacknowledged for
 * longer than that, nothing more is sent until it answers.
 */
#include "mqtt/session.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

enum { FLIGHT_WINDOW_MIN = 64, FLIGHT_WINDOW_MAX = 32768, PACKET_ID_COUNT = 65535 };

struct flight {
    uint64_t oldest, next; /* serial numbers */
    uint32_t window;       /* bits there are; a power of two */
    uint32_t count;
    uint64_t *bits;
    struct buf queue; /* struct queued and the packet, one after the other */
    uint32_t queue_count;
    struct session_retained *retained;
    size_t retained_begin, retained_end, retained_cap;
};

struct session *session_new(struct mqtt_connection *connection) {
    struct session *session = xcalloc(1, sizeof *session);
    session->connection = connection;
    list_init(&session->subscriptions);
    return session;
}

void session_free(struct session *session) {
    if (!session)
        return;
    ASSERT(list_empty(&session->subscriptions));
    struct flight *flight = session->flight;
    if (flight) {
        while (session_retained_first(session))
            session_retained_pop(session);
        buf_done(&flight->queue);
        free(flight->retained);
        free(flight->bits);
        free(flight);
    }
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
        subscribers->cap = cap;
        node->value = subscribers;
    }
    subscription->index = subscribers->count;
    subscribers->items[subscribers->count++] = subscription;
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

/* ---- in flight ---- */

static struct flight *flight_of(struct session *session) {
    if (!session->flight) {
        session->flight = xcalloc(1, sizeof *session->flight);
        session->flight->window = FLIGHT_WINDOW_MIN;
        session->flight->bits = xcalloc(FLIGHT_WINDOW_MIN / 64, sizeof(uint64_t));
    }
    return session->flight;
}

static bool bit_get(const struct flight *flight, uint64_t serial) {
    uint64_t bit = serial & (flight->window - 1);
    return flight->bits[bit / 64] >> bit % 64 & 1;
}

static void bit_flip(struct flight *flight, uint64_t serial) {
    uint64_t bit = serial & (flight->window - 1);
    flight->bits[bit / 64] ^= 1ull << bit % 64;
}

bool session_may_send(const struct session *session, uint32_t in_flight_max) {
    const struct flight *flight = session->flight;
    if (!flight)
        return in_flight_max > 0;
    return flight->count < in_flight_max && flight->next - flight->oldest < FLIGHT_WINDOW_MAX;
}

static void widen(struct flight *flight) {
    struct flight wider = *flight;
    wider.window *= 2;
    wider.bits = xcalloc(wider.window / 64, sizeof *wider.bits);
    for (uint64_t serial = flight->oldest; serial < flight->next; serial++)
        if (bit_get(flight, serial))
            bit_flip(&wider, serial);
    free(flight->bits);
    *flight = wider;
}

uint16_t session_take_id(struct session *session) {
    struct flight *flight = flight_of(session);
    if (flight->next - flight->oldest == flight->window)
        widen(flight);
    uint64_t serial = flight->next++;
    bit_flip(flight, serial);
    flight->count++;
    return (uint16_t)(1 + serial % PACKET_ID_COUNT);
}

bool session_acknowledge(struct session *session, uint16_t packet_id) {
    struct flight *flight = session->flight;
    if (!flight || packet_id == 0)
        return false;
    uint64_t first = flight->oldest % PACKET_ID_COUNT;
    uint64_t offset = (packet_id - 1u + PACKET_ID_COUNT - first) % PACKET_ID_COUNT;
    uint64_t serial = flight->oldest + offset;
    if (serial >= flight->next || !bit_get(flight, serial))
        return false;
    bit_flip(flight, serial);
    flight->count--;
    while (flight->oldest < flight->next && !bit_get(flight, flight->oldest))
        flight->oldest++;
    return true;
}

uint32_t session_in_flight(const struct session *session) {
    return session->flight ? session->flight->count : 0;
}

/* ---- waiting ---- */

bool session_queue_is_empty(const struct session *session) {
    return !session->flight || session->flight->queue_count == 0;
}

bool session_queue_push(struct session *session, const struct queued *queued, const uint8_t *packet,
                        size_t bytes_max) {
    struct flight *flight = flight_of(session);
    bool full = flight->queue_count >= SESSION_QUEUE_MAX || buf_len(&flight->queue) >= bytes_max;
    if (full)
        return false;
    buf_add(&flight->queue, queued, sizeof *queued);
    buf_add(&flight->queue, packet, queued->bytes);
    flight->queue_count++;
    return true;
}

bool session_queue_first(const struct session *session, struct queued *ret, uint8_t **ret_packet) {
    if (session_queue_is_empty(session))
        return false;
    memcpy(ret, buf_at(&session->flight->queue), sizeof *ret);
    *ret_packet = buf_at(&session->flight->queue) + sizeof *ret;
    return true;
}

void session_queue_pop(struct session *session) {
    struct flight *flight = session->flight;
    struct queued queued;
    memcpy(&queued, buf_at(&flight->queue), sizeof queued);
    buf_consume(&flight->queue, sizeof queued + queued.bytes);
    if (--flight->queue_count == 0)
        buf_done(&flight->queue);
}

bool session_retained_push(struct session *session, struct retained *retained, uint8_t qos,
                           uint32_t subscription_id, size_t count_max) {
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
    retained_ref(retained);
    flight->retained[flight->retained_end++] =
        (struct session_retained){retained, subscription_id, qos};
    return true;
}

const struct session_retained *session_retained_first(const struct session *session) {
    const struct flight *flight = session->flight;
    bool empty = !flight || flight->retained_begin == flight->retained_end;
    return empty ? NULL : &flight->retained[flight->retained_begin];
}

void session_retained_pop(struct session *session) {
    struct flight *flight = session->flight;
    retained_unref(flight->retained[flight->retained_begin++].retained);
    if (flight->retained_begin < flight->retained_end)
        return;
    free(flight->retained);
    flight->retained = NULL;
    flight->retained_begin = flight->retained_end = flight->retained_cap = 0;
}
