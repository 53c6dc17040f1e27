/* The format of segment files, over plain memory: blocks of records. The essay is in segment.c. */
#ifndef STREAM_SEGMENT_H
#define STREAM_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "flow/record.h"

enum {
    SEGMENT_BLOCK_HEADER_BYTES = 48,
    SEGMENT_RECORD_HEADER_BYTES = 8,
    SEGMENT_ALIGN_BYTES = 8,
    SEGMENT_PAYLOAD_BYTES_MAX = 16 * 1024 * 1024,
};

struct segment_block {
    uint64_t first_counter;  /* of its first record */
    uint64_t synced_counter; /* all records below it were known to be on disk when this block was
                                written */
    uint64_t base_ms;        /* arrival that the records' deltas add to */
    uint64_t last_ms;        /* arrival of its last record */
    uint32_t count;
    uint32_t payload_bytes, payload_crc; /* as it stands on disk */
    bool compressed;                     /* the payload is a zstd frame, see pack.h */
    size_t bytes;                        /* of the whole block, with header and padding */
    const uint8_t *payload;              /* segment_block_read() only */
};

/* ---- making ---- */

static inline size_t segment_record_bytes(const struct record *record) {
    return SEGMENT_RECORD_HEADER_BYTES + record->partition_key.len + record->data.len;
}

static inline size_t segment_padded(size_t bytes) {
    return (bytes + SEGMENT_ALIGN_BYTES - 1) & ~(size_t)(SEGMENT_ALIGN_BYTES - 1);
}

/* Writes one record at `at`; `at` has room for segment_record_bytes(). */
static inline void segment_record_write(uint8_t *at, const struct record *record) {
    uint32_t data_bytes = (uint32_t)record->data.len;
    uint16_t key_bytes = (uint16_t)record->partition_key.len, delta_ms = 0;
    memcpy(at, &data_bytes, 4);
    memcpy(at + 4, &key_bytes, 2);
    memcpy(at + 6, &delta_ms, 2);
    if (key_bytes)
        memcpy(at + SEGMENT_RECORD_HEADER_BYTES, record->partition_key.at, key_bytes);
    if (data_bytes)
        memcpy(at + SEGMENT_RECORD_HEADER_BYTES + key_bytes, record->data.at, data_bytes);
}

/*
 * Closes a block whose payload stands behind the room for its header: pads it, sums it up, fills in
 * what the producer knows. There is room for the padding. Returns the bytes of the whole block.
 */
size_t segment_block_seal(uint8_t *block, size_t payload_bytes, uint32_t count, uint64_t base_ms);

/* Of a block that was sealed. */
size_t segment_block_payload_bytes(const uint8_t *block);

/* The payload of a sealed block becomes the zstd frame of it that stands at `frame`, which is shorter.
 * Returns the bytes of the whole block. */
size_t segment_block_replace(uint8_t *block, const uint8_t *frame, size_t frame_bytes);

/* Fills in what only the log knows and the sum of the header. `base_ms` as in the sealed block, or
 * later. */
void segment_block_number(uint8_t *block, uint32_t seed, uint64_t first_counter,
                          uint64_t synced_counter, uint64_t base_ms);

/* ---- reading ---- */

/* The header alone. AGAIN: less than a header. CORRUPT: no header of this shard. */
int segment_header_read(const uint8_t *at, size_t len, uint32_t seed,
                        struct segment_block *ret_block);

/* Header and payload. AGAIN: `len` ends before the block does (its length is known if
 * ret_block->bytes is not 0). */
int segment_block_read(const uint8_t *at, size_t len, uint32_t seed,
                       struct segment_block *ret_block);

/* Offset of the first place at or behind `from` (a multiple of 8) where a header of this shard
 * stands with a first counter above `counter_min`; `len` if there is none. */
size_t segment_find(const uint8_t *at, size_t len, size_t from, uint32_t seed,
                    uint64_t counter_min);

/* One record of a payload. */
struct segment_record {
    uint16_t delta_ms;
    struct str key, data;
    size_t bytes;
};

/* The record at the beginning of `at`. False when it does not fit: the payload is no list of
 * records. */
static inline bool segment_record_read(const uint8_t *at, size_t len,
                                       struct segment_record *ret_record) {
    if (len < SEGMENT_RECORD_HEADER_BYTES)
        return false;
    uint32_t data_bytes;
    uint16_t key_bytes;
    memcpy(&data_bytes, at, 4);
    memcpy(&key_bytes, at + 4, 2);
    memcpy(&ret_record->delta_ms, at + 6, 2);
    size_t bytes = SEGMENT_RECORD_HEADER_BYTES + (size_t)key_bytes + data_bytes;
    if (bytes > len)
        return false;
    ret_record->key = str_from(at + SEGMENT_RECORD_HEADER_BYTES, key_bytes);
    ret_record->data = str_from(at + SEGMENT_RECORD_HEADER_BYTES + key_bytes, data_bytes);
    ret_record->bytes = bytes;
    return true;
}

#endif
