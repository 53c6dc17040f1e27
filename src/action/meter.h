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
 */
#ifndef ACTION_METER_H
#define ACTION_METER_H

#include "base/metric.h"
#include "flow/action.h"

struct action_meter {
    struct metric lag_records, behind_ms, retries, damaged, success, failure;
};

void action_meter_init(struct action_meter *meter, const struct action_spec *spec);
void action_meter_done(struct action_meter *meter);

#endif
