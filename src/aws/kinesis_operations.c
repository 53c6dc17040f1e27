/*
 * What each operation takes: the input shapes of the Kinesis API model of 2013-12-02, as far as they
 * constrain anything. Shapes of the model that have the same constraints share one here.
 */
#include "aws/kinesis.h"

/* ---- patterns ---- */

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_name(struct str text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
                    c == '.' || c == '-';
        if (!good)
            return false;
    }
    return text.len > 0;
}

static bool is_number(struct str text, size_t digits_max) {
    if (text.len == 0 || text.len > digits_max || (text.at[0] == '0' && text.len > 1))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!is_digit(text.at[i]))
            return false;
    return true;
}

static bool is_hash_key(struct str text) {
    return is_number(text, 39);
}

static bool is_sequence_number(struct str text) {
    return is_number(text, 129);
}

/* arn:aws...:kinesis:REGION:ACCOUNT:stream/X: cuts X off. */
static bool is_arn(struct str text, struct str *ret_name) {
    struct str rest = text, parts[5];
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        parts[i] = str_cut(rest, ':', &rest);
    bool account = parts[4].len == 12;
    for (size_t i = 0; account && i < parts[4].len; i++)
        account = is_digit(parts[4].at[i]);
    if (!account || !str_eq(parts[0], STR("arn")) || !str_starts(parts[1], STR("aws")) ||
        !str_eq(parts[2], STR("kinesis")) || !str_starts(rest, STR("stream/")))
        return false;
    *ret_name = str_skip(rest, 7);
    return ret_name->len > 0 && str_find(*ret_name, ' ') == ret_name->len;
}

static bool is_stream_arn(struct str text) {
    struct str name;
    return is_arn(text, &name);
}

static bool is_consumer_arn(struct str text) {
    struct str rest, created, name;
    if (!is_arn(text, &rest))
        return false;
    struct str stream = str_cut(rest, '/', &rest), word = str_cut(rest, '/', &rest);
    name = str_cut(rest, ':', &created);
    return is_name(stream) && str_eq(word, STR("consumer")) && is_name(name) &&
           is_number(created, 19);
}

static const struct aws_pattern name_pattern = {"[a-zA-Z0-9_.-]+", is_name};
static const struct aws_pattern hash_key_pattern = {"^(0|([1-9]\\d{0,38}))$", is_hash_key};
static const struct aws_pattern sequence_pattern = {"^(0|([1-9]\\d{0,128}))$", is_sequence_number};
static const struct aws_pattern stream_arn_pattern = {"arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+",
                                                      is_stream_arn};
static const struct aws_pattern consumer_arn_pattern = {
    "^(arn):aws.*:kinesis:.*:\\d{12}:.*stream\\/[a-zA-Z0-9_.-]+\\/consumer\\/"
    "[a-zA-Z0-9_.-]+:[0-9]+",
    is_consumer_arn};

/* ---- shapes ---- */

static const struct aws_shape name = {
    .type = AWS_STRING, .pattern = &name_pattern, .min = 1, .max = 128};
static const struct aws_shape stream_arn = {
    .type = AWS_STRING, .pattern = &stream_arn_pattern, .min = 1, .max = 2048};
static const struct aws_shape consumer_arn = {
    .type = AWS_STRING, .pattern = &consumer_arn_pattern, .min = 1, .max = 2048};
static const struct aws_shape hash_key = {.type = AWS_STRING, .pattern = &hash_key_pattern};
static const struct aws_shape sequence = {.type = AWS_STRING, .pattern = &sequence_pattern};
static const struct aws_shape partition_key = {.type = AWS_STRING, .min = 1, .max = 256};
static const struct aws_shape blob = {.type = AWS_BLOB};
static const struct aws_shape boolean = {.type = AWS_BOOLEAN};
static const struct aws_shape timestamp = {.type = AWS_TIME};
static const struct aws_shape text = {.type = AWS_STRING};
static const struct aws_shape any_integer = {.type = AWS_INTEGER, .min = AWS_NO_MIN};
static const struct aws_shape positive = {.type = AWS_INTEGER, .min = 1};
static const struct aws_shape not_negative = {.type = AWS_INTEGER, .min = 0};
static const struct aws_shape up_to_10000 = {.type = AWS_INTEGER, .min = 1, .max = 10000};
static const struct aws_shape up_to_50 = {.type = AWS_INTEGER, .min = 1, .max = 50};
static const struct aws_shape record_kib = {.type = AWS_INTEGER, .min = 1024, .max = 10240};
static const struct aws_shape token = {.type = AWS_STRING, .min = 1, .max = 1048576};
static const struct aws_shape iterator = {.type = AWS_STRING, .min = 1, .max = 512};
static const struct aws_shape key_id = {.type = AWS_STRING, .min = 1, .max = 2048};

