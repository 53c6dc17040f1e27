/* One statement on one message, with all that a person wants to know of it. */
#include <stdio.h>

#include "base/base64.h"
#include "base/json_write.h"
#include "base/random.h"
#include "rule/deferred.h"
#include "rule/explain.h"
#include "rule/route.h"

struct explanation {
    const struct rule_question *question;
    struct buf *out;
    const struct plan *plan;
    struct rule_calls *calls;
    struct evaluation evaluation;
    enum rule_outcome outcome;
    struct str result;
};

/* Errors of SQL begin with "LINE:COLUMN: ". */
static void write_error(struct buf *out, const struct err *err) {
    unsigned line = 0, column = 0;
    int at = 0;
    sscanf(err->text, "%u:%u: %n", &line, &column, &at);
    json_write_key(out, "error");
    buf_add_u8(out, '{');
    if (at) {
        json_write_int(out, "line", line);
        json_write_int(out, "column", column);
    }
    json_write_text(out, "message", str_of(err->text + at));
    buf_add_u8(out, '}');
}

/* {"type":"Decimal","value":21.5} */
static void explain_value(struct evaluation *evaluation, struct buf *out, struct value value) {
    static const char *const names[] = {"Undefined", "Null",   "Boolean", "Int",
                                        "Decimal",   "String", "Array",   "Object"};
    buf_add_u8(out, '{');
    json_write_text(out, "type", str_of(names[value.type]));
    if (value.type != VALUE_UNDEFINED) {
        json_write_key(out, "value");
        rule_value_write(evaluation, out, value);
    }
    buf_add_u8(out, '}');
}

void rule_explain_where(struct evaluation *evaluation, struct buf *out, const struct plan *plan) {
    struct rule_calls *calls = evaluation->environment->calls;
    const char *failure = evaluation->failure;
    struct calls_mark mark;
    if (calls)
        rule_calls_rewind(calls, &mark);
    evaluation->effort_left = EVALUATION_EFFORT_MAX;
    json_write_key(out, "where");
    explain_value(evaluation, out, rule_evaluate_expression(plan->select.where, evaluation));
    evaluation->failure = failure;
    if (calls)
        rule_calls_return(calls, &mark);
}

