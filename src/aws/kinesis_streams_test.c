#include "aws/test_world.h"

static void a_stream_is_made_described_and_deleted(void **state) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    world_ok(world, "CreateStream", "{'StreamName':'s','ShardCount':2,'Tags':{'a':'b'}}");
    assert_int_equal(world->body.len, 0);
    world_ok(world, "DescribeStream", "{'StreamName':'s'}");
    assert_text(world, "StreamDescription.StreamName", "s");
    assert_text(world, "StreamDescription.StreamARN", WORLD_ARN "s");
    assert_text(world, "StreamDescription.StreamStatus", "ACTIVE");
    assert_text(world, "StreamDescription.StreamModeDetails.StreamMode", "PROVISIONED");
    assert_text(world, "StreamDescription.EncryptionType", "NONE");
    assert_int_equal(world_number(world, "StreamDescription.RetentionPeriodHours"), 24);
    assert_int_equal(world_count(world, "StreamDescription.Shards"), 2);
    assert_int_equal(world_count(world, "StreamDescription.EnhancedMonitoring"), 1);
    assert_text(world, "StreamDescription.Shards.1.ShardId", WORLD_SHARD_1);
    assert_text(world, "StreamDescription.Shards.1.HashKeyRange.StartingHashKey",
                "170141183460469231731687303715884105728");
    assert_false(
        world_has(world, "StreamDescription.Shards.0.SequenceNumberRange.EndingSequenceNumber"));
    world_ok(world, "DescribeStreamSummary", "{'StreamARN':'" WORLD_ARN "s'}");
    assert_int_equal(world_number(world, "StreamDescriptionSummary.OpenShardCount"), 2);
    assert_int_equal(world_number(world, "StreamDescriptionSummary.ConsumerCount"), 0);
    world_ok(world, "DeleteStream", "{'StreamName':'s'}");
    assert_refused(world, "DescribeStream", "{'StreamName':'s'}", "ResourceNotFoundException",
                   "Stream s under account 000000000000 not found.");
    world_end(world);
}

static void what_is_wrong_is_told_as_aws_does(void **state) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    world_ok(world, "CreateStream", "{'StreamName':'s','ShardCount':1}");
    assert_refused(world, "CreateStream", "{'StreamName':'s','ShardCount':1}",
                   "ResourceInUseException", "Stream s under account 000000000000 already exists.");
    assert_refused(world, "DescribeStream", "{}", "InvalidArgumentException",
                   "Stream arn and stream name can't be empty at the same time");
    assert_refused(world, "DescribeStream", "{'StreamName':'s','StreamARN':'" WORLD_ARN "other'}",
                   "InvalidArgumentException",
                   "Input stream name s doesn't match the inferred name in stream arn " WORLD_ARN
                   "other");
    assert_refused(world, "DescribeStream",
                   "{'StreamARN':'arn:aws:kinesis:us-east-1:111111111111:stream/s'}",
                   "UnrecognizedClientException", "No account found for the given parameters");
    assert_int_equal(world_call(world, "CreateStream", "{'StreamName':'t'}"), 400);
    assert_text(world, "__type", "ValidationException");
    assert_int_equal(world_call(world, "CreateStream", "{'StreamName':'..','ShardCount':1}"), 400);
    assert_text(world, "__type", "InvalidArgumentException");
    world_end(world);
}

static void streams_are_listed_by_name_and_page(void **state) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    static const char *const names[] = {"b", "a", "C"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        world_okf(world, "CreateStream", "{'StreamName':'%s','ShardCount':1}", names[i]);
    world_ok(world, "ListStreams", "{'Limit':2}");
    assert_int_equal(world_count(world, "StreamNames"), 2);
    assert_text(world, "StreamNames.0", "C");
    assert_text(world, "StreamSummaries.1.StreamName", "a");
    assert_int_equal(json_type(world_value(world, "HasMoreStreams")), JSON_TRUE);
    char *token = world_keep(world, "NextToken");
    world_okf(world, "ListStreams", "{'NextToken':'%s'}", token);
    assert_int_equal(world_count(world, "StreamNames"), 1);
    assert_text(world, "StreamNames.0", "b");
    assert_int_equal(json_type(world_value(world, "HasMoreStreams")), JSON_FALSE);
    assert_false(world_has(world, "NextToken"));
    world_ok(world, "ListStreams", "{'ExclusiveStartStreamName':'a'}");
    assert_int_equal(world_count(world, "StreamNames"), 1);
    world_call(world, "ListStreams", "{'NextToken':'AAAA'}");
    assert_text(world, "__type", "InvalidArgumentException");
    free(token);
    world_end(world);
}

static void streams_of_the_file_stay_and_others_survive_a_restart(void **state) {
    struct world *world = world_begin(AWS_AUTH_OPEN, "fixed");
    world_ok(world, "CreateStream",
             "{'StreamName':'made','StreamModeDetails':{'StreamMode':'ON_DEMAND'},"
             "'Tags':{'k':'v'}}");
    world_call(world, "DeleteStream", "{'StreamName':'fixed'}");
    assert_text(world, "__type", "ResourceInUseException");
    world_call(world, "IncreaseStreamRetentionPeriod",
               "{'StreamName':'fixed','RetentionPeriodHours':48}");
    assert_text(world, "__type", "ResourceInUseException");
    world_ok(world, "PutRecord", "{'StreamName':'made','Data':'aGk=','PartitionKey':'p'}");
    world_restart(world);
    world_ok(world, "DescribeStreamSummary", "{'StreamName':'made'}");
    assert_text(world, "StreamDescriptionSummary.StreamModeDetails.StreamMode", "ON_DEMAND");
    assert_int_equal(world_number(world, "StreamDescriptionSummary.OpenShardCount"), 4);
    world_ok(world, "ListTagsForStream", "{'StreamName':'made'}");
    assert_text(world, "Tags.0.Value", "v");
    world_ok(world, "DeleteStream", "{'StreamName':'made'}");
    world_ok(world, "CreateStream", "{'StreamName':'made','ShardCount':1}");
    world_ok(world, "ListTagsForStream", "{'StreamName':'made'}");
    assert_int_equal(world_count(world, "Tags"), 0);
    world_end(world);
}

static void limits_are_told(void **state) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    world_ok(world, "CreateStream", "{'StreamName':'s','ShardCount':3}");
    world_ok(world, "DescribeLimits", "{}");
    assert_int_equal(world_number(world, "OpenShardCount"), 3);
    assert_int_equal(world_number(world, "OnDemandStreamCount"), 0);
    world_ok(world, "UpdateAccountSettings",
             "{'MinimumThroughputBillingCommitment':{'Status':'DISABLED'}}");
    world_call(world, "UpdateAccountSettings",
               "{'MinimumThroughputBillingCommitment':{'Status':'ENABLED'}}");
    assert_text(world, "__type", "ValidationException");
    world_ok(world, "DescribeAccountSettings", "{}");
    assert_text(world, "MinimumThroughputBillingCommitment.Status", "DISABLED");
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_made_described_and_deleted),
        cmocka_unit_test(what_is_wrong_is_told_as_aws_does),
        cmocka_unit_test(streams_are_listed_by_name_and_page),
        cmocka_unit_test(streams_of_the_file_stay_and_others_survive_a_restart),
        cmocka_unit_test(limits_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
