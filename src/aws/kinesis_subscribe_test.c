#include "aws/output.h"
#include "aws/test_world.h"

struct subscriber {
    int fd;
    struct buf text;
    char *arn;
};

static struct world *with_consumer(char **ret_arn) {
    struct world *world = world_begin(AWS_AUTH_OPEN, NULL);
    world_ok(world, "CreateStream", "{'StreamName':'s','ShardCount':1}");
    world_ok(world, "RegisterStreamConsumer", "{'StreamARN':'" WORLD_ARN "s','ConsumerName':'c'}");
    *ret_arn = world_keep(world, "Consumer.ConsumerARN");
    return world;
}

static char *input_of(const char *arn, const char *type) {
    return xprintf("{\"ConsumerARN\":\"%s\",\"ShardId\":\"" WORLD_SHARD_0
                   "\",\"StartingPosition\":{\"Type\":\"%s\"}}",
                   arn, type);
}

static void subscribe(struct world *world, struct subscriber *subscriber, const char *arn,
                      const char *type) {
    char *input = input_of(arn, type);
    struct buf request = {0};
    *subscriber = (struct subscriber){.fd = world_connect(world)};
    buf_printf(&request,
               "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: Kinesis_20131202.SubscribeToShard\r\n"
               "Content-Type: application/x-amz-json-1.1\r\nContent-Length: %zu\r\n\r\n%s",
               strlen(input), input);
    world_write(subscriber->fd, buf_str(&request));
    buf_done(&request);
    free(input);
}

/* As KCL asks, by the Java SDK: the same input in CBOR. */
static void subscribe_in_cbor(struct world *world, struct subscriber *subscriber, const char *arn) {
    struct aws_output input = {.cbor = true};
    struct buf request = {0};
    aws_map_begin(&input);
    aws_member_string(&input, "ConsumerARN", str_of(arn));
    aws_member_string(&input, "ShardId", STR(WORLD_SHARD_0));
    aws_key(&input, "StartingPosition");
    aws_map_begin(&input);
    aws_member_string(&input, "Type", STR("TRIM_HORIZON"));
    aws_map_end(&input);
    aws_map_end(&input);
    *subscriber = (struct subscriber){.fd = world_connect(world)};
    buf_printf(&request,
               "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: Kinesis_20131202.SubscribeToShard\r\n"
               "Content-Type: application/x-amz-cbor-1.1\r\nContent-Length: %zu\r\n\r\n",
               buf_len(&input.buf));
    buf_add_str(&request, buf_str(&input.buf));
    world_write(subscriber->fd, buf_str(&request));
    buf_done(&request);
    aws_output_done(&input);
}

static bool has(struct subscriber *subscriber, const char *text) {
    return subscriber->text.at &&
           memmem(buf_at(&subscriber->text), buf_len(&subscriber->text), text, strlen(text));
}

/* Reads until the text came. */
static void read_until(struct subscriber *subscriber, const char *text) {
    while (!has(subscriber, text)) {
        ssize_t got = recv(subscriber->fd, buf_room(&subscriber->text, 65536), 65536, 0);
        if (got <= 0)
            fail_msg("the end came before \"%s\"", text);
        buf_added(&subscriber->text, (size_t)got);
    }
}

static void subscriber_done(struct subscriber *subscriber) {
    close(subscriber->fd);
    buf_done(&subscriber->text);
}

static void put(struct world *world, const char *key) {
    world_okf(world, "PutRecord", "{'StreamName':'s','Data':'aGVsbG8=','PartitionKey':'%s'}", key);
}

static void records_are_pushed_as_they_come(void **state) {
    char *arn;
    struct world *world = with_consumer(&arn);
    struct subscriber subscriber;
    put(world, "before");
    subscribe(world, &subscriber, arn, "TRIM_HORIZON");
    read_until(&subscriber, "initial-response");
    read_until(&subscriber, "\"PartitionKey\":\"before\"");
    assert_true(has(&subscriber, "Transfer-Encoding: chunked\r\n"));
    assert_true(has(&subscriber, "Content-Type: application/vnd.amazon.eventstream\r\n"));
    assert_true(has(&subscriber, "\"ContinuationSequenceNumber\":\""));
    put(world, "after");
    read_until(&subscriber, "\"PartitionKey\":\"after\"");
    subscriber_done(&subscriber);
    free(arn);
    world_end(world);
}

static void the_end_of_the_shard_ends_the_answer(void **state) {
    char *arn;
    struct world *world = with_consumer(&arn);
    struct subscriber subscriber;
    subscribe(world, &subscriber, arn, "LATEST");
    read_until(&subscriber, "initial-response");
    world_ok(world, "SplitShard",
             "{'StreamName':'s','ShardToSplit':'" WORLD_SHARD_0 "','NewStartingHashKey':'1000'}");
    read_until(&subscriber, "\"ChildShards\":[");
    read_until(&subscriber, "\r\n0\r\n\r\n");
    assert_false(has(&subscriber, "ContinuationSequenceNumber"));
    subscriber_done(&subscriber);
    free(arn);
    world_end(world);
}

