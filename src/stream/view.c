/*
 * Streams seen from outside, for the command line: plain reading of the files, with a cursor
 * without limit per shard. A stream that a running process writes to may grow, roll and lose its
 * oldest segments meanwhile; each call sees what is there then. Streams of other engines have no files
 * here; they are read through their engine (remote_view.c).
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "stream/cursor.h"
#include "stream/log.h"
#include "stream/remote_view.h"
#include "stream/sequence.h"

enum { READ_BYTES = 1024 * 1024 };

struct view_shard {
    char *directory;
    struct cursor cursor;
};

struct stream_view {
    struct remote_view *remote; /* NULL: what follows is used */
    struct meta meta;
    struct view_shard *shards;
};

static void init_shards(struct stream_view *view, const char *directory) {
    view->shards = xcalloc(view->meta.shard_count, sizeof *view->shards);
    for (unsigned i = 0; i < view->meta.shard_count; i++) {
        struct view_shard *shard = &view->shards[i];
        char id[STREAM_SHARD_ID_CHARS];
        stream_shard_id(i, id);
        shard->directory = xprintf("%s/%s", directory, id);
        cursor_init(&shard->cursor, &file_ops_real, shard->directory,
                    meta_shard_seed(&view->meta, i), false);
        cursor_seek_oldest(&shard->cursor, &CURSOR_NO_LIMIT);
    }
}

int stream_view_open(const char *directory, const char *name, struct stream_view **ret_view,
                     struct err *err) {
    struct stream_view *view = xcalloc(1, sizeof *view);
    char *path = xprintf("%s/streams/%s", directory, name);
    int status = meta_load(path, &view->meta, err);
    if (status == 0) {
        init_shards(view, path);
        *ret_view = view;
    } else {
        free(view);
    }
    free(path);
    return status;
}

int stream_view_open_engine(const struct stream_config *config, struct stream_view **ret_view,
                            struct err *err) {
    struct remote_view *remote;
    int status = remote_view_open(config, &remote, err);
    if (status)
        return status;
    struct stream_view *view = xcalloc(1, sizeof *view);
    view->remote = remote;
    *ret_view = view;
    return 0;
}

void stream_view_close(struct stream_view *view) {
    if (!view)
        return;
    if (view->remote)
        remote_view_close(view->remote);
    for (unsigned i = 0; i < view->meta.shard_count; i++) {
        cursor_done(&view->shards[i].cursor);
        free(view->shards[i].directory);
    }
    free(view->shards);
    meta_done(&view->meta);
    free(view);
}

unsigned stream_view_shard_count(const struct stream_view *view) {
    return view->remote ? stream_shard_count(remote_view_stream(view->remote))
                        : view->meta.shard_count;
}

uint64_t stream_view_created_s(const struct stream_view *view) {
    return view->remote ? stream_created_s(remote_view_stream(view->remote)) : view->meta.created_s;
}

static uint64_t bytes_on_disk(const char *directory, const struct segment_list *list) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < list->count; i++) {
        char *path = segment_path(directory, list->first[i]);
        struct stat stat_now;
        if (stat(path, &stat_now) == 0)
            bytes += (uint64_t)stat_now.st_blocks * 512;
        free(path);
    }
    return bytes;
}

/* Reads to the end of what is there. */
static int find_end(struct cursor *cursor, uint64_t *ret_next, uint64_t *ret_last_ms) {
    struct stream_batch batch;
    int status;
    do
        status = cursor_next(cursor, &CURSOR_NO_LIMIT, SIZE_MAX, READ_BYTES, &batch);
    while (status == 0 || status == ERR_CORRUPT);
    *ret_next = cursor->counter;
    *ret_last_ms = cursor->arrival_ms;
    return status == ERR_AGAIN ? 0 : status;
}

static int measure(struct stream_view *view, unsigned shard, const struct segment_list *list,
                   struct stream_view_info *info) {
    struct cursor cursor;
    cursor_init(&cursor, &file_ops_real, view->shards[shard].directory,
                meta_shard_seed(&view->meta, shard), false);
    struct stream_batch batch;
    cursor_seek(&cursor, list->first[0]);
    if (cursor_next(&cursor, &CURSOR_NO_LIMIT, 1, 0, &batch) == 0)
        info->first_ms = batch.records[0].arrival_ms;
    cursor_seek(&cursor, list->first[list->count - 1]);
    int status = find_end(&cursor, &info->next, &info->last_ms);
    if (status == 0 && info->last_ms == 0 && list->count > 1) {
        /* The last segment is empty. */
        uint64_t next;
        cursor_seek(&cursor, list->first[list->count - 2]);
        status = find_end(&cursor, &next, &info->last_ms);
    }
    cursor_done(&cursor);
    return status;
}

