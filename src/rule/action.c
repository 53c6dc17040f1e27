/* What the actions do (AWS IoT Core Developer Guide, "AWS IoT rule actions": Kinesis Data Streams,
 * Firehose, Republish). */
#include "flow/topic.h"
#include "rule/engine.h"
#include "rule/outside.h"

static struct sink *look_up_sink(struct rule_engine *engine, struct engine_action *action,
                                 enum sink_kind kind, struct str name, struct err *why) {
    struct sink *sink = engine->sinks->find(engine->sinks, kind, name);
    if (!sink)
        err_set(why, ERR_NOT_FOUND, "there is no %s \"%.*s\"",
                kind == SINK_STREAM ? "stream" : "delivery stream", STR_ARG(name));
    else if (action->action->target.kind == TEMPLATE_TEXT)
        action->sink = sink;
    return sink;
}

static inline struct sink *find_sink(struct rule_engine *engine, struct engine_action *action,
                                     enum sink_kind kind, struct str name, struct err *why) {
    return action->sink ? action->sink : look_up_sink(engine, action, kind, name, why);
}

static int push_record(struct sink *sink, struct str key, struct str data, struct err *why) {
    struct record record = {.partition_key = key, .data = data};
    int fault = rule_record_fault(&record);
    if (fault == ERR_TOO_LARGE)
        return err_set(why, fault, "the record is larger than %d bytes", RECORD_BYTES_DEFAULT);
    if (fault)
        return key.len ? err_set(why, fault, "the partition key is longer than %d bytes",
                                 RECORD_KEY_BYTES_MAX)
                       : err_set(why, fault, "the partition key is empty");
    int result = sink_push(sink, &record);
    return result < 0 ? err_set(why, result, "%s: %s", sink->name, err_text(result))
                      : MESSAGE_STAGED;
}

/* The text of a template, with the evaluation's bounds as a reason to fail. */
static inline int evaluate_template(const struct rule_template *template,
                                    struct evaluation *evaluation, struct buf *room,
                                    struct str *ret_text, struct err *why) {
    *ret_text = rule_template_evaluate(template, evaluation, room);
    if (template->kind <= TEMPLATE_TOPIC)
        return 0;
    if (evaluation->exhausted)
        return err_set(why, ERR_FULL, "a template is too much work for one message");
    return evaluation->failure ? err_set(why, ERR_REFUSED, "%s", evaluation->failure) : 0;
}

static int run_kinesis(struct rule_engine *engine, struct engine_action *action,
                       struct evaluation *evaluation, struct engine_frame *frame,
                       struct str payload, struct str target, struct err *why) {
    struct sink *sink = find_sink(engine, action, SINK_STREAM, target, why);
    struct str key;
    if (!sink)
        return why->code;
    int result = evaluate_template(&action->action->key, evaluation, &frame->key, &key, why);
    if (result == 0)
        result = push_record(sink, key, payload, why);
    if (result != ERR_NOT_FOUND || !action->sink)
        return result;
    /* The stream was deleted; one that was made since under its name takes its place. */
    action->sink = NULL;
    action->sink = find_sink(engine, action, SINK_STREAM, target, why);
    return action->sink ? push_record(action->sink, key, payload, why) : ERR_NOT_FOUND;
}

static int push_delivery(struct engine_frame *frame, struct sink *sink, struct str data,
                         struct str separator, struct err *why) {
    if (separator.len) {
        buf_clear(&frame->record);
        buf_add_str(&frame->record, data);
        buf_add_str(&frame->record, separator);
        data = buf_str(&frame->record);
    }
    return push_record(sink, RULE_DELIVERY_KEY, data, why);
}

/* Batch mode: a record per item of an array. The first failure is told, the other items are pushed
 * all the same, except when the target can keep nothing. */
static int push_items(struct engine_frame *frame, struct sink *sink, struct json_value items,
                      struct str separator, struct err *why) {
    int first_failure = 0;
    for (struct json_cursor cursor = json_each(items); json_next(&cursor);) {
        struct err item_why;
        int result = push_delivery(frame, sink, json_raw(cursor.value), separator, &item_why);
        if (result < 0 && first_failure == 0) {
            first_failure = result;
            *why = item_why;
        }
        if (result == ERR_NO_SPACE || result == ERR_IO) {
            *why = item_why;
            return result;
        }
    }
    return first_failure < 0 ? first_failure : MESSAGE_STAGED;
}

static int run_firehose(struct rule_engine *engine, struct engine_action *action,
                        struct evaluation *evaluation, struct engine_frame *frame,
                        struct str payload, struct str target, struct err *why) {
    struct sink *sink = find_sink(engine, action, SINK_DELIVERY, target, why);
    if (!sink)
        return why->code;
    struct str separator = action->action->separator;
    if (action->action->batch && json_parse(&frame->batch, payload) == 0 &&
        json_type(json_root(&frame->batch)) == JSON_ARRAY)
        return push_items(frame, sink, json_root(&frame->batch), separator, why);
    return push_delivery(frame, sink, payload, separator, why);
}

/* The republished message is a new one: neither the publisher's client id nor its address goes
 * along. */
