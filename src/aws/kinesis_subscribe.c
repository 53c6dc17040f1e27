/*
 * SubscribeToShard (Kinesis API reference): one answer of five minutes in which records are pushed as
 * they come, as frames of an event stream over a chunked HTTP/1.1 body. Their payloads are JSON or
 * CBOR, as the request was.
 *
 *     first      initial-response
 *     records    SubscribeToShardEvent with up to EVENT_BYTES, as soon as there are some
 *     silence    every HEARTBEAT_MS the same without records
 *     the end    of the shard: an event with ChildShards and without a ContinuationSequenceNumber;
 *                of five minutes: nothing; of the stream, or when another call takes the subscription
 *                over: an exception frame
 *
 * ContinuationSequenceNumber is what AFTER_SEQUENCE_NUMBER goes on from: the number of the last record
 * that was sent, or, when there is none before the position, the shard's starting number.
 *
 * A peer that does not read stops the reader (http_respond_is_full), not the log; after five minutes
 * it is let go in any case.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "aws/event_stream.h"
#include "aws/kinesis.h"
#include "aws/server.h"
#include "base/clock.h"

enum {
    HEARTBEAT_MS = 5000,
    LIFE_MS = 5 * 60 * 1000,
    TAKE_OVER_MS = 5000, /* before that another call is refused */
    EVENT_BYTES = 256 * 1024,
    EVENT_RECORDS = 1000,
    PACE_MS = 100, /* between looks whether a limited subscription may go on */
};

static const char event_type[] = "SubscribeToShardEvent";

struct subscription {
    struct link link; /* in aws->subscriptions */
    struct aws *aws;
    struct http_request *request; /* NULL once it ended */
    struct stream *stream;
    struct stream_reader *reader;
    struct task task; /* goes on in the next turn */
    struct timer timer;
    char *consumer_arn;
    unsigned shard;
    bool cbor; /* as the request was: payloads too */
    bool encrypted, posted, timer_closed;
    struct limit_bucket pace;
    uint64_t began_ms, sent_ms; /* of the loop's clock */
    uint64_t counter;           /* of the next record */
};

/* ---- frames ---- */

static void send_frame(struct subscription *subscription, struct buf *frame) {
    http_respond_chunk(subscription->request, buf_str(frame));
    subscription->sent_ms = loop_now_ms(subscription->aws->loop);
    buf_done(frame);
}

static void send_event(struct subscription *subscription, const struct aws_output *payload) {
    struct buf frame = {0};
    aws_frame_event(&frame, event_type, aws_content_type(payload->cbor), buf_str(&payload->buf));
    send_frame(subscription, &frame);
}

/* Of the record before the position; in silence it advances with the clock. */
static void put_continuation(const struct subscription *subscription, struct aws_output *output,
                             uint64_t arrival_ms) {
    char number[STREAM_SEQUENCE_CHARS];
    if (subscription->counter == 0)
        stream_sequence_text(subscription->stream, subscription->shard, 0, 0, number);
    else
        stream_sequence_text(subscription->stream, subscription->shard, subscription->counter - 1,
                             arrival_ms, number);
    aws_member_string(output, "ContinuationSequenceNumber", str_of(number));
}

static void put_lag(const struct subscription *subscription, struct aws_output *output) {
    uint64_t records, behind_ms;
    stream_reader_lag(subscription->reader, &records, &behind_ms);
    aws_member_int(output, "MillisBehindLatest", (int64_t)behind_ms);
}

static void send_records(struct subscription *subscription, const struct stream_batch *batch) {
    struct aws_output output = {.cbor = subscription->cbor};
    subscription->counter = stream_reader_counter(subscription->reader);
    aws_map_begin(&output);
    put_continuation(subscription, &output, batch->records[batch->count - 1].arrival_ms);
    put_lag(subscription, &output);
    aws_key(&output, "Records");
    aws_list_begin(&output);
    for (size_t i = 0; i < batch->count; i++)
        kinesis_put_one_record(&output, subscription->stream, subscription->shard,
                               subscription->encrypted, &batch->records[i]);
    aws_list_end(&output);
    aws_map_end(&output);
    send_event(subscription, &output);
    aws_output_done(&output);
}

/* Without records: the heartbeat, or, behind the last record of a closed shard, the end. */
static void send_empty(struct subscription *subscription, bool is_end) {
    struct aws_output output = {.cbor = subscription->cbor};
    aws_map_begin(&output);
    if (is_end)
        kinesis_put_children(&output, subscription->stream, subscription->shard);
    else
        put_continuation(subscription, &output, clock_wall_ms());
    aws_member_int(&output, "MillisBehindLatest", 0);
    aws_key(&output, "Records");
    aws_list_begin(&output);
    aws_list_end(&output);
    aws_map_end(&output);
    send_event(subscription, &output);
    aws_output_done(&output);
}

