/* Streams on the disk: making, opening and removing them. A stream is there when its metadata file is. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "stream/log.h"

enum { SHARDS_MAX = META_SHARDS_MAX, NAME_CHARS_MAX = 128, ACTION_NAME_CHARS_MAX = 192 };

static bool is_shard(const struct dirent *entry) {
    return str_starts(str_of(entry->d_name), STR("shardId-"));
}

static bool name_valid(const char *name, size_t chars_max) {
    size_t len = strlen(name);
    if (len < 1 || len > chars_max || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    for (const char *c = name; *c; c++) {
        bool good = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                    (*c >= '0' && *c <= '9') || *c == '_' || *c == '.' || *c == '-';
        if (!good)
            return false;
    }
    return true;
}

int stream_config_check(struct stream_log *log, const struct stream_config *config,
                        struct err *err) {
    bool is_action = config->kind == STREAM_ACTION;
    if (!name_valid(config->name, is_action ? ACTION_NAME_CHARS_MAX : NAME_CHARS_MAX))
        return err_set(err, ERR_INVALID,
                       "stream \"%.128s\": a name has 1 to 128 of a-z A-Z 0-9 _ . - and is not "
                       "\".\" or \"..\"",
                       config->name);
    if (config->shard_count < 1 || config->shard_count > SHARDS_MAX)
        return err_set(err, ERR_INVALID, "stream %s: the number of shards must be 1 to %d",
                       config->name, SHARDS_MAX);
    if (stream_find(log, config->kind, str_of(config->name)))
        return err_set(err, ERR_EXISTS, "stream %s is open already", config->name);
    return 0;
}

/* No two streams of one name may look the same to those who remember the old one (checkpoints,
 * sequence numbers), even if one follows the other within a second. */
static uint64_t created_after(const struct stream *stream, uint64_t created_s) {
    LIST_EACH(item, &stream->log->names) {
        const struct log_deleted *deleted = LIST_ITEM(item, struct log_deleted, link);
        if (strcmp(deleted->name, stream->name) == 0 && deleted->created_s >= created_s)
            created_s = deleted->created_s + 1;
    }
    return created_s;
}

void stream_note_deleted(struct stream *stream, uint64_t now_s) {
    struct stream_log *log = stream->log;
    LIST_EACH(item, &log->names) {
        struct log_deleted *deleted = LIST_ITEM(item, struct log_deleted, link);
        if (deleted->created_s >= now_s)
            continue;
        list_remove(item);
        free(deleted);
    }
    struct log_deleted *deleted = xmalloc(sizeof *deleted + strlen(stream->name) + 1);
    *deleted = (struct log_deleted){.created_s = stream->created_s};
    strcpy(deleted->name, stream->name);
    list_push_back(&log->names, &deleted->link);
}

static void make_meta(const struct stream *stream, struct meta *ret_meta) {
    meta_make(ret_meta, stream->config.kind, (unsigned)stream->config.shard_count);
    ret_meta->retention_ms = stream->config.retention_ms;
    ret_meta->compressed = stream->config.compression_level > 0;
    ret_meta->created_s = created_after(stream, ret_meta->created_s);
    for (unsigned i = 0; i < ret_meta->shard_count; i++)
        ret_meta->shards[i].opened_ms = ret_meta->created_s * 1000;
}

static void take_meta(struct stream *stream, struct meta *meta) {
    stream->created_s = meta->created_s;
    stream_set_layout(stream, layout_new(meta, NULL));
}

static int sync_directory(const struct file_ops *file, const char *path, struct err *err) {
    if (file->sync_directory(file->self, path))
        return err_set_errno(err, errno, "%s: cannot be synced", path);
    return 0;
}

static int sync_parent(struct stream *stream, struct err *err) {
    char *parent =
        xprintf("%s/%s", stream->log->directory, stream_kind_directories[stream->config.kind]);
    int status = sync_directory(stream->log->config.file, parent, err);
    free(parent);
    return status;
}

/* One that cannot be looked into may have some. */
static bool has_segments(const char *directory, const char *shard) {
    struct segment_list list = {0};
    char *path = xprintf("%s/%s", directory, shard);
    bool found = segment_list_read(path, &list) < 0 || list.count > 0;
    segment_list_done(&list);
    free(path);
    return found;
}

/* A deletion takes the records before the metadata, and a making gives none before it. */
static bool has_records_alone(const struct stream *stream) {
    char *meta = xprintf("%s/" META_FILE, stream->directory);
    bool found = false, alone = access(meta, F_OK) != 0;
    DIR *directory = alone ? opendir(stream->directory) : NULL;
    struct dirent *entry;
    while (directory && !found && (entry = readdir(directory)))
        found = is_shard(entry) && has_segments(stream->directory, entry->d_name);
    if (directory)
        closedir(directory);
    free(meta);
    return found;
}

