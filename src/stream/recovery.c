/*
 * What a shard finds when it is opened.
 *
 * All segments but the last were synced and cut to their length before the next one was begun;
 * their names tell how their counters run, and the first block of each how their arrivals do. Only
 * the last one is read whole. Its blocks must follow each other without a gap in bytes or counters.
 * Where that ends there is one of three things (segment.c, "What the synced counter is for"):
 *
 *  - zeros, space that was made ready: it stays, and is ready;
 *  - the remains of a commit that was interrupted, of which nobody was told: cut off;
 *  - damage, known by a later block which says that more had been on disk: the file is kept as it
 *    is, the place is logged and counted, reading goes on at that block, and writing in a new
 *    segment.
 *
 * A closed shard may have its end written down (stream.meta): what lies behind it are the remains of
 * a write that had failed, and is cut off like them.
 *
 * The cut is synced before anything else is written, so that no remains can ever come to stand
 * behind new blocks, and what is read before anybody may read it. With thousands of shards this is one
 * sync of the file system for all (log.c).
 */
#include "stream/recovery.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "stream/block_file.h"

/* ---- the last segment ---- */

static void rebuild_index(struct shard *shard, const struct segment_block *block, int64_t offset) {
    if (offset - shard->index_offset < SEGMENT_INDEX_BYTES)
        return;
    struct segment_index_entry entry = {block->first_counter, block->base_ms, (uint64_t)offset};
    shard->index_offset = offset;
    uint64_t first = shard->segments[shard->segment_count - 1].first;
    if (segment_index_put(shard->config.file, shard->directory, first, shard->index_count,
                          &entry) == 0)
        shard->index_count++;
}

static void accept_block(struct shard *shard, const struct segment_block *block, int64_t offset) {
    struct shard_segment *segment = &shard->segments[shard->segment_count - 1];
    if (!segment->first_ms)
        segment->first_ms = block->base_ms;
    segment->last_ms = shard->last_ms = block->last_ms;
    shard->next = block->first_counter + block->count;
    shard->end = offset + (int64_t)block->bytes;
    rebuild_index(shard, block, offset);
}

/* Reads on from blocks->offset; returns why it ended. */
static int scan_blocks(struct shard *shard, struct block_file *blocks) {
    for (;;) {
        struct segment_block block;
        if (shard->next >= shard->limit)
            return ERR_AGAIN;
        int status = block_file_read(blocks, &block);
        if (status)
            return status;
        if (block.first_counter != shard->next)
            return ERR_CORRUPT;
        accept_block(shard, &block, blocks->offset);
        blocks->offset += (int64_t)block.bytes;
    }
}

static void report_damage(struct shard *shard, const char *path, int64_t from, int64_t to,
                          uint64_t lost_from, uint64_t lost_to) {
    shard->damaged++;
    shard->damaged_records += lost_to - lost_from;
    shard->must_roll = true;
    log_warn("stream",
             "%s: damaged between bytes %" PRId64 " and %" PRId64 "; records %" PRIu64
             " to %" PRIu64 " of %s are lost",
             path, from, to, lost_from, lost_to - 1, shard->label);
}

/* From one good block to the next, over damage, to the end of what is there. */
static int scan_last(struct shard *shard, struct block_file *blocks, const char *path) {
    for (;;) {
        int status = scan_blocks(shard, blocks);
        if (status != ERR_AGAIN && status != ERR_CORRUPT)
            return status;
        if (shard->next >= shard->limit)
            return 0;
        status = block_file_find(blocks, shard->next, shard->next + 1);
        if (status)
            return status == ERR_NOT_FOUND ? 0 : status;
        struct segment_block block;
        if (block_file_header(blocks, &block) == 0) {
            report_damage(shard, path, shard->end, blocks->offset, shard->next,
                          block.first_counter);
            shard->next = block.first_counter;
            shard->end = blocks->offset;
        }
    }
}

/* Whether anything but zeros stands behind the end. */
static bool has_remains(const struct block_file *blocks, int64_t end) {
    uint8_t bytes[64 * 1024];
    ssize_t got;
    for (int64_t at = end;; at += got) {
        got = blocks->file->pread(blocks->file->self, blocks->fd, bytes, sizeof bytes, at);
        for (ssize_t i = 0; i < got; i++)
            if (bytes[i])
                return true;
        if (got <= 0)
            return got < 0;
    }
}

/* Cuts the file at the end of what it holds, if it must be cut, and has it on disk. */
static int settle_tail(struct shard *shard, const char *path, bool cut) {
    const struct file_ops *file = shard->config.file;
    int fd, status = file->open(file->self, path, O_RDWR | O_CLOEXEC, 0, &fd);
    if (status)
        return status;
    if (cut)
        status = file->truncate(file->self, fd, shard->end);
    if (shard->config.files && shard->config.files->defers_sync)
        list_push_back(&shard->config.files->unsynced, &shard->in_unsynced);
    else if (status == 0)
        status = file->datasync(file->self, fd);
    file->close(file->self, fd);
    return status;
}

