#include "aws/test_world.h"

static struct world *with_splits(void) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    world_ok(world, "CreateStream", "{'StreamName':'s','ShardCount':2}");
    world_ok(world, "SplitShard",
             "{'StreamName':'s','ShardToSplit':'" WORLD_SHARD_0 "','NewStartingHashKey':'1000'}");
    return world;
}

static void shards_tell_parents_and_ends(void **state) {
    struct world *world = with_splits();
    world_ok(world, "ListShards", "{'StreamName':'s'}");
    assert_int_equal(world_count(world, "Shards"), 4);
    assert_true(world_has(world, "Shards.0.SequenceNumberRange.EndingSequenceNumber"));
    assert_false(world_has(world, "Shards.1.SequenceNumberRange.EndingSequenceNumber"));
    assert_text(world, "Shards.2.ParentShardId", WORLD_SHARD_0);
    assert_text(world, "Shards.2.HashKeyRange.EndingHashKey", "999");
    assert_text(world, "Shards.3.HashKeyRange.StartingHashKey", "1000");
    assert_false(world_has(world, "Shards.3.AdjacentParentShardId"));
    world_end(world);
}

static void filters_choose(void **state) {
    static const struct {
        const char *filter;
        size_t count;
    } cases[] = {
        {"{'Type':'AT_LATEST'}", 3},
        {"{'Type':'FROM_TRIM_HORIZON'}", 4},
        {"{'Type':'AT_TRIM_HORIZON'}", 2},
        {"{'Type':'AFTER_SHARD_ID','ShardId':'" WORLD_SHARD_1 "'}", 2},
        {"{'Type':'AFTER_SHARD_ID','ShardId':'shardId-000000000999'}", 0},
        {"{'Type':'FROM_TIMESTAMP','Timestamp':1}", 4},
        {"{'Type':'FROM_TIMESTAMP','Timestamp':99999999999}", 3},
        {"{'Type':'AT_TIMESTAMP','Timestamp':1}", 2},
    };
    struct world *world = with_splits();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        world_okf(world, "ListShards", "{'StreamName':'s','ShardFilter':%s}", cases[i].filter);
        if (world_count(world, "Shards") != cases[i].count)
            fail_msg("%s: %.*s", cases[i].filter, STR_ARG(world->body));
    }
    world_call(world, "ListShards", "{'StreamName':'s','ShardFilter':{'Type':'AT_TIMESTAMP'}}");
    assert_text(world, "__type", "InvalidArgumentException");
    world_call(world, "ListShards", "{'StreamName':'s','ShardFilter':{'Type':'AFTER_SHARD_ID'}}");
    assert_text(world, "__type", "InvalidArgumentException");
    world_end(world);
}

static void pages_follow_one_another(void **state) {
    struct world *world = with_splits();
    size_t seen = 0;
    world_ok(world, "ListShards",
             "{'StreamName':'s','MaxResults':1,'ShardFilter':{'Type':'AT_LATEST'}}");
    for (;;) {
        seen += world_count(world, "Shards");
        if (!world_has(world, "NextToken"))
            break;
        char *token = world_keep(world, "NextToken");
        world_okf(world, "ListShards", "{'NextToken':'%s','MaxResults':1}", token);
        free(token);
    }
    assert_int_equal(seen, 3);
    world_ok(world, "ListShards", "{'StreamName':'s','ExclusiveStartShardId':'" WORLD_SHARD_1 "'}");
    assert_int_equal(world_count(world, "Shards"), 2);
    world_end(world);
}

static void a_token_stands_alone(void **state) {
    struct world *world = with_splits();
    assert_refused(world, "ListShards", "{}", "InvalidArgumentException",
                   "Either NextToken or StreamName should be provided.");
    assert_refused(world, "ListShards", "{'StreamName':'s','NextToken':'x'}",
                   "InvalidArgumentException",
                   "NextToken and StreamName cannot be provided together.");
    assert_refused(world, "ListShards", "{'NextToken':'x'}", "InvalidArgumentException",
                   "Invalid NextToken.");
    world_end(world);
}

static void describe_stream_goes_on_behind_a_shard(void **state) {
    struct world *world = with_splits();
    world_ok(world, "DescribeStream", "{'StreamName':'s','Limit':3}");
    assert_int_equal(world_count(world, "StreamDescription.Shards"), 3);
    assert_int_equal(json_type(world_value(world, "StreamDescription.HasMoreShards")), JSON_TRUE);
    world_ok(world, "DescribeStream",
             "{'StreamName':'s','ExclusiveStartShardId':'shardId-000000000002'}");
    assert_int_equal(world_count(world, "StreamDescription.Shards"), 1);
    assert_int_equal(json_type(world_value(world, "StreamDescription.HasMoreShards")), JSON_FALSE);
    assert_refused(world, "DescribeStream", "{'StreamName':'s','ExclusiveStartShardId':'nope'}",
                   "ResourceNotFoundException",
                   "Could not find shard nope in stream s under account 000000000000.");
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_tell_parents_and_ends),
        cmocka_unit_test(filters_choose),
        cmocka_unit_test(pages_follow_one_another),
        cmocka_unit_test(a_token_stands_alone),
        cmocka_unit_test(describe_stream_goes_on_behind_a_shard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
