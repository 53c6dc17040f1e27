/*
 * Reading on from a counter. The names of the segments say which one holds it, the segment's index
 * where about; from there blocks are passed over by their headers. A batch is cut from blocks that
 * lie in the window one behind the other: they are first collected (the window may move while it
 * grows), then their records are listed.
 *
 * Where no good block follows, the next record is, in this order: in the segment that is named by
 * its counter (the normal end of a segment, whatever space stands behind it); in a later block of
 * this segment (damage); in a later segment (damage, or retention has overtaken the reader: then
 * nothing before it is left and nothing is reported). A bounded cursor that finds it nowhere goes
 * on at its limit, since all below the limit was once there; a view has come to the end.
 */
#include "stream/cursor.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    OPEN_TRIES = 3, /* retention may remove a segment between listing and opening */
    COLLECT_BYTES_MAX = 16 * 1024 * 1024, /* of one batch, whatever is asked for */
    WINDOW_BYTES_KEPT = 256 * 1024, /* a wider window is given back when the reader is at the end */
};

void cursor_init(struct cursor *cursor, const struct file_ops *file, const char *directory,
                 uint32_t seed, bool bounded) {
    *cursor = (struct cursor){
        .directory = directory, .blocks = {.file = file, .seed = seed}, .bounded = bounded};
}

void cursor_done(struct cursor *cursor) {
    block_file_done(&cursor->blocks);
    free(cursor->records);
    cursor->records = NULL;
    cursor->record_cap = 0;
}

void cursor_seek(struct cursor *cursor, uint64_t counter) {
    block_file_close(&cursor->blocks);
    cursor->counter = counter;
    cursor->arrival_ms = 0;
}

/* ---- segments ---- */

static int open_segment(struct cursor *cursor, uint64_t first) {
    block_file_close(&cursor->blocks);
    char *path = segment_path(cursor->directory, first);
    int status = block_file_open(&cursor->blocks, path);
    free(path);
    cursor->segment_first = first;
    cursor->partial.block = -1;
    return status;
}

static void bound(struct cursor *cursor, const struct shard_tip *limit) {
    bool last = cursor->segment_first == limit->segment_first;
    cursor->blocks.end = last ? limit->segment_end : INT64_MAX;
}

/* Goes as near as the index allows, if its entry holds true. */
static void use_index(struct cursor *cursor, uint64_t counter, uint64_t before_ms) {
    struct segment_index_entry entry;
    if (!segment_index_find(cursor->blocks.file, cursor->directory, cursor->segment_first, counter,
                            before_ms, &entry))
        return;
    struct segment_block block;
    if (entry.offset > INT64_MAX / 2 || entry.offset % SEGMENT_ALIGN_BYTES)
        return;
    cursor->blocks.offset = (int64_t)entry.offset;
    if (block_file_header(&cursor->blocks, &block) != 0 || block.first_counter != entry.counter)
        cursor->blocks.offset = 0;
}

static int open_listed(struct cursor *cursor) {
    struct segment_list list;
    int status = segment_list_read(cursor->directory, &list);
    if (status)
        return status;
    status = ERR_AGAIN;
    if (list.count) {
        size_t floor = segment_list_floor(&list, cursor->counter);
        if (floor == list.count) {
            floor = 0;
            cursor->skipped += list.first[0] - cursor->counter;
            cursor->counter = list.first[0];
        }
        status = open_segment(cursor, list.first[floor]);
    }
    segment_list_done(&list);
    return status;
}

/* Opens the segment that holds the counter, or the oldest if it is gone. AGAIN: there is none at
 * all. */
static int open_at_counter(struct cursor *cursor, const struct shard_tip *limit) {
    int status = ERR_NOT_FOUND;
    if (cursor->counter >= limit->segment_first)
        status = open_segment(cursor, limit->segment_first);
    for (int i = 0; status == ERR_NOT_FOUND && i < OPEN_TRIES; i++)
        status = open_listed(cursor);
    if (status)
        return status == ERR_AGAIN ? status : ERR_IO;
    bound(cursor, limit);
    if (cursor->counter > cursor->segment_first)
        use_index(cursor, cursor->counter, UINT64_MAX);
    return 0;
}

/* ---- damage ---- */

