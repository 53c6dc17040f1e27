#include "aws/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

const struct option aws_limits_options[] = {
    {"shard_write_bytes", OPTION_SIZE, offsetof(struct aws_limits_config, shard_write_bytes),
     .default_text = "1MiB", .help = "per second and shard; 0: no limit"},
    {"shard_write_records", OPTION_INT, offsetof(struct aws_limits_config, shard_write_records),
     .max = 1000000000, .default_text = "1000", .help = "per second and shard"},
    {"shard_read_bytes", OPTION_SIZE, offsetof(struct aws_limits_config, shard_read_bytes),
     .default_text = "2MiB", .help = "per second and shard, of all GetRecords"},
    {"shard_read_calls", OPTION_INT, offsetof(struct aws_limits_config, shard_read_calls),
     .max = 1000000000, .default_text = "5", .help = "GetRecords per second and shard"},
    {"fan_out_bytes", OPTION_SIZE, offsetof(struct aws_limits_config, fan_out_bytes),
     .default_text = "2MiB", .help = "per second, shard and consumer of SubscribeToShard"},
    {"calls", OPTION_BOOL, offsetof(struct aws_limits_config, calls), .default_text = "true",
     .help = "calls per second of each operation as AWS has them"},
    {"on_demand_after", OPTION_DURATION, offsetof(struct aws_limits_config, on_demand_after_ms),
     .default_text = "60s",
     .help =
         "a shard of an on-demand stream whose writes are beyond its rate for so long is split"},
    {0}};

/* ---- buckets ---- */

enum {
    PARTS = 1000,
    DAY_MS = 24 * 3600 * 1000,
    SHORT_GAP_MS = 5000, /* a shard that keeps its rate for longer was short no more */
};

/* What was used leaks away at the rate. */
static void leak(struct limit_bucket *bucket, int64_t per_second, uint64_t now_ms) {
    uint64_t ms = bucket->at_ms && now_ms > bucket->at_ms ? now_ms - bucket->at_ms : 0;
    bucket->at_ms = now_ms;
    if (bucket->used / per_second <= (int64_t)ms)
        bucket->used = 0;
    else
        bucket->used -= (int64_t)ms * per_second;
}

bool limit_has_room(struct limit_bucket *bucket, int64_t per_second, uint64_t now_ms) {
    if (per_second == 0)
        return true;
    leak(bucket, per_second, now_ms);
    return bucket->used < per_second * PARTS;
}

void limit_use(struct limit_bucket *bucket, int64_t per_second, int64_t amount) {
    if (per_second)
        bucket->used += amount * PARTS;
}

bool limit_take(struct limit_bucket *bucket, int64_t per_second, int64_t amount, uint64_t now_ms) {
    if (!limit_has_room(bucket, per_second, now_ms))
        return false;
    limit_use(bucket, per_second, amount);
    return true;
}

/* The oldest of the last `most` stands where the next one goes. */
bool limit_take_daily(struct limit_day *day, unsigned most, uint64_t now_ms) {
    uint64_t *oldest = &day->at_ms[day->taken % most];
    if (day->taken >= most && now_ms - *oldest < DAY_MS)
        return false;
    *oldest = now_ms;
    day->taken++;
    return true;
}

/* ---- streams ---- */

void limit_stream_done(struct limit_stream *stream) {
    free(stream->shards);
    *stream = (struct limit_stream){0};
}

bool limit_is_short(struct limit_shard *shard, int64_t after_ms, uint64_t now_ms) {
    if (!shard->short_ms || now_ms - shard->short_ms > SHORT_GAP_MS)
        shard->short_since_ms = now_ms;
    shard->short_ms = now_ms;
    if (now_ms - shard->short_since_ms < (uint64_t)after_ms)
        return false;
    shard->short_ms = 0;
    return true;
}

struct limit_shard *limit_shard_of(struct limit_stream *stream, unsigned shard) {
    if (shard >= stream->count) {
        size_t count = (size_t)shard + 8;
        stream->shards = xrealloc(stream->shards, count * sizeof *stream->shards);
        memset(stream->shards + stream->count, 0, (count - stream->count) * sizeof *stream->shards);
        stream->count = count;
    }
    return &stream->shards[shard];
}

/* ---- operations (Kinesis API reference, "Limits" of each operation) ---- */

int64_t limit_calls_per_second(const char *operation) {
    static const struct {
        const char *name;
        int64_t per_second;
    } limits[] = {{"CreateStream", 5},
                  {"DeleteStream", 5},
                  {"ListStreams", 5},
                  {"SplitShard", 5},
                  {"MergeShards", 5},
                  {"AddTagsToStream", 5},
                  {"RemoveTagsFromStream", 5},
                  {"ListTagsForStream", 5},
                  {"TagResource", 5},
                  {"UntagResource", 5},
                  {"ListTagsForResource", 5},
                  {"RegisterStreamConsumer", 5},
                  {"DeregisterStreamConsumer", 5},
                  {"IncreaseStreamRetentionPeriod", 5},
                  {"DecreaseStreamRetentionPeriod", 5},
                  {"DescribeStream", 10},
                  {"DescribeStreamSummary", 20},
                  {"DescribeStreamConsumer", 20},
                  {"DescribeLimits", 1}};
    for (size_t i = 0; i < COUNT_OF(limits); i++)
        if (strcmp(limits[i].name, operation) == 0)
            return limits[i].per_second;
    return 0;
}

struct subscription_limit {
    struct limit_bucket bucket;
    char key[]; /* that the map has a view of */
};

static void forget_subscriptions(struct limits *limits) {
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&limits->subscriptions, &i));)
        free(entry->value);
    map_clear(&limits->subscriptions);
}

void limits_done(struct limits *limits) {
    forget_subscriptions(limits);
    map_done(&limits->subscriptions);
}

bool limit_take_subscription(struct limits *limits, struct str consumer_arn, unsigned shard,
                             uint64_t now_ms) {
    struct buf key = {0};
    buf_printf(&key, "%.*s %u", STR_ARG(consumer_arn), shard);
    struct subscription_limit *limit = map_get(&limits->subscriptions, buf_str(&key));
    if (!limit) {
        if (limits->subscriptions.count >= LIMIT_SUBSCRIPTIONS_MAX)
            forget_subscriptions(limits);
        limit = xcalloc(1, sizeof *limit + buf_len(&key));
        memcpy(limit->key, buf_at(&key), buf_len(&key));
        map_put(&limits->subscriptions, str_from(limit->key, buf_len(&key)), limit);
    }
    buf_done(&key);
    return limit_take(&limit->bucket, 1, 1, now_ms);
}
