#include "rule/sql_test.h"

#include "rule/conf_test.h"
#include "rule/engine.h"

struct world {
    struct conf_test conf;
    struct rule_engine *engine;
    struct sink_resolver resolver;
    struct message_publisher publisher;
    struct buf properties;
    unsigned published;
};

static struct sink *find(struct sink_resolver *resolver, enum sink_kind kind, struct str name) {
    return NULL;
}

static int publish(struct message_publisher *publisher, const struct message *message) {
    struct world *world = CONTAINER_OF(publisher, struct world, publisher);
    buf_clear(&world->properties);
    buf_add_str(&world->properties, message->properties);
    world->published++;
    return MESSAGE_TAKEN;
}

static int compile(struct world *world, const char *headers, struct rule_set **ret_set) {
    *world = (struct world){.resolver = {find}, .publisher = {publish}};
    struct buf config = {0};
    buf_printf(&config,
               "{\"rules\":{\"r\":{\"sql\":\"SELECT * FROM 'a'\",\"sql_version\":\"2016-03-23\","
               "\"actions\":[{\"republish\":{\"topic\":\"b\",\"headers\":%s}}]}}}",
               headers);
    int code = conf_test_compile(&world->conf, buf_cstr(&config), ret_set);
    buf_done(&config);
    return code;
}

static void open_world(struct world *world, const char *headers) {
    struct rule_set *set;
    assert_int_equal(compile(world, headers, &set), 0);
    struct rule_engine_config engine = {.set = set,
                                        .sinks = &world->resolver,
                                        .publisher = &world->publisher,
                                        .environment = &test_environment};
    assert_int_equal(rule_engine_new(&engine, &world->engine, &world->conf.err), 0);
    rule_set_unref(set);
    conf_test_done(&world->conf);
}

static void close_world(struct world *world) {
    rule_engine_free(world->engine);
    buf_done(&world->properties);
}

static void send(struct world *world, const char *payload) {
    struct message message = test_message(str_of(payload));
    message.topic = STR("a");
    struct message_sink *sink = rule_engine_sink(world->engine);
    assert_int_equal(sink->push(sink, sink->route(sink, message.topic), &message), MESSAGE_TAKEN);
}

static void headers_become_properties(void **state) {
    static const char expected[] = "\x01\x01"
                                   "\x02\x00\x00\x01\x2c"
                                   "\x03\x00\x0a"
                                   "text/plain"
                                   "\x08\x00\x05"
                                   "r/dev"
                                   "\x09\x00\x02\x00\xff"
                                   "\x26\x00\x03key\x00\x02v1"
                                   "\x26\x00\x02k2\x00\x00";
    struct world world;
    open_world(&world,
               "{\"payload_format_indicator\":\"UTF8_DATA\",\"content_type\":\"${type}\","
               "\"response_topic\":\"r/${d}\",\"correlation_data\":\"AP8=\","
               "\"message_expiry\":\"${60 * 5}\",\"user_properties\":["
               "{\"key\":\"key\",\"value\":\"v${n}\"},{\"key\":\"${k}\",\"value\":\"${none}\"}]}");
    send(&world, "{\"type\":\"text/plain\",\"d\":\"dev\",\"n\":1,\"k\":\"k2\"}");
    assert_int_equal(world.published, 1);
    assert_int_equal(buf_len(&world.properties), sizeof expected - 1);
    assert_memory_equal(buf_at(&world.properties), expected, sizeof expected - 1);
    close_world(&world);
}

static void empty_headers_are_left_out_and_bad_ones_fail_the_action(void **state) {
    struct world world;
    open_world(&world, "{\"content_type\":\"${type}\",\"message_expiry\":\"${t}\"}");
    send(&world, "{}");
    assert_int_equal(world.published, 1);
    assert_int_equal(buf_len(&world.properties), 0);
    send(&world, "{\"t\":\"soon\"}");
    assert_int_equal(world.published, 1);
    send(&world, "{\"t\":5}");
    assert_int_equal(world.published, 2);
    close_world(&world);
}

static void constants_are_checked_at_once(void **state) {
    static const struct {
        const char *headers, *error;
    } cases[] = {
        {"{\"payload_format_indicator\":\"UTF8\"}",
         "headers: payloadFormatIndicator is UNSPECIFIED_BYTES or UTF8_DATA, not \"UTF8\""},
        {"{\"message_expiry\":\"-1\"}", "headers: messageExpiry: \"-1\" is no number of seconds"},
        {"{\"correlation_data\":\"?\"}", "headers: correlationData is no base64"},
        {"{\"response_topic\":\"a/#\"}", "headers: responseTopic: \"a/#\" is no topic"},
        {"{\"content_type\":\"${\"}", "headers: content_type 1:"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct world world;
        struct rule_set *set;
        assert_true(compile(&world, cases[i].headers, &set) < 0);
        assert_true(str_starts(str_of(world.conf.err.text), STR("weir.yaml:1:1")));
        assert_non_null(strstr(world.conf.err.text, cases[i].error));
        conf_test_done(&world.conf);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_become_properties),
        cmocka_unit_test(empty_headers_are_left_out_and_bad_ones_fail_the_action),
        cmocka_unit_test(constants_are_checked_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
