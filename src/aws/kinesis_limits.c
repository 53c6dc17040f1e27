/*
 * Where the limits of limits.h are asked, and what is answered beyond them (Kinesis API reference, errors of
 * PutRecords and GetRecords): data calls fail with ProvisionedThroughputExceededException, others with
 * LimitExceededException; SDKs wait and try again on both.
 */
#include "aws/kinesis.h"

const char kinesis_throttled_type[] = "ProvisionedThroughputExceededException";

static const struct aws_limits_config *limits_of(const struct call *call) {
    const struct aws_limits_config *limits = &call->aws->config->limits;
    return limits->head.conf ? limits : NULL;
}

static uint64_t now_ms(const struct call *call) {
    return loop_now_ms(call->aws->loop);
}

void kinesis_limit_text(const struct aws *aws, const char *stream, unsigned shard,
                        struct buf *out) {
    char id[STREAM_SHARD_ID_CHARS];
    stream_shard_id(shard, id);
    buf_printf(out, "Rate exceeded for shard %s in stream %s under account %s.", id, stream,
               aws->config->account);
}

static void fail_shard(struct call *call, const struct catalog_stream *target, unsigned shard) {
    struct buf text = {0};
    kinesis_limit_text(call->aws, target->name, shard, &text);
    metric_add(&call->aws->throttled, 1);
    call_fail(call, kinesis_throttled_type, "%.*s", STR_ARG(buf_str(&text)));
    buf_done(&text);
}

/* ---- calls ---- */

static bool limits_calls(const struct call *call) {
    const struct aws_limits_config *limits = limits_of(call);
    return limits && limits->calls;
}

bool kinesis_limit_call(struct call *call) {
    size_t index = (size_t)(call->operation - kinesis_operations);
    int64_t per_second = limits_calls(call) ? limit_calls_per_second(call->operation->name) : 0;
    ASSERT(index < LIMIT_OPERATIONS_MAX);
    if (limit_take(&call->aws->limits.operations[index], per_second, 1, now_ms(call)))
        return true;
    call_fail(call, "LimitExceededException", "Rate exceeded for %s under account %s.",
              call->operation->name, call->aws->config->account);
    return false;
}

bool kinesis_limit_stream_call(struct call *call, const struct catalog_stream *target,
                               struct limit_bucket *bucket, int64_t per_second) {
    if (!limits_calls(call) || limit_take(bucket, per_second, 1, now_ms(call)))
        return true;
    call_fail(call, "LimitExceededException", "Rate exceeded for stream %s under account %s.",
              target->name, call->aws->config->account);
    return false;
}

bool kinesis_limit_shard_call(struct call *call, struct catalog_stream *target, unsigned shard,
                              struct limit_bucket *bucket, int64_t per_second) {
    if (!limits_calls(call) || limit_take(bucket, per_second, 1, now_ms(call)))
        return true;
    fail_shard(call, target, shard);
    return false;
}

bool kinesis_limit_daily(struct call *call, const struct catalog_stream *target,
                         struct limit_day *day, unsigned most) {
    if (!limits_calls(call) || limit_take_daily(day, most, now_ms(call)))
        return true;
    call_fail(call, "LimitExceededException",
              "%s can be called %u times in 24 hours for a stream; it was for stream %s under "
              "account %s.",
              call->operation->name, most, target->name, call->aws->config->account);
    return false;
}

/* ---- records ---- */

static bool has_write_room(const struct aws_limits_config *limits, struct limit_shard *state,
                           uint64_t now) {
    return limit_has_room(&state->write_records, limits->shard_write_records, now) &&
           limit_has_room(&state->write_bytes, limits->shard_write_bytes, now);
}

bool kinesis_limit_write(struct call *call, struct catalog_stream *target, unsigned shard,
                         const struct record *record) {
    const struct aws_limits_config *limits = limits_of(call);
    if (!limits)
        return true;
    struct limit_shard *state = limit_shard_of(&target->limits, shard);
    uint64_t now = now_ms(call);
    if (!has_write_room(limits, state, now)) {
        if (target->on_demand && limit_is_short(state, limits->on_demand_after_ms, now))
            kinesis_relieve(call->aws, target, shard);
        return false;
    }
    limit_use(&state->write_records, limits->shard_write_records, 1);
    limit_use(&state->write_bytes, limits->shard_write_bytes,
              (int64_t)(record->data.len + record->partition_key.len));
    return true;
}

bool kinesis_limit_read(struct call *call, struct catalog_stream *target, unsigned shard) {
    const struct aws_limits_config *limits = limits_of(call);
    if (!limits)
        return true;
    struct limit_shard *state = limit_shard_of(&target->limits, shard);
    uint64_t now = now_ms(call);
    if (limit_has_room(&state->read_bytes, limits->shard_read_bytes, now) &&
        limit_take(&state->read_calls, limits->shard_read_calls, 1, now))
        return true;
    fail_shard(call, target, shard);
    return false;
}

void kinesis_limit_note_read(struct call *call, struct catalog_stream *target, unsigned shard,
                             size_t bytes) {
    const struct aws_limits_config *limits = limits_of(call);
    if (limits)
        limit_use(&limit_shard_of(&target->limits, shard)->read_bytes, limits->shard_read_bytes,
                  (int64_t)bytes);
}
