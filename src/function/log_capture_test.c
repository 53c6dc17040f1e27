#include "function/log_capture.h"

#include "base/test.h"

static const uint64_t ns_per_s = 1000000000;

static void a_report_has_the_form_of_aws(void **state) {
    struct buf out = {0};
    struct function_report report = {.request_id = "b9b7",
                                     .duration_ns = 3010001,
                                     .init_ns = 110104000,
                                     .memory_bytes = (int64_t)128 << 20,
                                     .memory_peak_bytes = ((int64_t)35 << 20) + 1};
    function_log_report(&out, &report);
    assert_str(buf_str(&out),
               "REPORT RequestId: b9b7\tDuration: 3.01 ms\tBilled Duration: 4 ms\t"
               "Memory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 110.10 ms\t");
    buf_clear(&out);
    report.init_ns = 0;
    report.duration_ns = 5000000;
    function_log_report(&out, &report);
    assert_str(buf_str(&out), "REPORT RequestId: b9b7\tDuration: 5.00 ms\tBilled Duration: 5 ms\t"
                              "Memory Size: 128 MB\tMax Memory Used: 36 MB\t");
    buf_done(&out);
}

static unsigned admitted(struct function_log *log, unsigned left, unsigned tries, uint64_t now_ns) {
    unsigned count = 0;
    for (unsigned i = 0; i < tries; i++)
        count += function_log_admit(log, 1, left, now_ns);
    return count;
}

static void a_burst_passes_and_then_the_rate(void **state) {
    struct function_log log;
    function_log_init(&log, "f");
    uint64_t now_ns = log.refilled_ns;
    assert_int_equal(admitted(&log, 0, 5000, now_ns), FUNCTION_LOG_BURST);
    assert_int_equal(log.suppressed, 5000 - FUNCTION_LOG_BURST);
    assert_int_equal(metric_get(&log.suppressed_lines), 5000 - FUNCTION_LOG_BURST);
    for (int second = 1; second <= 3; second++)
        assert_int_equal(admitted(&log, 0, 5000, now_ns + (uint64_t)second * ns_per_s),
                         FUNCTION_LOG_LINES_PER_S);
    assert_int_equal(admitted(&log, 0, 5000, now_ns + 3600 * ns_per_s), FUNCTION_LOG_BURST);
    function_log_done(&log);
}

static void lines_of_the_host_stop_first(void **state) {
    struct function_log log;
    function_log_init(&log, "f");
    uint64_t now_ns = log.refilled_ns;
    assert_int_equal(admitted(&log, FUNCTION_LOG_BURST / 2, 5000, now_ns), FUNCTION_LOG_BURST / 2);
    assert_int_equal(admitted(&log, 0, 5000, now_ns), FUNCTION_LOG_BURST / 2);
    function_log_done(&log);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_has_the_form_of_aws),
        cmocka_unit_test(a_burst_passes_and_then_the_rate),
        cmocka_unit_test(lines_of_the_host_stop_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
