#include "rule/sql_test.h"

#include "base/mem.h"
#include "base/metric_rig.h"
#include "flow/action.h"
#include "rule/conf_test.h"
#include "rule/deferred.h"

/* A world with the stream "s", the stream "errors" and the logs of rules; everything that was
 * pushed but for the logs is a line of `events`, and `kept` the log's last record. */

static const struct option no_options[] = {{0}};

static void no_templates(const void *settings, struct action_templates *templates) {}

static const struct action_kind statement = {
    .name = "statement", .options = no_options, .settings_size = 8, .templates = no_templates};
static const struct action_kind *const kinds[] = {&statement, NULL};

struct world {
    struct conf_test conf;
    struct rule_engine *engine;
    struct rule *rule;
    struct sink_resolver resolver;
    struct message_publisher publisher;
    struct sink stream, errors, log;
    int log_result, stream_result;
    bool has_no_log;
    uint64_t received_ms; /* 0: as the record says */
    struct buf events, kept;
    struct buf asked;
};

static int push_stream(struct sink *sink, const struct record *record) {
    struct world *world = CONTAINER_OF(sink, struct world, stream);
    if (world->stream_result == 0)
        buf_printf(&world->events, "s [%.*s] %.*s\n", STR_ARG(record->partition_key),
                   STR_ARG(record->data));
    return world->stream_result;
}

static int push_errors(struct sink *sink, const struct record *record) {
    struct world *world = CONTAINER_OF(sink, struct world, errors);
    buf_printf(&world->events, "errors %.*s\n", STR_ARG(record->data));
    return 0;
}

static int push_log(struct sink *sink, const struct record *record) {
    struct world *world = CONTAINER_OF(sink, struct world, log);
    if (world->log_result < 0)
        return world->log_result;
    buf_clear(&world->kept);
    buf_add_str(&world->kept, record->data);
    return 0;
}

static struct sink *find(struct sink_resolver *resolver, enum sink_kind kind, struct str name) {
    struct world *world = CONTAINER_OF(resolver, struct world, resolver);
    if (kind == SINK_ACTION)
        return str_eq(name, STR("r-0-statement")) && !world->has_no_log ? &world->log : NULL;
    return str_eq(name, STR("s")) ? &world->stream : &world->errors;
}

static int publish(struct message_publisher *publisher, const struct message *message) {
    struct world *world = CONTAINER_OF(publisher, struct world, publisher);
    buf_printf(&world->events, "publish %.*s d%d %.*s\n", STR_ARG(message->topic),
               message->republish_depth, STR_ARG(message->payload));
    return MESSAGE_TAKEN;
}

static struct rule_engine *make_engine(struct world *world, struct rule_set *set,
                                       struct rule_engine *previous) {
    struct rule_engine *engine;
    struct rule_engine_config config = {.set = set,
                                        .sinks = &world->resolver,
                                        .publisher = &world->publisher,
                                        .environment = &test_environment,
                                        .previous = previous};
    assert_int_equal(rule_engine_new(&config, &engine, &world->conf.err), 0);
    return engine;
}

static void open_world(struct world *world, const char *rule) {
    struct rule_set *set;
    *world =
        (struct world){.resolver = {find},
                       .publisher = {publish},
                       .stream = {push_stream, "s"},
                       .errors = {push_errors, "errors"},
                       .log = {push_log, "log"},
                       .conf.surroundings = {.kinds = kinds, .functions = rule_functions_new()}};
    rule_functions_add(world->conf.surroundings.functions, "f");
    struct buf config = {0};
    buf_printf(&config, "{\"rules\":{\"r\":%s}}", rule);
    int result = conf_test_compile(&world->conf, buf_cstr(&config), &set);
    assert_string_equal(world->conf.err.text, "");
    assert_int_equal(result, 0);
    buf_done(&config);
    conf_test_done(&world->conf);
    world->engine = make_engine(world, set, NULL);
    world->rule = rule_ref((struct rule *)rule_set_find(set, STR("r")));
    rule_set_unref(set);
}

static void close_world(struct world *world) {
    rule_engine_free(world->engine);
    rule_unref(world->rule);
    rule_functions_unref(world->conf.surroundings.functions);
    buf_done(&world->events);
    buf_done(&world->kept);
    buf_done(&world->asked);
}

