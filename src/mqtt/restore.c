/*
 * Reading the journal. Notes are taken in their order. What they are about may have begun before the
 * oldest entry that is left (rewrite.c), so each makes what it mentions if it is not there; in the
 * end only those sessions count of which a SESSION was read, and those messages of which a MESSAGE
 * was. Whatever is true was written with all that belongs to it behind the oldest entry.
 *
 * A crash may have come between a MESSAGE and its TARGETS of some workers: `pending` tells, and the
 * sessions there are found from the subscriptions (restore_apply.c). That cannot double a message of
 * QoS 2, for SENT comes behind TARGETS, and nothing was sent before SENT was on disk.
 */
#include "mqtt/restore.h"

#include <stdlib.h>

#include "base/mem.h"

enum { KEY_BYTES = sizeof(uint64_t) + sizeof(uint32_t) };

/* ---- finding ---- */

static struct str u64_key(const uint64_t *value) {
    return str_from(value, sizeof *value);
}

static struct str delivery_key(const struct old_delivery *delivery) {
    return str_from(&delivery->id, KEY_BYTES);
}

struct old_message *restore_message(const struct mqtt_restore *restore, uint64_t id) {
    return map_get(&restore->messages, u64_key(&id));
}

struct old_session *restore_session(const struct mqtt_restore *restore, uint64_t number) {
    return map_get(&restore->sessions, u64_key(&number));
}

struct old_delivery *restore_find(const struct old_session *session, uint64_t id, uint32_t tag) {
    struct old_delivery key = {.id = id, .tag = tag};
    return map_get(&session->deliveries, delivery_key(&key));
}

static void see_number(struct mqtt_restore *restore, uint64_t number) {
    if (number > restore->number_max)
        restore->number_max = number;
}

static struct old_message *message_of(struct mqtt_restore *restore, uint64_t id) {
    struct old_message *message = restore_message(restore, id);
    if (message)
        return message;
    see_number(restore, id);
    message = xcalloc(1, sizeof *message);
    message->id = id;
    map_put(&restore->messages, u64_key(&message->id), message);
    return message;
}

static struct old_session *session_of(struct mqtt_restore *restore, uint64_t number) {
    if (number == 0)
        return &restore->unstored;
    struct old_session *session = restore_session(restore, number);
    if (session)
        return session;
    see_number(restore, number);
    session = xcalloc(1, sizeof *session);
    session->number = number;
    map_put(&restore->sessions, u64_key(&session->number), session);
    return session;
}

static struct old_delivery *delivery_of(struct old_session *session, uint64_t id, uint32_t tag) {
    struct old_delivery *delivery = restore_find(session, id, tag);
    if (delivery)
        return delivery;
    delivery = xcalloc(1, sizeof *delivery);
    delivery->id = id;
    delivery->tag = tag;
    delivery->qos = 1;
    map_put(&session->deliveries, delivery_key(delivery), delivery);
    return delivery;
}

/* ---- sessions ---- */

static struct will *will_from(const struct note *note) {
    const struct message *message = &note->publication.message;
    struct str parts[] = {message->topic, message->properties, message->payload};
    size_t bytes = parts[0].len + parts[1].len + parts[2].len;
    struct will *will = xcalloc(1, sizeof *will + bytes);
    char *at = will->bytes;
    will->delay_s = note->will_delay_s;
    will->publication = note->publication;
    struct str *copies[] = {&will->publication.message.topic, &will->publication.message.properties,
                            &will->publication.message.payload};
    for (unsigned i = 0; i < COUNT_OF(parts); i++) {
        if (parts[i].len)
            memcpy(at, parts[i].at, parts[i].len);
        *copies[i] = str_from(at, parts[i].len);
        at += parts[i].len;
    }
    return will;
}

static void take_session(struct mqtt_restore *restore, const struct note *note) {
    struct old_session *session = session_of(restore, note->head.number);
    free(session->client_id);
    free(session->will);
    session->known = true;
    session->order = ++restore->order;
    session->expiry_s = note->head.value;
    session->away_ms = note->away_ms;
    session->will_due_ms = note->will_due_ms;
    session->client_id = str_dup(note->client_id);
    session->will = note->head.flags & NOTE_WILL ? will_from(note) : NULL;
}

