#include "http/rest.h"

#include <stdlib.h>

#include "base/json_write.h"
#include "base/mem.h"

static const char json_type_text[] = "application/json";

/* ---- routes ---- */

static bool is_label(struct str segment) {
    return segment.len > 2 && segment.at[0] == '{';
}

static bool is_greedy(struct str segment) {
    return is_label(segment) && segment.at[segment.len - 2] == '+';
}

/* Segments are what stands behind each '/', so "/a/" has one more than "/a". */
static bool match_path(const char *text, struct str path, struct str labels[REST_LABELS_MAX]) {
    struct str pattern = str_of(text);
    size_t label_count = 0;
    while (str_starts(pattern, STR("/")) && str_starts(path, STR("/"))) {
        size_t wanted_len = str_find(str_skip(pattern, 1), '/');
        struct str wanted = str_from(pattern.at + 1, wanted_len), found = str_skip(path, 1);
        if (!is_greedy(wanted))
            found.len = str_find(found, '/');
        if (is_label(wanted) ? !found.len : !str_eq(wanted, found))
            return false;
        ASSERT(!is_label(wanted) || label_count < REST_LABELS_MAX);
        if (is_label(wanted))
            labels[label_count++] = found;
        pattern = str_skip(pattern, 1 + wanted.len);
        path = str_skip(path, 1 + found.len);
    }
    return !pattern.len && !path.len;
}

bool rest_find(const struct rest_service *const *services, size_t count, struct str method,
               struct str path, struct rest_match *ret_match) {
    *ret_match = (struct rest_match){0};
    for (size_t i = 0; i < count; i++) {
        for (const struct rest_route *route = services[i]->routes; route->method; route++) {
            struct str labels[REST_LABELS_MAX] = {{0}};
            if (!match_path(route->path, path, labels))
                continue;
            ret_match->service = services[i];
            if (!str_eq(method, str_of(route->method)))
                continue;
            ret_match->route = route;
            memcpy(ret_match->labels, labels, sizeof labels);
            return true;
        }
    }
    return false;
}

/* ---- the call ---- */

static void on_abort(struct http_request *request) {
    struct rest_call *call = request->data;
    call->request = NULL;
}

struct rest_call *rest_begin(struct http_request *request, const struct rest_match *match,
                             const struct rest_host *host, void *host_data) {
    struct rest_call *call = xcalloc(1, sizeof *call);
    call->request = request;
    call->host = host;
    call->host_data = host_data;
    call->service = match->service;
    call->route = match->route;
    memcpy(call->labels, match->labels, sizeof call->labels);
    random_uuid(call->id);
    request->data = call;
    request->on_abort = on_abort;
    return call;
}

static bool decode(struct rest_call *call, struct str *text) {
    struct buf decoded = {0};
    bool ok = http_percent_decode(*text, &decoded);
    if (ok)
        *text = str_from(arena_strdup(&call->arena, buf_str(&decoded)), buf_len(&decoded));
    buf_done(&decoded);
    return ok;
}

void rest_run(struct rest_call *call) {
    struct http_request *request = call->request;
    if (!call->service) {
        rest_fail(call, 404, "UnknownOperationException", "There is no path %.*s here.",
                  STR_ARG(request->path));
        return;
    }
    if (!call->route) {
        rest_fail(call, 405, "MethodNotAllowedException", "%.*s cannot be asked with %.*s.",
                  STR_ARG(request->path), STR_ARG(request->method));
        return;
    }
    for (size_t i = 0; i < REST_LABELS_MAX; i++)
        if (call->labels[i].len && !decode(call, &call->labels[i])) {
            rest_fail(call, 400, "InvalidRequestException", "The path %.*s has a bad escape.",
                      STR_ARG(request->path));
            return;
        }
    if (!call->host->is_allowed || call->host->is_allowed(call))
        call->route->run(call);
}

static void end(struct rest_call *call) {
    call->host->ended(call);
    json_done(&call->json);
    buf_done(&call->output);
    arena_done(&call->arena);
    free(call);
}