static const struct aws_shape tag_key = {.type = AWS_STRING, .min = 1, .max = 128};
static const struct aws_shape tag_value = {.type = AWS_STRING, .min = 0, .max = 256};
static const struct aws_shape tags = {
    .type = AWS_MAP, .min = 1, .max = 200, .key = &tag_key, .item = &tag_value};
static const struct aws_shape tags_or_none = {
    .type = AWS_MAP, .max = 200, .key = &tag_key, .item = &tag_value};
static const struct aws_shape tag_keys = {.type = AWS_LIST, .min = 1, .max = 50, .item = &tag_key};

#define ENUM(id, ...)                                                                              \
    static const char *const id##_values[] = {__VA_ARGS__, NULL};                                  \
    static const struct aws_shape id = {.type = AWS_STRING, .values = id##_values}

ENUM(mode, "ON_DEMAND", "PROVISIONED");
ENUM(scaling, "UNIFORM_SCALING");
ENUM(encryption, "KMS", "NONE");
ENUM(iterator_type, "AFTER_SEQUENCE_NUMBER", "AT_SEQUENCE_NUMBER", "AT_TIMESTAMP", "LATEST",
     "TRIM_HORIZON");
ENUM(filter_type, "AFTER_SHARD_ID", "AT_LATEST", "AT_TIMESTAMP", "AT_TRIM_HORIZON",
     "FROM_TIMESTAMP", "FROM_TRIM_HORIZON");
ENUM(commitment_status, "DISABLED", "ENABLED");
ENUM(metric, "ALL", "IncomingBytes", "IncomingRecords", "IteratorAgeMilliseconds", "OutgoingBytes",
     "OutgoingRecords", "ReadProvisionedThroughputExceeded", "WriteProvisionedThroughputExceeded");
static const struct aws_shape metrics = {.type = AWS_LIST, .min = 1, .max = 7, .item = &metric};

#define MEMBERS(id) static const struct aws_member id[]

MEMBERS(mode_members) = {{"StreamMode", &mode, true}, {0}};
static const struct aws_shape mode_details = {.type = AWS_STRUCT, .members = mode_members};

MEMBERS(commitment_members) = {{"Status", &commitment_status, true}, {0}};
static const struct aws_shape commitment = {.type = AWS_STRUCT, .members = commitment_members};

MEMBERS(filter_members) = {
    {"Type", &filter_type, true}, {"ShardId", &name}, {"Timestamp", &timestamp}, {0}};
static const struct aws_shape filter = {.type = AWS_STRUCT, .members = filter_members};

MEMBERS(entry_members) = {{"Data", &blob, true},
                          {"ExplicitHashKey", &hash_key},
                          {"PartitionKey", &partition_key, true},
                          {0}};
static const struct aws_shape entry = {.type = AWS_STRUCT, .members = entry_members};
static const struct aws_shape entries = {.type = AWS_LIST, .min = 1, .max = 500, .item = &entry};

MEMBERS(position_members) = {
    {"Type", &iterator_type, true}, {"SequenceNumber", &sequence}, {"Timestamp", &timestamp}, {0}};
static const struct aws_shape position = {.type = AWS_STRUCT, .members = position_members};

/* ---- inputs ---- */

#define STREAM_MEMBERS                                                                             \
    {"StreamName", &name}, {                                                                       \
        "StreamARN", &stream_arn                                                                   \
    }

MEMBERS(nothing) = {{0}};
MEMBERS(stream_only) = {STREAM_MEMBERS, {0}};
MEMBERS(create_stream) = {{"StreamName", &name, true},
                          {"ShardCount", &positive},
                          {"StreamModeDetails", &mode_details},
                          {"Tags", &tags_or_none},
                          {"WarmThroughputMiBps", &not_negative},
                          {"MaxRecordSizeInKiB", &record_kib},
                          {0}};
MEMBERS(delete_stream) = {STREAM_MEMBERS, {"EnforceConsumerDeletion", &boolean}, {0}};
MEMBERS(describe_stream) = {
    STREAM_MEMBERS, {"Limit", &up_to_10000}, {"ExclusiveStartShardId", &name}, {0}};
MEMBERS(list_streams) = {
    {"Limit", &up_to_10000}, {"ExclusiveStartStreamName", &name}, {"NextToken", &token}, {0}};
MEMBERS(list_shards) = {STREAM_MEMBERS,
                        {"NextToken", &token},
                        {"ExclusiveStartShardId", &name},
                        {"MaxResults", &up_to_10000},
                        {"StreamCreationTimestamp", &timestamp},
                        {"ShardFilter", &filter},
                        {0}};
MEMBERS(put_record) = {STREAM_MEMBERS,
                       {"Data", &blob, true},
                       {"PartitionKey", &partition_key, true},
                       {"ExplicitHashKey", &hash_key},
                       {"SequenceNumberForOrdering", &sequence},
                       {0}};
MEMBERS(put_records) = {{"Records", &entries, true}, STREAM_MEMBERS, {0}};
MEMBERS(get_shard_iterator) = {STREAM_MEMBERS,
                               {"ShardId", &name, true},
                               {"ShardIteratorType", &iterator_type, true},
                               {"StartingSequenceNumber", &sequence},
                               {"Timestamp", &timestamp},
                               {0}};
MEMBERS(get_records) = {
    {"ShardIterator", &iterator, true}, {"Limit", &up_to_10000}, {"StreamARN", &stream_arn}, {0}};
MEMBERS(split_shard) = {
    STREAM_MEMBERS, {"ShardToSplit", &name, true}, {"NewStartingHashKey", &hash_key, true}, {0}};
MEMBERS(merge_shards) = {
    STREAM_MEMBERS, {"ShardToMerge", &name, true}, {"AdjacentShardToMerge", &name, true}, {0}};
MEMBERS(update_shard_count) = {
    STREAM_MEMBERS, {"TargetShardCount", &positive, true}, {"ScalingType", &scaling, true}, {0}};
MEMBERS(retention) = {STREAM_MEMBERS, {"RetentionPeriodHours", &any_integer, true}, {0}};
MEMBERS(update_stream_mode) = {{"StreamARN", &stream_arn, true},
                               {"StreamModeDetails", &mode_details, true},
                               {"WarmThroughputMiBps", &not_negative},
                               {0}};
MEMBERS(update_max_record_size) = {
    {"StreamARN", &stream_arn}, {"MaxRecordSizeInKiB", &record_kib, true}, {0}};
MEMBERS(update_warm_throughput) = {
    STREAM_MEMBERS, {"WarmThroughputMiBps", &not_negative, true}, {0}};
MEMBERS(monitoring) = {STREAM_MEMBERS, {"ShardLevelMetrics", &metrics, true}, {0}};
MEMBERS(stream_encryption) = {
    STREAM_MEMBERS, {"EncryptionType", &encryption, true}, {"KeyId", &key_id, true}, {0}};
MEMBERS(get_policy) = {{"ResourceARN", &stream_arn, true}, {0}};
MEMBERS(put_policy) = {{"ResourceARN", &stream_arn, true}, {"Policy", &text, true}, {0}};
MEMBERS(add_tags) = {STREAM_MEMBERS, {"Tags", &tags, true}, {0}};
MEMBERS(remove_tags) = {STREAM_MEMBERS, {"TagKeys", &tag_keys, true}, {0}};
MEMBERS(list_tags) = {
    STREAM_MEMBERS, {"ExclusiveStartTagKey", &tag_key}, {"Limit", &up_to_50}, {0}};
MEMBERS(tag_resource) = {{"Tags", &tags, true}, {"ResourceARN", &stream_arn, true}, {0}};
MEMBERS(untag_resource) = {{"TagKeys", &tag_keys, true}, {"ResourceARN", &stream_arn, true}, {0}};
MEMBERS(register_consumer) = {
    {"StreamARN", &stream_arn, true}, {"ConsumerName", &name, true}, {"Tags", &tags_or_none}, {0}};
MEMBERS(one_consumer) = {
    {"StreamARN", &stream_arn}, {"ConsumerName", &name}, {"ConsumerARN", &consumer_arn}, {0}};
MEMBERS(list_consumers) = {{"StreamARN", &stream_arn, true},
                           {"NextToken", &token},
                           {"MaxResults", &up_to_10000},
                           {"StreamCreationTimestamp", &timestamp},
                           {0}};
MEMBERS(account_settings) = {{"MinimumThroughputBillingCommitment", &commitment, true}, {0}};
MEMBERS(subscribe) = {{"ConsumerARN", &consumer_arn, true},
                      {"ShardId", &name, true},
                      {"StartingPosition", &position, true},
                      {0}};

const struct aws_operation kinesis_operations[] = {
    {"PutRecords", put_records, kinesis_put_records},
    {"GetRecords", get_records, kinesis_get_records},
    {"PutRecord", put_record, kinesis_put_record},
    {"GetShardIterator", get_shard_iterator, kinesis_get_shard_iterator},
    {"SubscribeToShard", subscribe, kinesis_subscribe_to_shard},
    {"DescribeStream", describe_stream, kinesis_describe_stream},
    {"DescribeStreamSummary", stream_only, kinesis_describe_stream_summary},
    {"ListShards", list_shards, kinesis_list_shards},
    {"ListStreams", list_streams, kinesis_list_streams},
    {"CreateStream", create_stream, kinesis_create_stream},
    {"DeleteStream", delete_stream, kinesis_delete_stream},
    {"SplitShard", split_shard, kinesis_split_shard},
    {"MergeShards", merge_shards, kinesis_merge_shards},
    {"UpdateShardCount", update_shard_count, kinesis_update_shard_count},
    {"IncreaseStreamRetentionPeriod", retention, kinesis_increase_retention},
    {"DecreaseStreamRetentionPeriod", retention, kinesis_decrease_retention},
    {"UpdateStreamMode", update_stream_mode, kinesis_update_stream_mode},
    {"UpdateMaxRecordSize", update_max_record_size, kinesis_update_max_record_size},
    {"UpdateStreamWarmThroughput", update_warm_throughput, kinesis_update_warm_throughput},
    {"EnableEnhancedMonitoring", monitoring, kinesis_enable_monitoring},
    {"DisableEnhancedMonitoring", monitoring, kinesis_disable_monitoring},
    {"StartStreamEncryption", stream_encryption, kinesis_start_encryption},
    {"StopStreamEncryption", stream_encryption, kinesis_stop_encryption},
    {"AddTagsToStream", add_tags, kinesis_add_tags},
    {"RemoveTagsFromStream", remove_tags, kinesis_remove_tags},
    {"ListTagsForStream", list_tags, kinesis_list_tags},
    {"TagResource", tag_resource, kinesis_tag_resource},
    {"UntagResource", untag_resource, kinesis_untag_resource},
    {"ListTagsForResource", get_policy, kinesis_list_resource_tags},
    {"RegisterStreamConsumer", register_consumer, kinesis_register_consumer},
    {"DeregisterStreamConsumer", one_consumer, kinesis_deregister_consumer},
    {"DescribeStreamConsumer", one_consumer, kinesis_describe_consumer},
    {"ListStreamConsumers", list_consumers, kinesis_list_consumers},
    {"GetResourcePolicy", get_policy, kinesis_get_policy},
    {"PutResourcePolicy", put_policy, kinesis_put_policy},
    {"DeleteResourcePolicy", get_policy, kinesis_delete_policy},
    {"DescribeLimits", nothing, kinesis_describe_limits},
    {"DescribeAccountSettings", nothing, kinesis_describe_account_settings},
    {"UpdateAccountSettings", account_settings, kinesis_update_account_settings},
    {0}};
