/*
 * The log thread around the core (commit.c, retention.c).
 *
 * What reaches the thread, always by loop_post(): sealed batches of writers, readers that come and
 * go, releases of delivery streams, changes of streams (change.c). At the end of a turn, when all
 * that had been posted was taken in, its hook commits. Two timers: the house timer (failed shards,
 * retention) and, with sync: interval, the one that syncs.
 *
 * On disk, below the data directory (deliveries/ holds delivery streams and actions/ the logs of
 * actions in the same way):
 *
 *      streams/NAME/stream.meta                        what the stream is (meta.c)
 *      streams/NAME/shardId-000000000000/FIRST.seg     segments (segment.c); FIRST is the counter
 *                                                      of the first record, 20 digits
 *      streams/NAME/shardId-000000000000/FIRST.idx     hints where blocks begin
 *
 * Shard directories and segments are made by the first write, so that a start on an empty directory
 * is quick whatever the number of shards. DATA/streams is locked (flock) while the log is open: two
 * processes that append to one file would ruin it.
 */
#include "stream/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

enum {
    HOUSE_MS = 1000,
    TRIM_MS = 10 * 1000,
    FILES_MAX = 1024,  /* open for writing, or a quarter of what the process may have */
    ONE_SYNC_MIN = 64, /* shards for which one sync of the file system is cheaper than one each */
};

static uint64_t mono_ms(void) {
    return clock_mono_ns() / 1000000;
}

/* ---- the core ---- */

static int lock_directory(struct stream_log *log, struct err *err) {
    char *path = xprintf("%s/%s", log->directory, stream_kind_directories[STREAM_DATA]);
    int status = 0;
    log->lock_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (log->lock_fd < 0)
        status = err_set_errno(err, errno, "%s: cannot be opened", path);
    else if (flock(log->lock_fd, LOCK_EX | LOCK_NB) != 0)
        status = err_set(err, ERR_DENIED, "%s: another process has these streams open", path);
    free(path);
    return status;
}

static int make_directories(struct stream_log *log, struct err *err) {
    for (int kind = 0; kind < STREAM_KINDS; kind++) {
        char *path = xprintf("%s/%s", log->directory, stream_kind_directories[kind]);
        int status = file_make_directories(path, err);
        free(path);
        if (status)
            return status;
    }
    const struct file_ops *file = log->config.file;
    int status = file->sync_directory(file->self, log->directory);
    if (status)
        return err_set_errno(err, errno, "%s: cannot be synced", log->directory);
    return lock_directory(log, err);
}

static void init_metrics(struct stream_log *log) {
    metric_init(&log->syncs, METRIC_COUNTER, "weir_stream_syncs_total", "Syncs of segment files.",
                NULL);
    metric_init(&log->sync_us, METRIC_COUNTER, "weir_stream_sync_microseconds_total",
                "Time that commits spent in syncs.", NULL);
    metric_init(&log->batches, METRIC_COUNTER, "weir_stream_batches_total",
                "Batches of producers that were committed or failed.", NULL);
    metric_init(&log->sync_failures, METRIC_COUNTER, "weir_stream_sync_failures_total",
                "Syncs that failed after records had been acknowledged (sync: an interval).", NULL);
}

static unsigned files_max(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 4 < FILES_MAX)
        return (unsigned)(limit.rlim_cur / 4);
    return FILES_MAX;
}

int log_core_open(const struct stream_log_config *config, struct stream_log **ret_log,
                  struct err *err) {
    struct stream_log *log = xcalloc(1, sizeof *log);
    log->config = *config;
    if (!log->config.file)
        log->config.file = &file_ops_real;
    log->directory = xstrdup(config->directory ? config->directory : "");
    log->config.directory = log->directory;
    log->lock_fd = -1;
    log->pending_end = &log->pending;
    log->held_end = &log->held;
    list_init(&log->under_way);
    list_init(&log->streams);
    list_init(&log->deleted);
    list_init(&log->names);
    list_init(&log->producers);
    list_init(&log->engine_list);
    list_init(&log->changes);
    list_init(&log->files.open);
    list_init(&log->files.unsynced);
    log->files.count_max = files_max();
    log->files.defers_sync = config->defers_sync;
    init_metrics(log);
    int status = config->directory ? make_directories(log, err) : 0;
    if (status) {
        log_core_close(log);
        return status;
    }
    *ret_log = log;
    return 0;
}

/* Syncs the file system that holds the directory; which one that is. */
static int sync_file_system(const char *directory, dev_t *ret_device) {
    struct stat stat_now;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    int failed = fstat(fd, &stat_now) || syncfs(fd);
    *ret_device = stat_now.st_dev;
    close(fd);
    return failed ? ERR_IO : 0;
}

static bool is_on(const struct shard *shard, dev_t device) {
    struct stat stat_now;
    return stat(shard->directory, &stat_now) == 0 && stat_now.st_dev == device;
}

