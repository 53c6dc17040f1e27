/* The client against a scripted server on loopback: what it sends, when it sends again, what ends
 * it. */
#include "base/test.h"

#include <stdlib.h>

#include "io/tcp.h"
#include "sense/client.h"

/* A broker of a dozen lines: acknowledges when told to, keeps what it received. */
struct server {
    struct tcp tcp;
    bool connected, mute;
    uint8_t return_code;
    struct buf received;
    unsigned publishes, connections;
};

static struct loop *loop;
static struct server server;
static struct sense_client *client;
static struct tcp_listener *listener;
static struct timer step;
static const char *fatal;
static void (*next_step)(void);

static void answer(struct tcp *tcp, const uint8_t *packet, size_t len) {
    if (packet[0] == 0x10) {
        tcp_write(tcp, (uint8_t[]){0x20, 2, 0, server.return_code}, 4);
    } else if ((packet[0] & 0xf0) == 0x30) {
        size_t topic = (size_t)(packet[2] << 8 | packet[3]);
        server.publishes++;
        if (!server.mute)
            tcp_write(tcp, (uint8_t[]){0x40, 2, packet[4 + topic], packet[5 + topic]}, 4);
    }
}

static void on_read(struct tcp *tcp, const uint8_t *at, size_t len) {
    buf_add(&server.received, at, len);
    while (buf_len(&server.received) >= 2 &&
           buf_len(&server.received) >= 2u + buf_at(&server.received)[1]) {
        size_t whole = 2u + buf_at(&server.received)[1];
        answer(tcp, buf_at(&server.received), whole);
        buf_consume(&server.received, whole);
    }
}

static void on_close(struct tcp *tcp, int reason) {
    server.connected = false;
}

static const struct tcp_events server_events = {.on_read = on_read, .on_close = on_close};

static struct tcp *on_accept(void *data, const struct sockaddr_storage *peer) {
    server.tcp = (struct tcp){.events = &server_events};
    server.connected = true;
    server.connections++;
    buf_clear(&server.received);
    return &server.tcp;
}

static void on_fatal(void *data, const char *why) {
    fatal = why;
}

static void on_client_closed(void *data) {
    client = NULL;
    tcp_listener_close(listener);
    if (server.connected)
        tcp_close(&server.tcp);
    timer_close(&step, NULL);
    loop_stop(loop);
}

static void finish(void) {
    sense_client_close(client, on_client_closed, NULL);
}

static void on_step(struct timer *timer) {
    if (client)
        next_step();
}

/* Runs `body` every few milliseconds until it calls finish(). */
static void run(void (*body)(void)) {
    server = (struct server){.return_code = server.return_code, .mute = server.mute};
    fatal = NULL;
    next_step = body;
    loop = loop_new();
    struct sense_client_config config = {
        .client_id = "test", .host = "127.0.0.1", .on_fatal = on_fatal};
    assert_int_equal(tcp_address("127.0.0.1:0", &config.address, NULL), 0);
    assert_int_equal(tcp_listen(loop, &config.address, NULL, on_accept, NULL, &listener, NULL), 0);
    client = sense_client_new(loop, &config);
    step = (struct timer){0};
    timer_start(loop, &step, 1, 2, on_step);
    loop_run(loop);
    loop_free(loop);
    buf_done(&server.received);
    server.return_code = 0;
    server.mute = false;
}

static void publish_until_ten(void) {
    if (sense_client_acknowledged(client) >= 10)
        finish();
    else
        sense_client_publish(client, STR("a/b"), STR("{\"x\":1}"));
}

static void what_is_published_is_acknowledged(void **state) {
    run(publish_until_ten);
    assert_true(server.publishes >= 10);
}

static void fill_then_finish(void) {
    while (sense_client_publish(client, STR("t"), STR("x")))
        ;
    if (sense_client_inflight(client) == CLIENT_INFLIGHT_MAX &&
        server.publishes == CLIENT_INFLIGHT_MAX)
        finish();
}

static void no_more_than_the_bound_is_under_way(void **state) {
    server.mute = true;
    run(fill_then_finish);
    assert_int_equal(server.publishes, CLIENT_INFLIGHT_MAX);
}

static void break_once(void) {
    if (sense_client_acknowledged(client) == 1) {
        finish();
    } else if (server.publishes == 0) {
        if (sense_client_inflight(client) == 0)
            sense_client_publish(client, STR("t"), STR("x"));
    } else if (server.mute) {
        server.mute = false;
        tcp_close(&server.tcp);
    }
}

static void what_was_under_way_is_sent_again_after_a_break(void **state) {
    server.mute = true;
    run(break_once);
    assert_int_equal(server.connections, 2);
    assert_int_equal(server.publishes, 2);
}

static void until_fatal(void) {
    if (fatal)
        finish();
}

static void a_refusal_for_good_is_reported(void **state) {
    server.return_code = 5;
    run(until_fatal);
    assert_string_equal(fatal, "not authorized");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_published_is_acknowledged),
        cmocka_unit_test(no_more_than_the_bound_is_under_way),
        cmocka_unit_test(what_was_under_way_is_sent_again_after_a_break),
        cmocka_unit_test(a_refusal_for_good_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
