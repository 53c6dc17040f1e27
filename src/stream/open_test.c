/* What a start finds of a stream that something else has left. */
#include "base/test.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "stream/fixture.h"

static int open_again(struct fixture *fixture, struct err *err) {
    fixture->log_config.directory = fixture->directory;
    assert_int_equal(log_core_open(&fixture->log_config, &fixture->log, err), 0);
    return stream_open(fixture->log, &fixture->config, &fixture->stream, err);
}

static void set_up(struct fixture *fixture) {
    fixture_init(fixture);
    fixture_open(fixture);
    fixture_fill(fixture, 0, 10, 100);
}

static void load(const struct fixture *fixture, const char *name, struct meta *ret_meta) {
    struct err err;
    char *directory = xprintf("%s/streams/%s", fixture->directory, name);
    assert_int_equal(meta_load(directory, ret_meta, &err), 0);
    free(directory);
}

/* Makes it one of this kind, or one whose deletion has begun. */
static void change_meta(const struct fixture *fixture, const char *name, enum stream_kind kind,
                        bool deleting) {
    struct meta meta;
    struct err err;
    char *directory = xprintf("%s/streams/%s", fixture->directory, name);
    load(fixture, name, &meta);
    meta.kind = kind;
    meta.deleting = deleting;
    assert_int_equal(meta_save(&file_ops_real, directory, &meta, &err), 0);
    meta_done(&meta);
    free(directory);
}

static uint64_t next_of(const struct stream *stream) {
    return stream->layout->shards[0]->next;
}

