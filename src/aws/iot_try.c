/*
 * Weir's own operations on rules, beside AWS's:
 *
 *      POST /v1/rules:test             tries a rule or a statement on a message (rule_explain)
 *      GET  /v1/rules/{name}           the rule as GetTopicRule shows it, and its counts under AWS's names
 *      GET  /v1/rules/{name}/trace     follows it; ?count=N ends behind so many lines
 *
 * The body of the first: {"topic": "...", "payload": any JSON, of which a string is the text itself,
 * or "payloadBase64": "..."}, and one of "ruleName": an existing rule; "rule": a payload of
 * CreateTopicRule; "sql" and "awsIotSqlVersion". No function is called: "answers", an array, may
 * say what functions would answer, in the order in which they are called.
 */
#include "aws/iot_internal.h"
#include "base/base64.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "base/metric.h"

enum { COUNT_MAX = 1000000 };

/* ---- trying ---- */

struct trial {
    struct rule_question question;
    struct rule *rule; /* compiled for this */
    struct buf payload;
};

static bool refuse(struct rest_call *call, const char *what) {
    rest_fail(call, 400, "InvalidRequestException", "%s", what);
    return false;
}

static bool read_payload(struct rest_call *call, struct json_value root, struct trial *trial) {
    struct json_value json = json_member(root, STR("payload"));
    struct json_value base64 = json_member(root, STR("payloadBase64"));
    if (json_type(base64) == JSON_STRING)
        return base64_read(&trial->payload, json_str(base64, &call->arena)) ||
               refuse(call, "payloadBase64 is no base64");
    if (json_type(json) == JSON_STRING)
        json_str_add(json, &trial->payload);
    else if (json_type(json) != JSON_ABSENT)
        buf_add_str(&trial->payload, json_raw(json));
    return true;
}

static bool read_rule(struct rest_call *call, struct json_value root, struct trial *trial) {
    struct json_value document = json_member(root, STR("rule"));
    struct str name = json_str(json_member(root, STR("ruleName")), &call->arena);
    struct str sql = json_str(json_member(root, STR("sql")), &call->arena);
    struct str version = json_str(json_member(root, STR("awsIotSqlVersion")), &call->arena);
    struct err err;
    if (json_type(document) == JSON_OBJECT) {
        if (rule_book_try(iot_book(call), json_raw(document), &trial->rule, &err))
            return refuse(call, err.text);
        trial->question.rule = trial->rule;
        return true;
    }
    if (name.len) {
        trial->question.rule = rule_book_rule(iot_book(call), name);
        if (!trial->question.rule)
            rest_fail(call, 404, "ResourceNotFoundException", "There is no rule %.*s in force",
                      STR_ARG(name));
        return trial->question.rule != NULL;
    }
    bool v2 = str_eq(version, STR("2016-03-23")) || str_eq(version, STR("beta"));
    if (!sql.len)
        return refuse(call, "One of ruleName, rule and sql is wanted");
    if (version.len && !v2 && !str_eq(version, STR("2015-10-08")))
        return refuse(call, "awsIotSqlVersion is 2015-10-08, 2016-03-23 or beta");
    trial->question.sql = sql;
    trial->question.sql_version = v2;
    return true;
}

void iot_test_rule(struct rest_call *call) {
    struct json_value root;
    struct trial trial = {.question.environment = &rule_environment_default};
    if (!rest_read_json(call, &root))
        return;
    trial.question.topic = json_str(json_member(root, STR("topic")), &call->arena);
    trial.question.client_id = json_str(json_member(root, STR("clientId")), &call->arena);
    if (json_type(json_member(root, STR("answers"))) == JSON_ARRAY)
        trial.question.answers = json_raw(json_member(root, STR("answers")));
    if (read_payload(call, root, &trial) && read_rule(call, root, &trial)) {
        trial.question.payload = buf_str(&trial.payload);
        if (trial.question.rule && iot_of(call)->config.environment)
            trial.question.environment = iot_of(call)->config.environment;
        rule_explain(&trial.question, &call->output);
        rest_answer(call, 200);
    }
    rule_unref(trial.rule);
    buf_done(&trial.payload);
}

