/* Streams as such: made, deleted, described, listed. Also what the API does when it begins and ends. */
#include <stdlib.h>

#include "aws/kinesis.h"
#include "base/log.h"

enum {
    STREAMS_PAGE = 100,
    ON_DEMAND_SHARDS = 4,
    DEFAULT_RETENTION_MS = 24 * 3600 * 1000,
    SHARDS_OF_A_NEW_STREAM_MAX = 10000, /* stream.h */
    SHARD_LIMIT = 1000000,              /* what DescribeLimits says: there is none but the memory */
    ON_DEMAND_STREAM_LIMIT = 1000000,
};

/* ---- life ---- */

static void add_stream(void *data, struct stream *stream) {
    struct aws *aws = data;
    struct str name = str_of(stream_name(stream));
    struct catalog_stream *target = catalog_add(&aws->catalog, name, stream);
    target->configured = aws->services.is_configured(aws->services.data, name);
}

void kinesis_open(struct aws *aws) {
    aws->catalog.facts = aws->services.facts;
    stream_each(aws->services.log, add_stream, aws);
    kinesis_listen(aws);
}

void kinesis_resume(struct aws *aws) {
    for (size_t i = 0; i < aws->catalog.count; i++)
        if (aws->catalog.streams[i]->target_shards)
            kinesis_reshard(aws, aws->catalog.streams[i]);
}

void kinesis_stop(struct aws *aws) {
    kinesis_end_subscriptions(aws);
    kinesis_drop_waiting(aws);
}

void kinesis_close(struct aws *aws) {
    list_remove(&aws->gate.link);
}

/* ---- CreateStream ---- */

static void fail_exists(struct call *call, const char *name) {
    call_fail(call, "ResourceInUseException", "Stream %s under account %s already exists.", name,
              call->aws->config->account);
}

static void on_created(void *data, int status, struct stream *stream) {
    struct call *call = data;
    struct catalog_stream *target = call->target;
    struct aws *aws = call->aws;
    struct err err = {0};
    if (status) {
        catalog_remove(&aws->catalog, target);
        call_fail_code(call, status, NULL);
        return;
    }
    target->stream = stream;
    target->status = CATALOG_ACTIVE;
    status = catalog_save(&aws->catalog, target, &err);
    if (status)
        call_fail_code(call, status, &err);
    else
        call_answer_empty(call);
}

/* False, and the call has failed, if the stream cannot be made as it is asked for. */
static bool read_shard_count(struct call *call, bool on_demand, int64_t *ret_count) {
    int64_t count = call_integer(call, "ShardCount", 0);
    if (!on_demand && !count) {
        call_fail(call, "ValidationException",
                  "ShardCount is required for streams in PROVISIONED mode");
        return false;
    }
    if (!on_demand && call_integer(call, "WarmThroughputMiBps", 0)) {
        call_fail(call, "ValidationException",
                  "WarmThroughputMiBps is for streams in ON_DEMAND mode");
        return false;
    }
    if (count > SHARDS_OF_A_NEW_STREAM_MAX) {
        call_fail(
            call, "LimitExceededException",
            "This request would exceed the shard limit for the account %s in %s. A stream can "
            "be made with %d shards at most.",
            call->aws->config->account, call->aws->config->region, SHARDS_OF_A_NEW_STREAM_MAX);
        return false;
    }
    *ret_count = on_demand ? ON_DEMAND_SHARDS : count;
    return true;
}

static bool is_on_demand(struct call *call) {
    return json_str_eq(json_member(call_value(call, "StreamModeDetails"), STR("StreamMode")),
                       STR("ON_DEMAND"));
}