int stream_view_shard(struct stream_view *view, unsigned shard, struct stream_view_info *ret_info) {
    struct segment_list list;
    if (view->remote)
        return remote_view_shard(view->remote, shard, ret_info);
    const char *directory = view->shards[shard].directory;
    if (view->meta.shards[shard].state == META_GONE)
        return ERR_NOT_FOUND;
    int status = segment_list_read(directory, &list);
    if (status)
        return status;
    *ret_info = (struct stream_view_info){.counted = true,
                                          .sized = true,
                                          .first = list.count ? list.first[0] : 0,
                                          .bytes = bytes_on_disk(directory, &list)};
    if (list.count)
        status = measure(view, shard, &list, ret_info);
    segment_list_done(&list);
    return status;
}

int stream_view_seek(struct stream_view *view, unsigned shard,
                     const struct stream_position *position) {
    if (view->remote)
        return remote_view_seek(view->remote, shard, position);
    struct cursor *cursor = &view->shards[shard].cursor;
    uint64_t next, last_ms;
    switch (position->from) {
    case STREAM_TRIM_HORIZON:
        return cursor_seek_oldest(cursor, &CURSOR_NO_LIMIT);
    case STREAM_LATEST:
        return find_end(cursor, &next, &last_ms);
    case STREAM_AT_TIMESTAMP:
        return cursor_seek_time(cursor, &CURSOR_NO_LIMIT, position->timestamp_ms);
    case STREAM_AT_COUNTER:
        cursor_seek(cursor, position->counter);
        return 0;
    }
    return ERR_INVALID;
}

uint64_t stream_view_counter(const struct stream_view *view, unsigned shard) {
    return view->remote ? remote_view_counter(view->remote, shard)
                        : view->shards[shard].cursor.counter;
}

int stream_view_next(struct stream_view *view, unsigned shard, size_t records_max,
                     struct stream_batch *ret_batch) {
    if (view->remote)
        return remote_view_next(view->remote, shard, records_max, ret_batch);
    return cursor_next(&view->shards[shard].cursor, &CURSOR_NO_LIMIT, records_max, READ_BYTES,
                       ret_batch);
}

void stream_view_damage(const struct stream_view *view, unsigned shard, struct buf *out) {
    const struct cursor *cursor = &view->shards[shard].cursor;
    char *path = segment_path(cursor->directory, cursor->damage.segment_first);
    buf_printf(out, "%s: damaged at byte %" PRId64 "; records %" PRIu64 " to %" PRIu64 " are lost",
               path, cursor->damage.offset, cursor->damage.from, cursor->damage.to - 1);
    free(path);
}

static uint64_t created_s(const struct stream_view *view, unsigned shard) {
    return view->meta.shards[shard].opened_ms / 1000;
}

void stream_view_sequence_text(const struct stream_view *view, unsigned shard, uint64_t counter,
                               uint64_t arrival_ms, char ret_text[STREAM_SEQUENCE_CHARS]) {
    if (view->remote) {
        const struct stream *stream = remote_view_stream(view->remote);
        stream_sequence_text(stream, shard, counter, arrival_ms, ret_text);
        return;
    }
    struct sequence sequence = {created_s(view, shard), counter, arrival_ms / 1000, shard};
    sequence_write(&sequence, ret_text);
}

int stream_view_sequence_parse(const struct stream_view *view, unsigned shard, struct str text,
                               uint64_t *ret_counter) {
    if (view->remote)
        return stream_sequence_parse(remote_view_stream(view->remote), shard, text, ret_counter);
    return sequence_counter(text, shard, created_s(view, shard), ret_counter);
}

/* ---- which streams there are ---- */

static int not_dots(const struct dirent *entry) {
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

int view_list_kind(const char *directory, enum stream_kind kind,
                   void (*each)(void *data, const char *name), void *data, struct err *err) {
    char *path = xprintf("%s/%s", directory, stream_kind_directories[kind]);
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, not_dots, alphasort);
    int status = 0;
    if (count < 0)
        status = err_set_errno(err, errno, "%s: cannot be listed", path);
    for (int i = 0; i < count; i++) {
        char *meta = xprintf("%s/%s/" META_FILE, path, entries[i]->d_name);
        struct stat stat_now;
        if (stat(meta, &stat_now) == 0)
            each(data, entries[i]->d_name);
        free(meta);
        free(entries[i]);
    }
    free(entries);
    free(path);
    return status;
}

int stream_view_list(const char *directory, void (*each)(void *data, const char *name), void *data,
                     struct err *err) {
    return view_list_kind(directory, STREAM_DATA, each, data, err);
}
