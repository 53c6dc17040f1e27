/*
 * Arbitrary bytes as a segment file: the first byte says how much the file layer gives at a time,
 * the rest is the file. Whatever it holds, reading ends, reads nothing beyond it, and gives only
 * blocks whose sums are right; compressed ones are unpacked within their bound. So that the fuzzer
 * comes past the sums, a second pass puts the right ones under every header that it finds.
 */
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/mem.h"
#include "stream/block_file.h"
#include "stream/pack.h"

enum { SEED = 7 };

struct memory {
    const uint8_t *at;
    size_t len, step;
};

static int memory_open(void *self, const char *path, int flags, mode_t mode, int *ret_fd) {
    *ret_fd = 0;
    return 0;
}

static int memory_close(void *self, int fd) {
    return 0;
}

static ssize_t memory_pread(void *self, int fd, void *at, size_t len, off_t offset) {
    const struct memory *memory = self;
    if ((size_t)offset >= memory->len)
        return 0;
    size_t left = memory->len - (size_t)offset;
    if (len > left)
        len = left;
    if (len > memory->step)
        len = memory->step;
    memcpy(at, memory->at + offset, len);
    return (ssize_t)len;
}

static uint64_t sum_of(struct str s) {
    uint64_t sum = 0;
    for (size_t i = 0; i < s.len; i++)
        sum += (uint8_t)s.at[i];
    return sum;
}

static uint64_t walk(struct unpacker *unpacker, const struct segment_block *block) {
    struct segment_record record;
    struct str records;
    uint64_t sum = 0;
    if (unpacker_one(unpacker, block, &records))
        return 0;
    ASSERT(records.len <= SEGMENT_PAYLOAD_BYTES_MAX);
    for (size_t at = 0;
         segment_record_read((const uint8_t *)records.at + at, records.len - at, &record);
         at += record.bytes)
        sum += sum_of(record.key) + sum_of(record.data);
    return sum;
}

static uint64_t read_file(const struct memory *memory) {
    struct file_ops ops = {
        .open = memory_open, .close = memory_close, .pread = memory_pread, .self = (void *)memory};
    struct block_file blocks = {.file = &ops, .seed = SEED};
    block_file_open(&blocks, "");
    if (memory->step % 16) /* Now and then the end of the file is only met, not known. */
        blocks.end = (int64_t)memory->len;
    struct unpacker unpacker = {0};
    uint64_t counter = 0, sum = 0;
    for (int64_t before = -1;;) {
        ASSERT(blocks.offset > before);
        before = blocks.offset;
        struct segment_block block;
        int status = block_file_read(&blocks, &block);
        if (status == 0) {
            sum += walk(&unpacker, &block);
            counter = block.first_counter;
            blocks.offset += (int64_t)block.bytes;
        } else if (status == ERR_AGAIN || block_file_find(&blocks, counter, 0) != 0) {
            break;
        }
    }
    block_file_done(&blocks);
    unpacker_done(&unpacker);
    return sum;
}

static void put_sums(uint8_t *file, size_t len) {
    for (size_t at = 0; at + SEGMENT_BLOCK_HEADER_BYTES <= len; at += SEGMENT_ALIGN_BYTES) {
        if (memcmp(file + at, "WSB1", 4) != 0)
            continue;
        uint8_t *block = file + at;
        uint32_t payload_bytes, count, sum;
        uint64_t first, synced, base_ms;
        memcpy(&payload_bytes, block + 12, 4);
        memcpy(&first, block + 16, 8);
        memcpy(&synced, block + 24, 8);
        memcpy(&base_ms, block + 32, 8);
        memcpy(&count, block + 40, 4);
        size_t left = len - at - SEGMENT_BLOCK_HEADER_BYTES;
        sum = crc32c(0, block + SEGMENT_BLOCK_HEADER_BYTES,
                     payload_bytes < left ? payload_bytes : left);
        memcpy(block + 8, &sum, 4);
        segment_block_number(block, SEED, first, synced, base_ms);
    }
}

/* Every byte of every record goes in here, so that none is left unread. */
static volatile uint64_t seen;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    if (len == 0)
        return 0;
    uint8_t *file = xmemdup(data + 1, len - 1);
    struct memory memory = {file, len - 1, data[0] ? data[0] : SIZE_MAX};
    uint64_t sum = read_file(&memory);
    put_sums(file, len - 1);
    sum += read_file(&memory);
    free(file);
    seen = sum;
    return 0;
}
