/* Sessions that outlive their connection, on one worker; worker_test.c has those that move. */
#include "base/clock.h"
#include "mqtt/rig_test.h"
#include "mqtt/stored.h"

static struct rig rig;
static struct peer a, b, c;

static int set_up(void **state) {
    rig_init(&rig);
    rig_start(&rig);
    peer_connect_311(&c, &rig, "cc");
    return 0;
}

static int tear_down(void **state) {
    peer_done(&c);
    rig_done(&rig);
    return 0;
}

/* 5.0, clean start 0 or 1, expiry of so many seconds; what comes back is not looked at. */
static void connect_for(struct peer *peer, unsigned clean, unsigned expiry_s) {
    char hex[100];
    peer_open(peer, &rig);
    snprintf(hex, sizeof hex, "10 14 0004'MQTT'05 %02x 0000 05 11 %08x 0002'aa'", clean ? 2 : 0,
             expiry_s);
    peer_send(peer, hex);
}

#define CONNACK_5_PRESENT "20 10 01 00 0d 21 0400 27 00200000 22 0010 2a 01"

static void connect_new(struct peer *peer, unsigned expiry_s) {
    connect_for(peer, 0, expiry_s);
    assert_received(peer, CONNACK_5);
}

static void subscribe_t(struct peer *peer) {
    peer_send(peer, "82 07 0001 00 0001't' 02");
    assert_received(peer, "90 04 0001 00 02");
}

static void pass(unsigned seconds) {
    for (unsigned i = 0; i < seconds; i++) {
        wheel_tick(rig.worker);
        stored_tick(rig.worker);
    }
    rig_turn(&rig);
}

static int64_t sessions(void) {
    return metric_get(&rig.worker->metrics.sessions);
}

/* ---- [MQTT-3.1.2-4], [MQTT-3.1.2-5], [MQTT-3.2.2-2], [MQTT-3.2.2-3] ---- */

static void subscriptions_and_messages_wait(void **state) {
    connect_new(&a, 60);
    subscribe_t(&a);
    peer_done(&a);
    peer_send(&c, "30 04 0001't' '0' 32 06 0001't' 0001 '1' 34 06 0001't' 0002 '2'");
    assert_received(&c, "40 02 0001 50 02 0002");
    connect_for(&a, 0, 60);
    assert_received(&a, CONNACK_5_PRESENT "32 07 0001't' 0001 00 '1' 34 07 0001't' 0002 00 '2'");
    peer_send(&c, "30 04 0001't' '3'");
    assert_received(&a, "30 05 0001't' 00 '3'");
    peer_done(&a);
    connect_for(&a, 1, 60); /* a clean start: nothing is left */
    assert_received(&a, CONNACK_5);
    peer_send(&c, "30 04 0001't' '4'");
    assert_received(&a, "");
    assert_int_equal(sessions(), 1);
    peer_done(&a);
    assert_int_equal(metric_get(&rig.worker->metrics.subscriptions), 0);
}

/* 3.1.1: clean session 0 [MQTT-3.1.2-4 to -6], session present [MQTT-3.2.2-1 to -3]. */
static void old_clients_have_sessions(void **state) {
    peer_open(&a, &rig);
    peer_send(&a, "10 0e 0004'MQTT'04 00 0000 0002'aa' 82 06 0001 0001't' 01");
    assert_received(&a, "20 02 00 00 90 03 0001 01");
    peer_send(&a, "e0 00");
    peer_done(&a);
    peer_send(&c, "32 06 0001't' 0001 '1'");
    peer_open(&a, &rig);
    peer_send(&a, "10 0e 0004'MQTT'04 00 0000 0002'aa'");
    assert_received(&a, "20 02 01 00 32 06 0001't' 0001 '1'");
    peer_done(&a);
    peer_open(&a, &rig);
    peer_send(&a, "10 0e 0004'MQTT'04 02 0000 0002'aa'"); /* clean */
    assert_received(&a, "20 02 00 00");
    peer_done(&a);
    assert_int_equal(sessions(), 0);
    buf_clear(&c.in);
}

