/* Registered consumers (enhanced fan-out): names that SubscribeToShard goes by. */
#include <inttypes.h>

#include "aws/kinesis.h"

enum { CONSUMERS_PAGE = 100 };

static void add_consumer_arn(struct buf *out, const struct aws *aws,
                             const struct catalog_stream *target,
                             const struct catalog_consumer *consumer) {
    aws_add_stream_arn(out, aws, target->name);
    buf_printf(out, "/consumer/%s:%" PRIu64, consumer->name, consumer->created_s);
}

/* A structure Consumer, or with the stream's ARN a ConsumerDescription. */
static void put_consumer(struct call *call, const struct catalog_stream *target,
                         const struct catalog_consumer *consumer, bool describe) {
    struct buf arn = {0};
    aws_map_begin(&call->output);
    aws_member_string(&call->output, "ConsumerName", str_of(consumer->name));
    add_consumer_arn(&arn, call->aws, target, consumer);
    aws_member_string(&call->output, "ConsumerARN", buf_str(&arn));
    aws_member_string(&call->output, "ConsumerStatus", STR("ACTIVE"));
    aws_member_time(&call->output, "ConsumerCreationTimestamp", consumer->created_s * 1000);
    if (describe)
        call_put_stream_arn(call, target->name);
    aws_map_end(&call->output);
    buf_done(&arn);
}

static struct catalog_consumer *fail_missing(struct call *call, const struct catalog_stream *target,
                                             struct str name) {
    call_fail(call, "ResourceNotFoundException",
              "Consumer %.*s under stream %s not found for account %s.", STR_ARG(name),
              target->name, call->aws->config->account);
    return NULL;
}

struct catalog_consumer *kinesis_consumer_of_arn(struct call *call, struct str arn,
                                                 struct catalog_stream **ret_stream) {
    uint64_t created_s = 0;
    struct str created, rest = arn;
    struct catalog_stream *target = call_stream_of_arn(call, arn);
    if (!target)
        return NULL;
    for (int slash = 0; slash < 3; slash++)
        str_cut(rest, '/', &rest);
    struct str name = str_cut(rest, ':', &created);
    struct catalog_consumer *consumer = catalog_consumer_find(target, name);
    if (!consumer || !str_to_u64(created, &created_s) || consumer->created_s != created_s)
        return fail_missing(call, target, name);
    *ret_stream = target;
    return consumer;
}

/* By ConsumerARN, or by StreamARN and ConsumerName. */
static struct catalog_consumer *find(struct call *call, struct catalog_stream **ret_stream) {
    if (call_has(call, "ConsumerARN"))
        return kinesis_consumer_of_arn(call, call_string(call, "ConsumerARN"), ret_stream);
    if (!call_has(call, "StreamARN") || !call_has(call, "ConsumerName")) {
        call_fail(call, "InvalidArgumentException",
                  "Either ConsumerARN or both StreamARN and ConsumerName must be provided.");
        return NULL;
    }
    *ret_stream = call_stream(call);
    if (!*ret_stream)
        return NULL;
    struct str name = call_string(call, "ConsumerName");
    struct catalog_consumer *consumer = catalog_consumer_find(*ret_stream, name);
    return consumer ? consumer : fail_missing(call, *ret_stream, name);
}

static bool add(struct call *call, struct catalog_stream *target,
                struct catalog_consumer **ret_consumer) {
    struct str name = call_string(call, "ConsumerName");
    int status = catalog_consumer_add(target, name, call->wall_ms / 1000, ret_consumer);
    if (status == ERR_EXISTS)
        call_fail(call, "ResourceInUseException",
                  "Consumer %.*s under stream %s already exists for account %s.", STR_ARG(name),
                  target->name, call->aws->config->account);
    else if (status)
        call_fail(call, "LimitExceededException",
                  "Stream %s under account %s has %d registered consumers, which is the limit.",
                  target->name, call->aws->config->account, CATALOG_CONSUMERS_MAX);
    else
        return true;
    return false;
}

void kinesis_register_consumer(struct call *call) {
    struct catalog_stream *target = call_readable_stream(call);
    struct catalog_consumer *consumer;
    struct err err = {0};
    if (!target || !add(call, target, &consumer))
        return;
    if (call_has(call, "Tags") &&
        !kinesis_tags_add(call, &consumer->tags, call_value(call, "Tags"))) {
        catalog_consumer_remove(target, consumer);
        return;
    }
    int status = catalog_save(&call->aws->catalog, target, &err);
    if (status) {
        catalog_consumer_remove(target, consumer);
        call_fail_code(call, status, &err);
        return;
    }
    aws_map_begin(&call->output);
    aws_key(&call->output, "Consumer");
    put_consumer(call, target, consumer, false);
    aws_map_end(&call->output);
    call_answer(call);
}

void kinesis_deregister_consumer(struct call *call) {
    struct catalog_stream *target;
    struct err err = {0};
    struct catalog_consumer *consumer = find(call, &target);
    if (!consumer)
        return;
    catalog_consumer_remove(target, consumer);
    int status = catalog_save(&call->aws->catalog, target, &err);
    if (status)
        call_fail_code(call, status, &err);
    else
        call_answer_empty(call);
}

void kinesis_describe_consumer(struct call *call) {
    struct catalog_stream *target;
    struct catalog_consumer *consumer = find(call, &target);
    if (!consumer)
        return;
    aws_map_begin(&call->output);
    aws_key(&call->output, "ConsumerDescription");
    put_consumer(call, target, consumer, true);
    aws_map_end(&call->output);
    call_answer(call);
}

/* The token holds the name of the last one listed. */
static bool read_after(struct call *call, struct buf *after) {
    uint64_t made_ms;
    int status = 0;
    if (call_has(call, "NextToken"))
        status = aws_token_read(call_string(call, "NextToken"), call->aws->token_key,
                                TOKEN_CONSUMERS, call->wall_ms, after, &made_ms);
    if (status == ERR_TIMEOUT)
        call_fail(call, "ExpiredNextTokenException", "NextToken has expired.");
    else if (status)
        call_fail(call, "InvalidArgumentException", "Invalid NextToken.");
    return status == 0;
}

void kinesis_list_consumers(struct call *call) {
    struct aws_output *output = &call->output;
    struct catalog_stream *target = call_stream(call);
    struct buf *after = &call->scratch;
    if (!target || !kinesis_limit_stream_call(call, target, &target->limits.list_consumers, 5) ||
        !read_after(call, after))
        return;
    int64_t limit = call_integer(call, "MaxResults", CONSUMERS_PAGE);
    const struct catalog_consumer *last = NULL;
    bool more = false;
    aws_map_begin(output);
    aws_key(output, "Consumers");
    aws_list_begin(output);
    for (size_t i = 0; i < target->consumer_count && !more; i++) {
        const struct catalog_consumer *consumer = &target->consumers[i];
        if (buf_len(after) && str_compare(str_of(consumer->name), buf_str(after)) <= 0)
            continue;
        more = limit-- == 0;
        if (more)
            break;
        put_consumer(call, target, consumer, false);
        last = consumer;
    }
    aws_list_end(output);
    if (more && last) {
        buf_clear(after);
        aws_token_write(after, call->aws->token_key, TOKEN_CONSUMERS, str_of(last->name),
                        call->wall_ms);
        aws_member_string(output, "NextToken", buf_str(after));
    }
    aws_map_end(output);
    call_answer(call);
}
