/* How tickets wait for engines beside the log: with an engine whose answers the test gives, on the
 * writer's own loop. */
#include "stream/engine.h"

#include "stream/log.h"
#include "stream/world_test.h"

enum { BATCHES_MAX = 8 };

struct fake {
    struct stream_engine engine;
    struct engine_batch *batches[BATCHES_MAX]; /* as they came */
    unsigned count;
};

static void submit(struct stream_engine *engine, struct engine_batch *batch) {
    struct fake *fake = CONTAINER_OF(engine, struct fake, engine);
    assert_true(fake->count < BATCHES_MAX);
    fake->batches[fake->count++] = batch;
}

static void shard_get(const struct stream *stream, unsigned shard, struct stream_shard_info *info) {
}

static const struct engine_ops fake_ops = {.name = "fake",
                                           .writer_picks = true,
                                           .unchanged = "it is a test's",
                                           .shard_get = shard_get,
                                           .submit = submit};

/* One that places records itself. */
static const struct engine_ops placing_ops = {
    .name = "placing", .shard_get = shard_get, .submit = submit};

struct heard {
    struct sink_gate_listener listener;
    unsigned rooms;
    uint64_t tickets[BATCHES_MAX];
    int statuses[BATCHES_MAX];
    unsigned count;
};

static void on_commit(struct sink_gate_listener *listener, uint64_t ticket, int status) {
    struct heard *heard = CONTAINER_OF(listener, struct heard, listener);
    heard->tickets[heard->count] = ticket;
    heard->statuses[heard->count++] = status;
}

static void on_room(struct sink_gate_listener *listener) {
    CONTAINER_OF(listener, struct heard, listener)->rooms++;
}

struct bench {
    struct world world;
    struct fake fake, other, buffer;
    struct stream *far, *near;
    struct heard heard;
};

static struct stream *add_far(struct bench *bench, struct fake *fake, const struct engine_ops *ops,
                              const char *name, enum stream_kind kind) {
    struct stream_config config = {
        .name = name, .kind = kind, .shard_count = 4, .retention_ms = 3600000};
    struct stream *stream = stream_new(bench->world.log, &config);
    struct meta meta;
    meta_make(&meta, kind, 4);
    stream->layout = layout_new(&meta, NULL);
    stream->ops = ops;
    stream->engine = &fake->engine;
    fake->engine = (struct stream_engine){.ops = ops, .stream = stream, .loop = bench->world.loop};
    stream_add(stream);
    return stream;
}

static void set_up(struct bench *bench) {
    struct err err;
    struct stream_config near = {.name = "near", .shard_count = 1, .retention_ms = 3600000};
    *bench = (struct bench){.world.directory = "/tmp/weir-stream-XXXXXX"};
    assert_non_null(mkdtemp(bench->world.directory));
    open_parts(&bench->world);
    bench->far = add_far(bench, &bench->fake, &fake_ops, "far", STREAM_DATA);
    add_far(bench, &bench->other, &placing_ops, "other", STREAM_DATA);
    add_far(bench, &bench->buffer, &fake_ops, "buffer", STREAM_DELIVERY);
    assert_int_equal(stream_open(bench->world.log, &near, &bench->near, &err), 0);
    bench->world.writer = stream_writer_new(bench->world.log, bench->world.loop);
    bench->heard.listener.on_commit = on_commit;
    bench->heard.listener.on_room = on_room;
    sink_gate_listen(stream_writer_gate(bench->world.writer), &bench->heard.listener);
}

static void wait_for_batches(struct bench *bench, unsigned count) {
    while (bench->fake.count < count)
        turn(&bench->world);
}

static void wait_for_tickets(struct bench *bench, unsigned count) {
    while (bench->heard.count < count)
        turn(&bench->world);
}

/* Gives a batch home; its records get counters from `first` on. */
static void answer_of(struct fake *fake, unsigned number, int status, uint64_t first) {
    struct engine_batch *batch = fake->batches[number];
    size_t count = batch->count;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(engine_record_settle(&batch->records[i], status, first + i, 1000),
                         i + 1 == count);
}

static void answer(struct bench *bench, unsigned number, int status, uint64_t first) {
    answer_of(&bench->fake, number, status, first);
}

