/* lambda_run() in a process of its own, against a host that the test scripts. */
#include "test_host.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "lambda.h"

#define NEXT     "/2018-06-01/runtime/invocation/next"
#define RESPONSE "/2018-06-01/runtime/invocation/id-1/response"
#define ERROR    "/2018-06-01/runtime/invocation/id-1/error"

struct function {
    struct host host;
    pid_t pid;
};

static void start(struct function *function, lambda_init_fn init, lambda_handler_fn handler) {
    host_init(&function->host);
    fflush(NULL);
    function->pid = fork();
    assert_true(function->pid >= 0);
    if (function->pid == 0) {
        close(function->host.listen_fd);
        int quiet = open("/dev/null", O_WRONLY);
        dup2(quiet, STDERR_FILENO);
        setenv("AWS_LAMBDA_RUNTIME_API", function->host.authority, 1);
        exit(lambda_run(init, handler, (void *)"data"));
    }
}

static void expect_exit(struct function *function, int code) {
    int status;
    assert_int_equal(waitpid(function->pid, &status, 0), function->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), code);
    host_done(&function->host);
}

/* SIGTERM while the function waits for an event. */
static void stop(struct function *function) {
    host_expect(&function->host, "GET", NEXT);
    assert_int_equal(kill(function->pid, SIGTERM), 0);
    expect_exit(function, LAMBDA_EXIT_STOPPED);
}

static void give_event(struct function *function, const char *headers, const char *body) {
    char answer[4096];
    host_expect(&function->host, "GET", NEXT);
    snprintf(answer, sizeof answer,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
             "Lambda-Runtime-Aws-Request-Id: id-1\r\n%sContent-Length: %zu\r\n\r\n%s",
             headers, strlen(body), body);
    host_say(&function->host, answer);
}

static void expect_field(struct function *function, const char *line) {
    if (!strstr(function->host.request, line))
        fail_msg("no %s in %s", line, function->host.request);
}

static int echo(const struct lambda_event *event, struct lambda_result *result, void *data) {
    if (event->body_size > 0)
        lambda_respond(result, event->body, event->body_size);
    return 0;
}

static const char *or_dash(const char *text) {
    return text ? text : "-";
}

static int tell_event(const struct lambda_event *event, struct lambda_result *result, void *data) {
    lambda_respond_type(result, "text/plain");
    lambda_respond_format(result, "%s|%s|%s|%s|%s|%s|%s|%s|%lld|%s", or_dash(event->request_id),
                          or_dash(event->content_type), or_dash(event->invoked_function_arn),
                          or_dash(event->trace_id), or_dash(event->client_context),
                          or_dash(event->cognito_identity), or_dash(event->tenant_id),
                          or_dash(getenv("_X_AMZN_TRACE_ID")), (long long)event->deadline_ms,
                          (const char *)data);
    return 0;
}

static int fail_always(const struct lambda_event *event, struct lambda_result *result, void *data) {
    return lambda_fail(result, "Function.Bad", "cannot \"%s\"", event->body);
}

static int fail_silently(const struct lambda_event *event, struct lambda_result *result,
                         void *data) {
    return 5;
}

static void events_are_answered_on_one_connection(void **state) {
    struct function function;
    start(&function, NULL, echo);
    host_accept(&function.host);
    for (int i = 0; i < 3; i++) {
        give_event(&function, "", i == 1 ? "" : "{\"a\":1}");
        host_expect(&function.host, "POST", RESPONSE);
        assert_string_equal(function.host.body, i == 1 ? "null" : "{\"a\":1}");
        expect_field(&function, "\r\nContent-Type: application/json\r\n");
        host_say(&function.host, HOST_ACCEPTED);
    }
    stop(&function);
}

