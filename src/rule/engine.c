/*
 * One worker's rules at work. push() goes through the rules of a route; for each:
 *
 *   evaluate        SET, WHERE, SELECT: a payload, or nothing to do
 *   run actions     each for itself; one that fails does not keep the others from running
 *   error action    if there is one and an action failed: gets a report of all failures
 *
 * The payload is read as JSON at most once, when the first rule needs it. What an action cannot
 * keep (NO_SPACE, IO) becomes the result of the push, so that the publisher sends the message
 * again; such failures go to no error action, since they are not final.
 */
#include "rule/engine.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "rule/deferred.h"
#include "rule/report.h"
#include "rule/route.h"
#include "rule/straight.h"
#include "rule/trace.h"

enum { LOG_INTERVAL_MS = 10000 };

static uint64_t default_now_ms(const struct rule_environment *environment) {
    return clock_wall_ms();
}

static void default_uuid(const struct rule_environment *environment, char ret_text[36]) {
    random_uuid(ret_text);
}

static double default_random(const struct rule_environment *environment) {
    return (double)(random_u64() >> 11) * 0x1p-53;
}

const struct rule_environment rule_environment_default = {
    .now_ms = default_now_ms,
    .uuid = default_uuid,
    .random = default_random,
    .account_id = "000000000000",
};

/* --- one message --- */

/* Negative before MESSAGE_STAGED before MESSAGE_TAKEN. */
static void join_result(int *result, int other) {
    if (*result >= 0 && (other < 0 || other > *result))
        *result = other;
}

void rule_run_join(struct engine_run *run, int result) {
    join_result(&run->result, result);
}

static bool comes_again(int code) {
    return code == ERR_NO_SPACE || code == ERR_IO;
}

static void log_failure(struct engine_run *run, struct log_limit *limit, const char *what,
                        const char *why) {
    unsigned missed;
    if (!log_limit_pass(limit, LOG_INTERVAL_MS, &missed))
        return;
    struct str name = run->rule->rule->name, topic = run->evaluation.message->topic;
    log_warn("rule", "%.*s: %s failed on topic %.*s: %s (%u more like this)", STR_ARG(name), what,
             STR_ARG(topic), why, missed);
}

static int run_action(struct engine_run *run, struct engine_action *action, struct str payload,
                      struct str *resource, struct err *why) {
    /* Templates of one action may use up what they are allowed, not what the others are. */
    struct evaluation *evaluation = &run->evaluation;
    bool exhausted = evaluation->exhausted;
    evaluation->exhausted = false;
    evaluation->failure = NULL;
    evaluation->effort_left = EVALUATION_EFFORT_MAX;
    if (run->trace)
        rule_trace_action_begin(run->trace);
    int result =
        rule_action_run(run->engine, action, evaluation, run->frame, payload, resource, why);
    if (run->trace)
        rule_trace_action_end(run->trace, action->action, action == run->rule->error_action,
                              *resource, result, why);
    evaluation->exhausted = evaluation->exhausted || exhausted;
    if (result < 0)
        metric_add(&action->failure, 1);
    else if (!action->action->outside) /* else it is done when it is delivered */
        metric_add(&action->success, 1);
    if (result < 0)
        log_failure(run, &action->limit, rule_action_name(action->action), why->text);
    if (result >= 0 || comes_again(result))
        join_result(&run->result, result);
    return result;
}

static struct str write_report(struct engine_run *run) {
    const struct message *message = run->evaluation.message;
    struct buf *out = &run->frame->error_report;
    buf_clear(out);
    if (run->frame->failed_batch)
        return rule_report_batch(out, run->frame->failed_batch);
    const struct action_record record = {.topic = message->topic,
                                         .client_id = message->client_id,
                                         .source_ip = message->source_ip,
                                         .trace_id = rule_evaluation_trace_id(&run->evaluation),
                                         .original = message->payload};
    return rule_report(out, run->rule->rule->name, &record, buf_str(&run->frame->failures));
}

