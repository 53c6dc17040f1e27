#include "aws/test_world.h"

#define HOURS(n) "{'StreamName':'s','RetentionPeriodHours':" n "}"

static void retention_grows_and_shrinks_within_its_bounds(void **state) {
    struct world *world = world_with_stream();
    static const char invalid[] = "InvalidArgumentException";
    world_ok(world, "IncreaseStreamRetentionPeriod", HOURS("48"));
    world_ok(world, "IncreaseStreamRetentionPeriod", HOURS("48"));
    assert_refused(world, "IncreaseStreamRetentionPeriod", HOURS("47"), invalid,
                   "Requested retention period (47 hours) for stream s can not be shorter than "
                   "existing retention period (48 hours). Use DecreaseRetentionPeriod API.");
    assert_refused(world, "DecreaseStreamRetentionPeriod", HOURS("49"), invalid,
                   "Requested retention period (49 hours) for stream s can not be longer than "
                   "existing retention period (48 hours). Use IncreaseRetentionPeriod API.");
    assert_refused(world, "DecreaseStreamRetentionPeriod", HOURS("23"), invalid,
                   "Minimum allowed retention period is 24 hours. Requested retention period (23 "
                   "hours) is too short.");
    assert_refused(world, "IncreaseStreamRetentionPeriod", HOURS("8761"), invalid,
                   "Maximum allowed retention period is 8760 hours. Requested retention period "
                   "(8761 hours) is too long.");
    world_restart(world);
    world_ok(world, "DescribeStreamSummary", "{'StreamName':'s'}");
    assert_int_equal(world_number(world, "StreamDescriptionSummary.RetentionPeriodHours"), 48);
    world_ok(world, "DecreaseStreamRetentionPeriod", HOURS("24"));
    world_end(world);
}

static void flags_are_kept_and_shown(void **state) {
    struct world *world = world_with_stream();
    world_ok(world, "EnableEnhancedMonitoring",
             "{'StreamName':'s','ShardLevelMetrics':['IncomingBytes','OutgoingBytes']}");
    assert_int_equal(world_count(world, "CurrentShardLevelMetrics"), 0);
    assert_int_equal(world_count(world, "DesiredShardLevelMetrics"), 2);
    world_ok(world, "DisableEnhancedMonitoring",
             "{'StreamName':'s','ShardLevelMetrics':['OutgoingBytes']}");
    assert_int_equal(world_count(world, "CurrentShardLevelMetrics"), 2);
    world_ok(world, "StartStreamEncryption",
             "{'StreamName':'s','EncryptionType':'KMS','KeyId':'alias/aws/kinesis'}");
    world_ok(world, "UpdateStreamMode",
             "{'StreamARN':'" WORLD_ARN "s','StreamModeDetails':{'StreamMode':'ON_DEMAND'}}");
    world_restart(world);
    world_ok(world, "DescribeStream", "{'StreamName':'s'}");
    assert_text(world, "StreamDescription.EncryptionType", "KMS");
    assert_text(world, "StreamDescription.KeyId", "alias/aws/kinesis");
    assert_text(world, "StreamDescription.StreamModeDetails.StreamMode", "ON_DEMAND");
    assert_text(world, "StreamDescription.EnhancedMonitoring.0.ShardLevelMetrics.0",
                "IncomingBytes");
    world_ok(world, "PutRecord", "{'StreamName':'s','Data':'','PartitionKey':'p'}");
    assert_text(world, "EncryptionType", "KMS");
    world_call(world, "StartStreamEncryption",
               "{'StreamName':'s','EncryptionType':'NONE','KeyId':'k'}");
    assert_text(world, "__type", "InvalidArgumentException");
    world_ok(world, "StopStreamEncryption",
             "{'StreamName':'s','EncryptionType':'KMS','KeyId':'alias/aws/kinesis'}");
    world_ok(world, "DescribeStream", "{'StreamName':'s'}");
    assert_text(world, "StreamDescription.EncryptionType", "NONE");
    world_end(world);
}