static void test_a_ticket_waits_for_the_log_and_all_engines(void **state) {
    struct bench bench;
    set_up(&bench);
    push(find(&bench.world, "near"), "k", "near");
    push(find(&bench.world, "far"), "k", "far");
    wait_for_batches(&bench, 1);
    struct stream_shard_info info = {0};
    while (info.next_counter == 0) { /* The log has its part. */
        turn(&bench.world);
        stream_shard_get(bench.near, 0, &info);
    }
    for (int i = 0; i < 3; i++)
        uv_run(loop_uv(bench.world.loop), UV_RUN_NOWAIT);
    assert_int_equal(bench.heard.count, 0);
    assert_false(stream_writer_idle(bench.world.writer));
    answer(&bench, 0, 0, 0);
    wait_for_tickets(&bench, 1);
    assert_int_equal(bench.heard.statuses[0], 0);
    assert_true(stream_writer_idle(bench.world.writer));
    close_world(&bench.world);
}

static void test_tickets_commit_in_their_order(void **state) {
    struct bench bench;
    set_up(&bench);
    struct sink *far = find(&bench.world, "far"), *near = find(&bench.world, "near");
    push(far, "k", "first");
    wait_for_batches(&bench, 1);
    push(far, "k", "second");
    wait_for_batches(&bench, 2);
    push(near, "k", "third");
    answer(&bench, 1, ERR_IO, 0);
    for (int i = 0; i < 20; i++)
        uv_run(loop_uv(bench.world.loop), UV_RUN_NOWAIT);
    assert_int_equal(bench.heard.count, 0);
    answer(&bench, 0, 0, 0);
    wait_for_tickets(&bench, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(bench.heard.tickets[i], i + 1);
        assert_int_equal(bench.heard.statuses[i], i == 1 ? ERR_IO : 0);
    }
    close_world(&bench.world);
}

static void test_one_record_that_failed_fails_its_ticket_but_not_its_neighbours(void **state) {
    struct bench bench;
    struct stream_receipt receipts[3];
    set_up(&bench);
    for (int i = 0; i < 3; i++)
        assert_int_equal(put(&bench.world, bench.far, "0", &receipts[i]), 0);
    wait_for_batches(&bench, 1);
    struct engine_batch *batch = bench.fake.batches[0];
    assert_int_equal(batch->count, 3);
    assert_false(engine_record_settle(&batch->records[0], 0, 70, 1000));
    assert_false(engine_record_settle(&batch->records[2], 0, 71, 1001));
    assert_true(engine_record_settle(&batch->records[1], ERR_IO, 0, 0));
    wait_for_tickets(&bench, 1);
    assert_int_equal(bench.heard.statuses[0], ERR_IO);
    assert_int_equal(receipts[0].status, 0);
    assert_int_equal(receipts[0].counter, 70);
    assert_int_equal(receipts[1].status, ERR_IO);
    assert_int_equal(receipts[2].counter, 71);
    assert_int_equal(receipts[2].arrival_ms, 1001);
    close_world(&bench.world);
}

/* Which of a ticket's parts failed, and which came home last, makes no difference. */
static void test_a_ticket_fails_with_any_of_its_parts(void **state) {
    for (int first = 0; first < 2; first++)
        for (int failed = 0; failed < 2; failed++) {
            struct bench bench;
            set_up(&bench);
            struct fake *fakes[] = {&bench.fake, &bench.other};
            push(find(&bench.world, "near"), "k", "near");
            push(find(&bench.world, "far"), "k", "far");
            push(find(&bench.world, "other"), "k", "other");
            while (!bench.fake.count || !bench.other.count)
                turn(&bench.world);
            answer_of(fakes[first], 0, first == failed ? ERR_IO : 0, 0);
            for (int i = 0; i < 3; i++)
                turn_briefly(&bench.world);
            answer_of(fakes[!first], 0, first == failed ? 0 : ERR_IO, 0);
            wait_for_tickets(&bench, 1);
            assert_int_equal(bench.heard.statuses[0], ERR_IO);
            close_world(&bench.world);
        }
}