void kinesis_create_stream(struct call *call) {
    struct aws *aws = call->aws;
    struct str name = call_string(call, "StreamName");
    bool on_demand = is_on_demand(call);
    int64_t shard_count;
    struct err err = {0};
    char *copy = arena_strdup(&call->arena, name);
    if (!read_shard_count(call, on_demand, &shard_count))
        return;
    if (catalog_find(&aws->catalog, name)) {
        fail_exists(call, copy);
        return;
    }
    struct catalog_stream *target = catalog_add(&aws->catalog, name, NULL);
    target->on_demand = on_demand;
    target->warm_mibps = call_integer(call, "WarmThroughputMiBps", 0);
    target->record_kib = call_integer(call, "MaxRecordSizeInKiB", 0);
    call->target = target;
    if (call_has(call, "Tags") &&
        !kinesis_tags_add(call, &target->tags, call_value(call, "Tags"))) {
        catalog_remove(&aws->catalog, target);
        return;
    }
    const struct stream_config config = {.name = copy,
                                         .kind = STREAM_DATA,
                                         .shard_count = shard_count,
                                         .retention_ms = DEFAULT_RETENTION_MS};
    int status = stream_create(aws->services.log, aws->loop, &config, on_created, call, &err);
    if (!status)
        return;
    catalog_remove(&aws->catalog, target);
    if (status == ERR_EXISTS)
        fail_exists(call, copy);
    else if (status == ERR_INVALID)
        call_fail(call, "InvalidArgumentException", "%s", err.text);
    else
        call_fail_code(call, status, &err);
}

/* ---- DeleteStream ---- */

static void on_deleted(void *data, int status, struct stream *stream) {
    struct call *call = data;
    struct catalog_stream *target = call->target;
    struct aws *aws = call->aws;
    struct err err = {0};
    if (status) {
        target->status = CATALOG_ACTIVE;
        call_fail_code(call, status, NULL);
        return;
    }
    if (catalog_forget(&aws->catalog, target->name, &err))
        log_warn("aws", "settings of the deleted stream %s are left behind: %s", target->name,
                 err.text);
    catalog_remove(&aws->catalog, target);
    call_answer_empty(call);
}

void kinesis_delete_stream(struct call *call) {
    struct catalog_stream *target = call_active_stream(call);
    if (!target)
        return;
    if (target->configured) {
        call_fail(
            call, "ResourceInUseException",
            "Stream %s under account %s is described by Weir's configuration file and can only "
            "be removed there.",
            target->name, call->aws->config->account);
        return;
    }
    if (target->consumer_count && !call_boolean(call, "EnforceConsumerDeletion")) {
        call_fail(call, "ResourceInUseException",
                  "Stream %s under account %s has existing registered consumers. Deregister the "
                  "consumers or set EnforceConsumerDeletion.",
                  target->name, call->aws->config->account);
        return;
    }
    call->target = target;
    int status = stream_delete(target->stream, call->aws->loop, on_deleted, call);
    if (status)
        call_fail_code(call, status, NULL);
    else
        target->status = CATALOG_DELETING;
}

/* ---- DescribeStream, DescribeStreamSummary ---- */

static void put_mode(struct aws_output *output, const struct catalog_stream *target) {
    aws_key(output, "StreamModeDetails");
    aws_map_begin(output);
    aws_member_string(output, "StreamMode",
                      target->on_demand ? STR("ON_DEMAND") : STR("PROVISIONED"));
    aws_map_end(output);
}

static uint64_t created_ms(const struct catalog_stream *target) {
    return target->stream ? stream_created_s(target->stream) * 1000
                          : target->added_ms / 1000 * 1000;
}

static void put_identity(struct call *call, const struct catalog_stream *target) {
    struct aws_output *output = &call->output;
    aws_member_string(output, "StreamName", str_of(target->name));
    call_put_stream_arn(call, target->name);
    aws_member_string(output, "StreamStatus", str_of(catalog_status_names[target->status]));
    put_mode(output, target);
    aws_member_time(output, "StreamCreationTimestamp", created_ms(target));
}