static int report_loss(struct cursor *cursor, uint64_t to) {
    cursor->damage.segment_first = cursor->segment_first;
    cursor->damage.offset = cursor->blocks.offset;
    cursor->damage.from = cursor->counter;
    cursor->damage.to = to;
    cursor->skipped += to - cursor->counter;
    cursor->counter = to;
    return ERR_CORRUPT;
}

/* The first segment above the counter; UINT64_MAX if there is none. Whether anything at or below it
 * is left. */
static int segment_above(const struct cursor *cursor, uint64_t *ret_first, bool *ret_older) {
    struct segment_list list;
    int status = segment_list_read(cursor->directory, &list);
    if (status)
        return status;
    size_t floor = segment_list_floor(&list, cursor->counter);
    size_t above = floor == list.count ? 0 : floor + 1;
    *ret_older = floor < list.count;
    *ret_first = above < list.count ? list.first[above] : UINT64_MAX;
    segment_list_done(&list);
    return 0;
}

/* A view looks at files that grow while it looks. What was not there at `offset` is there by now, if
 * something that was written behind it is. Moves there. */
static bool has_come(struct cursor *cursor, int64_t offset) {
    struct block_file *blocks = &cursor->blocks;
    struct segment_block block;
    int64_t moved = blocks->offset;
    if (cursor->bounded || !blocks->opened)
        return false;
    blocks->offset = offset;
    block_file_forget(blocks);
    if (block_file_read(blocks, &block) == 0 && block.first_counter <= cursor->counter)
        return true;
    blocks->offset = moved;
    block_file_forget(blocks);
    return false;
}

/* The open segment holds nothing more that is good. 0: look again; CORRUPT: records were lost;
 * AGAIN: the end of a view. */
static int leave_segment(struct cursor *cursor, const struct shard_tip *limit) {
    uint64_t first;
    bool older;
    int status = segment_above(cursor, &first, &older);
    if (status)
        return ERR_IO;
    if (first != UINT64_MAX && first < limit->counter) {
        if (!older) {
            cursor->skipped += first - cursor->counter;
            cursor_seek(cursor, first);
            return 0;
        }
        if (has_come(cursor, cursor->blocks.offset))
            return 0;
        status = report_loss(cursor, first);
        block_file_close(&cursor->blocks);
        return status;
    }
    if (!cursor->bounded)
        return ERR_AGAIN;
    status = report_loss(cursor, limit->counter);
    block_file_close(&cursor->blocks);
    return status;
}

/* No good block stands at the offset. */
static int go_on(struct cursor *cursor, const struct shard_tip *limit, bool at_end) {
    if (cursor->counter != cursor->segment_first) {
        uint64_t before = cursor->segment_first;
        int64_t offset = cursor->blocks.offset;
        int status = open_segment(cursor, cursor->counter);
        if (status != ERR_NOT_FOUND)
            return status ? ERR_IO : 0;
        status = open_segment(cursor, before);
        if (status)
            return status == ERR_NOT_FOUND ? leave_segment(cursor, limit) : ERR_IO;
        cursor->blocks.offset = offset;
        bound(cursor, limit);
    }
    uint64_t synced_least = cursor->bounded ? 0 : cursor->counter + 1;
    int64_t offset = cursor->blocks.offset;
    if (!at_end && block_file_find(&cursor->blocks, cursor->counter, synced_least) == 0) {
        has_come(cursor, offset);
        return 0;
    }
    return leave_segment(cursor, limit);
}

/* ---- blocks ---- */

/* The block that holds the counter, checked. */
static int find_block(struct cursor *cursor, const struct shard_tip *limit,
                      struct segment_block *ret_block) {
    struct block_file *blocks = &cursor->blocks;
    for (;;) {
        int status = blocks->opened ? 0 : open_at_counter(cursor, limit);
        if (status)
            return status;
        bound(cursor, limit);
        status = block_file_header(blocks, ret_block);
        uint64_t end = status == 0 ? ret_block->first_counter + ret_block->count : 0;
        if (status == 0 && end <= cursor->counter) {
            blocks->offset += (int64_t)ret_block->bytes;
            continue;
        }
        if (status == 0 && ret_block->first_counter > cursor->counter)
            return report_loss(cursor, ret_block->first_counter);
        bool damaged_payload = false;
        if (status == 0) {
            status = block_file_read(blocks, ret_block);
            damaged_payload = status == ERR_CORRUPT;
        }
        if (status == 0)
            return 0;
        if (damaged_payload && cursor->bounded)
            return report_loss(cursor, end);
        if (status != ERR_AGAIN && status != ERR_CORRUPT)
            return ERR_IO;
        status = go_on(cursor, limit, status == ERR_AGAIN);
        if (status)
            return status;
    }
}

