#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lambda.h"

static char body[8192];

static void open_event(struct lambda_kinesis *batch, const char *event) {
    strcpy(body, event);
    assert_int_equal(lambda_kinesis_open(batch, body, strlen(body)), 0);
}

/* An event of one record with the given members of `kinesis`, and the step that it gives. */
static int read_one(const char *members, struct lambda_kinesis_record *ret_record) {
    struct lambda_kinesis batch;
    char event[4096];
    snprintf(event, sizeof event, "{\"Records\":[{\"kinesis\":{%s},\"eventID\":\"shardId-1:5\"}]}",
             members);
    open_event(&batch, event);
    int step = lambda_kinesis_next(&batch, ret_record);
    assert_int_equal(lambda_kinesis_next(&batch, ret_record),
                     step == LAMBDA_KINESIS_BAD_EVENT ? step : LAMBDA_KINESIS_END);
    return step;
}

static int read_data(const char *base64, struct lambda_kinesis_record *ret_record) {
    char members[2048];
    snprintf(members, sizeof members,
             "\"data\":\"%s\",\"partitionKey\":\"k\",\"sequenceNumber\":\"5\"", base64);
    return read_one(members, ret_record);
}

static int64_t read_arrival(const char *number) {
    struct lambda_kinesis_record record;
    char members[512];
    snprintf(members, sizeof members,
             "\"data\":\"\",\"partitionKey\":\"k\",\"sequenceNumber\":\"5\","
             "\"approximateArrivalTimestamp\":%s",
             number);
    assert_int_equal(read_one(members, &record), LAMBDA_KINESIS_RECORD);
    return record.arrival_ms;
}

/* The example event of the AWS Lambda developer guide. */
static void reads_the_documented_event(void **state) {
    struct lambda_kinesis batch;
    struct lambda_kinesis_record record;
    open_event(
        &batch,
        "{\"Records\":[{\"kinesis\":{\"kinesisSchemaVersion\":\"1.0\",\"partitionKey\":\"1\","
        "\"sequenceNumber\":\"49590338271490256608559692538361571095921575989136588898\","
        "\"data\":\"SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg==\","
        "\"approximateArrivalTimestamp\":1545084650.987},\"eventSource\":\"aws:kinesis\","
        "\"eventVersion\":\"1.0\",\"eventID\":\"shardId-000000000006:"
        "49590338271490256608559692538361571095921575989136588898\","
        "\"eventName\":\"aws:kinesis:record\",\"awsRegion\":\"us-east-2\"},"
        "{\"eventID\":\"shardId-000000000006:2\",\"kinesis\":{\"data\":\"VGhpcw==\","
        "\"sequenceNumber\":\"2\",\"partitionKey\":\"\"}}]}");
    assert_int_equal(lambda_kinesis_next(&batch, &record), LAMBDA_KINESIS_RECORD);
    assert_string_equal(record.partition_key.data, "1");
    assert_string_equal(record.sequence_number.data,
                        "49590338271490256608559692538361571095921575989136588898");
    assert_string_equal(record.shard_id.data, "shardId-000000000006");
    assert_string_equal(record.data.data, "Hello, this is a test.");
    assert_int_equal(record.data.size, 22);
    assert_int_equal(record.arrival_ms, 1545084650987);
    struct lambda_kinesis_record second;
    assert_int_equal(lambda_kinesis_next(&batch, &second), LAMBDA_KINESIS_RECORD);
    assert_string_equal(second.data.data, "This");
    assert_int_equal(second.partition_key.size, 0);
    assert_int_equal(second.arrival_ms, 0);
    assert_string_equal(record.data.data, "Hello, this is a test.");
    assert_int_equal(lambda_kinesis_next(&batch, &second), LAMBDA_KINESIS_END);
    assert_int_equal(lambda_kinesis_next(&batch, &second), LAMBDA_KINESIS_END);
}

