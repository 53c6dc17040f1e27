/* Where a mapping begins, what it remembers, what it shows. */
#include "function/mapping.h"
#include "function/world_test.h"

#include "base/clock.h"

static void all_records_come_in_order_and_the_checkpoint_follows(void **state) {
    struct world world;
    world_init(&world, 1);
    world_put(&world, "k", "a b c");
    world_commit(&world);
    world_map(&world);
    world_expect(&world, "done 0:a,b,c\n");
    world_put(&world, "k", "d");
    world_expect(&world, "done 0:a,b,c\ndone 0:d\n");
    world_stop(&world, 1000);
    world_start_again(&world, 1);
    assert_int_equal(world_checkpoint(&world, 0), 4);
    world_done(&world);
}

static void it_goes_on_where_it_stopped(void **state) {
    struct world world;
    world_init(&world, 1);
    world_map(&world);
    world_put(&world, "k", "a b");
    world_expect(&world, "done 0:a,b\n");
    world_stop(&world, 1000);
    world_start_again(&world, 1);
    world_put(&world, "k", "c");
    world_commit(&world);
    world_map(&world);
    world_expect(&world, "done 0:a,b\ndone 0:c\n");
    world_done(&world);
}

/* What is acknowledged after the mapping exists is not skipped, even if Weir ends before it has
 * read anything. */
static void latest_is_fixed_when_the_mapping_is_opened(void **state) {
    struct world world;
    world_init(&world, 1);
    world.mapping.starting_position = FUNCTION_LATEST;
    world_put(&world, "k", "old older");
    world_commit(&world);
    world_map(&world);
    assert_int_equal(world_checkpoint(&world, 0), 2);
    world_stop(&world, 0);
    world_start_again(&world, 1);
    world_put(&world, "k", "new");
    world_commit(&world);
    world_map(&world);
    world_expect(&world, "done 0:new\n");
    world_done(&world);
}

static void a_timestamp_skips_what_is_older(void **state) {
    struct world world;
    char timestamp[32];
    world_init(&world, 1);
    world_put(&world, "k", "old");
    world_commit(&world);
    loop_run_until(world.harness.loop, 20, is_never, NULL);
    snprintf(timestamp, sizeof timestamp, "%.3f", (double)clock_wall_ms() / 1000);
    loop_run_until(world.harness.loop, 20, is_never, NULL);
    world.mapping.starting_position = FUNCTION_AT_TIMESTAMP;
    world.mapping.starting_position_timestamp = timestamp;
    world_put(&world, "k", "new");
    world_commit(&world);
    world_map(&world);
    world_expect(&world, "done 0:new\n");
    world_done(&world);
}

static void a_mapping_that_is_not_enabled_does_nothing(void **state) {
    struct world world;
    uint64_t counter;
    world_init(&world, 1);
    world.mapping.enabled = false;
    world_map(&world);
    assert_int_equal(
        stream_checkpoint_get(world.facts, world.stream, 0, "mapping/sensors/counter", &counter),
        ERR_NOT_FOUND);
    world_done(&world);
}

static void a_mapping_to_an_unknown_function_is_refused(void **state) {
    struct world world;
    struct err err;
    world_init(&world, 1);
    world.mapping.function = "nobody";
    assert_int_equal(
        function_mapping_open(world.harness.host, world.facts, &world.mapping, world.stream, &err),
        ERR_NOT_FOUND);
    world.mapping.function = "counter";
    world.mapping.starting_position = FUNCTION_AT_TIMESTAMP;
    assert_int_equal(
        function_mapping_open(world.harness.host, world.facts, &world.mapping, world.stream, &err),
        ERR_INVALID);
    assert_non_null(strstr(err.text, "mapping of stream sensors to counter"));
    world_done(&world);
}

#define LABELS "{stream=\"sensors\",function=\"counter\"}"
#define LAG                                                                                        \
    "weir_mapping_lag_records{stream=\"sensors\",function=\"counter\",shard=\"shardId-"            \
    "000000000000\"}"

static bool lag_is(void *data) {
    return metric_shown(LAG) == *(const int *)data;
}

