/*
 * What an action shows at /metrics, with the labels rule and action (its kind), and log for those of
 * its own:
 *
 *   weir_action_lag_records      not yet taken by the target
 *   weir_action_behind_ms        age of the oldest of them
 *   weir_action_retries_total    items that were given again
 *   weir_action_damaged_total    records that could not be read
 *   weir_rule_action_success_total, weir_rule_action_failure_total
 *   weir_rule_error_action_success_total, weir_rule_error_action_failure_total
 *   weir_rule_http_..._total     of the requests of an http action, by what they came to
 */
#ifndef ACTION_METER_H
#define ACTION_METER_H

#include "base/metric.h"
#include "flow/action.h"
#include "http/http.h"

/* AWS's metrics of http actions; what was taken (2xx) has none. */
enum action_http_outcome {
    ACTION_HTTP_4XX,
    ACTION_HTTP_5XX,
    ACTION_HTTP_OTHER,
    ACTION_HTTP_INVALID_URL,
    ACTION_HTTP_TIMEOUT,
    ACTION_HTTP_UNKNOWN_HOST,
    ACTION_HTTP_OUTCOMES,
};

struct action_meter {
    struct metric lag_records, behind_ms, retries, damaged, success, failure;
    struct metric http[ACTION_HTTP_OUTCOMES]; /* of the kind http alone */
    bool is_http;
};

void action_meter_init(struct action_meter *meter, const struct action_spec *spec);
void action_meter_done(struct action_meter *meter);

/* Counts a request. `meter` NULL: nobody asks. */
void action_meter_http(struct action_meter *meter, enum action_http_outcome outcome);

/* What came of a request; nothing is counted of a 2xx and of a failure that has no metric. */
void action_meter_answer(struct action_meter *meter, const struct http_answer *answer);

#endif
