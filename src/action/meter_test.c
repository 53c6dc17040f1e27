#include "action/meter.h"

#include "base/test.h"

#include "action/kinds.h"

static struct action_spec spec_of(const struct action_kind *kind, bool is_error_action) {
    return (struct action_spec){
        .kind = kind, .rule = STR("r \"1\""), .log = "r-1", .is_error_action = is_error_action};
}

static void actions_and_error_actions_are_counted_apart(void **state) {
    const struct action_spec action = spec_of(&action_redis.kind, false),
                             error_action = spec_of(&action_redis.kind, true);
    const char labels[] = "rule=\"r \\\"1\\\"\",action=\"redis\"";
    struct action_meter meters[2] = {0};
    action_meter_init(&meters[0], &action);
    action_meter_init(&meters[1], &error_action);
    metric_add(&meters[0].success, 1);
    metric_add(&meters[0].failure, 2);
    metric_add(&meters[1].success, 4);
    metric_add(&meters[1].failure, 8);
    assert_int_equal(metric_sum("weir_rule_action_success_total", labels), 1);
    assert_int_equal(metric_sum("weir_rule_action_failure_total", labels), 2);
    assert_int_equal(metric_sum("weir_rule_error_action_success_total", labels), 4);
    assert_int_equal(metric_sum("weir_rule_error_action_failure_total", labels), 8);
    action_meter_done(&meters[0]);
    action_meter_done(&meters[1]);
    assert_int_equal(metric_sum("weir_rule_action_failure_total", labels), 0);
}

static void the_log_s_own_metrics_name_it(void **state) {
    const struct action_spec spec = spec_of(&action_redis.kind, false);
    const char labels[] = "rule=\"r \\\"1\\\"\",action=\"redis\",log=\"r-1\"";
    struct action_meter meter = {0};
    action_meter_init(&meter, &spec);
    metric_set(&meter.lag_records, 1);
    metric_set(&meter.behind_ms, 2);
    metric_add(&meter.retries, 4);
    metric_add(&meter.damaged, 8);
    assert_int_equal(metric_sum("weir_action_lag_records", labels), 1);
    assert_int_equal(metric_sum("weir_action_behind_ms", labels), 2);
    assert_int_equal(metric_sum("weir_action_retries_total", labels), 4);
    assert_int_equal(metric_sum("weir_action_damaged_total", labels), 8);
    action_meter_done(&meter);
}

enum { NONE = ACTION_HTTP_OUTCOMES };

static const struct {
    struct http_answer answer;
    unsigned outcome;
} answers[] = {
    {{.status = 200}, NONE},
    {{.status = 299}, NONE},
    {{.status = 199}, ACTION_HTTP_OTHER},
    {{.status = 300}, ACTION_HTTP_OTHER},
    {{.status = 399}, ACTION_HTTP_OTHER},
    {{.status = 400}, ACTION_HTTP_4XX},
    {{.status = 499}, ACTION_HTTP_4XX},
    {{.status = 500}, ACTION_HTTP_5XX},
    {{.status = 599}, ACTION_HTTP_5XX},
    {{.status = 600}, ACTION_HTTP_OTHER},
    {{.is_late = true}, ACTION_HTTP_TIMEOUT},
    {{.is_host_unknown = true}, ACTION_HTTP_UNKNOWN_HOST},
    {{.error = "refused"}, NONE},
};

static void an_answer_counts_once(void **state) {
    const struct action_spec spec = spec_of(&action_http.kind, false);
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct action_meter meter = {0};
        action_meter_init(&meter, &spec);
        action_meter_answer(&meter, &answers[i].answer);
        for (unsigned j = 0; j < ACTION_HTTP_OUTCOMES; j++)
            assert_int_equal(metric_get(&meter.http[j]), j == answers[i].outcome);
        action_meter_done(&meter);
    }
}

static void other_kinds_have_none_of_http(void **state) {
    const struct action_spec spec = spec_of(&action_redis.kind, false);
    const struct http_answer answer = {.status = 404};
    struct action_meter meter = {0};
    struct buf shown = {0};
    action_meter_init(&meter, &spec);
    action_meter_answer(&meter, &answer);
    action_meter_answer(NULL, &answer);
    metric_show(&shown);
    assert_null(strstr(buf_cstr(&shown), "weir_rule_http"));
    buf_done(&shown);
    action_meter_done(&meter);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actions_and_error_actions_are_counted_apart),
        cmocka_unit_test(the_log_s_own_metrics_name_it),
        cmocka_unit_test(an_answer_counts_once),
        cmocka_unit_test(other_kinds_have_none_of_http),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
