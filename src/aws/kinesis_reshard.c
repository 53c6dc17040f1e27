/*
 * SplitShard, MergeShards, UpdateShardCount. The stream is UPDATING until the change is on disk and in
 * force; SplitShard and MergeShards answer then, UpdateShardCount answers at once and works on.
 *
 * UpdateShardCount to n: the aim is the n even ranges that CreateStream would make. As long as one of
 * their boundaries lies inside an open shard, that shard is split there; when all boundaries exist,
 * neighbours within one range are merged until each range is one shard. Doubling is thus one split per
 * shard, halving one merge per pair, and no shard ever has more than two parents. The aim is a fact
 * (catalog.c) from before the first step until after the last, so a restart goes on with it.
 *
 * Shards of on-demand streams are split when their writes are beyond the limit for long (kinesis_limits.c): the
 * ones that are short, each in its middle, up to ON_DEMAND_SHARDS_MAX.
 */
#include <stdlib.h>

#include "aws/kinesis.h"
#include "aws/server.h"
#include "base/hash_key.h"
#include "base/log.h"

enum { OPEN_SHARDS_MAX = 10000, ON_DEMAND_SHARDS_MAX = 200, COUNTS_PER_DAY = 10 };

/* ---- one change ---- */

static bool check_mode(struct call *call, const struct catalog_stream *target) {
    const char *unchanged = stream_unchanged(target->stream);
    if (unchanged) {
        call_fail(call, "InvalidArgumentException",
                  "The shards of stream %s under account %s cannot be changed here: %s.",
                  target->name, call->aws->config->account, unchanged);
        return false;
    }
    if (!target->on_demand)
        return true;
    call_fail(call, "ValidationException",
              "Request is invalid. Stream %s under account %s is in On-Demand mode.", target->name,
              call->aws->config->account);
    return false;
}

static bool read_shard(struct call *call, const struct catalog_stream *target, const char *member,
                       unsigned *ret_shard, struct stream_shard_info *ret_info) {
    struct str id = call_string(call, member);
    if (kinesis_shard_read(target->stream, id, ret_shard, ret_info))
        return true;
    call_fail(call, "ResourceNotFoundException",
              "Could not find shard %.*s in stream %s under account %s.", STR_ARG(id), target->name,
              call->aws->config->account);
    return false;
}

static void begin_change(struct call *call, struct catalog_stream *target, int status,
                         const struct err *err) {
    if (status == ERR_FULL)
        call_fail(call, "LimitExceededException", "%s",
                  err->text[0] ? err->text : err_text(status));
    else if (status == ERR_INVALID || status == ERR_CLOSED || status == ERR_NOT_FOUND)
        call_fail(call, "InvalidArgumentException", "%s",
                  err->text[0] ? err->text : err_text(status));
    else if (status)
        call_fail_code(call, status, err);
    else
        target->status = CATALOG_UPDATING;
}

/* ---- SplitShard ---- */

static void fail_split_key(struct call *call, const struct catalog_stream *target,
                           const struct stream_shard_info *info) {
    char low[HASH_KEY_CHARS], high[HASH_KEY_CHARS];
    struct str start = hash_key_text(info->start, low);
    struct str end = hash_key_text(info->end, high);
    call_fail(
        call, "InvalidArgumentException",
        "NewStartingHashKey %.*s used in SplitShard() on shard %.*s in stream %s under account "
        "%s is not both greater than one plus the shard's StartingHashKey %.*s and less than "
        "the shard's EndingHashKey %.*s.",
        STR_ARG(call_string(call, "NewStartingHashKey")),
        STR_ARG(call_string(call, "ShardToSplit")), target->name, call->aws->config->account,
        STR_ARG(start), STR_ARG(end));
}

static void fail_closed(struct call *call, const struct catalog_stream *target, struct str id) {
    call_fail(
        call, "InvalidArgumentException",
        "Shard %.*s in stream %s under account %s has already been merged or split, and thus is "
        "not eligible for merging or splitting.",
        STR_ARG(id), target->name, call->aws->config->account);
}

void kinesis_split_shard(struct call *call) {
    struct catalog_stream *target = call_active_stream(call);
    struct stream_shard_info info;
    struct err err = {0};
    unsigned shard;
    hash_key key;
    if (!target || !check_mode(call, target) ||
        !read_shard(call, target, "ShardToSplit", &shard, &info))
        return;
    if (!info.open) {
        fail_closed(call, target, call_string(call, "ShardToSplit"));
        return;
    }
    if (!hash_key_parse(call_string(call, "NewStartingHashKey"), &key) || key <= info.start ||
        key - info.start < 2 || key >= info.end) {
        fail_split_key(call, target, &info);
        return;
    }
    call->target = target;
    int status =
        stream_split(target->stream, call->aws->loop, shard, key, call_on_changed, call, &err);
    begin_change(call, target, status, &err);
}