/* A receipt is good when its own ticket has committed, and not before. */
static void test_receipts_wait_for_their_ticket(void **state) {
    struct bench bench;
    struct stream_receipt receipts[2];
    set_up(&bench);
    assert_int_equal(put(&bench.world, bench.far, "0", &receipts[0]), 0);
    wait_for_batches(&bench, 1);
    assert_int_equal(put(&bench.world, bench.other.engine.stream, "0", &receipts[1]), 0);
    while (!bench.other.count)
        turn(&bench.world);
    answer(&bench, 0, 0, 0);
    wait_for_tickets(&bench, 1);
    assert_int_equal(receipts[0].status, 0);
    assert_false(list_linked(&receipts[0].link));
    assert_true(list_linked(&receipts[1].link));
    answer_of(&bench.other, 0, ERR_IO, 0);
    wait_for_tickets(&bench, 2);
    assert_int_equal(receipts[1].status, ERR_IO);
    assert_false(list_linked(&receipts[1].link));
    close_world(&bench.world);
}

static void test_a_hash_that_is_none_is_refused_by_every_engine(void **state) {
    struct bench bench;
    set_up(&bench);
    struct record record = {
        .partition_key = STR("k"), .explicit_hash_key = STR("12x"), .data = STR("data")};
    assert_int_equal(sink_push(find(&bench.world, "other"), &record), ERR_INVALID);
    record.explicit_hash_key = STR("340282366920938463463374607431768211456");
    assert_int_equal(sink_push(find(&bench.world, "other"), &record), ERR_INVALID);
    assert_true(stream_writer_idle(bench.world.writer));
    record.explicit_hash_key = STR("340282366920938463463374607431768211455");
    assert_int_equal(sink_push(find(&bench.world, "other"), &record), 0);
    while (!bench.other.count)
        turn(&bench.world);
    answer_of(&bench.other, 0, 0, 0);
    wait_for_tickets(&bench, 1);
    close_world(&bench.world);
}

/* So a buffer's shards fill evenly, and an object gets what came together. */
static void test_records_without_a_key_go_round_by_tickets(void **state) {
    struct bench bench;
    bool seen[4] = {false};
    set_up(&bench);
    struct sink_resolver *resolver = stream_writer_resolver(bench.world.writer);
    struct sink *sink = resolver->find(resolver, SINK_DELIVERY, STR("buffer"));
    for (unsigned i = 0; i < 4; i++) {
        push(sink, "", "a");
        push(sink, "", "b");
        while (bench.buffer.count <= i)
            turn(&bench.world);
        const struct engine_batch *batch = bench.buffer.batches[i];
        assert_int_equal(batch->count, 2);
        assert_int_equal(batch->records[0].shard, batch->records[1].shard);
        assert_false(seen[batch->records[0].shard]);
        seen[batch->records[0].shard] = true;
        answer_of(&bench.buffer, i, 0, 0);
    }
    wait_for_tickets(&bench, 4);
    close_world(&bench.world);
}

static void test_the_writer_picks_the_shard_and_copies_the_record(void **state) {
    struct bench bench;
    char data[] = "data", key[] = "340282366920938463463374607431768211455";
    set_up(&bench);
    struct record record = {
        .partition_key = STR("pump"), .explicit_hash_key = str_of(key), .data = str_of(data)};
    assert_int_equal(sink_push(find(&bench.world, "far"), &record), 0);
    memset(data, 'x', 4);
    memset(key, 'x', 4);
    wait_for_batches(&bench, 1);
    const struct engine_record *sent = &bench.fake.batches[0]->records[0];
    assert_int_equal(sent->shard, 3);
    assert_true(str_eq(engine_record_key(sent), STR("pump")));
    assert_true(str_eq(engine_record_data(sent), STR("data")));
    assert_true(str_eq(engine_record_hash(sent), STR("340282366920938463463374607431768211455")));
    answer(&bench, 0, 0, 0);
    wait_for_tickets(&bench, 1);
    record.explicit_hash_key = STR("no number");
    assert_int_equal(sink_push(find(&bench.world, "far"), &record), ERR_INVALID);
    close_world(&bench.world);
}

