#include "stream/log.h"
#include "stream/world_test.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/mem.h"

/* One block per record: each is committed alone. */
static void put_records(struct world *world, const char *stream, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(push(find(world, stream), "k", "0123456789"), 0);
        run_until_idle(world);
    }
}

static void turn_over(const struct world *world, const char *stream, off_t offset) {
    char *path =
        xprintf("%s/streams/%s/shardId-000000000000/%020d.seg", world->directory, stream, 0);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= 0xff;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
    free(path);
}

enum { BLOCK_BYTES = 48 + 8 + 1 + 10 + 5, DAMAGED = 2, IN_PAYLOAD = DAMAGED * BLOCK_BYTES + 60 };

static struct stream_reader *open_reader(struct world *world, struct stream *stream, int *readies) {
    const struct stream_position position = {.from = STREAM_TRIM_HORIZON};
    struct stream_reader *reader;
    struct err err;
    assert_int_equal(
        stream_reader_open(stream, 0, world->loop, &position, on_ready, readies, &reader, &err), 0);
    return reader;
}

static struct stream *open_stream(struct world *world, enum stream_corrupted corrupted) {
    struct stream_config config = {
        .name = "s", .shard_count = 1, .retention_ms = 3600000, .corrupted = corrupted};
    struct stream *stream;
    struct err err;
    *world = (struct world){.directory = "/tmp/weir-stream-XXXXXX"};
    assert_non_null(mkdtemp(world->directory));
    open_parts(world);
    assert_int_equal(stream_open(world->log, &config, &stream, &err), 0);
    world->writer = stream_writer_new(world->log, world->loop);
    put_records(world, "s", 5);
    turn_over(world, "s", IN_PAYLOAD);
    return stream;
}

static void damage_is_passed_over(void **state) {
    struct world world;
    struct stream_batch batch;
    int readies = 0;
    struct stream_reader *reader =
        open_reader(&world, open_stream(&world, STREAM_CORRUPTED_SKIP), &readies);
    assert_int_equal(stream_reader_next(reader, 100, 1000, &batch), 0);
    assert_int_equal(batch.count, 2);
    assert_int_equal(stream_reader_next(reader, 100, 1000, &batch), ERR_CORRUPT);
    assert_int_equal(stream_reader_skipped(reader), 1);
    assert_int_equal(stream_reader_next(reader, 100, 1000, &batch), 0);
    assert_int_equal(batch.count, 2);
    assert_int_equal(batch.records[0].counter, 3);
    assert_int_equal(stream_reader_next(reader, 100, 1000, &batch), ERR_AGAIN);
    stream_reader_close(reader);
    close_world(&world);
}

/* The reader stays where it is until the file is mended; nothing counts as skipped. */
static void a_stopping_reader_stays_before_damage(void **state) {
    struct world world;
    struct stream_batch batch;
    int readies = 0;
    struct stream_reader *reader =
        open_reader(&world, open_stream(&world, STREAM_CORRUPTED_STOP), &readies);
    assert_int_equal(stream_reader_next(reader, 100, 1000, &batch), 0);
    assert_int_equal(batch.count, 2);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stream_reader_next(reader, 100, 1000, &batch), ERR_STOPPED);
        assert_int_equal(stream_reader_counter(reader), 2);
        assert_int_equal(stream_reader_skipped(reader), 0);
    }
    turn_over(&world, "s", IN_PAYLOAD);
    assert_int_equal(stream_reader_next(reader, 100, 1000, &batch), 0);
    assert_int_equal(batch.count, 3);
    turn_over(&world, "s", IN_PAYLOAD);
    stream_reader_seek(reader, 2);
    assert_int_equal(stream_reader_next(reader, 100, 1000, &batch), ERR_STOPPED);
    stream_reader_seek(reader, 3);
    assert_int_equal(stream_reader_next(reader, 100, 1000, &batch), 0);
    assert_int_equal(batch.count, 2);
    stream_reader_close(reader);
    close_world(&world);
}

/* However often the reader looks at it. */
static void damage_is_counted_once(void **state) {
    struct world world;
    struct stream_batch batch;
    int readies = 0;
    struct stream *stream = open_stream(&world, STREAM_CORRUPTED_STOP);
    struct stream_reader *reader = open_reader(&world, stream, &readies);
    assert_int_equal(stream_reader_next(reader, 100, 1000, &batch), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(stream_reader_next(reader, 100, 1000, &batch), ERR_STOPPED);
    while (!metric_get(&stream->metrics.damaged))
        turn_briefly(&world);
    put_records(&world, "s", 1); /* the log thread has done what was posted to it */
    assert_int_equal(metric_get(&stream->metrics.damaged), 1);
    assert_int_equal(metric_get(&stream->metrics.damaged_records), 1);
    stream_reader_close(reader);
    close_world(&world);
}

static void a_damaged_stream_that_stops_is_not_opened(void **state) {
    struct world world;
    struct stream *stream = open_stream(&world, STREAM_CORRUPTED_STOP);
    struct stream_config config = {
        .name = "s", .shard_count = 1, .retention_ms = 3600000, .corrupted = STREAM_CORRUPTED_STOP};
    struct err err;
    close_parts(&world);
    world.deadline = (struct timer){0};
    open_parts(&world);
    assert_int_equal(stream_open(world.log, &config, &stream, &err), ERR_STOPPED);
    assert_non_null(strstr(err.text, "corrupted_blocks"));
    config.corrupted = STREAM_CORRUPTED_SKIP;
    assert_int_equal(stream_open(world.log, &config, &stream, &err), 0);
    world.writer = stream_writer_new(world.log, world.loop);
    close_world(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_passed_over),
        cmocka_unit_test(a_stopping_reader_stays_before_damage),
        cmocka_unit_test(damage_is_counted_once),
        cmocka_unit_test(a_damaged_stream_that_stops_is_not_opened),
    };
    log_setup((enum log_level)(LOG_ERROR + 1), LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
