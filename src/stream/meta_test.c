#include "base/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/file.h"
#include "stream/meta.h"

#define HEAD "weir-stream 1\nkind data\ncreated 1700000000\nseed 77\n"
#define ALL  "340282366920938463463374607431768211455"
#define HALF "170141183460469231731687303715884105727"
#define REST "170141183460469231731687303715884105728"

static void a_new_stream_is_written_and_read(void **state) {
    struct meta made, seen;
    struct err err;
    meta_make(&made, STREAM_DELIVERY, 5);
    struct buf text = {0};
    meta_write(&made, &text);
    assert_int_equal(meta_parse(buf_str(&text), &seen, &err), 0);
    assert_int_equal(seen.kind, STREAM_DELIVERY);
    assert_int_equal(seen.created_s, made.created_s);
    assert_int_equal(seen.seed, made.seed);
    assert_int_equal(seen.shard_count, 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(seen.shards[i].start == made.shards[i].start);
        assert_true(seen.shards[i].end == made.shards[i].end);
        assert_true(seen.shards[i].open);
        assert_int_equal(seen.shards[i].parents[0], META_NO_PARENT);
    }
    buf_done(&text);
    meta_done(&made);
    meta_done(&seen);
}

static void closed_shards_and_parents_are_kept(void **state) {
    struct meta meta;
    struct err err;
    const char text[] = HEAD "shard 0 closed 0 " ALL " - -\n"
                             "shard 1 open 0 " HALF " 0 -\n"
                             "shard 2 open " REST " " ALL " 0 1\n";
    assert_int_equal(meta_parse(str_of(text), &meta, &err), 0);
    assert_false(meta.shards[0].open);
    assert_int_equal(meta.shards[1].parents[0], 0);
    assert_int_equal(meta.shards[2].parents[1], 1);
    struct shard_map map;
    meta_map(&meta, &map);
    assert_int_equal(map.count, 2);
    assert_int_equal(shard_map_find(&map, 5), 1);
    assert_int_equal(shard_map_find(&map, ~(hash_key)0), 2);
    free(map.ranges);
    struct buf again = {0};
    meta_write(&meta, &again);
    assert_string_equal(buf_cstr(&again), text);
    buf_done(&again);
    meta_done(&meta);
}

static void damaged_text_is_refused(void **state) {
    const char *texts[] = {
        "",
        "{}",
        HEAD,
        HEAD "shard 0 open 0 " HALF " - -\n",  /* a part of the keys only */
        HEAD "shard 1 open 0 " ALL " - -\n",   /* wrong number */
        HEAD "shard 0 closed 0 " ALL " - -\n", /* nothing open */
        HEAD "shard 0 open 0 " ALL " 0 -\n",   /* its own parent */
        HEAD "shard 0 open 0 " ALL " -\n",     /* a word too few */
        HEAD "shard 0 open 0 " ALL " - - -\n", /* a word too many */
        HEAD "shard 0 ajar 0 " ALL " - -\n",   /* no such state */
        HEAD "shard 0 open 0 " ALL " - -\nshard 1 open 0 " ALL " - -\n", /* overlapping */
        "weir-stream 1\nkind other\ncreated 1\nseed 7\nshard 0 open 0 " ALL " - -\n",
        "weir-stream 1\nkind data\ncreated x\nseed 7\nshard 0 open 0 " ALL " - -\n",
        "weir-stream 1\nkind data\ncreated 1\nseed 4294967296\nshard 0 open 0 " ALL " - -\n",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct meta meta;
        struct err err;
        assert_int_equal(meta_parse(str_of(texts[i]), &meta, &err), ERR_CORRUPT);
    }
}

static void a_later_version_is_refused_by_name(void **state) {
    struct meta meta;
    struct err err;
    assert_int_equal(meta_parse(STR("weir-stream 2\nanything"), &meta, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "version 2"));
}

static void the_file_is_saved_and_loaded(void **state) {
    char directory[] = "/tmp/weir-meta-XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct meta made, seen;
    struct err err;
    assert_int_equal(meta_load(directory, &seen, &err), ERR_NOT_FOUND);
    meta_make(&made, STREAM_DATA, 2);
    assert_int_equal(meta_save(directory, &made, &err), 0);
    assert_int_equal(meta_load(directory, &seen, &err), 0);
    assert_int_equal(seen.shard_count, 2);
    assert_int_equal(meta_shard_seed(&seen, 1), meta_shard_seed(&made, 1));
    assert_int_not_equal(meta_shard_seed(&seen, 1), meta_shard_seed(&seen, 0));
    meta_done(&made);
    meta_done(&seen);
    file_remove_tree(directory, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_stream_is_written_and_read),
        cmocka_unit_test(closed_shards_and_parents_are_kept),
        cmocka_unit_test(damaged_text_is_refused),
        cmocka_unit_test(a_later_version_is_refused_by_name),
        cmocka_unit_test(the_file_is_saved_and_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
