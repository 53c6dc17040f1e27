/*
 * What was read becomes the workers' again. Each makes the sessions that have their home on it; when
 * all workers know of all subscriptions, what is due by now happens: sessions end whose time was over
 * while the process was down, their wills are published, and messages that were left by members of
 * shares go to others.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mqtt/claim.h"
#include "mqtt/restore.h"
#include "mqtt/stored.h"

int mqtt_restore_read(struct mqtt_worker *worker, struct mqtt_restore **ret_restore,
                      struct err *err) {
    struct journal *journal = worker->journal.journal;
    struct mqtt *mqtt = worker->mqtt;
    struct mqtt_restore *restore = restore_new();
    atomic_store(&mqtt->restoring, true);
    int status = journal->replay(journal, restore_take, restore, err);
    if (status) {
        restore_free(restore);
        return status;
    }
    restore_settle(restore);
    if (restore->damaged)
        log_error("mqtt", "journal of the sessions: %zu entries are damaged and were passed over",
                  restore->damaged);
    log_info("mqtt", "%zu stored sessions and %zu retained messages, from %lld bytes of journal",
             restore->by_client_id.count, restore->retained.count, (long long)restore->bytes);
    atomic_store(&mqtt->journal_number, restore->number_max);
    atomic_store(&mqtt->retained_version, restore->version_max);
    atomic_store(&mqtt->journal_bytes, restore->bytes);
    atomic_store(&restore->users, mqtt->worker_count);
    *ret_restore = restore;
    return 0;
}

/* ---- one session ---- */

static void subscribe(struct mqtt_worker *worker, struct session *session,
                      const struct old_session *old) {
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&old->subscriptions, &i));) {
        const struct old_subscription *from = entry->value;
        const struct note_head *head = &from->head;
        struct str text = str_skip(str_from(from->key, from->key_bytes), sizeof(uint16_t));
        struct subscription *subscription =
            subscribe_add(worker, session, text, str_from(text.at, head->share_name_bytes));
        subscription->id = head->value;
        subscription->qos = head->qos;
        subscription->no_local = head->flags & NOTE_NO_LOCAL;
        subscription->retain_as_published = head->flags & NOTE_AS_PUBLISHED;
    }
    routes_expire(&worker->routes);
}

/* In flight in the order in which they were sent, then those that wait, in that of publishing. */
static int by_turn(const void *a, const void *b) {
    const struct old_delivery *left = *(struct old_delivery *const *)a;
    const struct old_delivery *right = *(struct old_delivery *const *)b;
    bool left_waits = left->state == FLIGHT_FREE, right_waits = right->state == FLIGHT_FREE;
    if (left_waits != right_waits)
        return left_waits ? 1 : -1;
    uint64_t l = left_waits ? left->id : left->order, r = left_waits ? right->id : right->order;
    return l < r ? -1 : l > r;
}

static struct delivery *make_delivery(const struct mqtt_restore *restore,
                                      const struct old_delivery *old) {
    const struct old_message *message = restore_message(restore, old->id);
    if (!message || !message->kept)
        return NULL;
    return delivery_new(message->kept, old->qos, old->retain, old->ids, old->id_count,
                        str_from(old->share, old->share_bytes));
}

static void put_delivery(const struct mqtt_restore *restore, struct session *session,
                         const struct old_delivery *old) {
    enum flight_state state = (enum flight_state)old->state;
    struct delivery *delivery = state == FLIGHT_PUBCOMP ? NULL : make_delivery(restore, old);
    if (!delivery && state != FLIGHT_PUBCOMP)
        return;
    if (state != FLIGHT_FREE && session_restore(session, old->packet_id, state, delivery))
        return;
    if (delivery)
        session_queue_push(session, delivery);
}

