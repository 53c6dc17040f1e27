/* Streams: making and opening them, and what they tell of themselves. For the files see log.c. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/ref.h"
#include "stream/log.h"
#include "stream/sequence.h"

enum { SHARDS_MAX = META_SHARDS_MAX, NAME_CHARS_MAX = 128, ACTION_NAME_CHARS_MAX = 192 };

const char *const stream_kind_directories[STREAM_KINDS] = {"streams", "deliveries", "actions",
                                                           "sessions", "requests"};

void stream_init_metrics(struct stream *stream) {
    struct buf labels = {0};
    metric_label(&labels, "stream", str_of(stream->name));
    metric_label(&labels, "kind", str_of(meta_kind_names[stream->config.kind]));
    const char *with = buf_cstr(&labels);
    struct stream_metrics *metrics = &stream->metrics;
    metric_init(&metrics->records, METRIC_COUNTER, "weir_stream_records_total",
                "Records committed.", with);
    metric_init(&metrics->bytes, METRIC_COUNTER, "weir_stream_bytes_total",
                "Bytes committed, with keys and headers, as they are on disk.", with);
    metric_init(&metrics->commits, METRIC_COUNTER, "weir_stream_commits_total",
                "Commits of shards; batches per commit tell how many share a sync.", with);
    metric_init(&metrics->failures, METRIC_COUNTER, "weir_stream_failures_total",
                "Commits of shards that failed.", with);
    metric_init(&metrics->trimmed_segments, METRIC_COUNTER, "weir_stream_trimmed_segments_total",
                "Segments removed by retention or release.", with);
    metric_init(&metrics->damaged, METRIC_COUNTER, "weir_stream_damaged_total",
                "Damaged places found in segments.", with);
    metric_init(&metrics->damaged_records, METRIC_COUNTER, "weir_stream_damaged_records_total",
                "Records in damaged places: passed over, or stopped before.", with);
    metric_init(&metrics->disk_bytes, METRIC_GAUGE, "weir_stream_disk_bytes",
                "Bytes of records on disk.", with);
    metric_init(&metrics->full, METRIC_GAUGE, "weir_stream_full",
                "Whether the stream has reached bytes_max and refuses records.", with);
    metric_init(&metrics->open_shards, METRIC_GAUGE, "weir_stream_open_shards",
                "Shards that take records.", with);
    metric_set(&metrics->open_shards, stream->layout->map.count);
    metric_init(&metrics->saved_bytes, METRIC_COUNTER, "weir_stream_compression_saved_bytes_total",
                "Bytes that compression kept from being written.", with);
    buf_done(&labels);
}

static void init_shard_metric(struct stream *stream, struct shard *shard) {
    struct buf labels = {0};
    char id[STREAM_SHARD_ID_CHARS];
    stream_shard_id(shard->index, id);
    metric_label(&labels, "stream", str_of(stream->name));
    metric_label(&labels, "kind", str_of(meta_kind_names[stream->config.kind]));
    metric_label(&labels, "shard", str_of(id));
    metric_init(&shard->next_counter, METRIC_GAUGE, "weir_stream_next_counter",
                "Counter of the next record of the shard.", buf_cstr(&labels));
    buf_done(&labels);
}

void stream_done_metrics(struct stream *stream) {
    struct stream_metrics *metrics = &stream->metrics;
    metric_done(&metrics->records);
    metric_done(&metrics->bytes);
    metric_done(&metrics->commits);
    metric_done(&metrics->failures);
    metric_done(&metrics->trimmed_segments);
    metric_done(&metrics->damaged);
    metric_done(&metrics->damaged_records);
    metric_done(&metrics->disk_bytes);
    metric_done(&metrics->full);
    metric_done(&metrics->open_shards);
    metric_done(&metrics->saved_bytes);
}

/* ---- making and freeing the struct ---- */

