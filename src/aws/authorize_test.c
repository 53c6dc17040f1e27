/* The sentences, and which resource an operation is about; a real client asks in tests/e2e/test_kinesis_policies.py. */
#include "aws/test_world.h"

#include "aws/authorize.h"
#include "base/conf_rig.h"

#define STREAM "arn:aws:kinesis:us-east-1:123456789012:stream/"

static const struct aws_config config = {.region = "us-east-1", .account = "123456789012"};

static const char document[] =
    "{'p': {'Statement': [{'Effect': 'Allow', 'Action': 'kinesis:*', 'Resource': '" STREAM "a'},"
    "{'Effect': 'Deny', 'Action': 'kinesis:DeleteStream', 'Resource': '*'}]}}";

static void check(const struct aws_credential *credential, const char *action, const char *resource,
                  const char *expected) {
    struct buf text = {0};
    bool allowed = aws_is_allowed(&config, credential, str_of(action), str_of(resource), &text);
    assert_int_equal(allowed, expected == NULL);
    assert_string_equal(buf_cstr(&text), expected ? expected : "");
    buf_done(&text);
}

static void a_key_may_do_what_its_policy_says(void **state) {
    struct arena arena = {0};
    struct iam_policies *policies;
    struct err err;
    assert_int_equal(
        iam_policies_compile(conf_from_text(&arena, str_of(document)), &policies, &err), 0);
    struct aws_credential credential = {.access_key_id = "AKIA1", .policy = "p"};
    struct option_items credentials = {&credential, 1};
    assert_int_equal(aws_credentials_bind(&credentials, policies, &err), 0);
    check(&credential, "kinesis:PutRecord", STREAM "a", NULL);
    check(&credential, "kinesis:PutRecord", STREAM "b",
          "User: arn:aws:iam::123456789012:user/AKIA1 is not authorized to perform: "
          "kinesis:PutRecord on resource: " STREAM "b because no identity-based policy allows the "
          "kinesis:PutRecord action");
    credential.user = "gateway";
    check(&credential, "kinesis:DeleteStream", STREAM "a",
          "User: arn:aws:iam::123456789012:user/gateway is not authorized to perform: "
          "kinesis:DeleteStream on resource: " STREAM "a with an explicit deny in an "
          "identity-based policy");
    iam_policies_free(policies);
    arena_done(&arena);
}

static void without_a_policy_everything_is_allowed(void **state) {
    const struct aws_credential credential = {.access_key_id = "AKIA1"};
    check(&credential, "kinesis:DeleteStream", STREAM "a", NULL);
    check(NULL, "iot:Publish", "*", NULL);
}

static void a_policy_that_is_not_there_is_an_error(void **state) {
    const struct conf at = {.file = "weir.yaml", .line = 7, .column = 3};
    struct aws_credential credential = {
        .head.conf = &at, .access_key_id = "AKIA1", .policy = "admin"};
    struct option_items credentials = {&credential, 1};
    struct err err;
    assert_int_equal(aws_credentials_bind(&credentials, NULL, &err), ERR_INVALID);
    assert_string_equal(err.text, "weir.yaml:7:3: there is no policy \"admin\" under policies");
}

/* ---- what the policy is asked about ---- */

static const char world_document[] =
    "{'p':{'Statement':[{'Effect':'Allow','Resource':'*','Action':['kinesis:CreateStream',"
    "'kinesis:DescribeStreamSummary','kinesis:GetShardIterator']},"
    "{'Effect':'Allow','Resource':'" WORLD_ARN
    "s','Action':['kinesis:RegisterStreamConsumer','kinesis:ListShards']}]}}";

static int call(struct world *world, const char *operation, const char *input) {
    char *body = xstrdup(input);
    for (char *c = body; *c; c++)
        *c = (char)(*c == '\'' ? '"' : *c);
    int status = world_exchange_signed(world, "kinesis", "POST", "/", operation, str_of(body));
    free(body);
    return status;
}

static void ok(struct world *world, const char *operation, const char *input) {
    if (call(world, operation, input) != 200)
        fail_msg("%s %s: %.*s", operation, input, STR_ARG(world->body));
}

/* Denied, and it was this resource, or one that begins so if `is_prefix`. */
static void is_about(struct world *world, const char *operation, const char *input,
                     const char *resource, bool is_prefix) {
    char *text = xprintf("to perform: kinesis:%s on resource: %s%s", operation, resource,
                         is_prefix ? "" : " because");
    if (call(world, operation, input) != 400 || !strstr(buf_cstr(&world->answer), text))
        fail_msg("%s %s: no \"%s\" in %.*s", operation, input, text, STR_ARG(world->body));
    assert_text(world, "__type", "AccessDeniedException");
    free(text);
}