static void decodes_any_bytes(void **state) {
    struct lambda_kinesis_record record;
    assert_int_equal(read_data("AP+AYQ==", &record), LAMBDA_KINESIS_RECORD);
    assert_int_equal(record.data.size, 4);
    assert_memory_equal(record.data.data,
                        "\0\xff\x80"
                        "a",
                        4);
    assert_int_equal(read_data("", &record), LAMBDA_KINESIS_RECORD);
    assert_int_equal(record.data.size, 0);
    assert_int_equal(read_data("YWI", &record), LAMBDA_KINESIS_RECORD);
    assert_string_equal(record.data.data, "ab");
    assert_int_equal(read_data("\\/\\/8\\u003d", &record), LAMBDA_KINESIS_RECORD);
    assert_memory_equal(record.data.data, "\xff\xff", 2);
}

static void tells_bad_base64(void **state) {
    static const char *const bad[] = {"A", "YQ=", "Y", "YQ==YQ==", "Y Q=", "YQ-_", "====", "YWJj="};
    struct lambda_kinesis_record record;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (read_data(bad[i], &record) != LAMBDA_KINESIS_BAD_RECORD)
            fail_msg("accepted: %s", bad[i]);
    }
}

static void tells_records_that_lack_something(void **state) {
    static const char *const bad[] = {
        "",
        "\"data\":\"\",\"partitionKey\":\"k\"",
        "\"data\":\"\",\"sequenceNumber\":\"5\"",
        "\"partitionKey\":\"k\",\"sequenceNumber\":\"5\"",
        "\"data\":null,\"partitionKey\":\"k\",\"sequenceNumber\":\"5\"",
        "\"data\":\"\",\"partitionKey\":\"k\",\"sequenceNumber\":5",
        "\"data\":\"\",\"partitionKey\":\"k\",\"sequenceNumber\":\"\"",
        "\"data\":\"\",\"partitionKey\":\"k\",\"sequenceNumber\":\"5a\"",
        "\"data\":\"\",\"partitionKey\":\"k\",\"sequenceNumber\":\"-5\"",
    };
    struct lambda_kinesis_record record;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (read_one(bad[i], &record) != LAMBDA_KINESIS_BAD_RECORD)
            fail_msg("accepted: %s", bad[i]);
    }
}

static void goes_on_behind_bad_records(void **state) {
    struct lambda_kinesis batch;
    struct lambda_kinesis_record record;
    open_event(&batch, "{\"x\":[{}],\"Records\":[null,{\"eventID\":7},[1],{\"kinesis\":\"x\"},"
                       "{\"eventID\":\":5\",\"kinesis\":{\"data\":\"\",\"partitionKey\":\"\","
                       "\"sequenceNumber\":\"1\"}},"
                       "{\"eventID\":\"s:1\",\"kinesis\":{\"data\":\"YQ==\",\"partitionKey\":\"k\","
                       "\"sequenceNumber\":\"1\"}}],\"isFinalInvokeForWindow\":false}");
    for (int i = 0; i < 5; i++)
        assert_int_equal(lambda_kinesis_next(&batch, &record), LAMBDA_KINESIS_BAD_RECORD);
    assert_int_equal(lambda_kinesis_next(&batch, &record), LAMBDA_KINESIS_RECORD);
    assert_string_equal(record.data.data, "a");
    assert_int_equal(lambda_kinesis_next(&batch, &record), LAMBDA_KINESIS_END);
}

static void tells_events_that_are_no_batch(void **state) {
    static const char *const bad[] = {"",
                                      "{}",
                                      "[]",
                                      "{\"Records\":{}}",
                                      "7",
                                      "\"x\"",
                                      "{\"Records\":null}",
                                      "{\"Rec",
                                      "{\"a\":1 \"Records\":[]}"};
    struct lambda_kinesis batch;
    struct lambda_kinesis_record record;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        strcpy(body, bad[i]);
        if (lambda_kinesis_open(&batch, body, strlen(body)) != LAMBDA_KINESIS_BAD_EVENT)
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(lambda_kinesis_next(&batch, &record), LAMBDA_KINESIS_BAD_EVENT);
    }
}

