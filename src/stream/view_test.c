#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "stream/fixture.h"

static struct stream_view *open_view(struct fixture *fixture) {
    struct stream_view *view;
    struct err err;
    assert_int_equal(stream_view_open(fixture->directory, "test", &view, &err), 0);
    return view;
}

static uint64_t read_on(struct stream_view *view, unsigned shard) {
    struct stream_batch batch;
    uint64_t count = 0;
    int status;
    while ((status = stream_view_next(view, shard, 100, &batch)) == 0)
        count += batch.count;
    assert_int_equal(status, ERR_AGAIN);
    return count;
}

static void a_view_follows_a_running_log(void **state) {
    struct fixture fixture = {.log_config.segment_bytes_max = 3000};
    fixture_init(&fixture);
    fixture_open(&fixture);
    struct stream_view *view = open_view(&fixture);
    assert_int_equal(read_on(view, 0), 0);
    for (unsigned i = 1; i < 30; i++) {
        fixture_fill(&fixture, 0, i, 100);
        assert_int_equal(read_on(view, 0), i);
    }
    stream_view_close(view);
    fixture_done(&fixture);
}

static void a_view_tells_what_a_shard_holds(void **state) {
    struct fixture fixture = {.config.shard_count = 2, .log_config.segment_bytes_max = 3000};
    fixture_init(&fixture);
    fixture_open(&fixture);
    uint64_t start_ms = fixture.arrival_ms;
    fixture_fill(&fixture, 1, 50, 100);
    fixture.arrival_ms += 77;
    fixture_fill(&fixture, 1, 1, 100);
    struct stream_view *view = open_view(&fixture);
    assert_int_equal(stream_view_shard_count(view), 2);
    assert_int_equal(stream_view_created_s(view), stream_created_s(fixture.stream));
    struct stream_view_info info;
    assert_int_equal(stream_view_shard(view, 0, &info), 0);
    assert_true(info.counted);
    assert_int_equal(info.first + info.next + info.bytes + info.first_ms + info.last_ms, 0);
    assert_int_equal(stream_view_shard(view, 1, &info), 0);
    assert_int_equal(info.first, 0);
    assert_int_equal(info.next, 51);
    assert_true(info.bytes >= 51 * 100);
    assert_int_equal(info.first_ms, start_ms);
    assert_int_equal(info.last_ms, start_ms + 77);

    shard_roll(fixture.stream->layout->shards[1]);
    assert_int_equal(stream_view_shard(view, 1, &info), 0);
    assert_int_equal(info.next, 51);
    assert_int_equal(info.last_ms, start_ms + 77);
    stream_view_close(view);
    fixture_done(&fixture);
}

static void a_view_seeks(void **state) {
    struct fixture fixture = {0};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 10, 100);
    fixture.arrival_ms += 1000;
    fixture_fill(&fixture, 0, 5, 100);
    struct stream_view *view = open_view(&fixture);
    const struct {
        struct stream_position position;
        uint64_t records;
    } cases[] = {
        {{.from = STREAM_TRIM_HORIZON}, 15},
        {{.from = STREAM_LATEST}, 0},
        {{.from = STREAM_AT_COUNTER, .counter = 12}, 3},
        {{.from = STREAM_AT_TIMESTAMP, .timestamp_ms = fixture.arrival_ms - 1}, 5},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(stream_view_seek(view, 0, &cases[i].position), 0);
        assert_int_equal(read_on(view, 0), cases[i].records);
    }
    stream_view_close(view);
    fixture_done(&fixture);
}

static void a_view_changes_nothing(void **state) {
    struct fixture fixture = {0};
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 10, 100);
    char *path = fixture_segment(&fixture, 0, 0);
    fixture_close(&fixture);
    assert_int_equal(truncate(path, 1500), 0);
    struct stream_view *view = open_view(&fixture);
    assert_int_equal(read_on(view, 0), 1500 / 160);
    stream_view_close(view);
    struct buf content = {0};
    assert_int_equal(file_read_all(path, 1 << 20, &content, NULL), 0);
    assert_int_equal(buf_len(&content), 1500);
    buf_done(&content);
    free(path);
    fixture_done(&fixture);
}