static int send(struct world *world, const char *topic, const char *payload) {
    struct message message = test_message(str_of(payload));
    message.topic = str_of(topic);
    message.republish_depth = 2;
    struct message_sink *sink = rule_engine_sink(world->engine);
    const void *route = sink->route(sink, message.topic);
    return route ? sink->push(sink, route, &message) : MESSAGE_TAKEN;
}

/* Answers until nothing is missing: what it was given, or, asked with "fail", nothing. Then the
 * rule runs. */
static int resume(struct world *world) {
    struct rule_calls *calls = rule_calls_new();
    struct action_record record;
    struct rule_call call;
    assert_int_equal(action_record_read(buf_str(&world->kept), &record), 0);
    if (world->received_ms)
        record.received_ms = world->received_ms;
    while (rule_engine_ask(world->engine, world->rule, &record, calls)) {
        struct buf text = {0};
        assert_true(rule_calls_wanted(calls, &call));
        buf_printf(&world->asked, "%.*s %.*s\n", STR_ARG(call.function), STR_ARG(call.input));
        buf_printf(&text, "{\"got\":%.*s}", STR_ARG(call.input));
        bool ok = !str_eq(call.input, STR("\"fail\""));
        rule_calls_answer(calls, ok, ok ? buf_str(&text) : STR("it fails"));
        buf_done(&text);
    }
    int result = rule_engine_resume(world->engine, world->rule, &record, calls);
    rule_calls_free(calls);
    return result;
}

static void expect(struct buf *lines, const char *expected) {
    assert_string_equal(buf_cstr(lines), expected);
    buf_clear(lines);
}

#define RULE(sql, rest) "{\"sql\":\"" sql "\",\"sql_version\":\"2016-03-23\"," rest "}"
#define TO(stream, key)                                                                            \
    "{\"kinesis\":{\"stream_name\":\"" stream "\",\"partition_key\":\"" key "\"}}"
#define TO_S      "\"actions\":[" TO("s", "k") "]"
#define TO_ERRORS ",\"error_action\":" TO("errors", "k")

static void a_message_waits_in_the_log_and_is_evaluated_as_it_came(void **state) {
    struct world world;
    open_world(
        &world,
        RULE(
            "SELECT aws_lambda('f', n).got AS x, topic(2) AS t, clientid() AS c, "
            "principal() AS p, sourceip() AS ip, timestamp() AS at, traceid() AS id FROM 'a/#' "
            "WHERE aws_lambda('f', TRUE).got",
            "\"actions\":[" TO(
                "s",
                "${aws_lambda('f', topic(1)).got}") ",{\"republish\":{\"topic\":\"made/${n}\"}}]"));
    assert_int_equal(send(&world, "a/b", "{\"n\":7}"), MESSAGE_STAGED);
    expect(&world.events, "");
    assert_metric("weir_rule_topic_match_total{rule=\"r\"} 1");
    assert_metric("weir_rule_executed_total{rule=\"r\"} 0");
    assert_int_equal(resume(&world), MESSAGE_STAGED);
    expect(&world.asked, "f true\nf 7\nf \"a\"\n");
#define MADE                                                                                       \
    "{\"x\":7,\"t\":\"b\",\"c\":\"client-7\",\"p\":\"abcdef\",\"ip\":\"192.0.2.9\","               \
    "\"at\":1700000000123,\"id\":\"" TEST_UUID "\"}\n"
    expect(&world.events, "s [a] " MADE "publish made/7 d3 " MADE);
    assert_metric("weir_rule_topic_match_total{rule=\"r\"} 1");
    assert_metric("weir_rule_executed_total{rule=\"r\"} 1");
    close_world(&world);
}

