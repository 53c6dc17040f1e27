/*
 * The Lambda Runtime API, version 2018-06-01, as a custom runtime sees it (AWS Lambda developer
 * guide, "Using the Lambda runtime API for custom runtimes").
 *
 *   GET  /2018-06-01/runtime/invocation/next           held until there is an event
 *   POST /2018-06-01/runtime/invocation/ID/response    202; a chunked body may carry an error in
 *                                                      its trailers
 *   POST /2018-06-01/runtime/invocation/ID/error       202
 *   POST /2018-06-01/runtime/init/error                202
 *   GET  /ping                                         200 pong, as the emulator
 *
 * Whether a request is allowed now is the state table's affair (environment_state.c): 403 if not.
 * After that the id in the path must be that of the event in hand: 400 if not. A refused request
 * changes nothing. A response that is too large is refused with 413 and fails the invocation.
 */
#include "function/runtime_api.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/json_write.h"
#include "function/environment.h"

#define API_ROOT "/2018-06-01/runtime/"

struct function_route function_route_of(struct str method, struct str path) {
    struct function_route none = {.kind = FUNCTION_ROUTE_NONE};
    bool is_get = str_eq(method, STR("GET")), is_post = str_eq(method, STR("POST"));
    if (is_get && str_eq(path, STR("/ping")))
        return (struct function_route){.kind = FUNCTION_ROUTE_PING};
    if (!str_starts(path, STR(API_ROOT)))
        return none;
    struct str rest = str_skip(path, strlen(API_ROOT));
    if (is_get && str_eq(rest, STR("invocation/next")))
        return (struct function_route){.kind = FUNCTION_ROUTE_NEXT};
    if (is_post && str_eq(rest, STR("init/error")))
        return (struct function_route){.kind = FUNCTION_ROUTE_INIT_ERROR};
    if (!is_post || !str_starts(rest, STR("invocation/")))
        return none;
    struct str verb;
    struct str id = str_cut(str_skip(rest, strlen("invocation/")), '/', &verb);
    if (str_eq(verb, STR("response")))
        return (struct function_route){.kind = FUNCTION_ROUTE_RESPONSE, .request_id = id};
    if (str_eq(verb, STR("error")))
        return (struct function_route){.kind = FUNCTION_ROUTE_ERROR, .request_id = id};
    return none;
}