/* Whoever has lost the metadata still has the records, and can put it back. */
static void records_without_metadata_are_set_aside(void **state) {
    struct fixture fixture = {0};
    struct err err;
    glob_t found;
    set_up(&fixture);
    fixture_close(&fixture);
    char *meta = xprintf("%s/streams/test/stream.meta", fixture.directory);
    char *kept = xprintf("%s/kept", fixture.directory);
    char *aside = xprintf("%s/aside/streams-test-*", fixture.directory);
    char *place = xprintf("%s/streams/test", fixture.directory);
    assert_int_equal(rename(meta, kept), 0);
    assert_int_equal(open_again(&fixture, &err), 0);
    assert_int_equal(next_of(fixture.stream), 0);
    fixture_close(&fixture);
    assert_int_equal(file_remove_tree(place, &err), 0);
    assert_int_equal(glob(aside, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    assert_int_equal(rename(found.gl_pathv[0], place), 0);
    assert_int_equal(rename(kept, meta), 0);
    assert_int_equal(open_again(&fixture, &err), 0);
    assert_int_equal(next_of(fixture.stream), 10);
    globfree(&found);
    free(place);
    free(aside);
    free(kept);
    free(meta);
    fixture_done(&fixture);
}

/* A making that was interrupted before it wrote the metadata, a deletion before it removed the directory. */
static void an_empty_place_is_taken(void **state) {
    struct fixture fixture = {0};
    struct err err;
    fixture_init(&fixture);
    char *shard = xprintf("%s/streams/test/shardId-000000000000", fixture.directory);
    char *aside = xprintf("%s/aside", fixture.directory);
    assert_int_equal(file_make_directories(shard, &err), 0);
    fixture_open(&fixture);
    assert_int_not_equal(access(aside, F_OK), 0);
    assert_int_equal(fixture_put(&fixture, 0, STR("x")), 0);
    free(aside);
    free(shard);
    fixture_done(&fixture);
}

static void a_stream_that_was_being_deleted_is_made_anew(void **state) {
    struct fixture fixture = {0};
    struct meta meta;
    struct err err;
    set_up(&fixture);
    fixture_close(&fixture);
    change_meta(&fixture, "test", STREAM_DATA, true);
    assert_int_equal(open_again(&fixture, &err), 0);
    assert_int_equal(next_of(fixture.stream), 0);
    load(&fixture, "test", &meta);
    assert_false(meta.deleting);
    meta_done(&meta);
    fixture_done(&fixture);
}

static void a_stream_of_another_kind_is_refused(void **state) {
    struct fixture fixture = {0};
    struct err err;
    set_up(&fixture);
    fixture_close(&fixture);
    change_meta(&fixture, "test", STREAM_DELIVERY, false);
    assert_int_equal(open_again(&fixture, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "streams/test: a stream of another kind"));
    fixture_done(&fixture);
}

static void a_damaged_stream_stops_the_start_if_it_shall(void **state) {
    struct fixture fixture = {.config.corrupted = STREAM_CORRUPTED_STOP};
    struct err err;
    set_up(&fixture);
    char *path = fixture_segment(&fixture, 0, 0);
    fixture_close(&fixture);
    fixture_damage(path, 200);
    free(path);
    assert_int_equal(open_again(&fixture, &err), ERR_STOPPED);
    assert_non_null(strstr(err.text, "stream test: test/shardId-000000000000 is damaged"));
    log_core_close(fixture.log);
    fixture.config.corrupted = STREAM_CORRUPTED_SKIP;
    assert_int_equal(open_again(&fixture, &err), 0);
    assert_true(metric_get(&fixture.stream->metrics.damaged) > 0);
    fixture_done(&fixture);
}

/* A version that knows no compressed blocks refuses the stream, also when they are made no more. */
static void compression_is_noted_for_good(void **state) {
    struct fixture fixture = {0};
    struct meta meta;
    struct err err;
    set_up(&fixture);
    load(&fixture, "test", &meta);
    assert_false(meta.compressed);
    meta_done(&meta);
    for (int level = 1; level >= 0; level--) {
        fixture_close(&fixture);
        fixture.config.compression_level = level;
        assert_int_equal(open_again(&fixture, &err), 0);
        load(&fixture, "test", &meta);
        assert_true(meta.compressed);
        meta_done(&meta);
    }
    assert_int_equal(next_of(fixture.stream), 10);
    fixture_done(&fixture);
}

static void streams_that_no_configuration_names_keep_what_they_have(void **state) {
    struct fixture fixture = {
        .config = {.name = "left", .shard_count = 3, .retention_ms = 7200000}};
    struct err err;
    set_up(&fixture);
    fixture_close(&fixture);
    fixture.config = (struct stream_config){.name = "other", .shard_count = 1};
    assert_int_equal(open_again(&fixture, &err), 0);
    assert_null(stream_find(fixture.log, STREAM_DATA, STR("left")));
    assert_int_equal(stream_open_rest(fixture.log, &err), 0);
    struct stream *left = stream_find(fixture.log, STREAM_DATA, STR("left"));
    assert_non_null(left);
    assert_int_equal(stream_shard_count(left), 3);
    assert_int_equal(stream_retention_ms(left), 7200000);
    assert_int_equal(next_of(left), 10);
    assert_int_equal(stream_open_rest(fixture.log, &err), 0); /* open is open */
    fixture_done(&fixture);
}

static void deletions_of_such_are_finished(void **state) {
    struct fixture fixture = {.config.name = "left"};
    struct err err;
    set_up(&fixture);
    fixture_close(&fixture);
    change_meta(&fixture, "left", STREAM_DATA, true);
    fixture.config.name = "other";
    assert_int_equal(open_again(&fixture, &err), 0);
    assert_int_equal(stream_open_rest(fixture.log, &err), 0);
    assert_null(stream_find(fixture.log, STREAM_DATA, STR("left")));
    char *path = xprintf("%s/streams/left", fixture.directory);
    assert_int_not_equal(access(path, F_OK), 0);
    free(path);
    fixture_done(&fixture);
}

/* Who remembers the old one (checkpoints, sequence numbers) must not take the new one for it. */
static void one_that_follows_within_a_second_is_younger(void **state) {
    struct fixture fixture = {0};
    struct meta meta;
    set_up(&fixture);
    uint64_t created_s = stream_created_s(fixture.stream);
    stream_note_deleted(fixture.stream, created_s);
    struct stream *next = stream_new(fixture.log, &fixture.config);
    struct err err;
    assert_int_equal(stream_remove_files(fixture.stream), 0);
    assert_int_equal(stream_make(next, &err), 0);
    assert_true(next->created_s > created_s);
    load(&fixture, "test", &meta);
    assert_int_equal(meta.created_s, next->created_s);
    meta_done(&meta);
    stream_free(next);
    fixture_done(&fixture);
}

static int quiet(void **state) {
    log_setup(LOG_ERROR, LOG_TEXT);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_without_metadata_are_set_aside),
        cmocka_unit_test(an_empty_place_is_taken),
        cmocka_unit_test(a_stream_that_was_being_deleted_is_made_anew),
        cmocka_unit_test(a_stream_of_another_kind_is_refused),
        cmocka_unit_test(a_damaged_stream_stops_the_start_if_it_shall),
        cmocka_unit_test(compression_is_noted_for_good),
        cmocka_unit_test(streams_that_no_configuration_names_keep_what_they_have),
        cmocka_unit_test(deletions_of_such_are_finished),
        cmocka_unit_test(one_that_follows_within_a_second_is_younger),
    };
    return cmocka_run_group_tests(tests, quiet, NULL);
}
