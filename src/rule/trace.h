/* One line per message for those who follow a rule (rule_engine_trace). */
#ifndef RULE_TRACE_H
#define RULE_TRACE_H

#include "rule/engine.h"

/* What a line is made of while the rule runs. */
struct rule_trace {
    struct rule_engine *engine;
    const struct engine_rule *rule;
    struct evaluation *evaluation;
    struct buf *line;
    uint64_t began_ns, action_began_ns;
    size_t actions;
};

void rule_trace_begin(struct rule_trace *trace);
void rule_trace_outcome(struct rule_trace *trace, enum rule_outcome outcome, struct str payload);

/* Around each action. `why` counts if `result` is negative. */
void rule_trace_action_begin(struct rule_trace *trace);
void rule_trace_action_end(struct rule_trace *trace, const struct rule_action *action, bool error,
                           struct str resource, int result, const struct err *why);

/* Tells all that follow. */
void rule_trace_end(struct rule_trace *trace);

/* Which rules are followed: after the engine's rules or its tracers changed. */
void rule_trace_refresh(struct rule_engine *engine);

#endif
