/* The segment files of a shard's directory: their names, which there are, and the index beside
 * each. */
#ifndef STREAM_SEGMENT_FILES_H
#define STREAM_SEGMENT_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/file.h"

enum { SEGMENT_NAME_DIGITS = 20 };

/* "directory/00000000000000000042.seg" for the segment that begins with record 42; the caller frees
 * it. */
char *segment_path(const char *directory, uint64_t first);
char *segment_index_path(const char *directory, uint64_t first);

/* First counters of the segments, ascending. Zeroed is valid and empty. */
struct segment_list {
    uint64_t *first;
    size_t count;
};

/* An absent directory is an empty list. */
int segment_list_read(const char *directory, struct segment_list *ret_list);
void segment_list_done(struct segment_list *list);

/* Index of the last segment that begins at or below `counter`, or list->count if there is none. */
size_t segment_list_floor(const struct segment_list *list, uint64_t counter);

/*
 * The index of a segment is a hint: every SEGMENT_INDEX_BYTES or so the log thread notes where a
 * block begins. It is never synced; whoever uses an entry checks that the block is there, and reads
 * from the beginning if not.
 */
enum { SEGMENT_INDEX_BYTES = 256 * 1024 };

struct segment_index_entry {
    uint64_t counter, arrival_ms,
        offset; /* of the block's first record; of the block in the file */
};

/* Writes the entry number `number`. */
int segment_index_put(const struct file_ops *file, const char *directory, uint64_t first,
                      size_t number, const struct segment_index_entry *entry);

/* The last entry with a counter at or below `counter` and an arrival before `before_ms`. False when
 * there is none. */
bool segment_index_find(const struct file_ops *file, const char *directory, uint64_t first,
                        uint64_t counter, uint64_t before_ms,
                        struct segment_index_entry *ret_entry);

#endif