static void send_exception(struct subscription *subscription, const char *type, const char *text) {
    struct aws_output output = {.cbor = subscription->cbor};
    struct buf frame = {0};
    aws_map_begin(&output);
    aws_member_string(&output, "message", str_of(text));
    aws_map_end(&output);
    aws_frame_exception(&frame, type, aws_content_type(output.cbor), buf_str(&output.buf));
    send_frame(subscription, &frame);
    aws_output_done(&output);
}

/* ---- end ---- */

static void free_if_done(struct subscription *subscription) {
    struct aws *aws = subscription->aws;
    if (subscription->posted || !subscription->timer_closed)
        return;
    free(subscription->consumer_arn);
    free(subscription);
    aws_part_end(aws);
}

static void on_timer_closed(struct timer *timer) {
    struct subscription *subscription = CONTAINER_OF(timer, struct subscription, timer);
    subscription->timer_closed = true;
    free_if_done(subscription);
}

/* The request is answered or gone. */
static void dismantle(struct subscription *subscription) {
    subscription->request = NULL;
    list_remove(&subscription->link);
    stream_reader_close(subscription->reader);
    subscription->reader = NULL;
    timer_close(&subscription->timer, on_timer_closed);
}

static void end(struct subscription *subscription) {
    struct http_request *request = subscription->request;
    request->on_abort = request->on_drain = NULL;
    dismantle(subscription);
    http_respond_end(request);
}

static void on_abort(struct http_request *request) {
    dismantle(request->data);
}

/* ---- pushing ---- */

static void go_on_later(struct subscription *subscription) {
    if (subscription->posted)
        return;
    subscription->posted = true;
    loop_post(subscription->aws->loop, &subscription->task);
}

/* Bytes per second; 0: as fast as the peer reads. */
static int64_t pace_of(const struct aws *aws) {
    const struct aws_limits_config *limits = &aws->config->limits;
    return limits->head.conf ? limits->fan_out_bytes : 0;
}

/* Else the timer goes on. */
static bool may_go_on(struct subscription *subscription) {
    struct aws *aws = subscription->aws;
    return limit_has_room(&subscription->pace, pace_of(aws), loop_now_ms(aws->loop));
}

/* At most one event per turn. */
static void push(struct subscription *subscription) {
    struct stream_batch batch;
    if (http_respond_is_full(subscription->request) || !may_go_on(subscription))
        return;
    int status = stream_reader_next(subscription->reader, EVENT_RECORDS, EVENT_BYTES, &batch);
    if (status == 0) {
        send_records(subscription, &batch);
        limit_use(&subscription->pace, pace_of(subscription->aws), (int64_t)batch.bytes);
        go_on_later(subscription);
    } else if (status == ERR_CORRUPT) {
        go_on_later(subscription);
    } else if (stream_is_deleted(subscription->stream)) {
        send_exception(subscription, "ResourceNotFoundException", "The stream was deleted.");
        end(subscription);
    } else if (status == ERR_CLOSED) {
        send_empty(subscription, true);
        end(subscription);
    } else if (status != ERR_AGAIN) {
        send_exception(subscription, "InternalFailureException", err_text(status));
        end(subscription);
    }
}

static void on_task(struct task *task) {
    struct subscription *subscription = CONTAINER_OF(task, struct subscription, task);
    subscription->posted = false;
    if (subscription->request)
        push(subscription);
    else
        free_if_done(subscription);
}

static void on_ready(struct stream_reader *reader, void *data) {
    push(data);
}

static void on_drain(struct http_request *request) {
    push(request->data);
}

static void on_timer(struct timer *timer) {
    struct subscription *subscription = CONTAINER_OF(timer, struct subscription, timer);
    uint64_t now_ms = loop_now_ms(subscription->aws->loop);
    if (now_ms - subscription->began_ms >= LIFE_MS)
        end(subscription);
    else if (now_ms - subscription->sent_ms >= HEARTBEAT_MS &&
             !http_respond_is_full(subscription->request))
        send_empty(subscription, false);
    else if (pace_of(subscription->aws))
        go_on_later(subscription);
}

void kinesis_end_subscriptions(struct aws *aws) {
    while (!list_empty(&aws->subscriptions))
        end(LIST_ITEM(aws->subscriptions.next, struct subscription, link));
}

/* ---- the call ---- */

static struct subscription *find(struct aws *aws, struct str consumer_arn, unsigned shard) {
    LIST_EACH(item, &aws->subscriptions) {
        struct subscription *subscription = LIST_ITEM(item, struct subscription, link);
        if (subscription->shard == shard &&
            str_eq(str_of(subscription->consumer_arn), consumer_arn))
            return subscription;
    }
    return NULL;
}

