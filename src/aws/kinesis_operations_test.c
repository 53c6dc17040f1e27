/* The tables: constraints of the API model that clients rely on, and what they must not outgrow. */
#include "aws/test_world.h"

#include "aws/kinesis.h"

static const struct aws_operation *operation(const char *name) {
    for (const struct aws_operation *one = kinesis_operations; one->name; one++)
        if (strcmp(one->name, name) == 0)
            return one;
    fail_msg("no operation %s", name);
    return NULL;
}

/* The type of the error, or "" */
static const char *check(const char *name, const char *input) {
    struct json json = {0};
    struct buf text = {0}, message = {0};
    for (const char *c = input; *c; c++)
        buf_add_u8(&text, *c == '\'' ? '"' : (uint8_t)*c);
    assert_int_equal(json_parse(&json, buf_str(&text)), 0);
    const char *type = aws_input_check(json_root(&json), operation(name)->input, &message);
    json_done(&json);
    buf_done(&text);
    buf_done(&message);
    return type ? type : "";
}

#define KEYED(key) "{'StreamName':'s','Data':'','PartitionKey':'p','ExplicitHashKey':'" key "'}"

static void the_models_constraints_hold(void **state) {
    static const char invalid[] = "ValidationException";
    static const struct {
        const char *operation, *input, *type;
    } cases[] = {
        {"CreateStream", "{'StreamName':'s','ShardCount':1}", ""},
        {"CreateStream", "{'StreamName':'s','ShardCount':0}", invalid},
        {"CreateStream", "{'StreamName':'a b','ShardCount':1}", invalid},
        {"CreateStream", "{'ShardCount':1}", invalid},
        {"CreateStream", "{'StreamName':'s','StreamModeDetails':{}}", invalid},
        {"CreateStream", "{'StreamName':'s','StreamModeDetails':{'StreamMode':'X'}}", invalid},
        {"DescribeStream", "{'StreamARN':'arn:aws:kinesis:r:000000000000:stream/s'}", ""},
        {"DescribeStream", "{'StreamARN':'arn:aws:kinesis:r:00000000000:stream/s'}", invalid},
        {"DescribeStream", "{'StreamARN':'arn:aws:s3:r:000000000000:stream/s'}", invalid},
        {"DescribeStream", "{'StreamName':'s','Limit':10001}", invalid},
        {"PutRecord", KEYED("0"), ""},
        {"PutRecord", KEYED("340282366920938463463374607431768211455"), ""},
        {"PutRecord", KEYED("00"), invalid},
        {"PutRecord", KEYED("1000000000000000000000000000000000000000"), invalid},
        {"PutRecord", KEYED("-1"), invalid},
        {"PutRecord", "{'StreamName':'s','Data':'','PartitionKey':''}", invalid},
        {"PutRecords", "{'StreamName':'s','Records':[]}", invalid},
        {"GetRecords", "{'ShardIterator':''}", invalid},
        {"GetRecords", "{'ShardIterator':'x','Limit':0}", invalid},
        {"GetShardIterator", "{'StreamName':'s','ShardId':'x','ShardIteratorType':'NEWEST'}",
         invalid},
        {"SubscribeToShard",
         "{'ConsumerARN':'arn:aws:kinesis:r:000000000000:stream/s/consumer/c:1','ShardId':'x',"
         "'StartingPosition':{'Type':'LATEST'}}",
         ""},
        {"SubscribeToShard",
         "{'ConsumerARN':'arn:aws:kinesis:r:000000000000:stream/s','ShardId':'x',"
         "'StartingPosition':{'Type':'LATEST'}}",
         invalid},
        {"DescribeLimits", "{}", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (strcmp(check(cases[i].operation, cases[i].input), cases[i].type) != 0)
            fail_msg("%s %s", cases[i].operation, cases[i].input);
}

static void a_call_has_500_records_at_most(void **state) {
    for (int count = 500; count <= 501; count++) {
        struct buf input = {0};
        buf_add_str(&input, STR("{'StreamName':'s','Records':["));
        for (int i = 0; i < count; i++)
            buf_printf(&input, "%s{'Data':'','PartitionKey':'p'}", i ? "," : "");
        buf_add_str(&input, STR("]}"));
        assert_string_equal(check("PutRecords", buf_cstr(&input)),
                            count > 500 ? "ValidationException" : "");
        buf_done(&input);
    }
}

static void tables_fit_what_the_check_can_hold(void **state) {
    for (const struct aws_operation *one = kinesis_operations; one->name; one++) {
        unsigned members = 0;
        while (one->input[members].name)
            members++;
        assert_in_range(members, 0, AWS_MEMBERS_MAX);
        assert_non_null(one->run);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_models_constraints_hold),
        cmocka_unit_test(a_call_has_500_records_at_most),
        cmocka_unit_test(tables_fit_what_the_check_can_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
