/*
 * Throughput limits as Kinesis Data Streams has them (developer guide, "Quotas and limits"), when the
 * configuration asks for them: api.limits. Everything belongs to the loop of the API. What producers put by
 * rules is not limited: these are the limits of the API.
 */
#ifndef AWS_LIMITS_H
#define AWS_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "base/option.h"

/* Per second; 0: no limit. */
struct aws_limits_config {
    struct option_head head; /* head.conf NULL: none of all */
    int64_t shard_write_bytes, shard_write_records;
    int64_t shard_read_bytes, shard_read_calls;
    int64_t fan_out_bytes; /* per consumer and shard */
    bool calls;            /* how often each operation may be called */
    int64_t on_demand_after_ms;
};

extern const struct option aws_limits_options[];

/*
 * What may still be used of a rate. It holds one second's worth, and may be overdrawn by what is used at once:
 * then nothing is left until the debt is paid, as with a GetRecords of 10 MiB. Zeroed is full.
 */
struct limit_bucket {
    int64_t used; /* thousandths */
    uint64_t at_ms;
};

/* Whether anything is left; rate 0: always. */
bool limit_has_room(struct limit_bucket *bucket, int64_t per_second, uint64_t now_ms);
void limit_use(struct limit_bucket *bucket, int64_t per_second, int64_t amount);

/* Both, with an amount of 1 or more. */
bool limit_take(struct limit_bucket *bucket, int64_t per_second, int64_t amount, uint64_t now_ms);

/* At most LIMIT_DAY_MAX calls in any 24 hours. Zeroed: there was none. */
enum { LIMIT_DAY_MAX = 10 };
struct limit_day {
    uint64_t at_ms[LIMIT_DAY_MAX];
    unsigned taken;
};

/* Whether there were less than `most`; then there is one more. */
bool limit_take_daily(struct limit_day *day, unsigned most, uint64_t now_ms);

struct limit_shard {
    struct limit_bucket write_bytes, write_records, read_bytes, read_calls, iterators;
    uint64_t short_since_ms,
        short_ms; /* writes were beyond the rate from then until then; 0: they were not */
};

/* A write was beyond the rate. Whether it has been like that for `after_ms`; then that begins anew. */
bool limit_is_short(struct limit_shard *shard, int64_t after_ms, uint64_t now_ms);

/* Of one stream; zeroed is valid. */
struct limit_stream {
    struct limit_shard *shards;
    size_t count;
    struct limit_bucket list_shards, list_consumers;
    struct limit_day shard_counts, modes; /* UpdateShardCount, UpdateStreamMode */
};

void limit_stream_done(struct limit_stream *stream);
struct limit_shard *limit_shard_of(struct limit_stream *stream, unsigned shard);

/* How often an operation may be called in a second in the whole account; 0: as often as one likes. */
int64_t limit_calls_per_second(const char *operation);

enum { LIMIT_OPERATIONS_MAX = 64, LIMIT_SUBSCRIPTIONS_MAX = 10000 };

/* Of the whole API; zeroed is valid. */
struct limits {
    struct limit_bucket operations[LIMIT_OPERATIONS_MAX]; /* in the order of their table */
    /* by "CONSUMER_ARN SHARD"; beyond LIMIT_SUBSCRIPTIONS_MAX all are forgotten */
    struct map subscriptions;
};

void limits_done(struct limits *limits);

/* SubscribeToShard: once a second per consumer and shard. */
bool limit_take_subscription(struct limits *limits, struct str consumer_arn, unsigned shard,
                             uint64_t now_ms);

#endif
