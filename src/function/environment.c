/*
 * The life of a process. environment_state.h has the states.
 *
 * Happy path: start timer -> process_start() -> INIT, the deadline timer runs for the start ->
 * first `next`: WAITING, the pool hears on_ready -> give: BUSY, the deadline timer runs for the
 * event -> response: BETWEEN, the result goes to its invocation, the deadline timer runs for the
 * way to the next `next` -> WAITING.
 *
 * Failures. Whatever ends a process (time-out, too much memory, a crash, SIGTERM from the pool), it
 * is over only in on_exit(): an event in hand fails there, so a batch is never tried again while
 * the process that had it may still work on it. A process that ends before it has answered anything
 * counts as a failed start; failed starts in a row are further and further apart.
 *
 * Memory. RLIMIT_AS would stop runtimes that reserve address space and never touch it (Go, Node,
 * Java, sanitizers), so the peak of the resident set is looked at while the process runs, every
 * FUNCTION_MEMORY_CHECK_MS, and a process beyond memory_bytes is killed. What it takes between two
 * looks is not bounded by this; a hard bound for all functions is the affair of a cgroup around
 * Weir. Children of the process are not counted.
 */
#include "function/environment.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/backoff.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/json_write.h"
#include "base/log.h"

enum {
    CONNECTIONS_MAX = 16,
    CONNECTION_IDLE_MS = 3600 * 1000, /* longer than any time-out: a runtime keeps its connection */
    MEMORY_LOOK_MS_MIN = 100,
    MESSAGE_CHARS = 160,
};

void function_error_document(struct buf *out, const char *request_id, const char *error_type,
                             const char *message) {
    struct buf text = {0};
    if (request_id)
        buf_printf(&text, "RequestId: %s Error: ", request_id);
    buf_add_str(&text, str_of(message));
    buf_add_str(out, STR("{\"errorType\":"));
    json_write_string(out, str_of(error_type));
    buf_add_str(out, STR(",\"errorMessage\":"));
    json_write_string(out, buf_str(&text));
    buf_add_u8(out, '}');
    buf_done(&text);
}

bool function_environment_move(struct function_environment *environment,
                               enum function_environment_move move) {
    return function_environment_state_after(environment->state, move, &environment->state);
}

static void must_move(struct function_environment *environment,
                      enum function_environment_move move) {
    bool allowed = function_environment_move(environment, move);
    ASSERT(allowed);
}

/* ---- log ---- */

static void log_host(struct function_environment *environment, const char *format,
                     const char *text) {
    char line[128];
    if (!environment->is_logged)
        return;
    snprintf(line, sizeof line, format, text);
    function_log_host(environment->log, str_of(line));
}

static void write_report(struct function_environment *environment) {
    if (!environment->has_report)
        return;
    environment->has_report = false;
    if (!environment->is_logged)
        return;
    log_host(environment, "END RequestId: %s", environment->report_id);
    struct buf line = {0};
    environment->report.memory_peak_bytes = environment->memory_peak_bytes;
    function_log_report(&line, &environment->report);
    function_log_host(environment->log, buf_str(&line));
    buf_done(&line);
}

static void on_line(void *data, bool is_stderr, const char *line, size_t len) {
    struct function_environment *environment = data;
    function_log_line(environment->log, str_from(line, len));
}

/* ---- ends ---- */

static void kill_process(struct function_environment *environment, enum function_end end) {
    if (!function_environment_move(environment, MOVE_KILL))
        return;
    if (environment->end == FUNCTION_END_NONE)
        environment->end = end;
    timer_stop(&environment->deadline);
    process_signal(environment->process, SIGKILL);
}

static void look_at_memory(struct function_environment *environment) {
    environment->memory_looked_ms = loop_now_ms(environment->loop);
    long peak = process_memory_peak_bytes(environment->process);
    if (peak > environment->memory_peak_bytes)
        environment->memory_peak_bytes = peak;
}

static void on_memory_timer(struct timer *timer) {
    struct function_environment *environment =
        CONTAINER_OF(timer, struct function_environment, memory);
    look_at_memory(environment);
    if (environment->memory_peak_bytes <= environment->config->memory_bytes ||
        environment->end != FUNCTION_END_NONE)
        return;
    log_error("function", "%s: process %d used %lld of %lld bytes of memory: killed",
              environment->config->head.name, (int)process_pid(environment->process),
              (long long)environment->memory_peak_bytes,
              (long long)environment->config->memory_bytes);
    kill_process(environment, FUNCTION_END_MEMORY);
}

