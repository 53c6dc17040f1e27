#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "http/test_peer.h"
#include "io/file.h"
#include "io/test_certs.h"

enum { BIG_BYTES = 3 * 1024 * 1024 };

/* Client and server share a loop; what is sent and answered is noted there and read behind
 * `answers`. */
struct fixture {
    struct loop_thread thread;
    struct sockaddr_storage address;
    struct http_server *server;
    struct http_client *client;
    struct http_call_config call;
    struct http_call *under_way;
    struct http_request *kept;
    atomic_uint answers, seen, closed;
    bool cancels_next; /* on_answer cancels `under_way` */
    int status;
    char error[300];
    struct buf body, headers;
    char url[200];
    struct tls_context *tls;
};

static void on_abort(struct http_request *request) {}

static void echo(struct http_request *request) {
    struct buf body = {0};
    buf_printf(&body, "%.*s %.*s|", STR_ARG(request->method), STR_ARG(request->target));
    for (size_t i = 0; i < request->header_count; i++)
        buf_printf(&body, "%.*s: %.*s|", STR_ARG(request->headers[i].name),
                   STR_ARG(request->headers[i].value));
    buf_printf(&body, "[%.*s]", STR_ARG(request->body));
    const struct http_header extra = {STR("X-Extra"), STR("one")};
    http_respond(request, 201, "text/plain", buf_str(&body), &extra, 1);
    buf_done(&body);
}

static void handler(struct http_request *request, void *data) {
    struct fixture *fixture = data;
    if (str_eq(request->path, STR("/never"))) {
        request->on_abort = on_abort;
        fixture->kept = request;
    } else if (str_eq(request->path, STR("/length"))) {
        struct buf body = {0};
        buf_printf(&body, "%zu", request->body.len);
        http_respond(request, 200, NULL, buf_str(&body), NULL, 0);
        buf_done(&body);
    } else if (str_eq(request->path, STR("/big"))) {
        struct str body = {xcalloc(1, BIG_BYTES), BIG_BYTES};
        http_respond(request, 200, NULL, body, NULL, 0);
        free((char *)body.at);
    } else {
        echo(request);
    }
    atomic_fetch_add(&fixture->seen, 1);
}

static void open_all(void *data) {
    struct fixture *fixture = data;
    struct http_server_config config = {
        .address = &fixture->address,
        .handler = handler,
        .data = fixture,
        .tls = fixture->tls,
        .body_bytes_max = BIG_BYTES,
        .name = "test",
    };
    struct err err;
    int failed =
        http_server_open(fixture->thread.loop, &config, &fixture->address, &fixture->server, &err);
    assert_int_equal(failed, 0);
    fixture->client = http_client_new(fixture->thread.loop);
}

static int begin_with(void **state, struct tls_context *tls) {
    struct fixture *fixture = *state = xcalloc(1, sizeof *fixture);
    fixture->tls = tls;
    struct err err;
    assert_int_equal(tcp_address("127.0.0.1:0", &fixture->address, &err), 0);
    loop_thread_start(&fixture->thread, "http");
    loop_call(fixture->thread.loop, open_all, fixture);
    return 0;
}

static int begin(void **state) {
    return begin_with(state, NULL);
}

static char directory[] = "/tmp/weir-http-client-XXXXXX";
static struct test_cert ca;

static int begin_tls(void **state) {
    struct test_cert cert;
    struct tls_context *tls;
    assert_non_null(mkdtemp(directory));
    test_cert_make(&ca, NULL, directory, "ca", NULL);
    test_cert_make(&cert, &ca, directory, "server", "IP:127.0.0.1");
    struct tls_server_config config = {.cert_path = cert.cert_path, .key_path = cert.key_path};
    struct err err;
    assert_int_equal(tls_server_context(&config, &tls, &err), 0);
    test_cert_done(&cert);
    return begin_with(state, tls);
}

static void on_closed(void *data) {
    atomic_fetch_add(&((struct fixture *)data)->closed, 1);
}

static void close_client(void *data) {
    struct fixture *fixture = data;
    http_client_close(fixture->client, on_closed, fixture);
    fixture->client = NULL;
    assert_int_equal(fixture->closed, 0);
}

