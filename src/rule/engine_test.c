#include "rule/engine_rig_test.h"

static void several_rules_and_actions(void **state) {
    struct world world;
    assert_int_equal(
        open_world(&world, RULE("one", "SELECT * FROM 'a/#'", TO_S "," TO_D) "," RULE(
                               "two", "SELECT x FROM 'a/+'", TO_T "," AGAIN("copy/${topic(2)}"))),
        0);
    assert_int_equal(send(&world, "a/b", "{\"x\":1, \"y\":2}"), MESSAGE_STAGED);
    expect(&world, "s [k] {\"x\":1, \"y\":2}\n"
                   "d [0] {\"x\":1, \"y\":2}\n\n"
                   "t [k] {\"x\":1}\n"
                   "publish copy/b q0 d1 {\"x\":1}\n");
    assert_int_equal(send(&world, "a/b/c", "raw"), MESSAGE_STAGED);
    expect(&world, "s [k] raw\nd [0] raw\n\n");
    assert_int_equal(send(&world, "b", "{}"), MESSAGE_TAKEN);
    expect(&world, "");
    assert_int_equal(world.lookups, 3);
    assert_metric("weir_rule_topic_match_total{rule=\"one\"} 2");
    assert_metric("weir_rule_executed_total{rule=\"two\"} 1");
    assert_metric("weir_rule_action_success_total{rule=\"one\",action=\"firehose\"} 2");
    close_world(&world);
}

static void the_partition_key(void **state) {
    struct world world;
    assert_int_equal(
        open_world(
            &world,
            RULE("none", "SELECT * FROM 'none'", "{\"kinesis\":{\"stream_name\":\"s\"}}") "," RULE(
                "field", "SELECT * FROM 'field'",
                "{\"kinesis\":{\"stream_name\":\"s\",\"partition_key\":\"${id}\"}}," TO_T)),
        0);
    assert_int_equal(send(&world, "none", "x"), MESSAGE_STAGED);
    expect(&world, "s [" TEST_UUID "] x\n");
    assert_int_equal(send(&world, "field", "{\"id\":7}"), MESSAGE_STAGED);
    expect(&world, "s [7] {\"id\":7}\nt [k] {\"id\":7}\n");
    /* Without a key the action fails, for this message and alone. */
    assert_int_equal(send(&world, "field", "{}"), MESSAGE_STAGED);
    expect(&world, "t [k] {}\n");
    assert_metric("weir_rule_action_failure_total{rule=\"field\",action=\"kinesis\"} 1");
    char long_key[1100 + 20];
    snprintf(long_key, sizeof long_key, "{\"id\":\"%01100d\"}", 0);
    assert_int_equal(send(&world, "field", long_key), MESSAGE_STAGED);
    assert_metric("weir_rule_action_failure_total{rule=\"field\",action=\"kinesis\"} 2");
    close_world(&world);
}

static void targets_by_template(void **state) {
    struct world world;
    assert_int_equal(
        open_world(&world,
                   RULE("r", "SELECT * FROM '+'",
                        "{\"kinesis\":{\"stream_name\":\"${topic(1)}\",\"partition_key\":\"k\"}}")),
        0);
    assert_int_equal(world.lookups, 0);
    assert_int_equal(send(&world, "t", "1"), MESSAGE_STAGED);
    assert_int_equal(send(&world, "u", "2"), MESSAGE_TAKEN);
    expect(&world, "t [k] 1\n");
    assert_metric("weir_rule_action_failure_total{rule=\"r\",action=\"kinesis\"} 1");
    close_world(&world);
}

