#include "base/test.h"

#include "base/mem.h"
#include "rule/conf_test.h"
#include "rule/role.h"

static int compile(const char *text, struct rule_roles **ret_roles, struct err *err) {
    struct conf_test test = {0};
    assert_int_equal(json_parse(&test.json, str_of(text)), 0);
    int code = rule_roles_compile(conf_test_tree(&test, json_root(&test.json)), "eu-west-1",
                                  "111122223333", ret_roles, err);
    conf_test_done(&test); /* nothing of it is kept */
    return code;
}

static const char two_roles[] =
    "{\"ingest\":{\"statement\":[{\"effect\":\"Allow\",\"action\":[\"kinesis:PutRecord*\"],"
    "\"resource\":\"arn:aws:kinesis:us-east-1:123456789012:stream/s-*\"},"
    "{\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"arn:aws:kinesis:*:*:stream/s-secret\"}]},"
    "\"rest\":{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"NotAction\":"
    "\"s3:*\",\"NotResource\":\"arn:aws:iot:*\"}}}";

static int check(const struct rule_roles *roles, const char *role, const char *action,
                 const char *arn, struct err *why) {
    return rule_role_check(rule_roles_find(roles, str_of(role)), str_of(action), str_of(arn), why);
}

static void allow_deny_and_neither(void **state) {
    struct rule_roles *roles;
    struct err err = {0};
    assert_int_equal(compile(two_roles, &roles, &err), 0);
    static const char stream[] = "arn:aws:kinesis:eu-west-1:111122223333:stream/";
    struct buf arn = {0};
    buf_printf(&arn, "%ss-1", stream);
    assert_int_equal(check(roles, "ingest", "kinesis:PutRecord", buf_cstr(&arn), &err), 0);
    assert_int_equal(check(roles, "ingest", "kinesis:putrecords", buf_cstr(&arn), &err), 0);
    assert_int_equal(check(roles, "ingest", "kinesis:GetRecords", buf_cstr(&arn), &err),
                     ERR_DENIED);
    assert_string_equal(err.text, "the role ingest does not allow kinesis:GetRecords on "
                                  "arn:aws:kinesis:eu-west-1:111122223333:stream/s-1");
    buf_clear(&arn);
    buf_printf(&arn, "%ss-secret", stream);
    assert_int_equal(check(roles, "ingest", "kinesis:PutRecord", buf_cstr(&arn), &err), ERR_DENIED);
    assert_string_equal(err.text, "the role ingest denies kinesis:PutRecord on "
                                  "arn:aws:kinesis:eu-west-1:111122223333:stream/s-secret");
    buf_done(&arn);
    rule_roles_unref(roles);
}

static void all_but(void **state) {
    struct rule_roles *roles;
    struct err err = {0};
    assert_int_equal(compile(two_roles, &roles, &err), 0);
    assert_int_equal(check(roles, "rest", "sqs:SendMessage", "arn:aws:sqs:r:a:q", &err), 0);
    assert_int_equal(check(roles, "rest", "s3:PutObject", "arn:aws:s3:::b/k", &err), ERR_DENIED);
    assert_int_equal(check(roles, "rest", "iot:Publish", "arn:aws:iot:r:a:topic/t", &err),
                     ERR_DENIED);
    rule_roles_unref(roles);
}

static void a_role_is_found_by_name_and_by_arn(void **state) {
    struct rule_roles *roles, *none;
    struct err err = {0};
    assert_int_equal(compile(two_roles, &roles, &err), 0);
    const struct rule_role *role = rule_roles_find(roles, STR("ingest"));
    assert_non_null(role);
    assert_ptr_equal(rule_roles_find(roles, STR("arn:aws:iam::123456789012:role/ingest")), role);
    assert_ptr_equal(rule_roles_find(roles, STR("arn:aws:iam::1:role/service-role/ingest")), role);
    assert_null(rule_roles_find(roles, STR("other")));
    assert_false(rule_roles_absent(roles));
    assert_int_equal(rule_roles_compile(NULL, "r", "a", &none, &err), 0);
    assert_true(rule_roles_absent(none));
    assert_true(rule_roles_absent(NULL));
    rule_roles_unref(none);
    rule_roles_unref(rule_roles_ref(roles));
    rule_roles_unref(roles);
}

static void errors_say_where(void **state) {
    static const struct {
        const char *roles, *text;
    } cases[] = {
        {"{\"r\":{}}", "weir.yaml:1:6: a role needs statement"},
        {"{\"r\":{\"statement\":[{\"effect\":\"Allow\"}]}}",
         "weir.yaml:1:20: a statement needs effect, one of action and not_action, and one of "
         "resource and not_resource"},
        {"{\"r\":{\"statement\":[{\"effect\":\"allow\",\"action\":\"*\",\"resource\":\"*\"}]}}",
         "weir.yaml:1:30: effect: Allow or Deny is wanted"},
        {"{\"r\":{\"statement\":[{\"effect\":\"Allow\",\"action\":\"put\",\"resource\":\"*\"}]}}",
         "weir.yaml:1:47: an action is wanted, such as \"kinesis:PutRecord\" or \"*\""},
        {"{\"r\":{\"statement\":[{\"effect\":\"Allow\",\"action\":\"*\",\"resource\":\"s\"}]}}",
         "weir.yaml:1:62: a resource is \"*\" or an ARN, such as "
         "\"arn:aws:kinesis:*:*:stream/sensors\""},
        {"{\"r\":{\"statement\":[{\"effect\":\"Allow\",\"action\":\"*\",\"resource\":\"*\","
         "\"condition\":{}}]}}",
         "weir.yaml:1:78: a role has no conditions: Weir has no values for them"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rule_roles *roles;
        struct err err = {0};
        assert_true(compile(cases[i].roles, &roles, &err) < 0);
        assert_string_equal(err.text, cases[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allow_deny_and_neither),
        cmocka_unit_test(all_but),
        cmocka_unit_test(a_role_is_found_by_name_and_by_arn),
        cmocka_unit_test(errors_say_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
