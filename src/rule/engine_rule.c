/* A rule as one worker's engine keeps it: with its counts and the sinks that its actions push into. */
#include <stdlib.h>

#include "base/mem.h"
#include "rule/engine.h"
#include "rule/route.h"
#include "rule/straight.h"

static void init_metric(struct metric *metric, const char *name, const char *help, struct str rule,
                        const char *action) {
    struct buf labels = {0};
    metric_label(&labels, "rule", rule);
    if (action)
        metric_label(&labels, "action", str_of(action));
    metric_init(metric, METRIC_COUNTER, name, help, buf_cstr(&labels));
    buf_done(&labels);
}

static void init_action(struct engine_action *action, const struct rule *owner,
                        const struct rule_action *made, bool error) {
    const char *kind = rule_action_name(made);
    struct str rule = owner->name;
    action->rule = owner;
    action->action = made;
    if (error) {
        init_metric(&action->success, "weir_rule_error_action_success_total", "error actions done",
                    rule, kind);
        init_metric(&action->failure, "weir_rule_error_action_failure_total",
                    "error actions failed", rule, kind);
    } else {
        init_metric(&action->success, "weir_rule_action_success_total", "actions done", rule, kind);
        init_metric(&action->failure, "weir_rule_action_failure_total", "actions failed", rule,
                    kind);
    }
}

static struct engine_rule *rule_new(struct rule *made) {
    struct engine_rule *rule = xcalloc(1, sizeof *rule);
    rule->references = 1;
    rule->rule = rule_ref(made);
    rule->is_straight = rule_is_straight(made);
    init_metric(&rule->match, "weir_rule_topic_match_total", "messages whose topic a rule takes",
                made->name, NULL);
    init_metric(&rule->executed, "weir_rule_executed_total", "messages a rule ran its actions for",
                made->name, NULL);
    init_metric(&rule->parse_error, "weir_rule_parse_error_total",
                "messages whose payload is no JSON where a rule needs it", made->name, NULL);
    init_metric(&rule->exhausted, "weir_rule_exhausted_total",
                "messages that cost a rule more than its bounds", made->name, NULL);
    init_metric(&rule->failed, "weir_rule_failed_total",
                "messages for which a function that reaches outside failed", made->name, NULL);
    rule->actions = arena_zalloc(&rule->arena, made->action_count * sizeof *rule->actions);
    for (size_t i = 0; i < made->action_count; i++)
        init_action(&rule->actions[i], made, &made->actions[i], false);
    if (made->error_action) {
        rule->error_action = arena_zalloc(&rule->arena, sizeof *rule->error_action);
        init_action(rule->error_action, made, made->error_action, true);
    }
    rule_route_basic(rule);
    return rule;
}

static void done_action(struct engine_action *action) {
    metric_done(&action->success);
    metric_done(&action->failure);
}

void rule_engine_rule_unref(struct engine_rule *rule) {
    if (!rule || --rule->references)
        return;
    metric_done(&rule->match);
    metric_done(&rule->executed);
    metric_done(&rule->parse_error);
    metric_done(&rule->exhausted);
    metric_done(&rule->failed);
    for (size_t i = 0; i < rule->rule->action_count; i++)
        done_action(&rule->actions[i]);
    if (rule->error_action)
        done_action(rule->error_action);
    rule_unref(rule->rule);
    arena_done(&rule->arena);
    free(rule);
}

static int resolve_action(struct rule_engine *engine, const struct rule *rule,
                          struct engine_action *action, struct err *err) {
    const struct rule_action *made = action->action;
    if (made->kind == RULE_ACTION_REPUBLISH) {
        if (engine->publisher)
            return 0;
        return err_set(err, ERR_INVALID, "%s: rule %.*s: republish needs a broker to publish to",
                       made->place, STR_ARG(rule->name));
    }
    if (made->kind == RULE_ACTION_OUTSIDE) {
        action->sink = engine->sinks->find(engine->sinks, SINK_ACTION, str_of(made->outside->log));
        return action->sink ? 0
                            : err_set(err, ERR_NOT_FOUND, "%s: rule %.*s: action %s has no log",
                                      made->place, STR_ARG(rule->name), rule_action_name(made));
    }
    if (made->target.kind != TEMPLATE_TEXT || rule->disabled || rule->from_client)
        return 0;
    bool stream = made->kind == RULE_ACTION_KINESIS;
    action->sink =
        engine->sinks->find(engine->sinks, stream ? SINK_STREAM : SINK_DELIVERY, made->target.text);
    if (action->sink)
        return 0;
    return err_set(err, ERR_NOT_FOUND, "%s: rule %.*s: action %s: there is no %s \"%.*s\"",
                   made->place, STR_ARG(rule->name), rule_action_name(made),
                   stream ? "stream" : "delivery stream", STR_ARG(made->target.text));
}

static int resolve_rule(struct rule_engine *engine, struct engine_rule *rule, struct err *err) {
    int result = 0;
    for (size_t i = 0; result == 0 && i < rule->rule->action_count; i++)
        result = resolve_action(engine, rule->rule, &rule->actions[i], err);
    if (result == 0 && rule->error_action)
        result = resolve_action(engine, rule->rule, rule->error_action, err);
    const struct action_spec *statement = rule->rule->statement;
    if (result < 0 || !statement)
        return result;
    rule->statement_log = engine->sinks->find(engine->sinks, SINK_ACTION, str_of(statement->log));
    return rule->statement_log
               ? 0
               : err_set(err, ERR_NOT_FOUND, "rule %.*s has no log", STR_ARG(rule->rule->name));
}

int rule_engine_rule_new(struct rule_engine *engine, struct rule *made,
                         struct engine_rule **ret_rule, struct err *err) {
    struct engine_rule *rule = rule_new(made);
    int result = resolve_rule(engine, rule, err);
    if (result < 0)
        rule_engine_rule_unref(rule);
    else
        *ret_rule = rule;
    return result;
}

static void move_action(struct engine_action *to, struct engine_action *from) {
    if (!to || !from || rule_action_name(to->action) != rule_action_name(from->action))
        return;
    metric_move(&to->success, &from->success);
    metric_move(&to->failure, &from->failure);
}

void rule_engine_rule_succeed(struct engine_rule *to, struct engine_rule *from) {
    metric_move(&to->match, &from->match);
    metric_move(&to->executed, &from->executed);
    metric_move(&to->parse_error, &from->parse_error);
    metric_move(&to->exhausted, &from->exhausted);
    metric_move(&to->failed, &from->failed);
    for (size_t i = 0; i < to->rule->action_count && i < from->rule->action_count; i++)
        move_action(&to->actions[i], &from->actions[i]);
    move_action(to->error_action, from->error_action);
}
