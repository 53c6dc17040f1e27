#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "batch.h"
#include "test_event.h"

static struct test_event event;

static void counts_what_is_new(void **state) {
    struct batch batch = {0};
    const struct batch_record *latest;
    event_begin(&event);
    event_add(&event, "s-0", "8", "YQ==");
    event_add(&event, "s-0", "9", "Yg==");
    event_add(&event, "s-0", "10", "Yw==");
    assert_null(batch_read(&batch, event.body, event.size));
    assert_int_equal(batch.record_count, 3);
    assert_int_equal(batch.shard_count, 1);
    strcpy(batch.shards[0].last, "9");
    assert_int_equal(batch_advance(&batch, &latest), 1);
    assert_string_equal(latest->kinesis.data.data, "c");
    assert_string_equal(batch.shards[0].last, "10");
    assert_int_equal(batch_advance(&batch, &latest), 0);
    assert_null(latest);
    batch_done(&batch);
}

static void counts_a_record_once_within_a_batch(void **state) {
    struct batch batch = {0};
    const struct batch_record *latest;
    event_begin(&event);
    event_add(&event, "s-0", "5", "YQ==");
    event_add(&event, "s-0", "5", "YQ==");
    event_add(&event, "s-0", "6", "Yg==");
    assert_null(batch_read(&batch, event.body, event.size));
    assert_int_equal(batch_advance(&batch, &latest), 2);
    batch_done(&batch);
}

static void keeps_shards_apart(void **state) {
    struct batch batch = {0};
    const struct batch_record *latest;
    event_begin(&event);
    event_add(&event, "s-0", "50", "YQ==");
    event_add(&event, "s-1", "7", "Yg==");
    event_add(&event, "s-0", "51", "Yw==");
    assert_null(batch_read(&batch, event.body, event.size));
    assert_int_equal(batch.shard_count, 2);
    strcpy(batch.shards[1].last, "7");
    assert_int_equal(batch_advance(&batch, &latest), 2);
    assert_string_equal(batch.shards[0].last, "51");
    assert_string_equal(batch.shards[1].last, "7");
    batch_done(&batch);
}

static void leaves_out_records_that_cannot_be_read(void **state) {
    struct batch batch = {0};
    event_begin(&event);
    event_add(&event, "s-0", "1", "YQ==");
    event_add(&event, "s-0", "2", "not base64");
    event_add(&event, "", "3", "YQ==");
    event_add(&event, "s-0", "4", "YQ==");
    assert_null(batch_read(&batch, event.body, event.size));
    assert_int_equal(batch.record_count, 2);
    assert_int_equal(batch.bad_count, 2);
    event_begin(&event);
    assert_null(batch_read(&batch, event.body, event.size));
    assert_int_equal(batch.record_count, 0);
    assert_int_equal(batch.bad_count, 0);
    assert_int_equal(batch.shard_count, 0);
    batch_done(&batch);
}

static void tells_what_is_no_batch(void **state) {
    struct batch batch = {0};
    char text[] = "{\"detail\":1}", cut[] = "{\"Records\":[{}";
    assert_non_null(batch_read(&batch, text, strlen(text)));
    assert_non_null(batch_read(&batch, cut, strlen(cut)));
    batch_done(&batch);
}

static void tells_too_many_shards(void **state) {
    struct batch batch = {0};
    char shard[16];
    event_begin(&event);
    for (int i = 0; i <= BATCH_SHARDS_MAX; i++) {
        if (i == BATCH_SHARDS_MAX)
            assert_null(batch_read(&batch, event.body, event.size));
        event_begin(&event);
        for (int j = 0; j <= i; j++) {
            snprintf(shard, sizeof shard, "s-%d", j);
            event_add(&event, shard, "1", "YQ==");
        }
    }
    assert_non_null(batch_read(&batch, event.body, event.size));
    batch_done(&batch);
}

static void tells_too_many_records(void **state) {
    static const char record[] = "{\"eventID\":\"s:1\",\"kinesis\":{\"data\":\"\","
                                 "\"partitionKey\":\"\",\"sequenceNumber\":\"1\"}},";
    struct batch batch = {0};
    size_t step = sizeof record - 1, size = 0;
    char *body = malloc(step * (BATCH_RECORDS_MAX + 1) + 64);
    for (int over = 0; over <= 1; over++) {
        size = (size_t)sprintf(body, "{\"Records\":[");
        for (int i = 0; i < BATCH_RECORDS_MAX + over; i++, size += step)
            memcpy(body + size, record, step);
        memcpy(body + size - 1, "]}", 2);
        assert_int_equal(batch_read(&batch, body, size + 1) != NULL, over);
        assert_int_equal(batch.record_count, BATCH_RECORDS_MAX);
    }
    free(body);
    batch_done(&batch);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_what_is_new),
        cmocka_unit_test(counts_a_record_once_within_a_batch),
        cmocka_unit_test(keeps_shards_apart),
        cmocka_unit_test(leaves_out_records_that_cannot_be_read),
        cmocka_unit_test(tells_what_is_no_batch),
        cmocka_unit_test(tells_too_many_shards),
        cmocka_unit_test(tells_too_many_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