#define FOREIGN "arn:aws-cn:kinesis:eu-west-1:000000000000:stream/"

static void ask_of_streams(struct world *world) {
    is_about(world, "PutRecord", "{'StreamName':'s','PartitionKey':'k','Data':''}", WORLD_ARN "s",
             false);
    is_about(world, "PutRecord", "{'StreamARN':'" WORLD_ARN "s','PartitionKey':'k','Data':''}",
             WORLD_ARN "s", false);
    /* Another spelling of the same stream. */
    is_about(world, "PutRecord", "{'StreamARN':'" FOREIGN "s','PartitionKey':'k','Data':''}",
             WORLD_ARN "s", false);
    /* A name that the operation does not take. */
    is_about(world, "ListStreams", "{'StreamName':'s'}", "*", false);
    is_about(world, "DescribeLimits", "{'StreamName':'s'}", "*", false);
    /* What names no stream. */
    is_about(world, "TagResource",
             "{'ResourceARN':'arn:aws:kinesis:us-east-1:000000000000:queues/s','Tags':{'a':'b'}}",
             "*", false);
    is_about(world, "TagResource", "{'ResourceARN':'" WORLD_ARN "s','Tags':{'a':'b'}}",
             WORLD_ARN "s", false);
}

static void ask_of_consumers(struct world *world) {
    ok(world, "RegisterStreamConsumer", "{'StreamARN':'" WORLD_ARN "s','ConsumerName':'c'}");
    is_about(world, "DescribeStreamConsumer", "{'StreamARN':'" WORLD_ARN "s','ConsumerName':'c'}",
             WORLD_ARN "s/consumer/c:1", true);
    is_about(world, "DescribeStreamConsumer", "{'StreamARN':'" FOREIGN "s','ConsumerName':'none'}",
             WORLD_ARN "s/consumer/none", false);
    is_about(world, "DescribeStreamConsumer", "{'ConsumerARN':'" FOREIGN "s/consumer/c:1'}",
             WORLD_ARN "s/consumer/c:1", false);
    is_about(world, "DescribeStreamConsumer",
             "{'ConsumerARN':'" WORLD_ARN "s/consumer/d:1','StreamARN':'" WORLD_ARN
             "t','ConsumerName':'c'}",
             WORLD_ARN "s/consumer/d:1", false);
}

static void ask_of_tokens(struct world *world) {
    ok(world, "GetShardIterator",
       "{'StreamName':'s','ShardId':'shardId-000000000000','ShardIteratorType':'LATEST'}");
    char *iterator = world_keep(world, "ShardIterator");
    char *input = xprintf("{'ShardIterator':'%s','StreamARN':'" WORLD_ARN "t'}", iterator);
    is_about(world, "GetRecords", input, WORLD_ARN "s", false);
    free(input);
    free(iterator);
    ok(world, "ListShards", "{'StreamName':'s','MaxResults':1}");
    char *token = world_keep(world, "NextToken");
    input = xprintf("{'NextToken':'%s'}", token);
    ok(world, "ListShards", input);
    free(input);
    free(token);
    /* What is no iterator is refused as such. */
    assert_int_equal(call(world, "GetRecords", "{'ShardIterator':'AAAA'}"), 400);
    assert_null(strstr(buf_cstr(&world->answer), "AccessDenied"));
}

static void each_operation_is_about_a_resource(void **state) {
    struct world *world = world_new(AWS_AUTH_SIGV4, NULL);
    struct arena arena = {0};
    struct iam_policies *policies;
    struct err err;
    assert_int_equal(
        iam_policies_compile(conf_from_text(&arena, str_of(world_document)), &policies, &err), 0);
    world->credential.iam = iam_policy_find(policies, "p");
    world_start(world);
    ok(world, "CreateStream", "{'StreamName':'s','ShardCount':2}");
    for (bool is_active = false; !is_active;) {
        ok(world, "DescribeStreamSummary", "{'StreamName':'s'}");
        is_active =
            str_eq(world_text(world, "StreamDescriptionSummary.StreamStatus"), STR("ACTIVE"));
    }
    ask_of_streams(world);
    ask_of_consumers(world);
    ask_of_tokens(world);
    world_end(world);
    iam_policies_free(policies);
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_may_do_what_its_policy_says),
        cmocka_unit_test(without_a_policy_everything_is_allowed),
        cmocka_unit_test(a_policy_that_is_not_there_is_an_error),
        cmocka_unit_test(each_operation_is_about_a_resource),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
