/*
 * Segment files. A segment is a row of blocks and nothing else; a block is what one producer staged
 * for one shard in one turn (or one staging chunk of it). All numbers are little-endian; each block
 * begins at a multiple of 8.
 *
 *      offset  bytes  block header
 *           0      4  magic "WSB1"
 *           4      4  header sum: CRC-32C of bytes 8..47, then of the shard's seed (4 bytes)
 *           8      4  payload sum: CRC-32C of the payload without its padding
 *          12      4  payload bytes, without padding, 1..16 MiB
 *          16      8  counter of the first record
 *          24      8  synced counter: when this block was written, every record of the shard
 *                     below it was on disk
 *          32      8  base: arrival in ms since 1970 that the deltas add to
 *          40      4  number of records, at least 1
 *          44      2  delta of the last record, ms
 *          46      2  0: the payload is records; 1: it is one zstd frame of them (pack.c)
 *          48      n  payload
 *        48+n    0-7  zeros up to a multiple of 8
 *
 *      offset  bytes  record
 *           0      4  data bytes
 *           4      2  key bytes
 *           6      2  arrival, ms after the block's base
 *           8      k  partition key
 *         8+k      d  data
 *
 * The payload is summed by the producer while it is warm in its cache; the log thread, of which
 * there is one, sums up only the 40 bytes of the header (and the frame of a stream that
 * compresses). The seed is random, belongs to the stream (its metadata file) and is mixed with the
 * shard's number: a block of another shard or stream does not check, and no producer can make bytes
 * that look like a header, so that a search for the next good block behind a damaged place is safe
 * and cheap.
 *
 * What the synced counter is for. Behind the last good block there are zeros (space made ready) or
 * the remains of a write that a power cut interrupted; in such a write a later block may be whole
 * while an earlier one is torn. A hole at counter h is *damage* if some later block says that h had
 * been synced, because the record at h was on disk then; otherwise nobody was ever told that the
 * record is safe, and the hole is the *torn tail*: everything from there on is cut off. (With
 * `sync: none` nothing is ever known to be synced within a segment, and a power cut always leaves a
 * torn tail: a prefix of what was written.)
 */
#include "stream/segment.h"

#include "base/crc.h"
#include "base/err.h"
#include "base/wire.h"

enum {
    AT_HEADER_CRC = 4,
    AT_PAYLOAD_CRC = 8,
    AT_PAYLOAD_BYTES = 12,
    AT_FIRST_COUNTER = 16,
    AT_SYNCED_COUNTER = 24,
    AT_BASE_MS = 32,
    AT_COUNT = 40,
    AT_LAST_DELTA = 44,
    AT_PACKING = 46,
};

enum { PACKING_NONE, PACKING_ZSTD };

static const uint8_t magic[4] = {'W', 'S', 'B', '1'};

static void put_u32(uint8_t *block, size_t at, uint32_t value) {
    memcpy(block + at, &value, sizeof value);
}

static void put_u64(uint8_t *block, size_t at, uint64_t value) {
    memcpy(block + at, &value, sizeof value);
}

static uint32_t header_sum(const uint8_t *block, uint32_t seed) {
    uint32_t sum = crc32c(0, block + AT_PAYLOAD_CRC, SEGMENT_BLOCK_HEADER_BYTES - AT_PAYLOAD_CRC);
    return crc32c(sum, &seed, sizeof seed);
}

size_t segment_block_seal(uint8_t *block, size_t payload_bytes, uint32_t count, uint64_t base_ms) {
    uint8_t *payload = block + SEGMENT_BLOCK_HEADER_BYTES;
    size_t bytes = segment_padded(SEGMENT_BLOCK_HEADER_BYTES + payload_bytes);
    memset(payload + payload_bytes, 0, bytes - SEGMENT_BLOCK_HEADER_BYTES - payload_bytes);
    memset(block, 0, SEGMENT_BLOCK_HEADER_BYTES);
    memcpy(block, magic, sizeof magic);
    put_u32(block, AT_PAYLOAD_CRC, crc32c(0, payload, payload_bytes));
    put_u32(block, AT_PAYLOAD_BYTES, (uint32_t)payload_bytes);
    put_u64(block, AT_BASE_MS, base_ms);
    put_u32(block, AT_COUNT, count);
    return bytes;
}

size_t segment_block_payload_bytes(const uint8_t *block) {
    uint32_t payload_bytes;
    memcpy(&payload_bytes, block + AT_PAYLOAD_BYTES, sizeof payload_bytes);
    return payload_bytes;
}

