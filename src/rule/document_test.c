#include "rule/conf_test.h"

#include "base/mem.h"
#include "rule/document.h"
#include "rule/set.h"

static int read(const char *text, struct rule_config *config, struct arena *arena,
                struct err *err) {
    struct json json = {0};
    assert_int_equal(json_parse(&json, str_of(text)), 0);
    int code = rule_document_read(arena, "r", json_root(&json), config, err);
    json_done(&json);
    return code;
}

static const char article[] =
    "{\"sql\":\"SELECT * FROM 'topic/sensors'\",\"description\":\"to stream and bucket\","
    "\"awsIotSqlVersion\":\"2016-03-23\",\"ruleDisabled\":false,\"actions\":["
    "{\"kinesis\":{\"streamName\":\"sensors\",\"partitionKey\":\"${newuuid()}\","
    "\"roleArn\":\"arn:aws:iam::123456789012:role/r\"}},"
    "{\"firehose\":{\"deliveryStreamName\":\"d\",\"separator\":\"\\n\",\"batchMode\":true,"
    "\"roleArn\":\"x\"}},{\"republish\":{\"topic\":\"t\",\"qos\":1,\"roleArn\":\"x\"}}],"
    "\"errorAction\":{\"republish\":{\"topic\":\"errors\",\"roleArn\":\"x\"}}}";

static void aws_names_are_the_configuration_s(void **state) {
    struct rule_config config;
    struct arena arena = {0};
    struct err err = {0};
    read(article, &config, &arena, &err);
    assert_string_equal(err.text, "");
    assert_string_equal(config.sql, "SELECT * FROM 'topic/sensors'");
    assert_int_equal(config.sql_version, RULE_VERSION_2016_03_23);
    assert_int_equal(config.actions.count, 3);
    const struct rule_action_config *actions = config.actions.items;
    assert_string_equal(actions[0].kinesis.partition_key, "${newuuid()}");
    assert_string_equal(actions[0].kinesis.role, "arn:aws:iam::123456789012:role/r");
    assert_true(actions[1].firehose.batch_mode);
    assert_int_equal(actions[2].republish.qos, 1);
    assert_string_equal(config.error_action.republish.topic, "errors");
    arena_done(&arena);
}

static void what_is_written_is_what_was_read(void **state) {
    struct rule_config config;
    struct arena arena = {0};
    struct err err = {0};
    struct buf out = {0};
    assert_int_equal(read(article, &config, &arena, &err), 0);
    rule_document_write(&out, &config, NULL);
    assert_string_equal(
        buf_cstr(&out),
        "{\"sql\":\"SELECT * FROM 'topic/sensors'\",\"description\":\"to stream and bucket\","
        "\"actions\":["
        "{\"kinesis\":{\"streamName\":\"sensors\",\"partitionKey\":\"${newuuid()}\","
        "\"roleArn\":\"arn:aws:iam::123456789012:role/r\"}},"
        "{\"firehose\":{\"deliveryStreamName\":\"d\",\"separator\":\"\\n\",\"batchMode\":true,"
        "\"roleArn\":\"x\"}},{\"republish\":{\"topic\":\"t\",\"qos\":1,\"roleArn\":\"x\"}}],"
        "\"ruleDisabled\":false,\"awsIotSqlVersion\":\"2016-03-23\","
        "\"errorAction\":{\"republish\":{\"topic\":\"errors\",\"roleArn\":\"x\"}}}");
    buf_done(&out);
    arena_done(&arena);
}

static void a_rule_of_the_file_has_the_same_form(void **state) {
    struct conf_test test = {0};
    struct rule_set *set;
    assert_int_equal(
        conf_test_compile(&test,
                          "{\"rules\":{\"r\":{\"sql\":\"SELECT * FROM 'a'\",\"actions\":["
                          "{\"firehose\":{\"delivery_stream_name\":\"d\",\"batch_mode\":true}}]}}}",
                          &set),
        0);
    assert_str(set->rules[0]->document,
               "{\"sql\":\"SELECT * FROM 'a'\",\"description\":\"\",\"actions\":[{\"firehose\":"
               "{\"deliveryStreamName\":\"d\",\"batchMode\":true}}],\"ruleDisabled\":false,"
               "\"awsIotSqlVersion\":\"2015-10-08\"}");
    assert_string_equal(set->rules[0]->place, "weir.yaml:1:15");
    conf_test_done(&test);
    rule_set_unref(set);
}

static void the_newest_version_is_called_beta(void **state) {
    struct conf_test test = {0};
    struct rule_set *set;
    assert_int_equal(
        conf_test_compile(
            &test,
            "{\"rules\":{\"r\":{\"sql\":\"SELECT [1] AS a FROM 'a'\",\"sql_version\":"
            "\"beta\",\"actions\":[{\"firehose\":{\"delivery_stream_name\":\"d\"}}]}}}",
            &set),
        0);
    assert_int_equal(set->rules[0]->plan->version, RULE_VERSION_2016_03_23);
    assert_true(strstr(set->rules[0]->document.at, "\"awsIotSqlVersion\":\"beta\""));
    conf_test_done(&test);
    rule_set_unref(set);
}

static void what_comes_from_a_client_reads_no_environment(void **state) {
    struct rule_config config;
    struct arena arena = {0};
    struct err err = {0};
    assert_int_equal(read("{\"sql\":\"SELECT * FROM 'a'\",\"actions\":[{\"republish\":{\"topic\":"
                          "\"${env:HOME}\"}}]}",
                          &config, &arena, &err),
                     0);
    const struct rule_action_config *action = config.actions.items;
    assert_string_equal(action->republish.topic, "${env:HOME}");
    arena_done(&arena);
}

static void errors_name_no_file(void **state) {
    static const struct {
        const char *document, *text;
    } cases[] = {
        {"[]", "a JSON object is wanted"},
        {"{}", "sql is missing here (SELECT ... FROM 'topic/filter' WHERE ...)"},
        {"{\"sql\":\"x\",\"actions\":[{\"kinesis\":{\"streamNames\":\"s\"}}]}",
         "unknown key \"streamNames\"; known here: stream_name, partition_key, role_arn, role"},
        {"{\"sql\":\"x\",\"actions\":{}}", "actions: a list is wanted"},
        {"{\"sql\":[],\"actions\":[]}", "sql: a plain value is wanted"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rule_config config;
        struct arena arena = {0};
        struct err err = {0};
        assert_int_equal(read(cases[i].document, &config, &arena, &err), ERR_INVALID);
        assert_string_equal(err.text, cases[i].text);
        arena_done(&arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aws_names_are_the_configuration_s),
        cmocka_unit_test(what_is_written_is_what_was_read),
        cmocka_unit_test(a_rule_of_the_file_has_the_same_form),
        cmocka_unit_test(the_newest_version_is_called_beta),
        cmocka_unit_test(what_comes_from_a_client_reads_no_environment),
        cmocka_unit_test(errors_name_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