static void tells_json_that_breaks_off(void **state) {
    static const char *const bad[] = {"{\"Records\":[",
                                      "{\"Records\":[{]}",
                                      "{\"Records\":[]",
                                      "{\"Records\":[]}}",
                                      "{\"Records\":[],}",
                                      "{\"Records\":[] \"a\":1}",
                                      "{\"Records\":[{\"kinesis\":{\"data\":\"YQ==\"}"};
    struct lambda_kinesis batch;
    struct lambda_kinesis_record record;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        open_event(&batch, bad[i]);
        if (lambda_kinesis_next(&batch, &record) != LAMBDA_KINESIS_BAD_EVENT)
            fail_msg("accepted: %s", bad[i]);
        assert_int_equal(lambda_kinesis_next(&batch, &record), LAMBDA_KINESIS_BAD_EVENT);
    }
}

static void every_cut_of_an_event_is_told(void **state) {
    static const char event[] =
        "{\"Records\":[{\"eventID\":\"s\\u00e9:1\",\"kinesis\":{\"data\":\"YWJj\","
        "\"partitionKey\":\"k\\n\",\"sequenceNumber\":\"1\","
        "\"approximateArrivalTimestamp\":1.5e9}}]}";
    for (size_t size = 0; size < sizeof event - 1; size++) {
        struct lambda_kinesis batch;
        struct lambda_kinesis_record record;
        memcpy(body, event, sizeof event);
        int step = lambda_kinesis_open(&batch, body, size);
        while (step == 0 || step == LAMBDA_KINESIS_RECORD) {
            step = lambda_kinesis_next(&batch, &record);
            assert_int_not_equal(step, LAMBDA_KINESIS_END);
        }
        assert_int_equal(step, LAMBDA_KINESIS_BAD_EVENT);
    }
}

static void reads_arrival_times_exactly(void **state) {
    assert_int_equal(read_arrival("1545084650.987"), 1545084650987);
    assert_int_equal(read_arrival("1545084650"), 1545084650000);
    assert_int_equal(read_arrival("1.545084650987E9"), 1545084650987);
    assert_int_equal(read_arrival("1.545084650987e+9"), 1545084650987);
    assert_int_equal(read_arrival("15450846509870e-4"), 1545084650 * 1000LL + 987);
    assert_int_equal(read_arrival("0.0019"), 1);
    assert_int_equal(read_arrival("1545084650.98799999999999999999999999"), 1545084650987);
    assert_int_equal(read_arrival("-5"), 0);
    assert_int_equal(read_arrival("1e400"), 0);
    assert_int_equal(read_arrival("0e99999999999999999999"), 0);
    assert_int_equal(read_arrival("99999999999999999999999999"), 0);
    assert_int_equal(read_arrival("\"soon\""), 0);
    assert_int_equal(read_arrival("1e-99999999999999999999"), 0);
}

static int compare(const char *a, const char *b) {
    struct lambda_bytes left = {(char *)a, strlen(a)}, right = {(char *)b, strlen(b)};
    int result = lambda_sequence_compare(left, right);
    assert_int_equal(lambda_sequence_compare(right, left) > 0, result < 0);
    return result;
}

static void compares_sequence_numbers_as_numbers(void **state) {
    assert_true(compare("9", "10") < 0);
    assert_true(compare("10", "9") > 0);
    assert_true(compare("49590338271490256608559692538361571095921575989136588898",
                        "49590338271490256608559692538361571095921575989136588899") < 0);
    assert_true(compare("7", "7") == 0);
    assert_true(compare("007", "7") == 0);
    assert_true(compare("0", "1") < 0);
    assert_true(compare("", "0") < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_documented_event),
        cmocka_unit_test(decodes_any_bytes),
        cmocka_unit_test(tells_bad_base64),
        cmocka_unit_test(tells_records_that_lack_something),
        cmocka_unit_test(goes_on_behind_bad_records),
        cmocka_unit_test(tells_events_that_are_no_batch),
        cmocka_unit_test(tells_json_that_breaks_off),
        cmocka_unit_test(every_cut_of_an_event_is_told),
        cmocka_unit_test(reads_arrival_times_exactly),
        cmocka_unit_test(compares_sequence_numbers_as_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
