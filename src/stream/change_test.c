/* Splits and merges with threads: what becomes of shards, readers and the order of records. */
#include "stream/world_test.h"

#include <unistd.h>

#include "stream/test_producer.h"

/* ---- splits and merges ---- */

static void children_have_their_parents_ranges(void **state) {
    struct world world;
    struct stream_shard_info info;
    struct err err;
    open_world(&world);
    struct stream *stream = create(&world, "s", 1);
    push(find(&world, "s"), "k", "v");
    split(&world, stream, 0, KEY_HALF);
    assert_int_equal(stream_shard_count(stream), 3);
    stream_shard_get(stream, 0, &info);
    assert_false(info.open);
    assert_false(info.removed);
    assert_int_equal(info.next_counter, 1);
    assert_true(info.closed_ms >= info.opened_ms);
    stream_shard_get(stream, 2, &info);
    assert_true(info.open && info.start == KEY_HALF && info.end == KEY_MAX);
    assert_int_equal(info.parent, 0);
    assert_int_equal(info.adjacent_parent, STREAM_NO_SHARD);
    assert_int_equal(info.next_counter, 0);
    merge(&world, stream, 2, 1);
    stream_shard_get(stream, 3, &info);
    assert_true(info.open && info.start == 0 && info.end == KEY_MAX);
    assert_int_equal(info.parent, 2);
    assert_int_equal(info.adjacent_parent, 1);
    assert_int_equal(stream_split(stream, world.loop, 2, 5, on_done, NULL, &err), ERR_CLOSED);
    assert_int_equal(stream_split(stream, world.loop, 9, 5, on_done, NULL, &err), ERR_NOT_FOUND);
    assert_int_equal(stream_split(stream, world.loop, 3, 0, on_done, NULL, &err), ERR_INVALID);
    assert_int_equal(stream_merge(stream, world.loop, 3, 3, on_done, NULL, &err), ERR_INVALID);
    open_again(&world);
    stream = stream_find(world.log, STREAM_DATA, STR("s"));
    assert_int_equal(stream_shard_count(stream), 4);
    stream_shard_get(stream, 3, &info);
    assert_true(info.open && info.start == 0 && info.end == KEY_MAX);
    close_world(&world);
}

static void sequence_numbers_of_children_are_higher(void **state) {
    struct world world;
    char parent[STREAM_SEQUENCE_CHARS], child[STREAM_SEQUENCE_CHARS];
    uint64_t counter;
    open_world(&world);
    struct stream *stream = create(&world, "s", 16);
    stream_sequence_text(stream, 15, UINT64_MAX / 2, 1800000000000, parent);
    split(&world, stream, 15, KEY_MAX);
    stream_sequence_text(stream, 16, 0, 0, child);
    assert_true(strcmp(parent, child) < 0);
    assert_int_equal(stream_sequence_parse(stream, 16, str_of(child), &counter), 0);
    assert_int_equal(counter, 0);
    assert_int_equal(stream_sequence_parse(stream, 0, str_of(child), &counter), ERR_INVALID);
    assert_int_equal(stream_sequence_parse(stream, 99, str_of(child), &counter), ERR_INVALID);
    assert_int_equal(stream_sequence_parse(stream, 15, str_of(parent), &counter), 0);
    assert_true(counter == UINT64_MAX / 2);
    close_world(&world);
}

static void a_reader_hears_the_end(void **state) {
    struct world world;
    struct stream_reader *reader, *late;
    struct stream_batch batch;
    struct err err;
    int woken = 0, others = 0;
    open_world(&world);
    struct stream *stream = create(&world, "s", 1);
    struct stream_position start = {.from = STREAM_TRIM_HORIZON};
    assert_int_equal(
        stream_reader_open(stream, 0, world.loop, &start, on_ready, &woken, &reader, &err), 0);
    assert_int_equal(stream_reader_next(reader, 10, 1000, &batch), ERR_AGAIN);
    split(&world, stream, 0, KEY_HALF);
    while (!woken)
        turn(&world);
    assert_int_equal(stream_reader_next(reader, 10, 1000, &batch), ERR_CLOSED);
    assert_int_equal(stream_reader_next(reader, 10, 1000, &batch), ERR_CLOSED);
    stream_reader_close(reader);

    assert_int_equal(
        stream_reader_open(stream, 1, world.loop, &start, on_ready, &woken, &reader, &err), 0);
    char low[] = "0";
    struct stream_receipt receipt;
    assert_int_equal(put(&world, stream, low, &receipt), 0);
    merge(&world, stream, 1, 2);
    assert_int_equal(receipt.status, 0);
    assert_int_equal(receipt.shard, 1);
    assert_int_equal(
        stream_reader_open(stream, 1, world.loop, &start, on_ready, &others, &late, &err), 0);
    for (int i = 0; i < 2; i++) {
        struct stream_reader *now = i ? late : reader;
        assert_int_equal(stream_reader_next(now, 10, 1000, &batch), 0);
        assert_int_equal(batch.count, 1);
        assert_int_equal(stream_reader_next(now, 10, 1000, &batch), ERR_CLOSED);
        stream_reader_seek(now, 0);
        assert_int_equal(stream_reader_next(now, 10, 1000, &batch), 0);
        stream_reader_close(now);
    }
    close_world(&world);
}

