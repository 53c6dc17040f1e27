/*
 * zstd over the payloads of blocks (docs/formats/segment.md, "Compressed blocks"). No thread and no
 * loop: a packer is the log thread's, an unpacker belongs to whoever reads. Zeroed structs are valid
 * and hold no memory.
 */
#ifndef STREAM_PACK_H
#define STREAM_PACK_H

#include "stream/segment.h"

enum { PACK_LEVEL_MIN = 1, PACK_LEVEL_MAX = 9 };

struct packer {
    struct ZSTD_CCtx_s *context;
    uint8_t *room;
    size_t cap;
};

void packer_done(struct packer *packer);

/* Compresses the payload of a sealed block of `bytes` where it stands, if the block becomes shorter
 * by it. Returns the bytes that the block has now. */
size_t packer_pack(struct packer *packer, uint8_t *block, size_t bytes, int level);

struct unpacker {
    struct ZSTD_DCtx_s *context;
    uint8_t *room;
    size_t cap, len;
};

void unpacker_done(struct unpacker *unpacker);

/* Bytes of the records of a block that was read whole: at most SEGMENT_PAYLOAD_BYTES_MAX. CORRUPT: a
 * compressed payload that is none, or says too much. */
int unpacker_bytes(const struct segment_block *block, size_t *ret_bytes);

/*
 * Begins anew: room for `bytes` of records. What was unpacked before is gone, but for `kept_bytes` of it
 * at `kept` (NULL: none), which go to the beginning of the room and count as a part of `bytes`.
 */
void unpacker_begin(struct unpacker *unpacker, const uint8_t *kept, size_t kept_bytes,
                    size_t bytes);

/* The records of a block: its payload itself, or unpacked behind what the room holds; there until the
 * next unpacker_begin(). CORRUPT. */
int unpacker_add(struct unpacker *unpacker, const struct segment_block *block,
                 struct str *ret_records);

/* The records of one block alone; there until the next call. CORRUPT. */
int unpacker_one(struct unpacker *unpacker, const struct segment_block *block,
                 struct str *ret_records);

#endif
