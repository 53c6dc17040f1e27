/*
 * AWS IoT Core Developer Guide, "Error message format". Of one message:
 *
 *      {"ruleName":..., "topic":..., "cloudwatchTraceId":..., "clientId":..., "sourceIp":...,
 *       "base64OriginalPayload":...,
 *       "failures":[{"failedAction":..., "failedResource":..., "errorMessage":...}, ...]}
 *
 * Of an http action that sends batches:
 *
 *      {"ruleName":..., "topic":...,
 *       "payloadsWithMetadata":[{"id":1, "cloudwatchTraceId":..., "clientId":..., "sourceIp":...,
 *                                "base64OriginalPayload":...}, ...],
 *       "failures":[{"affectedIds":[1, ...], "failedAction":..., "failedResource":...,
 *                    "errorMessage":...}]}
 *
 * The topic stands with each message instead when the batch goes across topics.
 */
#include "rule/report.h"

#include "base/base64.h"
#include "base/json_write.h"

static void write_message(struct buf *out, const struct action_record *record) {
    json_write_text(out, "cloudwatchTraceId", record->trace_id);
    json_write_text(out, "clientId", record->client_id.len ? record->client_id : STR("n/a"));
    if (record->source_ip.len)
        json_write_text(out, "sourceIp", record->source_ip);
    json_write_key(out, "base64OriginalPayload");
    buf_add_u8(out, '"');
    base64_write(out, record->original);
    buf_add_u8(out, '"');
}

void rule_report_failure(struct buf *out, size_t batch_count, const char *failed_action,
                         struct str resource, struct str why) {
    json_write_comma(out);
    buf_add_u8(out, '{');
    if (batch_count) {
        json_write_key(out, "affectedIds");
        for (size_t i = 0; i < batch_count; i++)
            buf_printf(out, "%c%zu", i ? ',' : '[', i + 1);
        buf_add_u8(out, ']');
    }
    json_write_text(out, "failedAction", str_of(failed_action));
    json_write_text(out, "failedResource", resource);
    json_write_text(out, "errorMessage", why);
    buf_add_u8(out, '}');
}

struct str rule_report(struct buf *out, struct str rule, const struct action_record *message,
                       struct str failures) {
    buf_add_u8(out, '{');
    json_write_text(out, "ruleName", rule);
    json_write_text(out, "topic", message->topic);
    write_message(out, message);
    json_write_key(out, "failures");
    buf_add_u8(out, '[');
    buf_add_str(out, failures);
    buf_add(out, "]}", 2);
    return buf_str(out);
}

static void write_batch(struct buf *out, const struct rule_failure *failure) {
    json_write_key(out, "payloadsWithMetadata");
    buf_add_u8(out, '[');
    for (size_t i = 0; i < failure->batch_count; i++) {
        json_write_comma(out);
        buf_add_u8(out, '{');
        json_write_int(out, "id", (int64_t)i + 1);
        if (failure->is_across_topics)
            json_write_text(out, "topic", failure->batch[i]->topic);
        write_message(out, failure->batch[i]);
        buf_add_u8(out, '}');
    }
    buf_add_u8(out, ']');
}

struct str rule_report_batch(struct buf *out, const struct rule_failure *failure) {
    buf_add_u8(out, '{');
    json_write_text(out, "ruleName", failure->rule);
    if (!failure->is_across_topics)
        json_write_text(out, "topic", failure->record->topic);
    write_batch(out, failure);
    json_write_key(out, "failures");
    buf_add_u8(out, '[');
    rule_report_failure(out, failure->batch_count, failure->failed_action, failure->resource,
                        failure->why);
    buf_add(out, "]}", 2);
    return buf_str(out);
}
