#include "base/test.h"

#include <stdlib.h>

#include "base/crc.h"
#include "delivery/body.h"
#include "delivery/intent.h"
#include "io/file.h"

static struct intent sample(void) {
    struct intent intent = {.stream_created_s = 1789780016,
                            .shard = 0,
                            .first = 100,
                            .end = 350,
                            .instant_ms = 1772841909042,
                            .tally = {250, 12345678, 0xdeadbeef},
                            .compression = DELIVERY_GZIP};
    buf_add_str(&intent.key, STR("2026/03/07/00/sensors-1.gz"));
    return intent;
}

static void assert_same(const struct intent *a, const struct intent *b) {
    assert_int_equal(a->stream_created_s, b->stream_created_s);
    assert_int_equal(a->shard, b->shard);
    assert_int_equal(a->first, b->first);
    assert_int_equal(a->end, b->end);
    assert_int_equal(a->instant_ms, b->instant_ms);
    assert_true(tally_equal(&a->tally, &b->tally));
    assert_int_equal(a->compression, b->compression);
    assert_int_equal(a->deaggregates, b->deaggregates);
    assert_true(str_eq(buf_str(&a->key), buf_str(&b->key)));
}

static void it_reads_back_as_written(void **state) {
    struct intent intent = sample(), back;
    struct buf value = {0};
    intent_encode(&value, &intent);
    assert_int_equal(intent_decode(buf_str(&value), &back), 0);
    assert_same(&intent, &back);
    assert_int_equal(*buf_at(&value), 1);
    intent_done(&back);
    buf_clear(&value);

    /* What version 1 could not do has version 2. */
    intent.deaggregates = true;
    intent_encode(&value, &intent);
    assert_int_equal(*buf_at(&value), 2);
    assert_int_equal(intent_decode(buf_str(&value), &back), 0);
    assert_same(&intent, &back);
    intent_done(&back);
    intent_done(&intent);
    buf_done(&value);
}

/* No byte can change and none can be missing. */
static void damage_is_seen(void **state) {
    struct intent intent = sample(), back;
    struct buf value = {0};
    intent_encode(&value, &intent);
    for (size_t i = 0; i < buf_len(&value); i++) {
        assert_int_equal(intent_decode(str_from(buf_at(&value), i), &back), ERR_CORRUPT);
        buf_at(&value)[i] ^= 0x10;
        assert_int_equal(intent_decode(buf_str(&value), &back), ERR_CORRUPT);
        buf_at(&value)[i] ^= 0x10;
    }
    intent_done(&intent);
    buf_done(&value);
}

static void assert_nonsense(struct intent *intent) {
    struct intent back;
    struct buf value = {0};
    intent_encode(&value, intent);
    assert_int_equal(intent_decode(buf_str(&value), &back), ERR_CORRUPT);
    buf_done(&value);
    intent_done(intent);
}

static void nonsense_with_a_good_checksum_is_refused(void **state) {
    struct intent intent = sample();
    intent.end = intent.first;
    assert_nonsense(&intent);
    intent = sample();
    intent.tally.records = 251;
    assert_nonsense(&intent);
    intent = sample();
    intent.compression = (enum delivery_compression)2;
    assert_nonsense(&intent);
    intent = sample();
    buf_clear(&intent.key);
    assert_nonsense(&intent);
}

static void facts_keep_one_per_delivery_stream(void **state) {
    char directory[] = "/tmp/weir-intent-XXXXXX";
    struct facts *facts;
    struct intent intent = sample(), back;
    assert_non_null(mkdtemp(directory));
    assert_int_equal(facts_open(directory, 1 << 20, &facts, NULL), 0);
    assert_int_equal(intent_get(facts, "a", &back), ERR_NOT_FOUND);
    assert_int_equal(intent_set(facts, "a", &intent, NULL), 0);
    assert_int_equal(intent_get(facts, "ab", &back), ERR_NOT_FOUND);
    assert_int_equal(intent_get(facts, "a", &back), 0);
    assert_same(&intent, &back);
    intent_done(&back);
    intent_done(&intent);
    facts_close(facts);
    file_remove_tree(directory, NULL);
}

static void a_tally_depends_on_the_bytes_alone(void **state) {
    struct tally one = {0}, two = {0};
    tally_add(&one, STR("abc"));
    tally_add(&one, STR(""));
    tally_add(&two, STR("abc"));
    assert_false(tally_equal(&one, &two));
    tally_add(&two, STR(""));
    assert_true(tally_equal(&one, &two));
    assert_int_equal(one.crc, crc32c(0, "abc", 3));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_reads_back_as_written),
        cmocka_unit_test(damage_is_seen),
        cmocka_unit_test(nonsense_with_a_good_checksum_is_refused),
        cmocka_unit_test(facts_keep_one_per_delivery_stream),
        cmocka_unit_test(a_tally_depends_on_the_bytes_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