static void close_server(void *data) {
    struct fixture *fixture = data;
    http_server_close(fixture->server, on_closed, fixture);
}

static int end(void **state) {
    struct fixture *fixture = *state;
    if (fixture->client)
        loop_call(fixture->thread.loop, close_client, fixture);
    await(&fixture->closed, 1);
    loop_call(fixture->thread.loop, close_server, fixture);
    await(&fixture->closed, 2);
    loop_thread_stop(&fixture->thread);
    buf_done(&fixture->body);
    buf_done(&fixture->headers);
    free(fixture);
    return 0;
}

static void on_answer(void *data, const struct http_answer *answer) {
    struct fixture *fixture = data;
    fixture->status = answer->status;
    snprintf(fixture->error, sizeof fixture->error, "%s", answer->error ? answer->error : "");
    buf_clear(&fixture->body);
    buf_add_str(&fixture->body, answer->body);
    buf_clear(&fixture->headers);
    for (size_t i = 0; i < answer->header_count; i++)
        buf_printf(&fixture->headers, "%.*s=%.*s;", STR_ARG(answer->headers[i].name),
                   STR_ARG(answer->headers[i].value));
    if (fixture->cancels_next)
        http_call_cancel(fixture->under_way);
    atomic_fetch_add(&fixture->answers, 1);
}

static void send_call(void *data) {
    struct fixture *fixture = data;
    unsigned before = fixture->answers;
    fixture->under_way = http_client_send(fixture->client, &fixture->call, on_answer, fixture);
    assert_int_equal(fixture->answers, before);
}

static void set_url(struct fixture *fixture, const struct sockaddr_storage *address,
                    const char *path) {
    char text[TCP_ADDRESS_CHARS];
    tcp_address_text(address, text);
    snprintf(fixture->url, sizeof fixture->url, "%s://%s%s", fixture->tls ? "https" : "http", text,
             path);
    fixture->call.url = fixture->url;
}

/* Sends fixture->call to `path` and waits for its answer. */
static void call(struct fixture *fixture, const char *method, const char *path) {
    unsigned before = fixture->answers;
    set_url(fixture, &fixture->address, path);
    fixture->call.method = method;
    loop_call(fixture->thread.loop, send_call, fixture);
    await(&fixture->answers, before + 1);
}

static void requests_go_out_as_given(void **state) {
    struct fixture *fixture = *state;
    const struct http_header headers[] = {
        {STR("X-One"), STR("a  b")}, {STR("X-Empty"), STR("")}, {STR("Content-Type"), STR("t/t")}};
    fixture->call.headers = headers;
    fixture->call.header_count = 3;
    fixture->call.body = STR("payload");
    call(fixture, "PUT", "/a/../b//%2e%41?x=%2F&y");
    assert_int_equal(fixture->status, 201);
    assert_int_equal(peer_count(&fixture->body, "PUT /a/../b//%2e%41?x=%2F&y|"), 1);
    assert_int_equal(peer_count(&fixture->body, "|X-One: a  b|"), 1);
    assert_int_equal(peer_count(&fixture->body, "|X-Empty: |"), 1);
    assert_int_equal(peer_count(&fixture->body, "|Content-Type: t/t|"), 1);
    assert_int_equal(peer_count(&fixture->body, "|Content-Length: 7|"), 1);
    assert_int_equal(peer_count(&fixture->body, "[payload]"), 1);
    assert_int_equal(peer_count(&fixture->body, "Expect"), 0);
    assert_int_equal(peer_count(&fixture->headers, ";X-Extra=one;"), 1);
}

