/* A mapping on a stream whose shards are split and merged. */
#include "function/world_test.h"

/* Of a stream with one shard, split in the middle: key "a" goes to the lower half, "b" to the upper
 * one (their MD5). */

static void run_for(struct world *world, uint64_t ms) {
    loop_run_until(world->harness.loop, ms, is_never, NULL);
}

static void run_until_written(struct world *world, const char *text) {
    for (int i = 0; !strstr(world_read(world), text); i++) {
        if (i > 1000)
            fail_msg("wanted: %s, have: %s", text, world_read(world));
        run_for(world, 20);
    }
}

/* The children are read from their start although the mapping began at LATEST. */
static void children_wait_for_their_parent(void **state) {
    struct world world;
    world_init(&world, 1);
    world.mapping.starting_position = FUNCTION_LATEST;
    world_map(&world);
    world_let_fail(&world, "a1");
    world_put(&world, "a", "a1");
    run_until_written(&world, "failed 0:a1\n");
    world_split(&world, 0);
    world_put(&world, "a", "a2 a3");
    world_put(&world, "b", "b1");
    world_commit(&world);
    run_for(&world, 1500);
    assert_null(strstr(world_read(&world), "done"));
    assert_null(strstr(world_read(&world), "a2"));
    world_let_fail(&world, NULL);
    run_until_written(&world, "done 1:a2,a3\n");
    run_until_written(&world, "done 2:b1\n");
    assert_true(strstr(world_read(&world), "done 0:a1\n") <
                strstr(world_read(&world), "done 1:a2,a3\n"));
    world_put(&world, "b", "b2");
    run_until_written(&world, "done 2:b2\n");
    world_done(&world);
}

static void a_merge_waits_for_both(void **state) {
    struct world world;
    world_init(&world, 2);
    world_map(&world);
    world_let_fail(&world, "b1");
    world_put(&world, "a", "a1");
    world_put(&world, "b", "b1");
    run_until_written(&world, "failed 1:b1\n");
    run_until_written(&world, "done 0:a1\n");
    world_merge(&world, 1, 0);
    world_put(&world, "a", "a2");
    world_put(&world, "b", "b2");
    world_commit(&world);
    run_for(&world, 1500);
    assert_null(strstr(world_read(&world), "2:"));
    world_let_fail(&world, NULL);
    run_until_written(&world, "done 1:b1\n");
    run_until_written(&world, "done 2:a2,b2\n");
    world_done(&world);
}

/* Shards that came after the mapping have no checkpoint when it stops. */
static void a_restart_goes_on_in_the_family(void **state) {
    struct world world;
    world_init(&world, 1);
    world.mapping.starting_position = FUNCTION_LATEST;
    world_map(&world);
    world_let_fail(&world, "a1");
    world_put(&world, "a", "a1");
    run_until_written(&world, "failed 0:a1\n");
    world_split(&world, 0);
    world_split(&world, 1);
    world_put(&world, "a", "a2");
    world_put(&world, "b", "b1");
    world_stop(&world, 0);
    world_let_fail(&world, NULL);
    world_forget(&world);
    world_start_again(&world, 1);
    world_map(&world);
    run_until_written(&world, "b1");
    run_until_written(&world, "a2");
    assert_true(str_starts(str_of(world_read(&world)), STR("done 0:a1\n")));
    world_stop(&world, 1000);
    world_start_again(&world, 1);
    world_forget(&world);
    world_map(&world);
    world_put(&world, "b", "b2");
    world_expect(&world, "done 2:b2\n");
    world_done(&world);
}

/* What was there before a new mapping that begins at LATEST is none of its business, closed shards
 * neither; with TRIM_HORIZON parents come first. */