/* One subscription per consumer and shard: an older one gives way. False, and the call has failed. */
static bool take_over(struct call *call, struct str consumer_arn, unsigned shard) {
    struct aws *aws = call->aws;
    struct subscription *other = find(aws, consumer_arn, shard);
    if (!other)
        return true;
    if (loop_now_ms(aws->loop) - other->began_ms < TAKE_OVER_MS) {
        call_fail(call, "ResourceInUseException",
                  "Another active subscription exists for this consumer: %.*s",
                  STR_ARG(consumer_arn));
        return false;
    }
    send_exception(other, "ResourceInUseException",
                   "Another call of SubscribeToShard took this subscription over.");
    end(other);
    return true;
}

static void send_initial(struct subscription *subscription) {
    struct aws_output output = {.cbor = subscription->cbor};
    struct buf frame = {0};
    aws_map_begin(&output);
    aws_map_end(&output);
    aws_frame_event(&frame, "initial-response", aws_content_type(output.cbor),
                    buf_str(&output.buf));
    send_frame(subscription, &frame);
    aws_output_done(&output);
}

static void begin(struct subscription *subscription) {
    struct aws *aws = subscription->aws;
    subscription->task.run = on_task;
    subscription->began_ms = loop_now_ms(aws->loop);
    subscription->request->data = subscription;
    subscription->request->on_abort = on_abort;
    subscription->request->on_drain = on_drain;
    list_push_back(&aws->subscriptions, &subscription->link);
    aws_part_begin(aws);
    uint64_t interval_ms = pace_of(aws) ? PACE_MS : 1000;
    timer_start(aws->loop, &subscription->timer, interval_ms, interval_ms, on_timer);
    aws_respond_begin(aws, subscription->request, "application/vnd.amazon.eventstream");
    send_initial(subscription);
    go_on_later(subscription);
}

static bool read_position(struct call *call, const struct catalog_stream *target, unsigned shard,
                          uint64_t *ret_counter) {
    struct json_value from = call_value(call, "StartingPosition");
    const struct kinesis_position position = {
        .type = json_str(aws_input(from, STR("Type")), &call->arena),
        .sequence = json_str(aws_input(from, STR("SequenceNumber")), &call->arena),
        .timestamp = aws_input(from, STR("Timestamp")),
        .operation = "SubscribeToShard"};
    return kinesis_position_read(call, target, shard, &position, ret_counter);
}

static bool read_shard(struct call *call, const struct catalog_stream *target,
                       unsigned *ret_shard) {
    struct stream_shard_info info;
    if (kinesis_shard_read(target->stream, call_string(call, "ShardId"), ret_shard, &info))
        return true;
    call_fail(call, "ResourceNotFoundException",
              "Could not find shard %.*s in stream %s under account %s.",
              STR_ARG(call_string(call, "ShardId")), target->name, call->aws->config->account);
    return false;
}

static bool is_in_rate(struct call *call, const struct catalog_stream *target, struct str arn,
                       unsigned shard) {
    const struct aws_limits_config *limits = &call->aws->config->limits;
    if (!limits->head.conf || !limits->calls ||
        limit_take_subscription(&call->aws->limits, arn, shard, loop_now_ms(call->aws->loop)))
        return true;
    call_fail(call, "LimitExceededException", "Rate exceeded for stream %s under account %s.",
              target->name, call->aws->config->account);
    return false;
}

void kinesis_subscribe_to_shard(struct call *call) {
    struct aws *aws = call->aws;
    struct catalog_stream *target;
    struct str arn = call_string(call, "ConsumerARN");
    struct err err = {0};
    unsigned shard;
    uint64_t counter;
    if (!kinesis_consumer_of_arn(call, arn, &target) || !read_shard(call, target, &shard) ||
        !read_position(call, target, shard, &counter) || !is_in_rate(call, target, arn, shard) ||
        !take_over(call, arn, shard))
        return;
    struct subscription *subscription = xcalloc(1, sizeof *subscription);
    const struct stream_position from = {.from = STREAM_AT_COUNTER, .counter = counter};
    int status = stream_reader_open(target->stream, shard, aws->loop, &from, on_ready, subscription,
                                    &subscription->reader, &err);
    if (status) {
        free(subscription);
        call_fail_code(call, status, &err);
        return;
    }
    subscription->aws = aws;
    subscription->stream = target->stream;
    subscription->shard = shard;
    subscription->counter = stream_reader_counter(subscription->reader);
    subscription->encrypted = target->key_id;
    subscription->consumer_arn = str_dup(arn);
    subscription->cbor = call->output.cbor;
    subscription->request = call_take_request(call);
    call_end(call);
    begin(subscription);
}
