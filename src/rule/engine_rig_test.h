/* For the tests of the engine: a world that records what its rules do. */
#ifndef RULE_ENGINE_RIG_TEST_H
#define RULE_ENGINE_RIG_TEST_H

#include "rule/sql_test.h"

#include "base/metric_rig.h"
#include "rule/conf_test.h"
#include "rule/engine.h"

/* A world that records: streams "s" and "t", delivery stream "d", and a broker that hands what is
 * republished back in. */

struct fake_sink {
    struct sink sink;
    struct world *world;
    const char *label;
    int result;
};

struct world {
    struct conf_test conf;
    struct rule_set *set;
    struct rule_engine *engine;
    struct sink_resolver resolver;
    struct message_publisher publisher;
    struct fake_sink streams[2], delivery;
    int publish_result;
    bool publish_loops; /* what is republished goes through the rules again */
    struct buf events;  /* one line each */
    unsigned lookups;
};

static inline int fake_push(struct sink *sink, const struct record *record) {
    struct fake_sink *fake = CONTAINER_OF(sink, struct fake_sink, sink);
    if (fake->result < 0)
        return fake->result;
    buf_printf(&fake->world->events, "%s [%.*s] %.*s\n", fake->label,
               STR_ARG(record->partition_key), STR_ARG(record->data));
    return 0;
}

static inline struct sink *fake_find(struct sink_resolver *resolver, enum sink_kind kind,
                                     struct str name) {
    struct world *world = CONTAINER_OF(resolver, struct world, resolver);
    world->lookups++;
    if (kind == SINK_STREAM && str_eq(name, STR("s")))
        return &world->streams[0].sink;
    if (kind == SINK_STREAM && str_eq(name, STR("t")))
        return &world->streams[1].sink;
    return kind == SINK_DELIVERY && str_eq(name, STR("d")) ? &world->delivery.sink : NULL;
}

static inline int push(struct world *world, const struct message *message) {
    struct message_sink *sink = rule_engine_sink(world->engine);
    const void *route = sink->route(sink, message->topic);
    return route ? sink->push(sink, route, message) : MESSAGE_TAKEN;
}

static inline int fake_publish(struct message_publisher *publisher, const struct message *message) {
    struct world *world = CONTAINER_OF(publisher, struct world, publisher);
    if (world->publish_result < 0)
        return world->publish_result;
    buf_printf(&world->events, "publish %.*s q%d d%d %.*s\n", STR_ARG(message->topic), message->qos,
               message->republish_depth, STR_ARG(message->payload));
    return world->publish_loops ? push(world, message) : world->publish_result;
}

static inline int open_world(struct world *world, const char *rules) {
    *world = (struct world){.resolver = {fake_find}, .publisher = {fake_publish}};
    world->streams[0] = (struct fake_sink){{fake_push, "kinesis s"}, world, "s", 0};
    world->streams[1] = (struct fake_sink){{fake_push, "kinesis t"}, world, "t", 0};
    world->delivery = (struct fake_sink){{fake_push, "firehose d"}, world, "d", 0};
    struct buf config = {0};
    buf_printf(&config, "{\"rules\":{%s}}", rules);
    int result = conf_test_compile(&world->conf, buf_cstr(&config), &world->set);
    assert_string_equal(world->conf.err.text, "");
    assert_int_equal(result, 0);
    buf_done(&config);
    struct rule_engine_config engine = {.set = world->set,
                                        .sinks = &world->resolver,
                                        .publisher = &world->publisher,
                                        .environment = &test_environment};
    result = rule_engine_new(&engine, &world->engine, &world->conf.err);
    rule_set_unref(world->set);
    conf_test_done(&world->conf);
    return result;
}

static inline void close_world(struct world *world) {
    rule_engine_free(world->engine);
    buf_done(&world->events);
}

static inline int send(struct world *world, const char *topic, const char *payload) {
    struct message message = test_message(str_of(payload));
    message.topic = str_of(topic);
    return push(world, &message);
}

static inline void expect(struct world *world, const char *events) {
    assert_string_equal(buf_cstr(&world->events), events);
    buf_clear(&world->events);
}

#define RULE(name, sql, actions)                                                                   \
    "\"" name "\":{\"sql\":\"" sql "\",\"sql_version\":\"2016-03-23\",\"actions\":[" actions "]}"
#define TO_S         "{\"kinesis\":{\"stream_name\":\"s\",\"partition_key\":\"k\"}}"
#define TO_T         "{\"kinesis\":{\"stream_name\":\"t\",\"partition_key\":\"k\"}}"
#define TO_D         "{\"firehose\":{\"delivery_stream_name\":\"d\",\"separator\":\"\\n\"}}"
#define AGAIN(topic) "{\"republish\":{\"topic\":\"" topic "\"}}"

/* The rules of the world with others in their place; returns the old engine, which is no more in
 * force. */
static inline struct rule_engine *replace_rules(struct world *world, struct rule *const *rules,
                                                size_t count) {
    struct rule_engine *previous = world->engine;
    world->set = rule_set_new(rules, count);
    struct rule_engine_config engine = {.set = world->set,
                                        .sinks = &world->resolver,
                                        .publisher = &world->publisher,
                                        .environment = &test_environment,
                                        .previous = previous};
    assert_int_equal(rule_engine_new(&engine, &world->engine, &world->conf.err), 0);
    rule_set_unref(world->set);
    rule_engine_succeed(world->engine, previous);
    return previous;
}

static inline int quiet(void **state) {
    log_setup(LOG_ERROR, LOG_TEXT);
    return 0;
}

#endif