/* What both descriptions have. */
static void put_description(struct call *call, const struct catalog_stream *target) {
    struct aws_output *output = &call->output;
    int64_t retention_ms =
        target->stream ? stream_retention_ms(target->stream) : DEFAULT_RETENTION_MS;
    put_identity(call, target);
    aws_member_int(output, "RetentionPeriodHours", (retention_ms + 3599999) / 3600000);
    aws_key(output, "EnhancedMonitoring");
    aws_list_begin(output);
    aws_map_begin(output);
    kinesis_put_metrics(output, "ShardLevelMetrics", target->metrics);
    aws_map_end(output);
    aws_list_end(output);
    aws_member_string(output, "EncryptionType", target->key_id ? STR("KMS") : STR("NONE"));
    if (target->key_id)
        aws_member_string(output, "KeyId", str_of(target->key_id));
}

/* Shards behind the one of number `from`-1, `limit` of them. True if there are more. */
static bool put_shards(struct aws_output *output, const struct stream *stream, unsigned from,
                       int64_t limit) {
    unsigned count = stream_shard_count(stream);
    for (unsigned shard = from; shard < count; shard++) {
        struct stream_shard_info info;
        stream_shard_get(stream, shard, &info);
        if (info.removed)
            continue;
        if (limit-- == 0)
            return true;
        kinesis_put_shard(output, stream, shard, &info);
    }
    return false;
}

void kinesis_describe_stream(struct call *call) {
    struct catalog_stream *target = call_stream(call);
    struct aws_output *output = &call->output;
    int64_t limit = call_integer(call, "Limit", KINESIS_DESCRIBE_PAGE);
    unsigned from = 0;
    bool more = false;
    if (!target)
        return;
    if (call_has(call, "ExclusiveStartShardId") && target->stream) {
        struct stream_shard_info info;
        if (!kinesis_shard_read(target->stream, call_string(call, "ExclusiveStartShardId"), &from,
                                &info)) {
            call_fail(call, "ResourceNotFoundException",
                      "Could not find shard %.*s in stream %s under account %s.",
                      STR_ARG(call_string(call, "ExclusiveStartShardId")), target->name,
                      call->aws->config->account);
            return;
        }
        from++;
    }
    aws_map_begin(output);
    aws_key(output, "StreamDescription");
    aws_map_begin(output);
    put_description(call, target);
    aws_key(output, "Shards");
    aws_list_begin(output);
    if (target->stream && target->status != CATALOG_DELETING)
        more = put_shards(output, target->stream, from,
                          limit > KINESIS_DESCRIBE_PAGE ? KINESIS_DESCRIBE_PAGE : limit);
    aws_list_end(output);
    aws_member_bool(output, "HasMoreShards", more);
    aws_map_end(output);
    aws_map_end(output);
    call_answer(call);
}

void kinesis_describe_stream_summary(struct call *call) {
    struct catalog_stream *target = call_stream(call);
    struct aws_output *output = &call->output;
    if (!target)
        return;
    aws_map_begin(output);
    aws_key(output, "StreamDescriptionSummary");
    aws_map_begin(output);
    put_description(call, target);
    if (target->stream && target->status != CATALOG_DELETING)
        aws_member_int(output, "OpenShardCount", kinesis_open_shards(target->stream));
    aws_member_int(output, "ConsumerCount", (int64_t)target->consumer_count);
    aws_member_int(output, "MaxRecordSizeInKiB", catalog_record_kib(target));
    if (target->on_demand)
        kinesis_put_warm_throughput(output, target);
    aws_map_end(output);
    aws_map_end(output);
    call_answer(call);
}

/* ---- ListStreams ---- */

