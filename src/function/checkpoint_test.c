#include "function/checkpoint.h"
#include "function/world_test.h"

static void many_changes_are_written_together_and_the_last_one_counts(void **state) {
    struct world world;
    bool closed = false;
    world_init(&world, 3);
    struct loop *loop = world.harness.loop;
    struct function_checkpoint_writer *writer = function_checkpoint_writer_new(loop, world.facts);
    struct function_checkpoint checkpoints[3];
    for (unsigned i = 0; i < 3; i++)
        checkpoints[i] = (struct function_checkpoint){
            .stream = world.stream, .shard = i, .name = "mapping/sensors/counter"};
    for (uint64_t counter = 1; counter <= 100; counter++)
        for (unsigned i = 0; i < 3; i++)
            function_checkpoint_set(writer, &checkpoints[i], counter * 10 + i);
    loop_run_until(loop, 5 * FUNCTION_CHECKPOINT_MS, is_never, NULL);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(world_checkpoint(&world, i), 1000 + i);
    function_checkpoint_set(writer, &checkpoints[1], 5);
    function_checkpoint_writer_close(writer, set_flag, &closed);
    assert_false(closed);
    assert_true(loop_run_until(loop, TEST_LIMIT_MS, is_set, &closed));
    assert_int_equal(world_checkpoint(&world, 1), 5);
    world_done(&world);
}

static void closing_with_nothing_to_write_ends(void **state) {
    struct world world;
    bool closed = false;
    world_init(&world, 1);
    struct function_checkpoint_writer *writer =
        function_checkpoint_writer_new(world.harness.loop, world.facts);
    function_checkpoint_writer_close(writer, set_flag, &closed);
    assert_false(closed);
    assert_true(loop_run_until(world.harness.loop, TEST_LIMIT_MS, is_set, &closed));
    world_done(&world);
}

/* A key that LMDB does not take: nothing is written, nothing is forgotten. */
static void a_failed_write_is_repeated(void **state) {
    struct world world;
    char too_long[600];
    bool closed = false;
    world_init(&world, 2);
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    struct function_checkpoint bad = {.stream = world.stream, .name = too_long};
    struct function_checkpoint good = {
        .stream = world.stream, .shard = 1, .name = "mapping/sensors/counter"};
    struct function_checkpoint_writer *writer =
        function_checkpoint_writer_new(world.harness.loop, world.facts);
    function_checkpoint_set(writer, &bad, 7);
    function_checkpoint_set(writer, &good, 8);
    loop_run_until(world.harness.loop, 3 * FUNCTION_CHECKPOINT_MS, is_never, NULL);
    assert_true(list_linked(&bad.link) && list_linked(&good.link));
    bad.name = good.name;
    loop_run_until(world.harness.loop, FUNCTION_CHECKPOINT_RETRY_MS, is_never, NULL);
    assert_int_equal(world_checkpoint(&world, 0), 7);
    assert_int_equal(world_checkpoint(&world, 1), 8);
    function_checkpoint_writer_close(writer, set_flag, &closed);
    assert_true(loop_run_until(world.harness.loop, TEST_LIMIT_MS, is_set, &closed));
    world_done(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_changes_are_written_together_and_the_last_one_counts),
        cmocka_unit_test(closing_with_nothing_to_write_ends),
        cmocka_unit_test(a_failed_write_is_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