static void run_error_action(struct engine_run *run) {
    struct str resource;
    struct err why;
    run_action(run, run->rule->error_action, write_report(run), &resource, &why);
}

static void run_actions(struct engine_run *run, struct str payload) {
    const struct engine_rule *rule = run->rule;
    bool failed = false;
    buf_clear(&run->frame->failures);
    for (size_t i = 0; i < rule->rule->action_count; i++) {
        struct str resource;
        struct err why; /* set on failure alone: clearing it would cost more than the action */
        int result = run_action(run, &rule->actions[i], payload, &resource, &why);
        if (result >= 0 || comes_again(result) || !rule->error_action)
            continue;
        failed = true;
        rule_report_failure(&run->frame->failures, 0,
                            rule_action_failed_name(rule->actions[i].action), resource,
                            str_of(why.text));
    }
    if (failed)
        run_error_action(run);
}

void rule_run_fail(struct engine_run *run, const char *failed_action, struct str resource,
                   const char *why) {
    metric_add(&run->rule->failed, 1);
    log_failure(run, &run->rule->limit, "the statement", why);
    if (!run->rule->error_action)
        return;
    buf_clear(&run->frame->failures);
    rule_report_failure(&run->frame->failures, 0, failed_action, resource, str_of(why));
    run_error_action(run);
}

static void evaluate(struct engine_run *run) {
    struct engine_rule *rule = run->rule;
    struct str payload = {0};
    enum rule_outcome outcome =
        rule_evaluate(rule->rule->plan, &run->evaluation, &run->frame->out, &payload);
    if (run->trace)
        rule_trace_outcome(run->trace, outcome, payload);
    if (outcome == RULE_RESULT) {
        metric_add(&rule->executed, 1);
        run_actions(run, payload);
    }
    if (outcome == RULE_FAILED)
        rule_run_fail(run, run->evaluation.failed_function, run->evaluation.failed_resource,
                      run->evaluation.failure);
    if (run->evaluation.exhausted) {
        metric_add(&rule->exhausted, 1);
        log_failure(run, &rule->limit, "the statement", "too much work for one message");
    }
    if (run->evaluation.payload_missed) {
        metric_add(&rule->parse_error, 1);
        log_failure(run, &rule->limit, "the statement", "the payload is no JSON document");
    }
}

static void evaluate_traced(struct engine_run *run) {
    struct rule_trace trace = {.engine = run->engine,
                               .rule = run->rule,
                               .evaluation = &run->evaluation,
                               .line = &run->frame->trace};
    run->trace = &trace;
    rule_trace_begin(&trace);
    evaluate(run);
    rule_trace_end(&trace);
    run->trace = NULL;
}

void rule_run_evaluate(struct engine_run *run) {
    if (run->rule->traced)
        evaluate_traced(run);
    else
        evaluate(run);
}

static void run_rule(struct engine_run *run) {
    arena_reset(&run->frame->arena);
    metric_add(&run->rule->match, 1);
    if (run->rule->rule->statement)
        rule_defer(run);
    else
        rule_run_evaluate(run);
}

static struct engine_frame *enter(struct rule_engine *engine) {
    ASSERT(engine->depth < ENGINE_FRAMES);
    struct engine_frame **frame = &engine->frames[engine->depth++];
    if (!*frame) {
        *frame = xcalloc(1, sizeof **frame);
        (*frame)->payload.json.bytes_max = EVALUATION_OUTPUT_BYTES_MAX;
    }
    (*frame)->payload.state = PAYLOAD_UNREAD;
    (*frame)->failed_batch = NULL;
    (*frame)->trace_id[0] = '\0';
    return *frame;
}

static int push_unknown(struct rule_engine *engine, const struct message *message) {
    unsigned missed;
    metric_add(&engine->not_found, 1);
    if (log_limit_pass(&engine->not_found_limit, LOG_INTERVAL_MS, &missed))
        log_warn("rule",
                 "topic %.*s names a rule that does not exist or is disabled (%u more like this)",
                 STR_ARG(message->topic), missed);
    return MESSAGE_TAKEN;
}