static void every_header_reaches_the_handler(void **state) {
    struct function function;
    start(&function, NULL, tell_event);
    host_accept(&function.host);
    give_event(&function,
               "Lambda-Runtime-Deadline-Ms: 1542409706888\r\n"
               "Lambda-Runtime-Invoked-Function-Arn: arn:f\r\nLambda-Runtime-Trace-Id: Root=1\r\n"
               "Lambda-Runtime-Client-Context: {\"c\":1}\r\n"
               "Lambda-Runtime-Cognito-Identity: {\"i\":2}\r\n"
               "Lambda-Runtime-Aws-Tenant-Id: t\r\n",
               "");
    host_expect(&function.host, "POST", RESPONSE);
    assert_string_equal(function.host.body,
                        "id-1|application/json|arn:f|Root=1|{\"c\":1}|{\"i\":2}|t|Root=1|"
                        "1542409706888|data");
    expect_field(&function, "\r\nContent-Type: text/plain\r\n");
    host_say(&function.host, HOST_ACCEPTED);
    give_event(&function, "", "");
    host_expect(&function.host, "POST", RESPONSE);
    assert_string_equal(function.host.body, "id-1|application/json|-|-|-|-|-|-|0|data");
    host_say(&function.host, HOST_ACCEPTED);
    stop(&function);
}

static void an_event_may_come_in_chunks(void **state) {
    struct function function;
    start(&function, NULL, echo);
    host_accept(&function.host);
    host_expect(&function.host, "GET", NEXT);
    host_say(&function.host, "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: id-1\r\n"
                             "Transfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n");
    host_say(&function.host, "2\r\n2]\r\n0\r\n\r\n");
    host_expect(&function.host, "POST", RESPONSE);
    assert_string_equal(function.host.body, "[1,2]");
    host_say(&function.host, HOST_ACCEPTED);
    stop(&function);
}

static void a_failure_is_reported_and_the_run_goes_on(void **state) {
    struct function function;
    start(&function, NULL, fail_always);
    host_accept(&function.host);
    for (int i = 0; i < 2; i++) {
        give_event(&function, "", "x");
        host_expect(&function.host, "POST", ERROR);
        assert_string_equal(function.host.body,
                            "{\"errorMessage\":\"cannot \\\"x\\\"\",\"errorType\":\"Function.Bad\","
                            "\"stackTrace\":[]}");
        expect_field(&function, "\r\nLambda-Runtime-Function-Error-Type: Function.Bad\r\n");
        host_say(&function.host, HOST_ACCEPTED);
    }
    stop(&function);
}

static void a_failure_without_words_is_reported(void **state) {
    struct function function;
    start(&function, NULL, fail_silently);
    host_accept(&function.host);
    give_event(&function, "", "x");
    host_expect(&function.host, "POST", ERROR);
    expect_field(&function, "the handler returned 5");
    host_say(&function.host, HOST_ACCEPTED);
    stop(&function);
}

static int fail_init(struct lambda_result *result, void *data) {
    return lambda_fail(result, "Function.NoSetting", "%s is missing", (const char *)data);
}

static void a_failed_init_is_reported_and_ends_the_run(void **state) {
    struct function function;
    start(&function, fail_init, echo);
    host_accept(&function.host);
    host_expect(&function.host, "POST", "/2018-06-01/runtime/init/error");
    expect_field(&function, "\r\nLambda-Runtime-Function-Error-Type: Function.NoSetting\r\n");
    expect_field(&function, "{\"errorMessage\":\"data is missing\"");
    host_say(&function.host, HOST_ACCEPTED);
    expect_exit(&function, LAMBDA_EXIT_INIT);
}

