#include "aws/test_world.h"

#include "base/clock.h"

static struct world *with_records(int count) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    world_ok(world, "CreateStream", "{'StreamName':'s','ShardCount':1}");
    for (int i = 0; i < count; i++)
        world_okf(world, "PutRecord", "{'StreamName':'s','Data':'MDA%c','PartitionKey':'k%d'}",
                  'A' + i, i);
    return world;
}

/* The keys of what is read from there, one behind the other. */
static char *keys_from(struct world *world, const char *type, const char *more) {
    struct buf keys = {0};
    char *iterator = world_iterator(world, "s", WORLD_SHARD_0, type, more);
    world_okf(world, "GetRecords", "{'ShardIterator':'%s'}", iterator);
    for (size_t i = 0; i < world_count(world, "Records"); i++) {
        char path[40];
        snprintf(path, sizeof path, "Records.%zu.PartitionKey", i);
        buf_add_str(&keys, world_text(world, path));
    }
    char *text = str_dup(buf_str(&keys));
    buf_done(&keys);
    free(iterator);
    return text;
}

static void assert_keys(struct world *world, const char *type, const char *more,
                        const char *expected) {
    char *keys = keys_from(world, type, more);
    assert_string_equal(keys, expected);
    free(keys);
}

static void each_type_begins_where_it_says(void **state) {
    struct world *world = with_records(2);
    assert_keys(world, "TRIM_HORIZON", "", "k0k1");
    char *number = world_keep(world, "Records.0.SequenceNumber");
    char *at = xprintf(",'StartingSequenceNumber':'%s'", number);
    assert_keys(world, "AT_SEQUENCE_NUMBER", at, "k0k1");
    assert_keys(world, "AFTER_SEQUENCE_NUMBER", at, "k1");
    assert_keys(world, "LATEST", "", "");
    char *latest = world_iterator(world, "s", WORLD_SHARD_0, "LATEST", "");
    usleep(5000);
    char *time = xprintf(",'Timestamp':%.3f", (double)clock_wall_ms() / 1000);
    usleep(5000);
    world_ok(world, "PutRecord", "{'StreamName':'s','Data':'','PartitionKey':'k2'}");
    assert_keys(world, "AT_TIMESTAMP", time, "k2");
    assert_keys(world, "AT_TIMESTAMP", ",'Timestamp':1", "k0k1k2");
    world_okf(world, "GetRecords", "{'ShardIterator':'%s'}", latest);
    assert_int_equal(world_count(world, "Records"), 1);
    free(number);
    free(at);
    free(latest);
    free(time);
    world_end(world);
}

/* "0" and the number with which the shard is said to start lie before the first record. */
static void the_starting_number_is_before_all(void **state) {
    struct world *world = with_records(1);
    world_ok(world, "ListShards", "{'StreamName':'s'}");
    char *number = world_keep(world, "Shards.0.SequenceNumberRange.StartingSequenceNumber");
    char *at = xprintf(",'StartingSequenceNumber':'%s'", number);
    assert_keys(world, "AFTER_SEQUENCE_NUMBER", at, "k0");
    assert_keys(world, "AT_SEQUENCE_NUMBER", at, "k0");
    assert_keys(world, "AT_SEQUENCE_NUMBER", ",'StartingSequenceNumber':'0'", "k0");
    free(number);
    free(at);
    world_end(world);
}

static void pages_join_without_gap_or_repeat(void **state) {
    struct world *world = with_records(5);
    char *iterator = world_iterator(world, "s", WORLD_SHARD_0, "TRIM_HORIZON", "");
    struct buf keys = {0};
    for (int page = 0; page < 4; page++) {
        world_okf(world, "GetRecords", "{'ShardIterator':'%s','Limit':2}", iterator);
        assert_true(world_count(world, "Records") <= 2);
        buf_add_str(&keys, world_text(world, "Records.0.PartitionKey"));
        buf_add_str(&keys, world_text(world, "Records.1.PartitionKey"));
        free(iterator);
        iterator = world_keep(world, "NextShardIterator");
    }
    assert_str(buf_str(&keys), "k0k1k2k3k4");
    assert_int_equal(world_number(world, "MillisBehindLatest"), 0);
    free(iterator);
    buf_done(&keys);
    world_end(world);
}