/* ---- counts ---- */

static void write_count(struct buf *out, const char *aws_name, const char *name, struct str rule,
                        const char *action) {
    struct buf labels = {0};
    metric_label(&labels, "rule", rule);
    if (action)
        metric_label(&labels, "action", str_of(action));
    json_write_int(out, aws_name, metric_sum(name, buf_cstr(&labels)));
    buf_done(&labels);
}

/* Under the names of AWS (AWS IoT Core Developer Guide, "AWS IoT metrics and dimensions"). */
static void write_rule_counts(struct buf *out, struct str rule) {
    static const struct {
        const char *aws, *name;
    } counts[] = {{"TopicMatch", "weir_rule_topic_match_total"},
                  {"RulesExecuted", "weir_rule_executed_total"},
                  {"ParseError", "weir_rule_parse_error_total"},
                  {"RuleMessageThrottled", "weir_rule_exhausted_total"},
                  {"FunctionFailure", "weir_rule_failed_total"}};
    for (size_t i = 0; i < COUNT_OF(counts); i++)
        write_count(out, counts[i].aws, counts[i].name, rule, NULL);
}

static void write_action_counts(struct buf *out, struct str rule, struct json_value action,
                                bool error, struct arena *arena) {
    struct json_cursor cursor = json_each(action);
    if (!json_next(&cursor))
        return;
    const char *kind = rule_document_key(arena, json_str(cursor.key, arena));
    json_write_comma(out);
    buf_add_u8(out, '{');
    json_write_text(out, "action", str_of(kind));
    write_count(out, error ? "ErrorActionSuccess" : "Success",
                error ? "weir_rule_error_action_success_total" : "weir_rule_action_success_total",
                rule, kind);
    write_count(out, error ? "ErrorActionFailure" : "Failure",
                error ? "weir_rule_error_action_failure_total" : "weir_rule_action_failure_total",
                rule, kind);
    buf_add_u8(out, '}');
}

static void write_counts(struct rest_call *call, const struct rule_entry *entry) {
    struct buf *out = &call->output;
    struct json json = {0};
    json_write_key(out, "metrics");
    buf_add_u8(out, '{');
    write_rule_counts(out, entry->name);
    json_write_key(out, "actions");
    buf_add_u8(out, '[');
    if (json_parse(&json, entry->document) == 0) {
        struct json_value root = json_root(&json);
        for (struct json_cursor cursor = json_each(json_member(root, STR("actions")));
             json_next(&cursor);)
            write_action_counts(out, entry->name, cursor.value, false, &call->arena);
        write_action_counts(out, entry->name, json_member(root, STR("errorAction")), true,
                            &call->arena);
    }
    json_done(&json);
    buf_add(out, "]}", 2);
}

void iot_show_rule(struct rest_call *call) {
    const struct rule_entry *entry = rule_book_find(iot_book(call), call->labels[0]);
    if (!entry) {
        rest_fail(call, 404, "ResourceNotFoundException", "There is no rule %.*s",
                  STR_ARG(call->labels[0]));
        return;
    }
    buf_add_u8(&call->output, '{');
    iot_write_rule(iot_of(call), &call->output, entry);
    write_counts(call, entry);
    buf_add_u8(&call->output, '}');
    rest_answer(call, 200);
}

/* ---- following ---- */

void iot_trace_rule(struct rest_call *call) {
    const struct iot_host *host = &iot_of(call)->config.host;
    uint64_t count;
    if (!rest_query_number(call, "count", 1, COUNT_MAX, 0, &count))
        return;
    if (!rule_book_find(iot_book(call), call->labels[0])) {
        rest_fail(call, 404, "ResourceNotFoundException", "There is no rule %.*s",
                  STR_ARG(call->labels[0]));
        return;
    }
    host->trace(host->data, call, call->labels[0], count);
}