static bool first_listed(struct call *call, size_t *ret_first) {
    const struct catalog *catalog = &call->aws->catalog;
    struct buf after = {0};
    uint64_t made_ms;
    int status = 0;
    if (call_has(call, "NextToken"))
        status = aws_token_read(call_string(call, "NextToken"), call->aws->token_key, TOKEN_STREAMS,
                                call->wall_ms, &after, &made_ms);
    else
        buf_add_str(&after, call_string(call, "ExclusiveStartStreamName"));
    *ret_first = catalog_position(catalog, buf_str(&after));
    if (*ret_first < catalog->count &&
        str_eq(str_of(catalog->streams[*ret_first]->name), buf_str(&after)))
        ++*ret_first;
    buf_done(&after);
    if (status == ERR_TIMEOUT)
        call_fail(call, "ExpiredNextTokenException", "NextToken has expired.");
    else if (status)
        call_fail(call, "InvalidArgumentException", "Invalid NextToken.");
    return status == 0;
}

static void put_names(struct call *call, size_t first, size_t end) {
    struct aws_output *output = &call->output;
    const struct catalog *catalog = &call->aws->catalog;
    aws_key(output, "StreamNames");
    aws_list_begin(output);
    for (size_t i = first; i < end; i++)
        aws_string(output, str_of(catalog->streams[i]->name));
    aws_list_end(output);
    aws_key(output, "StreamSummaries");
    aws_list_begin(output);
    for (size_t i = first; i < end; i++) {
        aws_map_begin(output);
        put_identity(call, catalog->streams[i]);
        aws_map_end(output);
    }
    aws_list_end(output);
}

void kinesis_list_streams(struct call *call) {
    struct aws_output *output = &call->output;
    const struct catalog *catalog = &call->aws->catalog;
    size_t first, limit = (size_t)call_integer(call, "Limit", STREAMS_PAGE);
    if (!first_listed(call, &first))
        return;
    if (limit > STREAMS_PAGE)
        limit = STREAMS_PAGE;
    bool more = catalog->count - first > limit;
    size_t end = more ? first + limit : catalog->count;
    aws_map_begin(output);
    put_names(call, first, end);
    aws_member_bool(output, "HasMoreStreams", more);
    if (more) {
        aws_token_write(&call->scratch, call->aws->token_key, TOKEN_STREAMS,
                        str_of(catalog->streams[end - 1]->name), call->wall_ms);
        aws_member_string(output, "NextToken", buf_str(&call->scratch));
    }
    aws_map_end(output);
    call_answer(call);
}

/* ---- the account ---- */

void kinesis_describe_limits(struct call *call) {
    const struct catalog *catalog = &call->aws->catalog;
    int64_t open = 0, on_demand = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        const struct catalog_stream *target = catalog->streams[i];
        if (target->stream && target->status != CATALOG_DELETING)
            open += kinesis_open_shards(target->stream);
        on_demand += target->on_demand;
    }
    aws_map_begin(&call->output);
    aws_member_int(&call->output, "ShardLimit", SHARD_LIMIT);
    aws_member_int(&call->output, "OpenShardCount", open);
    aws_member_int(&call->output, "OnDemandStreamCount", on_demand);
    aws_member_int(&call->output, "OnDemandStreamCountLimit", ON_DEMAND_STREAM_LIMIT);
    aws_map_end(&call->output);
    call_answer(call);
}

void kinesis_describe_account_settings(struct call *call) {
    aws_map_begin(&call->output);
    aws_key(&call->output, "MinimumThroughputBillingCommitment");
    aws_map_begin(&call->output);
    aws_member_string(&call->output, "Status", STR("DISABLED"));
    aws_map_end(&call->output);
    aws_map_end(&call->output);
    call_answer(call);
}

/* Nobody is billed here, so there is nothing to be committed to. */
void kinesis_update_account_settings(struct call *call) {
    struct json_value commitment = call_value(call, "MinimumThroughputBillingCommitment");
    if (json_str_eq(json_member(commitment, STR("Status")), STR("DISABLED")))
        kinesis_describe_account_settings(call);
    else
        call_fail(call, "ValidationException",
                  "There is no billing, and so no MinimumThroughputBillingCommitment.");
}