/* Section 4.4: [MQTT-4.4.0-1], [MQTT-3.3.1-1], [MQTT-4.3.3-6], [MQTT-4.6.0-1] */
static void what_was_in_flight_comes_again_in_order(void **state) {
    connect_new(&a, 60);
    subscribe_t(&a);
    peer_send(&c, "32 06 0001't' 0001 '1' 34 06 0001't' 0002 '2' 34 06 0001't' 0003 '3'");
    peer_send(&c, "32 06 0001't' 0004 '4'");
    peer_send(&a, "50 02 0002");
    buf_clear(&a.in);
    peer_send(&a, "40 02 0004");
    peer_done(&a);
    peer_send(&c, "32 06 0001't' 0005 '5'");
    connect_for(&a, 0, 60);
    assert_received(&a, CONNACK_5_PRESENT "3a 07 0001't' 0001 00 '1' 62 02 0002"
                                          "3c 07 0001't' 0003 00 '3' 32 07 0001't' 0005 00 '5'");
    peer_send(&a, "70 02 0002 50 02 0003");
    assert_received(&a, "62 02 0003");
    peer_done(&a);
    /* The next client of the session speaks 3.1.1. */
    peer_open(&a, &rig);
    peer_send(&a, "10 0e 0004'MQTT'04 00 0000 0002'aa'");
    assert_received(&a, "20 02 01 00 3a 06 0001't' 0001 '1' 62 02 0003 3a 06 0001't' 0005 '5'");
    peer_done(&a);
    buf_clear(&c.in);
}

/* [MQTT-3.3.4-9]: the new connection's Receive Maximum holds for what comes again, too. */
static void the_receive_maximum_holds_for_what_comes_again(void **state) {
    connect_new(&a, 60);
    subscribe_t(&a);
    for (unsigned i = 0; i < 3; i++)
        peer_send(&c, "32 06 0001't' 0001 'x'");
    peer_done(&a);
    peer_send(&c, "32 06 0001't' 0001 'y'");
    peer_open(&a, &rig);
    peer_send(&a, "10 17 0004'MQTT'05 00 0000 08 11 0000003c 21 0002 0002'aa'");
    assert_received(&a, CONNACK_5_PRESENT "3a 07 0001't' 0001 00 'x' 3a 07 0001't' 0002 00 'x'");
    peer_send(&a, "40 02 0001");
    assert_received(&a, "3a 07 0001't' 0003 00 'x'");
    peer_send(&a, "40 02 0003");
    assert_received(&a, "32 07 0001't' 0004 00 'y'");
    peer_done(&a);
    buf_clear(&c.in);
}

/* [MQTT-4.3.3-10] over connections: a QoS 2 message that was received stays received. */
static void a_received_identifier_outlives_the_connection(void **state) {
    rig.rules_result = MESSAGE_STAGED;
    connect_new(&a, 60);
    peer_send(&a, "34 0c 0006'rule/1' 0001 00 'x' 34 0c 0006'other1' 0002 00 'x'");
    peer_done(&a); /* the PUBRECs wait for the commit */
    connect_for(&a, 0, 60);
    peer_send(&a, "3c 0c 0006'rule/1' 0001 00 'x'");
    assert_received(&a, CONNACK_5_PRESENT);
    assert_int_equal(rig.rules_count, 1);
    rig_commit(&rig, 1, 0);
    assert_received(&a, "50 02 0001");
    peer_send(&a, "62 02 0001 62 02 0002");
    assert_received(&a, "70 02 0001 70 02 0002");
    peer_done(&a);
}

/* What failed on disk is not taken for received when it comes again. */
static void a_failed_commit_is_remembered_beyond_the_connection(void **state) {
    rig.rules_result = MESSAGE_STAGED;
    connect_new(&a, 60);
    peer_send(&a, "34 0c 0006'rule/1' 0001 00 'x'");
    peer_done(&a);
    rig_commit(&rig, 1, ERR_NO_SPACE);
    rig.rules_result = MESSAGE_TAKEN;
    connect_for(&a, 0, 60);
    peer_send(&a, "3c 0c 0006'rule/1' 0001 00 'x'");
    assert_received(&a, CONNACK_5_PRESENT "50 02 0001");
    assert_int_equal(rig.rules_count, 2);
    peer_done(&a);
}

/* ---- [MQTT-3.1.2-23], section 3.14.2.2.2: how long ---- */

static void sessions_expire(void **state) {
    connect_new(&a, 5);
    subscribe_t(&a);
    peer_done(&a);
    peer_send(&c, "32 06 0001't' 0001 'x'");
    pass(4);
    assert_int_equal(sessions(), 1);
    pass(2);
    assert_int_equal(sessions(), 0);
    assert_int_equal(metric_get(&rig.worker->metrics.sessions_expired), 1);
    assert_int_equal(metric_get(&rig.worker->metrics.subscriptions), 0);
    assert_int_equal(atomic_load(&rig.mqtt->queued_bytes), 0);
    assert_int_equal(rig.worker->owners.count, 0);
    connect_for(&a, 0, 100000); /* farther than the wheel is round */
    assert_received(&a, CONNACK_5);
    peer_done(&a);
    pass(99999);
    assert_int_equal(sessions(), 1);
    pass(3);
    assert_int_equal(sessions(), 0);
    buf_clear(&c.in);
}

