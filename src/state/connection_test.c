#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/tcp.h"
#include "state/connection.h"

enum { TEST_SECONDS_MAX = 60, BEAT_MS = 100, PEERS_MAX = 16 };

/* Answers everything with what the script says for this connection. */
struct peer {
    struct tcp tcp;
    struct fixture *fixture;
    const char *answer;
};

struct fixture {
    struct loop *loop;
    struct sockaddr_storage listens_on;
    struct tcp_listener *listener;
    const char *const *script; /* answer of each connection; the last stays; NULL: silence */
    unsigned peer_count;
    struct peer peers[PEERS_MAX];
    struct buf heard;

    struct state_address address;
    struct state_connection connection;
    struct turn_hook hook;
    unsigned ups, losses, failed_attempts, beats;
    unsigned wanted_ups, wanted_losses, wanted_attempts;
    char why[200];
};

static void stop_if_reached(struct fixture *fixture) {
    if (fixture->ups >= fixture->wanted_ups && fixture->losses >= fixture->wanted_losses &&
        fixture->failed_attempts >= fixture->wanted_attempts)
        loop_stop(fixture->loop);
}

static void on_up(struct state_connection *connection) {
    struct fixture *fixture = CONTAINER_OF(connection, struct fixture, connection);
    assert_non_null(state_connection_redis(connection));
    fixture->ups++;
    stop_if_reached(fixture);
}

static void on_down(struct state_connection *connection, bool was_up, const char *why) {
    struct fixture *fixture = CONTAINER_OF(connection, struct fixture, connection);
    assert_null(state_connection_redis(connection));
    fixture->losses += was_up;
    fixture->failed_attempts += !was_up;
    snprintf(fixture->why, sizeof fixture->why, "%s", why);
    stop_if_reached(fixture);
}

static void on_pong(redisAsyncContext *redis, void *reply, void *data) {
    if (reply)
        state_connection_heard(data);
}

static void beat(struct state_connection *connection) {
    struct fixture *fixture = CONTAINER_OF(connection, struct fixture, connection);
    fixture->beats++;
    redisAsyncCommand(connection->redis, on_pong, connection, "PING");
}

static const struct state_connection_events events = {on_up, on_down, beat};

static void on_read(struct tcp *tcp, const uint8_t *at, size_t len) {
    struct peer *peer = CONTAINER_OF(tcp, struct peer, tcp);
    buf_add(&peer->fixture->heard, at, len);
    if (peer->answer)
        tcp_write(tcp, peer->answer, strlen(peer->answer));
}

static void on_close(struct tcp *tcp, int reason) {}

static const struct tcp_events peer_events = {.on_read = on_read, .on_close = on_close};

static struct tcp *on_accept(void *data, const struct sockaddr_storage *from) {
    struct fixture *fixture = data;
    assert_true(fixture->peer_count < PEERS_MAX);
    struct peer *peer = &fixture->peers[fixture->peer_count++];
    peer->tcp.events = &peer_events;
    peer->fixture = fixture;
    peer->answer = *fixture->script;
    if (fixture->script[1])
        fixture->script++;
    return &peer->tcp;
}

static int begin(void **state) {
    struct fixture *fixture = *state = xcalloc(1, sizeof *fixture);
    alarm(TEST_SECONDS_MAX);
    fixture->loop = loop_new();
    return 0;
}

static void listen_with(struct fixture *fixture, const char *const *script) {
    assert_int_equal(tcp_address("127.0.0.1:0", &fixture->listens_on, NULL), 0);
    assert_int_equal(tcp_listen(fixture->loop, &fixture->listens_on, NULL, on_accept, fixture,
                                &fixture->listener, NULL),
                     0);
    fixture->script = script;
}

static void connect_to(struct fixture *fixture, const char *before, const char *after) {
    char place[TCP_ADDRESS_CHARS];
    tcp_address_text(&fixture->listens_on, place);
    char *url = xprintf("redis://%s%s%s", before, place, after);
    assert_int_equal(state_address_parse(url, &fixture->address, NULL), 0);
    free(url);
    state_connection_open(&fixture->connection, fixture->loop, &fixture->address, &events, BEAT_MS);
}

/* Until the connection is there. */
static void come_up(struct fixture *fixture, const char *const *script, const char *before,
                    const char *after) {
    listen_with(fixture, script);
    connect_to(fixture, before, after);
    fixture->wanted_ups = 1;
    loop_run(fixture->loop);
}

static void on_connection_closed(struct state_connection *connection) {
    struct fixture *fixture = CONTAINER_OF(connection, struct fixture, connection);
    for (unsigned i = 0; i < fixture->peer_count; i++)
        tcp_close(&fixture->peers[i].tcp);
    tcp_listener_close(fixture->listener);
    loop_stop(fixture->loop);
}

static int end(void **state) {
    struct fixture *fixture = *state;
    if (fixture->connection.phase != CONNECTION_CLOSED) {
        state_connection_close(&fixture->connection, on_connection_closed);
        loop_run(fixture->loop);
    }
    loop_free(fixture->loop);
    state_address_done(&fixture->address);
    buf_done(&fixture->heard);
    free(fixture);
    return 0;
}

static const char *const pong[] = {"+PONG\r\n", NULL};

