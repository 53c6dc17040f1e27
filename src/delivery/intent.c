/*
 * The stored form. Numbers are little-endian.
 *
 *   bytes   what
 *   1       version: 1; 2: the same, and packed records are taken apart. Programs that cannot do that
 *           refuse it
 *   1       compression: 0 none, 1 gzip
 *   4       shard
 *   8       creation time of the stream, seconds since 1970
 *   8, 8    first counter, counter behind the last
 *   8       instant, milliseconds since 1970
 *   8, 8    records, bytes of their data
 *   4       CRC-32C of their data
 *   rest    the object's key, 1..1024 bytes
 *   4       CRC-32C of all that stands before
 */
#include "delivery/intent.h"

#include "base/crc.h"
#include "base/wire.h"
#include "delivery/body.h"

#define TABLE "intent"

enum {
    VERSION = 1,
    VERSION_DEAGGREGATES = 2,
    CRC_BYTES = 4,
    INTENT_BYTES_MAX = 64 + OBJECT_KEY_BYTES_MAX
};

void tally_add(struct tally *tally, struct str record) {
    tally->records++;
    tally->bytes += record.len;
    tally->crc = crc32c(tally->crc, record.at, record.len);
}

bool tally_equal(const struct tally *a, const struct tally *b) {
    return a->records == b->records && a->bytes == b->bytes && a->crc == b->crc;
}

void intent_done(struct intent *intent) {
    buf_done(&intent->key);
}

static void add_u32(struct buf *out, uint32_t value) {
    buf_add(out, &value, sizeof value);
}

static void add_u64(struct buf *out, uint64_t value) {
    buf_add(out, &value, sizeof value);
}

void intent_encode(struct buf *out, const struct intent *intent) {
    size_t begin = buf_len(out);
    buf_add_u8(out, intent->deaggregates ? VERSION_DEAGGREGATES : VERSION);
    buf_add_u8(out, (uint8_t)intent->compression);
    add_u32(out, intent->shard);
    add_u64(out, intent->stream_created_s);
    add_u64(out, intent->first);
    add_u64(out, intent->end);
    add_u64(out, intent->instant_ms);
    add_u64(out, intent->tally.records);
    add_u64(out, intent->tally.bytes);
    add_u32(out, intent->tally.crc);
    buf_add_str(out, buf_str(&intent->key));
    add_u32(out, crc32c(0, buf_at(out) + begin, buf_len(out) - begin));
}

static struct str decode_fields(struct wire *wire, struct intent *intent) {
    intent->compression = (enum delivery_compression)wire_u8(wire);
    intent->shard = wire_u32le(wire);
    intent->stream_created_s = wire_u64le(wire);
    intent->first = wire_u64le(wire);
    intent->end = wire_u64le(wire);
    intent->instant_ms = wire_u64le(wire);
    intent->tally.records = wire_u64le(wire);
    intent->tally.bytes = wire_u64le(wire);
    intent->tally.crc = wire_u32le(wire);
    return wire_bytes(wire, wire_left(wire));
}

/* The bytes may be more than an object holds, which earlier versions have noted: the records tell then. */
static bool is_sensible(const struct intent *intent, struct str key) {
    return (intent->compression == DELIVERY_UNCOMPRESSED || intent->compression == DELIVERY_GZIP) &&
           intent->first < intent->end && intent->tally.records <= intent->end - intent->first &&
           key.len >= 1 && key.len <= OBJECT_KEY_BYTES_MAX;
}

static bool is_whole(struct str value) {
    if (value.len <= CRC_BYTES || value.len > INTENT_BYTES_MAX)
        return false;
    struct wire tail = wire_over(value.at + value.len - CRC_BYTES, CRC_BYTES);
    return wire_u32le(&tail) == crc32c(0, value.at, value.len - CRC_BYTES);
}

int intent_decode(struct str value, struct intent *ret_intent) {
    if (!is_whole(value))
        return ERR_CORRUPT;
    struct intent intent = {0};
    struct wire wire = wire_over(value.at, value.len - CRC_BYTES);
    uint8_t version = wire_u8(&wire);
    if (version != VERSION && version != VERSION_DEAGGREGATES)
        return ERR_CORRUPT;
    intent.deaggregates = version == VERSION_DEAGGREGATES;
    struct str key = decode_fields(&wire, &intent);
    if (!wire_finished(&wire) || !is_sensible(&intent, key))
        return ERR_CORRUPT;
    buf_add_str(&intent.key, key);
    *ret_intent = intent;
    return 0;
}

static void add_name(struct buf *out, const char *name) {
    buf_printf(out, "delivery/%s", name);
}

int intent_get(struct facts *facts, const char *name, struct intent *ret_intent) {
    struct buf key = {0}, value = {0};
    add_name(&key, name);
    int code = facts_get(facts, TABLE, buf_str(&key), &value);
    if (!code)
        code = intent_decode(buf_str(&value), ret_intent);
    buf_done(&key);
    buf_done(&value);
    return code;
}

int intent_set(struct facts *facts, const char *name, const struct intent *intent,
               struct err *err) {
    struct buf key = {0}, value = {0};
    add_name(&key, name);
    intent_encode(&value, intent);
    int code = facts_set(facts, TABLE, buf_str(&key), buf_str(&value), err);
    buf_done(&key);
    buf_done(&value);
    return code;
}

static int write_commit(struct facts_write *write, const struct stream *stream, const char *name,
                        const struct intent *intent) {
    struct buf key = {0};
    add_name(&key, name);
    int code = stream_checkpoint_put(write, stream, intent->shard, buf_cstr(&key), intent->end);
    if (!code)
        code = facts_delete(write, TABLE, buf_str(&key));
    buf_done(&key);
    return code;
}

int intent_commit(struct facts *facts, const struct stream *stream, const char *name,
                  const struct intent *intent, struct err *err) {
    struct facts_write *write;
    int code = facts_begin(facts, &write, err);
    if (code)
        return code;
    code = write_commit(write, stream, name, intent);
    if (!code)
        return facts_commit(write, err);
    facts_abort(write);
    return err_set(err, code, "%s", err_text(code));
}

int intent_checkpoint(struct facts *facts, const struct stream *stream, const char *name,
                      uint64_t *ret_counter, struct err *err) {
    struct buf key = {0};
    uint64_t counter = 0;
    add_name(&key, name);
    int code = stream_checkpoint_get(facts, stream, 0, buf_cstr(&key), &counter);
    buf_done(&key);
    if (code && code != ERR_NOT_FOUND)
        return err_set(err, code, "delivery stream %s: cannot read its checkpoint: %s", name,
                       err_text(code));
    *ret_counter = counter;
    return 0;
}
