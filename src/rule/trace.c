#include "rule/trace.h"

#include "base/clock.h"
#include "base/json_write.h"
#include "rule/explain.h"
#include "rule/straight.h"

static void write_microseconds(struct buf *out, uint64_t since_ns) {
    uint64_t ns = clock_mono_ns() - since_ns;
    json_write_key(out, "microseconds");
    buf_printf(out, "%llu.%01u", (unsigned long long)(ns / 1000), (unsigned)(ns / 100 % 10));
}

void rule_trace_begin(struct rule_trace *trace) {
    const struct message *message = trace->evaluation->message;
    struct buf *out = trace->line;
    char at[CLOCK_RFC3339_BYTES];
    clock_rfc3339(clock_wall_ms(), at);
    buf_clear(out);
    buf_add_u8(out, '{');
    json_write_text(out, "rule", trace->rule->rule->name);
    json_write_text(out, "topic", message->topic);
    if (message->client_id.len)
        json_write_text(out, "client_id", message->client_id);
    json_write_text(out, "at", str_of(at));
    trace->began_ns = clock_mono_ns();
}

/* WHERE is evaluated once more, for its value. */
void rule_trace_outcome(struct rule_trace *trace, enum rule_outcome outcome, struct str payload) {
    const struct plan *plan = trace->rule->rule->plan;
    struct evaluation *evaluation = trace->evaluation;
    struct buf *out = trace->line;
    const char *reason = rule_explain_reason(outcome, evaluation);
    if (plan->select.where && outcome != RULE_EXHAUSTED)
        rule_explain_where(evaluation, out, plan);
    json_write_key(out, "fires");
    buf_add_str(out, reason ? STR("false") : STR("true"));
    if (reason)
        json_write_text(out, "reason", str_of(reason));
    else
        rule_explain_result(out, payload, RULE_TRACE_RESULT_BYTES_MAX);
}

void rule_trace_action_begin(struct rule_trace *trace) {
    trace->action_began_ns = clock_mono_ns();
}

void rule_trace_action_end(struct rule_trace *trace, const struct rule_action *action, bool error,
                           struct str resource, int result, const struct err *why) {
    struct buf *out = trace->line;
    if (trace->actions++)
        buf_add_u8(out, ',');
    else
        buf_add_str(out, STR(",\"actions\":["));
    buf_add_u8(out, '{');
    json_write_text(out, error ? "error_action" : "action", str_of(rule_action_name(action)));
    json_write_text(out, "resource", resource);
    json_write_text(out, "outcome", result < 0 ? STR("failure") : STR("success"));
    if (result < 0)
        json_write_text(out, "error", str_of(why->text));
    write_microseconds(out, trace->action_began_ns);
    buf_add_u8(out, '}');
}

void rule_trace_end(struct rule_trace *trace) {
    struct buf *out = trace->line;
    if (trace->actions)
        buf_add_u8(out, ']');
    write_microseconds(out, trace->began_ns);
    buf_add_u8(out, '}');
    LIST_EACH(item, &trace->engine->tracers) {
        struct rule_tracer *tracer = LIST_ITEM(item, struct rule_tracer, link);
        if (str_eq(tracer->rule, trace->rule->rule->name))
            tracer->line(tracer, buf_str(out));
    }
}

void rule_trace_refresh(struct rule_engine *engine) {
    for (size_t i = 0; i < engine->count; i++) {
        struct engine_rule *rule = engine->rules[i];
        rule->traced = false;
        rule->is_straight = rule_is_straight(rule->rule);
    }
    LIST_EACH(item, &engine->tracers) {
        struct engine_rule *rule =
            map_get(&engine->by_name, LIST_ITEM(item, struct rule_tracer, link)->rule);
        if (!rule)
            continue;
        rule->traced = true;
        rule->is_straight = false;
    }
}

void rule_engine_trace(struct rule_engine *engine, struct rule_tracer *tracer) {
    list_push_back(&engine->tracers, &tracer->link);
    rule_trace_refresh(engine);
}

void rule_engine_untrace(struct rule_engine *engine, struct rule_tracer *tracer) {
    list_remove(&tracer->link);
    rule_trace_refresh(engine);
}
