/* What a producer and a reader are told of a commit, with a disk that the test makes fail or wait. */
#include "stream/log.h"

#include <stdatomic.h>
#include <unistd.h>

#include "stream/world_test.h"

static struct disk {
    struct file_ops ops;
    _Atomic int
        fail_from; /* so many more writes of blocks are fine, the next fails; -1: none does */
    _Atomic bool is_held; /* writes wait */
    _Atomic unsigned waiting;
} disk;

static int write_parts(void *self, int fd, struct iovec *parts, int count, off_t offset) {
    atomic_fetch_add(&disk.waiting, 1);
    while (atomic_load(&disk.is_held))
        usleep(100);
    atomic_fetch_sub(&disk.waiting, 1);
    /* Space that is made ready for later is zeros; blocks are not. */
    bool is_block = *(const uint8_t *)parts[0].iov_base != 0;
    int left = is_block ? atomic_load(&disk.fail_from) : -1;
    if (left >= 0)
        atomic_store(&disk.fail_from, left - 1);
    return left == 0 ? ERR_NO_SPACE
                     : file_ops_real.writev_all(file_ops_real.self, fd, parts, count, offset);
}

struct heard {
    struct sink_gate_listener listener;
    unsigned count;
    int status; /* of the last ticket */
};

static void on_commit(struct sink_gate_listener *listener, uint64_t ticket, int status) {
    struct heard *heard = CONTAINER_OF(listener, struct heard, listener);
    heard->count++;
    heard->status = status;
}

static struct stream *begin(struct world *world, struct heard *heard, int64_t shards) {
    struct stream_config stream_config = {
        .name = "s", .shard_count = shards, .retention_ms = 3600000};
    struct stream *stream;
    struct err err;
    *world = (struct world){.directory = "/tmp/weir-stream-XXXXXX"};
    *heard = (struct heard){.listener.on_commit = on_commit};
    assert_non_null(mkdtemp(world->directory));
    disk.ops = file_ops_real;
    disk.ops.writev_all = write_parts;
    atomic_store(&disk.fail_from, -1);
    struct stream_log_config config = {.directory = world->directory, .file = &disk.ops};
    assert_int_equal(stream_log_open(&config, &world->log, &err), 0);
    assert_int_equal(stream_open(world->log, &stream_config, &stream, &err), 0);
    world->loop = loop_new();
    timer_start(world->loop, &world->deadline, 60000, 0, on_deadline);
    world->writer = stream_writer_new(world->log, world->loop);
    sink_gate_listen(stream_writer_gate(world->writer), &heard->listener);
    return stream;
}

static uint64_t next_counter(struct stream *stream, unsigned shard) {
    struct stream_shard_info info;
    stream_shard_get(stream, shard, &info);
    return info.next_counter;
}

/* Nobody may hear that a record is safe which is not. */
static void a_commit_that_fails_is_told(void **state) {
    struct world world;
    struct heard heard;
    struct stream_receipt receipts[2];
    struct stream *stream = begin(&world, &heard, 1);
    assert_int_equal(put(&world, stream, "0", &receipts[0]), 0);
    run_until_idle(&world);
    assert_int_equal(heard.status, 0);
    assert_int_equal(receipts[0].status, 0);
    atomic_store(&disk.fail_from, 0);
    assert_int_equal(put(&world, stream, "0", &receipts[0]), 0);
    assert_int_equal(push(find(&world, "s"), "k", "v"), 0);
    run_until_idle(&world);
    assert_int_equal(heard.count, 2);
    assert_int_equal(heard.status, ERR_NO_SPACE);
    assert_int_equal(receipts[0].status, ERR_NO_SPACE);
    assert_int_equal(next_counter(stream, 0), 1);
    assert_int_equal(put(&world, stream, "0", &receipts[1]), 0);
    run_until_idle(&world);
    assert_int_equal(heard.status, 0);
    assert_int_equal(receipts[1].status, 0);
    assert_int_equal(receipts[1].counter, 1);
    close_world(&world);
}

/* The ticket fails as a whole, but who asks for each record hears which of them is kept. */
static void one_shard_that_fails_fails_the_ticket_and_not_the_other_s_records(void **state) {
    static const char *const keys[] = {"0", "340282366920938463463374607431768211455"};
    struct world world;
    struct heard heard;
    struct stream_receipt receipts[2];
    struct stream *stream = begin(&world, &heard, 2);
    for (int round = 0; round < 2; round++) {
        atomic_store(&disk.fail_from, 0); /* the shard that was staged first is written first */
        assert_int_equal(put(&world, stream, keys[round], &receipts[0]), 0);
        assert_int_equal(put(&world, stream, keys[!round], &receipts[1]), 0);
        run_until_idle(&world);
        assert_int_equal(heard.status, ERR_NO_SPACE);
        assert_int_equal(receipts[0].status, ERR_NO_SPACE);
        assert_int_equal(receipts[1].status, 0);
        assert_int_equal(next_counter(stream, receipts[1].shard), 1);
        assert_int_equal(receipts[0].shard, round);
    }
    close_world(&world);
}

static void a_reader_that_opens_beside_a_commit_hears_of_it(void **state) {
    const struct stream_position oldest = {.from = STREAM_TRIM_HORIZON};
    struct world world;
    struct heard heard;
    struct stream_reader *reader;
    struct stream_batch batch;
    struct err err;
    int woken = 0;
    struct stream *stream = begin(&world, &heard, 1);
    atomic_store(&disk.is_held, true);
    assert_int_equal(push(find(&world, "s"), "k", "v"), 0);
    stream_writer_seal(world.writer);
    while (!atomic_load(&disk.waiting))
        usleep(100);
    assert_int_equal(
        stream_reader_open(stream, 0, world.loop, &oldest, on_ready, &woken, &reader, &err), 0);
    assert_int_equal(stream_reader_next(reader, 10, 1000, &batch), ERR_AGAIN);
    atomic_store(&disk.is_held, false);
    while (!woken)
        turn(&world);
    assert_int_equal(stream_reader_next(reader, 10, 1000, &batch), 0);
    assert_int_equal(batch.count, 1);
    stream_reader_close(reader);
    close_world(&world);
}

/* What a power cut took from a stream that was not synced may have been read by then. */
static void a_position_beyond_the_end_is_the_end(void **state) {
    const struct stream_position beyond = {.from = STREAM_AT_COUNTER, .counter = 1000};
    struct world world;
    struct heard heard;
    struct stream_reader *reader;
    struct stream_batch batch;
    struct err err;
    int woken = 0;
    struct stream *stream = begin(&world, &heard, 1);
    push(find(&world, "s"), "k", "v");
    run_until_idle(&world);
    assert_int_equal(
        stream_reader_open(stream, 0, world.loop, &beyond, on_ready, &woken, &reader, &err), 0);
    assert_int_equal(stream_reader_counter(reader), 1);
    assert_int_equal(stream_reader_next(reader, 10, 1000, &batch), ERR_AGAIN);
    push(find(&world, "s"), "k", "w");
    while (stream_reader_next(reader, 10, 1000, &batch) == ERR_AGAIN)
        turn(&world);
    assert_int_equal(batch.records[0].counter, 1);
    stream_reader_close(reader);
    close_world(&world);
}

int main(void) {
    log_setup((enum log_level)(LOG_ERROR + 1), LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_that_fails_is_told),
        cmocka_unit_test(one_shard_that_fails_fails_the_ticket_and_not_the_other_s_records),
        cmocka_unit_test(a_reader_that_opens_beside_a_commit_hears_of_it),
        cmocka_unit_test(a_position_beyond_the_end_is_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