static void deleting_the_stream_is_told(void **state) {
    char *arn;
    struct world *world = with_consumer(&arn);
    struct subscriber subscriber;
    subscribe(world, &subscriber, arn, "LATEST");
    read_until(&subscriber, "initial-response");
    world_ok(world, "DeleteStream", "{'StreamName':'s','EnforceConsumerDeletion':true}");
    read_until(&subscriber, "ResourceNotFoundException");
    read_until(&subscriber, "\r\n0\r\n\r\n");
    subscriber_done(&subscriber);
    free(arn);
    world_end(world);
}

static void a_second_subscription_is_refused_at_first(void **state) {
    char *arn;
    struct world *world = with_consumer(&arn);
    struct subscriber subscriber;
    subscribe(world, &subscriber, arn, "LATEST");
    read_until(&subscriber, "initial-response");
    char *input = input_of(arn, "LATEST");
    world_call(world, "SubscribeToShard", input);
    assert_int_equal(world->status, 400);
    assert_text(world, "__type", "ResourceInUseException");
    world_call(world, "SubscribeToShard",
               "{'ConsumerARN':'" WORLD_ARN "s/consumer/nobody:1','ShardId':'" WORLD_SHARD_0
               "','StartingPosition':{'Type':'LATEST'}}");
    assert_text(world, "__type", "ResourceNotFoundException");
    subscriber_done(&subscriber);
    free(input);
    free(arn);
    world_end(world);
}

/* The server closes while somebody listens, and somebody left. */
static void subscribers_do_not_hold_the_end_up(void **state) {
    char *arn;
    struct world *world = with_consumer(&arn);
    struct subscriber stays, leaves;
    subscribe(world, &leaves, arn, "LATEST");
    read_until(&leaves, "initial-response");
    subscriber_done(&leaves);
    world_ok(world, "RegisterStreamConsumer", "{'StreamARN':'" WORLD_ARN "s','ConsumerName':'d'}");
    char *other = world_keep(world, "Consumer.ConsumerARN");
    subscribe(world, &stays, other, "LATEST");
    read_until(&stays, "initial-response");
    world_restart(world);
    read_until(&stays, "\r\n0\r\n\r\n");
    subscriber_done(&stays);
    free(arn);
    free(other);
    world_end(world);
}

/* More than the socket holds, to a peer that reads late. */
static void a_slow_reader_gets_everything(void **state) {
    char *arn;
    struct world *world = with_consumer(&arn);
    struct subscriber subscriber;
    struct buf body = {0}, data = {0};
    memset(buf_room(&data, 500000), 'd', 500000);
    buf_added(&data, 500000);
    subscribe(world, &subscriber, arn, "TRIM_HORIZON");
    for (int i = 0; i < 30; i++) {
        buf_clear(&body);
        buf_printf(&body, "{\"StreamName\":\"s\",\"PartitionKey\":\"k%d\",\"Data\":\"", i);
        base64_write(&body, buf_str(&data));
        buf_add_str(&body, STR("\"}"));
        world_post(world, "Kinesis_20131202.PutRecord", "application/x-amz-json-1.1",
                   buf_str(&body));
    }
    read_until(&subscriber, "\"PartitionKey\":\"k29\"");
    assert_true(has(&subscriber, "\"PartitionKey\":\"k0\""));
    subscriber_done(&subscriber);
    buf_done(&body);
    buf_done(&data);
    free(arn);
    world_end(world);
}

static void payloads_are_cbor_if_the_request_was(void **state) {
    char *arn;
    struct world *world = with_consumer(&arn);
    struct subscriber subscriber;
    put(world, "key");
    subscribe_in_cbor(world, &subscriber, arn);
    read_until(&subscriber, "SubscribeToShardEvent");
    read_until(&subscriber, "\x64"
                            "Data\x45hello");
    assert_true(has(&subscriber, "x-amzn-RequestId: "));
    assert_true(has(&subscriber, "application/x-amz-cbor-1.1"));
    assert_false(has(&subscriber, "application/x-amz-json-1.1"));
    subscriber_done(&subscriber);
    free(arn);
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_pushed_as_they_come),
        cmocka_unit_test(the_end_of_the_shard_ends_the_answer),
        cmocka_unit_test(deleting_the_stream_is_told),
        cmocka_unit_test(a_second_subscription_is_refused_at_first),
        cmocka_unit_test(subscribers_do_not_hold_the_end_up),
        cmocka_unit_test(a_slow_reader_gets_everything),
        cmocka_unit_test(payloads_are_cbor_if_the_request_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
