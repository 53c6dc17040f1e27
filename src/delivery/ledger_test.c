#include "delivery/ledger.h"

#include "base/test.h"

#include "base/base64.h"

static void test_a_note_gives_the_intent_back(void **state) {
    struct intent intent = {.stream_created_s = 1,
                            .shard = 3,
                            .first = 100,
                            .end = 250,
                            .instant_ms = 1789780016000,
                            .tally = {.records = 140, .bytes = 14000, .crc = 77},
                            .compression = DELIVERY_GZIP},
                  back;
    struct buf bytes = {0}, text = {0};
    buf_add_str(&intent.key, STR("2026/11/23/06/sensors-1"));
    intent_encode(&bytes, &intent);
    base64_write(&text, buf_str(&bytes));
    assert_true(buf_len(&text) <= STREAM_NOTE_BYTES_MAX);
    assert_int_equal(ledger_read_note(buf_str(&text), &back), 0);
    assert_int_equal(back.shard, 3);
    assert_int_equal(back.first, 100);
    assert_int_equal(back.end, 250);
    assert_true(tally_equal(&back.tally, &intent.tally));
    assert_true(str_eq(buf_str(&back.key), buf_str(&intent.key)));
    intent_done(&back);
    intent_done(&intent);
    buf_done(&bytes);
    buf_done(&text);
}

static void test_the_longest_intent_fits_a_note(void **state) {
    struct intent intent = {.end = 1, .tally.records = 1};
    struct buf bytes = {0}, text = {0};
    for (int i = 0; i < OBJECT_KEY_BYTES_MAX; i++)
        buf_add_u8(&intent.key, 'k');
    intent_encode(&bytes, &intent);
    base64_write(&text, buf_str(&bytes));
    assert_true(buf_len(&text) <= STREAM_NOTE_BYTES_MAX);
    intent_done(&intent);
    buf_done(&bytes);
    buf_done(&text);
}

static void test_no_note_is_no_intent_and_a_strange_one_is_damage(void **state) {
    struct intent intent;
    assert_int_equal(ledger_read_note(STR(""), &intent), ERR_NOT_FOUND);
    assert_int_equal(ledger_read_note(STR("not base64!"), &intent), ERR_CORRUPT);
    assert_int_equal(ledger_read_note(STR("AAAA"), &intent), ERR_CORRUPT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_note_gives_the_intent_back),
        cmocka_unit_test(test_the_longest_intent_fits_a_note),
        cmocka_unit_test(test_no_note_is_no_intent_and_a_strange_one_is_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
