/* A client made of nghttp2 and a blocking socket against the server on its own thread. */
#include "http/h2.h"
#include "http/test_peer.h"

#include <nghttp2/nghttp2.h>

#include "base/mem.h"

enum { BODY_BYTES_MAX = 100000, LONG_BYTES = 3 * 1000 * 1000, CHUNK_BYTES = 50000 };

struct world {
    struct loop_thread thread;
    struct http_server *server;
    struct sockaddr_storage address;
    _Atomic int aborted;
    _Atomic bool is_closed;
    /* of /long */
    struct http_request *streaming;
    size_t streamed;
    bool was_full;
};

/* ---- the server's side ---- */

static void stream_on(struct world *world) {
    static const uint8_t zeros[CHUNK_BYTES];
    while (world->streamed < LONG_BYTES) {
        if (http_respond_is_full(world->streaming)) {
            world->was_full = true;
            return;
        }
        http_respond_chunk(world->streaming, str_from(zeros, CHUNK_BYTES));
        world->streamed += CHUNK_BYTES;
    }
    struct http_request *request = world->streaming;
    world->streaming = NULL;
    http_respond_end(request);
}

static void on_drain(struct http_request *request) {
    stream_on(request->data);
}

static void on_abort(struct http_request *request) {
    ((struct world *)request->data)->aborted++;
}

static void echo(struct http_request *request) {
    struct buf text = {0};
    const struct http_header extra = {STR("X-Extra"), STR("yes")};
    buf_printf(&text, "%.*s %.*s ? %.*s host=%.*s x-in=%.*s body=%zu", STR_ARG(request->method),
               STR_ARG(request->path), STR_ARG(request->query),
               STR_ARG(http_header(request, "Host")), STR_ARG(http_header(request, "X-In")),
               request->body.len);
    http_respond(request, 200, "text/plain", buf_str(&text), &extra, 1);
    buf_done(&text);
}

static void on_request(struct http_request *request, void *data) {
    struct world *world = data;
    if (str_eq(request->path, STR("/wait"))) {
        request->data = world;
        request->on_abort = on_abort;
    } else if (str_eq(request->path, STR("/long"))) {
        world->streaming = request;
        request->data = world;
        request->on_drain = on_drain;
        http_respond_begin(request, 200, "application/octet-stream", NULL, 0);
        stream_on(world);
    } else {
        echo(request);
    }
}

static void do_open(void *data) {
    struct world *world = data;
    struct sockaddr_storage address;
    assert_int_equal(tcp_address("127.0.0.1:0", &address, NULL), 0);
    const struct http_server_config config = {.address = &address,
                                              .handler = on_request,
                                              .data = world,
                                              .body_bytes_max = BODY_BYTES_MAX,
                                              .http2 = true};
    assert_int_equal(
        http_server_open(world->thread.loop, &config, &world->address, &world->server, NULL), 0);
}

static struct world *world_begin(void) {
    struct world *world = xcalloc(1, sizeof *world);
    alarm(60);
    loop_thread_start(&world->thread, "h2");
    loop_call(world->thread.loop, do_open, world);
    return world;
}

static void on_closed(void *data) {
    ((struct world *)data)->is_closed = true;
}

static void do_close(void *data) {
    struct world *world = data;
    http_server_close(world->server, on_closed, world);
}

static void world_close(struct world *world) {
    loop_call(world->thread.loop, do_close, world);
    for (int i = 0; !world->is_closed && i < 20000; i++)
        usleep(1000);
    assert_true(world->is_closed);
}

static void world_end(struct world *world) {
    world_close(world);
    loop_thread_stop(&world->thread);
    free(world);
}

/* ---- the client's side ---- */

struct answer {
    int status;
    bool is_over;
    uint32_t error;
    bool has_extra;
    struct buf body;
    struct str to_send;
};

struct client {
    int fd;
    nghttp2_session *session;
    bool goodbye;
};

static int got_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                      size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                      void *data) {
    struct answer *answer = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (str_eq(str_from(name, name_len), STR(":status")))
        answer->status = atoi((const char *)value);
    answer->has_extra |= str_eq(str_from(name, name_len), STR("x-extra"));
    return 0;
}

static int got_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *at,
                    size_t len, void *data) {
    struct answer *answer = nghttp2_session_get_stream_user_data(session, id);
    buf_add(&answer->body, at, len);
    return 0;
}

static int got_close(nghttp2_session *session, int32_t id, uint32_t error, void *data) {
    struct answer *answer = nghttp2_session_get_stream_user_data(session, id);
    answer->is_over = true;
    answer->error = error;
    return 0;
}

