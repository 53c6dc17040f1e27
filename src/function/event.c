/*
 * One record:
 *
 *   {"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":KEY,"sequenceNumber":"N","data":"BASE64",
 *    "approximateArrivalTimestamp":1545084650.987},"eventSource":"aws:kinesis","eventVersion":"1.0",
 *    "eventID":"SHARD:N","eventName":"aws:kinesis:record","invokeIdentityArn":ARN,"awsRegion":R,
 *    "eventSourceARN":ARN}
 *
 * The arrival time always has three decimals, as Kinesis writes it. A partition key that is no
 * valid UTF-8 appears with U+FFFD, since JSON cannot carry it; the data are exact.
 */
#include "function/event.h"

#include <string.h>

#include "base/base64.h"
#include "base/json_write.h"

static const char opening[] = "{\"Records\":[";
static const char closing[] = "]}";

void function_event_writer_init(struct function_event_writer *writer, const struct stream *stream,
                                unsigned shard, const char *region, const char *account) {
    char shard_id[STREAM_SHARD_ID_CHARS];
    stream_shard_id(shard, shard_id);
    *writer = (struct function_event_writer){.stream = stream, .shard = shard};
    buf_printf(
        &writer->before_id,
        "},\"eventSource\":\"aws:kinesis\",\"eventVersion\":\"1.0\",\"eventID\":\"%s:", shard_id);
    buf_printf(&writer->behind_id,
               "\",\"eventName\":\"aws:kinesis:record\",\"invokeIdentityArn\":"
               "\"arn:aws:iam::%s:role/weir\",\"awsRegion\":\"%s\",\"eventSourceARN\":"
               "\"arn:aws:kinesis:%s:%s:stream/%s\"}",
               account, region, region, account, stream_name(stream));
}

void function_event_writer_done(struct function_event_writer *writer) {
    buf_done(&writer->before_id);
    buf_done(&writer->behind_id);
}

void function_event_begin(struct buf *event) {
    buf_clear(event);
    buf_add_str(event, str_of(opening));
}

/* Milliseconds as "seconds.mmm". */
static void add_arrival(struct buf *event, uint64_t arrival_ms) {
    char text[24];
    char *to = text + sizeof text;
    for (int decimals = 0; decimals < 3; decimals++, arrival_ms /= 10)
        *--to = (char)('0' + arrival_ms % 10);
    *--to = '.';
    do
        *--to = (char)('0' + arrival_ms % 10);
    while (arrival_ms /= 10);
    buf_add(event, to, (size_t)(text + sizeof text - to));
}

enum { NOT_PACKED = -1 };

/* One record, or the n-th of a packed one. */
static void add_one(const struct function_event_writer *writer, struct buf *event,
                    const struct stream_record *record, const struct stream_user_record *user,
                    int64_t sub_number) {
    char sequence[STREAM_SEQUENCE_CHARS];
    stream_sequence_text(writer->stream, writer->shard, record->counter, record->arrival_ms,
                         sequence);
    struct str number = str_of(sequence);
    if (buf_len(event) > strlen(opening))
        buf_add_u8(event, ',');
    buf_add_str(event, STR("{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":"));
    json_write_string(event, user->partition_key);
    buf_add_str(event, STR(",\"sequenceNumber\":\""));
    buf_add_str(event, number);
    if (sub_number == NOT_PACKED)
        buf_add_str(event, STR("\",\"data\":\""));
    else
        buf_printf(event, "\",\"subSequenceNumber\":%lld,\"data\":\"", (long long)sub_number);
    base64_write(event, user->data);
    buf_add_str(event, STR("\",\"approximateArrivalTimestamp\":"));
    add_arrival(event, record->arrival_ms);
    buf_add_str(event, buf_str(&writer->before_id));
    buf_add_str(event, number);
    buf_add_str(event, buf_str(&writer->behind_id));
}

static bool is_full(const struct buf *event) {
    return buf_len(event) + strlen(closing) > FUNCTION_EVENT_BYTES_MAX;
}

/* Whether it is worth being encoded. */
static bool may_fit(const struct buf *event, const struct stream_record *record) {
    size_t base64_chars = (record->data.len + 2) / 3 * 4;
    return buf_len(event) + base64_chars + strlen(closing) <= FUNCTION_EVENT_BYTES_MAX;
}

/* False: they do not all fit. */
static bool add_packed(const struct function_event_writer *writer, struct buf *event,
                       const struct stream_record *record, struct stream_aggregate *aggregate) {
    struct stream_user_record user;
    for (int64_t number = 0; !is_full(event) && stream_aggregate_next(aggregate, &user); number++)
        add_one(writer, event, record, &user, number);
    return !is_full(event);
}

bool function_event_add(const struct function_event_writer *writer, struct buf *event,
                        const struct stream_record *record) {
    const struct stream_user_record whole = {record->partition_key, record->data};
    struct stream_aggregate aggregate;
    size_t before = buf_len(event);
    bool is_first = before == strlen(opening);
    bool is_packed = writer->deaggregates && stream_aggregate_open(&aggregate, record->data);
    if (is_packed) {
        bool fits = add_packed(writer, event, record, &aggregate);
        stream_aggregate_close(&aggregate);
        if (fits)
            return true;
        event->end = event->begin + before;
    }
    if ((is_packed && !is_first) || !may_fit(event, record))
        return false;
    add_one(writer, event, record, &whole, NOT_PACKED);
    if (!is_full(event))
        return true;
    event->end = event->begin + before;
    return false;
}

void function_event_end(struct buf *event) {
    buf_add_str(event, str_of(closing));
}