static void every_method_is_framed_well(void **state) {
    struct fixture *fixture = *state;
    static const struct {
        const char *method, *body, *expected;
    } cases[] = {
        {"GET", "", "GET /m|"},    {"DELETE", "", "DELETE /m|"},  {"POST", "", "POST /m|"},
        {"POST", "b", "POST /m|"}, {"DELETE", "b", "DELETE /m|"}, {"PUT", "", "PUT /m|"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        fixture->call.body = str_of(cases[i].body);
        call(fixture, cases[i].method, "/m");
        assert_int_equal(fixture->status, 201);
        assert_int_equal(peer_count(&fixture->body, cases[i].expected), 1);
        assert_int_equal(peer_count(&fixture->body, "Transfer-Encoding"), 0);
        assert_int_equal(peer_count(&fixture->body, "[b]"), cases[i].body[0] != 0);
    }
    fixture->call.body = (struct str){0};
    call(fixture, "HEAD", "/m");
    assert_int_equal(fixture->status, 201);
    assert_int_equal(buf_len(&fixture->body), 0);
}

static void a_large_body_is_sent_whole(void **state) {
    struct fixture *fixture = *state;
    struct str body = {xcalloc(1, BIG_BYTES), BIG_BYTES};
    fixture->call.body = body;
    call(fixture, "PUT", "/length");
    assert_string_equal(buf_cstr(&fixture->body), "3145728");
    free((char *)body.at);
}

static void a_large_answer_is_cut(void **state) {
    struct fixture *fixture = *state;
    fixture->call.answer_bytes_max = 100;
    call(fixture, "GET", "/big");
    assert_int_equal(fixture->status, 200);
    assert_int_equal(buf_len(&fixture->body), 100);
    fixture->call.answer_bytes_max = BIG_BYTES;
    call(fixture, "GET", "/big");
    assert_int_equal(buf_len(&fixture->body), BIG_BYTES);
}

static void nobody_there_is_an_error(void **state) {
    struct fixture *fixture = *state;
    struct sockaddr_in free_port = {.sin_family = AF_INET,
                                    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof free_port;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* Bound, but nobody listens. */
    assert_int_equal(bind(fd, (struct sockaddr *)&free_port, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&free_port, &size), 0);
    memcpy(&fixture->address, &free_port, sizeof free_port);
    call(fixture, "GET", "/");
    assert_int_equal(fixture->status, 0);
    assert_true(fixture->error[0]);
    close(fd);
}

static void a_bad_url_is_an_error(void **state) {
    struct fixture *fixture = *state;
    fixture->call = (struct http_call_config){.method = "GET", .url = "ftp://127.0.0.1/"};
    loop_call(fixture->thread.loop, send_call, fixture);
    await(&fixture->answers, 1);
    assert_int_equal(fixture->status, 0);
    assert_true(fixture->error[0]);
}

static void a_server_that_says_nothing_is_given_up(void **state) {
    struct fixture *fixture = *state;
    fixture->call.stall_timeout_ms = 1000;
    call(fixture, "GET", "/never");
    assert_int_equal(fixture->status, 0);
    assert_true(fixture->error[0]);
}

static void cancel_call(void *data) {
    struct fixture *fixture = data;
    http_call_cancel(fixture->under_way);
}

static void a_cancelled_call_is_silent(void **state) {
    struct fixture *fixture = *state;
    set_url(fixture, &fixture->address, "/never");
    fixture->call.method = "GET";
    loop_call(fixture->thread.loop, send_call, fixture);
    await(&fixture->seen, 1);
    loop_call(fixture->thread.loop, cancel_call, fixture);
    call(fixture, "GET", "/");
    assert_int_equal(fixture->answers, 1);
    assert_int_equal(fixture->status, 201);
}

/* In one turn of the loop, so that the first answer finds the second call under way. */
static void send_pair(void *data) {
    struct fixture *fixture = data;
    set_url(fixture, &fixture->address, "/");
    send_call(fixture);
    set_url(fixture, &fixture->address, "/never");
    send_call(fixture);
    fixture->cancels_next = true;
}

static void stop_cancelling(void *data) {
    struct fixture *fixture = data;
    fixture->cancels_next = false;
}

static void one_call_may_cancel_another(void **state) {
    struct fixture *fixture = *state;
    fixture->call.method = "GET";
    loop_call(fixture->thread.loop, send_pair, fixture);
    await(&fixture->answers, 1);
    loop_call(fixture->thread.loop, stop_cancelling, fixture);
    call(fixture, "GET", "/");
    assert_int_equal(fixture->answers, 2);
}

static void closing_the_client_ends_calls_silently(void **state) {
    struct fixture *fixture = *state;
    set_url(fixture, &fixture->address, "/never");
    fixture->call.method = "GET";
    loop_call(fixture->thread.loop, send_call, fixture);
    await(&fixture->seen, 1);
    loop_call(fixture->thread.loop, close_client, fixture);
    await(&fixture->closed, 1);
    assert_int_equal(fixture->answers, 0);
}

static int end_tls(void **state) {
    struct tls_context *tls = ((struct fixture *)*state)->tls;
    int failed = end(state);
    tls_context_free(tls);
    test_cert_done(&ca);
    return failed | file_remove_tree(directory, NULL);
}

static void a_server_must_prove_who_it_is(void **state) {
    struct fixture *fixture = *state;
    call(fixture, "GET", "/tls");
    assert_int_equal(fixture->status, 0);
    assert_true(fixture->error[0]);
    assert_int_equal(fixture->seen, 0);
    fixture->call.ca_path = ca.cert_path;
    fixture->call.body = STR("sealed");
    call(fixture, "PUT", "/tls");
    assert_int_equal(fixture->status, 201);
    assert_int_equal(peer_count(&fixture->body, "[sealed]"), 1);
}

/* ---- a server that misbehaves: blocking, on the test's own thread ---- */

static int listen_raw(struct sockaddr_storage *ret_address) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *ret_address = (struct sockaddr_storage){0};
    memcpy(ret_address, &address, sizeof address);
    return fd;
}

static void begin_call(struct fixture *fixture, const struct sockaddr_storage *address) {
    set_url(fixture, address, "/");
    fixture->call.method = "POST";
    fixture->call.body = STR("the body");
    loop_call(fixture->thread.loop, send_call, fixture);
}

static int accept_request(int listener, struct buf *request) {
    int fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    peer_read_until(fd, request, "the body");
    return fd;
}

static void a_truncated_answer_is_an_error(void **state) {
    static const char *const answers[] = {
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "rubbish\r\n\r\n",
    };
    struct fixture *fixture = *state;
    struct sockaddr_storage address;
    int listener = listen_raw(&address);
    for (unsigned i = 0; i < COUNT_OF(answers); i++) {
        struct buf request = {0};
        begin_call(fixture, &address);
        int fd = accept_request(listener, &request);
        peer_send(fd, str_of(answers[i]));
        close(fd);
        await(&fixture->answers, i + 1);
        assert_int_equal(fixture->status, 0);
        assert_true(fixture->error[0]);
        buf_done(&request);
    }
    close(listener);
}

static void a_dead_kept_connection_is_replaced(void **state) {
    struct fixture *fixture = *state;
    struct sockaddr_storage address;
    struct buf request = {0};
    int listener = listen_raw(&address);
    begin_call(fixture, &address);
    int first = accept_request(listener, &request);
    peer_send(first, STR("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none"));
    await(&fixture->answers, 1);

    /* The second request comes on the kept connection, which dies with the request on it. */
    begin_call(fixture, &address);
    buf_clear(&request);
    peer_read_until(first, &request, "the body");
    close(first);
    buf_clear(&request);
    int second = accept_request(listener, &request);
    peer_send(second, STR("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
                          "X-A: b\r\n\r\ntwo"));
    await(&fixture->answers, 2);
    assert_int_equal(fixture->status, 200);
    assert_string_equal(buf_cstr(&fixture->body), "two");
    assert_string_equal(buf_cstr(&fixture->headers), "Content-Length=3;X-A=b;");
    close(second);
    close(listener);
    buf_done(&request);
}

static void proxies_are_not_asked_for_loopback(void **state) {
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    call(*state, "GET", "/");
    unsetenv("http_proxy");
    assert_int_equal(((struct fixture *)*state)->status, 201);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(requests_go_out_as_given),
        TEST(every_method_is_framed_well),
        TEST(a_large_body_is_sent_whole),
        TEST(a_large_answer_is_cut),
        TEST(nobody_there_is_an_error),
        TEST(a_bad_url_is_an_error),
        TEST(a_server_that_says_nothing_is_given_up),
        TEST(a_cancelled_call_is_silent),
        TEST(one_call_may_cancel_another),
        TEST(closing_the_client_ends_calls_silently),
        cmocka_unit_test_setup_teardown(a_server_must_prove_who_it_is, begin_tls, end_tls),
        TEST(a_truncated_answer_is_an_error),
        TEST(a_dead_kept_connection_is_replaced),
        TEST(proxies_are_not_asked_for_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