/* A template that would build without end stops, and the action fails instead of using half of it. */
static void templates_are_bounded(void **state) {
    struct world world;
    struct buf payload = {0};
    assert_int_equal(
        open_world(&world, RULE("r", "SELECT 1 AS x FROM 'a'",
                                "{\"kinesis\":{\"stream_name\":\"s\",\"partition_key\":\"${length("
                                "replace(s, 'x', s))}\"}},"
                                "{\"kinesis\":{\"stream_name\":\"${replace(s, 'x', s)}\"}}," TO_T)),
        0);
    assert_int_equal(send(&world, "a", "{\"s\":\"xx\"}"), MESSAGE_STAGED);
    expect(&world, "s [4] {\"x\":1}\nt [k] {\"x\":1}\n");
    buf_add_str(&payload, STR("{\"s\":\""));
    for (int i = 0; i < 10000; i++)
        buf_add_u8(&payload, 'x');
    buf_add_str(&payload, STR("\"}"));
    assert_int_equal(send(&world, "a", buf_cstr(&payload)), MESSAGE_STAGED);
    expect(&world, "t [k] {\"x\":1}\n");
    assert_metric("weir_rule_action_failure_total{rule=\"r\",action=\"kinesis\"} 3");
    assert_metric("weir_rule_exhausted_total{rule=\"r\"} 1");
    buf_done(&payload);
    close_world(&world);
}

static void batch_mode_makes_a_record_per_item(void **state) {
    struct world world;
    assert_int_equal(open_world(&world, RULE("r", "SELECT VALUE v FROM 'a'",
                                             "{\"firehose\":{\"delivery_stream_name\":\"d\","
                                             "\"separator\":\",\",\"batch_mode\":true}}")),
                     0);
    assert_int_equal(send(&world, "a", "{\"v\":[{\"x\":1},2,\"c\"]}"), MESSAGE_STAGED);
    expect(&world, "d [0] {\"x\":1},\nd [0] 2,\nd [0] \"c\",\n");
    assert_int_equal(send(&world, "a", "{\"v\":{\"x\":1}}"), MESSAGE_STAGED);
    expect(&world, "d [0] {\"x\":1},\n");
    world.delivery.result = ERR_NO_SPACE;
    assert_int_equal(send(&world, "a", "{\"v\":[1,2]}"), ERR_NO_SPACE);
    close_world(&world);
}

/* Rules that evaluate nothing stand among others, and say as much when they fail. */
static void straight_rules_among_others(void **state) {
    struct world world;
    assert_int_equal(
        open_world(&world, RULE("first", "SELECT * FROM 'a'", TO_S) "," RULE(
                               "second", "SELECT x FROM 'a'",
                               TO_T) ",\"third\":{\"sql\":\"SELECT * FROM 'a'\",\"actions\":[" TO_S
                                     "],\"error_action\":" AGAIN("errors") "}"),
        0);
    assert_int_equal(send(&world, "a", "{\"x\":1}"), MESSAGE_STAGED);
    expect(&world, "s [k] {\"x\":1}\nt [k] {\"x\":1}\ns [k] {\"x\":1}\n");
    world.streams[0].result = ERR_REFUSED;
    assert_int_equal(send(&world, "a", "{\"x\":2}"), MESSAGE_STAGED);
    assert_non_null(strstr(buf_cstr(&world.events), "t [k] {\"x\":2}\npublish errors q0 d1 {"));
    assert_non_null(strstr(buf_cstr(&world.events), "\"errorMessage\":\"kinesis s: "));
    buf_clear(&world.events);
    world.streams[0].result = ERR_IO;
    assert_int_equal(send(&world, "a", "{\"x\":3}"), ERR_IO);
    expect(&world, "t [k] {\"x\":3}\n");
    world.streams[0].result = 0;
    world.streams[1].result = ERR_NO_SPACE;
    assert_int_equal(send(&world, "a", "{\"x\":4}"), ERR_NO_SPACE);
    expect(&world, "s [k] {\"x\":4}\ns [k] {\"x\":4}\n");
    assert_metric("weir_rule_topic_match_total{rule=\"first\"} 4");
    assert_metric("weir_rule_executed_total{rule=\"first\"} 4");
    assert_metric("weir_rule_action_success_total{rule=\"first\",action=\"kinesis\"} 2");
    assert_metric("weir_rule_action_failure_total{rule=\"first\",action=\"kinesis\"} 2");
    assert_int_equal(world.engine->depth, 0);
    close_world(&world);
}

