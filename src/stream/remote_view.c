/*
 * Readers of engines are made for loops, and give what has come; a command wants all that there is, and
 * then to be told that this is the end. So a view has a loop of its own, which runs only inside of
 * remote_view_next(): until the reader has records, or knows that there are none, or the other side has
 * said nothing for WAIT_MS.
 *
 * The engine hangs on a log without a directory and without a thread: nothing is written, and no lock is
 * taken, so that it can be looked at beside a running program and without one.
 */
#include "stream/remote_view.h"

#include <stdlib.h>

#include "base/mem.h"
#include "stream/log.h"

enum { WAIT_MS = 10000, TURN_MS = 1, READ_BYTES = 1024 * 1024 };

struct remote_view {
    struct stream_log *log;
    struct stream *stream;
    struct loop *loop;
    struct timer timer;
    bool over;                      /* the timer has run */
    struct stream_reader **readers; /* one per shard; NULL: nobody has asked */
    unsigned shard_count;
};

/* ---- waiting ---- */

static void on_ready(struct stream_reader *reader, void *data) {
    loop_stop(((struct remote_view *)data)->loop);
}

static void on_timer(struct timer *timer) {
    struct remote_view *view = CONTAINER_OF(timer, struct remote_view, timer);
    view->over = true;
    loop_stop(view->loop);
}

/* Runs the loop until a reader is ready; false: it took that long and none is. */
static bool run(struct remote_view *view, uint64_t at_most_ms) {
    view->over = false;
    timer_start(view->loop, &view->timer, at_most_ms, 0, on_timer);
    loop_run(view->loop);
    timer_stop(&view->timer);
    return !view->over;
}

/* AGAIN: there is no more at present. */
static int next_of(struct remote_view *view, struct stream_reader *reader, size_t records_max,
                   struct stream_batch *ret_batch) {
    int status = stream_reader_next(reader, records_max, READ_BYTES, ret_batch);
    for (bool first = true; status == ERR_AGAIN; first = false) {
        bool is_pending = stream_reader_pending(reader);
        if (!is_pending && !first)
            return ERR_AGAIN;
        if (!run(view, is_pending ? WAIT_MS : TURN_MS) && is_pending)
            return ERR_TIMEOUT;
        status = stream_reader_next(reader, records_max, READ_BYTES, ret_batch);
    }
    return status == ERR_CLOSED ? ERR_AGAIN : status;
}

/* ---- shards ---- */

/* When the first record behind the position arrived; 0: there is none. */
static int first_arrival(struct remote_view *view, unsigned shard,
                         const struct stream_position *position, uint64_t *ret_ms) {
    struct stream_reader *reader;
    struct stream_batch batch;
    int status = stream_reader_open(view->stream, shard, view->loop, position, on_ready, view,
                                    &reader, NULL);
    if (status)
        return status;
    status = next_of(view, reader, 1, &batch);
    *ret_ms = status == 0 ? batch.records[0].arrival_ms : 0;
    stream_reader_close(reader);
    return status == ERR_AGAIN ? 0 : status;
}

int remote_view_shard(struct remote_view *view, unsigned shard, struct stream_view_info *ret_info) {
    struct stream_shard_info known;
    struct stream_view_info info = {0};
    stream_shard_get(view->stream, shard, &known);
    if (known.removed)
        return ERR_NOT_FOUND;
    info.counted = stream_is_counted(view->stream);
    const struct stream_position oldest = {.from = STREAM_TRIM_HORIZON};
    int status = 0;
    if (info.counted) {
        info.first = known.first_counter;
        info.next = known.next_counter;
    }
    if (!info.counted || info.next > info.first)
        status = first_arrival(view, shard, &oldest, &info.first_ms);
    const struct stream_position last = {.from = STREAM_AT_COUNTER, .counter = info.next - 1};
    if (!status && info.next > info.first)
        status = first_arrival(view, shard, &last, &info.last_ms);
    *ret_info = info;
    return status;
}

int remote_view_seek(struct remote_view *view, unsigned shard,
                     const struct stream_position *position) {
    stream_reader_close(view->readers[shard]);
    view->readers[shard] = NULL;
    return stream_reader_open(view->stream, shard, view->loop, position, on_ready, view,
                              &view->readers[shard], NULL);
}

uint64_t remote_view_counter(const struct remote_view *view, unsigned shard) {
    const struct stream_reader *reader = view->readers[shard];
    return reader ? stream_reader_counter(reader) : 0;
}

int remote_view_next(struct remote_view *view, unsigned shard, size_t records_max,
                     struct stream_batch *ret_batch) {
    const struct stream_position oldest = {.from = STREAM_TRIM_HORIZON};
    int status = view->readers[shard] ? 0 : remote_view_seek(view, shard, &oldest);
    return status ? status : next_of(view, view->readers[shard], records_max, ret_batch);
}

/* ---- life ---- */

const struct stream *remote_view_stream(const struct remote_view *view) {
    return view->stream;
}

int remote_view_open(const struct stream_config *config, struct remote_view **ret_view,
                     struct err *err) {
    struct stream_log *log;
    struct stream *stream;
    int status = log_core_open(&(struct stream_log_config){0}, &log, err);
    if (status)
        return status;
    status = stream_open(log, config, &stream, err);
    if (status) {
        engine_close_all(log);
        log_core_close(log);
        return status;
    }
    struct remote_view *view = xcalloc(1, sizeof *view);
    view->log = log;
    view->stream = stream;
    view->loop = loop_new();
    view->shard_count = stream_shard_count(stream);
    view->readers = xcalloc(view->shard_count, sizeof *view->readers);
    *ret_view = view;
    return 0;
}

void remote_view_close(struct remote_view *view) {
    for (unsigned shard = 0; shard < view->shard_count; shard++)
        stream_reader_close(view->readers[shard]);
    run(view, TURN_MS);
    engine_close_all(view->log);
    timer_close(&view->timer, NULL);
    loop_free(view->loop);
    log_core_close(view->log);
    free(view->readers);
    free(view);
}
