/*
 * The run of a function against the Lambda Runtime API, version 2018-06-01 (AWS Lambda developer
 * guide, "Using the Lambda runtime API for custom runtimes").
 *
 * Happy path, on one keep-alive connection:
 *     init()                                    once
 *     GET  /runtime/invocation/next             blocks until there is an event
 *     handler()
 *     POST /runtime/invocation/{id}/response    or .../error, then `next` again
 *
 * Failures:
 *     init() fails          POST /runtime/init/error, exit 1: the host starts a fresh process
 *     `next` breaks off     asked again with back-off, NEXT_FAILURES_MAX quick failures in a row
 *                           are the end; the host hands out a lost event again
 *     a post breaks off     repeated once on a fresh connection. If the first did arrive, the host
 *                           now answers 400 (not the current event) or 403 (wrong state): delivered
 *     413                   the answer was too large: the host fails the event itself, the run goes
 *                           on
 *     any other answer      exit 2: the host and this process disagree about the state
 */
#include "lambda.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "http_client.h"
#include "result.h"

#define NEXT_FAILURES_MAX    6
#define NEXT_PAUSE_MS        50    /* after the first failure; doubles */
#define NEXT_QUICK_MS        10000 /* an attempt that lived longer starts the count anew */
#define REQUEST_ID_BYTES_MAX 128
#define RUNNING              (-1) /* no exit code yet */
#define API_PATH(path)       "/2018-06-01/runtime/" path

struct run {
    lambda_handler_fn handler;
    void *data;
    struct lambda_http_client client;
    struct lambda_http_request request;
    struct lambda_result result;
    struct lambda_buf path;
    struct lambda_buf error_body;
    int stop_pipe[2]; /* readable once SIGTERM has come */
};

/* The writing end of the one run's stop pipe: a signal action has no argument to find it by. */
static volatile sig_atomic_t stop_write_fd = -1;

static void on_sigterm(int signal_number) {
    int saved_errno = errno;
    if (write(stop_write_fd, "", 1) < 0) {
        /* The pipe is full of earlier wishes to stop. */
    }
    errno = saved_errno;
}

static void catch_sigterm(struct run *run) {
    struct sigaction action = {.sa_handler = on_sigterm, .sa_flags = SA_RESTART | SA_RESETHAND};
    struct sigaction before;
    run->stop_pipe[0] = run->stop_pipe[1] = -1;
    if (sigaction(SIGTERM, NULL, &before) != 0 || before.sa_handler != SIG_DFL)
        return;
    if (pipe(run->stop_pipe) != 0)
        return;
    for (int i = 0; i < 2; i++) {
        fcntl(run->stop_pipe[i], F_SETFD, FD_CLOEXEC);
        fcntl(run->stop_pipe[i], F_SETFL, O_NONBLOCK);
    }
    stop_write_fd = run->stop_pipe[1];
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
}

static void release_sigterm(struct run *run) {
    if (run->stop_pipe[0] < 0)
        return;
    signal(SIGTERM, SIG_DFL);
    stop_write_fd = -1;
    close(run->stop_pipe[0]);
    close(run->stop_pipe[1]);
}

