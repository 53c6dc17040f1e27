/* What every operation shares: how a stream is named, and in which state it may be used. */
#include "aws/test_world.h"

static void a_stream_is_named_by_name_or_arn_or_both(void **state) {
    static const char *const inputs[] = {
        "{'StreamName':'s'}",
        "{'StreamARN':'" WORLD_ARN "s'}",
        "{'StreamName':'s','StreamARN':'" WORLD_ARN "s'}",
        "{'StreamName':'s','StreamARN':'arn:aws-cn:kinesis:cn-north-1:000000000000:stream/s'}",
    };
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    world_ok(world, "CreateStream", "{'StreamName':'s','ShardCount':1}");
    for (size_t i = 0; i < COUNT_OF(inputs); i++)
        world_ok(world, "DescribeStreamSummary", inputs[i]);
    world_end(world);
}

static void what_changes_is_not_changed_again(void **state) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    world_ok(world, "CreateStream", "{'StreamName':'s','ShardCount':50}");
    world_ok(world, "UpdateShardCount",
             "{'StreamName':'s','TargetShardCount':100,'ScalingType':'UNIFORM_SCALING'}");
    assert_refused(world, "DeleteStream", "{'StreamName':'s'}", "ResourceInUseException",
                   "Stream s under account 000000000000 not ACTIVE, instead in state UPDATING");
    world_ok(world, "PutRecord", "{'StreamName':'s','Data':'','PartitionKey':'p'}");
    world_wait_active(world, "s");
    world_ok(world, "DeleteStream", "{'StreamName':'s'}");
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_named_by_name_or_arn_or_both),
        cmocka_unit_test(what_changes_is_not_changed_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
