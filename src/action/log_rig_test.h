/* For tests of this folder: an action's log with all that a runner needs of it, in a directory of
 * its own. */
#ifndef ACTION_LOG_RIG_TEST_H
#define ACTION_LOG_RIG_TEST_H

#include "base/test.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/facts.h"
#include "io/file.h"
#include "stream/stream.h"

struct log_rig {
    const char *name; /* of the log */
    char directory[32];
    struct loop *loop;
    struct stream_log *log;
    struct facts *facts;
    struct stream_writer *writer;
    struct stream *stream;
    struct stream_checkpoint_writer *checkpoints;
    struct timer tick;
};

static inline void log_rig_on_tick(struct timer *timer) {}

static inline void log_rig_open(struct log_rig *rig) {
    struct err err;
    struct stream_log_config log = {.directory = rig->directory, .segment_bytes_max = 100000};
    struct stream_config stream = {
        .name = rig->name, .kind = STREAM_ACTION, .shard_count = 1, .bytes_max = 1 << 20};
    rig->loop = loop_new();
    rig->tick = (struct timer){0};
    timer_start(rig->loop, &rig->tick, 0, 2, log_rig_on_tick);
    assert_int_equal(stream_log_open(&log, &rig->log, &err), 0);
    assert_int_equal(facts_open(rig->directory, 1 << 20, &rig->facts, &err), 0);
    assert_int_equal(stream_open(rig->log, &stream, &rig->stream, &err), 0);
    rig->writer = stream_writer_new(rig->log, rig->loop);
    rig->checkpoints = stream_checkpoint_writer_new(rig->loop, rig->facts);
}

static inline void log_rig_begin(struct log_rig *rig, const char *name) {
    rig->name = name;
    strcpy(rig->directory, "/tmp/weir-action-XXXXXX");
    assert_non_null(mkdtemp(rig->directory));
}

static inline void log_rig_turn(struct log_rig *rig) {
    uv_run(loop_uv(rig->loop), UV_RUN_ONCE);
}

static inline void log_rig_set_flag(void *data) {
    *(bool *)data = true;
}

/* All checkpoints that were noted are on the disk afterwards. */
static inline void log_rig_close_checkpoints(struct log_rig *rig) {
    bool written = false;
    stream_checkpoint_writer_close(rig->checkpoints, log_rig_set_flag, &written);
    while (!written)
        log_rig_turn(rig);
}

static inline void log_rig_close(struct log_rig *rig) {
    while (!stream_writer_idle(rig->writer))
        log_rig_turn(rig);
    stream_writer_free(rig->writer);
    timer_close(&rig->tick, NULL);
    loop_free(rig->loop);
    stream_log_close(rig->log);
    facts_close(rig->facts);
}

static inline void log_rig_end(struct log_rig *rig) {
    file_remove_tree(rig->directory, NULL);
}

static inline void log_rig_push(struct log_rig *rig, struct str data) {
    struct sink_resolver *resolver = stream_writer_resolver(rig->writer);
    struct sink *sink = resolver->find(resolver, SINK_ACTION, str_of(rig->name));
    struct record record = {.partition_key = STR("0"), .data = data};
    assert_int_equal(sink_push(sink, &record), 0);
}

#endif
