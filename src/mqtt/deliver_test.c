/* PUBLISH out: who gets what, and what happens to those who are slow. */
#include "base/clock.h"
#include "mqtt/crowd.h"
#include "mqtt/rig_plain_test.h"

static struct peer a, b;

static void overlapping_subscriptions_give_one_copy(void **state) {
    peer_connect_5(&a, &rig, "aa");
    peer_send(&a, "82 0b 0001 02 0b 05 0003'a/#' 00");
    peer_send(&a, "82 0b 0002 02 0b 06 0003'a/+' 01");
    buf_clear(&a.in);
    peer_send(&a, "32 09 0003'a/b' 0009 00 'x'");
    struct str in = buf_str(&a.in);
    assert_int_equal(in.len, 4 + 2 + 0x0d);
    assert_memory_equal(in.at,
                        "\x32\x0d\x00\x03"
                        "a/b"
                        "\x00\x01\x04\x0b",
                        11);
    uint8_t first = (uint8_t)in.at[11], second = (uint8_t)in.at[13];
    assert_true((first == 5 && second == 6) || (first == 6 && second == 5));
    buf_clear(&a.in);
    peer_done(&a);
}

static void no_local_and_retain_as_published(void **state) {
    peer_connect_5(&a, &rig, "aa");
    peer_connect_5(&b, &rig, "bb");
    peer_send(&a, "82 09 0001 00 0003'a/b' 04");
    peer_send(&b, "82 09 0001 00 0003'a/b' 08");
    buf_clear(&a.in);
    buf_clear(&b.in);
    peer_send(&a, "31 07 0003'a/b' 00 'x'");
    assert_received(&a, "");
    assert_received(&b, "31 07 0003'a/b' 00 'x'");
    peer_send(&b, "31 07 0003'a/b' 00 'y'");
    assert_received(&a, "30 07 0003'a/b' 00 'y'");
    assert_received(&b, "31 07 0003'a/b' 00 'y'");
    peer_done(&a);
    peer_done(&b);
}

static void no_local_counts_for_its_own_subscription_alone(void **state) {
    peer_connect_5(&a, &rig, "aa");
    peer_connect_5(&b, &rig, "bb");
    peer_send(&a, "82 0b 0001 02 0b 05 0003'a/#' 05"); /* No Local, QoS 1 */
    peer_send(&a, "82 0b 0002 02 0b 06 0003'a/b' 00");
    buf_clear(&a.in);
    peer_send(&a, "32 09 0003'a/b' 0009 00 'x'");
    assert_received(&a, "30 09 0003'a/b' 02 0b 06 'x' 40 02 0009");
    peer_send(&b, "32 09 0003'a/c' 0009 00 'y'");
    assert_received(&a, "32 0b 0003'a/c' 0001 02 0b 05 'y'");
    peer_send(&b, "30 07 0003'a/b' 00 'z'");
    assert_int_equal(buf_len(&a.in), 2 + 0x0b);
    buf_clear(&a.in);
    peer_done(&a);
    peer_done(&b);
}

static void no_local_holds_for_retained_messages(void **state) {
    peer_connect_5(&a, &rig, "aa");
    peer_send(&a, "31 05 0001't' 00 'x'");
    peer_send(&a, "82 07 0001 00 0001't' 04");
    assert_received(&a, "90 04 0001 00 00");
    peer_connect_5(&b, &rig, "bb");
    peer_send(&b, "82 07 0001 00 0001't' 04");
    assert_received(&b, "90 04 0001 00 00 31 05 0001't' 00 'x'");
    peer_done(&a);
    peer_done(&b);
}

/* "aa" takes one message at a time, so what is retained waits when "bb" publishes anew. */
static void retained_messages_are_not_overtaken(void **state) {
    peer_connect_5(&b, &rig, "bb");
    peer_send(&b, "33 07 0001't' 0001 00 '1' 33 07 0001'u' 0002 00 '2'");
    peer_open(&a, &rig);
    peer_send(&a, "10 12 0004'MQTT'05 02 0000 03 21 0001 0002'aa'");
    peer_send(&a, "82 07 0001 00 0001'#' 01");
    peer_send(&b, "32 07 0001'u' 0003 00 '3'");
    buf_clear(&a.in);
    peer_send(&a, "40 02 0001");
    struct str in = buf_str(&a.in);
    assert_int_equal(in.at[0], 0x33);
    buf_clear(&a.in);
    peer_send(&a, "40 02 0002");
    assert_received(&a, "32 07 0001'u' 0003 00 '3'");
    peer_done(&a);
    peer_done(&b);
}

static void unread_messages_are_dropped_at_the_bound(void **state) {
    peer_connect_5(&a, &rig, "aa");
    peer_connect_5(&b, &rig, "bb");
    peer_send(&a, "82 07 0001 00 0001't' 01");
    buf_clear(&a.in);
    a.pending = 2 * 1024 * 1024;
    peer_send(&b, "30 05 0001't' 00 'x'");
    peer_send(&b, "32 07 0001't' 0001 00 'y'");
    assert_received(&a, "");
    assert_int_equal(metric_get(&rig.worker->metrics.dropped_slow), 1);
    a.pending = 0;
    mqtt_connection_drained(a.connection);
    rig_turn(&rig);
    assert_received(&a, "32 07 0001't' 0001 00 'y'");
    peer_done(&a);
    peer_done(&b);
}

