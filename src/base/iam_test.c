#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf_rig.h"
#include "base/iam.h"
#include "base/mem.h"

struct rig {
    struct arena arena;
    struct iam_policies *policies;
    struct err err;
};

/* One policy "p" with these statements. */
static int compile(struct rig *rig, const char *statements) {
    char text[4096];
    snprintf(text, sizeof text, "{'p': {'Version': '2012-10-17', 'Statement': %s}}", statements);
    const struct conf *conf = conf_from_text(&rig->arena, str_of(text));
    assert_non_null(conf);
    return iam_policies_compile(conf, &rig->policies, &rig->err);
}

static void done(struct rig *rig) {
    iam_policies_free(rig->policies);
    arena_done(&rig->arena);
}

static enum iam_decision decide(const char *statements, const char *action, const char *resource) {
    struct rig rig = {0};
    if (compile(&rig, statements))
        fail_msg("%s", rig.err.text);
    enum iam_decision decision =
        iam_decide(iam_policy_find(rig.policies, "p"), str_of(action), str_of(resource));
    done(&rig);
    return decision;
}

#define STREAM "arn:aws:kinesis:us-east-1:000000000000:stream/"

static void what_nothing_allows_is_denied(void **state) {
    assert_int_equal(decide("[]", "kinesis:PutRecord", STREAM "a"), IAM_IMPLICIT_DENY);
    const char *one =
        "{'Effect': 'Allow', 'Action': 'kinesis:PutRecord', 'Resource': '" STREAM "a'}";
    assert_int_equal(decide(one, "kinesis:PutRecord", STREAM "a"), IAM_ALLOW);
    assert_int_equal(decide(one, "KINESIS:putrecord", STREAM "a"), IAM_ALLOW);
    assert_int_equal(decide(one, "kinesis:PutRecords", STREAM "a"), IAM_IMPLICIT_DENY);
    assert_int_equal(decide(one, "kinesis:PutRecord", STREAM "A"), IAM_IMPLICIT_DENY);
    assert_int_equal(decide(one, "kinesis:PutRecord", STREAM "ab"), IAM_IMPLICIT_DENY);
}

static void wildcards_stand_for_characters(void **state) {
    const char *some = "[{'effect': 'Allow', 'action': ['kinesis:Get*', 'kinesis:?ist*'], "
                       "'resource': '*:stream/a-?'}]";
    assert_int_equal(decide(some, "kinesis:GetRecords", STREAM "a-1"), IAM_ALLOW);
    assert_int_equal(decide(some, "kinesis:ListShards", STREAM "a-1"), IAM_ALLOW);
    assert_int_equal(decide(some, "kinesis:ListShards", STREAM "a-12"), IAM_IMPLICIT_DENY);
    assert_int_equal(decide(some, "iot:Publish", STREAM "a-1"), IAM_IMPLICIT_DENY);
    const char *literal = "{'Effect': 'Allow', 'Action': '*', 'Resource': 'x/${*}/${?}/${$}/*'}";
    assert_int_equal(decide(literal, "a:B", "x/*/?/$/anything"), IAM_ALLOW);
    assert_int_equal(decide(literal, "a:B", "x/y/?/$/anything"), IAM_IMPLICIT_DENY);
}

static void a_deny_wins(void **state) {
    const char *both = "[{'Effect': 'Allow', 'Action': '*', 'Resource': '*'}, "
                       "{'Effect': 'Deny', 'Action': 'kinesis:Delete*', 'Resource': '*'}]";
    assert_int_equal(decide(both, "kinesis:PutRecord", STREAM "a"), IAM_ALLOW);
    assert_int_equal(decide(both, "kinesis:DeleteStream", STREAM "a"), IAM_EXPLICIT_DENY);
    const char *reversed = "[{'Effect': 'Deny', 'Action': 'kinesis:Delete*', 'Resource': '*'}, "
                           "{'Effect': 'Allow', 'Action': '*', 'Resource': '*'}]";
    assert_int_equal(decide(reversed, "kinesis:DeleteStream", STREAM "a"), IAM_EXPLICIT_DENY);
}

static void not_action_and_not_resource_are_all_others(void **state) {
    const char *others = "{'Effect': 'Allow', 'NotAction': ['iot:*', 'kinesis:Put*'], "
                         "'NotResource': ['" STREAM "secret*', '" STREAM "b']}";
    assert_int_equal(decide(others, "kinesis:GetRecords", STREAM "a"), IAM_ALLOW);
    assert_int_equal(decide(others, "kinesis:PutRecord", STREAM "a"), IAM_IMPLICIT_DENY);
    assert_int_equal(decide(others, "iot:Publish", STREAM "a"), IAM_IMPLICIT_DENY);
    assert_int_equal(decide(others, "kinesis:GetRecords", STREAM "secret-1"), IAM_IMPLICIT_DENY);
    assert_int_equal(decide(others, "kinesis:GetRecords", STREAM "b"), IAM_IMPLICIT_DENY);
}