static void what_cannot_be_kept_is_not_acknowledged(void **state) {
    struct world world;
    assert_int_equal(open_world(&world, RULE("r", "SELECT * FROM 'a'", TO_S "," TO_T)), 0);
    world.streams[0].result = ERR_NO_SPACE;
    assert_int_equal(send(&world, "a", "1"), ERR_NO_SPACE);
    expect(&world, "t [k] 1\n");
    world.streams[0].result = ERR_IO;
    assert_int_equal(send(&world, "a", "2"), ERR_IO);
    expect(&world, "t [k] 2\n");
    world.streams[0].result = ERR_TOO_LARGE;
    assert_int_equal(send(&world, "a", "3"), MESSAGE_STAGED);
    world.streams[1].result = ERR_NOT_FOUND;
    assert_int_equal(send(&world, "a", "4"), MESSAGE_TAKEN);
    expect(&world, "t [k] 3\n");
    assert_metric("weir_rule_action_failure_total{rule=\"r\",action=\"kinesis\"} 5");
    close_world(&world);
}

static void the_error_action_gets_a_report(void **state) {
    struct world world;
    assert_int_equal(
        open_world(&world,
                   "\"r\":{\"sql\":\"SELECT * FROM 'a'\",\"actions\":[" TO_S "," TO_T
                   "],\"error_action\":{\"republish\":{\"topic\":\"errors/${topic(1)}\"}}}"),
        0);
    assert_int_equal(send(&world, "a", "ok"), MESSAGE_STAGED);
    buf_clear(&world.events);
    world.streams[0].result = world.streams[1].result = ERR_NOT_FOUND;
    assert_int_equal(send(&world, "a", "ok"), MESSAGE_TAKEN);
    expect(&world, "publish errors/a q0 d1 "
                   "{\"ruleName\":\"r\",\"topic\":\"a\",\"cloudwatchTraceId\":\"" TEST_UUID
                   "\",\"clientId\":\"client-7\",\"sourceIp\":\"192.0.2.9\","
                   "\"base64OriginalPayload\":\"b2s=\","
                   "\"failures\":[{\"failedAction\":\"KinesisAction\",\"failedResource\":\"s\","
                   "\"errorMessage\":\"kinesis s: "
                   "not "
                   "found\"},{\"failedAction\":\"KinesisAction\",\"failedResource\":\"t\","
                   "\"errorMessage\":\"kinesis t: "
                   "not found\"}]}\n");
    assert_metric("weir_rule_error_action_success_total{rule=\"r\",action=\"republish\"} 1");
    /* A failure that the publisher mends by sending again is none for the error action. */
    world.streams[0].result = world.streams[1].result = ERR_IO;
    assert_int_equal(send(&world, "a", "ok"), ERR_IO);
    expect(&world, "");
    close_world(&world);
}

static void a_loop_of_republish_ends(void **state) {
    struct world world;
    assert_int_equal(
        open_world(&world, RULE("r", "SELECT n + 1 AS n FROM 'loop/#'", AGAIN("loop/x") "," TO_S)),
        0);
    world.publish_loops = true;
    assert_int_equal(send(&world, "loop/x", "{\"n\":0}"), MESSAGE_STAGED);
    expect(&world,
           "publish loop/x q0 d1 {\"n\":1}\n"
           "publish loop/x q0 d2 {\"n\":2}\n"
           "publish loop/x q0 d3 {\"n\":3}\n"
           "publish loop/x q0 d4 {\"n\":4}\n"
           "publish loop/x q0 d5 {\"n\":5}\n"
           "publish loop/x q0 d6 {\"n\":6}\n"
           "publish loop/x q0 d7 {\"n\":7}\n"
           "publish loop/x q0 d8 {\"n\":8}\n"
           "s [k] {\"n\":9}\ns [k] {\"n\":8}\ns [k] {\"n\":7}\ns [k] {\"n\":6}\ns [k] {\"n\":5}\n"
           "s [k] {\"n\":4}\ns [k] {\"n\":3}\ns [k] {\"n\":2}\ns [k] {\"n\":1}\n");
    assert_metric("weir_rule_action_failure_total{rule=\"r\",action=\"republish\"} 1");
    close_world(&world);
}

