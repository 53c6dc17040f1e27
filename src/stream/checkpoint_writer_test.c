#include "stream/world_test.h"

struct rig {
    struct world world;
    struct facts *facts;
    struct stream *stream;
    struct timer pause;
    bool over;
};

static void rig_init(struct rig *rig, int64_t shards) {
    struct err err;
    *rig = (struct rig){0};
    open_world(&rig->world);
    rig->stream = create(&rig->world, "sensors", shards);
    assert_int_equal(facts_open(rig->world.directory, 1 << 20, &rig->facts, &err), 0);
}

static void rig_done(struct rig *rig) {
    timer_close(&rig->pause, NULL);
    close_world(&rig->world);
    facts_close(rig->facts);
}

static void on_over(struct timer *timer) {
    CONTAINER_OF(timer, struct rig, pause)->over = true;
}

static void run_for(struct rig *rig, uint64_t ms) {
    rig->over = false;
    timer_start(rig->world.loop, &rig->pause, ms, 0, on_over);
    while (!rig->over)
        turn(&rig->world);
}

static void set_flag(void *data) {
    *(bool *)data = true;
}

static void close_writer(struct rig *rig, struct stream_checkpoint_writer *writer) {
    bool closed = false;
    stream_checkpoint_writer_close(writer, set_flag, &closed);
    assert_false(closed);
    while (!closed)
        turn(&rig->world);
}

static uint64_t checkpoint(struct rig *rig, unsigned shard) {
    uint64_t counter = UINT64_MAX;
    stream_checkpoint_get(rig->facts, rig->stream, shard, "consumer", &counter);
    return counter;
}

static void many_changes_are_written_together_and_the_last_one_counts(void **state) {
    struct rig rig;
    rig_init(&rig, 3);
    struct stream_checkpoint_writer *writer =
        stream_checkpoint_writer_new(rig.world.loop, rig.facts);
    struct stream_checkpoint checkpoints[3];
    for (unsigned i = 0; i < 3; i++)
        checkpoints[i] =
            (struct stream_checkpoint){.stream = rig.stream, .shard = i, .name = "consumer"};
    for (uint64_t counter = 1; counter <= 100; counter++)
        for (unsigned i = 0; i < 3; i++)
            stream_checkpoint_set(writer, &checkpoints[i], counter * 10 + i);
    while (checkpoint(&rig, 2) != 1002)
        run_for(&rig, STREAM_CHECKPOINT_MS);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(checkpoint(&rig, i), 1000 + i);
    stream_checkpoint_set(writer, &checkpoints[1], 5);
    close_writer(&rig, writer);
    assert_int_equal(checkpoint(&rig, 1), 5);
    rig_done(&rig);
}

static void closing_with_nothing_to_write_ends(void **state) {
    struct rig rig;
    rig_init(&rig, 1);
    close_writer(&rig, stream_checkpoint_writer_new(rig.world.loop, rig.facts));
    rig_done(&rig);
}

/* A key that LMDB does not take: nothing is written, nothing is forgotten. */
static void a_failed_write_is_repeated(void **state) {
    struct rig rig;
    char too_long[600];
    rig_init(&rig, 2);
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    struct stream_checkpoint bad = {.stream = rig.stream, .name = too_long};
    struct stream_checkpoint good = {.stream = rig.stream, .shard = 1, .name = "consumer"};
    struct stream_checkpoint_writer *writer =
        stream_checkpoint_writer_new(rig.world.loop, rig.facts);
    stream_checkpoint_set(writer, &bad, 7);
    stream_checkpoint_set(writer, &good, 8);
    run_for(&rig, 3 * STREAM_CHECKPOINT_MS);
    assert_int_equal(checkpoint(&rig, 1), UINT64_MAX);
    bad.name = good.name;
    while (checkpoint(&rig, 0) != 7)
        run_for(&rig, STREAM_CHECKPOINT_MS);
    assert_int_equal(checkpoint(&rig, 1), 8);
    close_writer(&rig, writer);
    rig_done(&rig);
}

static void what_was_forgotten_is_not_written(void **state) {
    struct rig rig;
    rig_init(&rig, 2);
    struct stream_checkpoint gone = {.stream = rig.stream, .name = "consumer"};
    struct stream_checkpoint kept = {.stream = rig.stream, .shard = 1, .name = "consumer"};
    struct stream_checkpoint_writer *writer =
        stream_checkpoint_writer_new(rig.world.loop, rig.facts);
    stream_checkpoint_set(writer, &gone, 7);
    stream_checkpoint_set(writer, &kept, 8);
    assert_true(stream_checkpoint_forget(writer, &gone));
    close_writer(&rig, writer);
    assert_int_equal(checkpoint(&rig, 0), UINT64_MAX);
    assert_int_equal(checkpoint(&rig, 1), 8);
    rig_done(&rig);
}

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_changes_are_written_together_and_the_last_one_counts),
        cmocka_unit_test(closing_with_nothing_to_write_ends),
        cmocka_unit_test(a_failed_write_is_repeated),
        cmocka_unit_test(what_was_forgotten_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