static void a_redis_that_loads_is_not_up_yet(void **state) {
    struct fixture *fixture = *state;
    static const char *const script[] = {"-LOADING Redis is loading the dataset in memory\r\n",
                                         "-LOADING Redis is loading the dataset in memory\r\n",
                                         "+PONG\r\n", NULL};
    come_up(fixture, script, "", "");
    assert_int_equal(fixture->failed_attempts, 2);
    assert_int_equal(fixture->losses, 0);
    assert_memory_equal(fixture->why, "LOADING", 7);
}

static void what_the_url_says_is_sent(void **state) {
    struct fixture *fixture = *state;
    static const char *const script[] = {"+OK\r\n+OK\r\n+PONG\r\n", NULL};
    come_up(fixture, script, "ann:s%20t@", "/4");
    assert_str(buf_str(&fixture->heard), "*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$3\r\ns t\r\n"
                                         "*2\r\n$6\r\nSELECT\r\n$1\r\n4\r\n"
                                         "*1\r\n$4\r\nPING\r\n");
}

static void a_wrong_password_is_told_and_tried_again(void **state) {
    struct fixture *fixture = *state;
    static const char *const script[] = {"-WRONGPASS invalid\r\n-NOAUTH\r\n", NULL};
    listen_with(fixture, script);
    connect_to(fixture, ":s3cret@", "");
    fixture->wanted_attempts = 3;
    loop_run(fixture->loop);
    assert_int_equal(fixture->ups, 0);
    assert_string_equal(fixture->why, "WRONGPASS invalid");
}

static void a_refused_connection_is_noticed(void **state) {
    struct fixture *fixture = *state;
    listen_with(fixture, NULL);
    tcp_listener_close(fixture->listener);
    fixture->listener = NULL;
    connect_to(fixture, "", "");
    fixture->wanted_attempts = 2;
    loop_run(fixture->loop);
    assert_string_equal(fixture->why, "Connection refused");
}

static void a_host_without_address_is_noticed(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(state_address_parse("redis://no-such-host.invalid", &fixture->address, NULL),
                     0);
    state_connection_open(&fixture->connection, fixture->loop, &fixture->address, &events, BEAT_MS);
    fixture->wanted_attempts = 1;
    loop_run(fixture->loop);
    assert_true(fixture->why[0]);
}

/* A hook runs between the timer that begins the look-up and the poll that could end it. */
static void close_if_resolving(struct turn_hook *hook) {
    struct fixture *fixture = CONTAINER_OF(hook, struct fixture, hook);
    if (fixture->connection.phase == CONNECTION_RESOLVING)
        state_connection_close(&fixture->connection, on_connection_closed);
}

static void closing_while_the_host_is_looked_up_is_orderly(void **state) {
    struct fixture *fixture = *state;
    assert_int_equal(state_address_parse("redis://localhost:1", &fixture->address, NULL), 0);
    state_connection_open(&fixture->connection, fixture->loop, &fixture->address, &events, BEAT_MS);
    fixture->hook.run = close_if_resolving;
    loop_hook_add(fixture->loop, &fixture->hook);
    loop_run(fixture->loop);
    assert_int_equal(fixture->connection.phase, CONNECTION_CLOSED);
    assert_int_equal(fixture->failed_attempts, 0);
}

static void a_peer_that_falls_silent_is_given_up(void **state) {
    struct fixture *fixture = *state;
    come_up(fixture, pong, "", "");
    fixture->peers[0].answer = NULL;
    fixture->wanted_ups = 2;
    fixture->wanted_losses = 1;
    loop_run(fixture->loop);
    assert_string_equal(fixture->why, "it does not answer");
    assert_true(fixture->beats >= 1);
    assert_int_equal(fixture->losses, 1);
}

static void a_peer_that_answers_is_kept(void **state) {
    struct fixture *fixture = *state;
    come_up(fixture, pong, "", "");
    while (fixture->beats < 4)
        uv_run(loop_uv(fixture->loop), UV_RUN_ONCE);
    assert_int_equal(fixture->losses, 0);
    assert_int_equal(fixture->peer_count, 1);
}

static void a_closed_connection_comes_back(void **state) {
    struct fixture *fixture = *state;
    come_up(fixture, pong, "", "");
    tcp_close(&fixture->peers[0].tcp);
    fixture->wanted_ups = 2;
    loop_run(fixture->loop);
    assert_int_equal(fixture->losses, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_redis_that_loads_is_not_up_yet, begin, end),
        cmocka_unit_test_setup_teardown(what_the_url_says_is_sent, begin, end),
        cmocka_unit_test_setup_teardown(a_wrong_password_is_told_and_tried_again, begin, end),
        cmocka_unit_test_setup_teardown(a_refused_connection_is_noticed, begin, end),
        cmocka_unit_test_setup_teardown(a_host_without_address_is_noticed, begin, end),
        cmocka_unit_test_setup_teardown(closing_while_the_host_is_looked_up_is_orderly, begin, end),
        cmocka_unit_test_setup_teardown(a_peer_that_falls_silent_is_given_up, begin, end),
        cmocka_unit_test_setup_teardown(a_peer_that_answers_is_kept, begin, end),
        cmocka_unit_test_setup_teardown(a_closed_connection_comes_back, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
