#include "function/event.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/test.h"

static char directory[] = "/tmp/weir-event-XXXXXX";
static struct stream_log *stream_log;
static struct stream *stream;
static struct function_event_writer writer;

static int open_stream(void **state) {
    struct stream_log_config log = {.directory = directory, .sync = STREAM_SYNC_NONE};
    struct stream_config config = {
        .name = "sensors", .kind = STREAM_DATA, .shard_count = 8, .retention_ms = 86400000};
    if (!mkdtemp(directory) || stream_log_open(&log, &stream_log, NULL) ||
        stream_open(stream_log, &config, &stream, NULL))
        return -1;
    function_event_writer_init(&writer, stream, 6, "us-east-1", "000000000000");
    return 0;
}

static int close_stream(void **state) {
    char command[64];
    function_event_writer_done(&writer);
    stream_log_close(stream_log);
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static void the_document_is_as_aws_writes_it(void **state) {
    struct buf event = {0}, expected = {0};
    struct stream_record record = {.counter = 17,
                                   .arrival_ms = 1545084650987,
                                   .partition_key = STR("k\"1"),
                                   .data = STR("hello")};
    char number[STREAM_SEQUENCE_CHARS];
    stream_sequence_text(stream, 6, 17, 1545084650987, number);
    function_event_begin(&event);
    assert_true(function_event_add(&writer, &event, &record));
    function_event_end(&event);
    buf_printf(&expected,
               "{\"Records\":[{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":"
               "\"k\\\"1\",\"sequenceNumber\":\"%s\",\"data\":\"aGVsbG8=\","
               "\"approximateArrivalTimestamp\":1545084650.987},\"eventSource\":\"aws:kinesis\","
               "\"eventVersion\":\"1.0\",\"eventID\":\"shardId-000000000006:%s\",\"eventName\":"
               "\"aws:kinesis:record\",\"invokeIdentityArn\":\"arn:aws:iam::000000000000:role/"
               "weir\",\"awsRegion\":\"us-east-1\",\"eventSourceARN\":"
               "\"arn:aws:kinesis:us-east-1:000000000000:stream/sensors\"}]}",
               number, number);
    assert_str(buf_str(&event), buf_cstr(&expected));
    buf_done(&event);
    buf_done(&expected);
}

/* "reading 0" to "reading 4" under key-0, key-1, key-2, key-0, key-1, packed by aws-kinesis-agg 4.2.8. */
static const uint8_t packed[] = "\xf3\x89\x9a\xc2\x0a\x05key-0\x0a\x05key-1\x0a\x05key-2\x12\x05"
                                "12345"
                                "\x1a\x0d\x08\x00\x1a\x09reading 0\x1a\x0d\x08\x01\x1a\x09reading 1"
                                "\x1a\x0d\x08\x02\x1a\x09reading 2\x1a\x0d\x08\x00\x1a\x09reading 3"
                                "\x1a\x0f\x08\x01\x10\x00\x1a\x09reading 4"
                                "\x36\x49\x50\x03\x66\xbf\x91\x69\x79\x0d\x26\x25\xed\x82\xd0\x96";

static unsigned count_of(const struct buf *event, const char *needle) {
    unsigned count = 0;
    struct str rest = buf_str(event);
    for (const char *hit; rest.len && (hit = memmem(rest.at, rest.len, needle, strlen(needle)));
         count++)
        rest = str_skip(rest, (size_t)(hit - rest.at) + 1);
    return count;
}

static void packed_records_are_taken_apart_if_asked_for(void **state) {
    struct buf event = {0};
    const struct stream_record record = {.counter = 7,
                                         .arrival_ms = 1000,
                                         .partition_key = STR("a"),
                                         .data = str_from(packed, sizeof packed - 1)};
    function_event_begin(&event);
    assert_true(function_event_add(&writer, &event, &record));
    assert_int_equal(count_of(&event, "\"sequenceNumber\""), 1);
    assert_int_equal(count_of(&event, "subSequenceNumber"), 0);

    writer.deaggregates = true;
    function_event_begin(&event);
    assert_true(function_event_add(&writer, &event, &record));
    function_event_end(&event);
    assert_int_equal(count_of(&event, "\"sequenceNumber\""), 5);
    assert_int_equal(count_of(&event, "\"subSequenceNumber\":4,\"data\":\"cmVhZGluZyA0\""), 1);
    assert_int_equal(count_of(&event, "\"partitionKey\":\"key-1\""), 2);
    struct json json = {0};
    assert_int_equal(json_parse(&json, buf_str(&event)), 0);
    json_done(&json);

    /* Taken apart it would be too much beside what is there. */
    function_event_begin(&event);
    while (buf_len(&event) < FUNCTION_EVENT_BYTES_MAX - 1500)
        assert_true(function_event_add(&writer, &event, &record));
    size_t before = buf_len(&event);
    assert_false(function_event_add(&writer, &event, &record));
    assert_int_equal(buf_len(&event), before);
    writer.deaggregates = false;
    buf_done(&event);
}

static void any_bytes_make_a_json_document(void **state) {
    enum { RECORDS = 300 };
    char bytes[RECORDS];
    struct buf event = {0}, decoded = {0};
    struct json json = {0};
    struct arena arena = {0};
    for (size_t i = 0; i < RECORDS; i++)
        bytes[i] = (char)i;
    function_event_begin(&event);
    for (size_t i = 0; i < RECORDS; i++) {
        struct stream_record record = {.counter = i,
                                       .arrival_ms = i * 7,
                                       .partition_key = str_from(bytes, i % 256 + 1),
                                       .data = str_from(bytes, i)};
        assert_true(function_event_add(&writer, &event, &record));
    }
    function_event_end(&event);
    assert_int_equal(json_parse(&json, buf_str(&event)), 0);
    struct json_value records = json_member(json_root(&json), STR("Records"));
    assert_int_equal(json_count(records), RECORDS);
    for (size_t i = 0; i < RECORDS; i++) {
        struct json_value kinesis = json_member(json_item(records, i), STR("kinesis"));
        double arrival;
        buf_clear(&decoded);
        assert_true(base64_read(&decoded, json_str(json_member(kinesis, STR("data")), &arena)));
        assert_true(str_eq(buf_str(&decoded), str_from(bytes, i)));
        assert_true(
            json_double(json_member(kinesis, STR("approximateArrivalTimestamp")), &arrival));
        assert_int_equal((uint64_t)(arrival * 1000 + 0.5), i * 7);
    }
    arena_done(&arena);
    json_done(&json);
    buf_done(&decoded);
    buf_done(&event);
}

static void the_document_never_passes_its_bound(void **state) {
    enum { BYTES = 100000 };
    char *data = xcalloc(1, BYTES);
    struct buf event = {0};
    struct stream_record record = {.partition_key = STR("k"), .data = str_from(data, BYTES)};
    function_event_begin(&event);
    while (function_event_add(&writer, &event, &record))
        record.counter++;
    size_t len = buf_len(&event);
    assert_in_range(len, FUNCTION_EVENT_BYTES_MAX - BYTES * 3 / 2, FUNCTION_EVENT_BYTES_MAX - 2);
    assert_int_equal(event.at[event.end - 1], '}');
    record.data = STR("small");
    while (function_event_add(&writer, &event, &record))
        record.counter++;
    function_event_end(&event);
    assert_in_range(buf_len(&event), len, FUNCTION_EVENT_BYTES_MAX);
    assert_in_range(buf_len(&event), FUNCTION_EVENT_BYTES_MAX - 600, FUNCTION_EVENT_BYTES_MAX);
    free(data);
    buf_done(&event);
}

static void what_no_document_can_hold_is_not_added(void **state) {
    char *data = xcalloc(1, RECORD_BYTES_MAX);
    struct buf event = {0};
    struct stream_record record = {.partition_key = STR("k"),
                                   .data = str_from(data, RECORD_BYTES_MAX - 1)};
    function_event_begin(&event);
    size_t before = buf_len(&event);
    assert_false(function_event_add(&writer, &event, &record));
    assert_int_equal(buf_len(&event), before);
    assert_true(event.cap < RECORD_BYTES_MAX);
    record.data.len =
        FUNCTION_EVENT_BYTES_MAX / 4 * 3 - 12; /* its base64 just fits, the rest does not */
    assert_false(function_event_add(&writer, &event, &record));
    assert_int_equal(buf_len(&event), before);
    record.data.len = FUNCTION_EVENT_BYTES_MAX / 4 * 3 - 600;
    assert_true(function_event_add(&writer, &event, &record));
    function_event_end(&event);
    assert_in_range(buf_len(&event), FUNCTION_EVENT_BYTES_MAX - 600, FUNCTION_EVENT_BYTES_MAX);
    free(data);
    buf_done(&event);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_document_is_as_aws_writes_it),
        cmocka_unit_test(packed_records_are_taken_apart_if_asked_for),
        cmocka_unit_test(any_bytes_make_a_json_document),
        cmocka_unit_test(the_document_never_passes_its_bound),
        cmocka_unit_test(what_no_document_can_hold_is_not_added),
    };
    return cmocka_run_group_tests(tests, open_stream, close_stream);
}
