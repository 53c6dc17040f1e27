/*
 * One segment file, read block by block through a window of memory. Used by recovery, readers and
 * views; it belongs to whoever made it. A zeroed struct with `file` set is valid and closed.
 */
#ifndef STREAM_BLOCK_FILE_H
#define STREAM_BLOCK_FILE_H

#include "io/file.h"
#include "stream/segment.h"

/* How much is read at once when much is there; a block larger than that widens the window for as
 * long as needed. */
enum { BLOCK_FILE_WINDOW_BYTES = 256 * 1024, BLOCK_FILE_STEP_BYTES = 1024 * 1024 };

struct block_file {
    const struct file_ops *file;
    uint32_t seed;
    bool opened;
    int fd;
    int64_t offset;   /* of the next block */
    int64_t keep;     /* bytes from here on stay in the window, if not negative */
    int64_t end;      /* nothing is read beyond it */
    int64_t verified; /* payloads below it have been checked */
    uint8_t *window;
    size_t cap, len;
    int64_t base; /* of the window in the file */
};

int block_file_open(struct block_file *blocks, const char *path);
void block_file_close(struct block_file *blocks);

/* The window is empty from now on: what was read may have changed. */
void block_file_forget(struct block_file *blocks);

/* Closes, and frees the window. */
void block_file_done(struct block_file *blocks);

/*
 * The block at `offset`, checked. Valid until the next call, or as long as `keep` protects it (the
 * window may move: take its address from block_file_at()). Does not move on.
 *
 * AGAIN: the file, or what may be read of it, ends before the block does. CORRUPT: there is no
 * block, or a damaged one. IO.
 */
int block_file_read(struct block_file *blocks, struct segment_block *ret_block);

/* The header alone: AGAIN, CORRUPT and IO as above; the payload is neither read nor checked. */
int block_file_header(struct block_file *blocks, struct segment_block *ret_block);

/* Searches from behind `offset` on for a header with a counter above `counter_min` and a synced
 * counter of at least `synced_least`, and moves there. NOT_FOUND: none; `offset` is as before. */
int block_file_find(struct block_file *blocks, uint64_t counter_min, uint64_t synced_least);

static inline const uint8_t *block_file_at(const struct block_file *blocks, int64_t offset) {
    return blocks->window + (offset - blocks->base);
}

#endif