/* Field by field, here and below: to clear the whole first would cost more than `SELECT *` does. */
void rule_run_begin(struct engine_run *run, struct rule_engine *engine,
                    const struct message *message, size_t topic_skip) {
    struct evaluation *evaluation = &run->evaluation;
    struct engine_frame *frame = enter(engine);
    run->engine = engine;
    run->frame = frame;
    run->trace = NULL;
    run->result = MESSAGE_TAKEN;
    evaluation->environment = engine->environment;
    evaluation->message = message;
    evaluation->topic = str_skip(message->topic, topic_skip);
    evaluation->payload = &frame->payload;
    evaluation->arena = &frame->arena;
    evaluation->cache = &engine->cache;
    evaluation->scratch = &frame->scratch;
    evaluation->trace_id = frame->trace_id;
    evaluation->variables = NULL;
    evaluation->scope = NULL;
    evaluation->call = NULL;
}

void rule_run_begin_rule(struct engine_run *run, struct engine_rule *rule) {
    struct evaluation *evaluation = &run->evaluation;
    run->rule = rule;
    evaluation->version = rule->rule->plan->version;
    evaluation->roles = rule->rule->roles;
    evaluation->secrets = rule->rule->secrets;
    evaluation->effort_left = EVALUATION_EFFORT_MAX;
    evaluation->documents = NULL;
    evaluation->failure = NULL;
    evaluation->exhausted = evaluation->payload_missed = evaluation->star_missed = false;
}

static int push(struct message_sink *sink, const void *route_, const struct message *message) {
    struct rule_engine *engine = CONTAINER_OF(sink, struct rule_engine, sink);
    const struct rule_route *route = route_;
    if (route->unknown)
        return push_unknown(engine, message);
    struct str topic = str_skip(message->topic, route->topic_skip);
    struct engine_run run;
    bool has_begun = false;
    int result = MESSAGE_TAKEN;
    for (size_t i = 0; i < route->count; i++) {
        struct engine_rule *rule = route->rules[i];
        if (rule->is_straight && rule_go_straight(rule, topic, message->payload)) {
            result = MESSAGE_STAGED;
            continue;
        }
        if (!has_begun)
            rule_run_begin(&run, engine, message, route->topic_skip);
        has_begun = true;
        rule_run_begin_rule(&run, rule);
        run_rule(&run);
    }
    if (has_begun) {
        engine->depth--;
        join_result(&result, run.result);
    }
    return result;
}

/* ---- failures that come later ---- */

/* The statement runs again for its SET variables, which templates of the error action may use. */
static int report_failure(struct engine_run *run, const struct rule_failure *failure) {
    struct str payload;
    arena_reset(&run->frame->arena);
    rule_evaluate(run->rule->rule->plan, &run->evaluation, &run->frame->out, &payload);
    buf_clear(&run->frame->failures);
    rule_report_failure(&run->frame->failures, 0, failure->failed_action, failure->resource,
                        failure->why);
    run_error_action(run);
    return run->result;
}

/* The deepest of all: one that has come through many rules is not hidden by one that has not. */
static uint8_t depth_of(const struct rule_failure *failure) {
    uint8_t depth = failure->record->depth;
    for (size_t i = 0; i < failure->batch_count; i++)
        if (failure->batch[i]->depth > depth)
            depth = failure->batch[i]->depth;
    return depth;
}

int rule_engine_fail(struct rule_engine *engine, const struct rule_failure *failure) {
    const struct action_record *record = failure->record;
    struct engine_rule *rule = map_get(&engine->by_name, failure->rule);
    if (!rule || !rule->error_action || !record->has_original)
        return MESSAGE_TAKEN;
    const struct message message = {
        .topic = record->topic,
        .payload = record->original,
        .client_id = record->client_id,
        .source_ip = record->source_ip,
        .received_ms = record->received_ms,
        .republish_depth = depth_of(failure),
    };
    struct engine_run run;
    bool is_basic = str_starts(message.topic, STR("$aws/rules/"));
    rule_run_begin(&run, engine, &message, is_basic ? rule->basic->topic_skip : 0);
    if (failure->batch)
        run.frame->failed_batch = failure;
    if (record->trace_id.len == UUID_CHARS)
        memcpy(run.frame->trace_id, record->trace_id.at, UUID_CHARS);
    rule_run_begin_rule(&run, rule);
    int result = report_failure(&run, failure);
    engine->depth--;
    return result;
}

