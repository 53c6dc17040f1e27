/* For tests: a web listener and its state with a real redis-server, on a thread of their own; the
 * test is a blocking client of both. */
#ifndef WEB_TEST_FIXTURE_H
#define WEB_TEST_FIXTURE_H

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "base/mem.h"
#include "base/test.h"
#include "io/file.h"
#include "web/web.h"

enum { FIXTURE_SECONDS_MAX = 100, PEER_TIMEOUT_S = 20 };

struct fixture {
    struct loop_thread thread;
    char *root;
    struct web_config config;
    struct web_live_config live;
    struct state *state;
    struct web *web;
    struct sockaddr_storage address;
    struct err err;
    int code;
    bool is_ready; /* what services.ready says */
    atomic_bool has_state, is_closed;
    redisContext *redis; /* the test's own */
};

static inline bool fixture_ready(void *data, struct buf *why) {
    const struct fixture *fixture = data;
    buf_add_str(why, fixture->is_ready ? STR("\"redis\":true") : STR("\"redis\":false"));
    return fixture->is_ready;
}

static inline void fixture_mqtt(struct http_request *request, void *data) {
    http_respond(request, 200, "text/plain", STR("mqtt here"), NULL, 0);
}

static inline void fixture_open_state(void *data) {
    struct fixture *fixture = data;
    const struct state_config config = {0};
    fixture->code =
        state_open(fixture->thread.loop, &config, fixture->root, &fixture->state, &fixture->err);
}

static inline void fixture_open_web(void *data) {
    struct fixture *fixture = data;
    const struct web_services services = {.state = fixture->state,
                                          .mqtt = fixture_mqtt,
                                          .ready = fixture_ready,
                                          .ready_data = fixture};
    fixture->code = web_open(fixture->thread.loop, &fixture->config, &fixture->live, &services,
                             &fixture->address, &fixture->web, &fixture->err);
}

static inline void fixture_look_state(void *data) {
    struct fixture *fixture = data;
    fixture->has_state = state_ready(fixture->state);
}

static inline void fixture_wait_redis(struct fixture *fixture) {
    for (int i = 0; i < PEER_TIMEOUT_S * 1000; i++) {
        loop_call(fixture->thread.loop, fixture_look_state, fixture);
        if (fixture->has_state)
            return;
        usleep(1000);
    }
    fail_msg("Redis did not come up");
}

static inline struct fixture *fixture_begin(void) {
    struct fixture *fixture = xcalloc(1, sizeof *fixture);
    char root[] = "/tmp/weir-test-XXXXXX";
    alarm(FIXTURE_SECONDS_MAX);
    fixture->root = xstrdup(mkdtemp(root));
    fixture->is_ready = true;
    fixture->config = (struct web_config){.bind = "127.0.0.1:0", .pages_max = 3};
    fixture->live = (struct web_live_config){
        .channel = "sensors", .latest_key = "sensorLatest", .count_key = "sensorCount"};
    loop_thread_start(&fixture->thread, "service");
    loop_call(fixture->thread.loop, fixture_open_state, fixture);
    if (fixture->code)
        fail_msg("%s", fixture->err.text);
    fixture_wait_redis(fixture);
    fixture->redis = redisConnectUnix(state_url_host(fixture->state) + 7);
    assert_int_equal(fixture->redis->err, 0);
    return fixture;
}

static inline void fixture_on_closed(void *data) {
    struct fixture *fixture = data;
    fixture->is_closed = true;
}

static inline void fixture_close_web(void *data) {
    struct fixture *fixture = data;
    web_close(fixture->web, fixture_on_closed, fixture);
}

static inline void fixture_close_state(void *data) {
    struct fixture *fixture = data;
    state_close(fixture->state, fixture_on_closed, fixture);
}

static inline void fixture_close(struct fixture *fixture, void (*close_part)(void *data)) {
    fixture->is_closed = false;
    loop_call(fixture->thread.loop, close_part, fixture);
    for (int i = 0; !fixture->is_closed && i < PEER_TIMEOUT_S * 1000; i++)
        usleep(1000);
    assert_true(fixture->is_closed);
}

static inline void fixture_end(struct fixture *fixture) {
    if (fixture->web)
        fixture_close(fixture, fixture_close_web);
    redisFree(fixture->redis);
    fixture_close(fixture, fixture_close_state);
    loop_thread_stop(&fixture->thread);
    file_remove_tree(fixture->root, NULL);
    free(fixture->root);
    free(fixture);
}

