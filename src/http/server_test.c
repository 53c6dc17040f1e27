#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/metric.h"
#include "http/server.h"
#include "http/test_peer.h"

enum { BIG_BYTES = 12 * 1024 * 1024, BODY_MAX = 100 * 1000 };

/* The server and what its handler keeps; touched on the loop's thread only, but for the atomics. */
struct fixture {
    struct loop_thread thread;
    struct http_server_config config;
    struct sockaddr_storage address;
    struct http_server *server;
    struct http_request *kept;
    atomic_uint handled, aborted;
    atomic_bool closed;
};

static void on_abort(struct http_request *request) {
    struct fixture *fixture = request->data;
    fixture->kept = NULL;
    atomic_fetch_add(&fixture->aborted, 1);
}

static void keep(struct fixture *fixture, struct http_request *request) {
    request->data = fixture;
    request->on_abort = on_abort;
    fixture->kept = request;
}

static void echo(struct http_request *request) {
    struct buf body = {0};
    buf_printf(&body, "%.*s %.*s [%.*s]", STR_ARG(request->method), STR_ARG(request->target),
               STR_ARG(request->body));
    const struct http_header extra = {STR("X-Seen"), http_header(request, "X-Last")};
    http_respond(request, request->is_too_large ? 413 : 200, "text/plain", buf_str(&body), &extra,
                 1);
    buf_done(&body);
}

static void big(struct http_request *request) {
    struct str body = {xcalloc(1, BIG_BYTES), BIG_BYTES};
    http_respond(request, 200, NULL, body, NULL, 0);
    free((char *)body.at);
}

static void handler(struct http_request *request, void *data) {
    struct fixture *fixture = data;
    if (str_eq(request->path, STR("/later")))
        keep(fixture, request);
    else if (str_eq(request->path, STR("/big")))
        big(request);
    else if (str_eq(request->path, STR("/empty")))
        http_respond(request, 204, NULL, (struct str){0}, NULL, 0);
    else
        echo(request);
    atomic_fetch_add(&fixture->handled, 1);
}

static void open_server(void *data) {
    struct fixture *fixture = data;
    struct err err;
    int failed = http_server_open(fixture->thread.loop, &fixture->config, &fixture->address,
                                  &fixture->server, &err);
    assert_int_equal(failed, 0);
}

static int begin_with(void **state, struct http_server_config config) {
    struct fixture *fixture = *state = xcalloc(1, sizeof *fixture);
    struct err err;
    assert_int_equal(tcp_address("127.0.0.1:0", &fixture->address, &err), 0);
    fixture->config = config;
    fixture->config.address = &fixture->address;
    fixture->config.handler = handler;
    fixture->config.data = fixture;
    fixture->config.name = "test";
    fixture->config.body_bytes_max = BODY_MAX;
    loop_thread_start(&fixture->thread, "server");
    loop_call(fixture->thread.loop, open_server, fixture);
    return 0;
}

static int begin(void **state) {
    return begin_with(state, (struct http_server_config){0});
}

static void on_closed(void *data) {
    struct fixture *fixture = data;
    fixture->closed = true;
}

static void close_server(void *data) {
    struct fixture *fixture = data;
    http_server_close(fixture->server, on_closed, fixture);
    fixture->server = NULL;
    assert_false(fixture->closed);
}

static int end(void **state) {
    struct fixture *fixture = *state;
    if (fixture->server)
        loop_call(fixture->thread.loop, close_server, fixture);
    for (int i = 0; !fixture->closed && i < PEER_TIMEOUT_S * 1000; i++)
        usleep(1000);
    assert_true(fixture->closed);
    loop_thread_stop(&fixture->thread);
    free(fixture);
    return 0;
}

/* What the server says to `text`, to the end of the connection. */
static void talk(struct fixture *fixture, struct str text, size_t step, struct buf *ret_answer) {
    int fd = peer_connect(&fixture->address);
    for (; text.len; text = str_skip(text, step))
        peer_send(fd, (struct str){text.at, text.len < step ? text.len : step});
    peer_read_all(fd, ret_answer);
    close(fd);
}