/* Checks further blocks behind the one at blocks->offset until there is enough; returns where they
 * end. */
static int64_t collect(struct cursor *cursor, const struct segment_block *first, size_t records_max,
                       size_t bytes_max) {
    struct block_file *blocks = &cursor->blocks;
    struct segment_block block = *first;
    uint64_t records = block.first_counter + block.count - cursor->counter;
    size_t bytes = block.payload_bytes;
    uint64_t next = block.first_counter + block.count;
    blocks->keep = blocks->offset;
    for (;;) {
        blocks->offset += (int64_t)block.bytes;
        if (records >= records_max || bytes >= bytes_max)
            break;
        if (block_file_read(blocks, &block) != 0 || block.first_counter != next)
            break;
        records += block.count;
        bytes += block.payload_bytes;
        next += block.count;
    }
    return blocks->offset;
}

static struct stream_record *record_room(struct cursor *cursor, size_t count) {
    if (count >= cursor->record_cap) {
        cursor->record_cap = cursor->record_cap ? 2 * cursor->record_cap : 64;
        cursor->records = xrealloc(cursor->records, cursor->record_cap * sizeof *cursor->records);
    }
    return &cursor->records[count];
}

struct wanted {
    size_t records_max, bytes_max;
};

/* Lists the records of one block from the cursor on. False when there is no room for more in the
 * batch or the payload is no list of records; the cursor stands where it stopped. */
static bool list_block(struct cursor *cursor, const struct segment_block *block,
                       const struct wanted *wanted, struct stream_batch *batch) {
    int64_t offset = cursor->blocks.offset;
    bool partial = cursor->partial.block == offset && cursor->partial.counter <= cursor->counter;
    uint64_t counter = partial ? cursor->partial.counter : block->first_counter;
    size_t at = partial ? cursor->partial.offset : 0;
    uint64_t end = block->first_counter + block->count;
    struct segment_record record;
    for (; counter < end; counter++, at += record.bytes) {
        if (!segment_record_read(block->payload + at, block->payload_bytes - at, &record))
            return false;
        if (counter < cursor->counter)
            continue;
        bool full = batch->count == wanted->records_max ||
                    (batch->count && batch->bytes + record.data.len > wanted->bytes_max);
        if (full) {
            cursor->partial.block = offset;
            cursor->partial.counter = counter;
            cursor->partial.offset = at;
            return false;
        }
        cursor->arrival_ms = block->base_ms + record.delta_ms;
        *record_room(cursor, batch->count) =
            (struct stream_record){counter, cursor->arrival_ms, record.key, record.data};
        batch->count++;
        batch->bytes += record.data.len;
        cursor->counter = counter + 1;
    }
    return true;
}

static void list_blocks(struct cursor *cursor, int64_t end, const struct wanted *wanted,
                        struct stream_batch *batch) {
    struct block_file *blocks = &cursor->blocks;
    blocks->offset = blocks->keep;
    while (blocks->offset < end) {
        const uint8_t *at = block_file_at(blocks, blocks->offset);
        struct segment_block block;
        int status = segment_header_read(at, (size_t)(end - blocks->offset), blocks->seed, &block);
        ASSERT(status == 0);
        block.payload = at + SEGMENT_BLOCK_HEADER_BYTES;
        if (!list_block(cursor, &block, wanted, batch))
            break;
        blocks->offset += (int64_t)block.bytes;
    }
    batch->records = cursor->records;
}

static void rest(struct cursor *cursor) {
    if (!cursor->bounded)
        block_file_forget(&cursor->blocks);
    if (cursor->blocks.cap <= WINDOW_BYTES_KEPT)
        return;
    free(cursor->blocks.window);
    cursor->blocks.window = NULL;
    cursor->blocks.cap = 0;
    block_file_forget(&cursor->blocks);
}