/* One command with up to two binary values. */
static inline void fixture_set(struct fixture *fixture, const char *key, struct str value) {
    redisReply *reply = redisCommand(fixture->redis, "SET %s %b", key, value.at, value.len);
    assert_non_null(reply);
    assert_int_equal(reply->type, REDIS_REPLY_STATUS);
    freeReplyObject(reply);
}

/* What the function does for a batch: the count, the payload, and the news. */
static inline void fixture_change(struct fixture *fixture, struct str latest, unsigned count) {
    char text[16];
    int len = snprintf(text, sizeof text, "%u", count);
    fixture_set(fixture, "sensorLatest", latest);
    fixture_set(fixture, "sensorCount", str_from(text, (size_t)len));
    freeReplyObject(redisCommand(fixture->redis, "PUBLISH sensors x"));
}

/* ---- a blocking client ---- */

static inline void peer_limit(int fd) {
    struct timeval timeout = {.tv_sec = PEER_TIMEOUT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
}

/* `receive_bytes`: of the kernel's buffer; 0: its own choice. */
static inline int peer_connect(const struct fixture *fixture, int receive_bytes) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    peer_limit(fd);
    if (receive_bytes)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    const struct sockaddr *address = (const struct sockaddr *)&fixture->address;
    assert_int_equal(connect(fd, address, sizeof(struct sockaddr_in)), 0);
    return fd;
}

static inline void peer_send(int fd, struct str text) {
    assert_int_equal(send(fd, text.at, text.len, MSG_NOSIGNAL), text.len);
}

/* Appends what came; fails the test at the end of the stream or when nothing comes. */
static inline void peer_read(int fd, struct buf *in) {
    ssize_t got = recv(fd, buf_room(in, 64 * 1024), 64 * 1024, 0);
    if (got <= 0)
        fail_msg("nothing more came (%zd, errno %d) after: %s", got, errno, buf_cstr(in));
    buf_added(in, (size_t)got);
}

static inline void peer_read_until(int fd, struct buf *in, const char *needle) {
    while (!buf_len(in) || !memmem(buf_at(in), buf_len(in), needle, strlen(needle)))
        peer_read(fd, in);
}

/* ---- a WebSocket client ---- */

struct peer_ws {
    int fd;
    struct buf in;
    struct buf message; /* the last one */
    unsigned count;
};

static inline struct peer_ws peer_ws_open_fd(int fd) {
    struct peer_ws ws = {.fd = fd};
    peer_send(fd, STR("GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
    peer_read_until(ws.fd, &ws.in, "\r\n\r\n");
    assert_memory_equal(buf_cstr(&ws.in), "HTTP/1.1 101", 12);
    const char *end = memmem(buf_at(&ws.in), buf_len(&ws.in), "\r\n\r\n", 4);
    buf_consume(&ws.in, (size_t)(end + 4 - (const char *)buf_at(&ws.in)));
    return ws;
}

static inline struct peer_ws peer_ws_open(struct fixture *fixture) {
    return peer_ws_open_fd(peer_connect(fixture, 0));
}

static inline void peer_ws_close(struct peer_ws *ws) {
    close(ws->fd);
    buf_done(&ws->in);
    buf_done(&ws->message);
}

static inline void peer_ws_need(struct peer_ws *ws, size_t len) {
    while (buf_len(&ws->in) < len)
        peer_read(ws->fd, &ws->in);
}

/* Reads one frame (the server sends no fragments) into `message`; returns its opcode. */
static inline unsigned peer_ws_read(struct peer_ws *ws) {
    peer_ws_need(ws, 2);
    const uint8_t *head = buf_at(&ws->in);
    unsigned opcode = head[0] & 15, short_len = head[1] & 127;
    size_t head_len = short_len == 127 ? 10 : short_len == 126 ? 4 : 2, len = 0;
    peer_ws_need(ws, head_len);
    head = buf_at(&ws->in);
    for (size_t i = 2; i < head_len; i++)
        len = len << 8 | head[i];
    len = head_len == 2 ? short_len : len;
    peer_ws_need(ws, head_len + len);
    buf_clear(&ws->message);
    buf_add(&ws->message, buf_at(&ws->in) + head_len, len);
    buf_consume(&ws->in, head_len + len);
    ws->count++;
    return opcode;
}

/* The next state; its text is ws->message. */
static inline const char *peer_ws_next(struct peer_ws *ws) {
    assert_int_equal(peer_ws_read(ws), 1);
    return buf_cstr(&ws->message);
}

/* Reads states until one holds `needle`. */
static inline const char *peer_ws_until(struct peer_ws *ws, const char *needle) {
    while (!strstr(peer_ws_next(ws), needle))
        ;
    return buf_cstr(&ws->message);
}

#endif