static int64_t clock_ms(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t lambda_remaining_ms(const struct lambda_event *event) {
    if (event->deadline_ms == 0)
        return INT64_MAX;
    int64_t remaining_ms = event->deadline_ms - clock_ms(CLOCK_REALTIME);
    return remaining_ms > 0 ? remaining_ms : 0;
}

static int give_up(const struct run *run, const char *what) {
    fprintf(stderr, "lambda: %s at %s: %s\n", what, run->client.authority, run->client.problem);
    return LAMBDA_EXIT_API;
}

static int refused(const struct run *run, const char *what) {
    const struct lambda_http_response *response = &run->client.response;
    int shown = response->body.size < 500 ? (int)response->body.size : 500;
    fprintf(stderr, "lambda: %s at %s was answered %d: %.*s\n", what, run->client.authority,
            response->status, shown, shown ? response->body.data : "");
    return LAMBDA_EXIT_API;
}

/* Waits before the next try. True if SIGTERM came meanwhile. */
static bool pause_or_stop(const struct run *run, int failures) {
    struct pollfd stop = {.fd = run->stop_pipe[0], .events = POLLIN};
    return poll(&stop, 1, NEXT_PAUSE_MS << failures) > 0;
}

/* Gets the next event into the client's response. */
static int ask_next(struct run *run) {
    lambda_http_request_begin(&run->request, &run->client, "GET", API_PATH("invocation/next"));
    lambda_http_request_seal(&run->request, NULL, 0);
    for (int failures = 0;; failures++) {
        int64_t begun_ms = clock_ms(CLOCK_MONOTONIC);
        enum lambda_http_error error =
            lambda_http_client_exchange(&run->client, &run->request, run->stop_pipe[0]);
        if (error == LAMBDA_HTTP_OK)
            return run->client.response.status == 200 ? RUNNING : refused(run, "next");
        if (error == LAMBDA_HTTP_STOPPED)
            return LAMBDA_EXIT_STOPPED;
        if (clock_ms(CLOCK_MONOTONIC) - begun_ms > NEXT_QUICK_MS)
            failures = 0;
        if (error == LAMBDA_HTTP_PROTOCOL || failures + 1 == NEXT_FAILURES_MAX)
            return give_up(run, "next");
        if (pause_or_stop(run, failures))
            return LAMBDA_EXIT_STOPPED;
    }
}

/* Sends the sealed request and judges the answer; what it was is said only when it fails. */
static int post(struct run *run, const char *what) {
    enum lambda_http_error error = lambda_http_client_exchange(&run->client, &run->request, -1);
    bool repeated = error == LAMBDA_HTTP_LOST || error == LAMBDA_HTTP_NO_CONNECTION;
    if (repeated)
        error = lambda_http_client_exchange(&run->client, &run->request, -1);
    if (error != LAMBDA_HTTP_OK)
        return give_up(run, what);
    int status = run->client.response.status;
    if (status / 100 == 2 || (repeated && (status == 400 || status == 403)))
        return RUNNING;
    refused(run, what);
    return status == 413 ? RUNNING : LAMBDA_EXIT_API;
}

/* The body lives in run->error_body: it must outlast the exchange. */
static int post_error(struct run *run, const char *path, const char *what) {
    lambda_buf_clear(&run->error_body);
    lambda_result_write_error(&run->result, &run->error_body);
    lambda_http_request_begin(&run->request, &run->client, "POST", path);
    lambda_http_request_field(&run->request, "Content-Type", "application/json");
    lambda_http_request_field(&run->request, "Lambda-Runtime-Function-Error-Type",
                              run->result.error_type);
    lambda_http_request_seal(&run->request, run->error_body.data, run->error_body.size);
    return post(run, what);
}

static int post_response(struct run *run, const char *path) {
    const struct lambda_result *result = &run->result;
    lambda_http_request_begin(&run->request, &run->client, "POST", path);
    lambda_http_request_field(&run->request, "Content-Type", result->content_type);
    if (result->answered)
        lambda_http_request_seal(&run->request, result->body.data, result->body.size);
    else
        lambda_http_request_seal(&run->request, "null", 4);
    return post(run, "response");
}

/* The id becomes a part of a path. */
static bool is_request_id(const char *id) {
    size_t size = strlen(id);
    return size > 0 && size <= REQUEST_ID_BYTES_MAX &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == size;
}

static int64_t parse_deadline(const char *text) {
    char *end;
    if (!text || *text < '0' || *text > '9')
        return 0;
    errno = 0;
    long long deadline_ms = strtoll(text, &end, 10);
    return errno == 0 && *end == '\0' ? deadline_ms : 0;
}

/* Makes the answer to `next` an event; its parts stay in the client's response. */
static bool read_event(struct lambda_http_response *response, struct lambda_event *ret_event) {
    static char no_bytes[1];
    const char *request_id = lambda_http_response_header(response, "Lambda-Runtime-Aws-Request-Id");
    if (!request_id || !is_request_id(request_id))
        return false;
    *ret_event = (struct lambda_event){
        .body = response->body.data ? response->body.data : no_bytes,
        .body_size = response->body.size,
        .content_type = lambda_http_response_header(response, "Content-Type"),
        .request_id = request_id,
        .invoked_function_arn =
            lambda_http_response_header(response, "Lambda-Runtime-Invoked-Function-Arn"),
        .trace_id = lambda_http_response_header(response, "Lambda-Runtime-Trace-Id"),
        .client_context = lambda_http_response_header(response, "Lambda-Runtime-Client-Context"),
        .cognito_identity =
            lambda_http_response_header(response, "Lambda-Runtime-Cognito-Identity"),
        .tenant_id = lambda_http_response_header(response, "Lambda-Runtime-Aws-Tenant-Id"),
        .deadline_ms =
            parse_deadline(lambda_http_response_header(response, "Lambda-Runtime-Deadline-Ms")),
    };
    return true;
}

/* The X-Ray SDKs look for the trace in the environment. */
static void export_trace(const char *trace_id) {
    if (trace_id)
        setenv("_X_AMZN_TRACE_ID", trace_id, 1);
    else
        unsetenv("_X_AMZN_TRACE_ID");
}

static int serve_one(struct run *run) {
    struct lambda_event event;
    int exit_code = ask_next(run);
    if (exit_code != RUNNING)
        return exit_code;
    if (!read_event(&run->client.response, &event)) {
        fputs("lambda: next gave an event without a usable request id\n", stderr);
        return LAMBDA_EXIT_API;
    }
    export_trace(event.trace_id);
    lambda_result_begin(&run->result);
    int code = run->handler(&event, &run->result, run->data);
    lambda_buf_clear(&run->path);
    lambda_buf_format(&run->path, API_PATH("invocation/%s/%s"), event.request_id,
                      code == 0 ? "response" : "error");
    if (code == 0)
        return post_response(run, run->path.data);
    lambda_result_explain(&run->result, "handler", code);
    return post_error(run, run->path.data, "error");
}

static int run_init(struct run *run, lambda_init_fn init) {
    lambda_result_begin(&run->result);
    int code = init ? init(&run->result, run->data) : 0;
    if (code == 0)
        return RUNNING;
    lambda_result_explain(&run->result, "init", code);
    fprintf(stderr, "lambda: init failed: %s\n", run->result.error_message.data);
    post_error(run, API_PATH("init/error"), "init/error");
    return LAMBDA_EXIT_INIT;
}

static void close_run(struct run *run) {
    release_sigterm(run);
    lambda_http_client_done(&run->client);
    lambda_http_request_done(&run->request);
    lambda_result_done(&run->result);
    lambda_buf_done(&run->path);
    lambda_buf_done(&run->error_body);
}

int lambda_run(lambda_init_fn init, lambda_handler_fn handler, void *data) {
    const char *authority = getenv("AWS_LAMBDA_RUNTIME_API");
    struct run run = {.handler = handler, .data = data};
    if (!authority || !lambda_http_client_init(&run.client, authority)) {
        fprintf(stderr, "lambda: AWS_LAMBDA_RUNTIME_API must be host:port, is %s\n",
                authority ? authority : "not set");
        return LAMBDA_EXIT_SETTING;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    catch_sigterm(&run);
    int exit_code = run_init(&run, init);
    while (exit_code == RUNNING)
        exit_code = serve_one(&run);
    close_run(&run);
    return exit_code;
}
