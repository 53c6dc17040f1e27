/* The Runtime API, asked by a program; and its parts that need none. */
#include "function/environment.h"
#include "function/harness_test.h"
#include "function/runtime_api.h"

#include "base/clock.h"

static struct harness harness;
static struct answer answer;

static int open_one(void **state) {
    harness = (struct harness){.functions = {function_config_for_test("api", 4)}};
    harness_open(&harness, 1);
    return 0;
}

static int close_all(void **state) {
    harness_close(&harness, 0);
    buf_done(&answer.payload);
    answer = (struct answer){0};
    return 0;
}

static const char *ask(const char *event) {
    return harness_ask(&harness, event, &answer);
}

static struct function_route route(const char *method, const char *path) {
    return function_route_of(str_of(method), str_of(path));
}

static void paths_are_routed(void **state) {
    assert_int_equal(route("GET", "/2018-06-01/runtime/invocation/next").kind, FUNCTION_ROUTE_NEXT);
    assert_int_equal(route("POST", "/2018-06-01/runtime/init/error").kind,
                     FUNCTION_ROUTE_INIT_ERROR);
    assert_int_equal(route("GET", "/ping").kind, FUNCTION_ROUTE_PING);
    struct function_route response = route("POST", "/2018-06-01/runtime/invocation/ab-1/response");
    assert_int_equal(response.kind, FUNCTION_ROUTE_RESPONSE);
    assert_str(response.request_id, "ab-1");
    assert_int_equal(route("POST", "/2018-06-01/runtime/invocation/ab-1/error").kind,
                     FUNCTION_ROUTE_ERROR);
    assert_str(route("POST", "/2018-06-01/runtime/invocation//error").request_id, "");
}

static void other_paths_lead_nowhere(void **state) {
    static const char *const paths[][2] = {
        {"POST", "/2018-06-01/runtime/invocation/next"},
        {"GET", "/2018-06-01/runtime/invocation/a/response"},
        {"POST", "/2018-06-01/runtime/invocation/a/response/x"},
        {"POST", "/2018-06-01/runtime/invocation/a"},
        {"GET", "/2018-06-01/runtime/restore/next"},
        {"GET", "/2018-06-02/runtime/invocation/next"},
        {"GET", "/"},
        {"GET", ""},
        {"", ""},
    };
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        assert_int_equal(route(paths[i][0], paths[i][1]).kind, FUNCTION_ROUTE_NONE);
}

static void error_types_are_kept_only_in_their_form(void **state) {
    static const char *const types[][2] = {
        {"Runtime.ExitError", "Runtime.ExitError"},
        {"Function.Bad", "Function.Bad"},
        {"Function.bad", "X.Y"},
        {"Function.B", "X.Y"},
        {"Function.Ba1", "X.Y"},
        {"Other.Bad", "X.Y"},
        {"", "X.Y"},
        {"Function", "X.Y"},
        {"Function.Bad\nline", "X.Y"},
        {"Function.Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "X.Y"},
    };
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        char clean[FUNCTION_ERROR_TYPE_CHARS];
        function_error_type_clean(str_of(types[i][0]), "X.Y", clean);
        assert_string_equal(clean, types[i][1]);
    }
}

static struct str member(struct json *json, const char *key, struct arena *arena) {
    return json_str(json_member(json_root(json), str_of(key)), arena);
}

static void next_carries_all_headers(void **state) {
    struct json json = {0};
    struct arena arena = {0};
    uint64_t before_ms = clock_wall_ms(), deadline_ms;
    ask("{\"do\": \"headers\"}");
    assert_int_equal(json_parse(&json, buf_str(&answer.payload)), 0);
    assert_int_equal(member(&json, "Lambda-Runtime-Aws-Request-Id", &arena).len, UUID_CHARS);
    assert_true(str_to_u64(member(&json, "Lambda-Runtime-Deadline-Ms", &arena), &deadline_ms));
    assert_in_range(deadline_ms, before_ms + 20000, clock_wall_ms() + 20000);
    assert_str(member(&json, "Lambda-Runtime-Invoked-Function-Arn", &arena),
               "arn:aws:lambda:eu-central-1:000000000000:function:api");
    assert_str(member(&json, "Content-Type", &arena), "application/json");
    struct str trace = member(&json, "Lambda-Runtime-Trace-Id", &arena);
    assert_int_equal(trace.len, strlen("Root=1-xxxxxxxx-;Parent=;Sampled=0") + 24 + 16);
    assert_true(str_starts(trace, STR("Root=1-")));
    arena_done(&arena);
    json_done(&json);
}