struct stream *stream_new(struct stream_log *log, const struct stream_config *config) {
    struct stream *stream = xcalloc(1, sizeof *stream);
    stream->log = log;
    stream->config = *config;
    stream->config.name = stream->name = xstrdup(config->name);
    stream->directory =
        xprintf("%s/%s/%s", log->directory, stream_kind_directories[config->kind], config->name);
    list_init(&stream->shards);
    list_init(&stream->gone);
    stream->seen.retention_ms = config->retention_ms;
    stream->references = 1;
    stream->ops = &engine_log;
    return stream;
}

struct stream *stream_ref(struct stream *stream) {
    ref_take(&stream->references);
    return stream;
}

/* On the log thread. */
static void on_last_unref(struct task *task) {
    struct stream *stream = CONTAINER_OF(task, struct stream, last_unref);
    list_remove(&stream->in_log);
    stream_free(stream);
}

/* Without a thread, in tests, the log frees it when it is closed. */
void stream_unref(struct stream *stream) {
    if (!stream || !ref_drop(&stream->references))
        return;
    stream->last_unref.run = on_last_unref;
    if (stream->log->thread.loop)
        loop_post(stream->log->thread.loop, &stream->last_unref);
}

static void free_shards(struct link *shards) {
    LIST_EACH(item, shards) {
        struct shard *shard = LIST_ITEM(item, struct shard, in_stream);
        list_remove(item);
        shard_done(shard);
        free(shard);
    }
}

void stream_free(struct stream *stream) {
    free_shards(&stream->shards);
    free_shards(&stream->gone);
    stream_done_metrics(stream);
    layout_unref(stream->layout);
    layout_unref(stream->seen.layout);
    free(stream->name);
    free(stream->directory);
    free(stream);
}

void stream_set_layout(struct stream *stream, struct layout *layout) {
    layout_unref(stream->layout);
    stream->layout = layout;
    metric_set(&stream->metrics.open_shards, layout->map.count);
}

struct shard *stream_add_shard(struct stream *stream, unsigned number) {
    struct shard_config config = {
        .file = stream->log->config.file,
        .files = &stream->log->files,
        .segment_bytes_max = retention_segment_bytes(&stream->log->config, &stream->config),
        .segment_age_ms_max = retention_segment_age_ms(&stream->config),
        .compression_level = stream->config.compression_level,
        .packer = &stream->log->packer,
        .sync = stream->log->config.sync == STREAM_SYNC_ALWAYS,
    };
    char id[STREAM_SHARD_ID_CHARS];
    stream_shard_id(number, id);
    struct layout *layout = stream->layout;
    struct shard *shard = xcalloc(1, sizeof *shard);
    shard_init(shard, &config, xprintf("%s/%s", stream->directory, id),
               xprintf("%s/%s", stream->name, id), meta_shard_seed(&layout->meta, number), number);
    shard->owner = stream;
    const struct meta_shard *known = &layout->meta.shards[number];
    if (known->state == META_CLOSED)
        shard->limit = known->end_counter;
    init_shard_metric(stream, shard);
    list_push_back(&stream->shards, &shard->in_stream);
    layout->shards[number] = shard;
    return shard;
}

/* ---- opening ---- */

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

static int sync_parent(struct stream *stream, struct err *err) {
    const struct file_ops *file = stream->log->config.file;
    int status = 0;
    char *parent =
        xprintf("%s/%s", stream->log->directory, stream_kind_directories[stream->config.kind]);
    if (file->sync_directory(file->self, parent))
        status = err_set_errno(err, errno, "%s: cannot be synced", parent);
    free(parent);
    return status;
}

/* A new stream is there when its metadata file is. What a making or a deletion that was interrupted
 * has left behind goes first. */
