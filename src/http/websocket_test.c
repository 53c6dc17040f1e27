#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "http/test_frames.h"
#include "http/test_peer.h"

enum { MESSAGE_MAX = 100 * 1000 };

struct fixture {
    struct loop_thread thread;
    struct sockaddr_storage address;
    struct http_server *server;
    struct http_request *kept;
    struct http_ws *ws; /* the latest */
    unsigned ping_interval_ms;
    atomic_uint accepted, messages, drains, closes, refused;
    atomic_bool closed;
};

static void on_message(struct http_ws *ws, bool is_text, struct str message, void *data) {
    struct fixture *fixture = data;
    if (str_eq(message, STR("close")))
        http_ws_close(ws, 1008);
    else if (str_eq(message, STR("stop")))
        http_ws_read_stop(ws);
    else
        http_ws_send(ws, is_text, message);
    atomic_fetch_add(&fixture->messages, 1);
}

static void on_drain(struct http_ws *ws, void *data) {
    atomic_fetch_add(&((struct fixture *)data)->drains, 1);
}

static void on_ws_close(struct http_ws *ws, void *data) {
    struct fixture *fixture = data;
    fixture->ws = NULL;
    atomic_fetch_add(&fixture->closes, 1);
}

static void accept_it(struct fixture *fixture, struct http_request *request) {
    static const struct http_ws_events events = {on_message, on_drain, on_ws_close};
    const char *subprotocol = str_eq(request->path, STR("/mqtt")) ? "mqtt" : NULL;
    struct http_ws *ws = http_ws_accept(request, subprotocol, &events, MESSAGE_MAX, fixture);
    if (ws)
        fixture->ws = ws;
    atomic_fetch_add(ws ? &fixture->accepted : &fixture->refused, 1);
}

static void accept_kept(void *data) {
    struct fixture *fixture = data;
    accept_it(fixture, fixture->kept);
}

static void handler(struct http_request *request, void *data) {
    struct fixture *fixture = data;
    if (str_eq(request->path, STR("/later"))) {
        fixture->kept = request;
        atomic_fetch_add(&fixture->accepted, 1);
    } else {
        accept_it(fixture, request);
    }
}

static void open_server(void *data) {
    struct fixture *fixture = data;
    struct http_server_config config = {
        .address = &fixture->address,
        .handler = handler,
        .data = fixture,
        .ping_interval_ms = fixture->ping_interval_ms,
        .name = "test",
    };
    struct err err;
    int failed =
        http_server_open(fixture->thread.loop, &config, &fixture->address, &fixture->server, &err);
    assert_int_equal(failed, 0);
}

static int begin_with(void **state, unsigned ping_interval_ms) {
    struct fixture *fixture = *state = xcalloc(1, sizeof *fixture);
    fixture->ping_interval_ms = ping_interval_ms;
    struct err err;
    assert_int_equal(tcp_address("127.0.0.1:0", &fixture->address, &err), 0);
    loop_thread_start(&fixture->thread, "server");
    loop_call(fixture->thread.loop, open_server, fixture);
    return 0;
}

static int begin(void **state) {
    return begin_with(state, 0);
}

static int begin_pinging(void **state) {
    return begin_with(state, 100);
}

static void on_closed(void *data) {
    ((struct fixture *)data)->closed = true;
}

