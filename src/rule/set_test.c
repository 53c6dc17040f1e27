#include "rule/conf_test.h"

#include "rule/set.h"

static void a_rule_of_each_action(void **state) {
    struct conf_test test = {0};
    struct rule_set *set;
    int result = conf_test_compile(
        &test,
        "{\"rules\":{\"all_3\":{\"sql\":\"SELECT * FROM "
        "'a/#'\",\"sql_version\":\"2016-03-23\",\"description\":\"d\","
        "\"actions\":["
        "{\"kinesis\":{\"stream_name\":\"s\",\"partition_key\":\"${topic(2)}\"}},"
        "{\"firehose\":{\"delivery_stream_name\":\"d\",\"separator\":\"\\r\\n\",\"batch_mode\":"
        "true}},"
        "{\"republish\":{\"topic\":\"$$aws/things/${topic(2)}\",\"qos\":1}}],"
        "\"error_action\":{\"republish\":{\"topic\":\"errors\"}}},"
        "\"off\":{\"sql\":\"SELECT * FROM "
        "'b'\",\"disabled\":true,\"actions\":[{\"kinesis\":{\"stream_name\":\"t\"}}]}}}",
        &set);
    assert_string_equal(test.err.text, "");
    assert_int_equal(result, 0);
    conf_test_done(&test); /* nothing of it is kept */
    assert_int_equal(set->count, 2);
    const struct rule *rule = set->rules[0];
    assert_str(rule->name, "all_3");
    assert_int_equal(rule->plan->version, RULE_VERSION_2016_03_23);
    assert_int_equal(rule->action_count, 3);
    assert_str(rule->actions[0].target.text, "s");
    assert_int_equal(rule->actions[0].key.kind, TEMPLATE_VALUE);
    assert_str(rule->actions[1].separator, "\r\n");
    assert_true(rule->actions[1].batch);
    assert_str(rule->actions[2].target.pieces[0].text, "$aws/things/");
    assert_int_equal(rule->actions[2].qos, 1);
    assert_str(rule->error_action->target.text, "errors");
    assert_true(set->rules[1]->disabled);
    assert_int_equal(set->rules[1]->plan->version, RULE_VERSION_2015_10_08);
    assert_int_equal(set->rules[1]->actions[0].key.kind, TEMPLATE_UUID);
    assert_null(set->rules[1]->error_action);
    rule_set_unref(rule_set_ref(set));
    rule_set_unref(set);
}

#define KINESIS "\"actions\":[{\"kinesis\":{\"stream_name\":\"s\"}}]"

static void errors_say_where(void **state) {
    static const struct {
        const char *config, *text;
    } cases[] = {
        {"{\"rules\":{\"r\":{\n  \"sql\":\"SELECT nosuch() AS x FROM 'a'\"," KINESIS "}}}",
         "weir.yaml:2:9: rule r: sql 1:8: there is no function nosuch()"},
        {"{\"rules\":{\"r-1\":{\"sql\":\"SELECT * FROM 'a'\"," KINESIS "}}}",
         "weir.yaml:1:17: rule r-1: a rule's name is 1 to 128 letters, digits and underscores"},
        {"{\"rules\":{\"r\":{\"sql\":\"SELECT * FROM 'a'\",\"sql_version\":\"gamma\"," KINESIS
         "}}}",
         "weir.yaml:1:56: sql_version: \"gamma\" is none of: 2015-10-08, 2016-03-23, beta"},
        {"{\"rules\":{\"r\":{\"sql\":\"SELECT * FROM 'a'\",\"actions\":[{}]}}}",
         "weir.yaml:1:53: rule r: an action has exactly one key, its kind: kinesis, "
         "firehose, republish, http, ..."},
        {"{\"rules\":{\"r\":{\"sql\":\"SELECT * FROM "
         "'a'\",\"actions\":[{\"kinesis\":{\"stream_name\":\"s\"},"
         "\"republish\":{\"topic\":\"t\"}}]}}}",
         "weir.yaml:1:53: rule r: an action has exactly one key, its kind: kinesis, "
         "firehose, republish, http, ..."},
        {"{\"rules\":{\"r\":{\"sql\":\"SELECT * FROM 'a'\",\"actions\":[{\"kinesis\":{}}]}}}",
         "weir.yaml:1:64: stream_name is missing here (name of a stream; may be a template)"},
        {"{\"rules\":{\"r\":{\"sql\":\"SELECT * FROM "
         "'a'\",\"actions\":[{\"kinesis\":{\"stream_name\":\"s\",\n"
         "\"partition_key\":\"a${\"}}]}}}",
         "weir.yaml:2:17: rule r: partition_key 1:4: expected a value before \"the end\""},
        {"{\"rules\":{\"r\":{\"sql\":\"SELECT * FROM "
         "'a'\",\"actions\":[{\"kinesis\":{\"stream_name\":\"s\","
         "\"role_arn\":\"x\"}}]}}}",
         "weir.yaml:1:53: rule r: there is no role \"x\" under roles"},
        {"{\"rules\":{\"r\":{\"sql\":\"SELECT * FROM "
         "'a'\",\"actions\":[{\"sqs\":{\"bucket_name\":\"s\"}}]}}}",
         "weir.yaml:1:60: sqs: the action sqs is not available; kafka or redis (RPUSH) keep a "
         "queue"},
        {"{\"rules\":{\"r\":{\"sql\":\"SELECT * FROM "
         "'a'\",\"actions\":[{\"firehose\":{\"delivery_stream_name\":\"d\","
         "\"separator\":\";\"}}]}}}",
         "weir.yaml:1:105: rule r: separator must be \"\\n\", \"\\t\", \"\\r\\n\" or \",\", in "
         "double quotes"},
        {"{\"rules\":{\"r\":{\"sql\":\"SELECT * FROM "
         "'a'\",\"actions\":[{\"republish\":{\"topic\":\"t\",\"qos\":2}}]}}}",
         "weir.yaml:1:85: qos: 2 is out of range (0 to 1)"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct conf_test test = {0};
        struct rule_set *set;
        assert_true(conf_test_compile(&test, cases[i].config, &set) < 0);
        assert_string_equal(test.err.text, cases[i].text);
        conf_test_done(&test);
    }
}

static void actions_are_bounded(void **state) {
    struct buf config = {0};
    struct conf_test test = {0};
    struct rule_set *set;
    buf_printf(&config, "{\"rules\":{\"r\":{\"sql\":\"SELECT * FROM 'a'\",\"actions\":[");
    for (int i = 0; i < 11; i++)
        buf_printf(&config, "%s{\"kinesis\":{\"stream_name\":\"s\"}}", i ? "," : "");
    buf_printf(&config, "]}}}");
    assert_int_equal(conf_test_compile(&test, buf_cstr(&config), &set), ERR_INVALID);
    assert_string_equal(test.err.text, "weir.yaml:1:52: rule r: more than 10 actions");
    conf_test_done(&test);
    buf_done(&config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_of_each_action),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(actions_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
