#include "rule/callee.h"

#include "base/mem.h"
#include "rule/conf_test.h"

static const struct option no_options[] = {{0}};

static void no_templates(const void *settings, struct action_templates *templates) {}

static const struct action_kind statement = {
    .name = "statement", .options = no_options, .settings_size = 8, .templates = no_templates};
static const struct action_kind *const kinds[] = {&statement, NULL};

#define TO_S "{\"kinesis\":{\"stream_name\":\"s\",\"partition_key\":\"k\"}}"
#define RULE(sql, rest)                                                                            \
    "{\"rules\":{\"r\":{\"sql\":\"" sql "\",\"sql_version\":\"2016-03-23\"," rest "}}}"
#define ACTION "\"actions\":[" TO_S "]"

static int compile(struct conf_test *test, const char *rules, struct rule_set **ret_set) {
    struct rule_functions *functions = rule_functions_new();
    rule_functions_add(functions, "f");
    test->surroundings.functions = functions;
    int code = conf_test_compile(test, rules, ret_set);
    rule_functions_unref(functions);
    return code;
}

static void such_a_rule_has_a_log(void **state) {
    struct conf_test test = {.surroundings.kinds = kinds};
    struct rule_set *set;
    assert_int_equal(
        compile(&test,
                RULE("SELECT aws_lambda('arn:aws:lambda:r:a:function:f', *) AS x FROM 't'", ACTION),
                &set),
        0);
    const struct action_specs *specs = rule_set_actions(set);
    assert_int_equal(specs->count, 1);
    assert_string_equal(specs->items[0]->log, "r-0-statement");
    assert_false(specs->items[0]->has_error_action);
    assert_ptr_equal(specs->items[0]->owner, rule_set_find(set, STR("r")));
    assert_false(rule_set_find(set, STR("r"))->asks_in_templates);
    rule_set_unref(set);
    conf_test_done(&test);

    assert_int_equal(
        compile(&test,
                RULE("SELECT * FROM 't'",
                     "\"actions\":[{\"kinesis\":{\"stream_name\":\"s\",\"partition_key\":\"${aws_"
                     "lambda('f', *)}\"}}],\"error_action\":" TO_S),
                &set),
        0);
    assert_int_equal(rule_set_actions(set)->count, 1);
    assert_true(rule_set_actions(set)->items[0]->has_error_action);
    assert_true(rule_set_find(set, STR("r"))->asks_in_templates);
    rule_set_unref(set);
    conf_test_done(&test);

    assert_int_equal(compile(&test, RULE("SELECT aws_lambda('f') AS x FROM 't'", ACTION), &set), 0);
    assert_int_equal(rule_set_actions(set)->count, 0);
    rule_set_unref(set);
    conf_test_done(&test);
}

static void what_cannot_be_is_refused_with_its_place(void **state) {
    static const struct {
        const char *rules, *error;
        int code;
        bool without_kinds;
    } cases[] = {
        {RULE("SELECT aws_lambda('g', *) AS x FROM 't'", ACTION),
         "weir.yaml:1:22: rule r: sql 1:19: there is no function \"g\"", ERR_INVALID},
        {RULE("SELECT aws_lambda('f', *) AS x,\\n aws_lambda('g', *) AS y FROM 't'", ACTION),
         "weir.yaml:1:22: rule r: sql 2:13: there is no function \"g\"", ERR_INVALID},
        {RULE("SELECT * FROM 't'",
              "\"actions\":[{\"republish\":{\"topic\":\"a/${aws_lambda('g', 1)}\"}}]"),
         "weir.yaml:1:15: rule r: template 1:16: there is no function \"g\"", ERR_INVALID},
        {RULE("SELECT * FROM 't'",
              ACTION ",\"error_action\":{\"republish\":{\"topic\":\"${aws_lambda('f', 1)}\"}}"),
         "weir.yaml:1:15: rule r: template 1:14: an error action must not call a function, which "
         "may have failed",
         ERR_INVALID},
        {RULE("SELECT aws_lambda('f', *) AS x FROM 't'", ACTION),
         "weir.yaml:1:22: rule r: sql 1:19: functions cannot be called from rules here",
         ERR_UNSUPPORTED, true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct conf_test test = {.surroundings.kinds = cases[i].without_kinds ? NULL : kinds};
        struct rule_set *set;
        assert_int_equal(compile(&test, cases[i].rules, &set), cases[i].code);
        assert_string_equal(test.err.text, cases[i].error);
        conf_test_done(&test);
    }
}

static struct rule_roles *roles_of(struct conf_test *test, const char *text) {
    struct rule_roles *roles;
    struct err err;
    assert_int_equal(json_parse(&test->json, str_of(text)), 0);
    assert_int_equal(
        rule_roles_compile(conf_test_tree(test, json_root(&test->json)), "here", "1", &roles, &err),
        0);
    return roles;
}

static void the_rules_role_says_which(void **state) {
    struct conf_test holder = {0};
    struct rule_roles *roles =
        roles_of(&holder, "{\"some\":{\"statement\":[{\"effect\":\"Allow\",\"action\":\"kinesis:*"
                          "\",\"resource\":\"*\"},"
                          "{\"effect\":\"Allow\",\"action\":\"lambda:InvokeFunction\","
                          "\"resource\":\"arn:aws:lambda:here:1:function:f\"}]},"
                          "\"none\":{\"statement\":[{\"effect\":\"Allow\",\"action\":\"kinesis:*\","
                          "\"resource\":\"*\"}]}}");
    struct conf_test test = {.surroundings = {.kinds = kinds, .roles = roles}};
    struct rule_set *set;
    struct err why;
    assert_int_equal(
        compile(&test, RULE("SELECT aws_lambda('f', *) AS x FROM 't'", "\"role\":\"some\"," ACTION),
                &set),
        0);
    const struct rule *rule = rule_set_find(set, STR("r"));
    assert_int_equal(rule_function_permit(rule, STR("f"), &why), 0);
    assert_int_equal(rule_function_permit(rule, STR("g"), &why), ERR_DENIED);
    assert_string_equal(why.text, "the role some does not allow lambda:InvokeFunction on "
                                  "arn:aws:lambda:here:1:function:g");
    rule_set_unref(set);
    conf_test_done(&test);
    assert_int_equal(
        compile(&test, RULE("SELECT aws_lambda('f', *) AS x FROM 't'", "\"role\":\"none\"," ACTION),
                &set),
        ERR_DENIED);
    assert_string_equal(test.err.text,
                        "weir.yaml:1:22: rule r: sql 1:19: the role none does not allow "
                        "lambda:InvokeFunction on arn:aws:lambda:here:1:function:f");
    conf_test_done(&test);
    rule_roles_unref(roles);
    conf_test_done(&holder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(such_a_rule_has_a_log),
        cmocka_unit_test(what_cannot_be_is_refused_with_its_place),
        cmocka_unit_test(the_rules_role_says_which),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