static void disconnect_changes_the_expiry(void **state) {
    connect_new(&a, 5);
    peer_send(&a, "e0 07 00 05 11 0000003c");
    peer_done(&a);
    pass(50);
    assert_int_equal(sessions(), 1);
    connect_for(&a, 0, 60);
    assert_received(&a, CONNACK_5_PRESENT);
    peer_send(&a, "e0 07 00 05 11 00000000");
    peer_done(&a);
    assert_int_equal(sessions(), 0);
    connect_new(&a, 0); /* [MQTT-3.14.2-2]: not from zero */
    peer_send(&a, "e0 07 00 05 11 0000003c");
    assert_received(&a, "e0 01 82");
    peer_done(&a);
}

static void a_session_resumed_without_expiry_ends(void **state) {
    connect_new(&a, 60);
    peer_done(&a);
    connect_for(&a, 0, 0);
    assert_received(&a, CONNACK_5_PRESENT);
    peer_done(&a);
    assert_int_equal(sessions(), 0);
}

static void messages_expire_in_the_queue(void **state) {
    struct message message = {.topic = STR("t"),
                              .payload = STR("x"),
                              .properties = STR("\x02\0\0\0\x3c"),
                              .received_ms = clock_wall_ms() - 61000,
                              .qos = 1};
    struct message_publisher *publisher = mqtt_worker_publisher(rig.worker);
    connect_new(&a, 60);
    subscribe_t(&a);
    peer_done(&a);
    publisher->publish(publisher, &message);
    message.received_ms = clock_wall_ms() - 20500;
    publisher->publish(publisher, &message);
    connect_for(&a, 0, 60);
    assert_received(&a, CONNACK_5_PRESENT "32 0c 0001't' 0001 05 02 00000028 'x'");
    assert_int_equal(metric_get(&rig.worker->metrics.dropped_expired), 1);
    peer_done(&a);
}

/* ---- section 3.1.3.2.2, [MQTT-3.1.3-9]: the will's delay ---- */

/* With a will to "w", a delay of 10 s and a session of `expiry_s`. */
static void connect_with_will(unsigned clean, unsigned expiry_s) {
    char hex[160];
    peer_open(&a, &rig);
    snprintf(hex, sizeof hex,
             "10 20 0004'MQTT'05 %02x 0000 05 11 %08x 0002'aa' 05 18 0000000a 0001'w' 0001'w'",
             clean ? 6 : 4, expiry_s);
    peer_send(&a, hex);
}

static void a_will_waits(void **state) {
    peer_connect_5(&b, &rig, "bb");
    peer_send(&b, "82 07 0001 00 0001'w' 00");
    buf_clear(&b.in);
    connect_with_will(0, 60);
    peer_done(&a);
    pass(9);
    assert_received(&b, "");
    connect_with_will(0, 60); /* in time: the will stays unsaid */
    peer_done(&a);
    pass(9);
    assert_received(&b, "");
    pass(2);
    assert_received(&b, "30 05 0001'w' 00 'w'");
    pass(60);
    assert_received(&b, "");
    connect_with_will(0, 3); /* the session ends earlier */
    peer_done(&a);
    pass(4);
    assert_received(&b, "30 05 0001'w' 00 'w'");
    connect_with_will(0, 0); /* or at once */
    peer_done(&a);
    assert_received(&b, "30 05 0001'w' 00 'w'");
    connect_with_will(0, 60);
    peer_done(&a);
    connect_with_will(1, 60); /* or by a clean start */
    assert_received(&b, "30 05 0001'w' 00 'w'");
    peer_send(&a, "e0 00"); /* [MQTT-3.14.4-3] */
    peer_done(&a);
    pass(60);
    assert_received(&b, "");
    peer_done(&b);
}

/* ---- bounds ---- */

static void publish_numbers(unsigned count) {
    char hex[64];
    for (unsigned i = 1; i <= count; i++) {
        snprintf(hex, sizeof hex, "32 06 0001't' %04x '%u'", i, i);
        peer_send(&c, hex);
    }
}

