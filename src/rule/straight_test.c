#include "rule/conf_test.h"

#include "rule/straight.h"

#define S(more) "{\"kinesis\":{\"stream_name\":\"s\"" more "}}"
#define D(more) "{\"firehose\":{\"delivery_stream_name\":\"d\"" more "}}"

static struct rule_set *compile(const char *sql, const char *actions) {
    struct conf_test test = {0};
    struct rule_set *set;
    struct buf config = {0};
    buf_printf(
        &config,
        "{\"rules\":{\"r\":{\"sql\":\"%s\",\"sql_version\":\"2016-03-23\",\"actions\":[%s]}}}", sql,
        actions);
    assert_int_equal(conf_test_compile(&test, buf_cstr(&config), &set), 0);
    conf_test_done(&test);
    buf_done(&config);
    return set;
}

static void which_rules_are_straight(void **state) {
    static const struct {
        const char *sql, *actions;
        bool straight;
    } cases[] = {
        {"SELECT * FROM 'a'", S(",\"partition_key\":\"k\""), true},
        {"SELECT * FROM '#'", S(",\"partition_key\":\"${topic()}\""), true},
        {"SELECT * FROM 'a'", D(""), true},
        {"SELECT * FROM 'a'", S(""), false}, /* a key of its own for each message */
        {"SELECT * FROM 'a'", S(",\"partition_key\":\"${id}\""), false},
        {"SELECT * FROM 'a'", S(",\"partition_key\":\"k-${topic()}\""), false},
        {"SELECT * FROM 'a'", D(",\"separator\":\"\\n\""), false},
        {"SELECT * FROM 'a'", D(",\"batch_mode\":true"), false},
        {"SELECT * FROM 'a'", D("") "," D(""), false},
        {"SELECT * FROM 'a'", "{\"republish\":{\"topic\":\"b\"}}", false},
        {"SELECT * FROM 'a'",
         "{\"kinesis\":{\"stream_name\":\"${topic()}\",\"partition_key\":\"k\"}}", false},
        {"SELECT *, 1 AS x FROM 'a'", D(""), false},
        {"SELECT x FROM 'a'", D(""), false},
        {"SELECT * FROM 'a' WHERE x > 1", D(""), false},
        {"SET @x = n SELECT * FROM 'a'", D(""), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rule_set *set = compile(cases[i].sql, cases[i].actions);
        if (rule_is_straight(set->rules[0]) != cases[i].straight)
            fail_msg("%s %s", cases[i].sql, cases[i].actions);
        rule_set_unref(set);
    }
}

static void a_role_must_allow_the_target_for_good(void **state) {
    struct rule_set *set = compile("SELECT * FROM 'a'", D(""));
    struct iam_policy *policy = (struct iam_policy *)set; /* is not looked into */
    set->rules[0]->actions[0].role = policy;
    set->rules[0]->actions[0].permitted = false;
    assert_false(rule_is_straight(set->rules[0]));
    set->rules[0]->actions[0].permitted = true;
    assert_true(rule_is_straight(set->rules[0]));
    rule_set_unref(set);
}

struct world {
    struct sink sink;
    struct engine_action action;
    struct engine_rule rule;
    struct rule_set *set;
    struct buf staged;
    int result;
};

static int stage(struct sink *sink, const struct record *record) {
    struct world *world = CONTAINER_OF(sink, struct world, sink);
    if (world->result == 0)
        buf_printf(&world->staged, "[%.*s] %.*s\n", STR_ARG(record->partition_key),
                   STR_ARG(record->data));
    return world->result;
}

static void open_world(struct world *world, const char *action) {
    *world = (struct world){.sink = {stage, "kinesis s"}};
    world->set = compile("SELECT * FROM '#'", action);
    world->action = (struct engine_action){.rule = world->set->rules[0],
                                           .action = &world->set->rules[0]->actions[0],
                                           .sink = &world->sink};
    world->rule = (struct engine_rule){.rule = world->set->rules[0], .actions = &world->action};
}

static void close_world(struct world *world) {
    rule_set_unref(world->set);
    buf_done(&world->staged);
}

static bool go(struct world *world, struct str topic, struct str payload) {
    return rule_go_straight(&world->rule, topic, payload);
}

static void assert_counted(struct world *world, int64_t count) {
    assert_int_equal(metric_get(&world->rule.match), count);
    assert_int_equal(metric_get(&world->rule.executed), count);
    assert_int_equal(metric_get(&world->action.success), count);
    assert_int_equal(metric_get(&world->action.failure), 0);
}

static void a_message_is_staged_as_it_is(void **state) {
    static const char *const actions[] = {S(",\"partition_key\":\"k\""),
                                          S(",\"partition_key\":\"${topic()}\""), D("")};
    static const char *const staged[] = {"[k] not json\n[k] \n", "[a/b] not json\n[c] \n",
                                         "[0] not json\n[0] \n"};
    for (size_t i = 0; i < 3; i++) {
        struct world world;
        open_world(&world, actions[i]);
        assert_true(go(&world, STR("a/b"), STR("not json")));
        assert_true(go(&world, STR("c"), STR("")));
        assert_string_equal(buf_cstr(&world.staged), staged[i]);
        assert_counted(&world, 2);
        close_world(&world);
    }
}

static void what_is_out_of_the_ordinary_is_left_alone(void **state) {
    struct world world;
    char *large = xmalloc(RECORD_BYTES_DEFAULT);
    memset(large, 'x', RECORD_BYTES_DEFAULT);
    open_world(&world, S(",\"partition_key\":\"${topic()}\""));
    assert_false(go(&world, STR(""), STR("1")));
    assert_false(go(&world, str_from(large, RECORD_KEY_BYTES_MAX + 1), STR("1")));
    assert_false(go(&world, STR("ab"), str_from(large, RECORD_BYTES_DEFAULT - 1)));
    world.result = ERR_NOT_FOUND;
    assert_false(go(&world, STR("a"), STR("1")));
    world.action.sink = NULL;
    assert_false(go(&world, STR("a"), STR("1")));
    assert_counted(&world, 0);
    assert_int_equal(buf_len(&world.staged), 0);
    world.action.sink = &world.sink;
    world.result = 0;
    assert_true(go(&world, str_from(large, RECORD_KEY_BYTES_MAX), STR("1")));
    assert_true(go(&world, STR("a"), str_from(large, RECORD_BYTES_DEFAULT - 1)));
    assert_counted(&world, 2);
    free(large);
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_rules_are_straight),
        cmocka_unit_test(a_role_must_allow_the_target_for_good),
        cmocka_unit_test(a_message_is_staged_as_it_is),
        cmocka_unit_test(what_is_out_of_the_ordinary_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