/* DATA/aside/KIND-NAME-SECONDS. It cannot be read as it is, and it is not ours to remove: the new place is on
 * the disk before the making syncs that the old one is free. */
static int set_aside(struct stream *stream, struct err *err) {
    const struct file_ops *file = stream->log->config.file;
    const char *kind = stream_kind_directories[stream->config.kind];
    char *parent = xprintf("%s/aside", stream->log->directory);
    char *to = xprintf("%s/%s-%s-%llu", parent, kind, stream->name,
                       (unsigned long long)(clock_wall_ms() / 1000));
    int status = file_make_directories(parent, err);
    if (status == 0)
        status = sync_directory(file, stream->log->directory, err);
    if (status == 0 && file->rename(file->self, stream->directory, to))
        status = err_set_errno(err, errno, "%s: cannot be moved to %s", stream->directory, to);
    if (status == 0)
        status = sync_directory(file, parent, err);
    if (status == 0)
        log_error("stream",
                  "%s: there are records, but no " META_FILE
                  " that says how to read them: moved to %s",
                  stream->directory, to);
    free(to);
    free(parent);
    return status;
}

/* What a making or a deletion that was interrupted has left goes first. */
static int clear_place(struct stream *stream, struct err *err) {
    if (access(stream->directory, F_OK))
        return 0;
    if (has_records_alone(stream))
        return set_aside(stream, err);
    log_warn("stream", "%s: what a deletion that was interrupted has left is removed",
             stream->directory);
    int status = stream_remove_files(stream);
    return status ? err_set(err, status, "%s: cannot be removed", stream->directory) : 0;
}

int stream_make(struct stream *stream, struct err *err) {
    int status = clear_place(stream, err);
    if (status)
        return status;
    status = file_make_directories(stream->directory, err);
    if (status)
        return status;
    struct meta meta;
    make_meta(stream, &meta);
    status = meta_save(stream->log->config.file, stream->directory, &meta, err);
    if (status == 0)
        status = sync_parent(stream, err);
    if (status == 0)
        take_meta(stream, &meta);
    meta_done(&meta);
    return status;
}

int stream_remove_files(struct stream *stream) {
    DIR *directory = opendir(stream->directory);
    struct dirent *entry;
    int status = directory ? 0 : ERR_IO;
    while (directory && status == 0 && (entry = readdir(directory))) {
        if (!is_shard(entry))
            continue;
        char *path = xprintf("%s/%s", stream->directory, entry->d_name);
        status = file_remove_tree(path, NULL);
        free(path);
    }
    if (directory)
        closedir(directory);
    return status ? status : file_remove_tree(stream->directory, NULL);
}

static int check_meta(const struct stream *stream, const struct meta *meta, struct err *err) {
    if (meta->kind != stream->config.kind)
        return err_set(err, ERR_CORRUPT, "%s: a stream of another kind", stream->directory);
    if (meta_is_original(meta) && meta->shard_count != (unsigned)stream->config.shard_count)
        return err_set(err, ERR_INVALID,
                       "stream %s has %u shards; the configuration asks for %lld, but the number "
                       "is for new streams only: split or merge shards",
                       stream->name, meta->shard_count, (long long)stream->config.shard_count);
    return 0;
}

/* What the configuration says is written down for the case that the stream leaves it. */
static void note_retention(struct stream *stream, struct meta *meta) {
    struct err err;
    if (meta->retention_ms == stream->config.retention_ms)
        return;
    meta->retention_ms = stream->config.retention_ms;
    if (meta_save(stream->log->config.file, stream->directory, meta, &err))
        log_warn("stream", "%s", err.text);
}

/* Before the first compressed block is written the metadata says that there may be some: who does not
 * know them refuses the stream. They stay when compression is switched off. */
static int note_compression(struct stream *stream, struct meta *meta, struct err *err) {
    if (meta->compressed || !stream->config.compression_level)
        return 0;
    meta->compressed = true;
    return meta_save(stream->log->config.file, stream->directory, meta, err);
}

static int load_meta(struct stream *stream, struct err *err) {
    struct meta meta = {0};
    int status = meta_load(stream->directory, &meta, err);
    if (status == ERR_NOT_FOUND || (status == 0 && meta.deleting)) {
        meta_done(&meta);
        return stream_make(stream, err);
    }
    if (status == 0)
        status = check_meta(stream, &meta, err);
    if (status == 0)
        status = note_compression(stream, &meta, err);
    if (status == 0) {
        note_retention(stream, &meta);
        take_meta(stream, &meta);
    }
    meta_done(&meta);
    return status;
}