static void log_timeout(const struct function_environment *environment) {
    char now[CLOCK_RFC3339_BYTES], line[128];
    clock_rfc3339(clock_wall_ms(), now);
    snprintf(line, sizeof line, "%s %s Task timed out after %.2f seconds", now,
             environment->invocation->request_id, (double)environment->config->timeout_ms / 1000);
    function_log_line(environment->log, str_of(line));
}

static void on_deadline(struct timer *timer) {
    struct function_environment *environment =
        CONTAINER_OF(timer, struct function_environment, deadline);
    const char *name = environment->config->head.name;
    switch (environment->state) {
    case ENVIRONMENT_BUSY:
        log_timeout(environment);
        break;
    case ENVIRONMENT_INIT:
        log_error("function", "%s: the start took longer than %d ms: killed", name,
                  FUNCTION_INIT_TIMEOUT_MS);
        break;
    case ENVIRONMENT_BETWEEN:
        log_error("function", "%s: did not ask for the next event within %lld ms: killed", name,
                  (long long)environment->config->timeout_ms);
        break;
    default:
        break;
    }
    kill_process(environment, FUNCTION_END_TIMEOUT);
}

static void set_deadline(struct function_environment *environment, int64_t delay_ms) {
    timer_start(environment->loop, &environment->deadline, (uint64_t)delay_ms, 0, on_deadline);
}

/* What the process came to, in the words of AWS (Invoke API, function errors). */
static const char *describe_end(const struct function_environment *environment, int status,
                                char ret_message[MESSAGE_CHARS]) {
    char text[PROCESS_STATUS_CHARS];
    if (environment->end == FUNCTION_END_TIMEOUT) {
        int64_t limit_ms =
            environment->invocation ? environment->config->timeout_ms : FUNCTION_INIT_TIMEOUT_MS;
        snprintf(ret_message, MESSAGE_CHARS, "Task timed out after %.2f seconds",
                 (double)limit_ms / 1000);
        return "Sandbox.Timedout";
    }
    process_status_text(status, text);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        snprintf(ret_message, MESSAGE_CHARS, "Runtime exited without providing a reason");
    else
        snprintf(ret_message, MESSAGE_CHARS, "Runtime exited with error: %s", text);
    return "Runtime.ExitError";
}

/* The event in hand is done with; its owner may submit it anew within on_result. */
static void end_invocation(struct function_environment *environment,
                           const struct function_result *result) {
    struct function_invocation *invocation = environment->invocation;
    uint64_t duration_ns = clock_mono_ns() - environment->given_ns;
    environment->invocation = NULL;
    memcpy(environment->report_id, invocation->request_id, sizeof environment->report_id);
    environment->has_report = true;
    environment->report = (struct function_report){
        .request_id = environment->report_id,
        .duration_ns = duration_ns,
        .init_ns = environment->answered_count == 0 ? environment->init_ns : 0,
        .memory_bytes = environment->config->memory_bytes,
    };
    environment->answered_count++;
    environment->events->on_result(environment, duration_ns, result);
    invocation->on_result(invocation, result);
}

static void fail_invocation(struct function_environment *environment, const char *type,
                            const char *message) {
    struct buf document = {0};
    function_error_document(&document, environment->invocation->request_id, type, message);
    struct function_result result = {.error_type = type, .payload = buf_str(&document)};
    end_invocation(environment, &result);
    buf_done(&document);
}

static void log_exit(const struct function_environment *environment, const char *message) {
    const char *name = environment->config->head.name;
    if (environment->end == FUNCTION_END_STOPPED)
        return;
    if (environment->init_error_type[0])
        log_error("function", "%s: the start failed: %s: %.*s", name, environment->init_error_type,
                  STR_ARG(buf_str(&environment->init_error)));
    else if (environment->end == FUNCTION_END_NONE)
        log_warn("function", "%s: %s%s", name, message,
                 environment->init_ns ? "" : " before it asked for an event");
}

static struct function_failure failure_of(const struct function_environment *environment,
                                          const char *type, const char *message) {
    if (environment->init_error_type[0])
        return (struct function_failure){.error_type = environment->init_error_type,
                                         .message = message,
                                         .document = buf_str(&environment->init_error)};
    return (struct function_failure){.error_type = type, .message = message};
}

