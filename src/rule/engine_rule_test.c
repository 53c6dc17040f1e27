#include "rule/engine_rig_test.h"

/* ---- what rules need ---- */

static void a_constant_target_must_exist(void **state) {
    struct world world;
    assert_int_equal(
        open_world(&world, RULE("r", "SELECT * FROM 'a'",
                                TO_S ",{\"firehose\":{\"delivery_stream_name\":\"nowhere\"}}")),
        ERR_NOT_FOUND);
    assert_string_equal(
        world.conf.err.text,
        "weir.yaml:1:132: rule r: action firehose: there is no delivery stream \"nowhere\"");
}

static void republishing_rules_need_a_broker(void **state) {
    struct world world;
    assert_int_equal(open_world(&world, RULE("r", "SELECT * FROM 'a'", AGAIN("b"))), 0);
    struct rule_engine_config config = {.set = world.engine->set, .sinks = &world.resolver};
    struct rule_engine *engine;
    struct err err;
    assert_int_equal(rule_engine_new(&config, &engine, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "republish needs a broker"));
    close_world(&world);
}

/* ---- engines that follow one another ---- */

static struct rule *compile_one(const char *rules) {
    struct conf_test test = {0};
    struct rule *rule;
    struct buf config = {0};
    buf_printf(&config, "{\"rules\":{%s}}", rules);
    assert_int_equal(conf_test_load(&test, buf_cstr(&config)), 0);
    struct rule_config *first = OPTION_AT(test.rules, struct rule_config, 0);
    first->from_client = true;
    assert_int_equal(rule_compile(first, &test.surroundings, &rule, &test.err), 0);
    conf_test_done(&test);
    buf_done(&config);
    return rule;
}

static void counts_go_on_when_rules_change(void **state) {
    struct world world;
    assert_int_equal(open_world(&world, RULE("kept", "SELECT * FROM 'a'", TO_S)), 0);
    struct rule *kept = rule_ref(world.engine->set->rules[0]);
    struct rule *one = compile_one(RULE("one", "SELECT * FROM 'b'", TO_T));
    struct rule *other = compile_one(RULE("one", "SELECT x FROM 'b'", TO_T "," TO_D));
    assert_int_equal(send(&world, "a", "1"), MESSAGE_STAGED);
    rule_engine_free(replace_rules(&world, (struct rule *[]){kept, one}, 2));
    assert_int_equal(send(&world, "a", "2"), MESSAGE_STAGED);
    assert_int_equal(send(&world, "b", "3"), MESSAGE_STAGED);
    assert_int_equal(world.lookups, 2); /* what was resolved stays so */
    rule_engine_free(replace_rules(&world, (struct rule *[]){kept, other}, 2));
    assert_int_equal(send(&world, "b", "{\"x\":4}"), MESSAGE_STAGED);
    expect(&world, "s [k] 1\ns [k] 2\nt [k] 3\nt [k] {\"x\":4}\nd [0] {\"x\":4}\n\n");
    assert_metric("weir_rule_topic_match_total{rule=\"kept\"} 2");
    assert_metric("weir_rule_topic_match_total{rule=\"one\"} 2");
    assert_metric("weir_rule_action_success_total{rule=\"one\",action=\"kinesis\"} 2");
    rule_unref(kept);
    rule_unref(one);
    rule_unref(other);
    close_world(&world);
}

static void targets_of_a_client_s_rule_may_come_later(void **state) {
    struct world world;
    assert_int_equal(open_world(&world, RULE("kept", "SELECT * FROM 'a'", TO_S)), 0);
    struct rule *late =
        compile_one(RULE("late", "SELECT * FROM 'b'", "{\"kinesis\":{\"stream_name\":\"none\"}}"));
    rule_engine_free(replace_rules(&world, &late, 1));
    rule_unref(late);
    assert_int_equal(send(&world, "b", "1"), MESSAGE_TAKEN);
    assert_metric("weir_rule_action_failure_total{rule=\"late\",action=\"kinesis\"} 1");
    assert_int_equal(send(&world, "a", "1"), MESSAGE_TAKEN); /* its rule is gone */
    expect(&world, "");
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_constant_target_must_exist),
        cmocka_unit_test(republishing_rules_need_a_broker),
        cmocka_unit_test(counts_go_on_when_rules_change),
        cmocka_unit_test(targets_of_a_client_s_rule_may_come_later),
    };
    return cmocka_run_group_tests(tests, quiet, NULL);
}
