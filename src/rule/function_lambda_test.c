#include "rule/sql_test.h"

#include "base/mem.h"
#include "rule/calls.h"

/* What was asked, a line each; the function "bad" fails, "text" gives no JSON, each other one says
 * what it was given. */
static void answer(struct rule_calls *calls, struct buf *asked) {
    struct rule_call call;
    struct buf text = {0};
    assert_true(rule_calls_wanted(calls, &call));
    bool by_chance = str_eq(call.function, STR("chance")); /* what it is given differs */
    buf_printf(asked, "%.*s %.*s\n", STR_ARG(call.function),
               STR_ARG(by_chance ? STR("?") : call.input));
    bool ok = !str_eq(call.function, STR("bad"));
    if (!ok || str_eq(call.function, STR("text")))
        buf_add_str(&text, STR("no luck"));
    else
        buf_printf(&text, "{\"got\":%.*s}", STR_ARG(call.input));
    rule_calls_answer(calls, ok, buf_str(&text));
    buf_done(&text);
}

/* Evaluates until nothing is missing. */
static void check(const char *sql, const char *expected, const char *expected_asked) {
    struct rule_calls *calls = rule_calls_new();
    struct buf asked = {0};
    enum rule_outcome outcome = RULE_PENDING;
    while (outcome == RULE_PENDING) {
        struct sql_run run;
        struct str payload = {0};
        assert_int_equal(
            sql_run_init(&run, RULE_VERSION_2016_03_23, sql,
                         test_message(STR("{\"n\":3,\"f\":\"made\",\"o\":{\"a\":1}}"))),
            0);
        rule_calls_begin(calls, &test_environment, NULL, STR("0123456789abcdef"), 5, false);
        run.evaluation.environment = &calls->environment;
        outcome = rule_evaluate(run.plan, &run.evaluation, &run.out, &payload);
        if (outcome == RULE_PENDING)
            answer(calls, &asked);
        else if (outcome == RULE_FAILED)
            assert_string_equal(run.evaluation.failure, expected);
        else
            assert_str(outcome == RULE_RESULT ? payload : STR("-"), expected);
        sql_run_done(&run);
    }
    assert_str(buf_str(&asked), expected_asked);
    buf_done(&asked);
    rule_calls_free(calls);
}

static void what_a_function_answers_is_a_value(void **state) {
    check("SELECT aws_lambda('f', o).got.a AS a, n FROM '#'", "{\"a\":1,\"n\":3}", "f {\"a\":1}\n");
    check("SELECT aws_lambda('arn:aws:lambda:r:a:function:f:live', *).got AS x FROM '#'",
          "{\"x\":{\"n\":3,\"f\":\"made\",\"o\":{\"a\":1}}}",
          "f {\"n\":3,\"f\":\"made\",\"o\":{\"a\":1}}\n");
    check("SELECT VALUE aws_lambda('f', {'k': [n, 'x', NULL]}) FROM '#'",
          "{\"got\":{\"k\":[3,\"x\",null]}}", "f {\"k\":[3,\"x\",null]}\n");
    check("SELECT VALUE aws_lambda(f, 'text').got FROM '#'", "\"text\"", "made \"text\"\n");
    check("SELECT VALUE aws_lambda('f', NULL).got FROM '#'", "null", "f null\n");
}

