/* For tests and fuzzers: calls of REST services without a server. */
#ifndef HTTP_TEST_REST_H
#define HTTP_TEST_REST_H

#include <stdio.h>
#include <string.h>

#include "http/rest.h"

/* What the last call came to. */
struct test_answer {
    int status; /* 0: there is none yet, or its client was gone */
    char error[64];
    struct buf body;
    unsigned count; /* calls that have ended */
};

static inline void test_respond(struct rest_call *call, int status, const char *content_type,
                                const char *error, struct str body) {
    struct test_answer *answer = call->host_data;
    answer->status = status;
    snprintf(answer->error, sizeof answer->error, "%s", error ? error : "");
    buf_clear(&answer->body);
    buf_add_str(&answer->body, body);
}

static inline void test_ended(struct rest_call *call) {
    ((struct test_answer *)call->host_data)->count++;
}

static inline bool test_answer_has(struct test_answer *answer, const char *text) {
    return strstr(buf_cstr(&answer->body), text) != NULL;
}

/* Of "GET /things/a?limit=1". */
static inline struct http_request test_request(const char *line, const char *body) {
    struct http_request request = {.body = str_of(body)};
    struct str target;
    request.method = str_cut(str_of(line), ' ', &target);
    request.path = str_cut(target, '?', &request.query);
    return request;
}

/* A call that is to be run; the request must live until it has ended. */
static inline struct rest_call *test_begin(const struct rest_service *const *services, size_t count,
                                           struct http_request *request,
                                           struct test_answer *answer) {
    static const struct rest_host host = {.respond = test_respond, .ended = test_ended};
    struct rest_match match;
    rest_find(services, count, request->method, request->path, &match);
    return rest_begin(request, &match, &host, answer);
}

#endif