static void sequence_numbers_are_those_of_the_stream(void **state) {
    struct fixture fixture = {.config.shard_count = 3};
    fixture_init(&fixture);
    fixture_open(&fixture);
    struct stream_view *view = open_view(&fixture);
    char seen[STREAM_SEQUENCE_CHARS], text[STREAM_SEQUENCE_CHARS];
    stream_view_sequence_text(view, 2, 77, 1700000000123, seen);
    stream_sequence_text(fixture.stream, 2, 77, 1700000000123, text);
    assert_string_equal(seen, text);
    uint64_t counter = 0;
    assert_int_equal(stream_sequence_parse(fixture.stream, 2, str_of(text), &counter), 0);
    assert_int_equal(counter, 77);
    assert_int_equal(stream_sequence_parse(fixture.stream, 1, str_of(text), &counter), ERR_INVALID);
    counter = 0;
    assert_int_equal(stream_view_sequence_parse(view, 2, str_of(text), &counter), 0);
    assert_int_equal(counter, 77);
    assert_int_equal(stream_view_sequence_parse(view, 0, str_of(text), &counter), ERR_INVALID);
    assert_int_equal(stream_view_sequence_parse(view, 2, STR("77"), &counter), ERR_INVALID);
    char id[STREAM_SHARD_ID_CHARS];
    stream_shard_id(42, id);
    assert_string_equal(id, "shardId-000000000042");
    stream_view_close(view);
    fixture_done(&fixture);
}

static void add_name(void *data, const char *name) {
    char *names = data;
    strcat(names, name);
    strcat(names, " ");
}

static void streams_are_listed_by_name(void **state) {
    struct fixture fixture = {.config.name = "middle"};
    fixture_init(&fixture);
    fixture_open(&fixture);
    const char *more[] = {"zebra", "adder", ".hidden"};
    struct err err;
    for (size_t i = 0; i < COUNT_OF(more); i++) {
        struct stream_config config = {.name = more[i], .kind = STREAM_DATA, .shard_count = 1};
        struct stream *stream;
        assert_int_equal(stream_open(fixture.log, &config, &stream, &err), 0);
    }
    struct stream_config config = {.name = "buffer", .kind = STREAM_DELIVERY, .shard_count = 1};
    struct stream *stream;
    assert_int_equal(stream_open(fixture.log, &config, &stream, &err), 0);
    char names[200] = "";
    assert_int_equal(stream_view_list(fixture.directory, add_name, names, &err), 0);
    assert_string_equal(names, ".hidden adder middle zebra ");
    fixture_done(&fixture);
    struct stream_view *view;
    assert_int_equal(stream_view_open(fixture.directory, "middle", &view, &err), ERR_NOT_FOUND);
    assert_int_equal(stream_view_list(fixture.directory, add_name, names, &err), ERR_NOT_FOUND);
}

static void shards_of_a_split_are_seen(void **state) {
    struct fixture fixture = {0};
    struct stream_view *view;
    struct stream_batch batch;
    struct err err;
    char parent[STREAM_SEQUENCE_CHARS], child[STREAM_SEQUENCE_CHARS];
    fixture_init(&fixture);
    fixture_open(&fixture);
    fixture_fill(&fixture, 0, 3, 100);
    fixture_split(&fixture, 0);
    fixture_fill(&fixture, 2, 2, 100);
    assert_int_equal(stream_view_open(fixture.directory, "test", &view, &err), 0);
    assert_int_equal(stream_view_shard_count(view), 3);
    assert_int_equal(stream_view_next(view, 0, 10, &batch), 0);
    assert_int_equal(batch.count, 3);
    assert_int_equal(stream_view_next(view, 0, 10, &batch), ERR_AGAIN);
    assert_int_equal(stream_view_next(view, 2, 10, &batch), 0);
    assert_int_equal(batch.count, 2);
    stream_view_sequence_text(view, 0, 1000, 0, parent);
    stream_view_sequence_text(view, 2, 0, 0, child);
    assert_true(strcmp(parent, child) < 0);
    uint64_t counter;
    assert_int_equal(stream_view_sequence_parse(view, 2, str_of(child), &counter), 0);
    assert_int_equal(stream_view_sequence_parse(view, 2, str_of(parent), &counter), ERR_INVALID);
    stream_view_close(view);
    fixture_done(&fixture);
}

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_follows_a_running_log),
        cmocka_unit_test(a_view_tells_what_a_shard_holds),
        cmocka_unit_test(a_view_seeks),
        cmocka_unit_test(a_view_changes_nothing),
        cmocka_unit_test(sequence_numbers_are_those_of_the_stream),
        cmocka_unit_test(streams_are_listed_by_name),
        cmocka_unit_test(shards_of_a_split_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
