#include "rule/calls.h"

#include "base/test.h"

#include "base/mem.h"
#include "base/random.h"

static const char seed[] = "0123456789abcdef";

static struct rule_calls *begin(struct rule_calls *calls, bool is_final) {
    if (!calls)
        calls = rule_calls_new();
    rule_calls_begin(calls, &rule_environment_default, NULL, str_of(seed), 1700000000123, is_final);
    return calls;
}

static void chance_and_the_clock_stand_still(void **state) {
    char ids[2][2][UUID_CHARS];
    double numbers[2];
    struct rule_calls *calls[2] = {begin(NULL, false), begin(NULL, true)};
    for (int i = 0; i < 2; i++) {
        const struct rule_environment *environment = &calls[i]->environment;
        assert_int_equal(environment->now_ms(environment), 1700000000123);
        environment->uuid(environment, ids[i][0]);
        numbers[i] = environment->random(environment);
        environment->uuid(environment, ids[i][1]);
        assert_true(numbers[i] >= 0 && numbers[i] < 1);
        assert_int_equal(ids[i][0][14], '4');
        assert_memory_not_equal(ids[i][0], ids[i][1], UUID_CHARS);
    }
    assert_memory_equal(ids[0], ids[1], sizeof ids[0]);
    assert_true(numbers[0] == numbers[1]);

    /* From the beginning again, and with another seed something else. */
    char id[UUID_CHARS];
    begin(calls[0], false);
    calls[0]->environment.uuid(&calls[0]->environment, id);
    assert_memory_equal(id, ids[0][0], UUID_CHARS);
    rule_calls_begin(calls[0], &rule_environment_default, NULL, STR("0123456789abcdeF"), 0, false);
    calls[0]->environment.uuid(&calls[0]->environment, id);
    assert_memory_not_equal(id, ids[0][0], UUID_CHARS);
    rule_calls_free(calls[0]);
    rule_calls_free(calls[1]);
}

static const struct call_answer *get(struct rule_calls *calls, const char *function,
                                     const char *input, const char **why) {
    return rule_calls_get(calls, str_of(function), str_of(input), why);
}

static void answers_are_found_by_what_was_asked(void **state) {
    struct rule_calls *calls = begin(NULL, false);
    struct rule_call call;
    const char *why;
    assert_false(rule_calls_wanted(calls, &call));
    assert_null(get(calls, "f", "1", &why));
    assert_null(why);
    assert_true(rule_calls_wanted(calls, &call));
    assert_str(call.function, "f");
    assert_str(call.input, "1");
    rule_calls_answer(calls, true, STR("{\"a\":1}"));
    assert_false(rule_calls_wanted(calls, &call));

    /* Another function is not it, nor the same one with something else. */
    begin(calls, false);
    assert_null(get(calls, "g", "1", &why));
    assert_true(rule_calls_wanted(calls, &call));
    begin(calls, false);
    assert_false(rule_calls_wanted(calls, &call));
    assert_null(get(calls, "f", "2", &why));
    assert_true(rule_calls_wanted(calls, &call));

    /* Each answer once: the same asked twice is called twice. */
    begin(calls, false);
    assert_str(buf_str(&get(calls, "f", "1", &why)->text), "{\"a\":1}");
    assert_null(get(calls, "f", "1", &why));
    rule_calls_answer(calls, true, STR("{\"a\":2}"));
    begin(calls, true);
    assert_str(buf_str(&get(calls, "f", "1", &why)->text), "{\"a\":1}");
    assert_str(buf_str(&get(calls, "f", "1", &why)->text), "{\"a\":2}");
    assert_null(get(calls, "f", "2", &why));
    assert_string_equal(why, "it was not asked before with what it is given now");
    assert_false(rule_calls_wanted(calls, &call));
    rule_calls_free(calls);
}