static bool is_letter(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

void function_error_type_clean(struct str type, const char *unknown,
                               char ret_type[FUNCTION_ERROR_TYPE_CHARS]) {
    struct str name;
    struct str family = str_cut(type, '.', &name);
    bool good = (str_eq(family, STR("Runtime")) || str_eq(family, STR("Function"))) &&
                name.len >= 2 && name.at[0] >= 'A' && name.at[0] <= 'Z' &&
                type.len < FUNCTION_ERROR_TYPE_CHARS;
    for (size_t i = 0; good && i < name.len; i++)
        good = is_letter(name.at[i]);
    if (!good)
        type = str_of(unknown);
    memcpy(ret_type, type.at, type.len);
    ret_type[type.len] = '\0';
}

/* ---- answers ---- */

static const char json_type[] = "application/json";

static void accept_post(struct http_request *request) {
    http_respond(request, 202, json_type, STR("{\"status\":\"OK\"}\n"), NULL, 0);
}

static void refuse(struct http_request *request, int status, const char *type,
                   const char *message) {
    struct buf body = {0};
    buf_add_str(&body, STR("{\"errorMessage\":"));
    json_write_string(&body, str_of(message));
    buf_add_str(&body, STR(",\"errorType\":"));
    json_write_string(&body, str_of(type));
    buf_add_str(&body, STR("}\n"));
    http_respond(request, status, json_type, buf_str(&body), NULL, 0);
    buf_done(&body);
}

static void refuse_move(struct http_request *request,
                        const struct function_environment *environment,
                        enum function_environment_move move) {
    char message[160];
    snprintf(message, sizeof message,
             "State transition from %s to %s failed for runtime. Error: State transition is not "
             "allowed",
             function_environment_state_name(environment->state),
             function_environment_move_name(move));
    refuse(request, 403, "InvalidStateTransition", message);
}

/* ---- next ---- */

void function_runtime_api_give(struct function_environment *environment,
                               struct http_request *request) {
    const struct function_host_config *host = environment->host;
    char deadline[24];
    snprintf(deadline, sizeof deadline, "%" PRIu64, environment->deadline_ms);
    struct buf arn = {0};
    buf_printf(&arn, "arn:aws:lambda:%s:%s:function:%s", host->region, host->account,
               environment->config->head.name);
    const struct http_header headers[] = {
        {STR("Lambda-Runtime-Aws-Request-Id"), str_of(environment->invocation->request_id)},
        {STR("Lambda-Runtime-Deadline-Ms"), str_of(deadline)},
        {STR("Lambda-Runtime-Invoked-Function-Arn"), buf_str(&arn)},
        {STR("Lambda-Runtime-Trace-Id"), str_of(environment->trace_id)},
    };
    http_respond(request, 200, json_type, environment->invocation->event, headers,
                 COUNT_OF(headers));
    buf_done(&arn);
}

static void on_next_aborted(struct http_request *request) {
    struct function_environment *environment = request->data;
    if (environment->next != request)
        return;
    environment->next = NULL;
    if (function_environment_move(environment, MOVE_NEXT_LOST))
        function_environment_on_next_lost(environment);
}

/* An older `next` that still waits came over a connection that the runtime has given up. */
static void hold_next(struct function_environment *environment, struct http_request *request) {
    struct http_request *older = environment->next;
    environment->next = request;
    request->data = environment;
    request->on_abort = on_next_aborted;
    if (older)
        refuse(older, 403, "InvalidStateTransition", "A newer request for the next event waits");
    else
        function_environment_on_waiting(environment);
}

static void on_next(struct function_environment *environment, struct http_request *request) {
    if (!function_environment_move(environment, MOVE_NEXT))
        refuse_move(request, environment, MOVE_NEXT);
    else if (environment->state == ENVIRONMENT_BUSY)
        function_runtime_api_give(environment, request);
    else
        hold_next(environment, request);
}

/* ---- response and error ---- */

/* The last header of that name: behind a chunked body the trailers come last. */
static struct str last_header(const struct http_request *request, const char *name) {
    for (size_t i = request->header_count; i-- > 0;)
        if (str_eq_nocase(request->headers[i].name, str_of(name)))
            return request->headers[i].value;
    return (struct str){0};
}

/* The error of a stream that broke off in the middle: its document stands in a trailer. */
static struct str trailer_document(const struct http_request *request, struct buf *decoded) {
    struct str text = last_header(request, "Lambda-Runtime-Function-Error-Body");
    return base64_read(decoded, text) && buf_len(decoded) ? buf_str(decoded) : request->body;
}

static void take_response(struct function_environment *environment, struct http_request *request) {
    struct str type = last_header(request, "Lambda-Runtime-Function-Error-Type");
    char clean[FUNCTION_ERROR_TYPE_CHARS];
    struct buf decoded = {0};
    struct function_result result = {.ok = true, .payload = request->body};
    if (type.len) {
        function_error_type_clean(type, "Function.Unknown", clean);
        result = (struct function_result){.error_type = clean,
                                          .payload = trailer_document(request, &decoded)};
    }
    function_environment_on_answer(environment, &result);
    buf_done(&decoded);
    accept_post(request);
}

static void take_error(struct function_environment *environment, struct http_request *request) {
    char clean[FUNCTION_ERROR_TYPE_CHARS];
    function_error_type_clean(http_header(request, "Lambda-Runtime-Function-Error-Type"),
                              "Function.Unknown", clean);
    struct function_result result = {.error_type = clean, .payload = request->body};
    function_environment_on_answer(environment, &result);
    accept_post(request);
}

static void take_too_large(struct function_environment *environment, struct http_request *request) {
    static const char type[] = "Function.ResponseSizeTooLarge";
    struct buf document = {0};
    char message[120];
    snprintf(message, sizeof message,
             "Response payload size exceeded maximum allowed payload size (%d bytes).",
             FUNCTION_RESPONSE_BYTES_MAX);
    function_error_document(&document, NULL, type, message);
    struct function_result result = {.error_type = type, .payload = buf_str(&document)};
    function_environment_on_answer(environment, &result);
    buf_done(&document);
    snprintf(message, sizeof message, "Exceeded maximum allowed payload size (%d bytes).",
             FUNCTION_RESPONSE_BYTES_MAX);
    refuse(request, 413, "RequestEntityTooLarge", message);
}

static bool is_mode_known(const struct http_request *request) {
    struct str mode = http_header(request, "Lambda-Runtime-Function-Response-Mode");
    return !mode.len || str_eq(mode, STR("streaming"));
}

static void on_answer(struct function_environment *environment, struct http_request *request,
                      const struct function_route *route) {
    bool is_response = route->kind == FUNCTION_ROUTE_RESPONSE;
    enum function_environment_move move = is_response ? MOVE_RESPONSE : MOVE_ERROR;
    enum function_environment_state after;
    if (!function_environment_state_after(environment->state, move, &after)) {
        refuse_move(request, environment, move);
    } else if (!str_eq(route->request_id, str_of(environment->invocation->request_id))) {
        refuse(request, 400, "InvalidRequestID", "Invalid request ID");
    } else if (is_response && !is_mode_known(request)) {
        refuse(request, 400, "InvalidFunctionResponseMode", "Invalid function response mode");
    } else {
        function_environment_move(environment, move);
        if (request->is_too_large)
            take_too_large(environment, request);
        else if (is_response)
            take_response(environment, request);
        else
            take_error(environment, request);
    }
}

static void on_init_error(struct function_environment *environment, struct http_request *request) {
    if (!function_environment_move(environment, MOVE_INIT_ERROR)) {
        refuse_move(request, environment, MOVE_INIT_ERROR);
        return;
    }
    function_error_type_clean(http_header(request, "Lambda-Runtime-Function-Error-Type"),
                              "Runtime.Unknown", environment->init_error_type);
    buf_clear(&environment->init_error);
    buf_add_str(&environment->init_error, request->body);
    accept_post(request);
}

void function_runtime_api_handle(struct http_request *request, void *data) {
    struct function_environment *environment = data;
    struct function_route route = function_route_of(request->method, request->path);
    switch (route.kind) {
    case FUNCTION_ROUTE_NEXT:
        on_next(environment, request);
        break;
    case FUNCTION_ROUTE_RESPONSE:
    case FUNCTION_ROUTE_ERROR:
        on_answer(environment, request, &route);
        break;
    case FUNCTION_ROUTE_INIT_ERROR:
        on_init_error(environment, request);
        break;
    case FUNCTION_ROUTE_PING:
        http_respond(request, 200, "text/plain", STR("pong"), NULL, 0);
        break;
    case FUNCTION_ROUTE_NONE:
        refuse(request, 404, "NotFound", "There is nothing of this name and method");
        break;
    }
}
