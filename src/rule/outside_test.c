#include "rule/sql_test.h"

#include "base/metric_rig.h"
#include "rule/conf_test.h"
#include "rule/document.h"
#include "rule/engine.h"

/* A kind as src/action/ has them, and logs that remember what was pushed. */

struct hook_settings {
    struct option_head head;
    const char *role;
    const char *url, *token;
    struct option_strings words;
    int64_t speed;
};

static const struct option hook_options[] = {
    {"url", OPTION_STRING, offsetof(struct hook_settings, url), .required = true},
    {"role", OPTION_STRING, offsetof(struct hook_settings, role)},
    {"token", OPTION_SECRET, offsetof(struct hook_settings, token)},
    {"words", OPTION_STRING_LIST, offsetof(struct hook_settings, words)},
    {"speed", OPTION_INT, offsetof(struct hook_settings, speed), .default_text = "3"},
    {0}};

static int check_hook(const void *data, struct err *err) {
    const struct hook_settings *settings = data;
    const struct conf *at = conf_get(settings->head.conf, "speed");
    return settings->speed == 13 ? conf_error(at, err, ERR_INVALID, "speed 13 is unlucky") : 0;
}

static void hook_templates(const void *data, struct action_templates *templates) {
    const struct hook_settings *settings = data;
    action_template_add(templates, "url", settings->url, &settings->head, "url");
    for (size_t i = 0; i < settings->words.count; i++)
        action_template_add(templates, "word", settings->words.items[i], &settings->head, "words");
}

static void hook_arn(const struct action_params *params, struct buf *out) {
    buf_add_str(out, STR("arn:aws:hook:::"));
    buf_add_str(out, action_param_get(params, "url"));
}

static const struct action_kind hook = {.name = "http",
                                        .failed_action = "HttpAction",
                                        .options = hook_options,
                                        .settings_size = sizeof(struct hook_settings),
                                        .check = check_hook,
                                        .role_offset = offsetof(struct hook_settings, role),
                                        .templates = hook_templates,
                                        .permission = "hook:Post",
                                        .arn = hook_arn};
static const struct action_kind *const kinds[] = {&hook, NULL};

enum { LOGS_MAX = 4 };

static struct rule_roles *given_roles; /* of the next world */

struct world {
    struct conf_test conf;
    struct rule_set *set;
    struct rule_engine *engine;
    struct sink_resolver resolver;
    struct message_publisher publisher;
    struct log {
        struct sink sink;
        char name[160];
        int result;
        unsigned count;
        struct buf last;
    } logs[LOGS_MAX];
    struct buf published;
    unsigned published_depth;
    int publish_result;
};

static int push_log(struct sink *sink, const struct record *record) {
    struct log *log = CONTAINER_OF(sink, struct log, sink);
    if (log->result < 0)
        return log->result;
    buf_clear(&log->last);
    buf_add_str(&log->last, record->data);
    log->count++;
    return 0;
}

static struct sink *find(struct sink_resolver *resolver, enum sink_kind kind, struct str name) {
    struct world *world = CONTAINER_OF(resolver, struct world, resolver);
    for (unsigned i = 0; kind == SINK_ACTION && i < LOGS_MAX; i++)
        if (world->logs[i].sink.push && str_eq(str_of(world->logs[i].name), name))
            return &world->logs[i].sink;
    return NULL;
}

static int publish(struct message_publisher *publisher, const struct message *message) {
    struct world *world = CONTAINER_OF(publisher, struct world, publisher);
    world->published_depth = message->republish_depth;
    buf_printf(&world->published, "%.*s %.*s\n", STR_ARG(message->topic),
               STR_ARG(message->payload));
    return world->publish_result;
}

static int compile(struct world *world, const char *rules) {
    *world = (struct world){.resolver = {find},
                            .publisher = {publish},
                            .conf.surroundings = {.roles = given_roles, .kinds = kinds}};
    struct buf config = {0};
    buf_printf(&config, "{\"rules\":{%s}}", rules);
    int result = conf_test_compile(&world->conf, buf_cstr(&config), &world->set);
    buf_done(&config);
    return result;
}

