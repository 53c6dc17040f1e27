#include "mqtt/note.h"

#include "base/crc.h"

_Static_assert(sizeof(struct note_head) == 32 && sizeof(struct note_target) == 16,
               "they are written as they lie in memory, without gaps");

uint32_t note_tag(struct str share) {
    return share.len ? crc32c(0, share.at, share.len) | 1 : 0;
}

/* ---- reading ---- */

static struct str rest_of(struct wire *wire) {
    return wire_bytes(wire, wire_left(wire));
}

static void read_message(struct wire *wire, const struct note_head *head, struct publication *ret) {
    struct message *message = &ret->message;
    message->received_ms = wire_u64le(wire);
    ret->expiry_at = (int32_t)wire_u32le(wire);
    uint32_t topic_bytes = wire_u32le(wire), properties_bytes = wire_u32le(wire);
    message->topic = wire_bytes(wire, topic_bytes);
    message->properties = wire_bytes(wire, properties_bytes);
    message->payload = rest_of(wire);
    message->qos = head->qos;
    message->retain = head->flags & NOTE_RETAIN;
    enum { EXPIRY_BYTES = 4 };
    if (ret->expiry_at < -1 || (int64_t)ret->expiry_at + EXPIRY_BYTES > (int64_t)properties_bytes)
        wire->failed |= ret->expiry_at != -1;
}

static void read_session(struct wire *wire, struct note *note) {
    note->away_ms = wire_u64le(wire);
    note->will_due_ms = wire_u64le(wire);
    uint32_t client_id_bytes = wire_u32le(wire);
    note->will_delay_s = wire_u32le(wire);
    note->client_id = wire_bytes(wire, client_id_bytes);
    if (note->head.flags & NOTE_WILL)
        read_message(wire, &note->head, &note->publication);
}

static void read_pending(struct wire *wire, struct note *note) {
    note->pending = wire_u64le(wire);
    note->publisher = wire_u64le(wire);
    uint32_t shares_bytes = wire_u32le(wire);
    note->shares = wire_bytes(wire, shares_bytes);
    read_message(wire, &note->head, &note->publication);
}

bool note_read(struct str entry, struct note *ret) {
    *ret = (struct note){0};
    if (entry.len < sizeof ret->head)
        return false;
    struct wire wire = wire_over(entry.at, entry.len);
    memcpy(&ret->head, wire_take(&wire, sizeof ret->head), sizeof ret->head);
    switch ((enum note_type)ret->head.type) {
    case NOTE_SESSION:
        read_session(&wire, ret);
        break;
    case NOTE_PART:
    case NOTE_SUBSCRIPTION:
    case NOTE_UNSUBSCRIPTION:
        ret->text = rest_of(&wire);
        wire.failed |= ret->text.len <= ret->head.share_name_bytes;
        break;
    case NOTE_RETAINED:
        ret->client_id = wire_bytes(&wire, ret->head.value);
        read_message(&wire, &ret->head, &ret->publication);
        ret->publication.message.client_id = ret->client_id;
        break;
    case NOTE_MESSAGE:
        read_pending(&wire, ret);
        break;
    case NOTE_TARGETS:
        ret->targets = rest_of(&wire);
        break;
    default:
        break;
    }
    return wire_finished(&wire) && ret->head.type && ret->head.type < NOTE_TYPES &&
           ret->head.qos <= 2;
}

bool note_next_share(struct str *rest, struct str *ret_key) {
    if (rest->len == 0)
        return false;
    struct wire wire = wire_over(rest->at, rest->len);
    const uint8_t *at = wire_take(&wire, NOTE_SHARE_BYTES);
    uint16_t bytes = 0;
    if (at)
        memcpy(&bytes, at, sizeof bytes);
    *ret_key = wire_bytes(&wire, bytes);
    *rest = rest_of(&wire);
    return !wire.failed && bytes > 0;
}

bool note_next_target(struct str *rest, struct note_target *ret, struct str *ret_ids,
                      struct str *ret_share) {
    if (rest->len == 0)
        return false;
    struct wire wire = wire_over(rest->at, rest->len);
    const uint8_t *at = wire_take(&wire, sizeof *ret);
    if (!at || at[offsetof(struct note_target, retain)] > 1)
        return false;
    memcpy(ret, at, sizeof *ret);
    *ret_ids = wire_bytes(&wire, ret->id_count * sizeof(uint32_t));
    *ret_share = wire_bytes(&wire, ret->share_bytes);
    bool good = !wire.failed && ret->qos >= 1 && ret->qos <= 2;
    *rest = rest_of(&wire);
    return good;
}

/* ---- writing ---- */

static void write_u32(struct buf *out, uint32_t value) {
    buf_add(out, &value, sizeof value);
}

static void write_u64(struct buf *out, uint64_t value) {
    buf_add(out, &value, sizeof value);
}

void note_write_head(struct buf *out, const struct note_head *head) {
    buf_add(out, head, sizeof *head);
}

void note_write_message(struct buf *out, const struct publication *publication) {
    const struct message *message = &publication->message;
    write_u64(out, message->received_ms);
    write_u32(out, (uint32_t)publication->expiry_at);
    write_u32(out, (uint32_t)message->topic.len);
    write_u32(out, (uint32_t)message->properties.len);
    buf_add_str(out, message->topic);
    buf_add_str(out, message->properties);
    buf_add_str(out, message->payload);
}

void note_write_session(struct buf *out, const struct note *note) {
    note_write_head(out, &note->head);
    write_u64(out, note->away_ms);
    write_u64(out, note->will_due_ms);
    write_u32(out, (uint32_t)note->client_id.len);
    write_u32(out, note->will_delay_s);
    buf_add_str(out, note->client_id);
    if (note->head.flags & NOTE_WILL)
        note_write_message(out, &note->publication);
}

void note_write_pending(struct buf *out, uint64_t pending, uint64_t publisher,
                        uint32_t shares_bytes) {
    write_u64(out, pending);
    write_u64(out, publisher);
    write_u32(out, shares_bytes);
}

void note_write_share(struct buf *out, struct str key) {
    uint16_t bytes = (uint16_t)key.len;
    buf_add(out, &bytes, sizeof bytes);
    buf_add_str(out, key);
}

void note_write_target(struct buf *out, const struct note_target *target, const uint32_t *ids,
                       struct str share) {
    buf_add(out, target, sizeof *target);
    buf_add(out, ids, target->id_count * sizeof *ids);
    buf_add_str(out, share);
}
