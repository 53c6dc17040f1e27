/*
 * Records that a producer library has packed into one (KPL aggregated record format,
 * amazon-kinesis-producer, "aggregation-format.md"):
 *
 *      4 bytes    F3 89 9A C2
 *      n bytes    a Protocol Buffers message, below
 *      16 bytes   MD5 of the message
 *
 *      AggregatedRecord   1 partition_key_table      repeated string
 *                         2 explicit_hash_key_table  repeated string
 *                         3 records                  repeated Record
 *      Record             1 partition_key_index      uint64
 *                         2 explicit_hash_key_index  uint64, optional
 *                         3 data                     bytes
 *                         4 tags                     passed over
 *
 * What has the magic and does not check in every part is no aggregate but a record like any other, as
 * AWS's libraries take it. The message is read twice: once to check it and find the keys, once to
 * give the records out; nothing is copied.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "stream/stream.h"

enum {
    MAGIC_BYTES = 4,
    MD5_BYTES = 16,
    VARINT_BYTES_MAX = 10,
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_FIXED32 = 5,
};

static const uint8_t magic[MAGIC_BYTES] = {0xf3, 0x89, 0x9a, 0xc2};

/* ---- Protocol Buffers ---- */

struct field {
    uint64_t number, value; /* value: of a varint */
    unsigned type;
    struct str bytes;
};

static bool take_varint(struct str *rest, uint64_t *ret_value) {
    uint64_t value = 0;
    for (size_t i = 0; i < VARINT_BYTES_MAX && i < rest->len; i++) {
        uint8_t byte = (uint8_t)rest->at[i];
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte & 0x80)
            continue;
        *rest = str_skip(*rest, i + 1);
        *ret_value = value;
        return true;
    }
    return false;
}

static bool take_field(struct str *rest, struct field *ret_field) {
    struct field field = {0};
    uint64_t tag, len = 0;
    if (!take_varint(rest, &tag))
        return false;
    field.number = tag >> 3;
    field.type = tag & 7;
    if (field.type == WIRE_VARINT && !take_varint(rest, &field.value))
        return false;
    if (field.type == WIRE_BYTES && !take_varint(rest, &len))
        return false;
    if (field.type == WIRE_FIXED32 || field.type == WIRE_FIXED64)
        len = field.type == WIRE_FIXED32 ? 4 : 8;
    bool known = field.type <= WIRE_BYTES || field.type == WIRE_FIXED32;
    if (!known || field.number == 0 || len > rest->len)
        return false;
    field.bytes = str_from(rest->at, (size_t)len);
    *rest = str_skip(*rest, (size_t)len);
    *ret_field = field;
    return true;
}

/* ---- records ---- */

static bool read_record(const struct stream_aggregate *aggregate, struct str message,
                        struct stream_user_record *ret_record) {
    struct stream_user_record record = {0};
    struct field field;
    bool has_key = false, has_data = false;
    while (message.len) {
        if (!take_field(&message, &field))
            return false;
        if (field.number == 1 && field.type == WIRE_VARINT && field.value < aggregate->key_count) {
            record.partition_key = aggregate->keys[field.value];
            has_key = true;
        } else if (field.number == 3 && field.type == WIRE_BYTES) {
            record.data = field.bytes;
            has_data = true;
        } else if (field.number == 1 || field.number == 3) {
            return false;
        }
    }
    *ret_record = record;
    return has_key && has_data;
}

bool stream_aggregate_next(struct stream_aggregate *aggregate,
                           struct stream_user_record *ret_record) {
    struct field field;
    while (aggregate->rest.len && take_field(&aggregate->rest, &field))
        if (field.number == 3)
            return read_record(aggregate, field.bytes, ret_record);
    return false;
}

/* ---- opening ---- */

static bool has_sum(struct str message) {
    uint8_t sum[MD5_BYTES];
    unsigned len = 0;
    return EVP_Digest(message.at, message.len, sum, &len, EVP_md5(), NULL) == 1 &&
           len == MD5_BYTES && memcmp(message.at + message.len, sum, MD5_BYTES) == 0;
}

/* A key of the table; false: there are too many. */
static bool add_key(struct stream_aggregate *aggregate, struct str key) {
    size_t count = aggregate->key_count;
    if (count == STREAM_AGGREGATE_KEYS_MAX)
        return false;
    if ((count & (count - 1)) == 0)
        aggregate->keys =
            xrealloc(aggregate->keys, (count ? 2 * count : 1) * sizeof *aggregate->keys);
    aggregate->keys[aggregate->key_count++] = key;
    return true;
}

static bool scan(struct stream_aggregate *aggregate, struct str message) {
    struct field field;
    struct stream_user_record record;
    for (struct str rest = message; rest.len;) {
        if (!take_field(&rest, &field))
            return false;
        bool is_table = field.number == 1;
        if (field.number <= 3 && field.type != WIRE_BYTES)
            return false;
        if (is_table && !add_key(aggregate, field.bytes))
            return false;
    }
    for (struct str rest = message; rest.len && take_field(&rest, &field);) {
        if (field.number == 3 && !read_record(aggregate, field.bytes, &record))
            return false;
        aggregate->count += field.number == 3;
    }
    return aggregate->count > 0;
}

bool stream_aggregate_open(struct stream_aggregate *aggregate, struct str data) {
    *aggregate = (struct stream_aggregate){0};
    if (data.len <= MAGIC_BYTES + MD5_BYTES || memcmp(data.at, magic, MAGIC_BYTES) != 0)
        return false;
    struct str message = str_from(data.at + MAGIC_BYTES, data.len - MAGIC_BYTES - MD5_BYTES);
    if (!has_sum(message) || !scan(aggregate, message)) {
        stream_aggregate_close(aggregate);
        return false;
    }
    aggregate->rest = message;
    return true;
}

void stream_aggregate_close(struct stream_aggregate *aggregate) {
    free(aggregate->keys);
    *aggregate = (struct stream_aggregate){0};
}
