#include "rule/straight.h"

static bool is_straight(const struct rule_action *action) {
    if (action->target.kind != TEMPLATE_TEXT || (action->role && !action->permitted))
        return false;
    switch (action->kind) {
    case RULE_ACTION_KINESIS:
        return action->key.kind == TEMPLATE_TEXT || action->key.kind == TEMPLATE_TOPIC;
    case RULE_ACTION_FIREHOSE:
        return !action->batch && action->separator.len == 0;
    case RULE_ACTION_REPUBLISH:
    case RULE_ACTION_OUTSIDE:
        break;
    }
    return false;
}

bool rule_is_straight(const struct rule *rule) {
    return rule->plan->takes_all && !rule->statement && rule->action_count == 1 &&
           is_straight(&rule->actions[0]);
}

static struct str key_of(const struct rule_action *action, struct str topic) {
    if (action->kind == RULE_ACTION_FIREHOSE)
        return RULE_DELIVERY_KEY;
    return action->key.kind == TEMPLATE_TOPIC ? topic : action->key.text;
}

bool rule_go_straight(struct engine_rule *rule, struct str topic, struct str payload) {
    struct engine_action *action = &rule->actions[0];
    struct record record = {.partition_key = key_of(action->action, topic), .data = payload};
    if (!action->sink || rule_record_fault(&record) || sink_push(action->sink, &record) < 0)
        return false;
    metric_add(&rule->match, 1);
    metric_add(&rule->executed, 1);
    metric_add(&action->success, 1);
    return true;
}