static void close_server(void *data) {
    struct fixture *fixture = data;
    http_server_close(fixture->server, on_closed, fixture);
    fixture->server = NULL;
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

#define UPGRADE                                                                                    \
    "Host: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"                         \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

/* A peer whose handshake is done; what came behind it is in `ret_rest`. */
static int open_ws(struct fixture *fixture, struct buf *ret_rest) {
    int fd = peer_connect(&fixture->address);
    peer_send(fd, STR("GET / HTTP/1.1\r\n" UPGRADE "\r\n"));
    peer_read_until(fd, ret_rest, "\r\n\r\n");
    assert_int_equal(peer_count(ret_rest, "HTTP/1.1 101 Switching Protocols\r\n"), 1);
    /* The sample of RFC 6455 section 1.3. */
    assert_int_equal(peer_count(ret_rest, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
                     1);
    buf_clear(ret_rest);
    return fd;
}

static void read_exactly(int fd, struct buf *text, size_t len) {
    while (buf_len(text) < len)
        assert_true(peer_read(fd, text) > 0);
    assert_int_equal(buf_len(text), len);
}

static void messages_are_echoed_whatever_their_pieces(void **state) {
    struct buf in = {0}, out = {0};
    int fd = open_ws(*state, &in);
    frame_add(&out, FRAME_TEXT, false, STR("hel"));
    frame_add(&out, FRAME_PING, true, STR("p"));
    frame_add(&out, FRAME_MORE, true, STR("lo"));
    frame_add(&out, FRAME_BINARY, true, STR("\x01\x02"));
    for (struct str rest = buf_str(&out); rest.len; rest = str_skip(rest, 1))
        peer_send(fd, (struct str){rest.at, 1});
    read_exactly(fd, &in, 3 + 7 + 4);
    assert_memory_equal(buf_at(&in), "\x8a\x01p\x81\x05hello\x82\x02\x01\x02", 14);
    close(fd);
    buf_done(&in);
    buf_done(&out);
    await(&((struct fixture *)*state)->closes, 1);
}

static void frames_right_behind_the_handshake_are_read(void **state) {
    struct fixture *fixture = *state;
    struct buf in = {0}, out = {0};
    int fd = peer_connect(&fixture->address);
    buf_add_str(&out, STR("GET /later HTTP/1.1\r\n" UPGRADE "\r\n"));
    frame_add(&out, FRAME_TEXT, true, STR("early"));
    peer_send(fd, buf_str(&out));
    await(&fixture->accepted, 1);
    usleep(20 * 1000);
    loop_call(fixture->thread.loop, accept_kept, fixture);
    peer_read_until(fd, &in, "early");
    close(fd);
    buf_done(&in);
    buf_done(&out);
}

static void improper_handshakes_are_refused(void **state) {
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 426 "},
        {"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 426 "},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
         "HTTP/1.1 426 "},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 8\r\n\r\n",
         "HTTP/1.1 426 "},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n",
         "HTTP/1.1 400 "},
        {"POST / HTTP/1.1\r\n" UPGRADE "\r\n", "HTTP/1.1 400 "},
        {"GET /mqtt HTTP/1.1\r\n" UPGRADE "\r\n", "HTTP/1.1 400 "},
        {"GET /mqtt HTTP/1.1\r\n" UPGRADE "Sec-WebSocket-Protocol: mqttv3.1\r\n\r\n",
         "HTTP/1.1 400 "},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf answer = {0};
        int fd = peer_connect(&fixture->address);
        peer_send(fd, str_of(cases[i].text));
        peer_read_until(fd, &answer, "\r\n\r\n");
        assert_int_equal(peer_count(&answer, cases[i].expected), 1);
        close(fd);
        buf_done(&answer);
    }
    assert_int_equal(fixture->accepted, 0);
    assert_int_equal(fixture->refused, COUNT_OF(cases));
}

static void the_subprotocol_is_confirmed(void **state) {
    struct fixture *fixture = *state;
    struct buf answer = {0};
    int fd = peer_connect(&fixture->address);
    peer_send(fd, STR("GET /mqtt HTTP/1.1\r\n" UPGRADE "Sec-WebSocket-Protocol: x, mqtt\r\n\r\n"));
    peer_read_until(fd, &answer, "\r\n\r\n");
    assert_int_equal(peer_count(&answer, "\r\nSec-WebSocket-Protocol: mqtt\r\n"), 1);
    close(fd);
    buf_done(&answer);
}

static void closing_begins_on_either_side(void **state) {
    struct fixture *fixture = *state;
    struct buf in = {0}, out = {0};
    int fd = open_ws(fixture, &in);
    frame_add(&out, FRAME_CLOSE, true, STR("\x03\xe8"));
    peer_send(fd, buf_str(&out));
    peer_read_all(fd, &in);
    assert_int_equal(buf_len(&in), 4);
    assert_memory_equal(buf_at(&in), "\x88\x02\x03\xe8", 4);
    close(fd);
    await(&fixture->closes, 1);

    buf_clear(&in);
    buf_clear(&out);
    fd = open_ws(fixture, &in);
    frame_add(&out, FRAME_TEXT, true, STR("close"));
    frame_add(&out, FRAME_TEXT, true, STR("unheard"));
    peer_send(fd, buf_str(&out));
    read_exactly(fd, &in, 4);
    assert_memory_equal(buf_at(&in), "\x88\x02\x03\xf0", 4);
    assert_int_equal(fixture->closes, 1);
    buf_clear(&out);
    frame_add(&out, FRAME_CLOSE, true, STR("\x03\xf0"));
    peer_send(fd, buf_str(&out));
    peer_read_all(fd, &in);
    assert_int_equal(buf_len(&in), 4);
    close(fd);
    await(&fixture->closes, 2);
    assert_int_equal(fixture->messages, 1);
    buf_done(&in);
    buf_done(&out);
}

static void a_peer_that_does_not_close_is_cut_off(void **state) {
    struct fixture *fixture = *state;
    struct buf in = {0}, out = {0};
    int fd = open_ws(fixture, &in);
    frame_add(&out, FRAME_TEXT, true, STR("close"));
    peer_send(fd, buf_str(&out));
    peer_read_all(fd, &in);
    assert_int_equal(buf_len(&in), 4);
    close(fd);
    await(&fixture->closes, 1);
    buf_done(&in);
    buf_done(&out);
}

