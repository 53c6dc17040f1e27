/* For tests of actions that speak HTTP: their target, and a server that gives the answers of a
 * list, one per request. */
#ifndef ACTION_HTTP_RIG_TEST_H
#define ACTION_HTTP_RIG_TEST_H

#include "action/raw_server_test.h"
#include "action/target_rig_test.h"

enum { HTTP_ANSWERS_MAX = 32, HTTP_REQUESTS_MAX = 32 };

struct http_rig {
    struct target_rig rig;
    struct raw_server server;
    struct http_client *client;
    /* Bytes; NULL: none at all. `is_cut`: behind them the connection ends. The last one counts for
     * all further requests. */
    struct {
        char *bytes;
        bool is_cut;
    } answers[HTTP_ANSWERS_MAX];
    unsigned answer_count, request_count;
    char *heads[HTTP_REQUESTS_MAX], *bodies[HTTP_REQUESTS_MAX];
    bool is_silent; /* requests are not answered */
    bool is_client_closed;
};

static inline size_t http_rig_body_bytes(const char *head) {
    const char *at = strstr(head, "Content-Length: ");
    return at ? (size_t)atoi(at + strlen("Content-Length: ")) : 0;
}

static inline void http_rig_answer_one(struct http_rig *rig, struct raw_connection *connection) {
    unsigned number = rig->request_count - 1;
    if (rig->is_silent)
        return;
    if (number >= rig->answer_count)
        number = rig->answer_count - 1;
    const char *bytes = rig->answers[number].bytes;
    if (bytes)
        tcp_write(&connection->tcp, bytes, strlen(bytes));
    if (rig->answers[number].is_cut)
        tcp_close_after_flush(&connection->tcp);
}

static inline void http_rig_on_bytes(struct raw_connection *connection) {
    struct http_rig *rig = CONTAINER_OF(connection->server, struct http_rig, server);
    const char *in = buf_cstr(&connection->in), *end = strstr(in, "\r\n\r\n");
    if (!end)
        return;
    struct str head = str_from(in, (size_t)(end - in) + 4);
    char *copy = str_dup(head);
    size_t body_bytes = http_rig_body_bytes(copy);
    if (buf_len(&connection->in) < head.len + body_bytes) {
        free(copy);
        return;
    }
    assert_true(rig->request_count < HTTP_REQUESTS_MAX);
    rig->heads[rig->request_count] = copy;
    rig->bodies[rig->request_count++] = str_dup(str_from(in + head.len, body_bytes));
    buf_clear(&connection->in);
    http_rig_answer_one(rig, connection);
}

static inline void http_rig_add(struct http_rig *rig, char *bytes, bool is_cut) {
    assert_true(rig->answer_count < HTTP_ANSWERS_MAX);
    rig->answers[rig->answer_count].bytes = bytes;
    rig->answers[rig->answer_count++].is_cut = is_cut;
}

static inline void http_rig_answer(struct http_rig *rig, int status, const char *body) {
    char *bytes = xprintf(
        "HTTP/1.1 %d Said\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        status, strlen(body), body);
    http_rig_add(rig, bytes, false);
}

/* So much of an answer, and no more. */
static inline void http_rig_cut(struct http_rig *rig, const char *bytes) {
    http_rig_add(rig, bytes ? xstrdup(bytes) : NULL, true);
}

/* What was asked, and the answers, are forgotten. */
static inline void http_rig_forget(struct http_rig *rig) {
    for (unsigned i = 0; i < rig->answer_count; i++)
        free(rig->answers[i].bytes);
    for (unsigned i = 0; i < rig->request_count; i++) {
        free(rig->heads[i]);
        free(rig->bodies[i]);
    }
    rig->answer_count = rig->request_count = 0;
}

/* The loop, the server and the client; then the target with rig_open(). */
static inline void http_rig_init(struct http_rig *rig) {
    *rig = (struct http_rig){.client = NULL};
    rig_init(&rig->rig);
    raw_server_start(&rig->server, rig->rig.loop, http_rig_on_bytes);
    rig->client = http_client_new(rig->rig.loop);
    rig->rig.services.client = rig->client;
}

/* As rig_open(); in `text` the first %u is the port. */
static inline void http_rig_open(struct http_rig *rig, const struct action_target_kind *kind,
                                 const char *text) {
    const char *at = strstr(text, "%u");
    assert_non_null(at);
    char *settings = xprintf("%.*s%u%s", (int)(at - text), text, rig->server.port, at + 2);
    rig_open(&rig->rig, kind, settings);
    free(settings);
}

static inline void http_rig_begin(struct http_rig *rig, const struct action_target_kind *kind,
                                  const char *text) {
    http_rig_init(rig);
    http_rig_open(rig, kind, text);
}

static inline void http_rig_on_client_closed(void *data) {
    ((struct http_rig *)data)->is_client_closed = true;
}

/* The target is closed. */
static inline void http_rig_done(struct http_rig *rig) {
    http_client_close(rig->client, http_rig_on_client_closed, rig);
    while (!rig->is_client_closed)
        rig_turn(&rig->rig);
    raw_server_stop(&rig->server, rig->rig.loop);
    http_rig_forget(rig);
    rig_done(&rig->rig);
}

static inline void http_rig_end(struct http_rig *rig) {
    rig_close(&rig->rig);
    http_rig_done(rig);
}

/* All items are as if they had never been sent. */
static inline void http_rig_again(struct http_rig *rig) {
    http_rig_forget(rig);
    for (unsigned i = 0; i < RIG_ITEMS; i++) {
        rig->rig.items[i].is_settled = false;
        free(rig->rig.items[i].why);
        rig->rig.items[i].why = NULL;
    }
}

/* A send whose every request is answered like this. */
static inline void http_rig_expect_for(struct http_rig *rig, int status, const char *body,
                                       const char *verdicts) {
    http_rig_again(rig);
    http_rig_answer(rig, status, body);
    rig_send_and_expect(&rig->rig, verdicts);
}

/* A send whose every request is answered with these bytes, and an end of the connection. */
static inline void http_rig_expect_cut(struct http_rig *rig, const char *bytes,
                                       const char *verdicts) {
    http_rig_again(rig);
    http_rig_cut(rig, bytes);
    rig_send_and_expect(&rig->rig, verdicts);
}

#endif
