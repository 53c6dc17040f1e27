/* Shards as the API shows them, and ListShards with its filters. */
#include "aws/kinesis.h"
#include "base/hash_key.h"

/* The counter of the number that a closed shard is said to end with: beyond every record. */
static const uint64_t ending_counter = INT64_MAX;

/* ---- one shard ---- */

static void put_id(struct aws_output *output, const char *key, unsigned shard) {
    char id[STREAM_SHARD_ID_CHARS];
    stream_shard_id(shard, id);
    aws_member_string(output, key, str_of(id));
}

static void put_hash_range(struct aws_output *output, const struct stream_shard_info *info) {
    char room[HASH_KEY_CHARS];
    aws_key(output, "HashKeyRange");
    aws_map_begin(output);
    aws_member_string(output, "StartingHashKey", hash_key_text(info->start, room));
    aws_member_string(output, "EndingHashKey", hash_key_text(info->end, room));
    aws_map_end(output);
}

/* The starting number is one that no record has: counter 0, arrived in the second 0. */
static void put_sequence_range(struct aws_output *output, const struct stream *stream,
                               unsigned shard, const struct stream_shard_info *info) {
    char number[STREAM_SEQUENCE_CHARS];
    aws_key(output, "SequenceNumberRange");
    aws_map_begin(output);
    stream_sequence_text(stream, shard, 0, 0, number);
    aws_member_string(output, "StartingSequenceNumber", str_of(number));
    if (!info->open) {
        stream_sequence_text(stream, shard, ending_counter, info->closed_ms, number);
        aws_member_string(output, "EndingSequenceNumber", str_of(number));
    }
    aws_map_end(output);
}

void kinesis_put_shard(struct aws_output *output, const struct stream *stream, unsigned shard,
                       const struct stream_shard_info *info) {
    aws_map_begin(output);
    put_id(output, "ShardId", shard);
    if (info->parent != STREAM_NO_SHARD)
        put_id(output, "ParentShardId", (unsigned)info->parent);
    if (info->adjacent_parent != STREAM_NO_SHARD)
        put_id(output, "AdjacentParentShardId", (unsigned)info->adjacent_parent);
    put_hash_range(output, info);
    put_sequence_range(output, stream, shard, info);
    aws_map_end(output);
}

static bool is_parent(const struct stream_shard_info *child, unsigned shard) {
    return child->parent == (int)shard || child->adjacent_parent == (int)shard;
}

static void put_child(struct aws_output *output, unsigned shard,
                      const struct stream_shard_info *info) {
    const int parents[] = {info->parent, info->adjacent_parent};
    aws_map_begin(output);
    put_id(output, "ShardId", shard);
    aws_key(output, "ParentShards");
    aws_list_begin(output);
    for (size_t i = 0; i < COUNT_OF(parents); i++) {
        char id[STREAM_SHARD_ID_CHARS];
        if (parents[i] == STREAM_NO_SHARD)
            continue;
        stream_shard_id((unsigned)parents[i], id);
        aws_string(output, str_of(id));
    }
    aws_list_end(output);
    put_hash_range(output, info);
    aws_map_end(output);
}

void kinesis_put_children(struct aws_output *output, const struct stream *stream, unsigned shard) {
    aws_key(output, "ChildShards");
    aws_list_begin(output);
    unsigned count = stream_shard_count(stream);
    for (unsigned child = shard + 1; child < count; child++) {
        struct stream_shard_info info;
        stream_shard_get(stream, child, &info);
        if (!info.removed && is_parent(&info, shard))
            put_child(output, child, &info);
    }
    aws_list_end(output);
}

bool kinesis_shard_read(const struct stream *stream, struct str text, unsigned *ret_shard,
                        struct stream_shard_info *ret_info) {
    static const struct str prefix = {"shardId-", 8};
    uint64_t number;
    if (text.len != STREAM_SHARD_ID_CHARS - 1 || !str_starts(text, prefix) ||
        !str_to_u64(str_skip(text, prefix.len), &number) || number >= stream_shard_count(stream))
        return false;
    stream_shard_get(stream, (unsigned)number, ret_info);
    *ret_shard = (unsigned)number;
    return !ret_info->removed;
}

unsigned kinesis_open_shards(const struct stream *stream) {
    unsigned open = 0, count = stream_shard_count(stream);
    for (unsigned shard = 0; shard < count; shard++) {
        struct stream_shard_info info;
        stream_shard_get(stream, shard, &info);
        open += info.open;
    }
    return open;
}

