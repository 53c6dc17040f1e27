/* The sentences; which resource each operation is about is tested with a real client in
 * tests/e2e/test_kinesis_policies.py. */
#include "base/test.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_may_do_what_its_policy_says),
        cmocka_unit_test(without_a_policy_everything_is_allowed),
        cmocka_unit_test(a_policy_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