static void take_subscription(struct mqtt_restore *restore, const struct note *note) {
    struct old_session *session = session_of(restore, note->head.number);
    uint32_t key_bytes = (uint32_t)(sizeof note->head.share_name_bytes + note->text.len);
    struct old_subscription *subscription = xmalloc(sizeof *subscription + key_bytes);
    subscription->head = note->head;
    subscription->key_bytes = key_bytes;
    memcpy(subscription->key, &note->head.share_name_bytes, sizeof note->head.share_name_bytes);
    memcpy(subscription->key + sizeof note->head.share_name_bytes, note->text.at, note->text.len);
    struct str key = str_from(subscription->key, key_bytes);
    if (note->head.type == NOTE_SUBSCRIPTION) {
        free(map_put(&session->subscriptions, key, subscription));
    } else {
        free(map_remove(&session->subscriptions, key));
        free(subscription);
    }
}

/* ---- messages ---- */

static void add_share(struct old_message *message, struct str key) {
    struct old_share share = {note_tag(key), (uint32_t)key.len};
    buf_add(&message->shares, &share, sizeof share);
    buf_add_str(&message->shares, key);
}

/* A member was chosen, or there is none. */
static void remove_share(struct old_message *message, uint32_t tag) {
    struct buf rest = {0};
    for (struct str left = buf_str(&message->shares); left.len;) {
        struct old_share share;
        memcpy(&share, left.at, sizeof share);
        if (share.tag != tag)
            buf_add(&rest, left.at, sizeof share + share.key_bytes);
        left = str_skip(left, sizeof share + share.key_bytes);
    }
    buf_done(&message->shares);
    message->shares = rest;
}

static void take_packet(struct mqtt_restore *restore, uint64_t number, uint16_t packet_id) {
    if (number && packet_id)
        packet_ids_add(&session_of(restore, number)->received, packet_id);
}

static void take_message(struct mqtt_restore *restore, const struct note *note) {
    struct old_message *message = message_of(restore, note->head.id);
    struct str key;
    if (!message->kept) {
        struct publication publication = note->publication;
        publication.id = note->head.id;
        message->kept = kept_new(&publication, 0);
        message->pending = note->pending;
        message->publisher = note->publisher;
    }
    for (struct str rest = note->shares; note_next_share(&rest, &key);)
        add_share(message, key);
    take_packet(restore, note->publisher, note->head.packet_id);
}

static void take_target(struct mqtt_restore *restore, const struct note *note,
                        const struct note_target *target, struct str ids, struct str share) {
    uint32_t tag = note_tag(share);
    struct old_delivery *delivery =
        delivery_of(session_of(restore, target->number), note->head.id, tag);
    delivery->qos = target->qos;
    delivery->retain = target->retain;
    if (target->id_count && !delivery->ids) {
        delivery->ids = xmalloc(ids.len);
        memcpy(delivery->ids, ids.at, ids.len);
        delivery->id_count = target->id_count;
    }
    if (share.len == 0)
        return;
    free(delivery->share);
    delivery->share = str_dup(share);
    delivery->share_bytes = (uint16_t)share.len;
    remove_share(message_of(restore, note->head.id), tag);
    if (target->number)
        delivery_of(&restore->unstored, note->head.id, tag)->over = true;
    else /* It may have come back from a session that ended. */
        delivery->over = false;
}

static void take_targets(struct mqtt_restore *restore, const struct note *note) {
    struct note_target target;
    struct str ids, share;
    for (struct str rest = note->targets; note_next_target(&rest, &target, &ids, &share);)
        take_target(restore, note, &target, ids, share);
    if (note->head.flags & NOTE_LAST && note->head.worker < MQTT_WORKERS_MAX)
        message_of(restore, note->head.id)->pending &= ~(1ull << note->head.worker);
}

static void take_retained(struct mqtt_restore *restore, const struct note *note) {
    struct kept *retained = kept_new(&note->publication, note->head.id);
    if (note->head.id > restore->version_max)
        restore->version_max = note->head.id;
    retained_put(&restore->retained, retained, 0);
    kept_unref(retained);
}

/* ---- in flight ---- */

static struct str packet_key(const struct old_delivery *delivery) {
    return str_from(&delivery->packet_id, sizeof delivery->packet_id);
}