static void republish(void **state) {
    struct world world;
    assert_int_equal(
        open_world(&world, RULE("r", "SELECT * FROM 'a/#'",
                                "{\"republish\":{\"topic\":\"$$aws/x/${t}\",\"qos\":1}}")),
        0);
    assert_int_equal(send(&world, "a/b", "{\"t\":\"y\"}"), MESSAGE_TAKEN);
    expect(&world, "publish $aws/x/y q1 d1 {\"t\":\"y\"}\n");
    assert_int_equal(send(&world, "a/b", "{\"t\":\"#\"}"), MESSAGE_TAKEN);
    expect(&world, "");
    assert_metric("weir_rule_action_failure_total{rule=\"r\",action=\"republish\"} 1");
    world.publish_result = ERR_NO_SPACE;
    assert_int_equal(send(&world, "a/b", "{\"t\":\"y\"}"), ERR_NO_SPACE);
    world.publish_result = ERR_DENIED;
    assert_int_equal(send(&world, "a/b", "{\"t\":\"y\"}"), MESSAGE_TAKEN);
    world.publish_result = MESSAGE_STAGED;
    assert_int_equal(send(&world, "a/b", "{\"t\":\"y\"}"), MESSAGE_STAGED);
    close_world(&world);
}

static void basic_ingest(void **state) {
    struct world world;
    assert_int_equal(
        open_world(&world,
                   RULE("r", "SELECT topic() AS t, topic(1) AS u", TO_S) "," RULE(
                       "all", "SELECT * FROM '#'",
                       TO_T) ",\"off\":{\"sql\":\"SELECT *\",\"disabled\":true,\"actions\":[" TO_S
                             "]}"),
        0);
    assert_int_equal(send(&world, "$aws/rules/r/a/b", "{}"), MESSAGE_STAGED);
    expect(&world, "s [k] {\"t\":\"a/b\",\"u\":\"a\"}\n");
    assert_int_equal(send(&world, "$aws/rules/r", "{}"), MESSAGE_STAGED);
    expect(&world, "s [k] {\"t\":\"\",\"u\":\"\"}\n");
    assert_int_equal(send(&world, "$aws/rules/none/a", "{}"), MESSAGE_TAKEN);
    assert_int_equal(send(&world, "$aws/rules/off/a", "{}"), MESSAGE_TAKEN);
    assert_int_equal(send(&world, "r/a", "{}"), MESSAGE_STAGED);
    expect(&world, "t [k] {}\n");
    assert_metric("weir_rule_not_found_total 2");
    close_world(&world);
}

static void filters(void **state) {
    struct world world;
    assert_int_equal(open_world(&world,
                                RULE("below", "SELECT * FROM 'a/#'", TO_S) "," RULE(
                                    "shadow", "SELECT * FROM '$aws/things/+/shadow/update'",
                                    TO_T) ",\"off\":{\"sql\":\"SELECT * FROM "
                                          "'#'\",\"disabled\":true,\"actions\":[" TO_D "]}"),
                     0);
    /* For AWS "a/#" does not take "a" itself. */
    assert_int_equal(send(&world, "a", "1"), MESSAGE_TAKEN);
    assert_int_equal(send(&world, "a/", "2"), MESSAGE_STAGED);
    assert_int_equal(send(&world, "a/b/c", "3"), MESSAGE_STAGED);
    assert_int_equal(send(&world, "$aws/things/x/shadow/update", "4"), MESSAGE_STAGED);
    expect(&world, "s [k] 2\ns [k] 3\nt [k] 4\n");
    close_world(&world);
}

static void topics_with_the_same_rules_share_a_route(void **state) {
    struct world world;
    assert_int_equal(open_world(&world, RULE("one", "SELECT * FROM 'a/#'",
                                             TO_S) "," RULE("two", "SELECT * FROM 'a/b'", TO_T)),
                     0);
    struct message_sink *sink = rule_engine_sink(world.engine);
    uint64_t generation = sink->generation;
    const void *one = sink->route(sink, STR("a/x")), *both = sink->route(sink, STR("a/b"));
    assert_ptr_equal(sink->route(sink, STR("a/y")), one);
    assert_ptr_not_equal(one, both);
    assert_ptr_equal(sink->route(sink, STR("a/b")), both);
    assert_null(sink->route(sink, STR("x")));
    assert_int_equal(sink->generation, generation);
    close_world(&world);
}

