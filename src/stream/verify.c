/*
 * Checking all that lies on disk, for `weir stream verify`: nothing is changed, nothing locked, and a
 * process may write to the streams meanwhile.
 *
 *      metadata   it parses, the ranges of its open shards cover all hash keys (meta.c); no directory
 *                 of a shard that it does not know
 *      segments   each begins with the counter at which the one before it ends
 *      blocks     both sums; they touch each other; counters without a gap; arrivals and synced
 *                 counters that never fall; zeros as padding
 *      records    they can be unpacked and fill the block's payload, their number and last arrival are the header's
 *      index      each entry points to a block that begins with its counter at its arrival. An entry of
 *                 zeros was never written: the index is not synced
 *
 * A place that does not check is damage, but for the end of a shard's last segment: there it may be
 * space made ready, or a write that is under way or was interrupted (recovery.c has the rule that tells
 * them apart, and it is the same here). What a running process may have changed between two looks is
 * looked at a second time before anything is said: blocks are read anew, metadata is loaded anew, a
 * file that has gone is no fault.
 *
 * The bytes of all segments are summed up first, so that progress can be told as a part of the whole.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "stream/block_file.h"
#include "stream/log.h"
#include "stream/meta.h"
#include "stream/pack.h"
#include "stream/segment_files.h"

enum { INDEX_BYTES_MAX = 64 * 1024 * 1024 };

struct verifier {
    const struct stream_verify_watch *watch;
    struct stream_verify_counts counts;
    bool measuring; /* only adds up the bytes */
};

/* One shard on the way through its segments. */
struct passage {
    struct verifier *verifier;
    const char *directory;
    uint32_t seed;
    uint64_t next; /* counter of the next record */
    uint64_t last_ms, synced;
    bool known; /* `next`: false before the first segment and behind one that has gone */
};

/* One segment. */
struct segment_pass {
    struct passage *passage;
    struct verifier *verifier;
    const char *path;
    bool is_last;
    struct block_file blocks;
    struct unpacker unpacker;
    struct segment_index_entry *index;
    size_t index_count, index_at;
    int64_t bytes;
};

static void report(struct verifier *verifier, const char *path, int64_t offset, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));

static void report(struct verifier *verifier, const char *path, int64_t offset, const char *format,
                   ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    verifier->counts.faults++;
    verifier->watch->fault(verifier->watch->data, path, offset, text);
}

/* ---- index ---- */

static void load_index(struct segment_pass *pass, uint64_t first, struct buf *room) {
    char *path = segment_index_path(pass->passage->directory, first);
    if (file_read_all(path, INDEX_BYTES_MAX, room, NULL) == 0 && buf_len(room)) {
        pass->index_count = buf_len(room) / sizeof *pass->index;
        pass->index = xcalloc(pass->index_count + 1, sizeof *pass->index);
        memcpy(pass->index, buf_at(room), pass->index_count * sizeof *pass->index);
    }
    free(path);
}

static bool is_blank(const struct segment_index_entry *entry) {
    return !entry->counter && !entry->arrival_ms && !entry->offset;
}

static void report_index(struct segment_pass *pass) {
    const struct segment_index_entry *entry = &pass->index[pass->index_at];
    char *path = xstrdup(pass->path);
    memcpy(path + strlen(path) - 3, "idx", 3);
    report(pass->verifier, path, (int64_t)(pass->index_at * sizeof *entry),
           "points to byte %" PRIu64 " of its segment, where no block of record %" PRIu64 " stands",
           entry->offset, entry->counter);
    free(path);
}

/* The entries up to this block. */
static void check_index(struct segment_pass *pass, const struct segment_block *block) {
    uint64_t offset = (uint64_t)pass->blocks.offset;
    for (; pass->index_at < pass->index_count; pass->index_at++) {
        const struct segment_index_entry *entry = &pass->index[pass->index_at];
        if (is_blank(entry))
            continue;
        if (entry->offset > offset)
            return;
        if (entry->offset != offset || entry->counter != block->first_counter ||
            entry->arrival_ms != block->base_ms)
            report_index(pass);
    }
}

