#include "aws/test_world.h"

static const struct conf present;

static struct world *begin(const struct aws_limits_config *limits) {
    struct world *world = world_new(AWS_AUTH_OPEN, NULL);
    world->config.limits = *limits;
    world->config.limits.head.conf = &present;
    world_start(world);
    world_ok(world, "CreateStream", "{'StreamName':'s','ShardCount':2}");
    return world;
}

#define THROTTLED "ProvisionedThroughputExceededException"
#define SHARD_0_TEXT                                                                               \
    "Rate exceeded for shard shardId-000000000000 in stream s under account 000000000000."
#define ONE "{'Data':'YQ==','PartitionKey':'k','ExplicitHashKey':'0'}"
#define OTHER                                                                                      \
    "{'Data':'YQ==','PartitionKey':'k','ExplicitHashKey':'"                                        \
    "340282366920938463463374607431768211455'}"

/* Rates allow more as time goes by, and a busy machine lets it go by: of some calls in a row one comes too early. */
static void call_until_refused(struct world *world, const char *operation, const char *body) {
    world->status = 200;
    for (int i = 0; i < 50 && world->status == 200; i++)
        world_call(world, operation, body);
    assert_int_equal(world->status, 400);
}

/* What is beyond the limit fails in its place, records of other shards do not. */
static void records_beyond_the_rate_fail_alone(void **state) {
    struct world *world = begin(&(struct aws_limits_config){.shard_write_records = 2});
    world_ok(world, "PutRecords",
             "{'StreamName':'s','Records':[" ONE "," ONE "," ONE "," OTHER "]}");
    assert_int_equal(world_number(world, "FailedRecordCount"), 1);
    assert_true(world_has(world, "Records.1.SequenceNumber"));
    assert_text(world, "Records.2.ErrorCode", THROTTLED);
    assert_text(world, "Records.2.ErrorMessage", SHARD_0_TEXT);
    assert_true(world_has(world, "Records.3.SequenceNumber"));
    world_end(world);
}

static void a_record_beyond_the_bytes_is_refused(void **state) {
    struct world *world = begin(&(struct aws_limits_config){.shard_write_bytes = 1});
    world_ok(world, "PutRecord",
             "{'StreamName':'s','Data':'YQ==','PartitionKey':'k','ExplicitHashKey':'0'}");
    call_until_refused(world, "PutRecord",
                       "{'StreamName':'s','Data':'YQ==','PartitionKey':'k','ExplicitHashKey':'0'}");
    assert_text(world, "__type", THROTTLED);
    assert_text(world, "message", SHARD_0_TEXT);
    world_end(world);
}

static void reads_are_counted_per_shard(void **state) {
    struct world *world = begin(&(struct aws_limits_config){.shard_read_calls = 1});
    char *iterator = world_iterator(world, "s", WORLD_SHARD_0, "TRIM_HORIZON", "");
    char *other = world_iterator(world, "s", WORLD_SHARD_1, "TRIM_HORIZON", "");
    char *body = xprintf("{'ShardIterator':'%s'}", iterator);
    call_until_refused(world, "GetRecords", body);
    assert_text(world, "__type", THROTTLED);
    assert_text(world, "message", SHARD_0_TEXT);
    free(body);
    world_okf(world, "GetRecords", "{'ShardIterator':'%s'}", other);
    free(iterator);
    free(other);
    world_end(world);
}

/* What one call returned is owed: at a byte per second the next one comes too early. */
static void bytes_read_are_a_debt(void **state) {
    struct world *world = begin(&(struct aws_limits_config){.shard_read_bytes = 1});
    world_ok(world, "PutRecord",
             "{'StreamName':'s','Data':'YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh',"
             "'PartitionKey':'k','ExplicitHashKey':'0'}");
    char *iterator = world_iterator(world, "s", WORLD_SHARD_0, "TRIM_HORIZON", "");
    world_okf(world, "GetRecords", "{'ShardIterator':'%s'}", iterator);
    assert_int_equal(world_count(world, "Records"), 1);
    world_callf(world, "GetRecords", "{'ShardIterator':'%s'}", iterator);
    assert_text(world, "__type", THROTTLED);
    free(iterator);
    world_end(world);
}

