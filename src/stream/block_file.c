#include "stream/block_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int block_file_open(struct block_file *blocks, const char *path) {
    ASSERT(!blocks->opened);
    int fd, status = blocks->file->open(blocks->file->self, path, O_RDONLY | O_CLOEXEC, 0, &fd);
    if (status)
        return status;
    blocks->fd = fd;
    blocks->opened = true;
    blocks->offset = blocks->verified = 0;
    blocks->keep = -1;
    blocks->end = INT64_MAX;
    block_file_forget(blocks);
    return 0;
}

void block_file_close(struct block_file *blocks) {
    if (blocks->opened)
        blocks->file->close(blocks->file->self, blocks->fd);
    blocks->opened = false;
    block_file_forget(blocks);
}

void block_file_forget(struct block_file *blocks) {
    blocks->len = 0;
    blocks->base = blocks->offset;
    blocks->verified = blocks->offset;
}

void block_file_done(struct block_file *blocks) {
    block_file_close(blocks);
    free(blocks->window);
    blocks->window = NULL;
    blocks->cap = 0;
}

/* Doubled, but a window for a large record is not twice as large. */
static size_t window_cap(size_t cap, size_t least) {
    size_t doubled = cap ? cap : 4096;
    while (doubled < least && doubled < BLOCK_FILE_STEP_BYTES)
        doubled *= 2;
    if (doubled >= least)
        return doubled;
    return (least + BLOCK_FILE_STEP_BYTES - 1) / BLOCK_FILE_STEP_BYTES * BLOCK_FILE_STEP_BYTES;
}

/* Moves the window so that it begins with what must stay, and makes room for `want` bytes from
 * `offset` on. What a large record has made wide becomes narrow behind it. */
static void slide(struct block_file *blocks, size_t want) {
    int64_t from = blocks->keep >= 0 ? blocks->keep : blocks->offset;
    int64_t window_end = blocks->base + (int64_t)blocks->len;
    if (from < blocks->base || from >= window_end) {
        blocks->base = from;
        blocks->len = 0;
    } else if (from > blocks->base) {
        blocks->len = (size_t)(window_end - from);
        memmove(blocks->window, blocks->window + (from - blocks->base), blocks->len);
        blocks->base = from;
    }
    size_t cap = (size_t)(blocks->offset - blocks->base) + want;
    bool is_wide = blocks->cap > 4 * BLOCK_FILE_STEP_BYTES && cap <= BLOCK_FILE_STEP_BYTES;
    if (cap > blocks->cap || is_wide) {
        blocks->cap = window_cap(is_wide ? 0 : blocks->cap, cap);
        blocks->window = xrealloc(blocks->window, blocks->cap);
    }
}

/* Has `want` bytes from `offset` on in the window, or AGAIN. */
static int load(struct block_file *blocks, size_t want) {
    int64_t need_end = blocks->offset + (int64_t)want;
    if (blocks->offset >= blocks->base && need_end <= blocks->base + (int64_t)blocks->len)
        return 0;
    int64_t readable = blocks->end - blocks->offset;
    if (readable < (int64_t)want)
        return ERR_AGAIN;
    size_t ahead = want < BLOCK_FILE_WINDOW_BYTES ? BLOCK_FILE_WINDOW_BYTES : want;
    slide(blocks, readable < (int64_t)ahead ? (size_t)readable : ahead);
    for (;;) {
        int64_t at = blocks->base + (int64_t)blocks->len;
        if (at >= need_end)
            return 0;
        int64_t fill_end = blocks->offset + (int64_t)ahead;
        size_t room = blocks->cap - blocks->len;
        if (fill_end - at < (int64_t)room)
            room = (size_t)(fill_end - at);
        if (blocks->end - at < (int64_t)room)
            room = (size_t)(blocks->end - at);
        ssize_t got = blocks->file->pread(blocks->file->self, blocks->fd,
                                          blocks->window + blocks->len, room, (off_t)at);
        if (got < 0)
            return (int)got;
        if (got == 0)
            return ERR_AGAIN;
        blocks->len += (size_t)got;
    }
}

int block_file_header(struct block_file *blocks, struct segment_block *ret_block) {
    int status = load(blocks, SEGMENT_BLOCK_HEADER_BYTES);
    if (status)
        return status;
    return segment_header_read(block_file_at(blocks, blocks->offset), SEGMENT_BLOCK_HEADER_BYTES,
                               blocks->seed, ret_block);
}

int block_file_read(struct block_file *blocks, struct segment_block *ret_block) {
    int status = block_file_header(blocks, ret_block);
    if (status == 0)
        status = load(blocks, ret_block->bytes);
    if (status)
        return status;
    const uint8_t *at = block_file_at(blocks, blocks->offset);
    int64_t end = blocks->offset + (int64_t)ret_block->bytes;
    if (end <= blocks->verified) {
        ret_block->payload = at + SEGMENT_BLOCK_HEADER_BYTES;
        return 0;
    }
    status = segment_block_read(at, ret_block->bytes, blocks->seed, ret_block);
    if (status == 0)
        blocks->verified = end;
    return status;
}

/* Looks through the window from `offset` on; leaves `offset` at the hit, or where the next search
 * begins. */
static bool find_in_window(struct block_file *blocks, uint64_t counter_min, uint64_t synced_least) {
    size_t from = (size_t)(blocks->offset - blocks->base);
    for (;;) {
        from = segment_find(blocks->window, blocks->len, from, blocks->seed, counter_min);
        if (from >= blocks->len)
            break;
        struct segment_block block;
        if (segment_header_read(blocks->window + from, blocks->len - from, blocks->seed, &block) ==
                0 &&
            block.synced_counter >= synced_least) {
            blocks->offset = blocks->base + (int64_t)from;
            return true;
        }
        from += SEGMENT_ALIGN_BYTES;
    }
    /* A header may begin in the last bytes of the window. */
    size_t rest = SEGMENT_BLOCK_HEADER_BYTES - SEGMENT_ALIGN_BYTES;
    int64_t next = blocks->base + (int64_t)(blocks->len > rest ? blocks->len - rest : 0);
    next -= next % SEGMENT_ALIGN_BYTES;
    if (next > blocks->offset)
        blocks->offset = next;
    return false;
}

int block_file_find(struct block_file *blocks, uint64_t counter_min, uint64_t synced_least) {
    int64_t start = blocks->offset;
    blocks->keep = -1;
    blocks->offset += SEGMENT_ALIGN_BYTES;
    for (;;) {
        int status = load(blocks, SEGMENT_BLOCK_HEADER_BYTES);
        if (status == 0 && find_in_window(blocks, counter_min, synced_least))
            return 0;
        if (status) {
            blocks->offset = start;
            return status == ERR_AGAIN ? ERR_NOT_FOUND : status;
        }
    }
}
