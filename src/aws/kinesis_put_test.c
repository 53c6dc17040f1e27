#include "aws/test_world.h"

static struct world *with_stream(int shards) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    world_okf(world, "CreateStream", "{'StreamName':'s','ShardCount':%d}", shards);
    return world;
}

static size_t records_of(struct world *world, const char *shard) {
    char *iterator = world_iterator(world, "s", shard, "TRIM_HORIZON", "");
    world_okf(world, "GetRecords", "{'ShardIterator':'%s'}", iterator);
    free(iterator);
    return world_count(world, "Records");
}

/* MD5 of the key, by the published mapping: "a" to the lower half, "b" to the upper. */
static void the_key_chooses_the_shard(void **state) {
    struct world *world = with_stream(2);
    world_ok(world, "PutRecord", "{'StreamName':'s','Data':'','PartitionKey':'a'}");
    assert_text(world, "ShardId", WORLD_SHARD_0);
    assert_int_equal(world_text(world, "SequenceNumber").len, 56);
    world_ok(world, "PutRecord", "{'StreamName':'s','Data':'','PartitionKey':'b'}");
    assert_text(world, "ShardId", WORLD_SHARD_1);
    world_ok(world, "PutRecord",
             "{'StreamName':'s','Data':'','PartitionKey':'b','ExplicitHashKey':'0'}");
    assert_text(world, "ShardId", WORLD_SHARD_0);
    world_end(world);
}

static void numbers_of_one_call_grow_in_each_shard(void **state) {
    struct world *world = with_stream(1);
    world_ok(
        world, "PutRecords",
        "{'StreamName':'s','Records':[{'Data':'MA==','PartitionKey':'a'},{'Data':'MQ==',"
        "'PartitionKey':'b'},{'Data':'Mg==','PartitionKey':'\\u30d1','ExplicitHashKey':null}]}");
    assert_int_equal(world_number(world, "FailedRecordCount"), 0);
    assert_int_equal(world_count(world, "Records"), 3);
    char *first = world_keep(world, "Records.0.SequenceNumber");
    char *second = world_keep(world, "Records.1.SequenceNumber");
    assert_true(strcmp(first, second) < 0);
    assert_true(str_compare(str_of(second), world_text(world, "Records.2.SequenceNumber")) < 0);
    assert_int_equal(records_of(world, WORLD_SHARD_0), 3);
    assert_text(world, "Records.0.SequenceNumber", first);
    assert_text(world, "Records.2.Data", "Mg==");
    assert_text(world, "Records.2.PartitionKey", "\xe3\x83\x91");
    free(first);
    free(second);
    world_end(world);
}

static void one_bad_record_fails_all(void **state) {
    struct world *world = with_stream(1);
    static const struct {
        const char *record, *type;
    } cases[] = {
        {"{'Data':'!!!!','PartitionKey':'a'}", "SerializationException"},
        {"{'Data':'MA==','PartitionKey':''}", "ValidationException"},
        {"{'Data':'MA=='}", "ValidationException"},
        {"null", "ValidationException"},
        {"{'Data':'MA==','PartitionKey':'a','ExplicitHashKey':'01'}", "ValidationException"},
        {"{'Data':'MA==','PartitionKey':'a',"
         "'ExplicitHashKey':'340282366920938463463374607431768211456'}",
         "InvalidArgumentException"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        world_callf(world, "PutRecords",
                    "{'StreamName':'s','Records':[{'Data':'MA==','PartitionKey':'a'},%s]}",
                    cases[i].record);
        assert_int_equal(world->status, 400);
        assert_text(world, "__type", cases[i].type);
    }
    assert_refused(world, "PutRecord",
                   "{'StreamName':'s','Data':'','PartitionKey':'a',"
                   "'ExplicitHashKey':'340282366920938463463374607431768211456'}",
                   "InvalidArgumentException",
                   "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. "
                   "Specified value was 340282366920938463463374607431768211456");
    assert_int_equal(records_of(world, WORLD_SHARD_0), 0);
    world_end(world);
}

/* Puts `bytes` of data under a key of one character. */
static int put_bytes(struct world *world, size_t bytes) {
    struct buf data = {0}, body = {0};
    memset(buf_room(&data, bytes), 'x', bytes);
    buf_added(&data, bytes);
    buf_add_str(&body, STR("{\"StreamName\":\"s\",\"PartitionKey\":\"p\",\"Data\":\""));
    base64_write(&body, buf_str(&data));
    buf_add_str(&body, STR("\"}"));
    int status = world_post(world, "Kinesis_20131202.PutRecord", "application/x-amz-json-1.1",
                            buf_str(&body));
    buf_done(&data);
    buf_done(&body);
    return status;
}

static void a_record_has_a_mebibyte_at_most(void **state) {
    struct world *world = with_stream(1);
    assert_int_equal(put_bytes(world, (1 << 20) - 1), 200);
    assert_int_equal(put_bytes(world, 1 << 20), 400);
    assert_text(world, "__type", "InvalidArgumentException");
    assert_int_equal(put_bytes(world, (1 << 20) + 1), 400);
    assert_text(
        world, "message",
        "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=1048577 "
        "cap=1048577]' at 'data' failed to satisfy constraint: Member must have length less "
        "than or equal to 1048576");
    assert_int_equal(records_of(world, WORLD_SHARD_0), 1);
    world_end(world);
}

static void a_record_has_what_its_stream_allows(void **state) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    world_ok(world, "CreateStream", "{'StreamName':'s','ShardCount':1,'MaxRecordSizeInKiB':10240}");
    assert_int_equal(put_bytes(world, RECORD_BYTES_MAX - 1), 200);
    assert_int_equal(put_bytes(world, RECORD_BYTES_MAX), 400);
    assert_text(world, "__type", "InvalidArgumentException");
    assert_int_equal(put_bytes(world, RECORD_BYTES_MAX + 1), 400);
    assert_text(world, "__type", "ValidationException");
    assert_int_equal(records_of(world, WORLD_SHARD_0), 1);
    assert_int_equal(world_text(world, "Records.0.Data").len, (RECORD_BYTES_MAX + 1) / 3 * 4);
    world_ok(world, "UpdateMaxRecordSize",
             "{'StreamARN':'" WORLD_ARN "s','MaxRecordSizeInKiB':5000}");
    assert_int_equal(put_bytes(world, 5000 * 1024 - 1), 200);
    assert_int_equal(put_bytes(world, 5000 * 1024 + 1), 400);
    assert_text(
        world, "message",
        "1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=5120001 "
        "cap=5120001]' at 'data' failed to satisfy constraint: Member must have length less "
        "than or equal to 5120000");
    world_end(world);
}

