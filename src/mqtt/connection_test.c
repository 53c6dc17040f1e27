/* How a connection ends, and what it leaves: its will. */
#include "mqtt/rig_plain_test.h"

static struct peer a, b;

static void connect_with_will(struct peer *peer) {
    peer_open(peer, &rig);
    /* will: delay 9, content type t; topic w, payload "gone", QoS 1, retained */
    peer_send(
        peer,
        "10 22 0004'MQTT'05 2e 0000 00 0002'ww' 09 18 00000009 03 0001't' 0001'w' 0004'gone'");
    assert_received(peer, CONNACK_5);
}

static void a_will_is_published_unless_the_client_says_good_bye(void **state) {
    peer_connect_5(&b, &rig, "bb");
    peer_send(&b, "82 07 0001 00 0001'w' 01");
    buf_clear(&b.in);
    connect_with_will(&a);
    peer_send(&a, "e0 00");
    peer_done(&a);
    assert_received(&b, "");
    connect_with_will(&a);
    peer_done(&a); /* lost */
    assert_received(&b, "32 0e 0001'w' 0001 04 03 0001't' 'gone'");
    connect_with_will(&a);
    peer_send(&a, "e0 01 04"); /* disconnect with will */
    peer_done(&a);
    assert_received(&b, "32 0e 0001'w' 0002 04 03 0001't' 'gone'");
    connect_with_will(&a);
    peer_send(&a, "00 00"); /* protocol error */
    peer_done(&a);
    assert_received(&b, "32 0e 0001'w' 0003 04 03 0001't' 'gone'");
    peer_done(&b);
    assert_int_equal(metric_get(&rig.worker->metrics.retained_count), 1);
}

static void the_address_is_known_without_its_port(void **state) {
    static const char *const peers[][2] = {
        {"127.0.0.1:1234", "127.0.0.1"}, {"[::1]:80", "::1"}, {"somewhere", "somewhere"}};
    for (size_t i = 0; i < COUNT_OF(peers); i++) {
        struct mqtt_connection *connection =
            mqtt_worker_attach(rig.worker, &peer_ops, &a, peers[i][0], true);
        assert_str(connection_ip(connection), peers[i][1]);
        mqtt_connection_detach(connection);
    }
}

static void nobody_may_attach_while_the_worker_stops(void **state) {
    mqtt_worker_stop(rig.worker, rig_on_stopped, &rig);
    assert_null(mqtt_worker_attach(rig.worker, &peer_ops, &a, "127.0.0.1:1", true));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_will_is_published_unless_the_client_says_good_bye),
        RIG_TEST(the_address_is_known_without_its_port),
        RIG_TEST(nobody_may_attach_while_the_worker_stops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