static void a_wrong_id_is_refused_and_the_event_goes_on(void **state) {
    assert_string_equal(ask("{\"do\": \"wrong_id\"}"), "[400, \"InvalidRequestID\"]");
}

static void an_unknown_response_mode_is_refused(void **state) {
    assert_string_equal(ask("{\"do\": \"bad_mode\"}"), "[400, \"InvalidFunctionResponseMode\"]");
}

static void an_init_error_after_next_is_refused(void **state) {
    assert_string_equal(ask("{\"do\": \"late_init_error\"}"), "[403, \"InvalidStateTransition\"]");
}

static void a_second_response_is_refused(void **state) {
    ask("{\"do\": \"twice\"}");
    assert_true(answer.ok);
    assert_string_equal(ask("{\"do\": \"seen\"}"), "[[403, \"InvalidStateTransition\"]]");
}

static void a_second_next_gets_the_same_event_again(void **state) {
    assert_string_equal(ask("{\"do\": \"again\"}"), "[200, true]");
}

static void ping_and_what_is_not_there(void **state) {
    assert_string_equal(ask("{\"do\": \"ping\"}"), "\"pong\"");
    assert_string_equal(ask("{\"do\": \"restore\"}"), "404");
}

static void a_response_that_is_too_large_fails_the_invocation(void **state) {
    ask("{\"do\": \"big\", \"bytes\": 7340032}");
    assert_false(answer.ok);
    assert_string_equal(answer.error_type, "Function.ResponseSizeTooLarge");
    assert_string_equal(buf_cstr(&answer.payload),
                        "{\"errorType\":\"Function.ResponseSizeTooLarge\",\"errorMessage\":"
                        "\"Response payload size exceeded maximum allowed payload size (6291556 "
                        "bytes).\"}");
    assert_string_equal(ask("{\"do\": 1}"), "{\"do\": 1}");
}

static void the_largest_response_is_taken(void **state) {
    ask("{\"do\": \"big\", \"bytes\": 6291556}");
    assert_true(answer.ok);
    assert_int_equal(buf_len(&answer.payload), FUNCTION_RESPONSE_BYTES_MAX);
}

static void a_chunked_response_with_empty_trailers_is_a_success(void **state) {
    assert_string_equal(ask("{\"do\": \"trailers\", \"type\": \"\", \"document\": \"\"}"), "[1,2]");
    assert_true(answer.ok);
}

static void an_error_in_the_trailers_is_an_error(void **state) {
    assert_string_equal(
        ask("{\"do\": \"trailers\", \"type\": \"Function.Bad\", \"document\": \"{}\"}"), "{}");
    assert_false(answer.ok);
    assert_string_equal(answer.error_type, "Function.Bad");
}

#define WITH_ONE(test) cmocka_unit_test_setup_teardown(test, open_one, close_all)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_routed),
        cmocka_unit_test(other_paths_lead_nowhere),
        cmocka_unit_test(error_types_are_kept_only_in_their_form),
        WITH_ONE(next_carries_all_headers),
        WITH_ONE(a_wrong_id_is_refused_and_the_event_goes_on),
        WITH_ONE(an_unknown_response_mode_is_refused),
        WITH_ONE(an_init_error_after_next_is_refused),
        WITH_ONE(a_second_response_is_refused),
        WITH_ONE(a_second_next_gets_the_same_event_again),
        WITH_ONE(ping_and_what_is_not_there),
        WITH_ONE(a_response_that_is_too_large_fails_the_invocation),
        WITH_ONE(the_largest_response_is_taken),
        WITH_ONE(a_chunked_response_with_empty_trailers_is_a_success),
        WITH_ONE(an_error_in_the_trailers_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