/* ---- ListShards ---- */

enum filter { FILTER_ALL, FILTER_OPEN, FILTER_AT, FILTER_FROM };

/* What is listed: shards from number `from` on that the filter lets through. */
struct listing {
    struct str stream; /* name */
    uint64_t created_s;
    uint32_t from;
    uint8_t filter;
    uint64_t filter_ms;
};

static bool is_listed(const struct listing *listing, const struct stream_shard_info *info) {
    bool is_first = info->parent == STREAM_NO_SHARD;
    bool opened_before = is_first || info->opened_ms <= listing->filter_ms;
    bool closed_after = info->open || info->closed_ms >= listing->filter_ms;
    if (info->removed)
        return false;
    switch ((enum filter)listing->filter) {
    case FILTER_ALL:
        return true;
    case FILTER_OPEN:
        return info->open;
    case FILTER_AT:
        return opened_before && closed_after;
    case FILTER_FROM:
        return closed_after;
    }
    return false;
}

/* The number behind the id, which need not exist; ids sort as their numbers do. */
static uint32_t number_behind(struct str id, unsigned count) {
    for (unsigned shard = 0; shard < count; shard++) {
        char text[STREAM_SHARD_ID_CHARS];
        stream_shard_id(shard, text);
        if (str_compare(str_of(text), id) > 0)
            return shard;
    }
    return count;
}

static uint64_t horizon_ms(const struct call *call, const struct stream *stream) {
    uint64_t retention_ms = (uint64_t)stream_retention_ms(stream);
    return call->wall_ms > retention_ms ? call->wall_ms - retention_ms : 0;
}

static bool read_filter_time(struct call *call, const struct stream *stream,
                             struct json_value filter, struct listing *listing) {
    struct json_value timestamp = aws_input(filter, STR("Timestamp"));
    uint64_t horizon = horizon_ms(call, stream);
    if (json_type(timestamp) == JSON_ABSENT) {
        call_fail(call, "InvalidArgumentException",
                  "Must specify a Timestamp for shard filters of type AT_TIMESTAMP and "
                  "FROM_TIMESTAMP.");
        return false;
    }
    int64_t ms = aws_input_time_ms(timestamp);
    listing->filter_ms = ms < (int64_t)horizon ? horizon : (uint64_t)ms;
    return true;
}

static bool read_filter(struct call *call, const struct stream *stream, struct listing *listing) {
    struct json_value filter = call_value(call, "ShardFilter");
    struct str type = json_str(aws_input(filter, STR("Type")), &call->arena);
    struct json_value id = aws_input(filter, STR("ShardId"));
    if (str_eq(type, STR("AT_LATEST"))) {
        listing->filter = FILTER_OPEN;
    } else if (str_eq(type, STR("AT_TRIM_HORIZON"))) {
        listing->filter = FILTER_AT;
        listing->filter_ms = horizon_ms(call, stream);
    } else if (str_eq(type, STR("AT_TIMESTAMP")) || str_eq(type, STR("FROM_TIMESTAMP"))) {
        listing->filter = type.at[0] == 'A' ? FILTER_AT : FILTER_FROM;
        return read_filter_time(call, stream, filter, listing);
    } else if (str_eq(type, STR("AFTER_SHARD_ID"))) {
        if (json_type(id) == JSON_ABSENT) {
            call_fail(call, "InvalidArgumentException",
                      "Must specify a ShardId for a shard filter of type AFTER_SHARD_ID.");
            return false;
        }
        listing->from = number_behind(json_str(id, &call->arena), stream_shard_count(stream));
    }
    return true;
}

/* A token holds the listing as it stands here, the name behind it. */
static void write_token(struct call *call, const struct listing *listing, struct buf *out) {
    struct buf payload = {0};
    buf_add(&payload, &listing->created_s, sizeof listing->created_s);
    buf_add(&payload, &listing->from, sizeof listing->from);
    buf_add(&payload, &listing->filter, sizeof listing->filter);
    buf_add(&payload, &listing->filter_ms, sizeof listing->filter_ms);
    buf_add_str(&payload, listing->stream);
    aws_token_write(out, call->aws->token_key, TOKEN_SHARDS, buf_str(&payload), call->wall_ms);
    buf_done(&payload);
}

static void take(struct str *rest, void *to, size_t bytes) {
    memcpy(to, rest->at, bytes);
    *rest = str_skip(*rest, bytes);
}