static struct old_delivery *in_flight(const struct old_session *session, uint16_t packet_id) {
    return map_get(&session->by_packet, str_from(&packet_id, sizeof packet_id));
}

static void forget_packet(struct old_session *session, struct old_delivery *delivery) {
    if (delivery->packet_id && in_flight(session, delivery->packet_id) == delivery)
        map_remove(&session->by_packet, packet_key(delivery));
}

static void fly(struct mqtt_restore *restore, struct old_session *session,
                struct old_delivery *delivery, uint16_t packet_id) {
    struct old_delivery *before = in_flight(session, packet_id);
    forget_packet(session, delivery);
    if (before && before != delivery) /* Its identifier is in use again. */
        before->over = true;
    delivery->packet_id = packet_id;
    delivery->order = ++restore->order;
    map_put(&session->by_packet, packet_key(delivery), delivery);
}

static void take_sent(struct mqtt_restore *restore, const struct note *note) {
    const struct note_head *head = &note->head;
    struct old_session *session = session_of(restore, head->number);
    struct old_delivery *delivery = delivery_of(session, head->id, head->tag);
    delivery->state = head->qos == 2 ? FLIGHT_PUBREC : FLIGHT_PUBACK;
    delivery->over &= head->id != 0;
    fly(restore, session, delivery, head->packet_id);
}

static void take_received(struct mqtt_restore *restore, const struct note *note) {
    struct old_session *session = session_of(restore, note->head.number);
    struct old_delivery *delivery = in_flight(session, note->head.packet_id);
    if (delivery)
        delivery->state = FLIGHT_PUBCOMP;
}

static void take_complete(struct mqtt_restore *restore, const struct note *note) {
    struct old_session *session = session_of(restore, note->head.number);
    struct old_delivery *delivery = in_flight(session, note->head.packet_id);
    if (!delivery)
        return;
    delivery->over = true;
    forget_packet(session, delivery);
}

static void take_dropped(struct mqtt_restore *restore, const struct note *note) {
    const struct note_head *head = &note->head;
    struct old_session *session = session_of(restore, head->number);
    struct old_delivery *delivery = delivery_of(session, head->id, head->tag);
    delivery->over = true;
    forget_packet(session, delivery);
    if (head->tag)
        remove_share(message_of(restore, head->id), head->tag);
}

/* What came through shares goes to other members; not if it may be with the client already and must
 * not come twice. */
static void end_session(struct mqtt_restore *restore, struct old_session *session) {
    struct map_entry *entry;
    session->ended = true;
    for (size_t i = 0; (entry = map_next(&session->deliveries, &i));) {
        const struct old_delivery *delivery = entry->value;
        bool was_sent = delivery->qos == 2 && delivery->state != FLIGHT_FREE;
        if (delivery->over || was_sent || !delivery->share)
            continue;
        struct old_delivery *left = delivery_of(&restore->unstored, delivery->id, delivery->tag);
        free(left->share);
        left->share = str_dup(str_from(delivery->share, delivery->share_bytes));
        left->share_bytes = delivery->share_bytes;
        left->qos = delivery->qos;
        left->over = false;
    }
}

static void take_end(struct mqtt_restore *restore, const struct note *note) {
    end_session(restore, session_of(restore, note->head.number));
}

/* ---- notes ---- */

static int take_part(struct mqtt_restore *restore, const struct note *note);

static void take_note(struct mqtt_restore *restore, const struct note *note) {
    const struct note_head *head = &note->head;
    switch ((enum note_type)head->type) {
    case NOTE_SESSION:
        take_session(restore, note);
        break;
    case NOTE_END:
        take_end(restore, note);
        break;
    case NOTE_SUBSCRIPTION:
    case NOTE_UNSUBSCRIPTION:
        take_subscription(restore, note);
        break;
    case NOTE_RETAINED:
        take_retained(restore, note);
        break;
    case NOTE_MESSAGE:
        take_message(restore, note);
        break;
    case NOTE_TARGETS:
        take_targets(restore, note);
        break;
    case NOTE_SENT:
        take_sent(restore, note);
        break;
    case NOTE_RECEIVED:
        take_received(restore, note);
        break;
    case NOTE_COMPLETE:
        take_complete(restore, note);
        break;
    case NOTE_DROPPED:
        take_dropped(restore, note);
        break;
    case NOTE_TAKEN:
        take_packet(restore, head->number, head->packet_id);
        break;
    case NOTE_RELEASED:
        packet_ids_remove(&session_of(restore, head->number)->received, head->packet_id);
        break;
    default:
        break;
    }
}