static void put_deliveries(const struct mqtt_restore *restore, struct session *session,
                           const struct old_session *old) {
    struct old_delivery **sorted =
        xcalloc(old->deliveries.count + 1, sizeof(struct old_delivery *));
    struct map_entry *entry;
    size_t count = 0;
    for (size_t i = 0; (entry = map_next(&old->deliveries, &i));) {
        struct old_delivery *delivery = entry->value;
        if (!delivery->over)
            sorted[count++] = delivery;
    }
    qsort(sorted, count, sizeof(struct old_delivery *), by_turn);
    for (size_t i = 0; i < count; i++)
        put_delivery(restore, session, sorted[i]);
    free(sorted);
}

/* What is left of `all_s` when it began to run at `since_ms` (0: now). */
static uint32_t left_of(uint32_t all_s, uint64_t since_ms, uint64_t now_ms) {
    uint64_t passed_s = since_ms && now_ms > since_ms ? (now_ms - since_ms) / 1000 : 0;
    return passed_s < all_s ? all_s - (uint32_t)passed_s : 0;
}

/* A client that was connected when the process ended without a word is away from now on. */
static void wait_for_client(struct mqtt_worker *worker, struct session *session,
                            struct old_session *old) {
    uint64_t now_ms = clock_wall_ms();
    struct stored *stored = session->stored;
    struct will *will = old->will;
    old->will = NULL;
    uint32_t will_in_s = will ? will->delay_s : 0;
    if (old->will_due_ms)
        will_in_s = old->will_due_ms > now_ms ? (uint32_t)((old->will_due_ms - now_ms) / 1000) : 0;
    stored->away_ms = old->away_ms ? old->away_ms : now_ms;
    bool forever = stored->expiry_s == SESSION_NEVER_EXPIRES;
    uint32_t left_s = forever ? stored->expiry_s : left_of(stored->expiry_s, old->away_ms, now_ms);
    stored->overdue = left_s == 0;
    stored_wait(worker, session, left_s, will, will_in_s);
    if (!old->away_ms)
        journal_session(worker, session);
}

static void make_session(struct mqtt_worker *worker, const struct mqtt_restore *restore,
                         struct old_session *old) {
    struct session *session = session_new(NULL);
    stored_begin(worker, session, str_of(old->client_id));
    session->stored->number = old->number;
    session->stored->expiry_s = old->expiry_s;
    subscribe(worker, session, old);
    put_deliveries(restore, session, old);
    for (uint32_t i = 0; i < old->received.slot_count; i++)
        if (old->received.slots[i])
            session_receive(session, old->received.slots[i]);
    session_rewind(session);
    stored_queue_changed(worker, session);
    wait_for_client(worker, session, old);
}

/* ---- messages whose receivers were not noted any more ---- */

static int by_id(const void *a, const void *b) {
    const struct old_message *left = *(struct old_message *const *)a;
    const struct old_message *right = *(struct old_message *const *)b;
    return left->id < right->id ? -1 : left->id > right->id;
}

/* Those for which `counts` holds, in the order of publishing; `ret_messages` is the caller's. */
static size_t list_messages(const struct mqtt_restore *restore,
                            bool (*counts)(const struct old_message *message),
                            struct old_message ***ret_messages) {
    struct map_entry *entry;
    size_t count = 0;
    *ret_messages = xcalloc(restore->messages.count + 1, sizeof(struct old_message *));
    for (size_t i = 0; (entry = map_next(&restore->messages, &i));)
        if (counts(entry->value))
            (*ret_messages)[count++] = entry->value;
    qsort(*ret_messages, count, sizeof(struct old_message *), by_id);
    return count;
}

static bool is_pending(const struct old_message *message) {
    return message->kept && message->pending;
}

static bool is_missing(const struct mqtt_restore *restore, const struct old_message *message,
                       const struct route_target *target) {
    const struct stored *stored = target->session->stored;
    if (!stored || target->qos == 0 ||
        (stored->number == message->publisher ? target->no_local : target->only_own))
        return false;
    const struct old_session *old = restore_session(restore, stored->number);
    return !old || !restore_find(old, message->id, 0);
}