static void violations_are_told_and_end_it(void **state) {
    struct fixture *fixture = *state;
    struct buf in = {0}, out = {0};
    int fd = open_ws(fixture, &in);
    struct str text = {xcalloc(1, MESSAGE_MAX + 1), MESSAGE_MAX + 1};
    frame_add(&out, FRAME_BINARY, true, text);
    peer_send(fd, buf_str(&out));
    peer_read_all(fd, &in);
    assert_int_equal(buf_len(&in), 4);
    assert_memory_equal(buf_at(&in), "\x88\x02\x03\xf1", 4);
    close(fd);
    await(&fixture->closes, 1);
    free((char *)text.at);
    buf_done(&in);
    buf_done(&out);
}

static void a_peer_lives_while_it_answers_pings(void **state) {
    struct fixture *fixture = *state;
    struct buf in = {0}, out = {0};
    int fd = open_ws(fixture, &in);
    frame_add(&out, FRAME_PONG, true, STR("weir"));
    for (int i = 0; i < 4; i++) {
        read_exactly(fd, &in, 6);
        assert_memory_equal(buf_at(&in), "\x89\x04weir", 6);
        buf_clear(&in);
        peer_send(fd, buf_str(&out));
    }
    peer_read_all(fd, &in); /* Unanswered, the next ping is the last. */
    assert_int_equal(buf_len(&in), 6);
    close(fd);
    await(&fixture->closes, 1);
    buf_done(&in);
    buf_done(&out);
}

static void start_reading(void *data) {
    struct fixture *fixture = data;
    unsigned before = fixture->messages;
    http_ws_read_start(fixture->ws);
    assert_int_equal(fixture->messages, before);
}

static void reading_stops_and_starts(void **state) {
    struct fixture *fixture = *state;
    struct buf in = {0}, out = {0};
    int fd = open_ws(fixture, &in);
    frame_add(&out, FRAME_TEXT, true, STR("stop"));
    char text[100] = {0};
    for (int i = 0; i < 100; i++)
        frame_add(&out, FRAME_TEXT, true, (struct str){text, sizeof text});
    peer_send(fd, buf_str(&out));
    await(&fixture->accepted, 1);
    usleep(50 * 1000);
    unsigned before = fixture->messages;
    assert_true(before >= 1 && before < 100);
    loop_call(fixture->thread.loop, start_reading, fixture);
    await(&fixture->messages, 101);
    close(fd);
    buf_done(&in);
    buf_done(&out);
}

static void send_much(void *data) {
    struct fixture *fixture = data;
    struct str text = {xcalloc(1, MESSAGE_MAX), MESSAGE_MAX};
    while (http_ws_pending(fixture->ws) < 16 * 1024 * 1024)
        http_ws_send(fixture->ws, false, text);
    free((char *)text.at);
}

static void what_is_pending_is_told_and_drains(void **state) {
    struct fixture *fixture = *state;
    struct buf in = {0};
    int fd = open_ws(fixture, &in);
    await(&fixture->accepted, 1);
    loop_call(fixture->thread.loop, send_much, fixture);
    usleep(20 * 1000);
    assert_int_equal(fixture->drains, 0);
    for (size_t got = 0; got < 16 * 1024 * 1024;) {
        buf_clear(&in);
        got += peer_read(fd, &in);
    }
    await(&fixture->drains, 1);
    close(fd);
    buf_done(&in);
}

static void the_servers_end_is_announced(void **state) {
    struct fixture *fixture = *state;
    struct buf in = {0}, out = {0};
    int fd = open_ws(fixture, &in);
    loop_call(fixture->thread.loop, close_server, fixture);
    read_exactly(fd, &in, 4);
    assert_memory_equal(buf_at(&in), "\x88\x02\x03\xe9", 4);
    frame_add(&out, FRAME_CLOSE, true, STR("\x03\xe9"));
    peer_send(fd, buf_str(&out));
    await(&fixture->closes, 1);
    close(fd);
    buf_done(&in);
    buf_done(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(messages_are_echoed_whatever_their_pieces),
        TEST(frames_right_behind_the_handshake_are_read),
        TEST(improper_handshakes_are_refused),
        TEST(the_subprotocol_is_confirmed),
        TEST(closing_begins_on_either_side),
        TEST(a_peer_that_does_not_close_is_cut_off),
        TEST(violations_are_told_and_end_it),
        cmocka_unit_test_setup_teardown(a_peer_lives_while_it_answers_pings, begin_pinging, end),
        TEST(reading_stops_and_starts),
        TEST(what_is_pending_is_told_and_drains),
        TEST(the_servers_end_is_announced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