static void calls_have_rates(void **state) {
    struct world *world = begin(&(struct aws_limits_config){.calls = true});
    world_ok(world, "DescribeLimits", "{}");
    call_until_refused(world, "DescribeLimits", "{}");
    assert_text(world, "__type", "LimitExceededException");
    assert_text(world, "message", "Rate exceeded for DescribeLimits under account 000000000000.");
    world_ok(world, "DescribeStreamSummary", "{'StreamName':'s'}");
    unsigned refused = 0;
    for (int i = 0; i < 100; i++)
        refused += world_call(world, "GetShardIterator",
                              "{'StreamName':'s','ShardId':'shardId-000000000000',"
                              "'ShardIteratorType':'LATEST'}") == 400;
    assert_true(refused > 0);
    world_end(world);
}

/* Each shard that is short, in its middle; the others stay. */
static void on_demand_streams_grow_where_they_are_short(void **state) {
    struct world *world = begin(&(struct aws_limits_config){.shard_write_records = 1});
    world_ok(world, "CreateStream",
             "{'StreamName':'d','StreamModeDetails':{'StreamMode':'ON_DEMAND'}}");
    world_ok(world, "PutRecords", "{'StreamName':'d','Records':[" ONE "," ONE "," ONE "]}");
    world_ok(world, "PutRecords", "{'StreamName':'s','Records':[" ONE "," ONE "," ONE "]}");
    world_wait_active(world, "d");
    assert_int_equal(world_number(world, "StreamDescriptionSummary.OpenShardCount"), 5);
    world_ok(world, "ListShards", "{'StreamName':'d'}");
    assert_text(world, "Shards.4.ParentShardId", "shardId-000000000000");
    assert_text(world, "Shards.4.HashKeyRange.StartingHashKey", "0");
    assert_text(world, "Shards.5.HashKeyRange.StartingHashKey",
                "42535295865117307932921825928971026432");
    world_ok(world, "DescribeStreamSummary", "{'StreamName':'s'}");
    assert_int_equal(world_number(world, "StreamDescriptionSummary.OpenShardCount"), 2);
    world_end(world);
}

static void some_calls_have_a_number_per_day(void **state) {
    struct world *world = begin(&(struct aws_limits_config){.calls = true});
    static const char *const modes[] = {"ON_DEMAND", "PROVISIONED", "PROVISIONED", "ON_DEMAND"};
    for (unsigned i = 0; i < COUNT_OF(modes); i++)
        world_callf(world, "UpdateStreamMode",
                    "{'StreamARN':'" WORLD_ARN "s','StreamModeDetails':{'StreamMode':'%s'}}",
                    modes[i]);
    assert_text(world, "__type", "LimitExceededException");
    for (unsigned i = 0; i < 10; i++)
        world_ok(world, "UpdateShardCount",
                 "{'StreamName':'s','TargetShardCount':2,'ScalingType':'UNIFORM_SCALING'}");
    world_call(world, "UpdateShardCount",
               "{'StreamName':'s','TargetShardCount':2,'ScalingType':'UNIFORM_SCALING'}");
    assert_text(world, "__type", "LimitExceededException");
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_beyond_the_rate_fail_alone),
        cmocka_unit_test(a_record_beyond_the_bytes_is_refused),
        cmocka_unit_test(reads_are_counted_per_shard),
        cmocka_unit_test(bytes_read_are_a_debt),
        cmocka_unit_test(calls_have_rates),
        cmocka_unit_test(on_demand_streams_grow_where_they_are_short),
        cmocka_unit_test(some_calls_have_a_number_per_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