int shard_sync_recovered(struct shard *shard) {
    const struct file_ops *file = shard->config.file;
    char *path = segment_path(shard->directory, shard->segments[shard->segment_count - 1].first);
    int fd, status = file->open(file->self, path, O_RDWR | O_CLOEXEC, 0, &fd);
    if (status == 0) {
        status = file->datasync(file->self, fd);
        file->close(file->self, fd);
    }
    free(path);
    return status;
}

/* The index is not synced: after a power cut it may point to what was cut off. It is made anew. */
static void forget_index(struct shard *shard, uint64_t first) {
    char *path = segment_index_path(shard->directory, first);
    shard->config.file->unlink(shard->config.file->self, path);
    free(path);
}

static int recover_last(struct shard *shard, struct block_file *blocks) {
    struct shard_segment *segment = &shard->segments[shard->segment_count - 1];
    char *path = segment_path(shard->directory, segment->first);
    int64_t file_bytes = segment->bytes;
    shard->next = segment->first;
    forget_index(shard, segment->first);
    int status = block_file_open(blocks, path);
    blocks->end = file_bytes;
    if (status == 0)
        status = scan_last(shard, blocks, path);
    if (status == 0) {
        bool cut = has_remains(blocks, shard->end);
        if (cut)
            log_info("stream", "%s: an unfinished write behind byte %" PRId64 " is cut off", path,
                     shard->end);
        shard->made = cut || file_bytes < shard->end ? shard->end : file_bytes;
        status = settle_tail(shard, path, cut);
    }
    block_file_close(blocks);
    free(path);
    segment->bytes = shard->end;
    shard->synced = shard->next;
    return status;
}

/* ---- all segments ---- */

static uint64_t first_arrival(const struct shard *shard, struct block_file *blocks,
                              uint64_t first) {
    char *path = segment_path(shard->directory, first);
    struct segment_block block;
    bool found = block_file_open(blocks, path) == 0;
    blocks->end = SEGMENT_BLOCK_HEADER_BYTES;
    found = found && block_file_header(blocks, &block) == 0;
    block_file_close(blocks);
    free(path);
    return found ? block.base_ms : 0;
}

/* An empty last segment does not tell the last arrival; the one before it does. */
static uint64_t last_arrival(const struct shard *shard, struct block_file *blocks, uint64_t first) {
    char *path = segment_path(shard->directory, first);
    struct segment_block block;
    uint64_t arrival_ms = 0;
    if (block_file_open(blocks, path) == 0)
        for (; block_file_header(blocks, &block) == 0; blocks->offset += (int64_t)block.bytes)
            arrival_ms = block.last_ms;
    block_file_close(blocks);
    free(path);
    return arrival_ms;
}

static void list_segments(struct shard *shard, struct block_file *blocks,
                          const struct segment_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        struct shard_segment segment = {.first = list->first[i]};
        char *path = segment_path(shard->directory, segment.first);
        struct stat stat_now;
        if (stat(path, &stat_now) == 0)
            segment.bytes = stat_now.st_size;
        free(path);
        if (i + 1 < list->count)
            segment.first_ms = first_arrival(shard, blocks, segment.first);
        shard_add_segment(shard, &segment);
    }
}

/* A sealed segment's last arrival is no later than the first one behind it. */
static void bound_arrivals(struct shard *shard, struct block_file *blocks) {
    size_t count = shard->segment_count;
    if (count > 1 && shard->last_ms == 0)
        shard->last_ms = last_arrival(shard, blocks, shard->segments[count - 2].first);
    uint64_t later_ms = shard->last_ms;
    for (size_t i = count; i-- > 0;) {
        struct shard_segment *segment = &shard->segments[i];
        if (!segment->last_ms)
            segment->last_ms = later_ms;
        if (segment->first_ms)
            later_ms = segment->first_ms;
    }
}

int shard_recover(struct shard *shard, struct err *err) {
    struct segment_list list = {0};
    int status = segment_list_read(shard->directory, &list);
    if (status)
        return err_set(err, status, "%s: cannot be listed: %s", shard->directory, err_text(status));
    if (list.count) {
        struct block_file blocks = {.file = shard->config.file, .seed = shard->seed};
        list_segments(shard, &blocks, &list);
        status = recover_last(shard, &blocks);
        if (status)
            err_set_errno(err, errno, "%s: segment %" PRIu64 " cannot be recovered",
                          shard->directory, list.first[list.count - 1]);
        else
            bound_arrivals(shard, &blocks);
        block_file_done(&blocks);
    }
    if (list.count == 0 && shard->limit != UINT64_MAX)
        shard->next = shard->limit; /* Retention has removed all of a closed shard. */
    segment_list_done(&list);
    shard_publish(shard);
    return status;
}

bool recovery_check(const struct shard *shard) {
    uint64_t first = shard->segments[shard->segment_count - 1].first;
    struct block_file blocks = {.file = shard->config.file, .seed = shard->seed};
    char *path = segment_path(shard->directory, first);
    bool good = block_file_open(&blocks, path) == 0;
    free(path);
    struct segment_block block = {0};
    while (good && blocks.offset < shard->end) {
        good = block_file_read(&blocks, &block) == 0;
        blocks.offset += (int64_t)block.bytes;
    }
    block_file_done(&blocks);
    return good && blocks.offset == shard->end;
}