/* Behind the last block no entry may point anywhere. */
static void check_index_rest(struct segment_pass *pass) {
    for (; pass->index_at < pass->index_count; pass->index_at++)
        if (!is_blank(&pass->index[pass->index_at]))
            report_index(pass);
}

/* ---- blocks ---- */

static bool is_zero(const uint8_t *at, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (at[i])
            return false;
    return true;
}

/* What is wrong with the records, or NULL. */
static const char *check_records(struct unpacker *unpacker, const struct segment_block *block) {
    struct segment_record record;
    struct str records;
    uint32_t count = 0;
    uint16_t delta_ms = 0;
    if (unpacker_one(unpacker, block, &records))
        return "the payload cannot be unpacked";
    for (size_t at = 0; at < records.len; at += record.bytes, count++) {
        if (!segment_record_read((const uint8_t *)records.at + at, records.len - at, &record))
            return "the payload is no list of records";
        if (record.delta_ms < delta_ms)
            return "arrivals of records fall";
        delta_ms = record.delta_ms;
    }
    if (count != block->count)
        return "the header tells another number of records";
    if (block->base_ms + delta_ms != block->last_ms)
        return "the header tells another last arrival";
    size_t used = SEGMENT_BLOCK_HEADER_BYTES + block->payload_bytes;
    return is_zero(block->payload + block->payload_bytes, block->bytes - used)
               ? NULL
               : "the padding is not zero";
}

static void check_block(struct segment_pass *pass, const struct segment_block *block) {
    struct passage *passage = pass->passage;
    struct verifier *verifier = pass->verifier;
    int64_t offset = pass->blocks.offset;
    if (block->first_counter != passage->next)
        report(verifier, pass->path, offset,
               "the block begins with record %" PRIu64 " where %" PRIu64 " is due",
               block->first_counter, passage->next);
    if (block->base_ms < passage->last_ms)
        report(verifier, pass->path, offset, "the block arrived before the one in front of it");
    if (block->synced_counter < passage->synced)
        report(verifier, pass->path, offset, "the synced counter falls");
    const char *wrong = check_records(&pass->unpacker, block);
    if (wrong)
        report(verifier, pass->path, offset, "%s", wrong);
    check_index(pass, block);
    passage->next = block->first_counter + block->count;
    passage->last_ms = block->last_ms;
    passage->synced = block->synced_counter;
    verifier->counts.blocks++;
    verifier->counts.records += block->count;
    verifier->counts.bytes += block->bytes;
}

/* The block at the offset; what does not check is read again, for it may have been under way. */
static int read_block(struct segment_pass *pass, struct segment_block *ret_block) {
    int status = block_file_read(&pass->blocks, ret_block);
    if (status == 0)
        return 0;
    block_file_forget(&pass->blocks);
    return block_file_read(&pass->blocks, ret_block);
}

/* A segment that was done with was cut to its length, but the cut may not have reached the disk; space
 * that was made ready stays then. The next segment's counter tells whether anything is missing. */
static bool is_rest_blank(const struct segment_pass *pass) {
    uint8_t bytes[4096];
    int64_t at = pass->blocks.offset;
    ssize_t got;
    while ((got = pread(pass->blocks.fd, bytes, sizeof bytes, at)) > 0 &&
           is_zero(bytes, (size_t)got))
        at += got;
    return got == 0;
}

/* Goes to the next good block behind a place without one. False: there is none, and what is left is
 * the end of the segment. */
static bool pass_over(struct segment_pass *pass) {
    struct block_file *blocks = &pass->blocks;
    struct passage *passage = pass->passage;
    int64_t from = blocks->offset;
    struct segment_block block;
    if (block_file_find(blocks, passage->next, pass->is_last ? passage->next + 1 : 0) == 0 &&
        block_file_header(blocks, &block) == 0) {
        report(pass->verifier, pass->path, from,
               "damaged up to byte %" PRId64 "; records %" PRIu64 " to %" PRIu64 " are lost",
               blocks->offset, passage->next, block.first_counter - 1);
        passage->next = block.first_counter;
        return true;
    }
    blocks->offset = from;
    if (!pass->is_last && !is_rest_blank(pass))
        report(pass->verifier, pass->path, from,
               "damaged from here to the end at byte %" PRId64 "; from record %" PRIu64
               " on all are lost",
               pass->bytes, passage->next);
    return false;
}