static int read_token(struct call *call, struct listing *listing) {
    uint64_t made_ms;
    struct buf *room = &call->scratch;
    buf_clear(room);
    int status = aws_token_read(call_string(call, "NextToken"), call->aws->token_key, TOKEN_SHARDS,
                                call->wall_ms, room, &made_ms);
    struct str rest = buf_str(room);
    size_t head = sizeof listing->created_s + sizeof listing->from + sizeof listing->filter +
                  sizeof listing->filter_ms;
    if (status || rest.len <= head)
        return status ? status : ERR_INVALID;
    take(&rest, &listing->created_s, sizeof listing->created_s);
    take(&rest, &listing->from, sizeof listing->from);
    take(&rest, &listing->filter, sizeof listing->filter);
    take(&rest, &listing->filter_ms, sizeof listing->filter_ms);
    listing->stream = rest;
    return 0;
}

struct str kinesis_shards_token_stream(struct call *call) {
    struct listing listing = {0};
    return read_token(call, &listing) ? (struct str){0} : listing.stream;
}

/* The stream of the first page. NULL: the call has failed. */
static struct catalog_stream *begin_listing(struct call *call, struct listing *listing) {
    if (!call_has(call, "StreamName") && !call_has(call, "StreamARN")) {
        call_fail(call, "InvalidArgumentException",
                  "Either NextToken or StreamName should be provided.");
        return NULL;
    }
    struct catalog_stream *target = call_readable_stream(call);
    if (!target || !read_filter(call, target->stream, listing))
        return NULL;
    if (call_has(call, "ExclusiveStartShardId"))
        listing->from = number_behind(call_string(call, "ExclusiveStartShardId"),
                                      stream_shard_count(target->stream));
    listing->stream = str_of(target->name);
    listing->created_s = stream_created_s(target->stream);
    return target;
}

static struct catalog_stream *resume_listing(struct call *call, struct listing *listing) {
    static const char *const others[] = {"StreamName", "StreamARN", "ExclusiveStartShardId",
                                         "StreamCreationTimestamp", "ShardFilter"};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (call_has(call, others[i])) {
            call_fail(call, "InvalidArgumentException",
                      "NextToken and %s cannot be provided together.", others[i]);
            return NULL;
        }
    int status = read_token(call, listing);
    if (status == ERR_TIMEOUT)
        call_fail(call, "ExpiredNextTokenException",
                  "The pagination token has expired; begin the listing again.");
    else if (status)
        call_fail(call, "InvalidArgumentException", "Invalid NextToken.");
    if (status)
        return NULL;
    struct catalog_stream *target = catalog_find(&call->aws->catalog, listing->stream);
    if (target && target->stream && target->status != CATALOG_DELETING &&
        stream_created_s(target->stream) == listing->created_s)
        return target;
    call_fail(call, "ResourceNotFoundException", "Stream %.*s under account %s not found.",
              STR_ARG(listing->stream), call->aws->config->account);
    return NULL;
}

/* Sets listing->from behind what was listed; true if there is more. */
static bool put_page(struct aws_output *output, const struct stream *stream,
                     struct listing *listing, int64_t limit) {
    unsigned count = stream_shard_count(stream);
    for (; listing->from < count; listing->from++) {
        struct stream_shard_info info;
        stream_shard_get(stream, listing->from, &info);
        if (!is_listed(listing, &info))
            continue;
        if (limit-- == 0)
            return true;
        kinesis_put_shard(output, stream, listing->from, &info);
    }
    return false;
}

void kinesis_list_shards(struct call *call) {
    struct listing listing = {0};
    struct aws_output *output = &call->output;
    int64_t limit = call_integer(call, "MaxResults", KINESIS_SHARDS_PAGE);
    struct catalog_stream *target = call_has(call, "NextToken") ? resume_listing(call, &listing)
                                                                : begin_listing(call, &listing);
    if (!target || !kinesis_limit_stream_call(call, target, &target->limits.list_shards, 1000))
        return;
    aws_map_begin(output);
    aws_key(output, "Shards");
    aws_list_begin(output);
    bool more = put_page(output, target->stream, &listing,
                         limit > KINESIS_SHARDS_PAGE ? KINESIS_SHARDS_PAGE : limit);
    aws_list_end(output);
    if (more) {
        struct buf token = {0};
        write_token(call, &listing, &token);
        aws_member_string(output, "NextToken", buf_str(&token));
        buf_done(&token);
    }
    aws_map_end(output);
    call_answer(call);
}
