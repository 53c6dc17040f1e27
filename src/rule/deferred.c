#include "rule/deferred.h"

/* ---- the record ---- */

static const char name_rule[] = "rule";
static const char name_principal[] = "principal";
static const char name_properties[] = "properties";
static const char name_seed[] = "seed";

static void write_params(struct engine_run *run, struct action_params *ret_params) {
    const struct message *message = run->evaluation.message;
    uint8_t seed[CALLS_SEED_BYTES];
    random_bytes(seed, sizeof seed);
    const struct action_param params[] = {
        {str_of(name_rule), run->rule->rule->name},
        {str_of(name_principal), message->principal},
        {str_of(name_properties), message->properties},
        {str_of(name_seed), str_from(seed, sizeof seed)},
    };
    struct buf *out = &run->frame->params;
    buf_clear(out);
    for (size_t i = 0; i < COUNT_OF(params); i++)
        action_param_write(out, params[i].name, params[i].value);
    *ret_params = (struct action_params){buf_str(out), COUNT_OF(params)};
}

/* timestamp() is when the worker sees the message, as in every rule. */
static void write_record(struct engine_run *run) {
    const struct message *message = run->evaluation.message;
    const struct rule_environment *environment = run->engine->environment;
    bool has_error_action = run->rule->rule->statement->has_error_action;
    struct action_record record = {
        .payload = message->payload,
        .topic = message->topic,
        .client_id = message->client_id,
        .source_ip = message->source_ip,
        .trace_id = rule_evaluation_trace_id(&run->evaluation),
        .received_ms = environment->now_ms(environment),
        .original = has_error_action ? message->payload : (struct str){0},
        .has_original = has_error_action,
        .depth = message->republish_depth,
    };
    write_params(run, &record.params);
    buf_clear(&run->frame->record);
    action_record_write(&run->frame->record, &record);
}

/* What the log can never take (it is too large) goes to the error action at once. */
void rule_defer(struct engine_run *run) {
    struct err why;
    struct str log = str_of(run->rule->rule->statement->log);
    write_record(run);
    int result = rule_action_push(run->engine, &run->rule->statement_log, log,
                                  buf_str(&run->frame->record), &why);
    if (result >= 0 || result == ERR_NO_SPACE || result == ERR_IO)
        rule_run_join(run, result);
    else
        rule_run_fail(run, "aws_lambda", log, why.text);
}

static struct message message_of(const struct action_record *record) {
    return (struct message){
        .topic = record->topic,
        .payload = record->payload,
        .properties = action_param_get(&record->params, name_properties),
        .client_id = record->client_id,
        .principal = action_param_get(&record->params, name_principal),
        .source_ip = record->source_ip,
        .received_ms = record->received_ms,
        .republish_depth = record->depth,
    };
}

/* ---- evaluation ---- */

/* A rule of the log, and the message. */
struct resumed {
    struct engine_run run;
    struct message message;
    struct engine_rule *temporary; /* or NULL */
};

/* The engine's rule of that name; of a rule that is no more one made for this message. */
static int find_rule(struct rule_engine *engine, struct rule *rule, struct resumed *resumed,
                     struct engine_rule **ret_rule, struct err *why) {
    resumed->temporary = NULL;
    *ret_rule = map_get(&engine->by_name, rule->name);
    if (*ret_rule)
        return 0;
    int code = rule_engine_rule_new(engine, rule, &resumed->temporary, why);
    *ret_rule = resumed->temporary;
    return code;
}

static int begin(struct resumed *resumed, struct rule_engine *engine, struct rule *rule,
                 const struct action_record *record, struct rule_calls *calls, bool is_final) {
    struct engine_run *run = &resumed->run;
    struct engine_rule *found;
    struct err why;
    int code = find_rule(engine, rule, resumed, &found, &why);
    if (code)
        return code;
    resumed->message = message_of(record);
    bool is_basic = str_starts(record->topic, STR("$aws/rules/"));
    rule_run_begin(run, engine, &resumed->message, is_basic ? found->basic->topic_skip : 0);
    if (record->trace_id.len == UUID_CHARS)
        memcpy(run->frame->trace_id, record->trace_id.at, UUID_CHARS);
    rule_calls_begin(calls, engine->environment, found->rule,
                     action_param_get(&record->params, name_seed), record->received_ms, is_final);
    run->evaluation.environment = &calls->environment;
    rule_run_begin_rule(run, found);
    arena_reset(&run->frame->arena);
    return 0;
}

static void end(struct resumed *resumed) {
    resumed->run.engine->depth--;
    rule_engine_rule_unref(resumed->temporary);
}

static void ask_template(const struct rule_template *template, struct evaluation *evaluation,
                         struct buf *room) {
    if (!evaluation->exhausted && !evaluation->failure)
        rule_template_evaluate(template, evaluation, room);
}

/* In the order in which the action evaluates them. */
static void ask_action(const struct rule_action *action, struct evaluation *evaluation) {
    struct buf rooms[3] = {{0}};
    struct err why;
    evaluation->exhausted = false;
    evaluation->failure = NULL;
    evaluation->effort_left = EVALUATION_EFFORT_MAX;
    ask_template(&action->target, evaluation, &rooms[0]);
    ask_template(&action->key, evaluation, &rooms[0]);
    for (size_t i = 0; i < action->param_count; i++)
        ask_template(&action->params[i].template, evaluation, &rooms[0]);
    if (!evaluation->exhausted && !evaluation->failure)
        rule_headers_write(&action->headers, evaluation, &rooms[0], &rooms[1], &rooms[2], &why);
    for (size_t i = 0; i < COUNT_OF(rooms); i++)
        buf_done(&rooms[i]);
}

bool rule_ask_templates(const struct rule *rule, struct evaluation *evaluation) {
    const struct rule_calls *calls = evaluation->environment->calls;
    if (!rule->asks_in_templates)
        return false;
    for (size_t i = 0; i < rule->action_count && !calls->wanted; i++)
        ask_action(&rule->actions[i], evaluation);
    return calls->wanted;
}

bool rule_engine_ask(struct rule_engine *engine, struct rule *rule,
                     const struct action_record *record, struct rule_calls *calls) {
    struct resumed resumed;
    if (begin(&resumed, engine, rule, record, calls, false))
        return false;
    struct engine_run *run = &resumed.run;
    const struct rule *made = run->rule->rule;
    struct str payload;
    enum rule_outcome outcome =
        rule_evaluate(made->plan, &run->evaluation, &run->frame->out, &payload);
    bool wanted = outcome == RULE_PENDING ||
                  (outcome == RULE_RESULT && rule_ask_templates(made, &run->evaluation));
    end(&resumed);
    return wanted;
}

int rule_engine_resume(struct rule_engine *engine, struct rule *rule,
                       const struct action_record *record, struct rule_calls *calls) {
    struct resumed resumed;
    int result = begin(&resumed, engine, rule, record, calls, true);
    if (result)
        return result;
    rule_run_evaluate(&resumed.run);
    result = resumed.run.result;
    end(&resumed);
    return result;
}