size_t segment_block_replace(uint8_t *block, const uint8_t *frame, size_t frame_bytes) {
    static const uint16_t packing = PACKING_ZSTD;
    uint8_t *payload = block + SEGMENT_BLOCK_HEADER_BYTES;
    size_t bytes = segment_padded(SEGMENT_BLOCK_HEADER_BYTES + frame_bytes);
    ASSERT(frame_bytes < segment_block_payload_bytes(block));
    memcpy(payload, frame, frame_bytes);
    memset(payload + frame_bytes, 0, bytes - SEGMENT_BLOCK_HEADER_BYTES - frame_bytes);
    memcpy(block + AT_PACKING, &packing, sizeof packing);
    put_u32(block, AT_PAYLOAD_CRC, crc32c(0, frame, frame_bytes));
    put_u32(block, AT_PAYLOAD_BYTES, (uint32_t)frame_bytes);
    return bytes;
}

void segment_block_number(uint8_t *block, uint32_t seed, uint64_t first_counter,
                          uint64_t synced_counter, uint64_t base_ms) {
    put_u64(block, AT_FIRST_COUNTER, first_counter);
    put_u64(block, AT_SYNCED_COUNTER, synced_counter);
    put_u64(block, AT_BASE_MS, base_ms);
    put_u32(block, AT_HEADER_CRC, header_sum(block, seed));
}

static bool header_plausible(const struct segment_block *block, uint16_t packing) {
    uint32_t records_bytes_max =
        block->compressed ? SEGMENT_PAYLOAD_BYTES_MAX : block->payload_bytes;
    return packing <= PACKING_ZSTD && block->payload_bytes <= SEGMENT_PAYLOAD_BYTES_MAX &&
           block->count >= 1 && block->count <= records_bytes_max / SEGMENT_RECORD_HEADER_BYTES &&
           block->first_counter <= UINT64_MAX / 2 && block->synced_counter <= block->first_counter;
}

int segment_header_read(const uint8_t *at, size_t len, uint32_t seed,
                        struct segment_block *ret_block) {
    ret_block->bytes = 0;
    if (len < SEGMENT_BLOCK_HEADER_BYTES)
        return ERR_AGAIN;
    if (memcmp(at, magic, sizeof magic) != 0)
        return ERR_CORRUPT;
    struct segment_block block = {0};
    struct wire wire = wire_over(at + sizeof magic, SEGMENT_BLOCK_HEADER_BYTES - sizeof magic);
    uint32_t sum = wire_u32le(&wire);
    if (sum != header_sum(at, seed))
        return ERR_CORRUPT;
    block.payload_crc = wire_u32le(&wire);
    block.payload_bytes = wire_u32le(&wire);
    block.first_counter = wire_u64le(&wire);
    block.synced_counter = wire_u64le(&wire);
    block.base_ms = wire_u64le(&wire);
    block.count = wire_u32le(&wire);
    uint32_t last = wire_u32le(&wire);
    uint16_t packing = (uint16_t)(last >> 16);
    block.compressed = packing == PACKING_ZSTD;
    if (!header_plausible(&block, packing))
        return ERR_CORRUPT;
    block.last_ms = block.base_ms + (last & 0xffff);
    block.bytes = segment_padded(SEGMENT_BLOCK_HEADER_BYTES + (size_t)block.payload_bytes);
    *ret_block = block;
    return 0;
}

int segment_block_read(const uint8_t *at, size_t len, uint32_t seed,
                       struct segment_block *ret_block) {
    int status = segment_header_read(at, len, seed, ret_block);
    if (status)
        return status;
    if (len < ret_block->bytes)
        return ERR_AGAIN;
    ret_block->payload = at + SEGMENT_BLOCK_HEADER_BYTES;
    if (crc32c(0, ret_block->payload, ret_block->payload_bytes) != ret_block->payload_crc)
        return ERR_CORRUPT;
    return 0;
}

size_t segment_find(const uint8_t *at, size_t len, size_t from, uint32_t seed,
                    uint64_t counter_min) {
    for (; from < len; from += SEGMENT_ALIGN_BYTES) {
        struct segment_block block;
        if (at[from] == magic[0] && segment_header_read(at + from, len - from, seed, &block) == 0 &&
            block.first_counter > counter_min)
            return from;
    }
    return len;
}