static void test_what_is_under_way_counts_against_the_bound(void **state) {
    struct bench bench;
    static char large[RECORD_BYTES_DEFAULT - 16];
    set_up(&bench);
    struct sink_gate *gate = stream_writer_gate(bench.world.writer);
    struct record record = {.partition_key = STR("k"), .data = str_from(large, sizeof large)};
    for (int i = 0; i < 7; i++)
        assert_int_equal(sink_push(find(&bench.world, "far"), &record), 0);
    assert_true(sink_gate_has_room(gate));
    for (int i = 0; i < 2; i++)
        assert_int_equal(sink_push(find(&bench.world, "far"), &record), 0);
    wait_for_batches(&bench, 1);
    assert_false(sink_gate_has_room(gate));
    answer(&bench, 0, 0, 0);
    wait_for_tickets(&bench, 1);
    assert_true(sink_gate_has_room(gate));
    close_world(&bench.world);
}

/* Who was stopped is not told to go on for one record, to be stopped by the next. */
static void test_there_is_room_again_when_half_is_free(void **state) {
    static char large[RECORD_BYTES_DEFAULT - 16];
    static const unsigned counts[] = {2, 2, 4};
    struct bench bench;
    set_up(&bench);
    struct sink_gate *gate = stream_writer_gate(bench.world.writer);
    struct record record = {.partition_key = STR("k"), .data = str_from(large, sizeof large)};
    for (unsigned i = 0; i < COUNT_OF(counts); i++) {
        for (unsigned j = 0; j < counts[i]; j++)
            assert_int_equal(sink_push(find(&bench.world, "far"), &record), 0);
        wait_for_batches(&bench, i + 1);
    }
    assert_int_equal(sink_push(find(&bench.world, "far"), &record), 0);
    assert_false(sink_gate_has_room(gate));
    wait_for_batches(&bench, 4);
    answer(&bench, 0, 0, 0);
    wait_for_tickets(&bench, 1);
    assert_int_equal(bench.heard.rooms, 0);
    for (unsigned i = 1; i < 4; i++)
        answer(&bench, i, 0, 0);
    wait_for_tickets(&bench, 4);
    assert_int_equal(bench.heard.rooms, 1);
    close_world(&bench.world);
}

static void test_what_another_machine_keeps_is_not_changed_here(void **state) {
    struct bench bench;
    struct err err;
    set_up(&bench);
    assert_int_equal(stream_split(bench.far, bench.world.loop, 0, 1000, on_done, NULL, &err),
                     ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "it is a test's"));
    assert_string_equal(stream_unchanged(bench.far), "it is a test's");
    assert_null(stream_unchanged(bench.near));
    assert_false(stream_is_shared(bench.far));
    close_world(&bench.world);
}

static void test_a_fresh_layout_is_taken_up(void **state) {
    struct bench bench;
    struct meta meta;
    set_up(&bench);
    assert_int_equal(stream_shard_count(bench.far), 4);
    for (unsigned shards = 5; shards < 7; shards++) {
        meta_make(&meta, STREAM_DATA, shards);
        engine_set_layout(&bench.fake.engine, layout_new(&meta, NULL));
    }
    assert_int_equal(stream_shard_count(bench.far), 6);
    close_world(&bench.world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_ticket_waits_for_the_log_and_all_engines),
        cmocka_unit_test(test_tickets_commit_in_their_order),
        cmocka_unit_test(test_one_record_that_failed_fails_its_ticket_but_not_its_neighbours),
        cmocka_unit_test(test_a_ticket_fails_with_any_of_its_parts),
        cmocka_unit_test(test_receipts_wait_for_their_ticket),
        cmocka_unit_test(test_a_hash_that_is_none_is_refused_by_every_engine),
        cmocka_unit_test(test_records_without_a_key_go_round_by_tickets),
        cmocka_unit_test(test_there_is_room_again_when_half_is_free),
        cmocka_unit_test(test_the_writer_picks_the_shard_and_copies_the_record),
        cmocka_unit_test(test_what_is_under_way_counts_against_the_bound),
        cmocka_unit_test(test_what_another_machine_keeps_is_not_changed_here),
        cmocka_unit_test(test_a_fresh_layout_is_taken_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
