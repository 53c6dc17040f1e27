/* The life of a process, with real ones. */
#include "function/environment.h"
#include "function/harness_test.h"

#include <unistd.h>

static struct harness harness;
static struct answer answer;

static int open_one(void **state) {
    harness = (struct harness){.functions = {function_config_for_test("worker", 4)}};
    harness_open(&harness, 1);
    return 0;
}

static int close_all(void **state) {
    harness_close(&harness, 0);
    buf_done(&answer.payload);
    answer = (struct answer){0};
    return 0;
}

static void an_event_is_answered(void **state) {
    assert_string_equal(harness_ask(&harness, "{\"do\": \"echo\"}", &answer), "{\"do\": \"echo\"}");
    assert_true(answer.ok);
    assert_string_equal(answer.error_type, "");
}

static void one_process_answers_one_after_another(void **state) {
    char first[32];
    snprintf(first, sizeof first, "%s", harness_ask(&harness, "{\"do\": \"pid\"}", &answer));
    for (int i = 0; i < 20; i++)
        assert_string_equal(harness_ask(&harness, "{\"do\": \"pid\"}", &answer), first);
}

static void an_error_that_the_function_reports_is_passed_on(void **state) {
    const char *document = "{\"errorMessage\":\"no\",\"errorType\":\"Function.Bad\"}";
    assert_string_equal(
        harness_ask(&harness, "{\"do\": \"fail\", \"type\": \"Function.Bad\"}", &answer), document);
    assert_false(answer.ok);
    assert_string_equal(answer.error_type, "Function.Bad");
    harness_ask(&harness, "{\"do\": \"fail\", \"type\": \"free text\"}", &answer);
    assert_string_equal(answer.error_type, "Function.Unknown");
}

static void a_hanging_function_is_killed_and_the_next_event_gets_a_fresh_one(void **state) {
    struct function_config *config = &harness.functions[0];
    char first[32];
    snprintf(first, sizeof first, "%s", harness_ask(&harness, "{\"do\": \"pid\"}", &answer));
    config->timeout_ms = 300;
    const char *document = harness_ask(&harness, "{\"do\": \"hang\"}", &answer);
    assert_non_null(strstr(document, "{\"errorType\":\"Sandbox.Timedout\",\"errorMessage\":"
                                     "\"RequestId: "));
    assert_non_null(strstr(document, " Error: Task timed out after 0.30 seconds\"}"));
    assert_string_equal(answer.error_type, "Sandbox.Timedout");
    config->timeout_ms = 20000;
    assert_string_not_equal(harness_ask(&harness, "{\"do\": \"pid\"}", &answer), first);
    assert_true(answer.ok);
}

static void an_exit_is_told_with_its_status(void **state) {
    const char *document = harness_ask(&harness, "{\"do\": \"exit\", \"status\": 127}", &answer);
    assert_non_null(strstr(document, " Error: Runtime exited with error: exit status 127\"}"));
    assert_string_equal(answer.error_type, "Runtime.ExitError");
    document = harness_ask(&harness, "{\"do\": \"exit\", \"status\": 0}", &answer);
    assert_non_null(strstr(document, " Error: Runtime exited without providing a reason\"}"));
    assert_string_equal(harness_ask(&harness, "{\"do\": 1}", &answer), "{\"do\": 1}");
}

static void a_process_that_leaves_after_its_answer_is_replaced(void **state) {
    for (int i = 0; i < 3; i++) {
        harness_ask(&harness, "{\"do\": \"leave\"}", &answer);
        assert_true(answer.ok);
    }
}

static void too_much_memory_is_the_end(void **state) {
    harness.functions[0].memory_bytes = (int64_t)64 << 20;
    const char *document =
        harness_ask(&harness, "{\"do\": \"memory\", \"bytes\": 100000000}", &answer);
    assert_non_null(strstr(document, " Error: Runtime exited with error: signal: killed\"}"));
    assert_string_equal(harness_ask(&harness, "{\"do\": 1}", &answer), "{\"do\": 1}");
}