/* ---- MergeShards ---- */

/* The last range ends where numbers do: there is nothing behind it. */
static bool touch(const struct stream_shard_info *lower, const struct stream_shard_info *upper) {
    return lower->end < upper->start && upper->start - lower->end == 1;
}

void kinesis_merge_shards(struct call *call) {
    struct catalog_stream *target = call_active_stream(call);
    struct stream_shard_info info, adjacent_info;
    struct err err = {0};
    unsigned shard, adjacent;
    if (!target || !check_mode(call, target) ||
        !read_shard(call, target, "ShardToMerge", &shard, &info) ||
        !read_shard(call, target, "AdjacentShardToMerge", &adjacent, &adjacent_info))
        return;
    if (!info.open || !adjacent_info.open) {
        fail_closed(call, target,
                    call_string(call, info.open ? "AdjacentShardToMerge" : "ShardToMerge"));
        return;
    }
    if (!touch(&info, &adjacent_info) && !touch(&adjacent_info, &info)) {
        call_fail(call, "InvalidArgumentException",
                  "Shards %.*s and %.*s in stream %s under account %s are not an adjacent pair of "
                  "shards eligible for merging",
                  STR_ARG(call_string(call, "ShardToMerge")),
                  STR_ARG(call_string(call, "AdjacentShardToMerge")), target->name,
                  call->aws->config->account);
        return;
    }
    call->target = target;
    int status =
        stream_merge(target->stream, call->aws->loop, shard, adjacent, call_on_changed, call, &err);
    begin_change(call, target, status, &err);
}

/* ---- UpdateShardCount: the steps ---- */

struct job {
    struct link link; /* in aws->jobs */
    struct aws *aws;
    struct catalog_stream *target;
};

struct open_shard {
    unsigned shard;
    hash_key start;
};

static int compare_start(const void *a, const void *b) {
    const struct open_shard *left = a, *right = b;
    return (left->start > right->start) - (left->start < right->start);
}

static struct open_shard *open_shards(const struct stream *stream, unsigned *ret_count) {
    unsigned all = stream_shard_count(stream), count = 0;
    struct open_shard *shards = xcalloc(all + 1, sizeof *shards);
    for (unsigned shard = 0; shard < all; shard++) {
        struct stream_shard_info info;
        stream_shard_get(stream, shard, &info);
        if (info.open)
            shards[count++] = (struct open_shard){shard, info.start};
    }
    qsort(shards, count, sizeof *shards, compare_start);
    *ret_count = count;
    return shards;
}

struct step {
    enum { STEP_NONE, STEP_SPLIT, STEP_MERGE } kind;
    unsigned shard, adjacent;
    hash_key key;
};

/* Walks open shards and boundaries together, both in order. A split comes before any merge. */
static struct step find_step(const struct open_shard *shards, unsigned count, unsigned aim) {
    struct step step = {STEP_NONE};
    unsigned boundary = 1;
    for (unsigned i = 1; i <= count; i++) {
        bool last = i == count;
        hash_key key = boundary < aim ? hash_key_even(boundary, aim) : 0;
        if (boundary < aim && (last || shards[i].start > key))
            return (struct step){STEP_SPLIT, .shard = shards[i - 1].shard, .key = key};
        if (boundary < aim && shards[i].start == key)
            boundary++;
        else if (!last && step.kind == STEP_NONE)
            step = (struct step){STEP_MERGE, .shard = shards[i - 1].shard,
                                 .adjacent = shards[i].shard};
    }
    return step;
}

static void next_step(struct job *job);

static void end_job(struct job *job, bool keep_aim) {
    struct aws *aws = job->aws;
    struct catalog_stream *target = job->target;
    struct err err;
    target->status = CATALOG_ACTIVE;
    if (!keep_aim) {
        target->target_shards = 0;
        if (catalog_save(&aws->catalog, target, &err))
            log_error("aws", "stream %s: its settings cannot be written: %s", target->name,
                      err.text);
    }
    list_remove(&job->link);
    free(job);
    aws_part_end(aws);
}