int log_sync_recovered(struct stream_log *log, struct err *err) {
    size_t count = 0;
    dev_t device = 0;
    LIST_EACH(item, &log->files.unsynced) {
        count++;
    }
    bool at_once = count >= ONE_SYNC_MIN;
    int status = at_once ? sync_file_system(log->directory, &device) : 0;
    LIST_EACH(item, &log->files.unsynced) {
        struct shard *shard = LIST_ITEM(item, struct shard, in_unsynced);
        list_remove(item);
        if (status == 0 && !(at_once && is_on(shard, device)))
            status = shard_sync_recovered(shard);
    }
    log->files.defers_sync = false;
    return status ? err_set_errno(err, errno, "%s: what was recovered cannot be synced",
                                  log->directory)
                  : 0;
}

static void free_streams(struct link *streams) {
    LIST_EACH(item, streams) {
        struct stream *stream = LIST_ITEM(item, struct stream, in_log);
        list_remove(item);
        stream_free(stream);
    }
}

void log_core_close(struct stream_log *log) {
    ASSERT(list_empty(&log->under_way));
    free_streams(&log->streams);
    free_streams(&log->deleted);
    while (!list_empty(&log->names))
        free(LIST_ITEM(list_pop_front(&log->names), struct log_deleted, link));
    for (int kind = 0; kind < STREAM_KINDS; kind++)
        map_done(&log->by_name[kind]);
    metric_done(&log->syncs);
    metric_done(&log->sync_us);
    metric_done(&log->batches);
    metric_done(&log->sync_failures);
    packer_done(&log->packer);
    if (log->lock_fd >= 0)
        close(log->lock_fd);
    free(log->directory);
    free(log);
}

/* ---- the thread ---- */

static void on_turn_end(struct turn_hook *hook) {
    log_commit(CONTAINER_OF(hook, struct stream_log, hook), mono_ms());
}

static void retry_failed(struct stream_log *log, uint64_t now_ms) {
    LIST_EACH(item, &log->streams) {
        struct stream *stream = LIST_ITEM(item, struct stream, in_log);
        LIST_EACH(shard, &stream->shards) {
            shard_retry(LIST_ITEM(shard, struct shard, in_stream), now_ms);
        }
    }
}

static void on_house(struct timer *timer) {
    struct stream_log *log = CONTAINER_OF(timer, struct stream_log, house);
    uint64_t now_ms = mono_ms();
    retry_failed(log, now_ms);
    if (now_ms < log->trim_due_ms)
        return;
    log->trim_due_ms = now_ms + TRIM_MS;
    retention_run(log, now_ms, clock_wall_ms());
}

static void on_sync(struct timer *timer) {
    struct stream_log *log = CONTAINER_OF(timer, struct stream_log, sync);
    log_sync_all(log, mono_ms());
}

static void set_up_thread(void *data) {
    struct stream_log *log = data;
    log->hook.run = on_turn_end;
    loop_hook_add(log->thread.loop, &log->hook);
    timer_start(log->thread.loop, &log->house, HOUSE_MS, HOUSE_MS, on_house);
    uint64_t interval_ms =
        log->config.sync_interval_ms > 0 ? (uint64_t)log->config.sync_interval_ms : 1;
    if (log->config.sync == STREAM_SYNC_INTERVAL)
        timer_start(log->thread.loop, &log->sync, interval_ms, interval_ms, on_sync);
}

static void tear_down_thread(void *data) {
    struct stream_log *log = data;
    log_commit(log, mono_ms());
    loop_hook_remove(&log->hook);
    timer_close(&log->house, NULL);
    timer_close(&log->sync, NULL);
}

int stream_log_open(const struct stream_log_config *config, struct stream_log **ret_log,
                    struct err *err) {
    struct stream_log *log;
    int status = log_core_open(config, &log, err);
    if (status)
        return status;
    loop_thread_start(&log->thread, "weir-log");
    loop_call(log->thread.loop, set_up_thread, log);
    *ret_log = log;
    return 0;
}

void stream_log_close(struct stream_log *log) {
    if (!log)
        return;
    engine_close_all(log);
    loop_call(log->thread.loop, tear_down_thread, log);
    loop_thread_stop(&log->thread);
    log_core_close(log);
}

/* ---- messages from other threads ---- */

struct release {
    struct task task;
    struct stream *stream;
    unsigned shard;
    uint64_t counter;
};

static void run_release(struct task *task) {
    struct release *release = CONTAINER_OF(task, struct release, task);
    if (!release->stream->leaving)
        retention_release(release->stream, release->shard, release->counter, mono_ms());
    free(release);
}

void stream_release(struct stream *stream, unsigned shard, uint64_t counter) {
    ASSERT(stream->config.kind != STREAM_DATA && shard < (unsigned)stream->config.shard_count);
    struct release *release = xmalloc(sizeof *release);
    *release = (struct release){{.run = run_release}, stream, shard, counter};
    loop_post(stream->log->thread.loop, &release->task);
}

static void run_count_damage(struct task *task) {
    struct release *damage = CONTAINER_OF(task, struct release, task);
    if (!damage->stream->leaving) {
        metric_add(&damage->stream->metrics.damaged, 1);
        metric_add(&damage->stream->metrics.damaged_records, (int64_t)damage->counter);
    }
    free(damage);
}

void log_count_damage(struct stream *stream, uint64_t records) {
    struct release *damage = xmalloc(sizeof *damage);
    *damage = (struct release){.task.run = run_count_damage, .stream = stream, .counter = records};
    loop_post(stream->log->thread.loop, &damage->task);
}
