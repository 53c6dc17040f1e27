/* Retention, mode, sizes, and the flags that Weir keeps and shows without acting on them: shard level
 * metrics, encryption, resource policies. */
#include <inttypes.h>
#include <stdlib.h>

#include "aws/kinesis.h"

enum { RETENTION_HOURS_MIN = 24, RETENTION_HOURS_MAX = 8760, MODES_PER_DAY = 2 };
static const int64_t ms_per_hour = 3600000;

const char *const kinesis_metric_names[KINESIS_METRICS] = {"IncomingBytes",
                                                           "IncomingRecords",
                                                           "IteratorAgeMilliseconds",
                                                           "OutgoingBytes",
                                                           "OutgoingRecords",
                                                           "ReadProvisionedThroughputExceeded",
                                                           "WriteProvisionedThroughputExceeded"};
static const unsigned all_metrics = (1u << KINESIS_METRICS) - 1;

/* Writes the settings and answers with nothing; on failure the call fails. */
static void save_and_answer(struct call *call, const struct catalog_stream *target) {
    struct err err = {0};
    int status = catalog_save(&call->aws->catalog, target, &err);
    if (status)
        call_fail_code(call, status, &err);
    else
        call_answer_empty(call);
}

static void replace(char **text, struct str value) {
    free(*text);
    *text = value.at ? str_dup(value) : NULL;
}

/* ---- retention ---- */

static bool check_retention(struct call *call, const struct catalog_stream *target, int64_t hours,
                            bool increase) {
    int64_t present = stream_retention_ms(target->stream) / ms_per_hour;
    if (hours < RETENTION_HOURS_MIN)
        call_fail(call, "InvalidArgumentException",
                  "Minimum allowed retention period is %d hours. Requested retention period "
                  "(%" PRId64 " hours) is too short.",
                  RETENTION_HOURS_MIN, hours);
    else if (hours > RETENTION_HOURS_MAX)
        call_fail(call, "InvalidArgumentException",
                  "Maximum allowed retention period is %d hours. Requested retention period "
                  "(%" PRId64 " hours) is too long.",
                  RETENTION_HOURS_MAX, hours);
    else if (increase ? hours < present : hours > present)
        call_fail(call, "InvalidArgumentException",
                  "Requested retention period (%" PRId64 " hours) for stream %s can not be %s than "
                  "existing retention period (%" PRId64 " hours). Use %sRetentionPeriod API.",
                  hours, target->name, increase ? "shorter" : "longer", present,
                  increase ? "Decrease" : "Increase");
    else if (target->configured)
        call_fail(call, "ResourceInUseException",
                  "Stream %s under account %s is described by Weir's configuration file; its "
                  "retention_period can only be changed there.",
                  target->name, call->aws->config->account);
    else
        return true;
    return false;
}

static void change_retention(struct call *call, bool increase) {
    struct catalog_stream *target = call_active_stream(call);
    int64_t hours = call_integer(call, "RetentionPeriodHours", 0);
    if (!target || !check_retention(call, target, hours, increase))
        return;
    call->target = target;
    int status = stream_set_retention(target->stream, call->aws->loop, hours * ms_per_hour,
                                      call_on_changed, call);
    if (status)
        call_fail_code(call, status, NULL);
    else
        target->status = CATALOG_UPDATING;
}

void kinesis_increase_retention(struct call *call) {
    change_retention(call, true);
}

void kinesis_decrease_retention(struct call *call) {
    change_retention(call, false);
}

/* ---- mode and sizes ---- */

void kinesis_update_stream_mode(struct call *call) {
    struct catalog_stream *target = call_active_stream(call);
    if (!target)
        return;
    bool on_demand = json_str_eq(
        json_member(call_value(call, "StreamModeDetails"), STR("StreamMode")), STR("ON_DEMAND"));
    if (on_demand != target->on_demand &&
        !kinesis_limit_daily(call, target, &target->limits.modes, MODES_PER_DAY))
        return;
    target->on_demand = on_demand;
    target->warm_mibps = target->on_demand ? call_integer(call, "WarmThroughputMiBps", 0) : 0;
    save_and_answer(call, target);
}

void kinesis_update_max_record_size(struct call *call) {
    struct catalog_stream *target = call_active_stream(call);
    if (!target)
        return;
    if (stream_record_bytes_max(target->stream)) {
        call_fail(call, "ResourceInUseException",
                  "Stream %s under account %s is described by Weir's configuration file; its "
                  "max_record_size can only be changed there.",
                  target->name, call->aws->config->account);
        return;
    }
    target->record_kib = call_integer(call, "MaxRecordSizeInKiB", 0);
    save_and_answer(call, target);
}

void kinesis_put_warm_throughput(struct aws_output *output, const struct catalog_stream *target) {
    aws_key(output, "WarmThroughput");
    aws_map_begin(output);
    aws_member_int(output, "TargetMiBps", target->warm_mibps);
    aws_member_int(output, "CurrentMiBps", target->warm_mibps);
    aws_map_end(output);
}

/* There is no throughput to be reserved: what the disk takes is there for all. */
void kinesis_update_warm_throughput(struct call *call) {
    struct catalog_stream *target = call_active_stream(call);
    struct aws_output *output = &call->output;
    struct err err = {0};
    if (!target)
        return;
    if (!target->on_demand) {
        call_fail(call, "ValidationException",
                  "Request is invalid. Stream %s under account %s is not in On-Demand mode.",
                  target->name, call->aws->config->account);
        return;
    }
    target->warm_mibps = call_integer(call, "WarmThroughputMiBps", 0);
    int status = catalog_save(&call->aws->catalog, target, &err);
    if (status) {
        call_fail_code(call, status, &err);
        return;
    }
    aws_map_begin(output);
    aws_member_string(output, "StreamName", str_of(target->name));
    call_put_stream_arn(call, target->name);
    kinesis_put_warm_throughput(output, target);
    aws_map_end(output);
    call_answer(call);
}

