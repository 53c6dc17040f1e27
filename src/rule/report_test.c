#include "rule/report.h"

#include "base/test.h"

static const struct action_record one = {.topic = {"a/b", 3},
                                         .client_id = {"c1", 2},
                                         .source_ip = {"10.0.0.1", 8},
                                         .trace_id = {"t1", 2},
                                         .original = {"{}", 2},
                                         .has_original = true};
static const struct action_record two = {
    .topic = {"a/c", 3}, .trace_id = {"t2", 2}, .original = {"x", 1}, .has_original = true};

static void expect(bool is_across_topics, const char *text) {
    const struct action_record *const records[] = {&one, &two};
    const struct rule_failure failure = {.rule = STR("r"),
                                         .failed_action = "HttpAction",
                                         .resource = STR("http://h/"),
                                         .why = STR("answered with \"404\""),
                                         .record = &one,
                                         .batch = records,
                                         .batch_count = 2,
                                         .is_across_topics = is_across_topics};
    struct buf out = {0};
    struct str view = rule_report_batch(&out, &failure);
    assert_str(view, text);
    buf_done(&out);
}

#define FAILURES                                                                                   \
    "\"failures\":[{\"affectedIds\":[1,2],\"failedAction\":\"HttpAction\","                        \
    "\"failedResource\":\"http://h/\",\"errorMessage\":\"answered with \\\"404\\\"\"}]}"

static void messages_of_one_topic(void **state) {
    expect(false, "{\"ruleName\":\"r\",\"topic\":\"a/b\",\"payloadsWithMetadata\":["
                  "{\"id\":1,\"cloudwatchTraceId\":\"t1\",\"clientId\":\"c1\","
                  "\"sourceIp\":\"10.0.0.1\",\"base64OriginalPayload\":\"e30=\"},"
                  "{\"id\":2,\"cloudwatchTraceId\":\"t2\",\"clientId\":\"n/a\","
                  "\"base64OriginalPayload\":\"eA==\"}]," FAILURES);
}

static void messages_of_several_topics(void **state) {
    expect(true, "{\"ruleName\":\"r\",\"payloadsWithMetadata\":["
                 "{\"id\":1,\"topic\":\"a/b\",\"cloudwatchTraceId\":\"t1\",\"clientId\":\"c1\","
                 "\"sourceIp\":\"10.0.0.1\",\"base64OriginalPayload\":\"e30=\"},"
                 "{\"id\":2,\"topic\":\"a/c\",\"cloudwatchTraceId\":\"t2\",\"clientId\":\"n/a\","
                 "\"base64OriginalPayload\":\"eA==\"}]," FAILURES);
}

static void one_message_and_what_failed(void **state) {
    struct buf out = {0}, failures = {0};
    rule_report_failure(&failures, 0, "KinesisAction", STR("s"), STR("full"));
    rule_report_failure(&failures, 0, "HttpAction", STR("h"), STR("\"no\""));
    assert_str(
        rule_report(&out, STR("r"), &two, buf_str(&failures)),
        "{\"ruleName\":\"r\",\"topic\":\"a/c\",\"cloudwatchTraceId\":\"t2\",\"clientId\":\"n/a\","
        "\"base64OriginalPayload\":\"eA==\",\"failures\":["
        "{\"failedAction\":\"KinesisAction\",\"failedResource\":\"s\",\"errorMessage\":\"full\"},"
        "{\"failedAction\":\"HttpAction\",\"failedResource\":\"h\",\"errorMessage\":\"\\\"no\\\"\"}"
        "]}");
    buf_done(&failures);
    buf_done(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_message_and_what_failed),
        cmocka_unit_test(messages_of_one_topic),
        cmocka_unit_test(messages_of_several_topics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
