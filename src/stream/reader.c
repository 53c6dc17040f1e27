/*
 * A consumer's side of the log: a cursor below the shard's published tip, and being woken.
 *
 * The reader reads the segment files itself, on its own loop; what it must know of the log thread
 * is the tip, three numbers that the log thread publishes and any thread may read. A message is
 * needed only for a reader that came to the end and sleeps, so a busy reader costs the log thread
 * nothing and at most one message per reader is under way:
 *
 *      IDLE     the reader works, or was woken
 *      ARMED    next() has said AGAIN; the reader looked at the tip once more after it had armed
 *               itself, so no commit falls between. The log thread, when it commits: ARMED ->
 *               POSTED, and posts the wake
 *      POSTED   the wake is under way; when it runs: POSTED -> IDLE, on_ready
 *      CLOSED   set by close, final; the log thread posts nothing any more
 *
 * A shard that is closed wakes its readers once more; they read on to the tip, which does not move
 * any more, and then hear CLOSED.
 *
 * The log thread finds readers by the shard's list, which they enter and leave by messages to it.
 * Who closes a reader whose wake is under way waits (for the few instructions between the log
 * thread's change of state and its post) until the wake is in the loop's mailbox: afterwards the
 * log thread never touches the loop again and the loop may end.
 */
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "stream/cursor.h"
#include "stream/log.h"

enum state { IDLE, ARMED, POSTED, CLOSED };

struct log_reader {
    struct stream_reader base;
    struct stream *stream;
    struct shard *shard;
    struct loop *loop;
    struct cursor cursor;
    void (*on_ready)(struct stream_reader *reader, void *data);
    void *data;
    bool closing;
    uint64_t stopped_at; /* the damaged counter that it stands before and has told of, plus 1 */
    struct log_limit limit;

    _Atomic int state;
    struct task wake;              /* log thread -> reader */
    struct task attach, detach;    /* reader -> log thread: enter and leave the list */
    struct link in_shard;          /* [log] */
    _Atomic uint64_t wakes_posted; /* written by the log thread */
    uint64_t wakes_run;
};

static struct log_reader *of(const struct stream_reader *base) {
    return CONTAINER_OF(base, struct log_reader, base);
}

/* ---- on the log thread ---- */

static void wake(struct log_reader *reader) {
    int armed = ARMED;
    if (!atomic_compare_exchange_strong(&reader->state, &armed, POSTED))
        return;
    loop_post(reader->loop, &reader->wake);
    atomic_fetch_add(&reader->wakes_posted, 1);
}

void readers_wake(struct shard *shard) {
    LIST_EACH(item, &shard->readers) {
        wake(LIST_ITEM(item, struct log_reader, in_shard));
    }
}

static void run_attach(struct task *task) {
    struct log_reader *reader = CONTAINER_OF(task, struct log_reader, attach);
    list_push_back(&reader->shard->readers, &reader->in_shard);
    wake(reader); /* A commit may have passed by before the reader was in the list. */
}

static void run_detach(struct task *task) {
    struct log_reader *reader = CONTAINER_OF(task, struct log_reader, detach);
    list_remove(&reader->in_shard);
    stream_unref(reader->stream);
    free(reader);
}

/* ---- on the reader's loop ---- */

static void post_detach(struct log_reader *reader) {
    loop_post(reader->stream->log->thread.loop, &reader->detach);
}

static void on_wake(struct task *task) {
    struct log_reader *reader = CONTAINER_OF(task, struct log_reader, wake);
    if (reader->closing) {
        post_detach(reader);
        return;
    }
    reader->wakes_run++;
    atomic_store(&reader->state, IDLE);
    reader->on_ready(&reader->base, reader->data);
}

static int set_position(struct log_reader *reader, const struct stream_position *position) {
    struct shard_tip tip = shard_tip_get(reader->shard);
    switch (position->from) {
    case STREAM_TRIM_HORIZON:
        return cursor_seek_oldest(&reader->cursor, &tip);
    case STREAM_LATEST:
        cursor_seek(&reader->cursor, tip.counter);
        return 0;
    case STREAM_AT_TIMESTAMP:
        return cursor_seek_time(&reader->cursor, &tip, position->timestamp_ms);
    case STREAM_AT_COUNTER:
        /* Beyond the tip lies only what a power cut took from a stream that was not synced. */
        cursor_seek(&reader->cursor,
                    position->counter < tip.counter ? position->counter : tip.counter);
        return 0;
    }
    return ERR_INVALID;
}

static int reader_open(struct stream *stream, unsigned shard, struct loop *loop,
                       const struct stream_position *position,
                       void (*on_ready)(struct stream_reader *reader, void *data), void *data,
                       struct stream_reader **ret_reader, struct err *err) {
    struct shard *known = layout_shard(stream->seen.layout, shard);
    if (!known || stream->seen.deleted)
        return err_set(err, ERR_NOT_FOUND, "stream %s has no shard %u", stream->name, shard);
    struct log_reader *reader = xcalloc(1, sizeof *reader);
    reader->base.ops = &engine_log;
    reader->stream = stream;
    reader->shard = known;
    reader->loop = loop;
    reader->on_ready = on_ready;
    reader->data = data;
    reader->wake.run = on_wake;
    reader->attach.run = run_attach;
    reader->detach.run = run_detach;
    cursor_init(&reader->cursor, stream->log->config.file, reader->shard->directory,
                reader->shard->seed, true);
    int status = set_position(reader, position);
    if (status) {
        cursor_done(&reader->cursor);
        free(reader);
        return err_set(err, status, "stream %s, shard %u: %s", stream->name, shard,
                       err_text(status));
    }
    stream_ref(stream);
    loop_post(stream->log->thread.loop, &reader->attach);
    *ret_reader = &reader->base;
    return 0;
}

