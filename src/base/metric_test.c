#include "base/test.h"

#include "base/log.h"
#include "base/metric.h"

static void instances_of_one_name_are_summed(void **state) {
    struct metric a, b, c;
    metric_init(&a, METRIC_COUNTER, "weir_b_total", "Things.", "kind=\"x\"");
    metric_init(&b, METRIC_COUNTER, "weir_b_total", "Things.", "kind=\"x\"");
    metric_init(&c, METRIC_GAUGE, "weir_a", "Level.", NULL);
    metric_add(&a, 2);
    metric_add(&b, 3);
    metric_set(&c, -7);
    struct buf out = {0};
    metric_show(&out);
    assert_str(buf_str(&out), "# HELP weir_a Level.\n# TYPE weir_a gauge\nweir_a -7\n"
                              "# HELP weir_b_total Things.\n# TYPE weir_b_total counter\n"
                              "weir_b_total{kind=\"x\"} 5\n");
    metric_done(&a);
    metric_done(&b);
    metric_done(&c);
    buf_clear(&out);
    metric_show(&out);
    assert_int_equal(buf_len(&out), 0);
    buf_done(&out);
}

static void label_values_are_escaped(void **state) {
    struct buf labels = {0};
    metric_label(&labels, "a", STR("x\"\\\n"));
    metric_label(&labels, "b", STR("y"));
    assert_str(buf_str(&labels), "a=\"x\\\"\\\\\\n\",b=\"y\"");
    buf_done(&labels);
}

static void repeated_failures_are_counted_not_logged(void **state) {
    struct log_limit limit = {0};
    unsigned missed = 99;
    assert_true(log_limit_pass(&limit, 60000, &missed));
    assert_int_equal(missed, 0);
    assert_false(log_limit_pass(&limit, 60000, &missed));
    assert_false(log_limit_pass(&limit, 60000, &missed));
    limit.next_ns = 0;
    assert_true(log_limit_pass(&limit, 60000, &missed));
    assert_int_equal(missed, 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instances_of_one_name_are_summed),
        cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(repeated_failures_are_counted_not_logged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