/* The set is made, its configuration is gone, and each of its actions has a log. */
static void open_world(struct world *world, const char *rules) {
    int result = compile(world, rules);
    assert_string_equal(world->conf.err.text, "");
    assert_int_equal(result, 0);
    conf_test_done(&world->conf);
    const struct action_specs *specs = rule_set_actions(world->set);
    for (size_t i = 0; i < specs->count; i++) {
        world->logs[i].sink = (struct sink){push_log, "action"};
        snprintf(world->logs[i].name, sizeof world->logs[i].name, "%s", specs->items[i]->log);
    }
    struct rule_engine_config engine = {.set = world->set,
                                        .sinks = &world->resolver,
                                        .publisher = &world->publisher,
                                        .environment = &test_environment};
    assert_int_equal(rule_engine_new(&engine, &world->engine, &world->conf.err), 0);
}

static void close_world(struct world *world) {
    rule_engine_free(world->engine);
    rule_set_unref(world->set);
    for (unsigned i = 0; i < LOGS_MAX; i++)
        buf_done(&world->logs[i].last);
    buf_done(&world->published);
}

static int send(struct world *world, const char *topic, const char *payload) {
    struct message message = test_message(str_of(payload));
    message.topic = str_of(topic);
    message.client_id = STR("dev1");
    struct message_sink *sink = rule_engine_sink(world->engine);
    const void *route = sink->route(sink, message.topic);
    return route ? sink->push(sink, route, &message) : MESSAGE_TAKEN;
}

static struct action_record last(struct world *world, unsigned log) {
    struct action_record record;
    assert_int_equal(action_record_read(buf_str(&world->logs[log].last), &record), 0);
    return record;
}

#define RULE(name, sql, rest)                                                                      \
    "\"" name "\":{\"sql\":\"" sql "\",\"sql_version\":\"2016-03-23\"," rest "}"
#define HOOK                                                                                       \
    "{\"http\":{\"url\":\"http://h/${topic(2)}\",\"words\":[\"a\",\"${t}\",\"${no}\"],"            \
    "\"token\":\"secret\"}}"

static void a_message_becomes_a_record(void **state) {
    struct world world;
    open_world(&world, RULE("hot", "SELECT t FROM 'a/#'", "\"actions\":[" HOOK "]"));
    const struct action_specs *specs = rule_set_actions(world.set);
    assert_int_equal(specs->count, 1);
    assert_string_equal(specs->items[0]->log, "hot-1-http");
    assert_false(specs->items[0]->has_error_action);
    const struct hook_settings *settings = specs->items[0]->settings;
    assert_string_equal(settings->token, "secret");
    assert_int_equal(settings->speed, 3);

    assert_int_equal(send(&world, "a/b", "{\"t\":21.5,\"u\":1}"), MESSAGE_STAGED);
    struct action_record record = last(&world, 0);
    assert_str(record.payload, "{\"t\":21.5}");
    assert_str(record.topic, "a/b");
    assert_str(record.client_id, "dev1");
    assert_false(record.has_original);
    assert_int_equal(record.params.count, 4);
    assert_str(action_param_get(&record.params, "url"), "http://h/b");
    struct action_place place = {0};
    struct action_param param;
    const char *expected[] = {"http://h/b", "a", "21.5", ""};
    for (unsigned i = 0; action_param_next(&record.params, &place, &param); i++)
        assert_str(param.value, expected[i]);
    assert_int_not_equal(
        metric_shown("weir_rule_action_success_total{rule=\"hot\",action=\"http\"}"), 1);
    close_world(&world);
}

static void the_own_payload_is_kept_for_the_error_action(void **state) {
    struct world world;
    open_world(&world,
               RULE("hot", "SELECT t FROM 'a/#'", "\"actions\":[" HOOK "],\"error_action\":" HOOK));
    const struct action_specs *specs = rule_set_actions(world.set);
    assert_int_equal(specs->count, 2);
    assert_string_equal(specs->items[1]->log, "hot-error-http");
    assert_true(specs->items[0]->has_error_action);
    assert_false(specs->items[1]->has_error_action);
    send(&world, "a/b", "{\"t\":1,\"u\":2}");
    struct action_record record = last(&world, 0);
    assert_true(record.has_original);
    assert_str(record.original, "{\"t\":1,\"u\":2}");
    assert_int_equal(record.trace_id.len, UUID_CHARS);
    close_world(&world);
}