static void tell_progress(struct segment_pass *pass) {
    const struct stream_verify_watch *watch = pass->verifier->watch;
    if (watch->progress)
        watch->progress(watch->data, pass->path, &pass->verifier->counts);
}

static void walk_blocks(struct segment_pass *pass) {
    struct block_file *blocks = &pass->blocks;
    for (;;) {
        struct segment_block block;
        int status = read_block(pass, &block);
        if (status == 0) {
            check_block(pass, &block);
            blocks->offset += (int64_t)block.bytes;
            tell_progress(pass);
        } else if (status == ERR_IO) {
            report(pass->verifier, pass->path, blocks->offset, "cannot be read: %s",
                   strerror(errno));
            return;
        } else if (status == ERR_AGAIN && blocks->offset >= pass->bytes) {
            return;
        } else if (!pass_over(pass)) {
            return;
        }
    }
}

/* ---- segments ---- */

static void begin_segment(struct segment_pass *pass, uint64_t first) {
    struct passage *passage = pass->passage;
    if (passage->known && first != passage->next)
        report(pass->verifier, pass->path, 0,
               "the segment before it ends with record %" PRIu64 ": %s", passage->next - 1,
               first > passage->next ? "one is missing" : "they overlap");
    passage->next = first;
    passage->known = true;
}

static void verify_segment(struct passage *passage, uint64_t first, bool is_last) {
    struct verifier *verifier = passage->verifier;
    struct buf room = {0};
    struct stat stat_now;
    char *path = segment_path(passage->directory, first);
    struct segment_pass pass = {.passage = passage,
                                .verifier = verifier,
                                .path = path,
                                .is_last = is_last,
                                .blocks = {.file = &file_ops_real, .seed = passage->seed}};
    load_index(&pass, first, &room);
    if (stat(path, &stat_now) == 0 && block_file_open(&pass.blocks, path) == 0) {
        pass.bytes = stat_now.st_size;
        begin_segment(&pass, first);
        walk_blocks(&pass);
        check_index_rest(&pass);
        verifier->counts.segments++;
    } else if (access(path, F_OK) == 0) {
        report(verifier, path, 0, "cannot be opened: %s", strerror(errno));
    } else {
        passage->known = false;
    }
    block_file_done(&pass.blocks);
    unpacker_done(&pass.unpacker);
    buf_done(&room);
    free(pass.index);
    free(path);
}

/* ---- shards ---- */

static void add_bytes(struct verifier *verifier, const char *directory,
                      const struct segment_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        struct stat stat_now;
        char *path = segment_path(directory, list->first[i]);
        if (stat(path, &stat_now) == 0)
            verifier->counts.bytes_all += (uint64_t)stat_now.st_size;
        free(path);
    }
}

/* A closed shard whose end is known has all records below it, unless retention took every segment. */
static void check_end(const struct passage *passage, const struct meta_shard *known,
                      size_t segments) {
    bool has_end = known->state == META_CLOSED && known->end_counter != META_END_UNKNOWN;
    if (has_end && segments && passage->known && passage->next < known->end_counter)
        report(passage->verifier, passage->directory, -1,
               "the shard ends with record %" PRIu64 ", but it was closed behind %" PRIu64,
               passage->next - 1, known->end_counter - 1);
}

static void verify_shard(struct verifier *verifier, const char *stream, const struct meta *meta,
                         unsigned shard) {
    char id[STREAM_SHARD_ID_CHARS];
    stream_shard_id(shard, id);
    char *directory = xprintf("%s/%s", stream, id);
    struct passage passage = {
        .verifier = verifier, .directory = directory, .seed = meta_shard_seed(meta, shard)};
    struct segment_list list;
    int status = segment_list_read(directory, &list);
    if (status && !verifier->measuring)
        report(verifier, directory, -1, "cannot be listed: %s", err_text(status));
    if (status == 0 && verifier->measuring) {
        add_bytes(verifier, directory, &list);
    } else if (status == 0) {
        for (size_t i = 0; i < list.count; i++)
            verify_segment(&passage, list.first[i], i + 1 == list.count);
        check_end(&passage, &meta->shards[shard], list.count);
        verifier->counts.shards++;
    }
    if (status == 0)
        segment_list_done(&list);
    free(directory);
}