static bool contains(const struct buf *text, const char *needle) {
    return peer_count(text, needle) > 0;
}

#define HEAD(method, path) method " " path " HTTP/1.1\r\nHost: h\r\n"
#define LAST(path)         HEAD("GET", path) "Connection: close\r\n\r\n"

static void requests_in_single_bytes_are_answered(void **state) {
    struct buf answer = {0};
    talk(*state,
         STR(HEAD("POST", "/a?b") "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                                  "3\r\nabc\r\n2\r\nde\r\n0\r\nX-Last: trailer\r\n\r\n"),
         1, &answer);
    assert_true(contains(&answer, "HTTP/1.1 200 OK\r\n"));
    assert_true(contains(&answer, "\r\nDate: "));
    assert_true(contains(&answer, "\r\nX-Seen: trailer\r\n"));
    assert_true(contains(&answer, "\r\nConnection: close\r\n"));
    assert_true(contains(&answer, "\r\n\r\nPOST /a?b [abcde]"));
    buf_done(&answer);
}

static void pipelined_requests_are_answered_in_order(void **state) {
    struct buf answer = {0};
    talk(*state,
         STR(HEAD("GET", "/1") "\r\n" HEAD("POST", "/2") "Content-Length: 3\r\n\r\nGET" HEAD(
             "HEAD", "/3") "\r\n" HEAD("GET", "/empty") "\r\n" LAST("/5")),
         1000, &answer);
    assert_int_equal(peer_count(&answer, "HTTP/1.1 200 OK"), 4);
    assert_int_equal(peer_count(&answer, "HTTP/1.1 204 No Content"), 1);
    assert_true(contains(&answer, "GET /1 []HTTP/1.1 200 OK"));
    assert_true(contains(&answer, "POST /2 [GET]HTTP/1.1 200 OK"));
    assert_true(contains(&answer, "Content-Length: 10\r\nX-Seen: \r\n\r\nHTTP/1.1 204"));
    assert_true(contains(&answer, "GET /5 []"));
    buf_done(&answer);
}

static void respond_kept(void *data) {
    struct fixture *fixture = data;
    struct http_request *request = fixture->kept;
    fixture->kept = NULL;
    http_respond(request, 200, NULL, STR("kept"), NULL, 0);
}

static void requests_wait_behind_one_that_is_answered_later(void **state) {
    struct fixture *fixture = *state;
    int fd = peer_connect(&fixture->address);
    peer_send(fd, STR(HEAD("GET", "/later") "\r\n" HEAD("GET", "/next") "\r\n"));
    await(&fixture->handled, 1);
    peer_send(fd, STR(LAST("/last")));
    usleep(20 * 1000);
    assert_int_equal(fixture->handled, 1);
    loop_call(fixture->thread.loop, respond_kept, fixture);
    struct buf answer = {0};
    peer_read_all(fd, &answer);
    assert_true(contains(&answer, "keptHTTP/1.1 200 OK"));
    assert_true(contains(&answer, "GET /next []HTTP/1.1 200 OK"));
    assert_true(contains(&answer, "GET /last []"));
    close(fd);
    buf_done(&answer);
}

/* How many bytes the server takes without answering. */
static size_t push_until_full(int fd, struct str text, size_t most) {
    size_t sent = 0;
    while (sent < most) {
        ssize_t taken = send(fd, text.at, text.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (taken < 0) {
            usleep(50 * 1000);
            taken = send(fd, text.at, text.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        if (taken < 0)
            break;
        sent += (size_t)taken;
    }
    return sent;
}

static void what_waits_is_bounded(void **state) {
    struct fixture *fixture = *state;
    int fd = peer_connect(&fixture->address);
    peer_send(fd, STR(HEAD("GET", "/later") "\r\n"));
    await(&fixture->handled, 1);
    struct buf lines = {0};
    while (buf_len(&lines) < 64 * 1024)
        buf_add_str(&lines, STR(HEAD("GET", "/") "\r\n"));
    size_t most = 256 * 1024 * 1024;
    assert_true(push_until_full(fd, buf_str(&lines), most) < most);
    buf_done(&lines);
    loop_call(fixture->thread.loop, respond_kept, fixture);
    struct buf answer = {0};
    peer_read_until(fd, &answer, "GET / []HTTP/1.1 200 OK");
    buf_done(&answer);
    close(fd);
}

static void a_peer_that_reads_nothing_stops_its_own_requests(void **state) {
    struct fixture *fixture = *state;
    int fd = peer_connect(&fixture->address);
    for (int i = 0; i < 20; i++)
        peer_send(fd, STR(HEAD("GET", "/big") "\r\n"));
    await(&fixture->handled, 1);
    usleep(100 * 1000);
    assert_true(fixture->handled < 3);
    struct buf answer = {0};
    size_t all = 20 * (size_t)BIG_BYTES, got = 0;
    while (got < all) {
        buf_clear(&answer);
        got += peer_read(fd, &answer);
    }
    await(&fixture->handled, 20);
    buf_done(&answer);
    close(fd);
}

static void a_long_answer_is_whole_before_the_end(void **state) {
    struct buf answer = {0};
    talk(*state, STR(LAST("/big")), 1000, &answer);
    const char *body = memmem(buf_at(&answer), buf_len(&answer), "\r\n\r\n", 4);
    assert_non_null(body);
    assert_int_equal((size_t)((const char *)buf_at(&answer) + buf_len(&answer) - body) - 4,
                     BIG_BYTES);
    buf_done(&answer);
}

static void bad_requests_get_their_status_and_the_end(void **state) {
    struct buf head = {0};
    buf_add_str(&head, STR(HEAD("GET", "/") "X: "));
    memset(buf_room(&head, READER_HEAD_BYTES_MAX), 'x', READER_HEAD_BYTES_MAX);
    buf_added(&head, READER_HEAD_BYTES_MAX);
    const struct {
        struct str text;
        const char *expected;
    } cases[] = {
        {STR("rubbish\r\n\r\n"), "HTTP/1.1 400 Bad Request\r\n"},
        {STR(HEAD("POST", "/") "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
         "HTTP/1.1 400 Bad Request\r\n"},
        {STR(HEAD("POST", "/") "Content-Length: 100001\r\n\r\n"),
         "HTTP/1.1 413 Content Too Large\r\n"},
        {buf_str(&head), "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf answer = {0};
        talk(*state, cases[i].text, 1 << 20, &answer);
        assert_true(contains(&answer, cases[i].expected));
        assert_true(contains(&answer, "\r\nConnection: close\r\n"));
        assert_int_equal(peer_count(&answer, "HTTP/1.1"), 1);
        buf_done(&answer);
    }
    assert_int_equal(((struct fixture *)*state)->handled, 0);
    buf_done(&head);
}

static void an_answer_reaches_a_peer_that_still_sends(void **state) {
    struct fixture *fixture = *state;
    int fd = peer_connect(&fixture->address);
    struct buf body = {0}, answer = {0};
    memset(buf_room(&body, 4 * BODY_MAX), 'x', 4 * BODY_MAX);
    buf_added(&body, 4 * BODY_MAX);
    peer_send(fd, STR(HEAD("POST", "/") "Content-Length: 400000\r\n\r\n"));
    peer_send(fd, buf_str(&body));
    peer_read_all(fd, &answer);
    assert_true(contains(&answer, "HTTP/1.1 413 Content Too Large\r\n"));
    close(fd);
    buf_done(&body);
    buf_done(&answer);
}

static int begin_handing_over(void **state) {
    return begin_with(state, (struct http_server_config){.hand_over_too_large = true});
}

static void a_body_too_large_is_the_handlers_on_demand(void **state) {
    struct fixture *fixture = *state;
    struct buf answer = {0};
    talk(fixture, STR(HEAD("POST", "/x") "X-Last: 1\r\nContent-Length: 100001\r\n\r\nabc"), 1000,
         &answer);
    assert_true(contains(&answer, "HTTP/1.1 413 Content Too Large\r\n"));
    assert_true(contains(&answer, "X-Seen: 1\r\n"));
    assert_true(contains(&answer, "\r\nConnection: close\r\n"));
    assert_true(contains(&answer, "POST /x []"));
    await(&fixture->handled, 1);
    buf_done(&answer);
}

static void expecting_peers_are_told_to_continue(void **state) {
    struct fixture *fixture = *state;
    int fd = peer_connect(&fixture->address);
    struct buf answer = {0};
    peer_send(fd, STR(HEAD("PUT", "/") "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
    peer_read_until(fd, &answer, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(fixture->handled, 0);
    peer_send(fd, STR("abc"));
    peer_read_until(fd, &answer, "PUT / [abc]");
    buf_clear(&answer);
    peer_send(fd, STR(HEAD("PUT", "/") "Expect: 100-continue\r\nContent-Length: 100001\r\n\r\n"));
    peer_read_all(fd, &answer);
    assert_true(contains(&answer, "HTTP/1.1 413 Content Too Large\r\n"));
    assert_false(contains(&answer, "100 Continue"));
    close(fd);
    buf_done(&answer);
}

static void http_1_0_is_spoken_too(void **state) {
    struct fixture *fixture = *state;
    struct buf answer = {0};
    talk(fixture, STR("GET / HTTP/1.0\r\n\r\n"), 1000, &answer);
    assert_true(contains(&answer, "GET / []"));
    buf_clear(&answer);
    int fd = peer_connect(&fixture->address);
    for (int i = 0; i < 2; i++) {
        peer_send(fd, STR("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
        peer_read_until(fd, &answer, "GET / []");
        assert_true(contains(&answer, "\r\nConnection: keep-alive\r\n"));
        buf_clear(&answer);
    }
    close(fd);
    buf_done(&answer);
}

static void a_peer_that_goes_aborts_its_request(void **state) {
    struct fixture *fixture = *state;
    int fd = peer_connect(&fixture->address);
    peer_send(fd, STR(HEAD("GET", "/later") "\r\n"));
    await(&fixture->handled, 1);
    close(fd);
    await(&fixture->aborted, 1);
}

static void closing_the_server_aborts_and_ends_everything(void **state) {
    struct fixture *fixture = *state;
    int idle = peer_connect(&fixture->address), waiting = peer_connect(&fixture->address);
    struct buf answer = {0};
    peer_send(idle, STR(HEAD("GET", "/") "\r\n"));
    peer_read_until(idle, &answer, "GET / []");
    peer_send(waiting, STR(HEAD("GET", "/later") "\r\n"));
    await(&fixture->handled, 2);
    loop_call(fixture->thread.loop, close_server, fixture);
    buf_clear(&answer);
    peer_read_all(idle, &answer);
    peer_read_all(waiting, &answer);
    assert_int_equal(buf_len(&answer), 0);
    close(idle);
    close(waiting);
    await(&fixture->aborted, 1);
    buf_done(&answer);
}

static void close_then_respond(void *data) {
    struct fixture *fixture = data;
    struct http_request *request = fixture->kept;
    close_server(fixture);
    http_respond(request, 200, NULL, STR("too late"), NULL, 0);
}

static void an_answer_after_the_close_is_dropped(void **state) {
    struct fixture *fixture = *state;
    int fd = peer_connect(&fixture->address);
    peer_send(fd, STR(HEAD("GET", "/later") "\r\n"));
    await(&fixture->handled, 1);
    loop_call(fixture->thread.loop, close_then_respond, fixture);
    struct buf answer = {0};
    peer_read_all(fd, &answer);
    assert_int_equal(buf_len(&answer), 0);
    assert_int_equal(fixture->aborted, 0);
    close(fd);
    buf_done(&answer);
}

static int begin_impatient(void **state) {
    return begin_with(state, (struct http_server_config){.idle_timeout_ms = 100});
}

static void slow_heads_and_idle_peers_are_ended(void **state) {
    struct fixture *fixture = *state;
    struct buf answer = {0};
    int idle = peer_connect(&fixture->address);
    peer_read_all(idle, &answer);
    assert_int_equal(buf_len(&answer), 0);
    close(idle);
    int slow = peer_connect(&fixture->address);
    while (!peer_count(&answer, "\r\n\r\n")) {
        send(slow, "G", 1, MSG_NOSIGNAL);
        usleep(10 * 1000);
        ssize_t got = recv(slow, buf_room(&answer, 1000), 1000, MSG_DONTWAIT);
        if (got == 0)
            break;
        if (got > 0)
            buf_added(&answer, (size_t)got);
    }
    close(slow);
    buf_clear(&answer);
    talk(fixture, STR(HEAD("POST", "/") "Content-Length: 10\r\n\r\nabc"), 1000, &answer);
    assert_true(contains(&answer, "HTTP/1.1 408 Request Timeout\r\n"));
    assert_int_equal(fixture->handled, 0);
    buf_done(&answer);
}

static void a_waiting_handler_has_no_time_out(void **state) {
    struct fixture *fixture = *state;
    int fd = peer_connect(&fixture->address);
    struct buf answer = {0};
    peer_send(fd, STR(HEAD("GET", "/later") "\r\n"));
    await(&fixture->handled, 1);
    usleep(500 * 1000);
    loop_call(fixture->thread.loop, respond_kept, fixture);
    peer_read_until(fd, &answer, "kept");
    peer_read_all(fd, &answer); /* And now the idle time runs. */
    close(fd);
    buf_done(&answer);
}

static int begin_small(void **state) {
    return begin_with(state, (struct http_server_config){.connections_max = 2});
}

static void read_refused(void *data) {
    struct fixture *fixture = ((void **)data)[0];
    *(int64_t *)((void **)data)[1] = metric_get(&fixture->server->connections_refused);
}

static void connections_are_bounded(void **state) {
    struct fixture *fixture = *state;
    struct buf answer = {0};
    int fds[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = peer_connect(&fixture->address);
        peer_send(fds[i], STR(HEAD("GET", "/") "\r\n"));
        peer_read_until(fds[i], &answer, "GET / []");
        buf_clear(&answer);
    }
    int refused = peer_connect(&fixture->address);
    assert_int_equal(peer_read(refused, &answer), 0);
    int64_t count = 0;
    loop_call(fixture->thread.loop, read_refused, (void *[]){fixture, &count});
    assert_int_equal(count, 1);
    close(refused);
    close(fds[0]);
    close(fds[1]);
    buf_done(&answer);
}

#define TEST(name)             cmocka_unit_test_setup_teardown(name, begin, end)
#define TEST_WITH(begin, name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(requests_in_single_bytes_are_answered),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(requests_wait_behind_one_that_is_answered_later),
        TEST(what_waits_is_bounded),
        TEST(a_peer_that_reads_nothing_stops_its_own_requests),
        TEST(a_long_answer_is_whole_before_the_end),
        TEST(bad_requests_get_their_status_and_the_end),
        TEST(an_answer_reaches_a_peer_that_still_sends),
        TEST_WITH(begin_handing_over, a_body_too_large_is_the_handlers_on_demand),
        TEST(expecting_peers_are_told_to_continue),
        TEST(http_1_0_is_spoken_too),
        TEST(a_peer_that_goes_aborts_its_request),
        TEST(closing_the_server_aborts_and_ends_everything),
        TEST(an_answer_after_the_close_is_dropped),
        TEST_WITH(begin_impatient, slow_heads_and_idle_peers_are_ended),
        TEST_WITH(begin_impatient, a_waiting_handler_has_no_time_out),
        TEST_WITH(begin_small, connections_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
