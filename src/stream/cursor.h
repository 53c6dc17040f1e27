/*
 * A position in a shard's segment files and the reading from there on: what readers and views have
 * in common. No thread, no loop; it belongs to whoever made it.
 */
#ifndef STREAM_CURSOR_H
#define STREAM_CURSOR_H

#include "stream/block_file.h"
#include "stream/pack.h"
#include "stream/segment_files.h"
#include "stream/shard.h"
#include "stream/stream.h"

struct cursor {
    const char *directory; /* of the shard; the owner's */
    struct block_file blocks;
    bool bounded;           /* reads below a tip; else it is a view that takes what checks */
    uint64_t counter;       /* of the next record */
    uint64_t segment_first; /* of the open segment */
    uint64_t skipped;       /* records that were gone or damaged */
    uint64_t arrival_ms;    /* of the last record given out */

    /* Where the next record lies if the block at blocks.offset was given out in part. */
    struct {
        int64_t block;
        uint64_t counter;
        size_t offset;
    } partial;

    /* The records of the compressed blocks of the batch that was given out. */
    struct {
        struct unpacker unpacker;
        struct str last; /* those of the block at last_block; -1: none */
        int64_t last_block;
    } unpacked;

    /* The last damaged place, once cursor_next() said CORRUPT. */
    struct {
        uint64_t segment_first, from, to; /* records lost: from..to-1 */
        int64_t offset;
    } damage;

    struct stream_record *records;
    size_t record_cap;
};

/* The limit of a view: none. A reader's limit is the tip of its shard. */
#define CURSOR_NO_LIMIT ((struct shard_tip){UINT64_MAX, UINT64_MAX, INT64_MAX})

void cursor_init(struct cursor *cursor, const struct file_ops *file, const char *directory,
                 uint32_t seed, bool bounded);
void cursor_done(struct cursor *cursor);

/* Nothing is read before the next call of cursor_next(). */
void cursor_seek(struct cursor *cursor, uint64_t counter);

/* To the oldest record there is. */
int cursor_seek_oldest(struct cursor *cursor, const struct shard_tip *limit);

/* To the first record with arrival >= timestamp_ms, or behind the last. */
int cursor_seek_time(struct cursor *cursor, const struct shard_tip *limit, uint64_t timestamp_ms);

/* As stream_reader_next(). */
int cursor_next(struct cursor *cursor, const struct shard_tip *limit, size_t records_max,
                size_t bytes_max, struct stream_batch *ret_batch);

/* Arrival of the next record if its block lies in memory, else of the last one that was given out;
 * 0: not known. */
uint64_t cursor_next_arrival_ms(const struct cursor *cursor);

#endif