static void what_cannot_be_honoured_is_refused(void **state) {
    static const char *const bad[] = {
        "{'Effect': 'Allow', 'Action': '*'}",
        "{'Effect': 'allow', 'Action': '*', 'Resource': '*'}",
        "{'Effect': 'Allow', 'Action': 'PutRecord', 'Resource': '*'}",
        "{'Effect': 'Allow', 'Action': '*', 'NotAction': '*', 'Resource': '*'}",
        "{'Effect': 'Allow', 'Action': '*', 'Resource': '*', 'Condition': {}}",
        "{'Effect': 'Allow', 'Action': '*', 'Resource': 'a/${aws:username}'}",
        "{'Effect': 'Allow', 'Action': '*', 'Resource': 'a/${'}",
        "{'Effect': 'Allow', 'Action': [['*']], 'Resource': '*'}",
        "{'Effect': 'Allow', 'Action': '*', 'Resource': '*', 'Principal': '*'}",
        "'text'",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct rig rig = {0};
        assert_int_equal(compile(&rig, bad[i]), ERR_INVALID);
        assert_non_null(strstr(rig.err.text, "policy:1:"));
        done(&rig);
    }
}

static void no_policies_hold_none(void **state) {
    struct iam_policies *policies;
    assert_int_equal(iam_policies_compile(NULL, &policies, NULL), 0);
    assert_null(iam_policy_find(policies, "p"));
    assert_null(iam_policy_find(NULL, "p"));
    iam_policies_free(policies);
}

/* `count` of an item, with commas between. */
static char *repeat(const char *item, size_t count) {
    struct buf text = {0};
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s%s", i ? "," : "", item);
    char *copy = str_dup(buf_str(&text));
    buf_done(&text);
    return copy;
}

static int compile_list(const char *before, const char *item, size_t count, const char *behind,
                        char ret_why[128]) {
    struct rig rig = {0};
    char *items = repeat(item, count), *text = xprintf("%s%s%s", before, items, behind);
    const struct conf *conf = conf_from_text(&rig.arena, str_of(text));
    assert_non_null(conf);
    int code = iam_policies_compile(conf, &rig.policies, &rig.err);
    snprintf(ret_why, 128, "%s", code ? rig.err.text : "");
    done(&rig);
    free(items);
    free(text);
    return code;
}

static void policies_have_bounds(void **state) {
    static const char statement[] = "{'Effect':'Allow','Action':'*','Resource':'*'}";
    static const char before[] = "{'p':{'Statement':{'Effect':'Allow','Action':'*','Resource':[",
                      item[] = "'0123456789abcdef'";
    char why[128];
    assert_int_equal(compile_list("{'p':{'Statement':[", statement, IAM_STATEMENTS_MAX, "]}}", why),
                     0);
    assert_int_equal(
        compile_list("{'p':{'Statement':[", statement, IAM_STATEMENTS_MAX + 1, "]}}", why),
        ERR_INVALID);
    assert_non_null(strstr(why, "100 statements"));
    assert_int_equal(compile_list(before, item, IAM_POLICY_BYTES_MAX / 16 - 1, "]}}}", why), 0);
    assert_int_equal(compile_list(before, item, IAM_POLICY_BYTES_MAX / 16 + 1, "]}}}", why),
                     ERR_INVALID);
    assert_non_null(strstr(why, "longer than 64 KiB"));
}

static void an_action_that_is_too_long_is_none(void **state) {
    static const char all[] = "{'Effect':'Allow','Action':'*','Resource':'*'}";
    char action[2 * IAM_ACTION_CHARS_MAX];
    memset(action, 'A', sizeof action);
    action[IAM_ACTION_CHARS_MAX] = '\0';
    assert_int_equal(decide(all, action, "r"), IAM_ALLOW);
    action[IAM_ACTION_CHARS_MAX] = 'A';
    action[IAM_ACTION_CHARS_MAX + 1] = '\0';
    assert_int_equal(decide(all, action, "r"), IAM_IMPLICIT_DENY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_have_bounds),
        cmocka_unit_test(an_action_that_is_too_long_is_none),
        cmocka_unit_test(what_nothing_allows_is_denied),
        cmocka_unit_test(wildcards_stand_for_characters),
        cmocka_unit_test(a_deny_wins),
        cmocka_unit_test(not_action_and_not_resource_are_all_others),
        cmocka_unit_test(what_cannot_be_honoured_is_refused),
        cmocka_unit_test(no_policies_hold_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