/* ---- streams ---- */

static bool is_known(const struct meta *meta, const char *name) {
    for (unsigned i = 0; i < meta->shard_count; i++) {
        char id[STREAM_SHARD_ID_CHARS];
        stream_shard_id(i, id);
        if (strcmp(id, name) == 0)
            return meta->shards[i].state != META_GONE;
    }
    return false;
}

/* The stream may have been split since its metadata was loaded. */
static bool is_known_by_now(const char *stream, const char *name) {
    struct meta meta;
    if (meta_load(stream, &meta, NULL))
        return true; /* told elsewhere, or deleted */
    bool known = meta.deleting || is_known(&meta, name);
    meta_done(&meta);
    return known;
}

static void check_directories(struct verifier *verifier, const char *stream,
                              const struct meta *meta) {
    DIR *dir = opendir(stream);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (!str_starts(str_of(entry->d_name), STR("shardId-")) || is_known(meta, entry->d_name) ||
            is_known_by_now(stream, entry->d_name))
            continue;
        char *path = xprintf("%s/%s", stream, entry->d_name);
        if (access(path, F_OK) == 0)
            report(verifier, path, -1, "a shard that " META_FILE " does not know");
        free(path);
    }
    if (dir)
        closedir(dir);
}

static void verify_stream(struct verifier *verifier, const char *stream) {
    struct meta meta = {0};
    struct err err = {0};
    int status = meta_load(stream, &meta, &err);
    if (status && access(stream, F_OK) == 0 && !verifier->measuring) {
        char *path = xprintf("%s/" META_FILE, stream);
        report(verifier, path, -1, "%s", err.text[0] ? err.text : err_text(status));
        free(path);
    }
    if (status || meta.deleting) {
        meta_done(&meta);
        return;
    }
    for (unsigned i = 0; i < meta.shard_count; i++)
        if (meta.shards[i].state != META_GONE)
            verify_shard(verifier, stream, &meta, i);
    if (!verifier->measuring) {
        check_directories(verifier, stream, &meta);
        verifier->counts.streams++;
    }
    meta_done(&meta);
}

static int not_hidden(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* ENOENT is fine for one kind of streams: then there are none of it. */
static int verify_kind(struct verifier *verifier, const char *directory, enum stream_kind kind,
                       bool *ret_found) {
    char *path = xprintf("%s/%s", directory, stream_kind_directories[kind]);
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, not_hidden, alphasort);
    int status = count < 0 && errno != ENOENT ? ERR_IO : 0;
    *ret_found |= count >= 0;
    for (int i = 0; i < count; i++) {
        char *stream = xprintf("%s/%s", path, entries[i]->d_name);
        verify_stream(verifier, stream);
        free(stream);
        free(entries[i]);
    }
    free(entries);
    free(path);
    return status;
}

static int verify_all(struct verifier *verifier, const char *directory, struct err *err) {
    bool found = false;
    for (int kind = 0; kind < STREAM_KINDS; kind++)
        if (verify_kind(verifier, directory, (enum stream_kind)kind, &found))
            return err_set_errno(err, errno, "%s: cannot be listed", directory);
    return found ? 0 : err_set(err, ERR_NOT_FOUND, "%s holds no streams", directory);
}

int stream_verify(const char *directory, const struct stream_verify_watch *watch,
                  struct stream_verify_counts *ret_counts, struct err *err) {
    struct verifier verifier = {.watch = watch, .measuring = true};
    int status = verify_all(&verifier, directory, err);
    verifier.measuring = false;
    if (status == 0)
        status = verify_all(&verifier, directory, err);
    *ret_counts = verifier.counts;
    return status;
}
