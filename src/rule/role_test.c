#include "base/test.h"

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

static const char one_role[] =
    "{\"ingest\":{\"statement\":[{\"effect\":\"Allow\",\"action\":[\"kinesis:PutRecord*\"],"
    "\"resource\":\"arn:aws:kinesis:*:*:stream/s-*\"},"
    "{\"Effect\":\"Deny\",\"Action\":\"*\",\"Resource\":\"arn:aws:kinesis:*:*:stream/"
    "s-secret\"}]}}";

static int check(const struct rule_roles *roles, const char *stream, const char *action,
                 struct err *why) {
    struct buf arn = {0};
    rule_roles_add_arn(roles, &arn, "kinesis");
    buf_printf(&arn, "stream/%s", stream);
    int code = rule_role_check("ingest", rule_roles_find(roles, "ingest"), str_of(action),
                               buf_str(&arn), why);
    buf_done(&arn);
    return code;
}

static void allow_deny_and_neither(void **state) {
    struct rule_roles *roles;
    struct err err = {0};
    assert_int_equal(compile(one_role, &roles, &err), 0);
    assert_int_equal(check(roles, "s-1", "kinesis:PutRecord", &err), 0);
    assert_int_equal(check(roles, "s-1", "kinesis:GetRecords", &err), ERR_DENIED);
    assert_string_equal(err.text, "the role ingest does not allow kinesis:GetRecords on "
                                  "arn:aws:kinesis:eu-west-1:111122223333:stream/s-1");
    assert_int_equal(check(roles, "s-secret", "kinesis:PutRecord", &err), ERR_DENIED);
    assert_string_equal(err.text, "the role ingest denies kinesis:PutRecord on "
                                  "arn:aws:kinesis:eu-west-1:111122223333:stream/s-secret");
    rule_roles_unref(roles);
}

static void a_role_is_found_by_name_and_by_arn(void **state) {
    struct rule_roles *roles, *none;
    struct err err = {0};
    assert_int_equal(compile(one_role, &roles, &err), 0);
    const struct iam_policy *role = rule_roles_find(roles, "ingest");
    assert_non_null(role);
    assert_ptr_equal(rule_roles_find(roles, "arn:aws:iam::123456789012:role/ingest"), role);
    assert_ptr_equal(rule_roles_find(roles, "arn:aws:iam::1:role/service-role/ingest"), role);
    assert_null(rule_roles_find(roles, "other"));
    assert_false(rule_roles_absent(roles));
    assert_int_equal(rule_roles_compile(NULL, "r", "a", &none, &err), 0);
    assert_true(rule_roles_absent(none));
    assert_true(rule_roles_absent(NULL));
    rule_roles_unref(none);
    rule_roles_unref(rule_roles_ref(roles));
    rule_roles_unref(roles);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allow_deny_and_neither),
        cmocka_unit_test(a_role_is_found_by_name_and_by_arn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
