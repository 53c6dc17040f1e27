/*
 * AWS IoT Core Developer Guide, "Error message format", of an http action that sends batches:
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

static void write_message(struct buf *out, size_t id, const struct action_record *record,
                          bool with_topic) {
    json_write_comma(out);
    buf_add_u8(out, '{');
    json_write_int(out, "id", id);
    if (with_topic)
        json_write_text(out, "topic", record->topic);
    json_write_text(out, "cloudwatchTraceId", record->trace_id);
    json_write_text(out, "clientId", record->client_id.len ? record->client_id : STR("n/a"));
    if (record->source_ip.len)
        json_write_text(out, "sourceIp", record->source_ip);
    json_write_key(out, "base64OriginalPayload");
    buf_add_u8(out, '"');
    base64_write(out, record->original);
    buf_add(out, "\"}", 2);
}

static void write_failure(struct buf *out, const struct rule_failure *failure) {
    json_write_key(out, "failures");
    buf_add_str(out, STR("[{"));
    json_write_key(out, "affectedIds");
    for (size_t i = 0; i < failure->batch_count; i++)
        buf_printf(out, "%c%zu", i ? ',' : '[', i + 1);
    buf_add_u8(out, ']');
    json_write_text(out, "failedAction", str_of(failure->failed_action));
    json_write_text(out, "failedResource", failure->resource);
    json_write_text(out, "errorMessage", failure->why);
    buf_add(out, "}]", 2);
}

struct str rule_report_batch(struct buf *out, const struct rule_failure *failure) {
    buf_add_u8(out, '{');
    json_write_text(out, "ruleName", failure->rule);
    if (!failure->is_across_topics)
        json_write_text(out, "topic", failure->record->topic);
    json_write_key(out, "payloadsWithMetadata");
    buf_add_u8(out, '[');
    for (size_t i = 0; i < failure->batch_count; i++)
        write_message(out, i + 1, failure->batch[i], failure->is_across_topics);
    buf_add_u8(out, ']');
    write_failure(out, failure);
    buf_add_u8(out, '}');
    return buf_str(out);
}