static void write_value(struct explanation *explanation, struct value value) {
    explain_value(&explanation->evaluation, explanation->out, value);
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

void rule_explain_result(struct buf *out, struct str result, size_t bytes_max) {
    struct json json = {0};
    if (result.len > bytes_max) {
        json_write_int(out, "result_bytes", result.len);
    } else if (json_parse(&json, result) == 0) {
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

const char *rule_explain_reason(enum rule_outcome outcome, const struct evaluation *evaluation) {
    switch (outcome) {
    case RULE_EXHAUSTED:
        return "the statement is too much work for one message, or makes too large a value";
    case RULE_UNREADABLE:
        return "the payload is no JSON object, and the statement adds to * or selects from it";
    case RULE_NOTHING:
        return evaluation->payload_missed
                   ? "WHERE is not true; it asks for fields, and the payload is no JSON document"
                   : "WHERE is not true";
    case RULE_FAILED:
        return evaluation->failure;
    case RULE_PENDING:
        return "it waits for the answer of a function";
    case RULE_RESULT:
        break;
    }
    return NULL;
}

/* Why no action runs, the first that holds. */
static const char *reason(const struct explanation *explanation, bool matched) {
    const struct rule *rule = explanation->question->rule;
    const char *why = rule_explain_reason(explanation->outcome, &explanation->evaluation);
    if (why)
        return why;
    if (!matched && !explanation->plan->has_filter)
        return "there is no FROM: only messages to $aws/rules/NAME come to such a rule";
    if (!matched)
        return "FROM does not take this topic";
    return rule && rule->disabled ? "the rule is disabled" : NULL;
}

/* ---- actions, with what their templates come to ---- */

/* The text as a template, in which a text without ${ is itself; one that is none is left as it stands. */
static void write_template(struct explanation *explanation, struct str text) {
    struct evaluation *evaluation = &explanation->evaluation;
    struct rule_template template = {0};
    struct buf room = {0};
    struct err err;
    evaluation->effort_left = EVALUATION_EFFORT_MAX;
    if (rule_template_compile(evaluation->arena, text, explanation->plan, &template, &err) == 0)
        text = rule_template_evaluate(&template, evaluation, &room);
    json_write_string(explanation->out, text);
    buf_done(&room);
}

static void write_resolved(struct explanation *explanation, struct json_value value) {
    struct buf *out = explanation->out;
    enum json_type type = json_type(value);
    if (type == JSON_STRING) {
        write_template(explanation, json_str(value, explanation->evaluation.arena));
        return;
    }
    if (type != JSON_ARRAY && type != JSON_OBJECT) {
        buf_add_str(out, json_raw(value));
        return;
    }
    buf_add_u8(out, type == JSON_ARRAY ? '[' : '{');
    for (struct json_cursor cursor = json_each(value); json_next(&cursor);) {
        json_write_comma(out);
        if (type == JSON_OBJECT) {
            buf_add_str(out, json_raw(cursor.key));
            buf_add_u8(out, ':');
        }
        write_resolved(explanation, cursor.value);
    }
    buf_add_u8(out, type == JSON_ARRAY ? ']' : '}');
}

/* What the role of an action whose target is a template says of this message's. */
static void write_permission(struct explanation *explanation, const struct rule_action *action) {
    struct buf room = {0};
    struct err why;
    if (!action->role || action->permitted)
        return;
    struct str target = rule_template_evaluate(&action->target, &explanation->evaluation, &room);
    if (rule_action_permit(explanation->question->rule, action, target, &why))
        json_write_text(explanation->out, "refused", str_of(why.text));
    buf_done(&room);
}

/* {"kinesis":{"streamName":"sensors","partitionKey":"a1"}} */
static void write_action(struct explanation *explanation, struct json_value document,
                         const struct rule_action *action) {
    struct buf *out = explanation->out;
    buf_add_u8(out, '{');
    struct json_cursor cursor = json_each(document);
    if (json_next(&cursor)) {
        buf_add_str(out, json_raw(cursor.key));
        buf_add_u8(out, ':');
        write_resolved(explanation, cursor.value);
    }
    write_permission(explanation, action);
    buf_add_u8(out, '}');
}

static void write_actions(struct explanation *explanation) {
    const struct rule *rule = explanation->question->rule;
    struct buf *out = explanation->out;
    struct json json = {0};
    if (json_parse(&json, rule->document) == 0) {
        struct json_value root = json_root(&json), error = json_member(root, STR("errorAction"));
        struct json_cursor cursor = json_each(json_member(root, STR("actions")));
        json_write_key(out, "actions");
        buf_add_u8(out, '[');
        for (size_t i = 0; i < rule->action_count && json_next(&cursor); i++) {
            json_write_comma(out);
            write_action(explanation, cursor.value, &rule->actions[i]);
        }
        buf_add_u8(out, ']');
        if (rule->error_action) {
            json_write_key(out, "error_action");
            write_action(explanation, error, rule->error_action);
        }
    }
    json_done(&json);
}

/* "calls":[{"function":"counter","input":{"n":1},"answer":2}] */
static void write_calls(struct explanation *explanation) {
    struct buf *out = explanation->out;
    const struct rule_calls *calls = explanation->calls;
    size_t count = calls->count + calls->wanted;
    for (size_t i = 0; i < count; i++) {
        const struct call_answer *answer = &calls->answers[i];
        if (i == 0)
            json_write_key(out, "calls");
        buf_add_str(out, i ? STR(",{") : STR("[{"));
        json_write_text(out, "function", buf_str(&answer->function));
        json_write_key(out, "input");
        buf_add_str(out, buf_str(&answer->input));
        if (i < calls->count) {
            json_write_key(out, "answer");
            buf_add_str(out, buf_str(&answer->text));
        }
        buf_add_u8(out, '}');
    }
    if (count)
        buf_add_u8(out, ']');
}

static bool has_values(const struct explanation *explanation) {
    return explanation->outcome != RULE_EXHAUSTED && explanation->outcome != RULE_PENDING;
}

static void write_valid(struct explanation *explanation) {
    struct buf *out = explanation->out;
    const struct plan *plan = explanation->plan;
    struct evaluation *evaluation = &explanation->evaluation;
    bool matched = rule_route_matches(plan, explanation->question->topic);
    const char *why_not = reason(explanation, matched);
    json_write_bool(out, "matched", matched);
    if (has_values(explanation)) {
        write_variables(explanation);
        if (plan->select.where)
            rule_explain_where(evaluation, out, plan);
    }
    json_write_bool(out, "fires", !why_not);
    if (why_not)
        json_write_text(out, "reason", str_of(why_not));
    if (explanation->outcome == RULE_RESULT)
        rule_explain_result(out, explanation->result, SIZE_MAX);
    if (explanation->question->rule && has_values(explanation))
        write_actions(explanation);
    write_calls(explanation);
}

/* The statement and, if it gives a result, what its actions' templates ask for. */
static void try_once(struct explanation *explanation, struct buf *made) {
    const struct rule_question *question = explanation->question;
    const struct rule_environment *environment = question->environment;
    struct evaluation *evaluation = &explanation->evaluation;
    rule_calls_begin(explanation->calls, environment, question->rule, (struct str){0},
                     environment->now_ms(environment), false);
    explanation->outcome = rule_evaluate(explanation->plan, evaluation, made, &explanation->result);
    if (explanation->outcome == RULE_RESULT && question->rule &&
        rule_ask_templates(question->rule, evaluation))
        explanation->outcome = RULE_PENDING;
}

/* Again with each answer that is asked for, as long as there are any. */
static void try_with_answers(struct explanation *explanation, struct buf *made) {
    const struct evaluation fresh = explanation->evaluation;
    struct json json = {0};
    bool has_answers = json_parse(&json, explanation->question->answers) == 0;
    struct json_cursor answer = json_each(has_answers ? json_root(&json) : (struct json_value){0});
    try_once(explanation, made);
    while (explanation->outcome == RULE_PENDING && json_next(&answer)) {
        rule_calls_answer(explanation->calls, true, json_raw(answer.value));
        arena_reset(fresh.arena);
        explanation->evaluation = fresh;
        try_once(explanation, made);
    }
    json_done(&json);
}

static void evaluate(struct explanation *explanation) {
    const struct rule_question *question = explanation->question;
    struct rule_payload payload = {.json.bytes_max = EVALUATION_OUTPUT_BYTES_MAX};
    struct rule_cache cache = {0};
    struct arena arena = {0};
    struct buf made = {0}, scratch = {0};
    char trace_id[UUID_CHARS] = "";
    struct message message = {
        .topic = question->topic, .payload = question->payload, .client_id = question->client_id};
    explanation->calls = rule_calls_new();
    explanation->evaluation = (struct evaluation){
        .environment = &explanation->calls->environment,
        .message = &message,
        .topic = question->topic,
        .version = explanation->plan->version,
        .payload = &payload,
        .arena = &arena,
        .cache = &cache,
        .scratch = &scratch,
        .trace_id = trace_id,
        .roles = question->rule ? question->rule->roles : NULL,
        .secrets = question->rule ? question->rule->secrets : NULL,
        .effort_left = EVALUATION_EFFORT_MAX,
    };
    try_with_answers(explanation, &made);
    write_valid(explanation);
    rule_calls_free(explanation->calls);
    json_done(&payload.json);
    rule_cache_done(&cache);
    arena_done(&arena);
    buf_done(&made);
    buf_done(&scratch);
}

bool rule_explain(const struct rule_question *question, struct buf *out) {
    struct explanation explanation = {.question = question, .out = out};
    struct arena arena = {0};
    struct plan *plan = question->rule ? question->rule->plan : NULL;
    struct err err;
    bool valid =
        plan || rule_plan_statement(&arena, question->sql, (enum rule_version)question->sql_version,
                                    &plan, &err) == 0;
    buf_add_u8(out, '{');
    json_write_bool(out, "valid", valid);
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
