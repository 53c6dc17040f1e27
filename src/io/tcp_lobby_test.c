/* Listeners with PROXY protocol, and listeners that are told to wait. */
#include "base/test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/tcp.h"

#define HEADER                                                                                     \
    "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a\x21\x11\x00\x0c"                             \
    "\x0a\x01\x02\x03\x7f\x00\x00\x01\x30\x39\x07\x5b"

enum { HEADER_BYTES = sizeof HEADER - 1 };

static struct loop *loop;
static struct tcp_listener *listener;
static struct sockaddr_storage address;
static struct tcp server;
static struct buf received;
static char peer_text[TCP_ADDRESS_CHARS], refused_why[128];
static unsigned arrivals, delay_ms, delays;
static bool closed;

static void on_read(struct tcp *tcp, const uint8_t *at, size_t len) {
    buf_add(&received, at, len);
}

static void on_close(struct tcp *tcp, int reason) {
    closed = true;
}

static const struct tcp_events events = {.on_read = on_read, .on_close = on_close};

static struct tcp *on_accept(void *data, const struct sockaddr_storage *peer) {
    tcp_address_text(peer, peer_text);
    if (arrivals++)
        return NULL;
    server = (struct tcp){.events = &events};
    return &server;
}

static void on_refused(void *data, const struct sockaddr_storage *peer, const char *why) {
    assert_true(tcp_address_is_loopback(peer));
    snprintf(refused_why, sizeof refused_why, "%s", why);
}

static unsigned on_delay(void *data) {
    delays++;
    return delay_ms;
}

static void listen_with(bool proxy, unsigned timeout_ms) {
    const struct tcp_listen_options options = {.proxy_protocol = proxy,
                                               .proxy_timeout_ms = timeout_ms,
                                               .on_refused = on_refused,
                                               .delay_ms = on_delay};
    assert_int_equal(tcp_address("127.0.0.1:0", &address, NULL), 0);
    assert_int_equal(tcp_listen_with(loop, &address, &options, on_accept, NULL, &listener, NULL),
                     0);
}

static int set_up(void **state) {
    loop = loop_new();
    arrivals = delay_ms = delays = 0;
    closed = false;
    peer_text[0] = refused_why[0] = '\0';
    return 0;
}

static int tear_down(void **state) {
    if (arrivals && !closed)
        tcp_close(&server);
    tcp_listener_close(listener);
    loop_free(loop);
    buf_done(&received);
    return 0;
}

static int client(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(struct sockaddr_in)), 0);
    return fd;
}

static void send_bytes(int fd, const char *at, size_t len) {
    assert_int_equal(send(fd, at, len, MSG_NOSIGNAL), len);
}

static void turn(void) {
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    usleep(200);
}

#define RUN_UNTIL(condition)                                                                       \
    for (uint64_t give_up_ns_ = clock_mono_ns() + 30 * 1000000000ULL; !(condition); turn())        \
    assert_true(clock_mono_ns() < give_up_ns_)

static void the_source_of_the_header_is_the_peer(void **state) {
    listen_with(true, 10000);
    int fd = client();
    send_bytes(fd, HEADER "hello", HEADER_BYTES + 5);
    RUN_UNTIL(buf_len(&received) == 5);
    assert_string_equal(peer_text, "10.1.2.3:12345");
    assert_memory_equal(buf_at(&received), "hello", 5);
    close(fd);
}

static void a_header_may_come_byte_by_byte(void **state) {
    listen_with(true, 10000);
    int fd = client();
    for (int i = 0; i < HEADER_BYTES; i++) {
        assert_int_equal(arrivals, 0);
        send_bytes(fd, &HEADER[i], 1);
        turn();
        turn();
    }
    RUN_UNTIL(arrivals == 1);
    send_bytes(fd, "x", 1);
    RUN_UNTIL(buf_len(&received) == 1);
    close(fd);
}

static void who_sends_no_header_is_refused(void **state) {
    static const char *const texts[] = {"\x10\x0e", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n"};
    listen_with(true, 10000);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        refused_why[0] = '\0';
        int fd = client();
        send_bytes(fd, texts[i], strlen(texts[i]));
        RUN_UNTIL(refused_why[0]);
        assert_non_null(strstr(refused_why, i ? "version 1" : "no PROXY"));
        close(fd);
    }
    int fd = client();
    refused_why[0] = '\0';
    turn();
    close(fd);
    RUN_UNTIL(refused_why[0]);
    assert_int_equal(arrivals, 0);
}

static void a_header_that_does_not_come_is_waited_for_so_long(void **state) {
    listen_with(true, 1);
    int fd = client();
    RUN_UNTIL(refused_why[0]);
    assert_string_equal(refused_why, "no PROXY header in time");
    char byte;
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    close(fd);
}

static void those_that_wait_end_with_the_listener(void **state) {
    listen_with(true, 10000);
    int fds[3];
    for (int i = 0; i < 3; i++)
        fds[i] = client();
    for (int i = 0; i < 20; i++)
        turn();
    tcp_listener_close(listener);
    listener = NULL;
    for (int i = 0; i < 3; i++) {
        char byte;
        assert_true(recv(fds[i], &byte, 1, 0) <= 0);
        close(fds[i]);
    }
    assert_int_equal(refused_why[0], 0);
}

static void arrivals_wait_while_the_owner_says_so(void **state) {
    delay_ms = 5;
    listen_with(false, 0);
    int fd = client();
    RUN_UNTIL(delays >= 3);
    assert_int_equal(arrivals, 0);
    delay_ms = 0;
    RUN_UNTIL(arrivals == 1);
    close(fd);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_source_of_the_header_is_the_peer),
        TEST(a_header_may_come_byte_by_byte),
        TEST(who_sends_no_header_is_refused),
        TEST(a_header_that_does_not_come_is_waited_for_so_long),
        TEST(those_that_wait_end_with_the_listener),
        TEST(arrivals_wait_while_the_owner_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
