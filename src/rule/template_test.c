#include "rule/sql_test.h"

#define V2 RULE_VERSION_2016_03_23

static int compile(struct sql_run *run, const char *sql, const char *text,
                   struct rule_template *template) {
    assert_int_equal(
        sql_run_init(run, V2, sql,
                     test_message(STR("{\"a\":{\"b\":7},\"s\":\"x y\",\"nul\":null,\"c\":1}"))),
        0);
    return rule_template_compile(&run->plan_arena, str_of(text), run->plan, template, &run->err);
}

static void texts_and_expressions(void **state) {
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"plain", "plain"},
        {"", ""},
        {"a$b", "a$b"},
        {"$", "$"},
        {"${newuuid()}", TEST_UUID},
        {"x-${newuuid()}", "x-" TEST_UUID},
        {"data/${topic(2)}/${a.b}.json", "data/a1/7.json"},
        {"${ s + '}' }!", "x y}!"},
        {"${missing}", ""},
        {"[${nul}]", "[]"},
        {"${a}", "{\"b\":7}"},
        {"${s}", "x y"},
        {"${''}", ""},
        {"${nul}", ""},
        {"${topic()}", "dev/a1/t"},
        {"${topic(3)}", "t"},
        {"${topic(9)}", ""},
        {"${clientid()}${topic()}", "client-7dev/a1/t"},
        {"${timestamp()}", "1700000000123"},
        {"${get({'k': 1}, 'k')}", "1"},
        {"${@v + 1}", "43"},
        {"${c}", "1"}, /* of the payload, not the alias of the same name */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sql_run run;
        struct rule_template template;
        struct str payload;
        if (compile(&run, "SET @v = 42 SELECT 2 AS c FROM '#'", cases[i].text, &template) < 0)
            fail_msg("%s: %s", cases[i].text, run.err.text);
        assert_int_equal(rule_evaluate(run.plan, &run.evaluation, &run.out, &payload), RULE_RESULT);
        assert_str(rule_template_evaluate(&template, &run.evaluation, &run.room),
                   cases[i].expected);
        sql_run_done(&run);
    }
}

static void the_simple_kinds_are_known_beforehand(void **state) {
    static const struct {
        const char *text;
        enum template_kind kind;
    } cases[] = {
        {"sensors", TEMPLATE_TEXT},        {"", TEMPLATE_TEXT},
        {"${newuuid()}", TEMPLATE_UUID},   {"${NewUUID()}", TEMPLATE_UUID},
        {"${newuuid(1)}", TEMPLATE_VALUE}, {"${newuuid()}x", TEMPLATE_MIXED},
        {"${topic()}", TEMPLATE_TOPIC},    {"${Topic( )}", TEMPLATE_TOPIC},
        {"${topic(1)}", TEMPLATE_VALUE},   {"${topic()}/x", TEMPLATE_MIXED},
        {"${s}", TEMPLATE_VALUE},          {"${clientid()}", TEMPLATE_VALUE},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sql_run run;
        struct rule_template template;
        assert_int_equal(compile(&run, "SELECT * FROM '#'", cases[i].text, &template), 0);
        assert_int_equal(template.kind, cases[i].kind);
        sql_run_done(&run);
    }
}

static void errors_say_where(void **state) {
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"a${", "1:4: expected a value before \"the end\""},
        {"a${topic()", "1:11: expected } before \"the end\""},
        {"ab${x y}", "1:7: expected } before \"y\""},
        {"${nosuch()}", "1:3: there is no function nosuch()"},
        {"${@x}", "1:3: no SET gives @x a value before this"},
        {"a\n${aws_lambda(NULL, a)}",
         "2:14: the function of aws_lambda() must be its ARN or its name"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sql_run run;
        struct rule_template template;
        assert_true(compile(&run, "SELECT * FROM '#'", cases[i].text, &template) < 0);
        assert_string_equal(run.err.text, cases[i].error);
        sql_run_done(&run);
    }
}

static void pieces_are_bounded(void **state) {
    struct buf text = {0};
    struct sql_run run;
    struct rule_template template;
    for (int i = 0; i < 1000; i++)
        buf_add_str(&text, STR("${1}"));
    assert_int_equal(compile(&run, "SELECT * FROM '#'", buf_cstr(&text), &template), ERR_INVALID);
    assert_non_null(strstr(run.err.text, "more than"));
    sql_run_done(&run);
    buf_done(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_and_expressions),
        cmocka_unit_test(the_simple_kinds_are_known_beforehand),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(pieces_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
