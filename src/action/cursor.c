#include "action/cursor.h"

#include "base/clock.h"
#include "base/log.h"

const char action_consumer[] = "action";

/* Without `sync: always` a power failure may cost the log's end, and the counters of what was lost are
 * given out again. */
static void go_back(struct action_cursor *cursor, uint64_t tip) {
    log_error("action", "%s: the log has lost its last %llu records, which were delivered",
              stream_name(cursor->stream), (unsigned long long)(cursor->checkpoint.counter - tip));
    stream_checkpoint_set(cursor->checkpoints, &cursor->checkpoint, tip);
}

int action_cursor_open(struct action_cursor *cursor, struct loop *loop, struct facts *facts,
                       void (*on_ready)(struct stream_reader *reader, void *data), void *data,
                       struct err *err) {
    struct stream_position position = {.from = STREAM_LATEST};
    struct stream *stream = cursor->stream;
    uint64_t counter = 0;
    int code = stream_checkpoint_get(facts, stream, ACTION_SHARD, action_consumer, &counter);
    if (code && code != ERR_NOT_FOUND)
        return err_set(err, code, "action %s: its checkpoint cannot be read: %s",
                       stream_name(stream), err_text(code));
    cursor->checkpoint = (struct stream_checkpoint){
        .stream = stream, .shard = ACTION_SHARD, .name = action_consumer, .counter = counter};
    code = stream_reader_open(stream, ACTION_SHARD, loop, &position, on_ready, data,
                              &cursor->reader, err);
    if (code)
        return code;
    uint64_t tip = stream_reader_counter(cursor->reader);
    if (counter > tip)
        go_back(cursor, tip);
    else
        stream_reader_seek(cursor->reader, counter);
    return 0;
}

void action_cursor_note(struct action_cursor *cursor, const struct action_batch *batch) {
    uint64_t counter = action_batch_counter(batch, stream_reader_counter(cursor->reader));
    if (counter <= cursor->checkpoint.counter)
        return;
    stream_checkpoint_set(cursor->checkpoints, &cursor->checkpoint, counter);
    stream_release(cursor->stream, ACTION_SHARD, counter);
}

void action_cursor_show(const struct action_cursor *cursor, const struct action_batch *batch,
                        struct action_meter *meter) {
    uint64_t beyond, behind_ms, arrival_ms = 0, now_ms = clock_wall_ms();
    stream_reader_lag(cursor->reader, &beyond, &behind_ms);
    size_t waiting = action_batch_waiting(batch, &arrival_ms);
    if (waiting)
        behind_ms = now_ms > arrival_ms ? now_ms - arrival_ms : 0;
    metric_set(&meter->lag_records, (int64_t)(beyond + waiting));
    metric_set(&meter->behind_ms, (int64_t)behind_ms);
}

void action_cursor_close(struct action_cursor *cursor) {
    stream_reader_close(cursor->reader);
    cursor->reader = NULL;
}

bool action_cursor_forget(struct action_cursor *cursor) {
    return stream_checkpoint_forget(cursor->checkpoints, &cursor->checkpoint);
}