static void a_full_log_refuses_the_message(void **state) {
    struct world world;
    open_world(&world, RULE("hot", "SELECT * FROM 'a/#'", "\"actions\":[" HOOK "]"));
    world.logs[0].result = ERR_NO_SPACE;
    assert_int_equal(send(&world, "a/b", "{}"), ERR_NO_SPACE);
    world.logs[0].result = ERR_NOT_FOUND;
    world.logs[0].name[0] = '\0';
    assert_int_equal(send(&world, "a/b", "{}"), ERR_IO);
    close_world(&world);
}

static void what_was_not_delivered_goes_to_the_error_action(void **state) {
    struct world world;
    open_world(&world, RULE("hot", "SET @k = t + 1 SELECT * FROM 'a/#'",
                            "\"actions\":[" HOOK "],\"error_action\":"
                            "{\"republish\":{\"topic\":\"errors/${topic(2)}/${t}\"}}"));
    send(&world, "a/b", "{\"t\":1}");
    struct action_record record = last(&world, 0);
    struct rule_failure failure = {.rule = STR("hot"),
                                   .failed_action = "HttpAction",
                                   .resource = STR("http://h/b"),
                                   .why = STR("404 \"gone\""),
                                   .record = &record};
    assert_int_equal(rule_engine_fail(world.engine, &failure), MESSAGE_TAKEN);
    const char *text = buf_cstr(&world.published);
    assert_true(
        str_starts(str_of(text), STR("errors/b/1 {\"ruleName\":\"hot\",\"topic\":\"a/b\"")));
    assert_non_null(strstr(text, "\"clientId\":\"dev1\""));
    assert_non_null(strstr(text,
                           "\"base64OriginalPayload\":\"eyJ0IjoxfQ==\",\"failures\":["
                           "{\"failedAction\":\"HttpAction\",\"failedResource\":\"http://h/b\","
                           "\"errorMessage\":\"404 \\\"gone\\\"\"}]}"));
    world.publish_result = MESSAGE_STAGED;
    assert_int_equal(rule_engine_fail(world.engine, &failure), MESSAGE_STAGED);
    world.publish_result = ERR_NO_SPACE;
    assert_int_equal(rule_engine_fail(world.engine, &failure), ERR_NO_SPACE);
    failure.rule = STR("gone");
    assert_int_equal(rule_engine_fail(world.engine, &failure), MESSAGE_TAKEN);
    close_world(&world);
}

static struct action_record sent_at_depth(struct world *world, unsigned depth) {
    struct message message = test_message(STR("{\"t\":1}"));
    message.topic = STR("a/b");
    message.republish_depth = (uint8_t)depth;
    struct message_sink *sink = rule_engine_sink(world->engine);
    assert_int_equal(sink->push(sink, sink->route(sink, message.topic), &message), MESSAGE_STAGED);
    return last(world, 0);
}

/* The log between an action and its error action hides no loop. */
static void republishing_a_failure_counts_on(void **state) {
    struct world world;
    open_world(&world, RULE("hot", "SELECT * FROM 'a/#'",
                            "\"actions\":[" HOOK "],\"error_action\":"
                            "{\"republish\":{\"topic\":\"${topic()}\"}}"));
    struct rule_failure failure = {
        .rule = STR("hot"), .failed_action = "HttpAction", .why = STR("404")};
    for (unsigned depth = 0; depth < RULE_REPUBLISH_DEPTH_MAX; depth++) {
        struct action_record record = sent_at_depth(&world, depth);
        failure.record = &record;
        assert_int_equal(rule_engine_fail(world.engine, &failure), MESSAGE_TAKEN);
        assert_int_equal(world.published_depth, depth + 1);
    }
    struct action_record deepest = sent_at_depth(&world, RULE_REPUBLISH_DEPTH_MAX);
    failure.record = &deepest;
    buf_clear(&world.published);
    assert_int_equal(rule_engine_fail(world.engine, &failure), MESSAGE_TAKEN);
    assert_int_equal(buf_len(&world.published), 0);
    assert_int_equal(
        metric_shown("weir_rule_error_action_failure_total{rule=\"hot\",action=\"republish\"}"), 1);

    /* Of several that failed together the deepest counts. */
    struct action_record shallow = deepest;
    shallow.depth = 1;
    const struct action_record *batch[] = {&shallow, &deepest};
    failure.record = &shallow;
    failure.batch = batch;
    failure.batch_count = COUNT_OF(batch);
    rule_engine_fail(world.engine, &failure);
    assert_int_equal(buf_len(&world.published), 0);
    close_world(&world);
}