static void receive_maximum_is_kept(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, "10 12 0004'MQTT'05 02 0000 03 21 0002 0002'aa'"); /* receive maximum 2 */
    peer_send(&a, "82 07 0001 00 0001't' 01");
    buf_clear(&a.in);
    peer_connect_311(&b, &rig, "bb");
    peer_send(&b, "32 06 0001't' 0001 '1' 32 06 0001't' 0002 '2' 32 06 0001't' 0003 '3'");
    assert_received(&a, "32 07 0001't' 0001 00 '1' 32 07 0001't' 0002 00 '2'");
    peer_send(&a, "40 02 0002");
    assert_received(&a, "32 07 0001't' 0003 00 '3'");
    peer_send(&a, "40 02 0002"); /* not in flight any more: nothing happens */
    assert_received(&a, "");
    peer_done(&a);
    peer_done(&b);
}

static void the_queue_of_a_client_is_bounded(void **state) {
    rig.config.clean_queue_max = 1000;
    peer_open(&a, &rig);
    peer_send(&a, "10 12 0004'MQTT'05 02 0000 03 21 0001 0002'aa'");
    peer_send(&a, "82 07 0001 00 0001't' 01");
    peer_connect_311(&b, &rig, "bb");
    for (int i = 0; i < 1005; i++)
        peer_send(&b, "32 06 0001't' 0001 'x'");
    assert_int_equal(metric_get(&rig.worker->metrics.dropped_queue_full), 0);
    for (int i = 0; i <= CROWD_HELD_S_MAX; i++) { /* The publisher waits so long. */
        wheel_tick(rig.worker);
        crowd_tick(rig.worker);
    }
    rig_turn(&rig);
    assert_int_equal(metric_get(&rig.worker->metrics.dropped_queue_full), 4);
    peer_done(&a);
    peer_done(&b);
}

static void large_packets_are_not_sent_to_small_clients(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, "10 14 0004'MQTT'05 02 0000 05 27 00000014 0002'aa'"); /* twenty bytes */
    peer_send(&a, "82 07 0001 00 0001't' 00");
    buf_clear(&a.in);
    peer_send(&a, "30 13 0001't' 00 '123456789012345'");
    assert_received(&a, "");
    peer_send(&a, "30 12 0001't' 00 '12345678901234'");
    assert_received(&a, "30 12 0001't' 00 '12345678901234'");
    peer_done(&a);
}

/*
 * To subscribers of "t" that take one unacknowledged message at a time; its interval is a minute.
 */
static void publish_aged(uint64_t age_ms, bool retain) {
    struct message message = {.topic = STR("t"),
                              .payload = STR("x"),
                              .properties = STR("\x02\0\0\0\x3c"),
                              .received_ms = clock_wall_ms() - age_ms,
                              .qos = 1,
                              .retain = retain};
    struct message_publisher *publisher = mqtt_worker_publisher(rig.worker);
    assert_int_equal(publisher->publish(publisher, &message), MESSAGE_TAKEN);
    rig_turn(&rig);
}

static void messages_that_waited_carry_what_is_left_of_their_interval(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, "10 12 0004'MQTT'05 02 0000 03 21 0001 0002'aa'");
    peer_send(&a, "82 07 0001 00 0001't' 01");
    buf_clear(&a.in);
    publish_aged(0, false);
    assert_received(&a, "32 0c 0001't' 0001 05 02 0000003c 'x'");
    publish_aged(61000, false); /* expires while it waits */
    publish_aged(20500, false);
    peer_send(&a, "40 02 0001");
    assert_received(&a, "32 0c 0001't' 0002 05 02 00000028 'x'");
    assert_int_equal(metric_get(&rig.worker->metrics.dropped_expired), 1);
    peer_done(&a);
}

static void retained_messages_carry_what_is_left_of_their_interval(void **state) {
    publish_aged(20500, true);
    peer_connect_5(&a, &rig, "aa");
    peer_send(&a, "82 07 0001 00 0001't' 00");
    assert_received(&a, "90 04 0001 00 00 31 0a 0001't' 05 02 00000028 'x'");
    peer_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        RIG_TEST(overlapping_subscriptions_give_one_copy),
        RIG_TEST(no_local_counts_for_its_own_subscription_alone),
        RIG_TEST(no_local_holds_for_retained_messages),
        RIG_TEST(retained_messages_are_not_overtaken),
        RIG_TEST(no_local_and_retain_as_published),
        RIG_TEST(unread_messages_are_dropped_at_the_bound),
        RIG_TEST(receive_maximum_is_kept),
        RIG_TEST(the_queue_of_a_client_is_bounded),
        RIG_TEST(large_packets_are_not_sent_to_small_clients),
        RIG_TEST(messages_that_waited_carry_what_is_left_of_their_interval),
        RIG_TEST(retained_messages_carry_what_is_left_of_their_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