int stream_make(struct stream *stream, struct err *err) {
    if (access(stream->directory, F_OK) == 0) {
        log_warn("stream", "%s: what a deletion that was interrupted has left is removed",
                 stream->directory);
        int status = stream_remove_files(stream);
        if (status)
            return err_set(err, status, "%s: cannot be removed", stream->directory);
    }
    int status = file_make_directories(stream->directory, err);
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
        if (!str_starts(str_of(entry->d_name), STR("shardId-")))
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

/* ---- what a stream tells of itself ---- */

struct stream *stream_find(struct stream_log *log, enum stream_kind kind, struct str name) {
    return map_get(&log->by_name[kind], name);
}

bool stream_is_deleted(const struct stream *stream) {
    return stream->seen.deleted;
}

const char *stream_name(const struct stream *stream) {
    return stream->name;
}

unsigned stream_shard_count(const struct stream *stream) {
    return engine_layout(stream)->meta.shard_count;
}

uint64_t stream_created_s(const struct stream *stream) {
    return stream->created_s;
}

int64_t stream_record_bytes_max(const struct stream *stream) {
    return stream->config.record_bytes_max;
}

int64_t stream_retention_ms(const struct stream *stream) {
    return stream->seen.retention_ms;
}

void stream_shard_get(const struct stream *stream, unsigned number,
                      struct stream_shard_info *ret_info) {
    const struct meta_shard *known = &engine_layout(stream)->meta.shards[number];
    *ret_info = (struct stream_shard_info){.open = known->state == META_OPEN,
                                           .parent = known->parents[0],
                                           .adjacent_parent = known->parents[1],
                                           .start = known->start,
                                           .end = known->end,
                                           .opened_ms = known->opened_ms,
                                           .closed_ms = known->closed_ms};
    stream->ops->shard_get(stream, number, ret_info);
}

static int by_name(const void *a, const void *b) {
    const struct stream *const *left = a, *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

void stream_each_kind(struct stream_log *log, enum stream_kind kind,
                      void (*each)(void *data, struct stream *stream), void *data) {
    const struct map *map = &log->by_name[kind];
    struct stream **streams = xcalloc(map->count + 1, sizeof(struct stream *));
    struct map_entry *entry;
    size_t count = 0;
    for (size_t i = 0; (entry = map_next(map, &i));)
        streams[count++] = entry->value;
    qsort(streams, count, sizeof(struct stream *), by_name);
    for (size_t i = 0; i < count; i++)
        each(data, streams[i]);
    free(streams);
}

void stream_each(struct stream_log *log, void (*each)(void *data, struct stream *stream),
                 void *data) {
    stream_each_kind(log, STREAM_DATA, each, data);
}

void stream_shard_id(unsigned shard, char ret_text[STREAM_SHARD_ID_CHARS]) {
    static const char prefix[] = "shardId-";
    memcpy(ret_text, prefix, sizeof prefix - 1);
    ret_text[STREAM_SHARD_ID_CHARS - 1] = '\0';
    for (int at = STREAM_SHARD_ID_CHARS - 2; at >= (int)sizeof prefix - 1; at--, shard /= 10)
        ret_text[at] = (char)('0' + shard % 10);
}

int stream_shard_for(const struct stream *stream, const struct record *record,
                     unsigned *ret_shard) {
    return layout_shard_for(engine_layout(stream), record, ret_shard);
}

/* The second in which the shard was opened begins its numbers. */
static uint64_t opened_s(const struct stream *stream, unsigned shard) {
    ASSERT(shard < stream_shard_count(stream));
    return stream->seen.layout->meta.shards[shard].opened_ms / 1000;
}

void stream_sequence_text(const struct stream *stream, unsigned shard, uint64_t counter,
                          uint64_t arrival_ms, char ret_text[STREAM_SEQUENCE_CHARS]) {
    struct sequence sequence = {opened_s(stream, shard), counter, arrival_ms / 1000, shard};
    sequence_write(&sequence, ret_text);
}

int stream_sequence_parse(const struct stream *stream, unsigned shard, struct str text,
                          uint64_t *ret_counter) {
    if (shard >= stream_shard_count(stream))
        return ERR_INVALID;
    return sequence_counter(text, shard, opened_s(stream, shard), ret_counter);
}