/* As retention does it, with the whole shard. */
static void what_is_gone_from_a_closed_shard_is_skipped(void **state) {
    struct world world;
    struct stream_reader *reader;
    struct stream_batch batch;
    struct err err;
    char shard[128];
    int woken = 0;
    open_world(&world);
    struct stream *stream = create(&world, "s", 1);
    for (int i = 0; i < 5; i++)
        push(find(&world, "s"), "k", "v");
    split(&world, stream, 0, KEY_HALF);
    struct stream_position start = {.from = STREAM_AT_COUNTER, .counter = 2};
    assert_int_equal(
        stream_reader_open(stream, 0, world.loop, &start, on_ready, &woken, &reader, &err), 0);
    snprintf(shard, sizeof shard, "%s/streams/s/shardId-000000000000", world.directory);
    assert_int_equal(file_remove_tree(shard, &err), 0);
    assert_int_equal(stream_reader_next(reader, 10, 1000, &batch), ERR_CLOSED);
    assert_int_equal(stream_reader_skipped(reader), 3);
    assert_int_equal(stream_reader_counter(reader), 5);
    assert_int_equal(stream_reader_next(reader, 10, 1000, &batch), ERR_CLOSED);
    assert_int_equal(stream_reader_skipped(reader), 3);
    stream_reader_close(reader);
    close_world(&world);
}

/* ---- many writers, while shards come and go ---- */

enum { PRODUCERS = 3, EACH = 15000, CHANGES = 40, KEYS = 16, SHARDS_MAX = 128 };

/* Splits the widest shard or merges two neighbours, as the dice say. */
static void change_something(struct world *world, struct stream *stream, unsigned dice) {
    unsigned count = stream_shard_count(stream), widest = 0;
    struct stream_shard_info info, best = {0};
    struct err err;
    for (unsigned i = 0; i < count; i++) {
        stream_shard_get(stream, i, &info);
        if (info.open && (!best.open || info.end - info.start > best.end - best.start)) {
            best = info;
            widest = i;
        }
    }
    struct outcome outcome = {0};
    for (unsigned i = count; dice % 2 && i-- > 1;)
        for (unsigned j = i; j-- > 0;)
            if (stream_merge(stream, world->loop, i, j, on_done, &outcome, &err) == 0) {
                wait_for(world, &outcome);
                return;
            }
    split(world, stream, widest, best.start + (best.end - best.start) / 2 + 1);
}

struct check {
    unsigned next[PRODUCERS][KEYS];
    uint64_t total;
};

static void check_shard(struct world *world, struct stream *stream, unsigned shard,
                        struct check *check) {
    struct stream_position start = {.from = STREAM_TRIM_HORIZON};
    struct stream_reader *reader;
    struct stream_batch batch;
    struct err err;
    int woken, status;
    assert_int_equal(
        stream_reader_open(stream, shard, world->loop, &start, on_ready, &woken, &reader, &err), 0);
    while ((status = stream_reader_next(reader, 1000, 1 << 16, &batch)) == 0)
        for (size_t i = 0; i < batch.count; i++) {
            unsigned producer, number;
            char text[64] = {0};
            memcpy(text, batch.records[i].data.at, batch.records[i].data.len);
            assert_int_equal(sscanf(text, "%u %u", &producer, &number), 2);
            unsigned *next = &check->next[producer][number % KEYS];
            assert_int_equal(number, *next);
            *next += KEYS;
            check->total++;
        }
    struct stream_shard_info info;
    stream_shard_get(stream, shard, &info);
    assert_int_equal(status, info.open ? ERR_AGAIN : ERR_CLOSED);
    stream_reader_close(reader);
}

/* Shards in the order of their numbers: parents come before their children, so each producer's
 * records of a key must be there without a gap, ascending. */
static void the_order_of_each_key_is_kept(void **state) {
    struct world world;
    open_world(&world);
    struct stream *stream = create(&world, "s", 2);
    struct producer producers[PRODUCERS];
    for (unsigned i = 0; i < PRODUCERS; i++)
        producer_start(&producers[i], world.log, i, EACH, KEYS);
    for (unsigned i = 0; i < CHANGES; i++)
        change_something(&world, stream, i * 7 / 3);
    for (unsigned i = 0; i < PRODUCERS; i++)
        producer_stop(&producers[i]);
    struct check check = {0};
    for (unsigned i = 0; i < KEYS; i++)
        for (unsigned p = 0; p < PRODUCERS; p++)
            check.next[p][i] = i;
    for (unsigned i = 0; i < stream_shard_count(stream); i++)
        check_shard(&world, stream, i, &check);
    assert_int_equal(check.total, PRODUCERS * EACH);
    assert_true(stream_shard_count(stream) > CHANGES);
    close_world(&world);
}

/* Writers come and go while changes wait for them. */
static void writers_come_and_go(void **state) {
    struct world world;
    struct err err;
    open_world(&world);
    struct stream *stream = create(&world, "s", 1);
    for (unsigned i = 0; i < 100; i++) {
        struct outcome outcome = {0};
        unsigned last = stream_shard_count(stream) - 1;
        struct stream_writer *other = stream_writer_new(world.log, world.loop);
        int status =
            i % 2 ? stream_merge(stream, world.loop, last, last - 1, on_done, &outcome, &err)
                  : stream_split(stream, world.loop, last, KEY_HALF, on_done, &outcome, &err);
        assert_int_equal(status, 0);
        if (i % 3 == 0)
            usleep(2000);
        if (i % 5)
            uv_run(loop_uv(world.loop), UV_RUN_NOWAIT);
        while (!stream_writer_idle(other))
            turn(&world);
        stream_writer_free(other);
        wait_for(&world, &outcome);
    }
    close_world(&world);
}

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_have_their_parents_ranges),
        cmocka_unit_test(sequence_numbers_of_children_are_higher),
        cmocka_unit_test(a_reader_hears_the_end),
        cmocka_unit_test(what_is_gone_from_a_closed_shard_is_skipped),
        cmocka_unit_test(the_order_of_each_key_is_kept),
        cmocka_unit_test(writers_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
