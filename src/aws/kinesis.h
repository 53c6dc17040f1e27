/* The operations of Kinesis Data Streams (Kinesis API reference 2013-12-02), one handler each, and
 * what they share. */
#ifndef AWS_KINESIS_H
#define AWS_KINESIS_H

#include "aws/call.h"

/* Ends with a nameless one. */
extern const struct aws_operation kinesis_operations[];

/* ---- life ---- */

/* Fills the catalog from the log's streams and listens to the writer's gate. */
void kinesis_open(struct aws *aws);

/* Goes on with what UpdateShardCount was about when the last run ended. */
void kinesis_resume(struct aws *aws);

/* The server closes: subscriptions and puts that wait for room end. */
void kinesis_stop(struct aws *aws);
void kinesis_close(struct aws *aws);

/* ---- kinesis_limits.c: all say yes unless api.limits is there ---- */

/* How often the operation may be called; false, and the call has failed. */
bool kinesis_limit_call(struct call *call);

/* The same for one stream, or one shard of it. */
bool kinesis_limit_stream_call(struct call *call, const struct catalog_stream *target,
                               struct limit_bucket *bucket, int64_t per_second);
bool kinesis_limit_shard_call(struct call *call, struct catalog_stream *target, unsigned shard,
                              struct limit_bucket *bucket, int64_t per_second);

/* At most `most` calls for the stream in 24 hours of this run. */
bool kinesis_limit_daily(struct call *call, const struct catalog_stream *target,
                         struct limit_day *day, unsigned most);

/* Whether the record may be put; it is counted then. A shard of an on-demand stream that is short of its rate
 * for long is split. */
bool kinesis_limit_write(struct call *call, struct catalog_stream *target, unsigned shard,
                         const struct record *record);

/* Whether the shard may be read from by GetRecords (the call is counted, or has failed); what came of it. */
bool kinesis_limit_read(struct call *call, struct catalog_stream *target, unsigned shard);
void kinesis_limit_note_read(struct call *call, struct catalog_stream *target, unsigned shard,
                             size_t bytes);

/* "Rate exceeded for shard ..." */
void kinesis_limit_text(const struct aws *aws, const char *stream, unsigned shard, struct buf *out);
extern const char kinesis_throttled_type[];

/* ---- kinesis_streams.c ---- */
void kinesis_create_stream(struct call *call);
void kinesis_delete_stream(struct call *call);
void kinesis_describe_stream(struct call *call);
void kinesis_describe_stream_summary(struct call *call);
void kinesis_list_streams(struct call *call);
void kinesis_describe_limits(struct call *call);
void kinesis_describe_account_settings(struct call *call);
void kinesis_update_account_settings(struct call *call);

/* ---- kinesis_shards.c ---- */
void kinesis_list_shards(struct call *call);

/* The stream that the call's NextToken of ListShards is for; empty: the token is none. A view into
 * call->scratch. */
struct str kinesis_shards_token_stream(struct call *call);

enum { KINESIS_SHARDS_PAGE = 1000, KINESIS_DESCRIBE_PAGE = 100 };

/* A structure Shard. */
void kinesis_put_shard(struct aws_output *output, const struct stream *stream, unsigned shard,
                       const struct stream_shard_info *info);

/* ChildShards of a closed shard, with the key. */
void kinesis_put_children(struct aws_output *output, const struct stream *stream, unsigned shard);

/* "shardId-000000000003"; false if it is none of the stream that is still listed. */
bool kinesis_shard_read(const struct stream *stream, struct str text, unsigned *ret_shard,
                        struct stream_shard_info *ret_info);
unsigned kinesis_open_shards(const struct stream *stream);

/* ---- kinesis_put.c ---- */
void kinesis_put_record(struct call *call);
void kinesis_put_records(struct call *call);

/* Hears of commits and of room from the writer's gate. */
void kinesis_listen(struct aws *aws);

/* Puts that wait for room end with an error. */
void kinesis_drop_waiting(struct aws *aws);

/* ---- kinesis_get.c ---- */
void kinesis_get_shard_iterator(struct call *call);
void kinesis_get_records(struct call *call);

/* A position as GetShardIterator and SubscribeToShard take it; `type` is one of the five. False, and
 * the call has failed. */
struct kinesis_position {
    struct str type, sequence;
    struct json_value timestamp;
    const char *operation;
};
bool kinesis_position_read(struct call *call, const struct catalog_stream *target, unsigned shard,
                           const struct kinesis_position *position, uint64_t *ret_counter);

/* A structure Record. */
void kinesis_put_one_record(struct aws_output *output, const struct stream *stream, unsigned shard,
                            bool encrypted, const struct stream_record *record);

/* ---- kinesis_reshard.c ---- */
void kinesis_split_shard(struct call *call);
void kinesis_merge_shards(struct call *call);
void kinesis_update_shard_count(struct call *call);

/* Begins or goes on with the way to target->target_shards. */
void kinesis_reshard(struct aws *aws, struct catalog_stream *target);

/* Splits a shard of an on-demand stream, if that can be done at present; it is done later. */
void kinesis_relieve(struct aws *aws, struct catalog_stream *target, unsigned shard);

/* ---- kinesis_settings.c ---- */
void kinesis_increase_retention(struct call *call);
void kinesis_decrease_retention(struct call *call);
void kinesis_update_stream_mode(struct call *call);
void kinesis_update_max_record_size(struct call *call);
void kinesis_update_warm_throughput(struct call *call);
void kinesis_enable_monitoring(struct call *call);
void kinesis_disable_monitoring(struct call *call);
void kinesis_start_encryption(struct call *call);
void kinesis_stop_encryption(struct call *call);
void kinesis_get_policy(struct call *call);
void kinesis_put_policy(struct call *call);
void kinesis_delete_policy(struct call *call);

/* The member WarmThroughput of an on-demand stream. */
void kinesis_put_warm_throughput(struct aws_output *output, const struct catalog_stream *target);

enum { KINESIS_METRICS = 7 };
extern const char *const kinesis_metric_names[KINESIS_METRICS];
void kinesis_put_metrics(struct aws_output *output, const char *key, unsigned metrics);

/* ---- kinesis_tags.c ---- */
void kinesis_add_tags(struct call *call);
void kinesis_remove_tags(struct call *call);
void kinesis_list_tags(struct call *call);
void kinesis_tag_resource(struct call *call);
void kinesis_untag_resource(struct call *call);
void kinesis_list_resource_tags(struct call *call);

/* Adds the map `tags` to those that are there: all or nothing. False, and the call has failed. */
bool kinesis_tags_add(struct call *call, struct catalog_tags *tags, struct json_value map);

/* ---- kinesis_consumers.c ---- */
void kinesis_register_consumer(struct call *call);
void kinesis_deregister_consumer(struct call *call);
void kinesis_describe_consumer(struct call *call);
void kinesis_list_consumers(struct call *call);

/* arn:...:stream/X/consumer/NAME:SECONDS. NULL, and the call has failed. */
struct catalog_consumer *kinesis_consumer_of_arn(struct call *call, struct str arn,
                                                 struct catalog_stream **ret_stream);

/* ---- kinesis_subscribe.c ---- */
void kinesis_subscribe_to_shard(struct call *call);
void kinesis_end_subscriptions(struct aws *aws);

#endif
