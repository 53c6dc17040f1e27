#include "rule/engine_rig_test.h"

#include "rule/trace.h"

struct follower {
    struct rule_tracer tracer;
    struct buf lines;
};

static void on_line(struct rule_tracer *tracer, struct str json) {
    struct follower *follower = CONTAINER_OF(tracer, struct follower, tracer);
    struct json parsed = {0};
    struct arena arena = {0};
    assert_int_equal(json_parse(&parsed, json), 0);
    struct json_value root = json_root(&parsed);
    buf_printf(&follower->lines, "%.*s %.*s fires %.*s",
               STR_ARG(json_str(json_member(root, STR("rule")), &arena)),
               STR_ARG(json_str(json_member(root, STR("topic")), &arena)),
               STR_ARG(json_raw(json_member(root, STR("fires")))));
    for (struct json_cursor cursor = json_each(json_member(root, STR("actions")));
         json_next(&cursor);) {
        struct json_value error = json_member(cursor.value, STR("error"));
        buf_printf(&follower->lines, ", %.*s %.*s %.*s",
                   STR_ARG(json_str(json_member(cursor.value, STR("resource")), &arena)),
                   STR_ARG(json_str(json_member(cursor.value, STR("outcome")), &arena)),
                   STR_ARG(json_str(error, &arena)));
    }
    buf_add_u8(&follower->lines, '\n');
    arena_done(&arena);
    json_done(&parsed);
}

static void a_rule_that_is_followed_tells_each_message(void **state) {
    struct world world;
    struct follower follower = {{.rule = STR("one"), .line = on_line}, {0}};
    assert_int_equal(
        open_world(&world, RULE("one", "SELECT x FROM 'a' WHERE x > 1",
                                TO_S ",{\"kinesis\":{\"stream_name\":\"${topic()}\",\"partition_"
                                     "key\":\"k\"}}") "," RULE("two", "SELECT * FROM 'a'", TO_S)),
        0);
    struct rule *one = rule_ref(world.engine->set->rules[0]);
    rule_engine_trace(world.engine, &follower.tracer);
    send(&world, "a", "{\"x\":2}");
    rule_engine_free(replace_rules(&world, &one, 1)); /* who follows goes along */
    send(&world, "a", "{\"x\":1}");
    rule_engine_untrace(world.engine, &follower.tracer);
    send(&world, "a", "{\"x\":3}");
    assert_string_equal(buf_cstr(&follower.lines),
                        "one a fires true, s success , a failure there is no stream \"a\"\n"
                        "one a fires false\n");
    rule_unref(one);
    buf_done(&follower.lines);
    close_world(&world);
}

/* It evaluates nothing otherwise. */
static void a_straight_rule_can_be_followed(void **state) {
    struct world world;
    struct follower follower = {{.rule = STR("r"), .line = on_line}, {0}};
    assert_int_equal(open_world(&world, RULE("r", "SELECT * FROM 'a'", TO_S)), 0);
    send(&world, "a", "1");
    rule_engine_trace(world.engine, &follower.tracer);
    send(&world, "a", "2");
    rule_engine_untrace(world.engine, &follower.tracer);
    send(&world, "a", "3");
    assert_string_equal(buf_cstr(&follower.lines), "r a fires true, s success \n");
    expect(&world, "s [k] 1\ns [k] 2\ns [k] 3\n");
    assert_metric("weir_rule_action_success_total{rule=\"r\",action=\"kinesis\"} 3");
    buf_done(&follower.lines);
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_that_is_followed_tells_each_message),
        cmocka_unit_test(a_straight_rule_can_be_followed),
    };
    return cmocka_run_group_tests(tests, quiet, NULL);
}
