#include "base/test.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/file.h"
#include "stream/meta.h"

#define HEAD1 "weir-stream 1\nkind data\ncreated 1700000000\nseed 77\n"
#define HEAD                                                                                       \
    "weir-stream 2\nkind data\ncreated 1700000000\nseed 77\nretention 3600000\nstate active\n"
#define LIFE " 1700000000000 - -\n"
#define PAST " 1700000000000 1700000005000 42\n"
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
        assert_true(seen.shards[i].state == META_OPEN);
        assert_int_equal(seen.shards[i].parents[0], META_NO_PARENT);
    }
    buf_done(&text);
    meta_done(&made);
    meta_done(&seen);
}

static void assert_text_is_kept(const char *text) {
    struct meta meta;
    struct err err = {0};
    if (meta_parse(str_of(text), &meta, &err))
        fail_msg("%s", err.text);
    struct buf again = {0};
    meta_write(&meta, &again);
    assert_string_equal(buf_cstr(&again), text);
    buf_done(&again);
    meta_done(&meta);
}

static void closed_shards_and_parents_are_kept(void **state) {
    struct meta meta;
    struct err err;
    const char text[] = HEAD "shards 5\nshard 1 closed 0 " ALL " - -" PAST "shard 3 open 0 " HALF
                             " 1 -" LIFE "shard 4 open " REST " " ALL " 1 2" LIFE;
    assert_int_equal(meta_parse(str_of(text), &meta, &err), 0);
    assert_int_equal(meta.shard_count, 5);
    assert_int_equal(meta.retention_ms, 3600000);
    assert_false(meta.deleting);
    assert_int_equal(meta.shards[0].state, META_GONE);
    assert_int_equal(meta.shards[0].parents[0], META_NO_PARENT);
    assert_int_equal(meta.shards[1].state, META_CLOSED);
    assert_int_equal(meta.shards[1].closed_ms, UINT64_C(1700000005000));
    assert_int_equal(meta.shards[1].end_counter, 42);
    assert_int_equal(meta.shards[3].parents[0], 1);
    assert_int_equal(meta.shards[4].parents[1], 2);
    struct shard_map map;
    meta_map(&meta, &map);
    assert_int_equal(map.count, 2);
    assert_int_equal(shard_map_find(&map, 5), 3);
    assert_int_equal(shard_map_find(&map, ~(hash_key)0), 4);
    free(map.ranges);
    meta_done(&meta);
    assert_text_is_kept(text);
    assert_text_is_kept("weir-stream 2\nkind delivery\ncreated 5\nseed 7\nretention 0\nstate "
                        "deleting\nshards 1\nshard 0 open 0 " ALL " - - 5000 - -\n");
}

static void version_1_is_read(void **state) {
    struct meta meta;
    struct err err;
    const char text[] = HEAD1 "shard 0 closed 0 " ALL " - -\n"
                              "shard 1 open 0 " HALF " 0 -\n"
                              "shard 2 open " REST " " ALL " 0 -\n";
    assert_int_equal(meta_parse(str_of(text), &meta, &err), 0);
    assert_int_equal(meta.shard_count, 3);
    assert_int_equal(meta.shards[0].state, META_CLOSED);
    assert_true(meta.shards[0].end_counter == META_END_UNKNOWN);
    assert_int_equal(meta.shards[1].state, META_OPEN);
    assert_int_equal(meta.shards[2].opened_ms, UINT64_C(1700000000000));
    struct buf text2 = {0};
    meta_write(&meta, &text2);
    meta_done(&meta);
    assert_text_is_kept(buf_cstr(&text2));
    buf_done(&text2);
}

