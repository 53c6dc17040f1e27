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

bool function_event_add(const struct function_event_writer *writer, struct buf *event,
                        const struct stream_record *record) {
    char sequence[STREAM_SEQUENCE_CHARS];
    stream_sequence_text(writer->stream, writer->shard, record->counter, record->arrival_ms,
                         sequence);
    struct str number = str_of(sequence);
    size_t before = buf_len(event);
    bool is_first = before == strlen(opening);
    if (!is_first)
        buf_add_u8(event, ',');
    buf_add_str(event, STR("{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":"));
    json_write_string(event, record->partition_key);
    buf_add_str(event, STR(",\"sequenceNumber\":\""));
    buf_add_str(event, number);
    buf_add_str(event, STR("\",\"data\":\""));
    base64_write(event, record->data);
    buf_add_str(event, STR("\",\"approximateArrivalTimestamp\":"));
    add_arrival(event, record->arrival_ms);
    buf_add_str(event, buf_str(&writer->before_id));
    buf_add_str(event, number);
    buf_add_str(event, buf_str(&writer->behind_id));
    if (is_first || buf_len(event) + strlen(closing) <= FUNCTION_EVENT_BYTES_MAX)
        return true;
    event->end = event->begin + before;
    return false;
}

void function_event_end(struct buf *event) {
    buf_add_str(event, str_of(closing));
}