/* ---- shard level metrics ---- */

void kinesis_put_metrics(struct aws_output *output, const char *key, unsigned metrics) {
    aws_key(output, key);
    aws_list_begin(output);
    for (unsigned i = 0; i < KINESIS_METRICS; i++)
        if (metrics & 1u << i)
            aws_string(output, str_of(kinesis_metric_names[i]));
    aws_list_end(output);
}

static unsigned read_metrics(struct json_value list) {
    unsigned metrics = 0;
    for (struct json_cursor cursor = json_each(list); json_next(&cursor);) {
        if (json_str_eq(cursor.value, STR("ALL")))
            metrics = all_metrics;
        for (unsigned i = 0; i < KINESIS_METRICS; i++)
            if (json_str_eq(cursor.value, str_of(kinesis_metric_names[i])))
                metrics |= 1u << i;
    }
    return metrics;
}

static void change_monitoring(struct call *call, bool enable) {
    struct catalog_stream *target = call_active_stream(call);
    struct err err = {0};
    if (!target)
        return;
    unsigned before = target->metrics,
             metrics = read_metrics(call_value(call, "ShardLevelMetrics"));
    target->metrics = enable ? before | metrics : before & ~metrics;
    int status = catalog_save(&call->aws->catalog, target, &err);
    if (status) {
        target->metrics = before;
        call_fail_code(call, status, &err);
        return;
    }
    aws_map_begin(&call->output);
    aws_member_string(&call->output, "StreamName", str_of(target->name));
    kinesis_put_metrics(&call->output, "CurrentShardLevelMetrics", before);
    kinesis_put_metrics(&call->output, "DesiredShardLevelMetrics", target->metrics);
    call_put_stream_arn(call, target->name);
    aws_map_end(&call->output);
    call_answer(call);
}

void kinesis_enable_monitoring(struct call *call) {
    change_monitoring(call, true);
}

void kinesis_disable_monitoring(struct call *call) {
    change_monitoring(call, false);
}

/* ---- encryption: kept and shown ---- */

/* The other type is NONE, which nothing can be started or stopped with. */
static bool is_kms(struct call *call) {
    bool kms = json_str_eq(call_value(call, "EncryptionType"), STR("KMS"));
    if (!kms)
        call_fail(call, "InvalidArgumentException", "EncryptionType must be KMS.");
    return kms;
}

void kinesis_start_encryption(struct call *call) {
    struct catalog_stream *target = call_active_stream(call);
    if (!target || !is_kms(call))
        return;
    replace(&target->key_id, call_string(call, "KeyId"));
    save_and_answer(call, target);
}

void kinesis_stop_encryption(struct call *call) {
    struct catalog_stream *target = call_active_stream(call);
    if (!target || !is_kms(call))
        return;
    replace(&target->key_id, (struct str){0});
    save_and_answer(call, target);
}

/* ---- resource policies: kept and shown ---- */

/* Of a stream, or of a consumer if the ARN goes on. NULL, and the call has failed. */
static char **policy_of(struct call *call, struct catalog_stream **ret_target) {
    struct str arn = call_string(call, "ResourceARN");
    if (memmem(arn.at, arn.len, "/consumer/", 10)) {
        struct catalog_consumer *consumer = kinesis_consumer_of_arn(call, arn, ret_target);
        return consumer ? &consumer->policy : NULL;
    }
    *ret_target = call_stream_of_arn(call, arn);
    return *ret_target ? &(*ret_target)->policy : NULL;
}

static bool is_made(struct call *call, const struct catalog_stream *target) {
    if (target->status != CATALOG_CREATING)
        return true;
    call_fail(call, "ResourceInUseException",
              "Stream %s under account %s not ACTIVE, instead in state CREATING", target->name,
              call->aws->config->account);
    return false;
}

void kinesis_get_policy(struct call *call) {
    struct catalog_stream *target;
    char **policy = policy_of(call, &target);
    if (!policy)
        return;
    aws_map_begin(&call->output);
    aws_member_string(&call->output, "Policy", *policy ? str_of(*policy) : STR("{}"));
    aws_map_end(&call->output);
    call_answer(call);
}

void kinesis_put_policy(struct call *call) {
    struct catalog_stream *target;
    struct str text = call_string(call, "Policy");
    struct json json = {0};
    bool valid = text.len <= CATALOG_POLICY_BYTES_MAX && json_parse(&json, text) == 0;
    json_done(&json);
    if (!valid) {
        call_fail(call, "InvalidArgumentException",
                  "The policy is no JSON text of at most %d bytes.", CATALOG_POLICY_BYTES_MAX);
        return;
    }
    char **policy = policy_of(call, &target);
    if (!policy || !is_made(call, target))
        return;
    replace(policy, text);
    save_and_answer(call, target);
}

void kinesis_delete_policy(struct call *call) {
    struct catalog_stream *target;
    char **policy = policy_of(call, &target);
    if (!policy || !is_made(call, target))
        return;
    replace(policy, (struct str){0});
    save_and_answer(call, target);
}