static void answers_that_are_none(void **state) {
    static const struct {
        bool ok;
        const char *text, *expected;
    } cases[] = {
        {false, "it broke", "it broke"},
        {true, "{\"a\":", "its answer is no JSON"},
        {true, "", "its answer is no JSON"},
    };
    const char *why;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rule_calls *calls = begin(NULL, false);
        assert_null(get(calls, "f", "1", &why));
        rule_calls_answer(calls, cases[i].ok, str_of(cases[i].text));
        begin(calls, false);
        const struct call_answer *answer = get(calls, "f", "1", &why);
        assert_false(answer->ok);
        assert_str(buf_str(&answer->text), cases[i].expected);
        rule_calls_free(calls);
    }
    struct buf large = {0};
    size_t len = RULE_CALL_INPUT_BYTES_MAX + 1;
    memset(buf_room(&large, len), '1', len);
    buf_added(&large, len);
    struct rule_calls *calls = begin(NULL, false);
    assert_null(get(calls, "f", "1", &why));
    rule_calls_answer(calls, true, buf_str(&large));
    begin(calls, false);
    assert_str(buf_str(&get(calls, "f", "1", &why)->text), "its answer is too large");
    assert_null(rule_calls_get(calls, STR("f"), buf_str(&large), &why));
    assert_string_equal(why, "it would be given too much");
    rule_calls_free(calls);
    buf_done(&large);
}

static void calls_are_bounded(void **state) {
    struct rule_calls *calls = begin(NULL, false);
    const char *why;
    for (int i = 0; i < RULE_CALLS_MAX; i++) {
        begin(calls, false);
        for (int j = 0; j < i; j++)
            assert_non_null(get(calls, "f", "1", &why));
        assert_null(get(calls, "f", "1", &why));
        assert_null(why);
        rule_calls_answer(calls, true, STR("1"));
    }
    begin(calls, false);
    for (int i = 0; i < RULE_CALLS_MAX; i++)
        assert_non_null(get(calls, "f", "1", &why));
    assert_null(get(calls, "f", "1", &why));
    assert_string_equal(why, "too many functions are called for one message");
    rule_calls_free(calls);
}

static void something_may_be_evaluated_beside(void **state) {
    struct rule_calls *calls = begin(NULL, false);
    struct calls_mark mark;
    const char *why;
    assert_null(get(calls, "f", "1", &why));
    rule_calls_answer(calls, true, STR("1"));
    begin(calls, true);
    assert_non_null(get(calls, "f", "1", &why));
    double first = calls->environment.random(&calls->environment);
    rule_calls_rewind(calls, &mark);
    assert_non_null(get(calls, "f", "1", &why));
    assert_true(calls->environment.random(&calls->environment) == first);
    rule_calls_return(calls, &mark);
    assert_null(get(calls, "f", "1", &why));
    double second = calls->environment.random(&calls->environment);
    assert_true(second != first);

    /* What was used and drawn there is neither here. */
    begin(calls, true);
    assert_true(calls->environment.random(&calls->environment) == first);
    rule_calls_rewind(calls, &mark);
    assert_non_null(get(calls, "f", "1", &why));
    for (int i = 0; i < 3; i++)
        calls->environment.random(&calls->environment);
    rule_calls_return(calls, &mark);
    assert_non_null(get(calls, "f", "1", &why));
    assert_true(calls->environment.random(&calls->environment) == second);
    rule_calls_free(calls);
}

/* However often a rule is replaced while a message waits. */
static void answers_are_those_of_one_rule(void **state) {
    struct rule_calls *calls = rule_calls_new();
    const char rules[2 * RULE_CALLS_MAX] = {0};
    const char *why;
    for (size_t i = 0; i < sizeof rules; i++) {
        const struct rule *rule = (const void *)&rules[i];
        rule_calls_begin(calls, &rule_environment_default, rule, str_of(seed), 0, false);
        assert_null(get(calls, "f", "1", &why));
        assert_null(why);
        rule_calls_answer(calls, true, STR("1"));
        rule_calls_begin(calls, &rule_environment_default, rule, str_of(seed), 0, true);
        assert_str(buf_str(&get(calls, "f", "1", &why)->text), "1");
    }
    rule_calls_free(calls);
}

static void functions_there_are(void **state) {
    struct rule_functions *functions = rule_functions_new();
    rule_functions_add(functions, "f");
    assert_true(rule_functions_has(functions, STR("f")));
    assert_false(rule_functions_has(functions, STR("g")));
    assert_false(rule_functions_has(NULL, STR("f")));
    rule_functions_unref(rule_functions_ref(functions));
    assert_true(rule_functions_has(functions, STR("f")));
    rule_functions_unref(functions);
    rule_functions_unref(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chance_and_the_clock_stand_still),
        cmocka_unit_test(answers_are_found_by_what_was_asked),
        cmocka_unit_test(answers_that_are_none),
        cmocka_unit_test(calls_are_bounded),
        cmocka_unit_test(something_may_be_evaluated_beside),
        cmocka_unit_test(answers_are_those_of_one_rule),
        cmocka_unit_test(functions_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
