#include "mqtt/crowd.h"
#include "mqtt/rig_test.h"

static struct rig rig;
static struct peer a, b;

/* "aa" takes one message at a time, and eight may wait for it. */
static int set_up(void **state) {
    rig_init(&rig);
    rig.config.clean_queue_max = 8;
    rig_start(&rig);
    peer_open(&a, &rig);
    peer_send(&a, "10 12 0004'MQTT'05 02 0000 03 21 0001 0002'aa'");
    peer_send(&a, "82 07 0001 00 0001't' 01");
    peer_connect_5(&b, &rig, "bb");
    return 0;
}

static int tear_down(void **state) {
    peer_done(&a);
    peer_done(&b);
    assert_int_equal(metric_get(&rig.worker->metrics.crowded), 0);
    assert_int_equal(atomic_load(&rig.mqtt->crowded), 0);
    rig_done(&rig);
    return 0;
}

static void publish_some(unsigned from, unsigned to) {
    char hex[64];
    for (; from <= to; from++) {
        snprintf(hex, sizeof hex, "32 07 0001't' %04x 00 'x'", from);
        peer_send(&b, hex);
    }
}

static unsigned acknowledged(void) {
    rig_turn(&rig); /* Those that waited go on in a turn of their own. */
    rig_turn(&rig);
    unsigned count = (unsigned)buf_len(&b.in) / 4;
    buf_clear(&b.in);
    return count;
}

static void acknowledge(unsigned from, unsigned to) {
    char hex[32];
    for (; from <= to; from++) {
        snprintf(hex, sizeof hex, "40 02 %04x", from);
        peer_send(&a, hex);
    }
}

static void a_publisher_waits_for_a_busy_subscriber(void **state) {
    publish_some(1, 40);
    assert_int_equal(acknowledged(), 6); /* one sent, five wait: more than half of what may */
    assert_int_equal(metric_get(&rig.worker->metrics.parked), 1);
    assert_int_equal(metric_get(&rig.worker->metrics.crowded), 1);
    acknowledge(1, 2);
    assert_int_equal(acknowledged(), 0);
    acknowledge(3, 3); /* two wait */
    assert_int_equal(acknowledged(), 3);
    acknowledge(4, 40);
    assert_int_equal(acknowledged(), 31);
    assert_int_equal(metric_get(&rig.worker->metrics.dropped_queue_full), 0);
    assert_int_equal(metric_get(&rig.worker->metrics.parked), 0);
}

static void others_go_on(void **state) {
    struct peer c;
    publish_some(1, 10);
    peer_connect_5(&c, &rig, "cc");
    for (unsigned i = 0; i < 20; i++)
        peer_send(&c, "32 0b 0005'other' 0001 00 'x'");
    assert_int_equal(buf_len(&c.in), 20 * 4);
    peer_done(&c);
}

static void pings_are_answered_meanwhile(void **state) {
    publish_some(1, 10);
    buf_clear(&b.in);
    peer_send(&b, "c0 00");
    assert_received(&b, "d0 00");
}

static void tick(unsigned seconds) {
    while (seconds--) {
        wheel_tick(rig.worker);
        crowd_tick(rig.worker);
        rig_turn(&rig);
    }
}

static void a_slow_subscriber_loses_messages(void **state) {
    publish_some(1, 20);
    assert_int_equal(acknowledged(), 6);
    tick(CROWD_HELD_S_MAX);
    assert_int_equal(acknowledged(), 0);
    tick(1);
    assert_int_equal(acknowledged(), 14);
    assert_int_equal(metric_get(&rig.worker->metrics.dropped_queue_full), 11);
    publish_some(21, 22);
    assert_int_equal(acknowledged(), 2);
    acknowledge(1, 9); /* it has caught up */
    publish_some(23, 40);
    assert_int_equal(metric_get(&rig.worker->metrics.parked), 1);
    assert_int_equal(metric_get(&rig.worker->metrics.crowded), 1);
}