static int recover_shards(struct stream *stream, struct err *err) {
    const struct meta *meta = &stream->layout->meta;
    for (unsigned i = 0; i < meta->shard_count; i++) {
        if (meta->shards[i].state == META_GONE)
            continue;
        struct shard *shard = stream_add_shard(stream, i);
        int status = shard_recover(shard, err);
        if (status)
            return status;
        if (shard->damaged && stream->config.corrupted == STREAM_CORRUPTED_STOP)
            return err_set(err, ERR_STOPPED,
                           "stream %s: %s is damaged (the log names the place), and "
                           "corrupted_blocks is stop",
                           stream->name, shard->label);
        if (meta->shards[i].state == META_CLOSED)
            shard_close(shard, 0);
    }
    return 0;
}

static void show_recovered(struct stream *stream) {
    int64_t bytes = 0;
    LIST_EACH(item, &stream->shards) {
        struct shard *shard = LIST_ITEM(item, struct shard, in_stream);
        bytes += shard_bytes(shard);
        metric_add(&stream->metrics.damaged, (int64_t)shard->damaged);
        metric_add(&stream->metrics.damaged_records, (int64_t)shard->damaged_records);
        metric_set(&shard->next_counter, (int64_t)shard->next);
    }
    metric_set(&stream->metrics.disk_bytes, bytes);
    retention_bound(stream);
}

static void link_stream(void *data) {
    struct stream *stream = data;
    list_push_back(&stream->log->streams, &stream->in_log);
    log_tell_added(stream->log, stream);
}

void stream_add(struct stream *stream) {
    struct stream_log *log = stream->log;
    stream_init_metrics(stream);
    show_recovered(stream);
    stream->seen.layout = layout_ref(stream->layout);
    map_put(&log->by_name[stream->config.kind], str_of(stream->name), stream);
    if (log->thread.loop)
        loop_call(log->thread.loop, link_stream, stream);
    else
        link_stream(stream);
}

int stream_open(struct stream_log *log, const struct stream_config *config,
                struct stream **ret_stream, struct err *err) {
    if (config->kafka || config->kinesis)
        return engine_open(log, config, ret_stream, err);
    int status = stream_config_check(log, config, err);
    if (status)
        return status;
    struct stream *stream = stream_new(log, config);
    status = load_meta(stream, err);
    if (status == 0)
        status = recover_shards(stream, err);
    if (status) {
        stream_free(stream);
        return status;
    }
    stream_add(stream);
    *ret_stream = stream;
    return 0;
}

/* ---- those that no configuration names ---- */

struct opening {
    struct stream_log *log;
    enum stream_kind kind;
    int status;
    struct err *err;
};

static void finish_deletion(struct stream_log *log, enum stream_kind kind, const char *name) {
    struct stream_config config = {.name = name, .kind = kind};
    struct stream *stream = stream_new(log, &config);
    if (stream_remove_files(stream))
        log_warn("stream", "%s: cannot be removed", stream->directory);
    stream_free(stream);
}

static void open_left(void *data, const char *name) {
    struct opening *opening = data;
    if (opening->status || stream_find(opening->log, opening->kind, str_of(name)))
        return;
    char *directory =
        xprintf("%s/%s/%s", opening->log->directory, stream_kind_directories[opening->kind], name);
    struct meta meta;
    struct stream *stream;
    opening->status = meta_load(directory, &meta, opening->err);
    free(directory);
    if (opening->status)
        return;
    struct stream_config config = {
        .name = name,
        .kind = opening->kind,
        .shard_count = meta.shard_count < META_SHARDS_MAX ? meta.shard_count : META_SHARDS_MAX,
        .retention_ms = meta.retention_ms,
        .corrupted = opening->log->config.corrupted};
    if (meta.deleting)
        finish_deletion(opening->log, opening->kind, name);
    else
        opening->status = stream_open(opening->log, &config, &stream, opening->err);
    meta_done(&meta);
}

static int open_rest(struct stream_log *log, enum stream_kind kind, struct err *err) {
    struct opening opening = {.log = log, .kind = kind, .err = err};
    int status = view_list_kind(log->directory, kind, open_left, &opening, err);
    if (status == 0)
        status = opening.status;
    return status ? status : log_sync_recovered(log, err);
}

int stream_open_rest(struct stream_log *log, struct err *err) {
    return open_rest(log, STREAM_DATA, err);
}

int stream_open_actions(struct stream_log *log, struct err *err) {
    return open_rest(log, STREAM_ACTION, err);
}