static void on_exit_(void *data, int status) {
    struct function_environment *environment = data;
    char message[MESSAGE_CHARS];
    const char *type = describe_end(environment, status, message);
    bool started = environment->init_ns != 0, answered = environment->answered_count != 0;
    environment->process = NULL;
    timer_stop(&environment->deadline);
    timer_stop(&environment->memory);
    must_move(environment, MOVE_EXIT);
    list_remove(&environment->idle_link);
    if (environment->next)
        http_respond(environment->next, 500, NULL, (struct str){0}, NULL, 0);
    environment->next = NULL;
    log_exit(environment, message);
    if (answered || environment->end == FUNCTION_END_STOPPED)
        environment->start_failures = 0;
    else
        environment->start_failures++;
    if (environment->invocation)
        fail_invocation(environment, type, message);
    write_report(environment);
    struct function_failure failure = failure_of(environment, type, message);
    bool is_failure = !started && environment->end != FUNCTION_END_STOPPED;
    environment->events->on_down(environment, is_failure ? &failure : NULL);
}

/* ---- starting ---- */

static void set_running(struct function_environment *environment, struct process *process) {
    environment->process = process;
    environment->end = FUNCTION_END_NONE;
    environment->answered_count = 0;
    environment->init_ns = 0;
    environment->started_ns = clock_mono_ns();
    environment->memory_peak_bytes = 0;
    environment->memory_looked_ms = 0;
    environment->init_error_type[0] = '\0';
    buf_clear(&environment->init_error);
    must_move(environment, MOVE_START);
    set_deadline(environment, FUNCTION_INIT_TIMEOUT_MS);
    timer_start(environment->loop, &environment->memory, FUNCTION_MEMORY_CHECK_MS,
                FUNCTION_MEMORY_CHECK_MS, on_memory_timer);
    log_debug("function", "%s: process %d started, Runtime API at %s",
              environment->config->head.name, (int)process_pid(process), environment->address);
}

static int start_process(struct function_environment *environment, struct process **ret_process,
                         struct err *err) {
    const struct function_config *config = environment->config;
    const char **argv = xcalloc(config->command.count + 1, sizeof *argv);
    memcpy(argv, config->command.items, config->command.count * sizeof *argv);
    function_variables_fill(&environment->variables, environment->host, config,
                            environment->address);
    struct process_config process = {
        .argv = argv,
        .environment = (const char *const *)environment->variables.items,
        .directory = config->directory,
        .on_line = on_line,
        .on_exit = on_exit_,
        .data = environment,
    };
    int failed = process_start(environment->loop, &process, ret_process, err);
    function_variables_done(&environment->variables);
    free(argv);
    return failed;
}

static void on_start(struct timer *timer) {
    struct function_environment *environment =
        CONTAINER_OF(timer, struct function_environment, start);
    struct err err;
    struct process *process;
    if (!start_process(environment, &process, &err)) {
        set_running(environment, process);
        return;
    }
    environment->start_failures++;
    log_error("function", "%s: %s", environment->config->head.name, err.text);
    struct function_failure failure = {.error_type = "Runtime.InvalidEntrypoint",
                                       .message = err.text};
    environment->events->on_down(environment, &failure);
}

static uint64_t restart_delay_ms(unsigned failures) {
    if (!failures)
        return 0;
    return backoff_spread_ms(
        backoff_ms(FUNCTION_RESTART_MS_MIN, FUNCTION_RESTART_MS_MAX, failures));
}

void function_environment_start(struct function_environment *environment) {
    ASSERT(!environment->is_closing);
    if (environment->process || timer_running(&environment->start))
        return;
    timer_start(environment->loop, &environment->start,
                restart_delay_ms(environment->start_failures), 0, on_start);
}

bool function_environment_is_backing_off(const struct function_environment *environment) {
    return !environment->process && environment->start_failures > 0;
}

/* ---- events ---- */

static void make_trace_id(struct function_environment *environment) {
    uint8_t bytes[20];
    struct buf hex = {0};
    random_bytes(bytes, sizeof bytes);
    hex_write(&hex, str_from(bytes, sizeof bytes));
    const char *digits = buf_cstr(&hex);
    snprintf(environment->trace_id, sizeof environment->trace_id,
             "Root=1-%08x-%.24s;Parent=%.16s;Sampled=0", (unsigned)(clock_wall_ms() / 1000), digits,
             digits + 24);
    buf_done(&hex);
}

