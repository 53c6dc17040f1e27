#include "base/test.h"

#include "base/metric_rig.h"

#include "delivery/meter.h"

static void each_delivery_stream_has_its_own_numbers(void **state) {
    static struct meter one, two;
    meter_init(&one, "one");
    meter_init(&two, "two");
    metric_set(&one.lag_records, 7);
    metric_set(&two.behind_ms, 1500);
    metric_add(&two.bytes_raw, 100);
    metric_add(&two.bytes_stored, 20);
    assert_metric("weir_delivery_lag_records{delivery_stream=\"one\"} 7");
    assert_metric("weir_delivery_lag_records{delivery_stream=\"two\"} 0");
    assert_metric("weir_delivery_behind_ms{delivery_stream=\"two\"} 1500");
    assert_metric("weir_delivery_bytes_total{delivery_stream=\"two\",stage=\"records\"} 100");
    assert_metric("weir_delivery_bytes_total{delivery_stream=\"two\",stage=\"stored\"} 20");
    meter_done(&one);
    meter_done(&two);
}

static void failures_are_counted_by_code(void **state) {
    static struct meter meter;
    meter_init(&meter, "s");
    meter_failed(&meter, "SlowDown");
    meter_failed(&meter, "NoSuchBucket");
    meter_failed(&meter, "SlowDown");
    assert_metric("weir_delivery_failures_total{delivery_stream=\"s\",code=\"SlowDown\"} 2");
    assert_metric("weir_delivery_failures_total{delivery_stream=\"s\",code=\"NoSuchBucket\"} 1");
    meter_done(&meter);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_delivery_stream_has_its_own_numbers),
        cmocka_unit_test(failures_are_counted_by_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