static void the_oldest_are_dropped(void **state) {
    rig.config.queue_max = 3;
    connect_new(&a, 60);
    subscribe_t(&a);
    peer_done(&a);
    publish_numbers(5);
    assert_int_equal(metric_get(&rig.worker->metrics.dropped_queue_full), 2);
    connect_for(&a, 0, 60);
    assert_received(&a, CONNACK_5_PRESENT "32 07 0001't' 0001 00 '3' 32 07 0001't' 0002 00 '4'"
                                          "32 07 0001't' 0003 00 '5'");
    peer_done(&a);
    buf_clear(&c.in);
}

static void the_publisher_is_refused(void **state) {
    rig.config.queue_full = MQTT_QUEUE_REFUSE;
    rig.config.queue_max = 2;
    connect_new(&a, 60);
    subscribe_t(&a);
    peer_done(&a);
    peer_connect_5(&b, &rig, "bb");
    for (unsigned i = 0; i < 3; i++)
        peer_send(&b, "32 07 0001't' 0001 00 'x'");
    assert_received(&b, "40 02 0001 40 02 0001 40 03 0001 97");
    peer_send(&b, "34 07 0001't' 0001 00 'x' 32 07 0001'u' 0001 00 'x'");
    assert_received(&b, "50 03 0001 97 40 02 0001");
    rig.config.queue_max = 100;
    rig.config.queue_total_bytes_max = atomic_load(&rig.mqtt->queued_bytes);
    peer_send(&b, "32 07 0001't' 0001 00 'x'");
    assert_received(&b, "40 03 0001 97");
    peer_done(&b);
}

static void bytes_are_bounded(void **state) {
    rig.config.queue_bytes_max = 1000;
    connect_new(&a, 60);
    subscribe_t(&a);
    peer_done(&a);
    publish_numbers(9);
    assert_in_range(atomic_load(&rig.mqtt->queued_bytes), 500, 1200);
    assert_true(metric_get(&rig.worker->metrics.dropped_queue_full) > 0);
    buf_clear(&c.in);
}

static void sessions_are_bounded(void **state) {
    rig.config.sessions_max = 1;
    connect_new(&a, 60);
    peer_done(&a);
    peer_open(&b, &rig);
    peer_send(&b, "10 14 0004'MQTT'05 02 0000 05 11 0000003c 0002'bb'");
    assert_received(&b, "20 03 00 97 00");
    assert_true(b.closed);
    peer_done(&b);
    connect_for(&a, 0, 60);
    assert_received(&a, CONNACK_5_PRESENT);
    peer_done(&a);
}

/* ---- shares ---- */

/* While others are there, a member that is away gets nothing; what it had goes to them when its
 * session ends. */
static void members_that_are_away_are_passed_over(void **state) {
    connect_new(&a, 60);
    peer_send(&a, "82 10 0001 00 000a'$share/g/t' 01");
    assert_received(&a, "90 04 0001 00 01");
    publish_numbers(1);
    assert_received(&a, "32 07 0001't' 0001 00 '1'");
    peer_done(&a);
    publish_numbers(2); /* no one is there: the member waits for them */
    peer_connect_5(&b, &rig, "bb");
    peer_send(&b, "82 10 0001 00 000a'$share/g/t' 01");
    buf_clear(&b.in);
    publish_numbers(2);
    assert_received(&b, "32 07 0001't' 0001 00 '1' 32 07 0001't' 0002 00 '2'");
    pass(62);
    assert_received(&b, "32 07 0001't' 0003 00 '1' 32 07 0001't' 0004 00 '1'"
                        "32 07 0001't' 0005 00 '2'");
    peer_done(&b);
    buf_clear(&c.in);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(subscriptions_and_messages_wait),
        TEST(old_clients_have_sessions),
        TEST(what_was_in_flight_comes_again_in_order),
        TEST(the_receive_maximum_holds_for_what_comes_again),
        TEST(a_received_identifier_outlives_the_connection),
        TEST(a_failed_commit_is_remembered_beyond_the_connection),
        TEST(sessions_expire),
        TEST(disconnect_changes_the_expiry),
        TEST(a_session_resumed_without_expiry_ends),
        TEST(messages_expire_in_the_queue),
        TEST(a_will_waits),
        TEST(the_oldest_are_dropped),
        TEST(the_publisher_is_refused),
        TEST(bytes_are_bounded),
        TEST(sessions_are_bounded),
        TEST(members_that_are_away_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
