/*
 * A compressed payload is one zstd frame (RFC 8878) that tells the size of its content, and nothing
 * else. The block's sum is over the frame as it stands on disk, so that recovery, and whoever passes over
 * blocks, unpack nothing.
 *
 * Where it is done. The log thread compresses, before it writes: workers only copy and sum up, and what
 * they have under way keeps its size. A block is written as it was staged when the frame would not make
 * it shorter.
 *
 * What a reader trusts. The size that a frame tells is checked against the bound of all payloads before
 * any memory is taken, and unpacking has that much room and no more. A frame that has no size, tells
 * another one than it holds, or tells less than its records need at least, is damage.
 */
#include "stream/pack.h"

#include <stdlib.h>
#include <zstd.h>

#include "base/err.h"
#include "base/mem.h"

/* A frame of its own for less than this is rarely worth its header. */
enum { PACK_BYTES_MIN = 64 };

void packer_done(struct packer *packer) {
    ZSTD_freeCCtx(packer->context);
    free(packer->room);
    *packer = (struct packer){0};
}

static void packer_reserve(struct packer *packer, size_t bytes) {
    if (!packer->context)
        packer->context = ZSTD_createCCtx();
    ASSERT(packer->context);
    if (bytes <= packer->cap)
        return;
    free(packer->room);
    packer->room = xmalloc(bytes);
    packer->cap = bytes;
}

size_t packer_pack(struct packer *packer, uint8_t *block, size_t bytes, int level) {
    size_t payload_bytes = segment_block_payload_bytes(block);
    if (payload_bytes < PACK_BYTES_MIN)
        return bytes;
    packer_reserve(packer, payload_bytes);
    /* With so little room the block cannot stay as long as it is, whatever its padding. */
    size_t room = payload_bytes - SEGMENT_ALIGN_BYTES;
    size_t packed = ZSTD_compressCCtx(packer->context, packer->room, room,
                                      block + SEGMENT_BLOCK_HEADER_BYTES, payload_bytes, level);
    if (ZSTD_isError(packed))
        return bytes;
    return segment_block_replace(block, packer->room, packed);
}

void unpacker_done(struct unpacker *unpacker) {
    ZSTD_freeDCtx(unpacker->context);
    free(unpacker->room);
    *unpacker = (struct unpacker){0};
}

int unpacker_bytes(const struct segment_block *block, size_t *ret_bytes) {
    *ret_bytes = block->payload_bytes;
    if (!block->compressed)
        return 0;
    unsigned long long bytes = ZSTD_getFrameContentSize(block->payload, block->payload_bytes);
    if (bytes == ZSTD_CONTENTSIZE_UNKNOWN || bytes == ZSTD_CONTENTSIZE_ERROR ||
        bytes > SEGMENT_PAYLOAD_BYTES_MAX ||
        bytes < (uint64_t)block->count * SEGMENT_RECORD_HEADER_BYTES)
        return ERR_CORRUPT;
    *ret_bytes = (size_t)bytes;
    return 0;
}

void unpacker_begin(struct unpacker *unpacker, const uint8_t *kept, size_t kept_bytes,
                    size_t bytes) {
    unpacker->len = kept ? kept_bytes : 0;
    if (kept)
        memmove(unpacker->room, kept, kept_bytes);
    if (bytes <= unpacker->cap)
        return;
    unpacker->room = xrealloc(unpacker->room, bytes);
    unpacker->cap = bytes;
}

int unpacker_add(struct unpacker *unpacker, const struct segment_block *block,
                 struct str *ret_records) {
    size_t bytes;
    int status = unpacker_bytes(block, &bytes);
    *ret_records = str_from(block->payload, bytes);
    if (status || !block->compressed)
        return status;
    ASSERT(unpacker->cap - unpacker->len >= bytes);
    if (!unpacker->context)
        unpacker->context = ZSTD_createDCtx();
    ASSERT(unpacker->context);
    uint8_t *at = unpacker->room + unpacker->len;
    size_t got =
        ZSTD_decompressDCtx(unpacker->context, at, bytes, block->payload, block->payload_bytes);
    if (ZSTD_isError(got) || got != bytes)
        return ERR_CORRUPT;
    unpacker->len += bytes;
    *ret_records = str_from(at, bytes);
    return 0;
}

int unpacker_one(struct unpacker *unpacker, const struct segment_block *block,
                 struct str *ret_records) {
    size_t bytes;
    int status = unpacker_bytes(block, &bytes);
    if (status)
        return status;
    unpacker_begin(unpacker, NULL, 0, block->compressed ? bytes : 0);
    return unpacker_add(unpacker, block, ret_records);
}
