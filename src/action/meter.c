#include "action/meter.h"

#include "action/kinds.h"

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

/* AWS IoT Core Developer Guide, "AWS IoT metrics and dimensions": HttpCode_4XX and so on. */
static void init_http(struct action_meter *meter, const struct action_spec *spec) {
    static const struct {
        const char *name, *help;
    } texts[] = {
        [ACTION_HTTP_4XX] = {"weir_rule_http_code_4xx_total", "requests answered with 400 to 499"},
        [ACTION_HTTP_5XX] = {"weir_rule_http_code_5xx_total", "requests answered with 500 to 599"},
        [ACTION_HTTP_OTHER] = {"weir_rule_http_code_other_total",
                               "requests answered with what is neither 2xx, 4xx nor 5xx"},
        [ACTION_HTTP_INVALID_URL] = {"weir_rule_http_invalid_url_total",
                                     "messages whose URL is none"},
        [ACTION_HTTP_TIMEOUT] = {"weir_rule_http_request_timeout_total",
                                 "requests that were not answered in time"},
        [ACTION_HTTP_UNKNOWN_HOST] = {"weir_rule_http_unknown_host_total",
                                      "requests to a host whose name nobody knows"},
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        init(&meter->http[i], METRIC_COUNTER, texts[i].name, texts[i].help, spec, false);
    meter->is_http = true;
}

void action_meter_http(struct action_meter *meter, enum action_http_outcome outcome) {
    if (meter && meter->is_http)
        metric_add(&meter->http[outcome], 1);
}

void action_meter_answer(struct action_meter *meter, const struct http_answer *answer) {
    if (answer->is_late)
        action_meter_http(meter, ACTION_HTTP_TIMEOUT);
    else if (answer->is_host_unknown)
        action_meter_http(meter, ACTION_HTTP_UNKNOWN_HOST);
    else if (answer->status >= 400 && answer->status <= 599)
        action_meter_http(meter, answer->status <= 499 ? ACTION_HTTP_4XX : ACTION_HTTP_5XX);
    else if (answer->status && (answer->status < 200 || answer->status > 299))
        action_meter_http(meter, ACTION_HTTP_OTHER);
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
    if (spec->kind == &action_http.kind)
        init_http(meter, spec);
}

void action_meter_done(struct action_meter *meter) {
    metric_done(&meter->lag_records);
    metric_done(&meter->behind_ms);
    metric_done(&meter->retries);
    metric_done(&meter->damaged);
    metric_done(&meter->success);
    metric_done(&meter->failure);
    for (size_t i = 0; meter->is_http && i < ACTION_HTTP_OUTCOMES; i++)
        metric_done(&meter->http[i]);
}