static void cbor_carries_bytes_as_they_are(void **state) {
    struct world *world = with_stream(1);
    struct buf body = {0};
    static const char request[] = "\xbf\x6aStreamName\x61s\x64"
                                  "Data\x43\x00\xff\x01\x6cPartitionKey\x61p\xff";
    assert_int_equal(world_post(world, "Kinesis_20131202.PutRecord", "application/x-amz-cbor-1.1",
                                str_from(request, sizeof request - 1)),
                     200);
    assert_memory_equal(world->body.at, "\xbf\x6eSequenceNumber\x78\x38", 18);
    assert_non_null(strstr(buf_cstr(&world->answer), "application/x-amz-cbor-1.1"));
    assert_int_equal(records_of(world, WORLD_SHARD_0), 1);
    assert_text(world, "Records.0.Data", "AP8B");
    buf_done(&body);
    world_end(world);
}

/* The peer goes away as soon as it has sent its call; the records are kept and nothing is left over. */
static void a_client_that_leaves_harms_nobody(void **state) {
    struct world *world = with_stream(1);
    static const char body[] = "{\"StreamName\":\"s\",\"Data\":\"MA==\",\"PartitionKey\":\"p\"}";
    for (int i = 0; i < 20; i++) {
        struct buf request = {0};
        int fd = world_connect(world);
        buf_printf(&request,
                   "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: Kinesis_20131202.PutRecord\r\n"
                   "Content-Type: application/x-amz-json-1.1\r\nContent-Length: %zu\r\n\r\n%s",
                   sizeof body - 1, body);
        world_write(fd, buf_str(&request));
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
        buf_done(&request);
    }
    world_ok(world, "PutRecord", "{'StreamName':'s','Data':'','PartitionKey':'a'}");
    assert_in_range(records_of(world, WORLD_SHARD_0), 1, 21);
    world_end(world);
}

static void a_stream_that_is_gone_takes_nothing(void **state) {
    struct world *world = with_stream(1);
    world_ok(world, "DeleteStream", "{'StreamName':'s'}");
    assert_refused(world, "PutRecord", "{'StreamName':'s','Data':'','PartitionKey':'a'}",
                   "ResourceNotFoundException", "Stream s under account 000000000000 not found.");
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_chooses_the_shard),
        cmocka_unit_test(numbers_of_one_call_grow_in_each_shard),
        cmocka_unit_test(one_bad_record_fails_all),
        cmocka_unit_test(a_record_has_a_mebibyte_at_most),
        cmocka_unit_test(a_record_has_what_its_stream_allows),
        cmocka_unit_test(cbor_carries_bytes_as_they_are),
        cmocka_unit_test(a_client_that_leaves_harms_nobody),
        cmocka_unit_test(a_stream_that_is_gone_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