static void a_closed_shard_ends_in_its_children(void **state) {
    struct world *world = with_records(1);
    world_ok(world, "SplitShard",
             "{'StreamName':'s','ShardToSplit':'" WORLD_SHARD_0 "','NewStartingHashKey':'1000'}");
    char *iterator = world_iterator(world, "s", WORLD_SHARD_0, "TRIM_HORIZON", "");
    world_okf(world, "GetRecords", "{'ShardIterator':'%s'}", iterator);
    assert_int_equal(world_count(world, "Records"), 1);
    assert_false(world_has(world, "NextShardIterator"));
    assert_int_equal(world_count(world, "ChildShards"), 2);
    assert_text(world, "ChildShards.0.ShardId", WORLD_SHARD_1);
    assert_text(world, "ChildShards.0.ParentShards.0", WORLD_SHARD_0);
    assert_text(world, "ChildShards.0.HashKeyRange.EndingHashKey", "999");
    free(iterator);
    world_end(world);
}

#define GET_ITERATOR(type, more)                                                                   \
    "{'StreamName':'s','ShardId':'" WORLD_SHARD_0 "','ShardIteratorType':'" type "'" more "}"

static void wrong_positions_are_refused(void **state) {
    struct world *world = with_records(1);
    static const char must[] =
        "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and "
        "StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. "
        "Request specified ";
    char *none = xprintf("%sAT_SEQUENCE_NUMBER and no StartingSequenceNumber.", must);
    char *also = xprintf("%sLATEST and also a StartingSequenceNumber.", must);
    static const char invalid[] = "InvalidArgumentException";
    assert_refused(world, "GetShardIterator", GET_ITERATOR("AT_SEQUENCE_NUMBER", ""), invalid,
                   none);
    assert_refused(world, "GetShardIterator",
                   GET_ITERATOR("LATEST", ",'StartingSequenceNumber':'1'"), invalid, also);
    assert_refused(world, "GetShardIterator", GET_ITERATOR("AT_TIMESTAMP", ""), invalid,
                   "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. "
                   "Current request has no timestamp parameter.");
    world_call(world, "GetShardIterator", GET_ITERATOR("AT_TIMESTAMP", ",'Timestamp':99999999999"));
    assert_true(str_starts(world_text(world, "message"),
                           STR("The timestampInMillis parameter cannot be greater than the "
                               "currentTimestampInMillis. timestampInMillis: 99999999999000, ")));
    assert_refused(world, "GetShardIterator",
                   GET_ITERATOR("AT_SEQUENCE_NUMBER", ",'StartingSequenceNumber':'5'"), invalid,
                   "StartingSequenceNumber 5 used in GetShardIterator on shard " WORLD_SHARD_0
                   " in stream s under account 000000000000 is invalid because it did not come "
                   "from this stream.");
    assert_refused(
        world, "GetShardIterator",
        "{'StreamName':'s','ShardId':'shardId-000000000007','ShardIteratorType':'LATEST'}",
        "ResourceNotFoundException",
        "Shard shardId-000000000007 in stream s under account 000000000000 does not "
        "exist");
    free(none);
    free(also);
    world_end(world);
}

static void a_number_of_another_shard_is_named(void **state) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    world_ok(world, "CreateStream", "{'StreamName':'s','ShardCount':2}");
    world_ok(world, "PutRecord", "{'StreamName':'s','Data':'','PartitionKey':'b'}");
    char *number = world_keep(world, "SequenceNumber");
    world_callf(world, "GetShardIterator",
                GET_ITERATOR("AT_SEQUENCE_NUMBER", ",'StartingSequenceNumber':'%s'"), number);
    assert_text(world, "message",
                "Invalid StartingSequenceNumber. It encodes " WORLD_SHARD_1
                ", while it was used in a call to a shard with " WORLD_SHARD_0);
    free(number);
    world_end(world);
}

static void a_stream_arn_must_fit_the_iterator(void **state) {
    struct world *world = with_records(1);
    char *iterator = world_iterator(world, "s", WORLD_SHARD_0, "TRIM_HORIZON", "");
    world_ok(world, "CreateStream", "{'StreamName':'other','ShardCount':1}");
    world_okf(world, "GetRecords", "{'ShardIterator':'%s','StreamARN':'" WORLD_ARN "s'}", iterator);
    world_callf(world, "GetRecords", "{'ShardIterator':'%s','StreamARN':'" WORLD_ARN "other'}",
                iterator);
    assert_text(world, "__type", "InvalidArgumentException");
    free(iterator);
    world_end(world);
}

