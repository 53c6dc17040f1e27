#include "things/shadow_calls.h"

#include "base/test.h"
#include "http/test_rest.h"
#include "things/shadow_document.h"

static struct shadow_calls calls;
static struct http_request request; /* of the last call; those that wait need no more of theirs */
static struct test_answer answer;

static void handle(struct rest_call *call) {
    shadow_calls_add(&calls, call, SHADOW_UPDATE, call->labels[0], (struct str){0});
}

static const struct rest_route routes[] = {{"POST", "/things/{name}", handle}, {0}};
static const struct rest_service service = {"things", routes, NULL};

static void ask(const char *line, const char *body) {
    static const struct rest_service *const services[] = {&service};
    request = test_request(line, body);
    answer.status = 0;
    rest_run(test_begin(services, 1, &request, &answer));
}

static void expect_error(int status, const char *error) {
    assert_int_equal(answer.status, status);
    assert_string_equal(answer.error, error);
}

static int begin(void **state) {
    answer = (struct test_answer){0};
    shadow_calls_init(&calls);
    return 0;
}

static int end(void **state) {
    shadow_calls_close(&calls);
    buf_done(&answer.body);
    return 0;
}

static void they_wait_in_order_with_what_they_ask(void **state) {
    ask("POST /things/a", "{}");
    ask("POST /things/b", "");
    assert_int_equal(calls.count, 2);
    assert_int_equal(answer.count, 0);
    struct shadow_call *first = shadow_calls_pop(&calls), *second = shadow_calls_pop(&calls);
    assert_null(shadow_calls_pop(&calls));
    assert_str(first->request.thing, "a");
    assert_str(first->request.payload, "{}");
    assert_str(second->request.thing, "b");
    assert_int_equal(second->request.payload.len, 0);
    shadow_call_end(first->call, 0, "", STR("done"));
    assert_int_equal(answer.status, 200);
    assert_str(buf_str(&answer.body), "done");
    shadow_call_end(second->call, ERR_NOT_FOUND, "No shadow", (struct str){0});
    expect_error(404, "ResourceNotFoundException");
}

static void what_was_not_applied_goes_first(void **state) {
    ask("POST /things/a", "{}");
    ask("POST /things/b", "{}");
    shadow_calls_put_back(&calls, shadow_calls_pop(&calls)->call);
    assert_int_equal(calls.count, 2);
    struct shadow_call *first = shadow_calls_pop(&calls);
    assert_str(first->request.thing, "a");
    shadow_call_end(first->call, 0, "", STR(""));
}

static void too_many_are_refused(void **state) {
    for (unsigned i = 0; i < SHADOW_CALLS_MAX; i++)
        ask("POST /things/a", "{}");
    assert_int_equal(answer.count, 0);
    ask("POST /things/a", "{}");
    expect_error(429, "ThrottlingException");
    assert_int_equal(calls.count, SHADOW_CALLS_MAX);
}

static void what_is_too_large_is_not_kept(void **state) {
    char body[SHADOW_REQUEST_BYTES_MAX + 2];
    memset(body, 'x', sizeof body);
    body[sizeof body - 1] = '\0';
    ask("POST /things/a", body);
    struct shadow_call *asked = shadow_calls_pop(&calls);
    assert_true(asked->request.too_large);
    assert_int_equal(asked->request.payload.len, 0);
    shadow_call_end(asked->call, ERR_TOO_LARGE, "too large", (struct str){0});
    expect_error(413, "RequestEntityTooLargeException");
}

static void at_the_end_all_are_told(void **state) {
    ask("POST /things/a", "{}");
    ask("POST /things/b", "{}");
    struct rest_call *call = shadow_calls_pop(&calls)->call;
    shadow_calls_close(&calls);
    assert_int_equal(answer.count, 1);
    expect_error(503, "ServiceUnavailableException");
    shadow_calls_put_back(&calls, call);
    assert_int_equal(answer.count, 2);
    ask("POST /things/c", "{}");
    assert_int_equal(answer.count, 3);
    expect_error(503, "ServiceUnavailableException");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(they_wait_in_order_with_what_they_ask),
        TEST(what_was_not_applied_goes_first),
        TEST(too_many_are_refused),
        TEST(what_is_too_large_is_not_kept),
        TEST(at_the_end_all_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
