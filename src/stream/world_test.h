/* For tests of changes with threads: a log, the test's own loop as service loop, and a writer on it. */
#ifndef STREAM_WORLD_TEST_H
#define STREAM_WORLD_TEST_H

#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "io/file.h"
#include "stream/stream.h"

#define KEY_MAX  (~(unsigned __int128)0)
#define KEY_HALF ((unsigned __int128)1 << 127)

struct world {
    char directory[32];
    struct stream_log *log;
    struct loop *loop;
    struct stream_writer *writer;
    struct timer deadline;
    unsigned count; /* a test's */
};

static inline void on_deadline(struct timer *timer) {
    fail_msg("nothing happened in time");
}

static inline void open_parts(struct world *world) {
    struct err err;
    struct stream_log_config config = {.directory = world->directory, .segment_bytes_max = 100000};
    assert_int_equal(stream_log_open(&config, &world->log, &err), 0);
    world->loop = loop_new();
    timer_start(world->loop, &world->deadline, 60000, 0, on_deadline);
}

static inline void open_world(struct world *world) {
    *world = (struct world){.directory = "/tmp/weir-stream-XXXXXX"};
    assert_non_null(mkdtemp(world->directory));
    open_parts(world);
    world->writer = stream_writer_new(world->log, world->loop);
}

static inline void turn(struct world *world) {
    uv_run(loop_uv(world->loop), UV_RUN_ONCE);
}

/* What there is to do now. */
static inline void turn_briefly(struct world *world) {
    uv_run(loop_uv(world->loop), UV_RUN_NOWAIT);
}

static inline void run_until_idle(struct world *world) {
    while (!stream_writer_idle(world->writer))
        turn(world);
}

static inline void close_parts(struct world *world) {
    run_until_idle(world);
    stream_writer_free(world->writer);
    timer_close(&world->deadline, NULL);
    loop_free(world->loop);
    stream_log_close(world->log);
}

static inline void close_world(struct world *world) {
    close_parts(world);
    file_remove_tree(world->directory, NULL);
}

static inline void open_again(struct world *world) {
    struct err err = {0};
    close_parts(world);
    world->deadline = (struct timer){0};
    open_parts(world);
    if (stream_open_rest(world->log, &err))
        fail_msg("%s", err.text);
    world->writer = stream_writer_new(world->log, world->loop);
}

/* ---- changes ---- */

struct outcome {
    bool done;
    int status;
    struct stream *stream;
};

static inline void on_done(void *data, int status, struct stream *stream) {
    *(struct outcome *)data = (struct outcome){true, status, stream};
}

static inline void wait_for(struct world *world, struct outcome *outcome) {
    assert_false(outcome->done);
    while (!outcome->done)
        turn(world);
    assert_int_equal(outcome->status, 0);
}

static inline struct stream *create(struct world *world, const char *name, int64_t shards) {
    struct err err = {0};
    struct outcome outcome = {0};
    char copy[32];
    snprintf(copy, sizeof copy, "%s", name);
    struct stream_config config = {.name = copy, .shard_count = shards, .retention_ms = 3600000};
    if (stream_create(world->log, world->loop, &config, on_done, &outcome, &err))
        fail_msg("%s", err.text);
    memset(copy, 0, sizeof copy);
    wait_for(world, &outcome);
    return outcome.stream;
}

static inline void split(struct world *world, struct stream *stream, unsigned shard,
                         unsigned __int128 key) {
    struct err err = {0};
    struct outcome outcome = {0};
    if (stream_split(stream, world->loop, shard, key, on_done, &outcome, &err))
        fail_msg("%s", err.text);
    wait_for(world, &outcome);
}

static inline void merge(struct world *world, struct stream *stream, unsigned shard,
                         unsigned adjacent) {
    struct err err = {0};
    struct outcome outcome = {0};
    if (stream_merge(stream, world->loop, shard, adjacent, on_done, &outcome, &err))
        fail_msg("%s", err.text);
    wait_for(world, &outcome);
}

static inline void delete_stream(struct world *world, struct stream *stream) {
    struct outcome outcome = {0};
    assert_int_equal(stream_delete(stream, world->loop, on_done, &outcome), 0);
    wait_for(world, &outcome);
}

static inline struct sink *find(struct world *world, const char *name) {
    struct sink_resolver *resolver = stream_writer_resolver(world->writer);
    return resolver->find(resolver, SINK_STREAM, str_of(name));
}

static inline int push(struct sink *sink, const char *key, const char *data) {
    struct record record = {.partition_key = str_of(key), .data = str_of(data)};
    return sink_push(sink, &record);
}

static inline int put(struct world *world, struct stream *stream, const char *explicit_key,
                      struct stream_receipt *receipt) {
    struct record record = {
        .partition_key = STR("k"), .explicit_hash_key = str_of(explicit_key), .data = STR("data")};
    return stream_writer_put(world->writer, stream, &record, receipt);
}

/* Counts. */
static inline void on_ready(struct stream_reader *reader, void *data) {
    ++*(int *)data;
}

#endif
