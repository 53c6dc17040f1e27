/* Deadlines, with a wheel that the test turns. */
#include "mqtt/rig_plain_test.h"

static struct peer a, b;

static void tick(unsigned seconds) {
    for (unsigned i = 0; i < seconds; i++)
        wheel_tick(rig.worker);
    rig_turn(&rig);
}

static void a_silent_client_is_closed(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, "10 0f 0004'MQTT'05 02 000a 00 0002'aa'");
    assert_received(&a, CONNACK_5);
    tick(15);
    assert_false(a.closed);
    peer_send(&a, "c0 00");
    assert_received(&a, "d0 00");
    tick(15);
    assert_false(a.closed);
    tick(1);
    assert_received(&a, "e0 01 8d");
    assert_true(a.closed);
    peer_done(&a);
}

static void a_packet_that_never_ends_is_silence(void **state) {
    peer_connect_5(&a, &rig, "aa");
    a.connection->keep_alive_s = 10;
    wheel_add(a.connection);
    tick(10);
    peer_send(&a, "30");
    tick(6);
    assert_received(&a, "e0 01 8d");
    peer_done(&a);
}

static void a_long_keep_alive_outlasts_the_wheel(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, "10 0e 0004'MQTT'04 02 0400 0002'aa'");
    assert_received(&a, "20 02 00 00");
    tick(1024 + 512);
    assert_false(a.closed);
    tick(1);
    assert_true(a.closed);
    peer_done(&a);
}

static void connect_must_come_in_time(void **state) {
    peer_open(&a, &rig);
    peer_connect_311(&b, &rig, "bb");
    tick(9);
    peer_send(&a, "10");
    assert_false(a.closed);
    tick(2);
    assert_true(a.closed);
    assert_received(&a, "");
    tick(1000);
    assert_false(b.closed);
    peer_done(&a);
    peer_done(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_silent_client_is_closed),
        RIG_TEST(a_packet_that_never_ends_is_silence),
        RIG_TEST(a_long_keep_alive_outlasts_the_wheel),
        RIG_TEST(connect_must_come_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