static void next_is_asked_again_after_a_break(void **state) {
    struct function function;
    start(&function, NULL, echo);
    host_accept(&function.host);
    host_expect(&function.host, "GET", NEXT);
    host_accept(&function.host);
    host_expect(&function.host, "GET", NEXT);
    host_say(&function.host, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut");
    host_accept(&function.host);
    give_event(&function, "", "7");
    host_expect(&function.host, "POST", RESPONSE);
    assert_string_equal(function.host.body, "7");
    host_say(&function.host, HOST_ACCEPTED);
    stop(&function);
}

static void next_is_given_up_when_the_host_stays_away(void **state) {
    struct function function;
    start(&function, NULL, echo);
    host_accept(&function.host);
    host_expect(&function.host, "GET", NEXT);
    close(function.host.listen_fd);
    function.host.listen_fd = -1;
    host_hang_up(&function.host);
    expect_exit(&function, LAMBDA_EXIT_API);
}

static void a_response_is_repeated_once_after_a_break(void **state) {
    struct function function;
    start(&function, NULL, echo);
    host_accept(&function.host);
    give_event(&function, "", "7");
    host_expect(&function.host, "POST", RESPONSE);
    host_accept(&function.host);
    host_expect(&function.host, "POST", RESPONSE);
    assert_string_equal(function.host.body, "7");
    /* The first one had arrived: the host does not know the event any more. */
    host_say(&function.host, "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}");
    stop(&function);
}

static void a_response_that_is_too_large_does_not_end_the_run(void **state) {
    struct function function;
    start(&function, NULL, echo);
    host_accept(&function.host);
    give_event(&function, "", "7");
    host_expect(&function.host, "POST", RESPONSE);
    host_say(&function.host, "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\n\r\n{}");
    stop(&function);
}

/* The host answers the response (or, with NULL, the first next) in a way that ends the run. */
static void expect_end_after(const char *next_answer, const char *response_answer) {
    struct function function;
    start(&function, NULL, echo);
    host_accept(&function.host);
    if (next_answer) {
        host_expect(&function.host, "GET", NEXT);
        host_say(&function.host, next_answer);
    } else {
        give_event(&function, "", "7");
        host_expect(&function.host, "POST", RESPONSE);
        host_say(&function.host, response_answer);
    }
    expect_exit(&function, LAMBDA_EXIT_API);
}

static void disagreement_with_the_host_ends_the_run(void **state) {
    expect_end_after(NULL, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}");
    expect_end_after(NULL, "HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n");
    expect_end_after("HTTP/1.1 500 Error\r\nContent-Length: 0\r\n\r\n", NULL);
    expect_end_after("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", NULL);
    expect_end_after("HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: ../x\r\n"
                     "Content-Length: 2\r\n\r\n{}",
                     NULL);
    expect_end_after("no HTTP at all\r\n\r\n", NULL);
}

static int stop_self(const struct lambda_event *event, struct lambda_result *result, void *data) {
    kill(getpid(), SIGTERM);
    lambda_respond_format(result, "\"finished\"");
    return 0;
}

static void sigterm_lets_the_event_be_finished(void **state) {
    struct function function;
    start(&function, NULL, stop_self);
    host_accept(&function.host);
    give_event(&function, "", "7");
    host_expect(&function.host, "POST", RESPONSE);
    assert_string_equal(function.host.body, "\"finished\"");
    host_say(&function.host, HOST_ACCEPTED);
    expect_exit(&function, LAMBDA_EXIT_STOPPED);
}

static void a_missing_or_wrong_address_is_told(void **state) {
    static const char *const addresses[] = {NULL, "", "nowhere", "http://127.0.0.1:1"};
    fflush(NULL);
    int saved = dup(STDERR_FILENO), quiet = open("/dev/null", O_WRONLY);
    dup2(quiet, STDERR_FILENO);
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        if (addresses[i])
            setenv("AWS_LAMBDA_RUNTIME_API", addresses[i], 1);
        else
            unsetenv("AWS_LAMBDA_RUNTIME_API");
        assert_int_equal(lambda_run(NULL, echo, NULL), LAMBDA_EXIT_SETTING);
    }
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(quiet);
}

static void the_time_that_remains(void **state) {
    struct timespec now;
    struct lambda_event event = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    assert_true(lambda_remaining_ms(&event) == INT64_MAX);
    event.deadline_ms = (int64_t)now.tv_sec * 1000 - 5000;
    assert_int_equal(lambda_remaining_ms(&event), 0);
    event.deadline_ms = ((int64_t)now.tv_sec + 1000) * 1000;
    assert_in_range(lambda_remaining_ms(&event), 1, 1000 * 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_answered_on_one_connection),
        cmocka_unit_test(every_header_reaches_the_handler),
        cmocka_unit_test(an_event_may_come_in_chunks),
        cmocka_unit_test(a_failure_is_reported_and_the_run_goes_on),
        cmocka_unit_test(a_failure_without_words_is_reported),
        cmocka_unit_test(a_failed_init_is_reported_and_ends_the_run),
        cmocka_unit_test(next_is_asked_again_after_a_break),
        cmocka_unit_test(next_is_given_up_when_the_host_stays_away),
        cmocka_unit_test(a_response_is_repeated_once_after_a_break),
        cmocka_unit_test(a_response_that_is_too_large_does_not_end_the_run),
        cmocka_unit_test(disagreement_with_the_host_ends_the_run),
        cmocka_unit_test(sigterm_lets_the_event_be_finished),
        cmocka_unit_test(a_missing_or_wrong_address_is_told),
        cmocka_unit_test(the_time_that_remains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