static void calls_in_every_place(void **state) {
    check("SELECT aws_lambda('f', aws_lambda('g', n).got + 1).got AS x FROM '#'", "{\"x\":4}",
          "g 3\nf 4\n");
    check("SET @a = aws_lambda('f', 1).got SELECT @a AS a, aws_lambda('f', 2).got AS b FROM '#' "
          "WHERE aws_lambda('w', @a).got = 1",
          "{\"a\":1,\"b\":2}", "f 1\nw 1\nf 2\n");
    check("SELECT aws_lambda('f', 1) AS x FROM '#' WHERE aws_lambda('w', n).got = 4", "-", "w 3\n");
    check("SELECT VALUE (SELECT VALUE aws_lambda('f', a).got FROM o) FROM '#'", "1", "f 1\n");
    check("SELECT VALUE CASE n WHEN 3 THEN aws_lambda('f', 1).got ELSE aws_lambda('g', 2).got END "
          "FROM '#'",
          "1", "f 1\n");
    check("SELECT aws_lambda('f', 1).got AS a, aws_lambda('f', 1).got AS b FROM '#'",
          "{\"a\":1,\"b\":1}", "f 1\nf 1\n");
    /* A wrong number of arguments makes a call Undefined, as of every function. */
    check("SELECT aws_lambda('f') AS a, n FROM '#'", "{\"n\":3}", "");
}

/* What newuuid() gave stays, or the input would never be what was asked. */
static void chance_is_the_same_each_time(void **state) {
    check("SELECT aws_lambda('f', 1).got AS a, length(aws_lambda('chance', newuuid()).got) AS b, "
          "aws_lambda('chance', rand()).got < 1 AS c "
          "FROM '#' WHERE newuuid() <> newuuid() AND timestamp() = 5",
          "{\"a\":1,\"b\":36,\"c\":true}", "f 1\nchance ?\nchance ?\n");
}

static void failures(void **state) {
    check("SELECT aws_lambda('bad', 1) AS x FROM '#'", "aws_lambda: the function \"bad\": no luck",
          "bad 1\n");
    check("SELECT aws_lambda('text', 1) AS x FROM '#'",
          "aws_lambda: the function \"text\": its answer is no JSON", "text 1\n");
    check("SELECT aws_lambda('f', missing) AS x FROM '#'",
          "aws_lambda: the function \"f\": what it is to be given is Undefined", "");
    check("SELECT aws_lambda(missing, 1) AS x FROM '#'",
          "aws_lambda: the function \"\": there is no name or ARN", "");
    check("SELECT get_or_default(aws_lambda('bad', 1), 7) AS x FROM '#'", "{\"x\":7}", "bad 1\n");
    check("SELECT VALUE (SELECT VALUE aws_lambda('f', 1) FROM b) FROM '#'", "", "");
}

static void where_nothing_can_be_called(void **state) {
    static const struct sql_case cases[] = {
        {"{}", "SELECT aws_lambda('f', 1) AS x FROM '#'",
         "aws_lambda: the function \"f\": no function can be called here"},
        {"{}", "SELECT get_or_default(aws_lambda('f', 1), 2) AS x FROM '#'", "{\"x\":2}"},
    };
    check_sql(RULE_VERSION_2016_03_23, cases, COUNT_OF(cases));
}

/* As many as an evaluation may call; a query over more fails. */
static void calls_are_bounded(void **state) {
    char sql[1000] = "SELECT VALUE [";
    struct buf asked = {0}, answers = {0};
    for (int i = 0; i < RULE_CALLS_MAX; i++) {
        sprintf(sql + strlen(sql), "%saws_lambda('f', %d).got", i ? "," : "", i);
        buf_printf(&asked, "f %d\n", i);
        buf_printf(&answers, "%s%d", i ? "," : "[", i);
    }
    size_t len = strlen(sql);
    strcat(sql, "] FROM '#'");
    buf_add_str(&answers, STR("]"));
    check(sql, buf_cstr(&answers), buf_cstr(&asked));
    strcpy(sql + len, ",aws_lambda('f', 99)] FROM '#'");
    check(sql, "aws_lambda: the function \"f\": too many functions are called for one message",
          buf_cstr(&asked));
    buf_done(&asked);
    buf_done(&answers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_function_answers_is_a_value),
        cmocka_unit_test(calls_in_every_place),
        cmocka_unit_test(chance_is_the_same_each_time),
        cmocka_unit_test(failures),
        cmocka_unit_test(where_nothing_can_be_called),
        cmocka_unit_test(calls_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