/* Eleven rules that match any combination of eleven levels: 2047 routes, more than are kept. */
static void routes_are_bounded(void **state) {
    struct buf rules = {0};
    struct world world;
    for (int i = 0; i < 11; i++) {
        buf_printf(&rules, "%s\"r%d\":{\"sql\":\"SELECT * FROM '", i ? "," : "", i);
        for (int j = 0; j < 11; j++)
            buf_printf(&rules, "%s%s", j ? "/" : "", i == j ? "1" : "+");
        buf_printf(&rules, "'\",\"actions\":[" TO_S "]}");
    }
    assert_int_equal(open_world(&world, buf_cstr(&rules)), 0);
    struct message_sink *sink = rule_engine_sink(world.engine);
    uint64_t first = sink->generation;
    for (unsigned bits = 1; bits < 2048; bits++) {
        struct buf topic = {0};
        unsigned wanted = (unsigned)__builtin_popcount(bits);
        for (int j = 0; j < 11; j++)
            buf_printf(&topic, "%s%u", j ? "/" : "", bits >> j & 1);
        const struct rule_route *route = sink->route(sink, buf_str(&topic));
        assert_non_null(route);
        assert_int_equal(route->count, wanted);
        buf_done(&topic);
    }
    assert_int_equal(sink->generation, first + 1);
    close_world(&world);
    buf_done(&rules);
}

static void unreadable_payloads_are_counted(void **state) {
    struct world world;
    assert_int_equal(
        open_world(&world, RULE("plain", "SELECT * FROM 'a'", TO_S) "," RULE(
                               "fields", "SELECT x, 1 AS y FROM 'a'",
                               TO_T) "," RULE("star", "SELECT *, 1 AS y FROM 'a'", TO_D)),
        0);
    assert_int_equal(send(&world, "a", "not json"), MESSAGE_STAGED);
    expect(&world, "s [k] not json\nt [k] {\"y\":1}\n");
    assert_metric("weir_rule_parse_error_total{rule=\"plain\"} 0");
    assert_metric("weir_rule_parse_error_total{rule=\"fields\"} 1");
    assert_metric("weir_rule_parse_error_total{rule=\"star\"} 1");
    assert_metric("weir_rule_executed_total{rule=\"star\"} 0");
    close_world(&world);
}

/* What a message needs is there from the one before. */
static void the_same_memory_serves_each_message(void **state) {
    struct world world;
    assert_int_equal(
        open_world(
            &world,
            RULE("r", "SELECT *, upper(c) AS u, a + 1.5 AS b FROM 'a' WHERE a > 1",
                 "{\"kinesis\":{\"stream_name\":\"s\",\"partition_key\":\"${c}-${newuuid()}\"}}")),
        0);
    assert_int_equal(send(&world, "a", "{\"a\":2,\"c\":\"x\\n\"}"), MESSAGE_STAGED);
    const struct engine_frame *frame = world.engine->frames[0], before = *frame;
    for (int i = 0; i < 100; i++)
        assert_int_equal(send(&world, "a", "{\"a\":3,\"c\":\"y\\t\"}"), MESSAGE_STAGED);
    assert_ptr_equal(frame->arena.blocks, before.arena.blocks);
    assert_ptr_equal(frame->payload.json.entries, before.payload.json.entries);
    assert_ptr_equal(frame->out.at, before.out.at);
    assert_ptr_equal(frame->key.at, before.key.at);
    assert_null(world.engine->frames[1]);
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_rules_and_actions),
        cmocka_unit_test(the_partition_key),
        cmocka_unit_test(targets_by_template),
        cmocka_unit_test(templates_are_bounded),
        cmocka_unit_test(batch_mode_makes_a_record_per_item),
        cmocka_unit_test(straight_rules_among_others),
        cmocka_unit_test(what_cannot_be_kept_is_not_acknowledged),
        cmocka_unit_test(the_error_action_gets_a_report),
        cmocka_unit_test(a_loop_of_republish_ends),
        cmocka_unit_test(republish),
        cmocka_unit_test(basic_ingest),
        cmocka_unit_test(filters),
        cmocka_unit_test(topics_with_the_same_rules_share_a_route),
        cmocka_unit_test(routes_are_bounded),
        cmocka_unit_test(unreadable_payloads_are_counted),
        cmocka_unit_test(the_same_memory_serves_each_message),
    };
    return cmocka_run_group_tests(tests, quiet, NULL);
}