/* As when the message came; so what is evaluated again comes to the same. */
static void time_and_chance_are_those_of_the_message(void **state) {
    struct world world;
    open_world(&world, RULE("SELECT newuuid() AS id, rand() AS r, timestamp() AS at, "
                            "aws_lambda('f', 1).got AS x FROM 'a'",
                            TO_S));
    assert_int_equal(send(&world, "a", "{}"), MESSAGE_STAGED);
    world.received_ms = 1600000000005;
    assert_int_equal(resume(&world), MESSAGE_STAGED);
    assert_non_null(strstr(buf_cstr(&world.events), "\"at\":1600000000005,"));
    char *first = xstrdup(buf_cstr(&world.events));
    buf_clear(&world.events);
    assert_int_equal(resume(&world), MESSAGE_STAGED);
    expect(&world.events, first);
    assert_int_equal(send(&world, "a", "{}"), MESSAGE_STAGED);
    assert_int_equal(resume(&world), MESSAGE_STAGED);
    assert_string_not_equal(buf_cstr(&world.events), first);
    free(first);
    close_world(&world);
}

/* The message's own payload is kept for the error action, if there is one. */
static void what_nobody_asks_for_is_not_kept(void **state) {
    for (int has = 0; has < 2; has++) {
        struct world world;
        struct action_record record;
        open_world(&world, has ? RULE("SELECT aws_lambda('f', 1) AS x FROM 'a'", TO_S TO_ERRORS)
                               : RULE("SELECT aws_lambda('f', 1) AS x FROM 'a'", TO_S));
        assert_int_equal(send(&world, "a", "{\"n\":1}"), MESSAGE_STAGED);
        assert_int_equal(action_record_read(buf_str(&world.kept), &record), 0);
        assert_int_equal(record.has_original, has);
        assert_str(record.original, has ? "{\"n\":1}" : "");
        close_world(&world);
    }
}

static void where_decides_also_there(void **state) {
    struct world world;
    open_world(&world, RULE("SELECT * FROM 'a' WHERE aws_lambda('f', n).got > 3", TO_S));
    assert_int_equal(send(&world, "a", "{\"n\":3}"), MESSAGE_STAGED);
    assert_int_equal(resume(&world), MESSAGE_TAKEN);
    expect(&world.events, "");
    assert_int_equal(send(&world, "a", "{\"n\":4}"), MESSAGE_STAGED);
    assert_int_equal(resume(&world), MESSAGE_STAGED);
    expect(&world.events, "s [k] {\"n\":4}\n");
    assert_int_equal(send(&world, "b", "{\"n\":4}"), MESSAGE_TAKEN);
    close_world(&world);
}

static void a_failure_runs_the_error_action(void **state) {
    struct world world;
    open_world(&world, RULE("SELECT aws_lambda('f', n) AS x FROM 'a'", TO_S TO_ERRORS));
    assert_int_equal(send(&world, "a", "{\"n\":\"fail\"}"), MESSAGE_STAGED);
    assert_int_equal(resume(&world), MESSAGE_STAGED);
    expect(&world.events,
           "errors {\"ruleName\":\"r\",\"topic\":\"a\",\"cloudwatchTraceId\":\"" TEST_UUID
           "\",\"clientId\":\"client-7\",\"sourceIp\":\"192.0.2.9\",\"base64OriginalPayload\":"
           "\"eyJuIjoiZmFpbCJ9\",\"failures\":[{\"failedAction\":\"aws_lambda\",\"failedResource\":"
           "\"f\",\"errorMessage\":\"aws_lambda: the function \\\"f\\\": it fails\"}]}\n");
    assert_metric("weir_rule_failed_total{rule=\"r\"} 1");
    close_world(&world);

    /* In a template that action fails, and the others run. */
    open_world(
        &world,
        RULE("SELECT 1 AS x FROM 'a'",
             "\"actions\":[" TO(
                 "s", "${aws_lambda('f', n).got}") ","
                                                   "{\"republish\":{\"topic\":\"t\"}}]" TO_ERRORS));
    assert_int_equal(send(&world, "a", "{\"n\":\"fail\"}"), MESSAGE_STAGED);
    assert_int_equal(resume(&world), MESSAGE_STAGED);
    assert_non_null(strstr(buf_cstr(&world.events), "publish t d3 {\"x\":1}\nerrors {"));
    assert_non_null(strstr(buf_cstr(&world.events), "\"failedAction\":\"KinesisAction\""));
    close_world(&world);
}

