/* MQTT over WebSocket over TCP, with frames written by hand. */
#include "mqtt/websocket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "mqtt/rig_test.h"

static struct rig rig;
static struct mqtt_listener_config listener;
static struct sockaddr_storage address;
static int fd;
static struct buf in;

static int set_up(void **state) {
    struct err err;
    rig_init(&rig);
    rig_start(&rig);
    listener = (struct mqtt_listener_config){.bind = "127.0.0.1:0", .websocket = "true"};
    assert_int_equal(tcp_address(listener.bind, &address, &err), 0);
    assert_int_equal(mqtt_worker_listen(rig.worker, &listener, &address, NULL, &err), 0);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(struct sockaddr_in)), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    buf_clear(&in);
    return 0;
}

static int tear_down(void **state) {
    close(fd);
    rig_turn(&rig);
    uint64_t give_up_ns = clock_mono_ns() + 30 * 1000000000ULL;
    while (!list_empty(&rig.worker->connections) || !list_empty(&rig.worker->newcomers)) {
        assert_true(clock_mono_ns() < give_up_ns);
        rig_turn(&rig);
        usleep(1000);
    }
    rig_done(&rig);
    buf_done(&in);
    return 0;
}

static void say(const void *at, size_t len) {
    assert_int_equal(send(fd, at, len, MSG_NOSIGNAL), len);
}

static bool ended;

static void hear(size_t len) {
    uint64_t give_up_ns = clock_mono_ns() + 30 * 1000000000ULL;
    ended = false;
    while (buf_len(&in) < len && !ended) {
        assert_true(clock_mono_ns() < give_up_ns);
        rig_turn(&rig);
        uint8_t bytes[4096];
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got > 0)
            buf_add(&in, bytes, (size_t)got);
        ended = got == 0;
        usleep(200);
    }
}

static bool has_heard(const char *text) {
    return memmem(buf_at(&in), buf_len(&in), text, strlen(text)) != NULL;
}

#define HANDSHAKE(path, protocol)                                                                  \
    "GET " path                                                                                    \
    " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"            \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" protocol "\r\n"

#define MQTT_PROTOCOL "Sec-WebSocket-Protocol: mqttv3.1, mqtt\r\n"

static void upgrade(void) {
    const char text[] = HANDSHAKE("/mqtt", MQTT_PROTOCOL);
    say(text, sizeof text - 1);
    hear(100);
    assert_true(has_heard("HTTP/1.1 101 ") && has_heard("\r\n\r\n"));
    assert_true(has_heard("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_true(has_heard("Sec-WebSocket-Protocol: mqtt\r\n"));
    buf_clear(&in);
}

/* A masked frame of at most 125 bytes; the mask is zero. */
static void say_frame(uint8_t head, const char *hex) {
    struct buf payload = {0}, frame = {0};
    hex_parse(&payload, hex);
    buf_add_u8(&frame, head);
    buf_add_u8(&frame, (uint8_t)(0x80 | buf_len(&payload)));
    buf_add_u32be(&frame, 0);
    buf_add_str(&frame, buf_str(&payload));
    say(buf_at(&frame), buf_len(&frame));
    buf_done(&payload);
    buf_done(&frame);
}

static void assert_heard(const char *hex) {
    struct buf wanted = {0};
    hex_parse(&wanted, hex);
    hear(buf_len(&wanted));
    bool same = str_eq(buf_str(&in), buf_str(&wanted));
    if (!same)
        print_bytes("received", buf_str(&in));
    assert_true(same);
    buf_clear(&in);
    buf_done(&wanted);
}

enum { BINARY = 0x82, TEXT = 0x81, BEGUN = 0x02, CONTINUED = 0x80, CLOSE = 0x88, PING = 0x89 };

static void packets_may_span_and_share_frames(void **state) {
    upgrade();
    say_frame(BINARY, "10 0e 0004'MQ'");
    say_frame(BEGUN, "'TT'04 02");
    say_frame(CONTINUED, "0000 0002'aa' c0");
    assert_heard("82 04 20 02 00 00");
    say_frame(BINARY, "00 c000");
    assert_heard("82 04 d0 00 d0 00");
    say_frame(PING, "'x'");
    assert_heard("8a 01 'x'");
    say_frame(BINARY, "e0 00");
    assert_heard("88 02 03e8");
}

static void text_ends_the_connection(void **state) {
    upgrade();
    say_frame(TEXT, "'x'");
    assert_heard("88 02 03eb");
    hear(1);
    assert_true(ended);
}

static void a_close_frame_is_answered(void **state) {
    upgrade();
    say_frame(BINARY, "10 0e 0004'MQTT'04 02 0000 0002'aa'");
    assert_heard("82 04 20 02 00 00");
    say_frame(CLOSE, "03e8");
    assert_heard("88 02 03e8");
    hear(1);
    assert_true(ended);
}

static void what_is_no_upgrade_is_answered_in_http(void **state) {
    static const struct {
        const char *text, *answer;
    } cases[] = {
        {HANDSHAKE("/other", MQTT_PROTOCOL), "HTTP/1.1 404 "},
        {HANDSHAKE("/mqtt", ""), "HTTP/1.1 400 "},
        {HANDSHAKE("/mqtt", "Sec-WebSocket-Protocol: chat\r\n"), "HTTP/1.1 400 "},
        {"GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426 "},
        {"\x10\x0e\x00\x04MQTT", "HTTP/1.1 400 "},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        say(cases[i].text, strlen(cases[i].text) + (cases[i].text[0] == 0x10 ? 6 : 0));
        hear(1000);
        assert_true(ended);
        if (!has_heard(cases[i].answer))
            fail_msg("%zu: %.*s", i, STR_ARG(buf_str(&in)));
        tear_down(NULL);
        set_up(NULL);
    }
}

/* What came ahead of the stop waits, and comes when there is room again. */
static void reading_stops_and_goes_on(void **state) {
    upgrade();
    say_frame(BINARY, "10 0e 0004'MQTT'04 02 0000 0002'aa'");
    assert_heard("82 04 20 02 00 00");
    rig.full = true;
    for (int i = 0; i < 3000; i++)
        say_frame(BINARY, "30 20 0004'rule' 'abcdefghijklmnopqrstuvwxyz'");
    say_frame(BINARY, "c000");
    for (int i = 0; i < 200; i++)
        rig_turn(&rig);
    assert_int_equal(metric_get(&rig.worker->metrics.received_qos0), 0);
    rig_make_room(&rig);
    assert_heard("82 02 d000");
    assert_int_equal(metric_get(&rig.worker->metrics.received_qos0), 3000);
}

static void time_runs_for_the_upgrade_too(void **state) {
    say("GET /mqtt HTTP/1.1\r\n", 20);
    for (int i = 0; i < 20; i++) {
        rig_turn(&rig);
        usleep(500);
    }
    for (int i = 0; i < 20; i++)
        wheel_tick(rig.worker);
    hear(1000);
    assert_true(ended);
    assert_int_equal(metric_get(&rig.worker->metrics.refused_timeout), 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(packets_may_span_and_share_frames), TEST(text_ends_the_connection),
        TEST(a_close_frame_is_answered),         TEST(what_is_no_upgrade_is_answered_in_http),
        TEST(reading_stops_and_goes_on),         TEST(time_runs_for_the_upgrade_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
