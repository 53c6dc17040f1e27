#include "delivery/ledger.h"

#include "base/test.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/log.h"
#include "io/file.h"

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

/* Another shard's, or one of a range that is delivered already, is none to take up. */
static void test_only_what_is_ahead_in_this_shard_is_unfinished(void **state) {
    const struct stream_config config = {
        .name = "d", .kind = STREAM_DELIVERY, .shard_count = 1, .bytes_max = 1 << 20};
    char root[] = "/tmp/weir-ledger-XXXXXX";
    struct stream_log *log;
    struct stream *stream;
    struct facts *facts;
    struct err err;
    assert_non_null(mkdtemp(root));
    const struct stream_log_config log_config = {.directory = root};
    assert_int_equal(stream_log_open(&log_config, &log, &err), 0);
    assert_int_equal(stream_open(log, &config, &stream, &err), 0);
    assert_int_equal(facts_open(root, 1 << 20, &facts, &err), 0);
    struct intent found, intent = {.stream_created_s = stream_created_s(stream),
                                   .first = 10,
                                   .end = 20,
                                   .tally.records = 10};
    buf_add_str(&intent.key, STR("k"));
    assert_int_equal(intent_set(facts, "d", &intent, &err), 0);
    struct ledger ledger = {.facts = facts, .stream = stream, .name = "d"};
    assert_int_equal(ledger_unfinished(&ledger, STR(""), 19, &found, &err), 0);
    assert_int_equal(found.end, 20);
    intent_done(&found);
    assert_int_equal(ledger_unfinished(&ledger, STR(""), 20, &found, &err), ERR_NOT_FOUND);
    ledger.shard = 1;
    assert_int_equal(ledger_unfinished(&ledger, STR(""), 10, &found, &err), ERR_NOT_FOUND);
    intent_done(&intent);
    facts_close(facts);
    stream_log_close(log);
    file_remove_tree(root, NULL);
}

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_note_gives_the_intent_back),
        cmocka_unit_test(test_the_longest_intent_fits_a_note),
        cmocka_unit_test(test_no_note_is_no_intent_and_a_strange_one_is_damage),
        cmocka_unit_test(test_only_what_is_ahead_in_this_shard_is_unfinished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