static const void *route(struct message_sink *sink, struct str topic) {
    return rule_route_find(CONTAINER_OF(sink, struct rule_engine, sink), topic);
}

/* --- making and freeing --- */

/* The previous engine's, if it has the very same rule; else a new one. */
static int add_rule(struct rule_engine *engine, const struct rule_engine *previous,
                    struct rule *made, struct err *err) {
    struct engine_rule *rule = previous ? map_get(&previous->by_name, made->name) : NULL;
    int result = 0;
    if (rule && rule->rule == made)
        rule->references++;
    else
        result = rule_engine_rule_new(engine, made, &rule, err);
    if (result == 0)
        engine->rules[engine->count++] = rule;
    return result;
}

int rule_engine_new(const struct rule_engine_config *config, struct rule_engine **ret_engine,
                    struct err *err) {
    struct rule_engine *engine = xcalloc(1, sizeof *engine);
    engine->sink = (struct message_sink){.route = route, .push = push, .generation = 1};
    engine->set = rule_set_ref(config->set);
    list_init(&engine->tracers);
    engine->sinks = config->sinks;
    engine->publisher = config->publisher;
    engine->environment = config->environment ? config->environment : &rule_environment_default;
    engine->rules = arena_zalloc(&engine->arena, config->set->count * sizeof *engine->rules);
    metric_init(&engine->not_found, METRIC_COUNTER, "weir_rule_not_found_total",
                "messages to $aws/rules/NAME without such a rule", NULL);
    int result = 0;
    for (size_t i = 0; result == 0 && i < config->set->count; i++)
        result = add_rule(engine, config->previous, config->set->rules[i], err);
    if (result < 0) {
        rule_engine_free(engine);
        return result;
    }
    rule_routes_init(engine);
    *ret_engine = engine;
    return 0;
}

void rule_engine_succeed(struct rule_engine *engine, struct rule_engine *previous) {
    if (!previous)
        return;
    metric_move(&engine->not_found, &previous->not_found);
    for (size_t i = 0; i < engine->count; i++) {
        struct engine_rule *before = map_get(&previous->by_name, engine->rules[i]->rule->name);
        if (before && before != engine->rules[i])
            rule_engine_rule_succeed(engine->rules[i], before);
    }
    for (struct link *item; (item = list_pop_front(&previous->tracers));)
        list_push_back(&engine->tracers, item);
    rule_trace_refresh(engine);
}

static void free_frame(struct engine_frame *frame) {
    if (!frame)
        return;
    json_done(&frame->payload.json);
    json_done(&frame->batch);
    arena_done(&frame->arena);
    struct buf *bufs[] = {&frame->out,      &frame->scratch,      &frame->target,
                          &frame->key,      &frame->record,       &frame->params,
                          &frame->failures, &frame->error_report, &frame->trace};
    for (size_t i = 0; i < COUNT_OF(bufs); i++)
        buf_done(bufs[i]);
    free(frame);
}

void rule_engine_free(struct rule_engine *engine) {
    if (!engine)
        return;
    ASSERT(engine->depth == 0);
    for (size_t i = 0; i < ENGINE_FRAMES; i++)
        free_frame(engine->frames[i]);
    for (size_t i = 0; i < engine->count; i++)
        rule_engine_rule_unref(engine->rules[i]);
    metric_done(&engine->not_found);
    rule_routes_done(engine);
    rule_cache_done(&engine->cache);
    arena_done(&engine->arena);
    rule_set_unref(engine->set);
    free(engine);
}

struct message_sink *rule_engine_sink(struct rule_engine *engine) {
    return &engine->sink;
}