static void the_role_says_what_may_be_touched(void **state) {
    struct world world = {0};
    struct err err;
    struct json json = {0};
    struct conf_test roles = {0};
    assert_int_equal(json_parse(&json, STR("{\"r\":{\"statement\":[{\"effect\":\"Allow\","
                                           "\"action\":\"hook:Post\","
                                           "\"resource\":\"arn:aws:hook:::http://h/b*\"}]}}")),
                     0);
    roles.json = json;
    struct rule_roles *compiled;
    assert_int_equal(rule_roles_compile(conf_test_tree(&roles, json_root(&json)), "us-east-1",
                                        "000000000000", &compiled, &err),
                     0);
    given_roles = compiled;
    open_world(&world, RULE("hot", "SELECT * FROM 'a/#'",
                            "\"actions\":[{\"http\":{\"url\":\"http://h/${topic(2)}\","
                            "\"role\":\"r\"}}]"));
    given_roles = NULL;
    assert_int_equal(send(&world, "a/b", "{}"), MESSAGE_STAGED);
    assert_int_equal(send(&world, "a/c", "{}"), MESSAGE_TAKEN);
    assert_int_equal(world.logs[0].count, 1);
    close_world(&world);
    rule_roles_unref(compiled);
    conf_test_done(&roles);
}

/* As clients of the API write it, and as they read it. */
static void keys_and_secrets_of_documents(void **state) {
    static const char text[] =
        "{\"sql\":\"SELECT * FROM 'a'\",\"actions\":[{\"http\":{\"url\":\"http://h/x\","
        "\"Speed\":4,\"token\":\"hidden\"}}]}";
    struct arena arena = {0};
    struct json json = {0};
    struct rule_config config;
    struct rule_surroundings surroundings = {.kinds = kinds};
    struct rule *rule;
    struct err err = {0};
    assert_int_equal(json_parse(&json, str_of(text)), 0);
    assert_int_equal(rule_document_read(&arena, "r", json_root(&json), &config, &err), 0);
    assert_int_equal(rule_compile(&config, &surroundings, &rule, &err), 0);
    const struct hook_settings *settings = rule->actions[0].outside->settings;
    assert_int_equal(settings->speed, 4);
    assert_string_equal(settings->token, "hidden");
    assert_non_null(strstr(rule->document.at, "\"token\":\"***\""));
    assert_null(strstr(rule->document.at, "hidden"));
    rule_unref(rule);
    json_done(&json);
    arena_done(&arena);
}

static void expect_error(const char *rules, const char *text) {
    struct world world;
    assert_true(compile(&world, rules) < 0);
    assert_string_equal(world.conf.err.text, text);
    conf_test_done(&world.conf);
}

static void errors_say_where(void **state) {
#define ACTION(action) RULE("r", "SELECT * FROM 'a'", "\"actions\":[" action "]")
    expect_error(ACTION("{\"http\":{\"url\":\"x\",\"sped\":1}}"),
                 "weir.yaml:1:99: unknown key \"sped\"; did you mean \"speed\"?");
    expect_error(ACTION("{\"http\":{\"url\":\"x\",\"speed\":13}}"),
                 "weir.yaml:1:107: speed 13 is unlucky");
    expect_error(ACTION("{\"http\":{\"url\":\"${t\"}}"),
                 "weir.yaml:1:95: rule r: url 1:4: expected } before \"the end\"");
    expect_error(ACTION("{\"s3\":{\"key\":\"x\"}}"),
                 "weir.yaml:1:80: rule r: the action s3 is not available here");
    expect_error(
        ACTION("{\"http\":{\"url\":\"x\"},\"republish\":{\"topic\":\"t\"}}"),
        "weir.yaml:1:80: rule r: an action has exactly one key, its kind: kinesis, firehose, "
        "republish, http, ...");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_becomes_a_record),
        cmocka_unit_test(the_own_payload_is_kept_for_the_error_action),
        cmocka_unit_test(a_full_log_refuses_the_message),
        cmocka_unit_test(what_was_not_delivered_goes_to_the_error_action),
        cmocka_unit_test(republishing_a_failure_counts_on),
        cmocka_unit_test(the_role_says_what_may_be_touched),
        cmocka_unit_test(keys_and_secrets_of_documents),
        cmocka_unit_test(errors_say_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
