/* For tests: a stream in a directory of its own, its checkpoints, and a function that writes down
 * what it gets (harness_test.h). */
#ifndef FUNCTION_WORLD_TEST_H
#define FUNCTION_WORLD_TEST_H

#include "base/metric_rig.h"
#include "function/harness_test.h"
#include "io/facts.h"
#include "stream/stream.h"

struct world {
    struct harness harness;
    char directory[64], out[96], fail[104];
    struct option_pair out_variable;
    struct stream_log *log;
    struct stream *stream;
    struct stream_writer *writer;
    struct facts *facts;
    struct function_mapping_config mapping;
};

static inline void world_open_stream(struct world *world, unsigned shards) {
    struct stream_log_config log = {.directory = world->directory, .sync = STREAM_SYNC_NONE};
    struct stream_config stream = {
        .name = "sensors", .kind = STREAM_DATA, .shard_count = shards, .retention_ms = 86400000};
    struct err err = {0};
    if (facts_open(world->directory, 16 << 20, &world->facts, &err) ||
        stream_log_open(&log, &world->log, &err) ||
        stream_open(world->log, &stream, &world->stream, &err))
        fail_msg("%s", err.text);
}

static inline void world_open_functions(struct world *world) {
    world->harness.functions[0] = function_config_for_test("counter", 4);
    world->out_variable = (struct option_pair){"OUT", world->out};
    world->harness.functions[0].environment = (struct option_pairs){&world->out_variable, 1};
    harness_open(&world->harness, 1);
    world->writer = stream_writer_new(world->log, world->harness.loop);
}

static inline void world_init(struct world *world, unsigned shards) {
    *world = (struct world){.directory = "/tmp/weir-mapping-XXXXXX"};
    assert_non_null(mkdtemp(world->directory));
    snprintf(world->out, sizeof world->out, "%s/out", world->directory);
    snprintf(world->fail, sizeof world->fail, "%s.fail", world->out);
    world->mapping = (struct function_mapping_config){.stream = "sensors",
                                                      .function = "counter",
                                                      .enabled = true,
                                                      .batch_size = 100,
                                                      .starting_position = FUNCTION_TRIM_HORIZON,
                                                      .maximum_retry_attempts = -1};
    world_open_stream(world, shards);
    world_open_functions(world);
}

static inline void world_map(struct world *world) {
    struct err err = {0};
    if (function_mapping_open(world->harness.host, world->facts, &world->mapping, world->stream,
                              &err))
        fail_msg("%s", err.text);
}

static inline bool world_is_idle(void *data) {
    struct world *world = data;
    return stream_writer_idle(world->writer);
}

/* Stops the functions and the loop; what is on disk stays. */
static inline void world_stop(struct world *world, unsigned grace_ms) {
    bool closed = false;
    assert_true(loop_run_until(world->harness.loop, TEST_LIMIT_MS, world_is_idle, world));
    function_host_close(world->harness.host, grace_ms, set_flag, &closed);
    assert_true(loop_run_until(world->harness.loop, TEST_LIMIT_MS, is_set, &closed));
    stream_writer_free(world->writer);
    stream_log_close(world->log);
    loop_free(world->harness.loop);
    facts_close(world->facts);
}

static inline void world_start_again(struct world *world, unsigned shards) {
    world_open_stream(world, shards);
    world_open_functions(world);
}

static inline void world_done(struct world *world) {
    char command[128];
    world_stop(world, 0);
    snprintf(command, sizeof command, "rm -rf %s", world->directory);
    assert_int_equal(system(command), 0);
}

/* Appends records of one key, "a", "b", ..., `data` cut at blanks. */
static inline void world_put(struct world *world, const char *key, const char *data) {
    struct sink_resolver *resolver = stream_writer_resolver(world->writer);
    struct sink *sink = resolver->find(resolver, SINK_STREAM, STR("sensors"));
    assert_non_null(sink);
    for (struct str rest = str_of(data); rest.len;) {
        struct str word = str_cut(rest, ' ', &rest);
        struct record record = {.partition_key = str_of(key), .data = word};
        assert_int_equal(sink_push(sink, &record), 0);
    }
}

static inline void world_commit(struct world *world) {
    assert_true(loop_run_until(world->harness.loop, TEST_LIMIT_MS, world_is_idle, world));
}

/* ---- changes of the stream ---- */

static inline void world_on_changed(void *data, int status, struct stream *stream) {
    assert_int_equal(status, 0);
    *(bool *)data = true;
}

/* In the middle of its range. */
static inline void world_split(struct world *world, unsigned shard) {
    struct stream_shard_info info;
    struct err err = {0};
    bool done = false;
    stream_shard_get(world->stream, shard, &info);
    if (stream_split(world->stream, world->harness.loop, shard,
                     info.start + (info.end - info.start) / 2 + 1, world_on_changed, &done, &err))
        fail_msg("%s", err.text);
    assert_true(loop_run_until(world->harness.loop, TEST_LIMIT_MS, is_set, &done));
}

static inline void world_merge(struct world *world, unsigned shard, unsigned adjacent) {
    struct err err = {0};
    bool done = false;
    if (stream_merge(world->stream, world->harness.loop, shard, adjacent, world_on_changed, &done,
                     &err))
        fail_msg("%s", err.text);
    assert_true(loop_run_until(world->harness.loop, TEST_LIMIT_MS, is_set, &done));
}

/* Which events fail: words, "*" for all. NULL: none. "partial" makes it tell which records failed,
 * "die" makes it end instead of reporting. */
static inline void world_let_fail(struct world *world, const char *words) {
    unlink(world->fail);
    if (!words)
        return;
    FILE *file = fopen(world->fail, "w");
    assert_non_null(file);
    fputs(words, file);
    fclose(file);
}

/* What the function has written so far. */
static inline const char *world_read(struct world *world) {
    static char text[64 * 1024];
    FILE *file = fopen(world->out, "r");
    size_t len = file ? fread(text, 1, sizeof text - 1, file) : 0;
    text[len] = '\0';
    if (file)
        fclose(file);
    return text;
}

static inline void world_forget(struct world *world) {
    unlink(world->out);
}

struct expectation {
    struct world *world;
    const char *text;
};

static inline bool expectation_is_met(void *data) {
    struct expectation *expectation = data;
    return strcmp(world_read(expectation->world), expectation->text) == 0;
}

/* Runs until the function has written exactly this. */
static inline void world_expect(struct world *world, const char *text) {
    struct expectation expectation = {world, text};
    if (!loop_run_until(world->harness.loop, TEST_LIMIT_MS, expectation_is_met, &expectation))
        fail_msg("wanted:\n%shave:\n%s", text, world_read(world));
}

static inline uint64_t world_checkpoint(struct world *world, unsigned shard) {
    uint64_t counter = UINT64_MAX;
    assert_int_equal(stream_checkpoint_get(world->facts, world->stream, shard,
                                           "mapping/sensors/counter", &counter),
                     0);
    return counter;
}

#endif