static void a_subscriber_that_goes_lets_publishers_go(void **state) {
    publish_some(1, 20);
    assert_int_equal(acknowledged(), 6);
    peer_send(&a, "e0 00");
    assert_int_equal(acknowledged(), 14);
}

/* "bb" hears itself: its acknowledgements stand behind what it publishes. */
static void a_client_does_not_wait_for_itself(void **state) {
    peer_send(&b, "82 07 0001 00 0001't' 01");
    peer_send(&a, "a2 06 0002 00 0001't'");
    rig.config.inflight_max = 1;
    publish_some(1, 20);
    assert_int_equal(metric_get(&rig.worker->metrics.parked), 0);
    assert_int_equal(metric_get(&rig.worker->metrics.crowded), 1);
    assert_int_equal(metric_get(&rig.worker->metrics.dropped_queue_full), 11);
}

static void stopping_does_not_wait_for_subscribers(void **state) {
    publish_some(1, 20);
    mqtt_worker_stop(rig.worker, rig_on_stopped, &rig);
    tick(1);
    worker_unpark(rig.worker);
    assert_int_equal(metric_get(&rig.worker->metrics.parked), 0);
}

/* ---- two workers on one loop ---- */

static void turns(unsigned count) {
    while (count--)
        rig_turn(&rig);
}

static void on_other_stopped(void *data) {
    *(bool *)data = true;
}

static void publishers_on_other_workers_wait_too(void **state) {
    rig_init(&rig);
    rig.config.clean_queue_max = 64;
    rig.loop = loop_new();
    rig.mqtt = mqtt_new(&rig.config, 2);
    struct mqtt_worker *first = mqtt_worker_new(rig.mqtt, 0, rig.loop);
    struct mqtt_worker *second = mqtt_worker_new(rig.mqtt, 1, rig.loop);
    rig.worker = second;
    peer_open(&a, &rig);
    peer_send(&a, "10 12 0004'MQTT'05 02 0000 03 21 0001 0002'aa'");
    turns(10);
    peer_send(&a, "82 07 0001 00 0001't' 01");
    turns(10);
    rig.worker = first;
    peer_open(&b, &rig);
    peer_send(&b, "10 0f 0004'MQTT'05 02 0000 00 0002'bb'");
    turns(10);
    assert_received(&b, CONNACK_5);

    for (unsigned i = 1; i <= 80; i++) {
        publish_some(i, i);
        turns(4);
    }
    unsigned taken = acknowledged();
    assert_in_range(taken, 34,
                    36); /* what was on its way when the queue became half full goes on */
    assert_int_equal(metric_get(&first->metrics.parked), 1);
    for (unsigned i = 1; i <= 80; i++) {
        acknowledge(i, i);
        turns(8);
    }
    assert_int_equal(taken + acknowledged(), 80);
    assert_int_equal(metric_get(&second->metrics.dropped_queue_full), 0);
    assert_int_equal(atomic_load(&rig.mqtt->crowded), 0);

    peer_done(&a);
    peer_done(&b);
    turns(10);
    bool stopped = false;
    mqtt_worker_stop(second, on_other_stopped, &stopped);
    mqtt_worker_stop(first, rig_on_stopped, &rig);
    for (unsigned i = 0; i < 1000 && !(stopped && rig.stopped); i++)
        rig_turn(&rig);
    assert_true(stopped);
    mqtt_worker_free(second);
    rig_done(&rig);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_publisher_waits_for_a_busy_subscriber),
        TEST(others_go_on),
        TEST(pings_are_answered_meanwhile),
        TEST(a_slow_subscriber_loses_messages),
        TEST(a_subscriber_that_goes_lets_publishers_go),
        TEST(a_client_does_not_wait_for_itself),
        TEST(stopping_does_not_wait_for_subscribers),
        cmocka_unit_test(publishers_on_other_workers_wait_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