static void foreign_and_orphaned_iterators_are_refused(void **state) {
    struct world *world = with_records(1);
    assert_refused(world, "GetRecords", "{'ShardIterator':'AAAA'}", "InvalidArgumentException",
                   "Invalid ShardIterator.");
    char *iterator = world_iterator(world, "s", WORLD_SHARD_0, "TRIM_HORIZON", "");
    world_ok(world, "DeleteStream", "{'StreamName':'s'}");
    world_ok(world, "CreateStream", "{'StreamName':'s','ShardCount':1}");
    world_callf(world, "GetRecords", "{'ShardIterator':'%s'}", iterator);
    assert_text(world, "__type", "ResourceNotFoundException");
    free(iterator);
    world_end(world);
}

static void an_iterator_outlives_a_restart(void **state) {
    struct world *world = with_records(2);
    char *iterator = world_iterator(world, "s", WORLD_SHARD_0, "TRIM_HORIZON", "");
    world_restart(world);
    world_okf(world, "GetRecords", "{'ShardIterator':'%s'}", iterator);
    assert_int_equal(world_count(world, "Records"), 2);
    assert_text(world, "Records.1.Data", "MDAB");
    free(iterator);
    world_end(world);
}

static void put_large(struct world *world, int key, size_t bytes) {
    struct buf body = {0}, data = {0};
    memset(buf_room(&data, bytes), 'd', bytes);
    buf_added(&data, bytes);
    buf_printf(&body, "{\"StreamName\":\"s\",\"PartitionKey\":\"%d\",\"Data\":\"", key);
    base64_write(&body, buf_str(&data));
    buf_add_str(&body, STR("\"}"));
    assert_int_equal(world_post(world, "Kinesis_20131202.PutRecord", "application/x-amz-json-1.1",
                                buf_str(&body)),
                     200);
    buf_done(&body);
    buf_done(&data);
}

/* Far more than is read in one turn of the loop. */
static void long_answers_are_whole(void **state) {
    struct world *world = with_records(0);
    for (int i = 0; i < 20; i++)
        put_large(world, i, 200000);
    char *keys = keys_from(world, "TRIM_HORIZON", "");
    assert_string_equal(keys, "012345678910111213141516171819");
    free(keys);
    world_end(world);
}

/* Kinesis API reference, GetRecords: 10 MiB, and one record at least. */
static void an_answer_has_ten_mebibytes_at_most(void **state) {
    enum { MIB = 1024 * 1024 };
    static const size_t sizes[] = {100, 6 * MIB, 4 * MIB, 10 * MIB - 1, 1, 10 * MIB - 1, 3};
    static const size_t answers[] = {2, 1, 2, 1, 1};
    struct world *world = with_records(0);
    world_ok(world, "UpdateMaxRecordSize",
             "{'StreamARN':'" WORLD_ARN "s','MaxRecordSizeInKiB':10240}");
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        put_large(world, (int)i, sizes[i]);
    char *iterator = world_iterator(world, "s", WORLD_SHARD_0, "TRIM_HORIZON", "");
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        world_okf(world, "GetRecords", "{'ShardIterator':'%s'}", iterator);
        assert_int_equal(world_count(world, "Records"), answers[i]);
        bool is_last = i + 1 == COUNT_OF(answers);
        assert_int_equal(world_number(world, "MillisBehindLatest") == 0, is_last);
        free(iterator);
        iterator = world_keep(world, "NextShardIterator");
    }
    assert_text(world, "Records.0.PartitionKey", "6");
    free(iterator);
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_begins_where_it_says),
        cmocka_unit_test(the_starting_number_is_before_all),
        cmocka_unit_test(pages_join_without_gap_or_repeat),
        cmocka_unit_test(a_closed_shard_ends_in_its_children),
        cmocka_unit_test(wrong_positions_are_refused),
        cmocka_unit_test(a_number_of_another_shard_is_named),
        cmocka_unit_test(a_stream_arn_must_fit_the_iterator),
        cmocka_unit_test(foreign_and_orphaned_iterators_are_refused),
        cmocka_unit_test(an_iterator_outlives_a_restart),
        cmocka_unit_test(long_answers_are_whole),
        cmocka_unit_test(an_answer_has_ten_mebibytes_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
