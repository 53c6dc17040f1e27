#include "aws/test_world.h"
#include "base/hash_key.h"

static struct world *with_stream(int shards) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    world_okf(world, "CreateStream", "{'StreamName':'s','ShardCount':%d}", shards);
    return world;
}

#define SPLIT(shard, key)                                                                          \
    "{'StreamName':'s','ShardToSplit':'shardId-00000000000" shard "','NewStartingHashKey':'" key   \
    "'}"
#define MERGE(one, other)                                                                          \
    "{'StreamName':'s','ShardToMerge':'shardId-00000000000" one                                    \
    "','AdjacentShardToMerge':'shardId-00000000000" other "'}"

static void records_follow_splits_and_merges(void **state) {
    struct world *world = with_stream(1);
    static const char put[] = "{'StreamName':'s','Data':'','PartitionKey':'p',"
                              "'ExplicitHashKey':'5'}";
    world_ok(world, "PutRecord", put);
    char *in_parent = world_keep(world, "SequenceNumber");
    world_ok(world, "SplitShard", SPLIT("0", "1000"));
    world_ok(world, "PutRecord", put);
    assert_text(world, "ShardId", WORLD_SHARD_1);
    char *in_child = world_keep(world, "SequenceNumber");
    assert_true(strcmp(in_parent, in_child) < 0);
    world_ok(world, "MergeShards", MERGE("2", "1"));
    world_ok(world, "PutRecord", put);
    assert_text(world, "ShardId", "shardId-000000000003");
    assert_true(str_compare(str_of(in_child), world_text(world, "SequenceNumber")) < 0);
    world_ok(world, "ListShards", "{'StreamName':'s'}");
    assert_text(world, "Shards.3.ParentShardId", "shardId-000000000002");
    assert_text(world, "Shards.3.AdjacentParentShardId", WORLD_SHARD_1);
    assert_text(world, "Shards.3.HashKeyRange.EndingHashKey",
                "340282366920938463463374607431768211455");
    free(in_parent);
    free(in_child);
    world_end(world);
}

static void what_cannot_be_cut_is_refused(void **state) {
    struct world *world = with_stream(3);
    static const char invalid[] = "InvalidArgumentException";
    static const char *const keys[] = {"0", "1", "113427455640312821154458202477256070484",
                                       "340282366920938463463374607431768211456"};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        char *text = xprintf("NewStartingHashKey %s used in SplitShard() on shard " WORLD_SHARD_0
                             " in stream s under account 000000000000 is not both greater than one "
                             "plus the shard's StartingHashKey 0 and less than the shard's "
                             "EndingHashKey 113427455640312821154458202477256070484.",
                             keys[i]);
        char *input = xprintf(SPLIT("0", "%s"), keys[i]);
        assert_refused(world, "SplitShard", input, invalid, text);
        free(input);
        free(text);
    }
    assert_refused(world, "MergeShards", MERGE("0", "2"), invalid,
                   "Shards " WORLD_SHARD_0 " and shardId-000000000002 in stream s under account "
                   "000000000000 are not an adjacent pair of shards eligible for merging");
    assert_refused(world, "SplitShard", SPLIT("9", "5"), "ResourceNotFoundException",
                   "Could not find shard shardId-000000000009 in stream s under account "
                   "000000000000.");
    world_ok(world, "SplitShard", SPLIT("0", "2"));
    world_call(world, "SplitShard", SPLIT("0", "2"));
    assert_text(world, "__type", "InvalidArgumentException");
    world_call(world, "MergeShards", MERGE("0", "1"));
    assert_text(world, "__type", "InvalidArgumentException");
    world_end(world);
}

static void on_demand_streams_shard_themselves(void **state) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    world_ok(world, "CreateStream",
             "{'StreamName':'s','StreamModeDetails':{'StreamMode':'ON_DEMAND'}}");
    world_call(world, "SplitShard", SPLIT("0", "1000"));
    assert_text(world, "__type", "ValidationException");
    world_call(world, "UpdateShardCount",
               "{'StreamName':'s','TargetShardCount':8,'ScalingType':'UNIFORM_SCALING'}");
    assert_text(world, "__type", "ValidationException");
    world_end(world);
}

/* Whether the open shards are the `count` even ranges. */
static void assert_even(struct world *world, unsigned count) {
    world_ok(world, "ListShards", "{'StreamName':'s','ShardFilter':{'Type':'AT_LATEST'}}");
    assert_int_equal(world_count(world, "Shards"), count);
    for (unsigned range = 0; range < count; range++) {
        char room[HASH_KEY_CHARS];
        struct str wanted = hash_key_text(hash_key_even(range, count), room);
        bool found = false;
        for (unsigned i = 0; i < count; i++) {
            char path[64];
            snprintf(path, sizeof path, "Shards.%u.HashKeyRange.StartingHashKey", i);
            found |= str_eq(world_text(world, path), wanted);
        }
        assert_true(found);
    }
}

static void rescale(struct world *world, unsigned count) {
    world_okf(world, "UpdateShardCount",
              "{'StreamName':'s','TargetShardCount':%u,'ScalingType':'UNIFORM_SCALING'}", count);
    assert_int_equal(world_number(world, "TargetShardCount"), count);
    world_wait_active(world, "s");
    assert_even(world, count);
}

static void the_shard_count_becomes_what_is_asked(void **state) {
    static const unsigned counts[] = {4, 2, 3, 5, 10, 7, 4, 2, 1, 1};
    struct world *world = with_stream(2);
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        rescale(world, counts[i]);
    world_end(world);
}

/* Doubling splits each shard once, halving merges each pair once. */
static void no_shard_more_than_needed_is_made(void **state) {
    struct world *world = with_stream(2);
    rescale(world, 4);
    world_ok(world, "ListShards", "{'StreamName':'s'}");
    assert_int_equal(world_count(world, "Shards"), 6);
    rescale(world, 2);
    world_ok(world, "ListShards", "{'StreamName':'s'}");
    assert_int_equal(world_count(world, "Shards"), 8);
    world_end(world);
}

static void steps_are_at_most_twofold(void **state) {
    struct world *world = with_stream(3);
    assert_refused(world, "UpdateShardCount",
                   "{'StreamName':'s','TargetShardCount':7,'ScalingType':'UNIFORM_SCALING'}",
                   "InvalidArgumentException",
                   "UpdateShardCount cannot scale up over double your current open shard count. "
                   "Current open shard count: 3 Target shard count: 7");
    assert_refused(world, "UpdateShardCount",
                   "{'StreamName':'s','TargetShardCount':1,'ScalingType':'UNIFORM_SCALING'}",
                   "InvalidArgumentException",
                   "UpdateShardCount cannot scale down below half your current open shard count. "
                   "Current open shard count: 3 Target shard count: 1");
    world_end(world);
}

static void a_stop_in_the_middle_is_made_good(void **state) {
    struct world *world = with_stream(40);
    world_ok(world, "UpdateShardCount",
             "{'StreamName':'s','TargetShardCount':80,'ScalingType':'UNIFORM_SCALING'}");
    world_restart(world);
    world_wait_active(world, "s");
    assert_even(world, 80);
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_follow_splits_and_merges),
        cmocka_unit_test(what_cannot_be_cut_is_refused),
        cmocka_unit_test(on_demand_streams_shard_themselves),
        cmocka_unit_test(the_shard_count_becomes_what_is_asked),
        cmocka_unit_test(no_shard_more_than_needed_is_made),
        cmocka_unit_test(steps_are_at_most_twofold),
        cmocka_unit_test(a_stop_in_the_middle_is_made_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