static void queue_missing(struct mqtt_worker *worker, const struct mqtt_restore *restore,
                          const struct old_message *message) {
    const struct message *published = &message->kept->publication.message;
    const struct route *route = route_find(worker, published->topic);
    journal_targets_begin(worker, message->id, false);
    for (uint32_t i = 0; route && i < route->target_count; i++) {
        const struct route_target *target = &route->targets[i];
        if (!is_missing(restore, message, target))
            continue;
        struct note_target note = {.number = target->session->stored->number,
                                   .qos =
                                       published->qos < target->qos ? published->qos : target->qos,
                                   .retain = target->retain_as_published && published->retain,
                                   .id_count = target->id_count};
        journal_targets_add(worker, &note, target->ids, (struct str){NULL, 0});
        session_queue_push(target->session,
                           delivery_new(message->kept, note.qos, note.retain, target->ids,
                                        target->id_count, (struct str){NULL, 0}));
    }
    journal_targets_end(worker);
}

/* ---- one worker ---- */

struct applying {
    struct channel_wait wait;
    void (*done)(void *data);
    void *data;
};

static void on_applied(struct channel_wait *wait) {
    struct applying *applying = CONTAINER_OF(wait, struct applying, wait);
    applying->done(applying->data);
    free(applying);
}

struct keeping {
    struct mqtt_worker *worker;
};

static void keep(void *data, struct tree_node *node) {
    struct kept *retained = node->value;
    if (retained->publication.message.payload.len)
        publish_keep(((struct keeping *)data)->worker, retained);
}

void mqtt_restore_apply(struct mqtt_worker *worker, struct mqtt_restore *restore,
                        void (*done)(void *data), void *data) {
    struct keeping keeping = {worker};
    struct map_entry *entry;
    tree_each(&restore->retained.tree, keep, &keeping);
    for (size_t i = 0; (entry = map_next(&restore->by_client_id, &i));)
        if (claim_home(worker, entry->key) == worker->index)
            make_session(worker, restore, entry->value);
    struct old_message **pending;
    size_t count = list_messages(restore, is_pending, &pending);
    for (size_t i = 0; i < count; i++)
        queue_missing(worker, restore, pending[i]);
    free(pending);
    struct applying *applying = xcalloc(1, sizeof *applying);
    *applying = (struct applying){.done = done, .data = data};
    if (!channel_wait(worker, &applying->wait, on_applied))
        on_applied(&applying->wait);
}

/* ---- when all workers know of all ---- */

static bool has_shares(const struct old_message *message) {
    return message->kept && buf_len(&message->shares);
}

/* `left`: members had them. */
static void list_left(const struct mqtt_restore *restore) {
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&restore->unstored.deliveries, &i));) {
        const struct old_delivery *delivery = entry->value;
        struct old_message *message = restore_message(restore, delivery->id);
        struct old_share share = {delivery->tag, delivery->share_bytes};
        if (delivery->over || !delivery->share || !message)
            continue;
        buf_add(&message->shares, &share, sizeof share);
        buf_add(&message->shares, delivery->share, delivery->share_bytes);
    }
}

static void share_out(struct mqtt_worker *worker, const struct old_message *message) {
    for (struct str rest = buf_str(&message->shares); rest.len;) {
        struct old_share share;
        memcpy(&share, rest.at, sizeof share);
        rest = str_skip(rest, sizeof share);
        share_arrive(worker, str_from(rest.at, share.key_bytes), &message->kept->publication, 0);
        rest = str_skip(rest, share.key_bytes);
    }
}

static void share_out_all(struct mqtt_worker *worker, const struct mqtt_restore *restore) {
    struct old_message **left;
    list_left(restore);
    size_t count = list_messages(restore, has_shares, &left);
    for (size_t i = 0; i < count; i++)
        share_out(worker, left[i]);
    free(left);
}

void mqtt_restore_end(struct mqtt_worker *worker, struct mqtt_restore *restore) {
    stored_end_overdue(worker);
    if (worker->index == 0)
        share_out_all(worker, restore);
    if (atomic_fetch_sub(&restore->users, 1) > 1)
        return;
    restore_free(restore);
    atomic_store(&worker->mqtt->restoring, false);
}
