#include "base/test.h"

#include "stream/layout.h"

static void a_change_keeps_the_shards_that_stay(void **state) {
    struct meta meta;
    static struct shard shards[2];
    meta_make(&meta, STREAM_DATA, 2);
    struct layout *before = layout_new(&meta, NULL);
    assert_null(meta.shards);
    before->shards[0] = &shards[0];
    before->shards[1] = &shards[1];
    struct meta next = meta_copy(&before->meta);
    meta_split(&next, 1, ~(hash_key)0, 0);
    next.shards[0].state = META_GONE;
    struct layout *after = layout_new(&next, before);
    assert_null(layout_shard(after, 0));
    assert_ptr_equal(layout_shard(after, 1), &shards[1]);
    assert_null(layout_shard(after, 2));
    assert_null(layout_shard(after, 4));
    assert_ptr_equal(layout_shard(before, 0), &shards[0]);
    assert_int_equal(after->map.count, 2);
    assert_int_equal(before->map.count, 2);
    layout_unref(before);
    layout_unref(after);
    layout_unref(NULL);
}

static void it_lives_as_long_as_someone_holds_it(void **state) {
    struct meta meta;
    meta_make(&meta, STREAM_DATA, 1);
    struct layout *layout = layout_new(&meta, NULL);
    assert_ptr_equal(layout_ref(layout), layout);
    layout_unref(layout);
    assert_int_equal(layout->meta.shard_count, 1);
    layout_unref(layout);
}

static void a_key_finds_its_open_shard(void **state) {
    struct meta meta;
    unsigned shard;
    meta_make(&meta, STREAM_DATA, 1);
    meta_split(&meta, 0, 1000, 0);
    struct layout *layout = layout_new(&meta, NULL);
    struct record record = {.partition_key = STR("k"), .explicit_hash_key = STR("999")};
    assert_int_equal(layout_shard_for(layout, &record, &shard), 0);
    assert_int_equal(shard, 1);
    record.explicit_hash_key = STR("1000");
    assert_int_equal(layout_shard_for(layout, &record, &shard), 0);
    assert_int_equal(shard, 2);
    record.explicit_hash_key = STR("");
    assert_int_equal(layout_shard_for(layout, &record, &shard), 0);
    assert_int_equal(shard, 2);
    record.explicit_hash_key = STR("01");
    assert_int_equal(layout_shard_for(layout, &record, &shard), ERR_INVALID);
    layout_unref(layout);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_keeps_the_shards_that_stay),
        cmocka_unit_test(it_lives_as_long_as_someone_holds_it),
        cmocka_unit_test(a_key_finds_its_open_shard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