static void what_cannot_be_kept_is_said(void **state) {
    struct world world;
    open_world(&world, RULE("SELECT aws_lambda('f', 1) AS x FROM 'a'", TO_S TO_ERRORS));
    world.log_result = ERR_NO_SPACE;
    assert_int_equal(send(&world, "a", "{}"), ERR_NO_SPACE);
    world.log_result = ERR_IO;
    assert_int_equal(send(&world, "a", "{}"), ERR_IO);
    expect(&world.events, "");
    world.log_result = ERR_TOO_LARGE;
    assert_int_equal(send(&world, "a", "{}"), MESSAGE_STAGED);
    assert_non_null(strstr(buf_cstr(&world.events), "\"failedResource\":\"r-0-statement\""));
    world.log_result = 0;
    assert_int_equal(send(&world, "a", "{}"), MESSAGE_STAGED);
    world.stream_result = ERR_IO;
    assert_int_equal(resume(&world), ERR_IO);
    world.stream_result = 0;
    buf_clear(&world.events);
    assert_int_equal(resume(&world), MESSAGE_STAGED);
    expect(&world.events, "s [k] {\"x\":{\"got\":1}}\n");
    close_world(&world);
}

static void basic_ingest(void **state) {
    struct world world;
    open_world(&world, RULE("SELECT aws_lambda('f', topic()).got AS x", TO_S));
    assert_int_equal(send(&world, "$aws/rules/r/deep/down", "{}"), MESSAGE_STAGED);
    assert_int_equal(resume(&world), MESSAGE_STAGED);
    expect(&world.events, "s [k] {\"x\":\"deep/down\"}\n");
    close_world(&world);
}

/* The rule is deleted while a message waits: it is evaluated as the rule was, as long as its log is
 * there. */
static void a_rule_that_is_no_more(void **state) {
    struct world world;
    open_world(&world, RULE("SELECT aws_lambda('f', n).got AS x FROM 'a'", TO_S));
    assert_int_equal(send(&world, "a", "{\"n\":1}"), MESSAGE_STAGED);
    struct rule_set *none = rule_set_new(NULL, 0);
    struct rule_engine *old = world.engine;
    world.engine = make_engine(&world, none, old);
    rule_engine_succeed(world.engine, old);
    rule_engine_free(old);
    rule_set_unref(none);
    assert_int_equal(resume(&world), MESSAGE_STAGED);
    expect(&world.events, "s [k] {\"x\":1}\n");
    world.has_no_log = true;
    assert_int_equal(resume(&world), ERR_NOT_FOUND);
    close_world(&world);
}

static void on_line(struct rule_tracer *tracer, struct str json) {
    static const char *const wanted[] = {"\"where\":{\"type\":\"Boolean\",\"value\":true}",
                                         "\"fires\":true,\"result\":{\"x\":7}",
                                         "\"resource\":\"s\",\"outcome\":\"success\""};
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        if (!strstr(json.at, wanted[i]))
            fail_msg("no %s in %.*s", wanted[i], STR_ARG(json));
    tracer->line = NULL; /* no second time */
}

static void who_follows_sees_the_evaluation(void **state) {
    struct world world;
    struct rule_tracer tracer = {.rule = STR("r"), .line = on_line};
    open_world(&world,
               RULE("SELECT aws_lambda('f', n).got AS x FROM 'a' WHERE aws_lambda('f', n).got "
                    "= 7",
                    "\"actions\":[" TO("s", "${aws_lambda('f', n).got}") "]"));
    rule_engine_trace(world.engine, &tracer);
    assert_int_equal(send(&world, "a", "{\"n\":7}"), MESSAGE_STAGED);
    assert_non_null(tracer.line);
    assert_int_equal(resume(&world), MESSAGE_STAGED);
    assert_null(tracer.line);
    expect(&world.asked, "f 7\nf 7\nf 7\n");
    expect(&world.events, "s [7] {\"x\":7}\n");
    rule_engine_untrace(world.engine, &tracer);
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_waits_in_the_log_and_is_evaluated_as_it_came),
        cmocka_unit_test(time_and_chance_are_those_of_the_message),
        cmocka_unit_test(what_nobody_asks_for_is_not_kept),
        cmocka_unit_test(where_decides_also_there),
        cmocka_unit_test(a_failure_runs_the_error_action),
        cmocka_unit_test(what_cannot_be_kept_is_said),
        cmocka_unit_test(basic_ingest),
        cmocka_unit_test(a_rule_that_is_no_more),
        cmocka_unit_test(who_follows_sees_the_evaluation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
