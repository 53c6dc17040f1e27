/* The function host is the test: it answers when and what the test says. */
#include "action/target_rig_test.h"

#include "action/kinds.h"

enum { CALLS_MAX = 16 };

static struct host {
    int result[CALLS_MAX]; /* of the calls, in order */
    struct {
        char function[40], event[40];
        action_begun_cb *begun;
        action_invoked_cb *done;
        void *data;
    } calls[CALLS_MAX];
    unsigned count;
} host;

static int invoke(void *data, struct str function, struct str event, action_begun_cb *begun,
                  action_invoked_cb *done, void *done_data) {
    assert_true(host.count < CALLS_MAX);
    unsigned i = host.count++;
    snprintf(host.calls[i].function, sizeof host.calls[i].function, "%.*s", STR_ARG(function));
    snprintf(host.calls[i].event, sizeof host.calls[i].event, "%.*s", STR_ARG(event));
    host.calls[i].begun = begun;
    host.calls[i].done = done;
    host.calls[i].data = done_data;
    return host.result[i];
}

static void begin(struct target_rig *rig) {
    host = (struct host){.count = 0};
    rig_init(rig);
    rig->services.invoke = invoke;
    rig_open(rig, &action_lambda, "{'function_arn':'${f}'}");
    for (unsigned i = 0; i < RIG_ITEMS; i++)
        rig_param(rig, i, "function", "f");
}

static void answer(unsigned i, bool ok, const char *text) {
    host.calls[i].done(host.calls[i].data, ok, str_of(text));
}

static void each_message_is_an_event_and_they_run_side_by_side(void **state) {
    struct target_rig rig;
    begin(&rig);
    rig.items[1].record.payload = STR("[1]");
    rig_send(&rig);
    assert_int_equal(host.count, RIG_ITEMS);
    assert_string_equal(host.calls[0].function, "f");
    assert_string_equal(host.calls[0].event, "{}");
    assert_string_equal(host.calls[1].event, "[1]");
    for (unsigned i = RIG_ITEMS; i > 0; i--)
        answer(i - 1, true, "null");
    rig_expect(&rig, "ooooo");
    rig_end(&rig);
}

static void an_arn_is_the_name_at_its_end(void **state) {
    struct target_rig rig;
    host = (struct host){.count = 0};
    rig_init(&rig);
    rig.services.invoke = invoke;
    rig_open(&rig, &action_lambda, "{'function_arn':'f'}");
    rig_param(&rig, 0, "function", "arn:aws:lambda:us-east-1:000000000000:function:sensor-counter");
    rig_send(&rig);
    assert_string_equal(host.calls[0].function, "sensor-counter");
    for (unsigned i = 0; i < RIG_ITEMS; i++)
        answer(i, true, "1");
    rig_end(&rig);
}

static void a_function_that_fails_is_tried_again_and_nothing_new_begins(void **state) {
    struct target_rig rig;
    begin(&rig);
    rig_send(&rig);
    answer(1, false, "Unhandled: oh");
    answer(0, true, "1");
    for (unsigned i = 2; i < RIG_ITEMS; i++)
        answer(i, true, "1");
    rig_expect(&rig, "orooo");
    rig_expect_why(&rig, 1, "function f: Unhandled: oh");
    rig_send(&rig);
    assert_int_equal(host.count, RIG_ITEMS + 1);
    answer(RIG_ITEMS, true, "1");
    rig_expect(&rig, "ooooo");
    rig_end(&rig);
}

static void what_no_process_has_got_when_weir_stops_is_no_attempt(void **state) {
    struct target_rig rig;
    begin(&rig);
    rig_send(&rig);
    host.calls[0].begun(host.calls[0].data);
    host.calls[1].begun(host.calls[1].data);
    rig.target->is_stopping = true;
    answer(0, true, "1");
    answer(1, false, "Unhandled: oh");
    for (unsigned i = 2; i < RIG_ITEMS; i++)
        answer(i, false, "Sandbox.Stopped");
    rig_expect(&rig, "orppp");
    rig_end(&rig);
}

static void what_the_host_does_not_take(void **state) {
    static const struct {
        int code;
        const char *verdicts;
    } cases[] = {
        {ERR_FULL, "ppppp"},      /* later, and no attempt of the message's */
        {ERR_CLOSED, "ppppp"},    /* Weir stops */
        {ERR_NOT_FOUND, "rpppp"}, /* the function may yet come */
        {ERR_TOO_LARGE, "fffff"}, /* never */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct target_rig rig;
        begin(&rig);
        for (unsigned j = 0; j < CALLS_MAX; j++)
            host.result[j] = cases[i].code;
        rig_send_and_expect(&rig, cases[i].verdicts);
        rig_expect_why(&rig, 0, err_text(cases[i].code));
        rig_end(&rig);
    }
}

static void what_is_no_json_is_no_event(void **state) {
    struct target_rig rig;
    begin(&rig);
    rig.items[0].record.payload = STR("");
    rig.items[1].record.payload = STR("{");
    rig.items[2].record.payload = str_from("\"\xff\"", 3);
    rig_send(&rig);
    assert_int_equal(host.count, 2);
    answer(0, true, "1");
    answer(1, true, "1");
    rig_expect(&rig, "fffoo");
    rig_expect_why(&rig, 0, "no JSON");
    rig_end(&rig);
}

/* What a call comes to when nobody waits for it any more is not looked at. */
static void answers_may_come_when_it_is_closed(void **state) {
    struct target_rig rig;
    begin(&rig);
    rig_send(&rig);
    answer(0, true, "1");
    rig_close(&rig);
    for (unsigned i = 1; i < RIG_ITEMS; i++)
        answer(i, i % 2, "late");
    rig_expect(&rig, "o----");
    rig_done(&rig);
}

static void settings_that_cannot_be(void **state) {
    rig_refuses(&action_lambda, "{}", "function_arn");
    rig_refuses(&action_lambda, "{'function_arn':'f','maximum_retry_attempts':'-2'}",
                "maximum_retry_attempts");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_is_an_event_and_they_run_side_by_side),
        cmocka_unit_test(an_arn_is_the_name_at_its_end),
        cmocka_unit_test(a_function_that_fails_is_tried_again_and_nothing_new_begins),
        cmocka_unit_test(what_no_process_has_got_when_weir_stops_is_no_attempt),
        cmocka_unit_test(what_the_host_does_not_take),
        cmocka_unit_test(what_is_no_json_is_no_event),
        cmocka_unit_test(answers_may_come_when_it_is_closed),
        cmocka_unit_test(settings_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