static int got_frame(nghttp2_session *session, const nghttp2_frame *frame, void *data) {
    ((struct client *)data)->goodbye |= frame->hd.type == NGHTTP2_GOAWAY;
    return 0;
}

static void client_open(const struct world *world, struct client *client) {
    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, got_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, got_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, got_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, got_frame);
    client->fd = peer_connect(&world->address);
    client->goodbye = false;
    nghttp2_session_client_new(&client->session, callbacks, client);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(client->session, NGHTTP2_FLAG_NONE, NULL, 0);
}

static void client_done(struct client *client) {
    nghttp2_session_del(client->session);
    close(client->fd);
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *data) {
    struct str *body = source->ptr;
    size_t len = body->len < room ? body->len : room;
    memcpy(to, body->at, len);
    *body = str_skip(*body, len);
    if (!body->len)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)len;
}

static nghttp2_nv field(const char *name, const char *value) {
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), 0};
}

static int32_t ask(struct client *client, const char *method, const char *path, struct str body,
                   struct answer *answer) {
    const nghttp2_nv fields[] = {field(":method", method), field(":scheme", "http"),
                                 field(":authority", "example:1"), field(":path", path),
                                 field("x-in", "in")};
    *answer = (struct answer){.to_send = body};
    nghttp2_data_provider provider = {.source.ptr = &answer->to_send, .read_callback = read_body};
    int32_t id = nghttp2_submit_request(client->session, NULL, fields, COUNT_OF(fields),
                                        body.len ? &provider : NULL, answer);
    assert_true(id > 0);
    return id;
}

static void client_send(struct client *client) {
    const uint8_t *at;
    ssize_t len;
    while ((len = nghttp2_session_mem_send(client->session, &at)) > 0)
        peer_send(client->fd, str_from(at, (size_t)len));
}

/* One round of sending and reading; false at the end of the stream. */
static bool client_turn(struct client *client) {
    struct buf bytes = {0};
    client_send(client);
    size_t got = peer_read(client->fd, &bytes);
    if (got)
        assert_int_equal(nghttp2_session_mem_recv(client->session, buf_at(&bytes), got), got);
    buf_done(&bytes);
    return got;
}

static void wait_over(struct client *client, const struct answer *answer) {
    while (!answer->is_over)
        assert_true(client_turn(client));
}

/* ---- tests ---- */

static void a_request_looks_as_with_http_1(void **state) {
    struct world *world = world_begin();
    struct client client;
    struct answer answer;
    client_open(world, &client);
    ask(&client, "POST", "/a%20b?c=d#e", STR("hello"), &answer);
    wait_over(&client, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.has_extra);
    assert_string_equal(buf_cstr(&answer.body), "POST /a%20b ? c=d host=example:1 x-in=in body=5");
    buf_done(&answer.body);
    client_done(&client);
    world_end(world);
}

static void many_requests_share_a_connection(void **state) {
    enum { COUNT = 200 };
    struct world *world = world_begin();
    struct client client;
    struct answer *answers = xcalloc(COUNT, sizeof *answers);
    char body[9000];
    memset(body, 'b', sizeof body);
    client_open(world, &client);
    for (int i = 0; i < COUNT; i++)
        ask(&client, "POST", "/", str_from(body, sizeof body), &answers[i]);
    for (int i = 0; i < COUNT; i++) {
        wait_over(&client, &answers[i]);
        assert_int_equal(answers[i].status, 200);
        assert_non_null(strstr(buf_cstr(&answers[i].body), "body=9000"));
        buf_done(&answers[i].body);
    }
    free(answers);
    client_done(&client);
    world_end(world);
}

static void http_1_is_still_spoken_and_the_preface_may_come_in_pieces(void **state) {
    struct world *world = world_begin();
    struct buf text = {0};
    int fd = peer_connect(&world->address);
    peer_send(fd, STR("P"));
    usleep(20000);
    peer_send(fd,
              STR("OST /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"));
    peer_read_all(fd, &text);
    assert_int_equal(peer_count(&text, "HTTP/1.1 200 OK"), 1);
    close(fd);
    struct client client;
    struct answer answer;
    client_open(world, &client);
    ask(&client, "GET", "/y", (struct str){0}, &answer);
    const uint8_t *at;
    ssize_t len = nghttp2_session_mem_send(client.session, &at);
    assert_int_equal(len, 24); /* the preface */
    for (ssize_t i = 0; i < len; i++) {
        peer_send(client.fd, str_from(at + i, 1));
        usleep(1000);
    }
    wait_over(&client, &answer);
    assert_int_equal(answer.status, 200);
    buf_done(&answer.body);
    buf_done(&text);
    client_done(&client);
    world_end(world);
}