static bool names_packet(const struct note_head *head) {
    return head->type == NOTE_SENT || head->type == NOTE_RECEIVED || head->type == NOTE_COMPLETE ||
           head->type == NOTE_TAKEN || head->type == NOTE_RELEASED;
}

static bool take_entry(struct mqtt_restore *restore, struct str entry) {
    struct note note;
    bool good = note_read(entry, &note) && !(names_packet(&note.head) && note.head.packet_id == 0);
    if (good && note.head.type == NOTE_PART)
        return take_part(restore, &note) == 0;
    if (good)
        take_note(restore, &note);
    return good;
}

struct old_parts {
    uint64_t id;
    struct buf bytes;
};

static void parts_free(struct old_parts *parts) {
    buf_done(&parts->bytes);
    free(parts);
}

static int take_part(struct mqtt_restore *restore, const struct note *note) {
    struct old_parts *parts = map_get(&restore->parts, u64_key(&note->head.id));
    see_number(restore, note->head.id);
    if (!parts) {
        parts = xcalloc(1, sizeof *parts);
        parts->id = note->head.id;
        map_put(&restore->parts, u64_key(&parts->id), parts);
    }
    buf_add_str(&parts->bytes, note->text);
    if (!(note->head.flags & NOTE_LAST))
        return 0;
    struct note whole;
    bool good = note_read(buf_str(&parts->bytes), &whole) && whole.head.type != NOTE_PART;
    if (good)
        take_note(restore, &whole);
    map_remove(&restore->parts, u64_key(&note->head.id));
    parts_free(parts);
    return good ? 0 : ERR_CORRUPT;
}

int restore_take(void *data, struct str entry, uint64_t wall_ms) {
    struct mqtt_restore *restore = data;
    restore->bytes += (int64_t)entry.len;
    restore->damaged += !take_entry(restore, entry);
    return 0;
}

/* Of two sessions of one client the one that began later: the end of the other one was not noted any
 * more. A session that was to end with its connection has ended. */
void restore_settle(struct mqtt_restore *restore) {
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&restore->sessions, &i));) {
        struct old_session *session = entry->value;
        if (session->known && !session->ended && session->expiry_s == 0)
            end_session(restore, session);
        if (!session->known || session->ended)
            continue;
        struct str client_id = str_of(session->client_id);
        const struct old_session *other = map_get(&restore->by_client_id, client_id);
        if (!other || other->order < session->order)
            map_put(&restore->by_client_id, client_id, session);
    }
}

/* ---- life ---- */

struct mqtt_restore *restore_new(void) {
    struct mqtt_restore *restore = xcalloc(1, sizeof *restore);
    retained_store_init(&restore->retained, SIZE_MAX, SIZE_MAX, false);
    return restore;
}

static void clear_session(struct old_session *session) {
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&session->deliveries, &i));) {
        struct old_delivery *delivery = entry->value;
        free(delivery->ids);
        free(delivery->share);
        free(delivery);
    }
    for (size_t i = 0; (entry = map_next(&session->subscriptions, &i));)
        free(entry->value);
    map_done(&session->deliveries);
    map_done(&session->by_packet);
    map_done(&session->subscriptions);
    packet_ids_done(&session->received);
    free(session->client_id);
    free(session->will);
}

void restore_free(struct mqtt_restore *restore) {
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&restore->messages, &i));) {
        struct old_message *message = entry->value;
        kept_unref(message->kept);
        buf_done(&message->shares);
        free(message);
    }
    for (size_t i = 0; (entry = map_next(&restore->sessions, &i));) {
        clear_session(entry->value);
        free(entry->value);
    }
    for (size_t i = 0; (entry = map_next(&restore->parts, &i));)
        parts_free(entry->value);
    clear_session(&restore->unstored);
    map_done(&restore->messages);
    map_done(&restore->sessions);
    map_done(&restore->parts);
    map_done(&restore->by_client_id);
    retained_store_done(&restore->retained);
    free(restore);
}