static void a_new_mapping_finds_closed_shards(void **state) {
    for (int from_start = 0; from_start < 2; from_start++) {
        struct world world;
        world_init(&world, 1);
        world.mapping.starting_position = from_start ? FUNCTION_TRIM_HORIZON : FUNCTION_LATEST;
        world_put(&world, "a", "a1");
        world_commit(&world);
        world_split(&world, 0);
        world_put(&world, "a", "a2");
        world_commit(&world);
        world_map(&world);
        if (from_start)
            world_expect(&world, "done 0:a1\ndone 1:a2\n");
        world_forget(&world);
        world_put(&world, "a", "a3");
        world_expect(&world, "done 1:a3\n");
        world_done(&world);
    }
}

/* Its records went by retention while nothing ran. What it had been known by tells that the mapping
 * is not new. */
static void a_removed_parent_is_waited_for_by_nobody(void **state) {
    struct world world;
    char command[160];
    world_init(&world, 1);
    world.mapping.starting_position = FUNCTION_LATEST;
    world_map(&world);
    world_put(&world, "a", "a1");
    world_expect(&world, "done 0:a1\n");
    world_stop(&world, 1000);
    world_start_again(&world, 1);
    world_split(&world, 0);
    world_put(&world, "a", "a2");
    world_stop(&world, 0);
    snprintf(command, sizeof command, "sed -i '/^shard 0 /d' %s/streams/sensors/stream.meta",
             world.directory);
    assert_int_equal(system(command), 0);
    world_start_again(&world, 1);
    world_map(&world);
    world_expect(&world, "done 0:a1\ndone 1:a2\n");
    world_done(&world);
}

enum { KEYS = 8, ROUNDS = 8, EACH = 5 };

static void put_round(struct world *world, int round) {
    for (int i = 0; i < KEYS * EACH; i++) {
        char key[8], word[16];
        snprintf(key, sizeof key, "k%d", i % KEYS);
        snprintf(word, sizeof word, "k%d-%d", i % KEYS, round * EACH + i / KEYS);
        world_put(world, key, word);
    }
}

/* Of each key every number once, ascending. */
static void assert_all_in_order(struct world *world) {
    int next[KEYS] = {0};
    for (const char *at = world_read(world); (at = strchr(at, 'k')); at++) {
        int key, number;
        assert_int_equal(sscanf(at, "k%d-%d", &key, &number), 2);
        assert_int_equal(number, next[key]);
        next[key]++;
    }
}

static bool all_arrived(void *data) {
    int count = 0;
    for (const char *at = world_read(data); (at = strchr(at, 'k')); at++)
        count++;
    return count >= KEYS * EACH * ROUNDS;
}

static void nothing_is_lost_twice_or_out_of_order(void **state) {
    struct world world;
    world_init(&world, 1);
    world.mapping.batch_size = 7;
    world_map(&world);
    for (int round = 0; round < ROUNDS; round++) {
        unsigned last = stream_shard_count(world.stream) - 1;
        put_round(&world, round);
        if (round % 3 == 2)
            world_merge(&world, last, last - 1);
        else
            world_split(&world, last);
    }
    assert_true(loop_run_until(world.harness.loop, TEST_LIMIT_MS, all_arrived, &world));
    assert_all_in_order(&world);
    world_done(&world);
}

static void a_deleted_stream_ends_its_mapping(void **state) {
    struct world world;
    bool done = false;
    world_init(&world, 2);
    world_map(&world);
    world_put(&world, "a", "a1");
    world_expect(&world, "done 0:a1\n");
    assert_int_equal(stream_delete(world.stream, world.harness.loop, world_on_changed, &done), 0);
    assert_true(loop_run_until(world.harness.loop, TEST_LIMIT_MS, is_set, &done));
    run_for(&world, 1200);
    world_done(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_wait_for_their_parent),
        cmocka_unit_test(a_merge_waits_for_both),
        cmocka_unit_test(a_restart_goes_on_in_the_family),
        cmocka_unit_test(a_new_mapping_finds_closed_shards),
        cmocka_unit_test(a_removed_parent_is_waited_for_by_nobody),
        cmocka_unit_test(nothing_is_lost_twice_or_out_of_order),
        cmocka_unit_test(a_deleted_stream_ends_its_mapping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