static int run_republish(struct rule_engine *engine, struct engine_action *action,
                         struct evaluation *evaluation, struct engine_frame *frame,
                         struct str payload, struct str target, struct err *why) {
    const struct message *origin = evaluation->message;
    if (origin->republish_depth >= RULE_REPUBLISH_DEPTH_MAX || engine->depth >= ENGINE_FRAMES)
        return err_set(why, ERR_REFUSED,
                       "the message came through %d rules already: a loop of republish actions",
                       RULE_REPUBLISH_DEPTH_MAX);
    if (!topic_name_valid(target))
        return err_set(why, ERR_INVALID, "\"%.*s\" is no topic to publish to", STR_ARG(target));
    buf_clear(&frame->params);
    int headers = rule_headers_write(&action->action->headers, evaluation, &frame->key,
                                     &frame->record, &frame->params, why);
    if (headers < 0)
        return headers;
    struct message message = {
        .topic = target,
        .payload = payload,
        .properties = buf_str(&frame->params),
        .received_ms = engine->environment->now_ms(engine->environment),
        .qos = action->action->qos,
        .republish_depth = (uint8_t)(origin->republish_depth + 1),
    };
    int result = engine->publisher->publish(engine->publisher, &message);
    return result < 0 ? err_set(why, result, "publish: %s", err_text(result)) : result;
}

/* ---- actions that reach outside ---- */

/* The first parameter is what is acted upon. */
static int resolve_params(const struct rule_action *action, struct evaluation *evaluation,
                          struct engine_frame *frame, struct err *why) {
    int result = 0;
    buf_clear(&frame->params);
    for (size_t i = 0; result == 0 && i < action->param_count; i++) {
        struct str value;
        result =
            evaluate_template(&action->params[i].template, evaluation, &frame->key, &value, why);
        action_param_write(&frame->params, action->params[i].name, value);
        if (i == 0) {
            buf_clear(&frame->target);
            buf_add_str(&frame->target, value);
        }
    }
    return result;
}

static void write_record(const struct rule_action *action, struct evaluation *evaluation,
                         struct engine_frame *frame, struct str payload) {
    const struct message *message = evaluation->message;
    struct action_record record = {
        .params = {buf_str(&frame->params), (unsigned)action->param_count},
        .payload = payload,
        .topic = message->topic,
        .client_id = message->client_id,
        .source_ip = message->source_ip,
        .received_ms = message->received_ms,
        .depth = message->republish_depth,
    };
    if (action->outside->has_error_action) {
        record.trace_id = rule_evaluation_trace_id(evaluation);
        record.original = message->payload;
        record.has_original = true;
    }
    buf_clear(&frame->record);
    action_record_write(&frame->record, &record);
}

/* The log was made before the engine was; one that is deleted meanwhile and made again under its name takes
 * its place. */
int rule_action_push(struct rule_engine *engine, struct sink **sink, struct str log,
                     struct str record, struct err *why) {
    int result = ERR_NOT_FOUND;
    if (*sink)
        result = push_record(*sink, STR("0"), record, why);
    if (result != ERR_NOT_FOUND)
        return result;
    *sink = engine->sinks->find(engine->sinks, SINK_ACTION, log);
    if (!*sink)
        return err_set(why, ERR_IO, "its log is being made or deleted");
    return push_record(*sink, STR("0"), record, why);
}

static int run_outside(struct rule_engine *engine, struct engine_action *action,
                       struct evaluation *evaluation, struct engine_frame *frame,
                       struct str payload, struct str *ret_resource, struct err *why) {
    int result = resolve_params(action->action, evaluation, frame, why);
    *ret_resource = buf_str(&frame->target);
    const struct action_params params = {buf_str(&frame->params),
                                         (unsigned)action->action->param_count};
    if (result == 0)
        result = rule_outside_permit(action->rule, action->action, &params, why);
    if (result < 0)
        return result;
    write_record(action->action, evaluation, frame, payload);
    return rule_action_push(engine, &action->sink, str_of(action->action->outside->log),
                            buf_str(&frame->record), why);
}

int rule_action_run(struct rule_engine *engine, struct engine_action *action,
                    struct evaluation *evaluation, struct engine_frame *frame, struct str payload,
                    struct str *ret_resource, struct err *why) {
    struct str target;
    if (action->action->kind == RULE_ACTION_OUTSIDE)
        return run_outside(engine, action, evaluation, frame, payload, ret_resource, why);
    int result =
        evaluate_template(&action->action->target, evaluation, &frame->target, &target, why);
    *ret_resource = target;
    if (result == 0 && action->action->role && !action->action->permitted)
        result = rule_action_permit(action->rule, action->action, target, why);
    if (result < 0)
        return result;
    switch (action->action->kind) {
    case RULE_ACTION_KINESIS:
        return run_kinesis(engine, action, evaluation, frame, payload, target, why);
    case RULE_ACTION_FIREHOSE:
        return run_firehose(engine, action, evaluation, frame, payload, target, why);
    case RULE_ACTION_REPUBLISH:
        return run_republish(engine, action, evaluation, frame, payload, target, why);
    case RULE_ACTION_OUTSIDE:
        break;
    }
    return MESSAGE_TAKEN;
}