static void respond(struct rest_call *call, int status, const char *content_type, const char *error,
                    struct str body) {
    struct http_request *request = call->request;
    if (request) {
        request->on_abort = NULL;
        request->data = NULL;
        call->host->respond(call, status, content_type, error, body);
    }
    end(call);
}

void rest_answer(struct rest_call *call, int status) {
    struct str body = buf_str(&call->output);
    respond(call, status, body.len ? json_type_text : NULL, NULL, body);
}

void rest_fail(struct rest_call *call, int status, const char *type, const char *format, ...) {
    struct buf text = {0}, body = {0};
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    buf_add_str(&body, STR("{\"message\":"));
    json_write_string(&body, buf_str(&text));
    json_write_text(&body, "traceId", str_from(call->id, sizeof call->id));
    buf_add_u8(&body, '}');
    respond(call, status, json_type_text, type, buf_str(&body));
    buf_done(&text);
    buf_done(&body);
}

/* ---- answers that go on ---- */

static void on_stream_abort(struct http_request *request) {
    struct rest_call *call = request->data;
    call->request = NULL;
    if (call->on_gone)
        call->on_gone(call);
}

void rest_stream_begin(struct rest_call *call, const char *content_type) {
    if (!call->request)
        return;
    call->request->on_abort = on_stream_abort;
    http_respond_begin(call->request, 200, content_type, NULL, 0);
}

void rest_stream_write(struct rest_call *call, struct str bytes) {
    if (call->request)
        http_respond_chunk(call->request, bytes);
}

bool rest_stream_is_full(const struct rest_call *call) {
    return !call->request || http_respond_is_full(call->request);
}

void rest_stream_end(struct rest_call *call) {
    struct http_request *request = call->request;
    if (request) {
        request->on_abort = NULL;
        request->data = NULL;
        http_respond_end(request);
    }
    end(call);
}

/* ---- what handlers ask ---- */

bool rest_query(struct rest_call *call, const char *name, struct str *ret_value) {
    struct buf value = {0};
    bool found = http_query(call->request, name, &value);
    if (found)
        *ret_value = str_from(arena_strdup(&call->arena, buf_str(&value)), buf_len(&value));
    buf_done(&value);
    return found;
}

bool rest_query_number(struct rest_call *call, const char *name, uint64_t min, uint64_t max,
                       uint64_t absent, uint64_t *ret_number) {
    struct str text;
    uint64_t number;
    if (!rest_query(call, name, &text)) {
        *ret_number = absent;
        return true;
    }
    if (!str_to_u64(text, &number) || number < min || number > max) {
        rest_fail(call, 400, "InvalidRequestException",
                  "%s must be a number from %llu to %llu, not \"%.*s\".", name,
                  (unsigned long long)min, (unsigned long long)max, STR_ARG(text));
        return false;
    }
    *ret_number = number;
    return true;
}

bool rest_query_bool(struct rest_call *call, const char *name, bool *ret_value) {
    struct str text;
    if (!rest_query(call, name, &text))
        text = STR("false");
    *ret_value = str_eq(text, STR("true"));
    if (*ret_value || str_eq(text, STR("false")))
        return true;
    rest_fail(call, 400, "InvalidRequestException", "%s must be true or false, not \"%.*s\".", name,
              STR_ARG(text));
    return false;
}

bool rest_read_json(struct rest_call *call, struct json_value *ret_root) {
    int code = json_parse(&call->json, call->request->body);
    struct json_value root = json_root(&call->json);
    if (code) {
        rest_fail(call, 400, "InvalidRequestException", "The body is no JSON: %s at byte %zu.",
                  call->json.error_text, call->json.error_at);
        return false;
    }
    if (json_type(root) != JSON_OBJECT) {
        rest_fail(call, 400, "InvalidRequestException", "The body is no JSON object.");
        return false;
    }
    *ret_root = root;
    return true;
}
