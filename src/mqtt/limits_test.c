#include "mqtt/rig_test.h"

#include "base/clock.h"
#include "mqtt/limits.h"

static const uint64_t second_ns = 1000000000;

static void connects_beyond_the_rate_wait(void **state) {
    struct listener_state limited = {0};
    uint64_t now_ns = 5 * second_ns;
    unsigned at_once = 0;
    for (; limits_connect_delay_ms(&limited, 100, now_ns) == 0 && at_once < 1000; at_once++)
        limits_count_connect(&limited, 100, now_ns);
    assert_int_equal(at_once, 11); /* a tenth of a second's, and one */
    assert_int_equal(limits_connect_delay_ms(&limited, 100, now_ns), 11);
    assert_int_equal(limits_connect_delay_ms(&limited, 100, now_ns + 10 * 1000000), 0);
    unsigned in_a_second = 0;
    for (unsigned ms = 1; ms <= 1000; ms++)
        while (limits_connect_delay_ms(&limited, 100, now_ns + ms * 1000000ull) == 0) {
            limits_count_connect(&limited, 100, now_ns + ms * 1000000ull);
            in_a_second++;
        }
    assert_int_equal(in_a_second, 100);
    assert_int_equal(limits_connect_delay_ms(&limited, 0, now_ns), 0);
    assert_int_equal(limits_connect_delay_ms(NULL, 100, now_ns), 0);
}

static void publishes_have_a_rate_in_messages_and_in_bytes(void **state) {
    struct mqtt_listener_config listener = {.publish_rate = 10, .publish_bytes_rate = 1000};
    struct pace *pace = pace_new(&listener);
    uint64_t now_ns = 5 * second_ns;
    for (int i = 0; i < 11; i++)
        assert_int_equal(pace_take(pace, &listener, 1, now_ns), 0);
    assert_int_equal(pace_take(pace, &listener, 1, now_ns), second_ns / 10);
    now_ns += second_ns / 10;
    assert_int_equal(pace_take(pace, &listener, 3000, now_ns), 0);
    now_ns += second_ns; /* 3000 bytes are 3 s, and 1 s is allowed */
    uint64_t left_ns = pace_take(pace, &listener, 1, now_ns);
    assert_in_range(left_ns, second_ns, second_ns + second_ns / 10);
    assert_int_equal(pace_take(pace, &listener, 1, now_ns + left_ns), 0);
    free(pace);
    listener = (struct mqtt_listener_config){.packet_bytes_max = 1};
    assert_null(pace_new(&listener));
    assert_null(pace_new(NULL));
}

static struct rig rig;
static struct peer a;

/* It is not read from meanwhile, and its PINGREQ is answered. */
static void a_fast_publisher_is_parked_and_goes_on(void **state) {
    struct mqtt_listener_config listener = {.publish_rate = 5};
    rig_init(&rig);
    rig_start(&rig);
    peer_open(&a, &rig);
    mqtt_connection_set_listener(a.connection, &listener);
    peer_send(&a, "10 0e 0004'MQTT'04 02 0000 0002'aa'");
    assert_received(&a, "20 02 00 00");
    for (int i = 0; i < 8; i++)
        peer_send(&a, "30 06 0004'rule'");
    peer_send(&a, "c0 00");
    assert_received(&a, "d0 00");
    int64_t before = metric_get(&rig.worker->metrics.received_qos0);
    assert_in_range(before, 6, 7); /* one more where the test was slow */
    assert_int_equal(metric_get(&rig.worker->metrics.parked), 1);
    assert_true(metric_get(&rig.worker->metrics.paced) >= 1);
    uint64_t give_up_ns = clock_mono_ns() + 30 * second_ns;
    while (metric_get(&rig.worker->metrics.received_qos0) < 8) {
        assert_true(clock_mono_ns() < give_up_ns);
        uv_run(loop_uv(rig.loop), UV_RUN_ONCE);
    }
    assert_int_equal(metric_get(&rig.worker->metrics.parked), 0);
    peer_done(&a);
    rig_done(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects_beyond_the_rate_wait),
        cmocka_unit_test(publishes_have_a_rate_in_messages_and_in_bytes),
        cmocka_unit_test(a_fast_publisher_is_parked_and_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
