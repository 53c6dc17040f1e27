#include "action/meter.h"

static void init(struct metric *metric, enum metric_type type, const char *name, const char *help,
                 const struct action_spec *spec, bool with_log) {
    struct buf labels = {0};
    metric_label(&labels, "rule", spec->rule);
    metric_label(&labels, "action", str_of(spec->kind->name));
    if (with_log)
        metric_label(&labels, "log", str_of(spec->log));
    metric_init(metric, type, name, help, buf_cstr(&labels));
    buf_done(&labels);
}

/* The rule engines count under the same names what fails before it is in the log. */
static void init_outcomes(struct action_meter *meter, const struct action_spec *spec) {
    if (spec->is_error_action) {
        init(&meter->success, METRIC_COUNTER, "weir_rule_error_action_success_total",
             "error actions done", spec, false);
        init(&meter->failure, METRIC_COUNTER, "weir_rule_error_action_failure_total",
             "error actions failed", spec, false);
    } else {
        init(&meter->success, METRIC_COUNTER, "weir_rule_action_success_total", "actions done",
             spec, false);
        init(&meter->failure, METRIC_COUNTER, "weir_rule_action_failure_total", "actions failed",
             spec, false);
    }
}

void action_meter_init(struct action_meter *meter, const struct action_spec *spec) {
    init(&meter->lag_records, METRIC_GAUGE, "weir_action_lag_records",
         "messages that the action's target has not taken yet", spec, true);
    init(&meter->behind_ms, METRIC_GAUGE, "weir_action_behind_ms",
         "age of the oldest message that the action's target has not taken yet", spec, true);
    init(&meter->retries, METRIC_COUNTER, "weir_action_retries_total",
         "messages that were given to the action's target again", spec, true);
    init(&meter->damaged, METRIC_COUNTER, "weir_action_damaged_total",
         "records of the action's log that could not be read", spec, true);
    init_outcomes(meter, spec);
}

void action_meter_done(struct action_meter *meter) {
    metric_done(&meter->lag_records);
    metric_done(&meter->behind_ms);
    metric_done(&meter->retries);
    metric_done(&meter->damaged);
    metric_done(&meter->success);
    metric_done(&meter->failure);
}