static void damaged_text_is_refused(void **state) {
    const char *texts[] = {
        "",
        "{}",
        HEAD,
        HEAD "shards 0\n",
        HEAD "shards 100001\nshard 0 open 0 " ALL " - -" LIFE,
        HEAD "shards 1\nshard 0 open 0 " HALF " - -" LIFE,   /* a part of the keys only */
        HEAD "shards 1\nshard 1 open 0 " ALL " - -" LIFE,    /* beyond the count */
        HEAD "shards 1\nshard 0 closed 0 " ALL " - -" PAST,  /* nothing open */
        HEAD "shards 1\nshard 0 open 0 " ALL " 0 -" LIFE,    /* its own parent */
        HEAD "shards 1\nshard 0 open 0 " ALL " -" LIFE,      /* a word too few */
        HEAD "shards 1\nshard 0 open 0 " ALL " - - -" LIFE,  /* a word too many */
        HEAD "shards 1\nshard 0 ajar 0 " ALL " - -" LIFE,    /* no such state */
        HEAD "shards 1\nshard 0 open 0 " ALL " - -" PAST,    /* open and closed */
        HEAD "shards 1\nshard 0 open 0 " ALL " - - 5 - 7\n", /* open, with an end */
        HEAD "shards 2\nshard 0 closed 0 " ALL " - -" LIFE "shard 1 open 0 " ALL " - -" LIFE,
        HEAD "shards 2\nshard 0 open 0 " ALL " - -" LIFE "shard 1 open 0 " ALL " - -" LIFE,
        HEAD "shards 2\nshard 1 open 0 " ALL " - -" LIFE "shard 0 closed 0 " ALL " - -" PAST,
        HEAD1 "shard 0 open 0 " HALF " - -\n",
        HEAD1 "shard 1 open 0 " ALL " - -\n",
        HEAD1 "shard 0 open 0 " ALL " - -" LIFE,
        "weir-stream 1\nkind other\ncreated 1\nseed 7\nshard 0 open 0 " ALL " - -\n",
        "weir-stream 1\nkind data\ncreated x\nseed 7\nshard 0 open 0 " ALL " - -\n",
        "weir-stream 1\nkind data\ncreated 1\nseed 4294967296\nshard 0 open 0 " ALL " - -\n",
        "weir-stream 2\nkind data\ncreated 1\nseed 7\nretention 0\nstate odd\nshards 1\n"
        "shard 0 open 0 " ALL " - -" LIFE,
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct meta meta;
        struct err err;
        assert_int_equal(meta_parse(str_of(texts[i]), &meta, &err), ERR_CORRUPT);
    }
}

/* ---- resharding ---- */

static void a_split_cuts_the_range(void **state) {
    struct meta meta;
    struct err err;
    meta_make(&meta, STREAM_DATA, 1);
    uint64_t now_ms = meta.created_s * 1000 + 5000;
    assert_int_equal(meta_check_split(&meta, 1, 5, &err), ERR_NOT_FOUND);
    assert_int_equal(meta_check_split(&meta, 0, 0, &err), ERR_INVALID);
    assert_int_equal(meta_check_split(&meta, 0, ~(hash_key)0, &err), 0);
    assert_int_equal(meta_check_split(&meta, 0, 100, &err), 0);
    assert_true(meta_is_original(&meta));
    meta_split(&meta, 0, 100, now_ms);
    assert_false(meta_is_original(&meta));
    assert_int_equal(meta.shard_count, 3);
    assert_int_equal(meta.shards[0].state, META_CLOSED);
    assert_int_equal(meta.shards[0].closed_ms, now_ms);
    assert_true(meta.shards[1].start == 0 && meta.shards[1].end == 99);
    assert_true(meta.shards[2].start == 100 && meta.shards[2].end == ~(hash_key)0);
    assert_int_equal(meta.shards[2].parents[0], 0);
    assert_int_equal(meta.shards[2].parents[1], META_NO_PARENT);
    assert_int_equal(meta.shards[1].opened_ms, now_ms);
    assert_int_equal(meta_check_split(&meta, 0, 50, &err), ERR_CLOSED);
    assert_int_equal(meta_check_split(&meta, 1, 100, &err), ERR_INVALID);
    meta_done(&meta);
}

static void a_merge_joins_neighbours(void **state) {
    struct meta meta;
    struct err err;
    meta_make(&meta, STREAM_DATA, 3);
    assert_int_equal(meta_check_merge(&meta, 0, 2, &err), ERR_INVALID);
    assert_int_equal(meta_check_merge(&meta, 1, 1, &err), ERR_INVALID);
    assert_int_equal(meta_check_merge(&meta, 1, 3, &err), ERR_NOT_FOUND);
    assert_int_equal(meta_check_merge(&meta, 1, 0, &err), 0);
    meta_merge(&meta, 1, 0, 0);
    assert_int_equal(meta.shard_count, 4);
    assert_int_equal(meta.shards[3].parents[0], 1);
    assert_int_equal(meta.shards[3].parents[1], 0);
    assert_true(meta.shards[3].start == 0 && meta.shards[3].end == meta.shards[1].end);
    assert_int_equal(meta_check_merge(&meta, 1, 2, &err), ERR_CLOSED);
    assert_int_equal(meta_check_merge(&meta, 2, 3, &err), 0);
    meta_done(&meta);
}