static void on_step(void *data, int status, struct stream *stream) {
    struct job *job = data;
    if (job->aws->is_closing) {
        end_job(job, true);
    } else if (status) {
        log_error("aws", "stream %s: UpdateShardCount ends early: %s", job->target->name,
                  err_text(status));
        end_job(job, false);
    } else {
        next_step(job);
    }
}

static void next_step(struct job *job) {
    struct stream *stream = job->target->stream;
    struct err err = {0};
    unsigned count;
    struct open_shard *shards = open_shards(stream, &count);
    struct step step = find_step(shards, count, (unsigned)job->target->target_shards);
    int status = 0;
    free(shards);
    if (step.kind == STEP_SPLIT)
        status = stream_split(stream, job->aws->loop, step.shard, step.key, on_step, job, &err);
    else if (step.kind == STEP_MERGE)
        status =
            stream_merge(stream, job->aws->loop, step.shard, step.adjacent, on_step, job, &err);
    if (status)
        log_error("aws", "stream %s: UpdateShardCount ends early: %s", job->target->name, err.text);
    if (status || step.kind == STEP_NONE)
        end_job(job, false);
}

static struct job *begin_job(struct aws *aws, struct catalog_stream *target) {
    struct job *job = xcalloc(1, sizeof *job);
    job->aws = aws;
    job->target = target;
    target->status = CATALOG_UPDATING;
    list_push_back(&aws->jobs, &job->link);
    aws_part_begin(aws);
    return job;
}

void kinesis_reshard(struct aws *aws, struct catalog_stream *target) {
    next_step(begin_job(aws, target));
}

/* ---- on demand ---- */

static void on_relieved(void *data, int status, struct stream *stream) {
    struct job *job = data;
    if (status)
        log_error("aws", "stream %s: a shard that is short cannot be split: %s", job->target->name,
                  err_text(status));
    end_job(job, true);
}

void kinesis_relieve(struct aws *aws, struct catalog_stream *target, unsigned shard) {
    struct stream_shard_info info;
    struct err err = {0};
    stream_shard_get(target->stream, shard, &info);
    if (target->status != CATALOG_ACTIVE || stream_unchanged(target->stream) || !info.open ||
        info.end - info.start < 2 || kinesis_open_shards(target->stream) >= ON_DEMAND_SHARDS_MAX)
        return;
    struct job *job = begin_job(aws, target);
    hash_key middle = info.start + (info.end - info.start) / 2 + 1;
    int status = stream_split(target->stream, aws->loop, shard, middle, on_relieved, job, &err);
    if (status) /* something else is changed at present; who is short comes again */
        end_job(job, true);
}

/* ---- UpdateShardCount: the call ---- */

static bool check_aim(struct call *call, int64_t current, int64_t aim) {
    if (aim > 2 * current)
        call_fail(call, "InvalidArgumentException",
                  "UpdateShardCount cannot scale up over double your current open shard count. "
                  "Current open shard count: %lld Target shard count: %lld",
                  (long long)current, (long long)aim);
    else if (aim < (current + 1) / 2)
        call_fail(call, "InvalidArgumentException",
                  "UpdateShardCount cannot scale down below half your current open shard count. "
                  "Current open shard count: %lld Target shard count: %lld",
                  (long long)current, (long long)aim);
    else if (aim > OPEN_SHARDS_MAX)
        call_fail(call, "LimitExceededException", "A stream can have %d open shards.",
                  OPEN_SHARDS_MAX);
    else
        return true;
    return false;
}

void kinesis_update_shard_count(struct call *call) {
    struct aws *aws = call->aws;
    struct catalog_stream *target = call_active_stream(call);
    struct err err = {0};
    if (!target || !check_mode(call, target))
        return;
    int64_t aim = call_integer(call, "TargetShardCount", 0);
    int64_t current = kinesis_open_shards(target->stream);
    if (!check_aim(call, current, aim) ||
        !kinesis_limit_daily(call, target, &target->limits.shard_counts, COUNTS_PER_DAY))
        return;
    target->target_shards = aim;
    int status = catalog_save(&aws->catalog, target, &err);
    if (status) {
        target->target_shards = 0;
        call_fail_code(call, status, &err);
        return;
    }
    kinesis_reshard(aws, target);
    aws_map_begin(&call->output);
    aws_member_string(&call->output, "StreamName", str_of(target->name));
    aws_member_int(&call->output, "CurrentShardCount", current);
    aws_member_int(&call->output, "TargetShardCount", aim);
    call_put_stream_arn(call, target->name);
    aws_map_end(&call->output);
    call_answer(call);
}
