#include "base/test.h"

#include <stdio.h>
#include <string.h>

#include "stream/stream.h"

/* Of the documentation's one-record example. */
static const char one_hex[] =
    "f3899ac20a0d706172746974696f6e5f6b65791a0808001a0464617461d03699da5a222fa32108ad1bd955a14e";

/* Made by aws-kinesis-agg 4.2.8 for Node.js: "reading 0" to "reading 4" under key-0, key-1, key-2, key-0,
 * key-1, the last with an explicit hash key. */
static const char five_hex[] =
    "f3899ac20a056b65792d300a056b65792d310a056b65792d32120531323334351a0d08001a0972656164696e672030"
    "1a0d08011a0972656164696e6720311a0d08021a0972656164696e6720321a0d08001a0972656164696e6720331a0f"
    "080110001a0972656164696e6720343649500366bf9169790d2625ed82d096";

static struct str from_hex(const char *hex, uint8_t *room) {
    size_t len = strlen(hex) / 2;
    for (size_t i = 0; i < len; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        room[i] = (uint8_t)byte;
    }
    return str_from(room, len);
}

static void one_record(void **state) {
    uint8_t room[256];
    struct stream_aggregate aggregate;
    struct stream_user_record record;
    assert_true(stream_aggregate_open(&aggregate, from_hex(one_hex, room)));
    assert_int_equal(aggregate.count, 1);
    assert_true(stream_aggregate_next(&aggregate, &record));
    assert_true(str_eq(record.partition_key, STR("partition_key")));
    assert_true(str_eq(record.data, STR("data")));
    assert_false(stream_aggregate_next(&aggregate, &record));
    stream_aggregate_close(&aggregate);
}

static void several_records_in_their_order(void **state) {
    uint8_t room[256];
    char key[16], data[16];
    struct stream_aggregate aggregate;
    struct stream_user_record record;
    assert_true(stream_aggregate_open(&aggregate, from_hex(five_hex, room)));
    assert_int_equal(aggregate.count, 5);
    for (int i = 0; i < 5; i++) {
        snprintf(key, sizeof key, "key-%d", i % 3);
        snprintf(data, sizeof data, "reading %d", i);
        assert_true(stream_aggregate_next(&aggregate, &record));
        assert_true(str_eq(record.partition_key, str_of(key)));
        assert_true(str_eq(record.data, str_of(data)));
    }
    assert_false(stream_aggregate_next(&aggregate, &record));
    stream_aggregate_close(&aggregate);
}

/* Each changed or missing byte makes it a record like any other. */
static void what_does_not_check_is_none(void **state) {
    uint8_t room[256];
    struct stream_aggregate aggregate;
    struct str whole = from_hex(five_hex, room);
    for (size_t i = 0; i < whole.len; i++) {
        room[i] ^= 0x10;
        assert_false(stream_aggregate_open(&aggregate, whole));
        room[i] ^= 0x10;
        assert_false(stream_aggregate_open(&aggregate, str_from(whole.at, i)));
    }
    assert_false(stream_aggregate_open(&aggregate, STR("{\"plain\": true}")));
    assert_false(stream_aggregate_open(&aggregate, (struct str){0}));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_record),
        cmocka_unit_test(several_records_in_their_order),
        cmocka_unit_test(what_does_not_check_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