static void reader_close(struct stream_reader *base) {
    struct log_reader *reader = of(base);
    reader->closing = true;
    cursor_done(&reader->cursor);
    if (atomic_exchange(&reader->state, CLOSED) != POSTED) {
        post_detach(reader);
        return;
    }
    while (atomic_load(&reader->wakes_posted) == reader->wakes_run)
        sched_yield();
}

static bool is_stopping(const struct log_reader *reader) {
    return reader->stream->config.corrupted == STREAM_CORRUPTED_STOP;
}

/* A stopped reader looks at the same place again and again: it is told and counted once. */
static void report_damage(struct log_reader *reader) {
    const struct cursor *cursor = &reader->cursor;
    if (reader->stopped_at == cursor->damage.from + 1)
        return;
    reader->stopped_at = is_stopping(reader) ? cursor->damage.from + 1 : 0;
    log_count_damage(reader->stream, cursor->damage.to - cursor->damage.from);
    unsigned missed;
    if (!log_limit_pass(&reader->limit, 1000, &missed))
        return;
    char *path = segment_path(cursor->directory, cursor->damage.segment_first);
    log_warn("stream",
             "%s: damaged at byte %" PRId64 "; records %" PRIu64 " to %" PRIu64
             " of %s are %s (%u more like this)",
             path, cursor->damage.offset, cursor->damage.from, cursor->damage.to - 1,
             reader->shard->label,
             is_stopping(reader) ? "not passed over: corrupted_blocks is stop" : "lost", missed);
    free(path);
}

/* Whether the reader may sleep: false if there is more now. */
static bool arm(struct log_reader *reader) {
    int idle = IDLE, armed = ARMED;
    if (!atomic_compare_exchange_strong(&reader->state, &idle, ARMED))
        return true; /* A wake is under way. */
    if (shard_phase(reader->shard) == SHARD_OPEN &&
        shard_tip_get(reader->shard).counter <= reader->cursor.counter)
        return true;
    return !atomic_compare_exchange_strong(&reader->state, &armed, IDLE);
}

/* A closed shard has nothing more. What retention took with the whole shard counts as skipped. */
static int end_of_closed(struct log_reader *reader, const struct shard_tip *tip) {
    struct cursor *cursor = &reader->cursor;
    if (cursor->counter < tip->counter) {
        cursor->skipped += tip->counter - cursor->counter;
        cursor_seek(cursor, tip->counter);
    }
    return ERR_CLOSED;
}

static int on_damage(struct log_reader *reader) {
    struct cursor *cursor = &reader->cursor;
    report_damage(reader);
    if (!is_stopping(reader))
        return ERR_CORRUPT;
    cursor->skipped -= cursor->damage.to - cursor->damage.from;
    cursor_seek(cursor, cursor->damage.from);
    return ERR_STOPPED;
}

static int reader_next(struct stream_reader *base, size_t records_max, size_t bytes_max,
                       struct stream_batch *ret_batch) {
    struct log_reader *reader = of(base);
    int status;
    do {
        /* The phase first: the tip of a shard that is not open any more is its end. */
        enum shard_phase phase = shard_phase(reader->shard);
        if (phase == SHARD_DELETED)
            return ERR_CLOSED;
        struct shard_tip tip = shard_tip_get(reader->shard);
        status = cursor_next(&reader->cursor, &tip, records_max, bytes_max, ret_batch);
        if (status == ERR_AGAIN && phase != SHARD_OPEN && records_max)
            return end_of_closed(reader, &tip);
    } while (status == ERR_AGAIN && !arm(reader));
    return status == ERR_CORRUPT ? on_damage(reader) : status;
}

static void reader_seek(struct stream_reader *base, uint64_t counter) {
    cursor_seek(&of(base)->cursor, counter);
}

static uint64_t reader_counter(const struct stream_reader *base) {
    return of(base)->cursor.counter;
}

static uint64_t reader_skipped(const struct stream_reader *base) {
    return of(base)->cursor.skipped;
}

static void reader_lag(const struct stream_reader *base, uint64_t *ret_records,
                       uint64_t *ret_behind_ms) {
    const struct log_reader *reader = of(base);
    struct shard_tip tip = shard_tip_get(reader->shard);
    uint64_t counter = reader->cursor.counter, now_ms = clock_wall_ms(), next_ms = 0;
    *ret_records = tip.counter > counter ? tip.counter - counter : 0;
    if (*ret_records)
        next_ms = cursor_next_arrival_ms(&reader->cursor);
    *ret_behind_ms = next_ms && next_ms < now_ms ? now_ms - next_ms : 0;
}

static void shard_get(const struct stream *stream, unsigned number,
                      struct stream_shard_info *info) {
    const struct shard *shard = stream->seen.layout->shards[number];
    info->removed = !shard || shard_phase(shard) == SHARD_GONE;
    if (!shard)
        return;
    info->first_counter = atomic_load(&shard->oldest);
    info->next_counter = shard_tip_get(shard).counter;
}

const struct engine_ops engine_log = {.name = "log",
                                      .writer_picks = true,
                                      .shard_get = shard_get,
                                      .reader_open = reader_open,
                                      .reader_close = reader_close,
                                      .reader_next = reader_next,
                                      .reader_seek = reader_seek,
                                      .reader_counter = reader_counter,
                                      .reader_skipped = reader_skipped,
                                      .reader_lag = reader_lag};