/* Even with a clock that stands still or runs back. */
static void children_are_younger_by_a_second(void **state) {
    struct meta meta;
    meta_make(&meta, STREAM_DATA, 1);
    uint64_t second = meta.created_s;
    meta_split(&meta, 0, 100, second * 1000 - 7000);
    assert_int_equal(meta.shards[1].opened_ms, (second + 1) * 1000);
    assert_int_equal(meta.shards[0].closed_ms, second * 1000);
    meta_split(&meta, 1, 50, second * 1000 + 1999);
    assert_int_equal(meta.shards[3].opened_ms, (second + 2) * 1000);
    meta_merge(&meta, 4, 2, second * 1000 + 100);
    assert_int_equal(meta.shards[5].opened_ms, (second + 3) * 1000);
    meta_done(&meta);
}

static void numbers_end_some_time(void **state) {
    struct meta meta;
    struct err err;
    meta_make(&meta, STREAM_DATA, 2);
    unsigned made = meta.shard_count;
    meta.shard_count = STREAM_SHARDS_MAX - 1;
    assert_int_equal(meta_check_split(&meta, 0, 5, &err), ERR_FULL);
    assert_int_equal(meta_check_merge(&meta, 0, 1, &err), 0);
    meta.shard_count++;
    assert_int_equal(meta_check_merge(&meta, 0, 1, &err), ERR_FULL);
    meta.shard_count = made;
    meta_done(&meta);
}

/* Version 2 knows no compressed blocks and refuses version 3. */
static void a_stream_that_compresses_has_version_3(void **state) {
    struct meta meta;
    struct err err;
#define TAIL  "state active\nshards 1\nshard 0 open 0 " ALL " - -" LIFE
#define HEAD3 "weir-stream 3\nkind data\ncreated 1700000000\nseed 77\nretention 3600000\n"
    const char text[] = HEAD3 "compression zstd\n" TAIL;
    assert_int_equal(meta_parse(str_of(text), &meta, &err), 0);
    assert_true(meta.compressed);
    meta_done(&meta);
    assert_text_is_kept(text);
    assert_int_equal(meta_parse(STR(HEAD3 TAIL), &meta, &err), ERR_CORRUPT);
    assert_int_equal(meta_parse(STR(HEAD3 "compression lz77\n" TAIL), &meta, &err), ERR_CORRUPT);
    assert_int_equal(meta_parse(STR(HEAD "compression zstd\n" TAIL), &meta, &err), ERR_CORRUPT);
    assert_int_equal(meta_parse(STR(HEAD "shards 1\nshard 0 open 0 " ALL " - -" LIFE), &meta, &err),
                     0);
    assert_false(meta.compressed);
    meta_done(&meta);
}

static void a_later_version_is_refused_by_name(void **state) {
    struct meta meta;
    struct err err;
    assert_int_equal(meta_parse(STR("weir-stream 4\nanything"), &meta, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "version 4"));
}

static void the_file_is_saved_and_loaded(void **state) {
    char directory[] = "/tmp/weir-meta-XXXXXX";
    assert_non_null(mkdtemp(directory));
    struct meta made, seen;
    struct err err;
    assert_int_equal(meta_load(directory, &seen, &err), ERR_NOT_FOUND);
    meta_make(&made, STREAM_DATA, 2);
    assert_int_equal(meta_save(&file_ops_real, directory, &made, &err), 0);
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
        cmocka_unit_test(version_1_is_read),
        cmocka_unit_test(damaged_text_is_refused),
        cmocka_unit_test(a_split_cuts_the_range),
        cmocka_unit_test(a_merge_joins_neighbours),
        cmocka_unit_test(children_are_younger_by_a_second),
        cmocka_unit_test(numbers_end_some_time),
        cmocka_unit_test(a_stream_that_compresses_has_version_3),
        cmocka_unit_test(a_later_version_is_refused_by_name),
        cmocka_unit_test(the_file_is_saved_and_loaded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
