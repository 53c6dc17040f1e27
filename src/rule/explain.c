/* One statement on one message, with all that a person wants to know of it. */
#include <stdio.h>

#include "base/base64.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "base/random.h"
#include "rule/evaluate.h"
#include "rule/route.h"
#include "rule/rule.h"

struct explanation {
    const struct rule_question *question;
    struct buf *out;
    const struct plan *plan;
    struct evaluation evaluation;
    enum rule_outcome outcome;
    struct str result;
};

static void write_bool(struct buf *out, const char *key, bool value) {
    json_write_key(out, key);
    buf_add_str(out, value ? STR("true") : STR("false"));
}

static void write_text(struct buf *out, const char *key, struct str text) {
    json_write_key(out, key);
    json_write_string(out, text);
}

/* Errors of SQL begin with "LINE:COLUMN: ". */
static void write_error(struct buf *out, const struct err *err) {
    unsigned line = 0, column = 0;
    int at = 0;
    sscanf(err->text, "%u:%u: %n", &line, &column, &at);
    json_write_key(out, "error");
    buf_add_u8(out, '{');
    if (at) {
        json_write_key(out, "line");
        buf_printf(out, "%u", line);
        json_write_key(out, "column");
        buf_printf(out, "%u", column);
    }
    write_text(out, "message", str_of(err->text + at));
    buf_add_u8(out, '}');
}

/* {"type":"Decimal","value":21.5} */
static void write_value(struct explanation *explanation, struct value value) {
    static const char *const names[] = {"Undefined", "Null",   "Boolean", "Int",
                                        "Decimal",   "String", "Array",   "Object"};
    struct buf *out = explanation->out;
    buf_add_u8(out, '{');
    write_text(out, "type", str_of(names[value.type]));
    if (value.type != VALUE_UNDEFINED) {
        json_write_key(out, "value");
        rule_value_write(&explanation->evaluation, out, value);
    }
    buf_add_u8(out, '}');
}

static void write_variables(struct explanation *explanation) {
    const struct plan *plan = explanation->plan;
    struct buf *out = explanation->out;
    if (plan->variable_count == 0)
        return;
    json_write_key(out, "variables");
    buf_add_u8(out, '{');
    for (size_t i = 0; i < plan->variable_count; i++) {
        json_write_comma(out);
        json_write_string(out, plan->variable_names[i]);
        buf_add_u8(out, ':');
        write_value(explanation, explanation->evaluation.variables[i]);
    }
    buf_add_u8(out, '}');
}

static void write_result(struct buf *out, struct str result) {
    struct json json = {0};
    if (json_parse(&json, result) == 0) {
        json_write_key(out, "result");
        buf_add_str(out, result);
    } else {
        json_write_key(out, "result_base64");
        buf_add_u8(out, '"');
        base64_write(out, result);
        buf_add_u8(out, '"');
    }
    json_done(&json);
}

/* Why no action runs, the first that holds. */
static const char *reason(const struct explanation *explanation, bool matched) {
    if (explanation->outcome == RULE_EXHAUSTED)
        return "the statement is too much work for one message, or makes too large a value";
    if (explanation->outcome == RULE_UNREADABLE)
        return "the payload is no JSON object, and the statement adds to * or selects from it";
    if (explanation->outcome == RULE_NOTHING && explanation->evaluation.payload_missed)
        return "WHERE is not true; it asks for fields, and the payload is no JSON document";
    if (explanation->outcome == RULE_NOTHING)
        return "WHERE is not true";
    if (!matched && !explanation->plan->has_filter)
        return "there is no FROM: only messages to $aws/rules/NAME come to such a rule";
    return matched ? NULL : "FROM does not take this topic";
}

static void write_valid(struct explanation *explanation) {
    struct buf *out = explanation->out;
    const struct plan *plan = explanation->plan;
    struct evaluation *evaluation = &explanation->evaluation;
    bool matched = rule_route_matches(plan, explanation->question->topic);
    const char *why_not = reason(explanation, matched);
    write_bool(out, "matched", matched);
    if (explanation->outcome != RULE_EXHAUSTED) {
        write_variables(explanation);
        if (plan->select.where) {
            evaluation->effort_left = EVALUATION_EFFORT_MAX;
            struct value where = rule_evaluate_expression(plan->select.where, evaluation);
            json_write_key(out, "where");
            write_value(explanation, where);
        }
    }
    write_bool(out, "fires", !why_not);
    if (why_not)
        write_text(out, "reason", str_of(why_not));
    if (explanation->outcome == RULE_RESULT)
        write_result(out, explanation->result);
}

static void evaluate(struct explanation *explanation) {
    const struct rule_question *question = explanation->question;
    struct rule_payload payload = {.json.bytes_max = EVALUATION_OUTPUT_BYTES_MAX};
    struct rule_cache cache = {0};
    struct arena arena = {0};
    struct buf made = {0}, scratch = {0};
    char trace_id[UUID_CHARS] = "";
    struct message message = {.topic = question->topic, .payload = question->payload};
    explanation->evaluation = (struct evaluation){
        .environment = question->environment,
        .message = &message,
        .topic = question->topic,
        .version = explanation->plan->version,
        .payload = &payload,
        .arena = &arena,
        .cache = &cache,
        .scratch = &scratch,
        .trace_id = trace_id,
        .effort_left = EVALUATION_EFFORT_MAX,
    };
    explanation->outcome =
        rule_evaluate(explanation->plan, &explanation->evaluation, &made, &explanation->result);
    write_valid(explanation);
    json_done(&payload.json);
    rule_cache_done(&cache);
    arena_done(&arena);
    buf_done(&made);
    buf_done(&scratch);
}

bool rule_explain(const struct rule_question *question, struct buf *out) {
    struct explanation explanation = {.question = question, .out = out};
    struct arena arena = {0};
    struct plan *plan;
    struct err err;
    bool valid = rule_plan_statement(&arena, question->sql,
                                     (enum rule_version)question->sql_version, &plan, &err) == 0;
    buf_add_u8(out, '{');
    write_bool(out, "valid", valid);
    if (valid) {
        explanation.plan = plan;
        evaluate(&explanation);
    } else {
        write_error(out, &err);
    }
    buf_add_u8(out, '}');
    arena_done(&arena);
    return valid;
}
