/* Changes of streams while they run: the service loop's side. What the log thread does with them is
 * told in change.c. */
#include <stdlib.h>

#include "base/mem.h"
#include "stream/log.h"

/* ---- coming home ---- */

static void settle_create(struct change *change) {
    struct stream *stream = change->stream;
    if (change->status) {
        stream_free(stream);
        change->stream = NULL;
        return;
    }
    map_put(&stream->log->by_name[stream->config.kind], str_of(stream->name), stream);
}

static void settle_delete(struct change *change) {
    struct stream *stream = change->stream;
    if (change->status == 0)
        return;
    stream->seen.deleted = false;
    map_put(&stream->log->by_name[stream->config.kind], str_of(stream->name), stream);
}

/* A change has come home. [service] */
static void settle(struct change *change) {
    struct stream *stream = change->stream;
    stream->seen.changing = false;
    if (change->layout) {
        layout_unref(stream->seen.layout);
        stream->seen.layout = change->layout;
    }
    if (change->kind == CHANGE_RETENTION && change->status == 0)
        stream->seen.retention_ms = change->retention_ms;
    if (change->kind == CHANGE_CREATE)
        settle_create(change);
    else if (change->kind == CHANGE_DELETE)
        settle_delete(change);
    list_remove(&change->under_way);
    bool is_deleted = change->kind == CHANGE_DELETE && change->status == 0;
    change->done(change->data, change->status, change->stream);
    if (is_deleted)
        stream_unref(stream);
    free(change);
}

static void on_home(struct task *task) {
    settle(CONTAINER_OF(task, struct change, task));
}

/* On the log thread. */
static void post_home(struct change *change) {
    change->task.run = on_home;
    loop_post(change->loop, &change->task);
}

/* ---- setting out ---- */

/* On the log thread. */
static void on_log(struct task *task) {
    struct change *change = CONTAINER_OF(task, struct change, task);
    log_change(change->stream->log, change);
}

static void submit(const struct change *what, struct loop *loop, stream_change_cb *done,
                   void *data) {
    struct stream_log *log = what->stream->log;
    struct change *change = xmalloc(sizeof *change);
    *change = *what;
    change->home = post_home;
    change->task.run = on_log;
    change->loop = loop;
    change->done = done;
    change->data = data;
    change->stream->seen.changing = true;
    list_push_back(&log->under_way, &change->under_way);
    loop_post(log->thread.loop, &change->task);
}

static int check_changeable(const struct stream *stream, struct err *err) {
    if (stream->seen.deleted)
        return err_set(err, ERR_NOT_FOUND, "stream %s is deleted", stream->name);
    if (stream->ops->unchanged)
        return err_set(err, ERR_UNSUPPORTED, "stream %s: %s", stream->name, stream->ops->unchanged);
    if (stream->seen.changing)
        return err_set(err, ERR_FULL, "stream %s: another change is under way", stream->name);
    return 0;
}

static bool is_under_way(struct stream_log *log, const struct stream_config *config) {
    LIST_EACH(item, &log->under_way) {
        const struct stream *stream = LIST_ITEM(item, struct change, under_way)->stream;
        if (stream->config.kind == config->kind &&
            str_eq(str_of(stream->name), str_of(config->name)))
            return true;
    }
    return false;
}

bool stream_log_changing(const struct stream_log *log) {
    return !list_empty(&log->under_way);
}

int stream_create(struct stream_log *log, struct loop *loop, const struct stream_config *config,
                  stream_change_cb *done, void *data, struct err *err) {
    int status = stream_config_check(log, config, err);
    if (status)
        return status;
    if (is_under_way(log, config))
        return err_set(err, ERR_EXISTS, "stream %s is being made or deleted", config->name);
    struct change change = {.kind = CHANGE_CREATE, .stream = stream_new(log, config)};
    change.stream->config.corrupted = log->config.corrupted;
    submit(&change, loop, done, data);
    return 0;
}

int stream_delete(struct stream *stream, struct loop *loop, stream_change_cb *done, void *data) {
    int status = check_changeable(stream, NULL);
    if (status)
        return status;
    stream->seen.deleted = true;
    map_remove(&stream->log->by_name[stream->config.kind], str_of(stream->name));
    struct change change = {.kind = CHANGE_DELETE, .stream = stream};
    submit(&change, loop, done, data);
    return 0;
}

static int check_reshard(const struct stream *stream, struct err *err) {
    int status = check_changeable(stream, err);
    if (status == 0 && stream->config.kind != STREAM_DATA)
        status = err_set(err, ERR_INVALID, "%s is no data stream", stream->name);
    return status;
}

int stream_split(struct stream *stream, struct loop *loop, unsigned shard, unsigned __int128 key,
                 stream_change_cb *done, void *data, struct err *err) {
    int status = check_reshard(stream, err);
    if (status == 0)
        status = meta_check_split(&stream->seen.layout->meta, shard, key, err);
    if (status)
        return status;
    struct change change = {.kind = CHANGE_SPLIT, .stream = stream, .shard = shard, .key = key};
    submit(&change, loop, done, data);
    return 0;
}

int stream_merge(struct stream *stream, struct loop *loop, unsigned shard, unsigned adjacent,
                 stream_change_cb *done, void *data, struct err *err) {
    int status = check_reshard(stream, err);
    if (status == 0)
        status = meta_check_merge(&stream->seen.layout->meta, shard, adjacent, err);
    if (status)
        return status;
    struct change change = {
        .kind = CHANGE_MERGE, .stream = stream, .shard = shard, .adjacent = adjacent};
    submit(&change, loop, done, data);
    return 0;
}

int stream_set_retention(struct stream *stream, struct loop *loop, int64_t retention_ms,
                         stream_change_cb *done, void *data) {
    int status = check_reshard(stream, NULL);
    if (status)
        return status;
    struct change change = {
        .kind = CHANGE_RETENTION, .stream = stream, .retention_ms = retention_ms};
    submit(&change, loop, done, data);
    return 0;
}
