/*
 * Which resource an operation of Kinesis is about (Service Authorization Reference, "Actions, resources,
 * and condition keys for Amazon Kinesis Data Streams"):
 *
 *      ConsumerARN, or StreamARN with ConsumerName    arn:aws:kinesis:R:A:stream/X/consumer/NAME:CREATED
 *      StreamARN, StreamName, ResourceARN             arn:aws:kinesis:R:A:stream/X
 *      ShardIterator, the NextToken of ListShards     the stream that they were made for
 *      nothing of this                                *
 *
 * Only members that the operation takes count: whatever else a request has in it its handler does
 * not look at. An ARN of the request is put together anew from what its handler will take of it:
 * the handlers accept any region and partition, and a policy must not be got round by writing
 * another one. Iterators and tokens that do not check are left to their handlers, which refuse
 * them.
 */
#include "aws/authorize.h"

#include "aws/kinesis.h"

bool aws_is_allowed(const struct aws_config *config, const struct aws_credential *credential,
                    struct str action, struct str resource, struct buf *ret_text) {
    if (!credential || !credential->iam)
        return true;
    enum iam_decision decision = iam_decide(credential->iam, action, resource);
    if (decision == IAM_ALLOW)
        return true;
    buf_printf(
        ret_text,
        "User: arn:aws:iam::%s:user/%s is not authorized to perform: %.*s on resource: %.*s ",
        config->account, credential->user ? credential->user : credential->access_key_id,
        STR_ARG(action), STR_ARG(resource));
    if (decision == IAM_EXPLICIT_DENY)
        buf_printf(ret_text, "with an explicit deny in an identity-based policy");
    else
        buf_printf(ret_text, "because no identity-based policy allows the %.*s action",
                   STR_ARG(action));
    return false;
}

/* arn:PARTITION:kinesis:REGION:ACCOUNT:stream/NAME[/consumer/...]; what is none gives "*". */
static void add_arn(struct buf *out, const struct call *call, struct str arn) {
    enum { COLONS = 5 };
    struct str rest = arn, tail, name;
    for (int i = 0; i < COLONS; i++)
        str_cut(rest, ':', &rest);
    if (!str_starts(rest, STR("stream/"))) {
        buf_add_str(out, STR("*"));
        return;
    }
    name = str_cut(str_skip(rest, strlen("stream/")), '/', &tail);
    buf_printf(out, "arn:aws:kinesis:%s:%s:stream/%.*s", call->aws->config->region,
               call->aws->config->account, STR_ARG(name));
    if (tail.len)
        buf_printf(out, "/%.*s", STR_ARG(tail));
}

static void add_consumer(struct buf *out, const struct call *call, struct str arn,
                         struct str consumer_name) {
    size_t before = buf_len(out);
    add_arn(out, call, arn);
    struct str rest = str_skip(buf_str(out), before);
    for (int i = 0; i < 5; i++)
        str_cut(rest, ':', &rest);
    struct str name =
        str_skip(rest, str_starts(rest, STR("stream/")) ? strlen("stream/") : rest.len);
    struct catalog_stream *stream = catalog_find(&call->aws->catalog, name);
    const struct catalog_consumer *consumer =
        stream ? catalog_consumer_find(stream, consumer_name) : NULL;
    buf_printf(out, "/consumer/%.*s", STR_ARG(consumer_name));
    if (consumer)
        buf_printf(out, ":%llu", (unsigned long long)consumer->created_s);
}

/* The stream of an iterator or a token; false: it is none. */
static bool add_token_stream(struct buf *out, struct call *call) {
    struct aws_iterator iterator;
    uint64_t made_ms;
    struct str name = {0};
    buf_clear(&call->scratch);
    if (!call_has(call, "ShardIterator"))
        name = kinesis_shards_token_stream(call);
    else if (aws_iterator_read(call_string(call, "ShardIterator"), call->aws->token_key,
                               call->wall_ms, &call->scratch, &iterator, &made_ms) == 0)
        name = iterator.stream;
    if (name.len)
        buf_printf(out, "arn:aws:kinesis:%s:%s:stream/%.*s", call->aws->config->region,
                   call->aws->config->account, STR_ARG(name));
    return name.len;
}

/* Empty if the operation takes no such member. */
static struct str taken_string(struct call *call, const char *name) {
    for (const struct aws_member *member = call->operation->input; member->name; member++)
        if (strcmp(member->name, name) == 0)
            return call_string(call, name);
    return (struct str){0};
}

static bool add_resource(struct buf *out, struct call *call) {
    static const char *const arns[] = {"ConsumerARN", "ResourceARN", "StreamARN"};
    struct str consumer = taken_string(call, "ConsumerName");
    struct str name = taken_string(call, "StreamName"), arn = {0};
    const char *operation = call->operation->name;
    if (strcmp(operation, "GetRecords") == 0)
        return add_token_stream(out, call);
    for (size_t i = 0; !arn.len && i < COUNT_OF(arns); i++)
        arn = taken_string(call, arns[i]);
    if (consumer.len && strcmp(operation, "RegisterStreamConsumer") != 0 &&
        !taken_string(call, "ConsumerARN").len)
        add_consumer(out, call, arn, consumer);
    else if (arn.len)
        add_arn(out, call, arn);
    else if (name.len)
        buf_printf(out, "arn:aws:kinesis:%s:%s:stream/%.*s", call->aws->config->region,
                   call->aws->config->account, STR_ARG(name));
    else if (strcmp(operation, "ListShards") == 0)
        return add_token_stream(out, call);
    else
        buf_add_str(out, STR("*"));
    return true;
}

bool aws_authorize_call(struct call *call) {
    struct buf action = {0}, resource = {0}, text = {0};
    bool allowed = true;
    if (call->credential && call->credential->iam && add_resource(&resource, call)) {
        buf_printf(&action, "kinesis:%s", call->operation->name);
        allowed = aws_is_allowed(call->aws->config, call->credential, buf_str(&action),
                                 buf_str(&resource), &text);
    }
    if (!allowed)
        call_fail(call, "AccessDeniedException", "%.*s", STR_ARG(buf_str(&text)));
    buf_done(&action);
    buf_done(&resource);
    buf_done(&text);
    return allowed;
}