static void policies_are_kept(void **state) {
    struct world *world = world_with_stream();
    world_ok(world, "GetResourcePolicy", "{'ResourceARN':'" WORLD_ARN "s'}");
    assert_text(world, "Policy", "{}");
    world_ok(world, "PutResourcePolicy",
             "{'ResourceARN':'" WORLD_ARN "s','Policy':'{\\u0022a\\u0022:1}'}");
    world_ok(world, "GetResourcePolicy", "{'ResourceARN':'" WORLD_ARN "s'}");
    assert_text(world, "Policy", "{\"a\":1}");
    world_call(world, "PutResourcePolicy", "{'ResourceARN':'" WORLD_ARN "s','Policy':'{'}");
    assert_text(world, "__type", "InvalidArgumentException");
    world_ok(world, "DeleteResourcePolicy", "{'ResourceARN':'" WORLD_ARN "s'}");
    world_ok(world, "GetResourcePolicy", "{'ResourceARN':'" WORLD_ARN "s'}");
    assert_text(world, "Policy", "{}");
    world_end(world);
}

static void assert_record_kib(struct world *world, const char *input, int64_t kib) {
    world_ok(world, "DescribeStreamSummary", input);
    assert_int_equal(world_number(world, "StreamDescriptionSummary.MaxRecordSizeInKiB"), kib);
}

static void the_size_of_records_is_kept(void **state) {
    struct world *world = world_with_stream();
    assert_record_kib(world, "{'StreamName':'s'}", 1024);
    world_ok(world, "UpdateMaxRecordSize",
             "{'StreamARN':'" WORLD_ARN "s','MaxRecordSizeInKiB':2048}");
    world_ok(world, "CreateStream", "{'StreamName':'t','ShardCount':1,'MaxRecordSizeInKiB':10240}");
    world_restart(world);
    assert_record_kib(world, "{'StreamName':'s'}", 2048);
    assert_record_kib(world, "{'StreamName':'t'}", 10240);
    world_ok(world, "UpdateMaxRecordSize",
             "{'StreamARN':'" WORLD_ARN "t','MaxRecordSizeInKiB':1024}");
    assert_record_kib(world, "{'StreamName':'t'}", 1024);
    assert_refused(world, "UpdateMaxRecordSize",
                   "{'StreamARN':'" WORLD_ARN "s','MaxRecordSizeInKiB':10241}",
                   "ValidationException",
                   "1 validation error detected: Value '10241' at 'maxRecordSizeInKiB' failed to "
                   "satisfy constraint: Member must have value less than or equal to 10240");
    world_end(world);
}

static void warm_throughput_is_for_on_demand(void **state) {
    struct world *world = world_with_stream();
    world_call(world, "UpdateStreamWarmThroughput", "{'StreamName':'s','WarmThroughputMiBps':5}");
    assert_text(world, "__type", "ValidationException");
    world_call(world, "CreateStream", "{'StreamName':'t','ShardCount':1,'WarmThroughputMiBps':5}");
    assert_text(world, "__type", "ValidationException");
    world_ok(world, "CreateStream",
             "{'StreamName':'t','StreamModeDetails':{'StreamMode':'ON_DEMAND'}}");
    world_ok(world, "UpdateStreamWarmThroughput", "{'StreamName':'t','WarmThroughputMiBps':5}");
    assert_int_equal(world_number(world, "WarmThroughput.CurrentMiBps"), 5);
    world_restart(world);
    world_ok(world, "DescribeStreamSummary", "{'StreamName':'t'}");
    assert_int_equal(world_number(world, "StreamDescriptionSummary.WarmThroughput.TargetMiBps"), 5);
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retention_grows_and_shrinks_within_its_bounds),
        cmocka_unit_test(flags_are_kept_and_shown),
        cmocka_unit_test(policies_are_kept),
        cmocka_unit_test(the_size_of_records_is_kept),
        cmocka_unit_test(warm_throughput_is_for_on_demand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