static void a_failing_start_fails_what_waits(void **state) {
    function_command[4] = "init_error";
    struct harness failing = {.functions = {function_config_for_test("failing", 5)}};
    harness_open(&failing, 1);
    assert_string_equal(harness_ask(&failing, "{}", &answer),
                        "{\"errorType\":\"Runtime.NoRedis\",\"errorMessage\":\"m\"}");
    assert_string_equal(answer.error_type, "Runtime.NoRedis");
    function_command[4] = "init_exit";
    for (int i = 0; i < 3; i++)
        harness_ask(&failing, "{}", &answer);
    assert_non_null(
        strstr(buf_cstr(&answer.payload), "Runtime exited with error: exit status 7\"}"));
    function_command[4] = "early";
    for (int i = 0; i < 3 && !answer.ok; i++)
        harness_ask(&failing, "{\"do\": \"seen\"}", &answer);
    assert_string_equal(buf_cstr(&answer.payload), "[[403, \"InvalidStateTransition\"]]");
    harness_close(&failing, 0);
}

static void a_missing_program_is_an_invalid_entrypoint(void **state) {
    const char *command[] = {"/nonexistent/program", NULL};
    struct harness missing = {.functions = {function_config_for_test("missing", 1)}};
    missing.functions[0].command.items = command;
    harness_open(&missing, 1);
    const char *document = harness_ask(&missing, "{}", &answer);
    assert_string_equal(answer.error_type, "Runtime.InvalidEntrypoint");
    assert_non_null(strstr(document, "/nonexistent/program"));
    harness_close(&missing, 0);
}

static bool is_gone(void *data) {
    return access(data, F_OK) != 0;
}

static void closing_waits_for_the_event_in_hand_and_ends_the_process(void **state) {
    struct harness other = {.functions = {function_config_for_test("other", 4)}};
    struct answer slow = {0};
    char path[64];
    harness_open(&other, 1);
    snprintf(path, sizeof path, "/proc/%s", harness_ask(&other, "{\"do\": \"pid\"}", &answer));
    assert_false(is_gone(path));
    harness_begin_slow(&other, "\"do\": \"sleep\", \"seconds\": 0.3", &slow);
    harness_close(&other, 20000);
    assert_true(slow.over && slow.ok);
    assert_true(is_gone(path));
    buf_done(&slow.payload);
}

static void what_does_not_end_within_the_grace_is_killed(void **state) {
    struct harness other = {.functions = {function_config_for_test("other", 4)}};
    struct answer slow = {0};
    harness_open(&other, 1);
    harness_begin_slow(&other, "\"do\": \"hang\"", &slow);
    harness_close(&other, 100);
    assert_true(slow.over);
    assert_false(slow.ok);
    buf_done(&slow.payload);
}

static void an_error_document_is_json(void **state) {
    struct buf out = {0};
    function_error_document(&out, "id", "Runtime.X", "say \"no\"");
    assert_str(buf_str(&out), "{\"errorType\":\"Runtime.X\",\"errorMessage\":"
                              "\"RequestId: id Error: say \\\"no\\\"\"}");
    buf_clear(&out);
    function_error_document(&out, NULL, "Runtime.X", "no");
    assert_str(buf_str(&out), "{\"errorType\":\"Runtime.X\",\"errorMessage\":\"no\"}");
    buf_done(&out);
}

#define WITH_ONE(test) cmocka_unit_test_setup_teardown(test, open_one, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_ONE(an_event_is_answered),
        WITH_ONE(one_process_answers_one_after_another),
        WITH_ONE(an_error_that_the_function_reports_is_passed_on),
        WITH_ONE(a_hanging_function_is_killed_and_the_next_event_gets_a_fresh_one),
        WITH_ONE(an_exit_is_told_with_its_status),
        WITH_ONE(a_process_that_leaves_after_its_answer_is_replaced),
        WITH_ONE(too_much_memory_is_the_end),
        WITH_ONE(a_failing_start_fails_what_waits),
        WITH_ONE(a_missing_program_is_an_invalid_entrypoint),
        WITH_ONE(closing_waits_for_the_event_in_hand_and_ends_the_process),
        WITH_ONE(what_does_not_end_within_the_grace_is_killed),
        cmocka_unit_test(an_error_document_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