int cursor_next(struct cursor *cursor, const struct shard_tip *limit, size_t records_max,
                size_t bytes_max, struct stream_batch *ret_batch) {
    struct stream_batch batch = {0};
    struct segment_block block;
    cursor->blocks.keep = -1;
    if (cursor->counter >= limit->counter || records_max == 0) {
        rest(cursor);
        return ERR_AGAIN;
    }
    int status = find_block(cursor, limit, &block);
    if (status == ERR_AGAIN)
        rest(cursor);
    if (status)
        return status;
    size_t collect_max = bytes_max < COLLECT_BYTES_MAX ? bytes_max : COLLECT_BYTES_MAX;
    int64_t end = collect(cursor, &block, records_max, collect_max);
    struct wanted wanted = {records_max, bytes_max};
    list_blocks(cursor, end, &wanted, &batch);
    if (batch.count == 0) {
        /* The payload checks and is no list of records all the same. */
        cursor->blocks.offset = cursor->blocks.keep + (int64_t)block.bytes;
        return report_loss(cursor, block.first_counter + block.count);
    }
    *ret_batch = batch;
    return 0;
}

/* ---- seeking ---- */

int cursor_seek_oldest(struct cursor *cursor, const struct shard_tip *limit) {
    struct segment_list list;
    int status = segment_list_read(cursor->directory, &list);
    if (status)
        return status;
    cursor_seek(cursor, list.count ? list.first[0] : cursor->bounded ? limit->counter : 0);
    segment_list_done(&list);
    return 0;
}

/* Arrival of the segment's first record; UINT64_MAX if it has none. */
static uint64_t first_arrival(struct cursor *cursor, const struct shard_tip *limit,
                              uint64_t first) {
    struct segment_block block;
    if (open_segment(cursor, first) != 0)
        return UINT64_MAX;
    bound(cursor, limit);
    if (cursor->blocks.end > SEGMENT_BLOCK_HEADER_BYTES)
        cursor->blocks.end = SEGMENT_BLOCK_HEADER_BYTES;
    return block_file_header(&cursor->blocks, &block) == 0 ? block.base_ms : UINT64_MAX;
}

/* In the open segment; leaves the counter behind its last good block when all records are older. */
static void seek_time_in_segment(struct cursor *cursor, uint64_t timestamp_ms) {
    struct block_file *blocks = &cursor->blocks;
    struct segment_block block;
    use_index(cursor, UINT64_MAX, timestamp_ms);
    cursor->counter = cursor->segment_first;
    for (; block_file_header(blocks, &block) == 0; blocks->offset += (int64_t)block.bytes) {
        cursor->counter = block.first_counter;
        if (block.last_ms >= timestamp_ms)
            break;
        cursor->counter += block.count;
    }
    if (block_file_read(blocks, &block) != 0 || block.base_ms >= timestamp_ms)
        return;
    struct segment_record record;
    for (size_t at = 0; segment_record_read(block.payload + at, block.payload_bytes - at, &record);
         at += record.bytes, cursor->counter++)
        if (block.base_ms + record.delta_ms >= timestamp_ms)
            break;
}

int cursor_seek_time(struct cursor *cursor, const struct shard_tip *limit, uint64_t timestamp_ms) {
    struct segment_list list;
    int status = segment_list_read(cursor->directory, &list);
    if (status)
        return status;
    size_t low = 0, high = list.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (first_arrival(cursor, limit, list.first[middle]) < timestamp_ms)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0) {
        cursor_seek(cursor, list.count ? list.first[0] : cursor->bounded ? limit->counter : 0);
    } else if (open_segment(cursor, list.first[low - 1]) == 0) {
        bound(cursor, limit);
        seek_time_in_segment(cursor, timestamp_ms);
        cursor_seek(cursor, cursor->counter);
    } else {
        cursor_seek(cursor, list.first[low - 1]);
    }
    segment_list_done(&list);
    return 0;
}

uint64_t cursor_next_arrival_ms(const struct cursor *cursor) {
    const struct block_file *blocks = &cursor->blocks;
    int64_t window_end = blocks->base + (int64_t)blocks->len;
    struct segment_block block;
    if (blocks->opened && blocks->offset >= blocks->base && blocks->offset < window_end &&
        segment_header_read(block_file_at(blocks, blocks->offset),
                            (size_t)(window_end - blocks->offset), blocks->seed, &block) == 0 &&
        block.first_counter <= cursor->counter &&
        cursor->counter - block.first_counter < block.count)
        return block.base_ms;
    return cursor->arrival_ms;
}