static void what_is_too_large_is_refused_alone(void **state) {
    struct world *world = world_begin();
    struct client client;
    struct answer large, small;
    char *body = xcalloc(1, BODY_BYTES_MAX + 1);
    client_open(world, &client);
    ask(&client, "POST", "/", str_from(body, BODY_BYTES_MAX + 1), &large);
    ask(&client, "POST", "/", str_from(body, BODY_BYTES_MAX), &small);
    wait_over(&client, &large);
    wait_over(&client, &small);
    assert_int_equal(large.status, 413);
    assert_int_equal(small.status, 200);
    buf_done(&large.body);
    buf_done(&small.body);
    free(body);
    client_done(&client);
    world_end(world);
}

static void a_head_is_bounded(void **state) {
    struct world *world = world_begin();
    struct client client;
    struct answer answer;
    char *path = xmalloc(READER_HEAD_BYTES_MAX + 2);
    memset(path, '/', READER_HEAD_BYTES_MAX + 1);
    path[READER_HEAD_BYTES_MAX + 1] = '\0';
    client_open(world, &client);
    ask(&client, "GET", path, (struct str){0}, &answer);
    for (bool open = true; open && !answer.is_over;)
        open = client_turn(&client);
    assert_int_equal(answer.status, 0);
    free(path);
    client_done(&client);
    world_end(world);
}

/* More than fits the stream's buffer and the windows: the handler is stopped and goes on. */
static void long_answers_wait_for_the_peer(void **state) {
    struct world *world = world_begin();
    struct client client;
    struct answer answer;
    client_open(world, &client);
    ask(&client, "GET", "/long", (struct str){0}, &answer);
    client_send(&client);
    usleep(50000);
    wait_over(&client, &answer);
    assert_int_equal(answer.status, 200);
    assert_int_equal(buf_len(&answer.body), LONG_BYTES);
    assert_true(world->was_full);
    buf_done(&answer.body);
    client_done(&client);
    world_end(world);
}

static void wait_aborted(const struct world *world, int count) {
    for (int i = 0; world->aborted < count && i < 10000; i++)
        usleep(1000);
    assert_int_equal(world->aborted, count);
}

static void a_handler_hears_of_a_reset_and_of_the_end(void **state) {
    struct world *world = world_begin();
    struct client client;
    struct answer first, second;
    client_open(world, &client);
    int32_t id = ask(&client, "GET", "/wait", (struct str){0}, &first);
    ask(&client, "GET", "/wait", (struct str){0}, &second);
    client_send(&client);
    usleep(20000);
    nghttp2_submit_rst_stream(client.session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    client_send(&client);
    wait_aborted(world, 1);
    client_done(&client);
    wait_aborted(world, 2);
    world_end(world);
}

static void a_closing_server_says_goodbye(void **state) {
    struct world *world = world_begin();
    struct client client;
    struct answer answer;
    client_open(world, &client);
    ask(&client, "GET", "/wait", (struct str){0}, &answer);
    client_send(&client);
    usleep(20000);
    loop_call(world->thread.loop, do_close, world);
    while (!client.goodbye)
        assert_true(client_turn(&client));
    wait_aborted(world, 1);
    client_done(&client);
    for (int i = 0; !world->is_closed && i < 20000; i++)
        usleep(1000);
    assert_true(world->is_closed);
    loop_thread_stop(&world->thread);
    free(world);
}

static void noise_behind_the_preface_ends_the_connection(void **state) {
    struct world *world = world_begin();
    struct buf text = {0};
    int fd = peer_connect(&world->address);
    peer_send(fd, STR(NGHTTP2_CLIENT_MAGIC "GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    peer_read_all(fd, &text);
    close(fd);
    buf_done(&text);
    world_end(world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_looks_as_with_http_1),
        cmocka_unit_test(many_requests_share_a_connection),
        cmocka_unit_test(http_1_is_still_spoken_and_the_preface_may_come_in_pieces),
        cmocka_unit_test(what_is_too_large_is_refused_alone),
        cmocka_unit_test(a_head_is_bounded),
        cmocka_unit_test(long_answers_wait_for_the_peer),
        cmocka_unit_test(a_handler_hears_of_a_reset_and_of_the_end),
        cmocka_unit_test(a_closing_server_says_goodbye),
        cmocka_unit_test(noise_behind_the_preface_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