static void lag_and_counts_are_shown(void **state) {
    struct world world;
    int three = 3, none = 0;
    world_init(&world, 1);
    world_let_fail(&world, "*");
    world_map(&world);
    world_put(&world, "k", "a b c");
    assert_true(loop_run_until(world.harness.loop, TEST_LIMIT_MS, lag_is, &three));
    assert_true(metric_shown("weir_mapping_failed_batches_total" LABELS) >= 1);
    assert_int_equal(metric_shown("weir_mapping_records_total" LABELS), 0);
    assert_int_equal(world_checkpoint(&world, 0), 0);
    world_let_fail(&world, NULL);
    assert_true(loop_run_until(world.harness.loop, TEST_LIMIT_MS, lag_is, &none));
    assert_int_equal(metric_shown("weir_mapping_records_total" LABELS), 3);
    assert_int_equal(metric_shown("weir_mapping_skipped_records_total" LABELS), 0);
    assert_true(metric_shown("weir_function_errors_total{function=\"counter\"}") >= 1);
    assert_true(metric_shown("weir_function_invocations_total{function=\"counter\"}") >= 2);
    world_done(&world);
    assert_int_equal(metric_shown(LAG), -1);
}

/* Each shard in order, all of it, and no shard waits for another. */
static void shards_are_independent(void **state) {
    struct world world;
    world_init(&world, 2);
    world.mapping.batch_size = 2;
    world_map(&world);
    world_let_fail(&world, "a1");
    world_put(&world, "a", "a1 a2 a3"); /* shard 0 by the MD5 of its key, "b" shard 1 */
    world_put(&world, "b", "b1 b2 b3");
    struct expectation expectation = {&world, NULL};
    while (!strstr(world_read(&world), "done 1:b3"))
        assert_false(loop_run_until(world.harness.loop, 20, expectation_is_met,
                                    &(struct expectation){&world, "never"}));
    assert_non_null(strstr(world_read(&world), "failed 0:a1"));
    assert_null(strstr(world_read(&world), "done 0:"));
    world_let_fail(&world, NULL);
    expectation.text = "done 0:a3\n";
    while (!strstr(world_read(&world), expectation.text))
        loop_run_until(world.harness.loop, 20, is_never, NULL);
    assert_non_null(strstr(world_read(&world), "done 0:a1,a2\ndone 0:a3\n"));
    world_done(&world);
}

/* Everything arrives, in order, with repetitions only. */
static void a_function_that_dies_loses_nothing(void **state) {
    struct world world;
    world_init(&world, 1);
    world.mapping.batch_size = 3;
    world_map(&world);
    world_let_fail(&world, "w5 die");
    for (int i = 0; i < 9; i++) {
        char word[8];
        snprintf(word, sizeof word, "w%d", i);
        world_put(&world, "k", word);
    }
    while (!strstr(world_read(&world), "failed 0:w3,w4,w5\nfailed 0:w3,w4,w5\n"))
        loop_run_until(world.harness.loop, 20, is_never, NULL);
    world_let_fail(&world, NULL);
    while (!strstr(world_read(&world), "done 0:w6,w7,w8\n"))
        loop_run_until(world.harness.loop, 20, is_never, NULL);
    const char *text = world_read(&world);
    assert_true(str_starts(str_of(text), STR("done 0:w0,w1,w2\nfailed 0:w3,w4,w5\n")));
    assert_non_null(strstr(text, "done 0:w3,w4,w5\ndone 0:w6,w7,w8\n"));
    world_done(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_records_come_in_order_and_the_checkpoint_follows),
        cmocka_unit_test(it_goes_on_where_it_stopped),
        cmocka_unit_test(latest_is_fixed_when_the_mapping_is_opened),
        cmocka_unit_test(a_timestamp_skips_what_is_older),
        cmocka_unit_test(a_mapping_that_is_not_enabled_does_nothing),
        cmocka_unit_test(a_mapping_to_an_unknown_function_is_refused),
        cmocka_unit_test(lag_and_counts_are_shown),
        cmocka_unit_test(shards_are_independent),
        cmocka_unit_test(a_function_that_dies_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