void function_environment_on_waiting(struct function_environment *environment) {
    timer_stop(&environment->deadline);
    if (!environment->init_ns) {
        environment->init_ns = clock_mono_ns() - environment->started_ns;
        look_at_memory(environment);
    }
    write_report(environment);
    environment->idle_since_ms = loop_now_ms(environment->loop);
    environment->events->on_ready(environment);
}

void function_environment_on_next_lost(struct function_environment *environment) {
    list_remove(&environment->idle_link);
    set_deadline(environment, environment->config->timeout_ms);
}

void function_environment_give(struct function_environment *environment,
                               struct function_invocation *invocation) {
    struct http_request *next = environment->next;
    must_move(environment, MOVE_GIVE);
    list_remove(&environment->idle_link);
    environment->next = NULL;
    environment->invocation = invocation;
    environment->given_ns = clock_mono_ns();
    environment->deadline_ms = clock_wall_ms() + (uint64_t)environment->config->timeout_ms;
    make_trace_id(environment);
    environment->is_logged = function_log_host_begin(environment->log);
    log_host(environment, "START RequestId: %s Version: $LATEST", invocation->request_id);
    set_deadline(environment, environment->config->timeout_ms);
    function_runtime_api_give(environment, next);
}

void function_environment_on_answer(struct function_environment *environment,
                                    const struct function_result *result) {
    if (loop_now_ms(environment->loop) >= environment->memory_looked_ms + MEMORY_LOOK_MS_MIN)
        look_at_memory(environment);
    set_deadline(environment, environment->config->timeout_ms);
    end_invocation(environment, result);
}

/* ---- stopping and closing ---- */

void function_environment_stop(struct function_environment *environment) {
    if (environment->state == ENVIRONMENT_DOWN) {
        timer_stop(&environment->start);
    } else if (environment->state == ENVIRONMENT_BUSY) {
        kill_process(environment, FUNCTION_END_STOPPED);
    } else if (environment->state != ENVIRONMENT_ENDING) {
        must_move(environment, MOVE_KILL);
        environment->end = FUNCTION_END_STOPPED;
        list_remove(&environment->idle_link);
        set_deadline(environment, FUNCTION_STOP_MS);
        process_signal(environment->process, SIGTERM);
    }
}

static void release(struct function_environment *environment) {
    if (--environment->open_handles)
        return;
    void (*closed)(struct function_environment * environment) = environment->closed;
    list_remove(&environment->link);
    buf_done(&environment->init_error);
    closed(environment);
    free(environment);
}

static void on_server_closed(void *data) {
    release(data);
}

static void on_start_closed(struct timer *timer) {
    release(CONTAINER_OF(timer, struct function_environment, start));
}

static void on_deadline_closed(struct timer *timer) {
    release(CONTAINER_OF(timer, struct function_environment, deadline));
}

static void on_memory_closed(struct timer *timer) {
    release(CONTAINER_OF(timer, struct function_environment, memory));
}

void function_environment_close(struct function_environment *environment,
                                void (*closed)(struct function_environment *environment)) {
    ASSERT(!environment->process && !environment->is_closing);
    environment->is_closing = true;
    environment->closed = closed;
    environment->open_handles = 4;
    timer_close(&environment->start, on_start_closed);
    timer_close(&environment->deadline, on_deadline_closed);
    timer_close(&environment->memory, on_memory_closed);
    http_server_close(environment->server, on_server_closed, environment);
}

int function_environment_open(struct loop *loop, const struct function_host_config *host,
                              const struct function_config *config,
                              const struct function_environment_events *events,
                              struct function_log *log, void *pool,
                              struct function_environment **ret_environment, struct err *err) {
    struct function_environment *environment = xcalloc(1, sizeof *environment);
    struct sockaddr_storage address;
    *environment = (struct function_environment){
        .loop = loop,
        .host = host,
        .config = config,
        .events = events,
        .log = log,
        .pool = pool,
    };
    int failed = tcp_address("127.0.0.1:0", &address, err);
    struct http_server_config server = {
        .address = &address,
        .handler = function_runtime_api_handle,
        .data = environment,
        .body_bytes_max = FUNCTION_RESPONSE_BYTES_MAX,
        .hand_over_too_large = true,
        .connections_max = CONNECTIONS_MAX,
        .idle_timeout_ms = CONNECTION_IDLE_MS,
        .name = "runtime",
    };
    if (!failed)
        failed = http_server_open(loop, &server, &address, &environment->server, err);
    if (failed) {
        free(environment);
        return failed;
    }
    tcp_address_text(&address, environment->address);
    *ret_environment = environment;
    return 0;
}
