/* Making, deleting and changing streams while they run; receipts. */
#include "stream/world_test.h"

#include <unistd.h>

#include "stream/log.h"

static bool directory_is_there(const struct world *world, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/streams/%s", world->directory, name);
    return access(path, F_OK) == 0;
}

/* ---- making and deleting ---- */

static void add_name(void *data, struct stream *stream) {
    strcat(data, stream_name(stream));
}

static void a_stream_is_made_and_found_again(void **state) {
    struct world world;
    char names[16] = "";
    open_world(&world);
    assert_null(find(&world, "b"));
    struct stream *stream = create(&world, "b", 3);
    create(&world, "c", 1);
    create(&world, "a", 1);
    assert_string_equal(stream_name(stream), "b");
    assert_ptr_equal(stream_find(world.log, STREAM_DATA, STR("b")), stream);
    assert_int_equal(stream_shard_count(stream), 3);
    assert_int_equal(stream_retention_ms(stream), 3600000);
    stream_each(world.log, add_name, names);
    assert_string_equal(names, "abc");
    assert_int_equal(push(find(&world, "b"), "k", "v"), 0);
    uint64_t created_s = stream_created_s(stream);
    open_again(&world);
    stream = stream_find(world.log, STREAM_DATA, STR("b"));
    assert_non_null(stream);
    assert_int_equal(stream_created_s(stream), created_s);
    assert_int_equal(stream_retention_ms(stream), 3600000);
    close_world(&world);
}

static void a_name_is_taken_from_the_beginning(void **state) {
    struct world world;
    struct err err;
    struct outcome outcome = {0};
    struct stream_config config = {.name = "s", .shard_count = 1};
    open_world(&world);
    assert_int_equal(stream_create(world.log, world.loop, &config, on_done, &outcome, &err), 0);
    assert_null(stream_find(world.log, STREAM_DATA, STR("s")));
    assert_int_equal(stream_create(world.log, world.loop, &config, on_done, NULL, &err),
                     ERR_EXISTS);
    wait_for(&world, &outcome);
    assert_int_equal(stream_create(world.log, world.loop, &config, on_done, NULL, &err),
                     ERR_EXISTS);
    config.name = "a/b";
    assert_int_equal(stream_create(world.log, world.loop, &config, on_done, NULL, &err),
                     ERR_INVALID);
    close_world(&world);
}

static void a_stream_that_cannot_be_made_is_not_there(void **state) {
    struct world world;
    struct err err;
    struct outcome outcome = {0};
    char path[64];
    struct stream_config config = {.name = "s", .shard_count = 1};
    open_world(&world);
    snprintf(path, sizeof path, "%s/streams/s", world.directory);
    assert_int_equal(symlink("/dev/null/nowhere", path), 0);
    log_setup((enum log_level)(LOG_ERROR + 1), LOG_TEXT);
    assert_int_equal(stream_create(world.log, world.loop, &config, on_done, &outcome, &err), 0);
    while (!outcome.done)
        turn(&world);
    log_setup(LOG_ERROR, LOG_TEXT);
    assert_int_equal(outcome.status, ERR_IO);
    assert_null(outcome.stream);
    unlink(path);
    assert_non_null(create(&world, "s", 1));
    close_world(&world);
}

static void a_deleted_stream_takes_nothing(void **state) {
    struct world world;
    open_world(&world);
    struct stream *stream = create(&world, "s", 2);
    uint64_t created_s = stream_created_s(stream);
    struct sink *sink = find(&world, "s");
    stream_ref(stream);
    assert_int_equal(push(sink, "k", "old"), 0);
    struct outcome outcome = {0};
    assert_int_equal(stream_delete(stream, world.loop, on_done, &outcome), 0);
    assert_true(stream_is_deleted(stream));
    assert_null(stream_find(world.log, STREAM_DATA, STR("s")));
    assert_int_equal(stream_delete(stream, world.loop, on_done, NULL), ERR_NOT_FOUND);
    wait_for(&world, &outcome);
    assert_int_equal(push(sink, "k", "v"), ERR_NOT_FOUND);
    assert_null(find(&world, "s"));
    assert_false(directory_is_there(&world, "s"));
    struct stream_receipt receipt;
    struct record record = {.partition_key = STR("k")};
    assert_int_equal(stream_writer_put(world.writer, stream, &record, &receipt), ERR_NOT_FOUND);

    struct stream *again = create(&world, "s", 1);
    assert_ptr_not_equal(again, stream);
    assert_true(stream_created_s(again) > created_s);
    assert_int_equal(stream_writer_put(world.writer, stream, &record, &receipt), ERR_NOT_FOUND);
    assert_int_equal(push(sink, "k", "v"), ERR_NOT_FOUND);
    assert_ptr_not_equal(find(&world, "s"), sink);
    stream_unref(stream);
    assert_int_equal(push(find(&world, "s"), "k", "v"), 0);
    run_until_idle(&world);
    struct stream_shard_info info;
    stream_shard_get(again, 0, &info);
    assert_int_equal(info.next_counter, 1);
    close_world(&world);
}

/* As if the process had ended between the two steps of a deletion. */
static void count_deleted(void *data) {
    struct world *world = data;
    world->count = 0;
    LIST_EACH(item, &world->log->deleted) {
        world->count++;
    }
}

static unsigned deleted_streams(struct world *world) {
    loop_call(world->log->thread.loop, count_deleted, world);
    return world->count;
}

/* Its memory goes with the last one who holds it. */
static void a_deleted_stream_is_freed(void **state) {
    struct world world;
    struct stream_reader *reader;
    struct err err;
    int woken = 0;
    open_world(&world);
    for (int i = 0; i < 20; i++)
        delete_stream(&world, create(&world, "s", 4));
    while (deleted_streams(&world))
        turn_briefly(&world);
    struct stream *stream = create(&world, "s", 2);
    const struct stream_position position = {.from = STREAM_TRIM_HORIZON};
    assert_int_equal(
        stream_reader_open(stream, 1, world.loop, &position, on_ready, &woken, &reader, &err), 0);
    stream_ref(stream);
    delete_stream(&world, stream);
    assert_int_equal(deleted_streams(&world), 1);
    stream_unref(stream);
    assert_int_equal(deleted_streams(&world), 1);
    assert_string_equal(stream_name(stream), "s");
    stream_reader_close(reader);
    while (deleted_streams(&world))
        turn_briefly(&world);
    close_world(&world);
}

static void a_deletion_is_finished_by_the_next_start(void **state) {
    struct world world;
    char path[128], command[256];
    open_world(&world);
    create(&world, "s", 1);
    push(find(&world, "s"), "k", "v");
    run_until_idle(&world);
    snprintf(path, sizeof path, "%s/streams/s/stream.meta", world.directory);
    snprintf(command, sizeof command, "sed -i 's/state active/state deleting/' %s", path);
    assert_int_equal(system(command), 0);
    open_again(&world);
    assert_null(stream_find(world.log, STREAM_DATA, STR("s")));
    assert_false(directory_is_there(&world, "s"));
    close_world(&world);
}

static void retention_is_changed_and_kept(void **state) {
    struct world world;
    open_world(&world);
    struct stream *stream = create(&world, "s", 1);
    struct outcome outcome = {0};
    assert_int_equal(stream_set_retention(stream, world.loop, 7200000, on_done, &outcome), 0);
    assert_true(stream_log_changing(world.log));
    assert_int_equal(stream_set_retention(stream, world.loop, 1, on_done, NULL), ERR_FULL);
    wait_for(&world, &outcome);
    assert_false(stream_log_changing(world.log));
    assert_int_equal(stream_retention_ms(stream), 7200000);
    open_again(&world);
    assert_int_equal(stream_retention_ms(stream_find(world.log, STREAM_DATA, STR("s"))), 7200000);
    close_world(&world);
}

/* ---- receipts ---- */

static void receipts_tell_the_place(void **state) {
    struct world world;
    struct stream_receipt receipts[6];
    open_world(&world);
    struct stream *stream = create(&world, "s", 2);
    const char *const high = "340282366920938463463374607431768211455";
    assert_int_equal(put(&world, stream, "x", &receipts[0]), ERR_INVALID);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(put(&world, stream, i % 2 ? high : "0", &receipts[i]), 0);
        assert_int_equal(receipts[i].shard, i % 2);
        assert_int_equal(receipts[i].ticket, sink_gate_ticket(stream_writer_gate(world.writer)));
    }
    run_until_idle(&world);
    assert_int_equal(push(find(&world, "s"), "k", "between"), 0);
    assert_int_equal(put(&world, stream, "0", &receipts[4]), 0);
    assert_int_equal(put(&world, stream, high, &receipts[5]), 0);
    run_until_idle(&world);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(receipts[i].status, 0);
        assert_false(list_linked(&receipts[i].link));
        assert_true(receipts[i].arrival_ms > UINT64_C(1600000000000));
    }
    assert_int_equal(receipts[0].counter, 0);
    assert_int_equal(receipts[1].counter, 0);
    assert_int_equal(receipts[2].counter, 1);
    assert_int_equal(receipts[3].counter, 1);
    assert_int_equal(receipts[4].counter + receipts[5].counter, 5);
    close_world(&world);
}

static void readers_of_a_deleted_stream_hear_it(void **state) {
    struct world world;
    struct stream_reader *reader, *other;
    struct stream_batch batch;
    struct err err;
    int woken = 0;
    open_world(&world);
    struct stream *stream = create(&world, "s", 1);
    push(find(&world, "s"), "k", "v");
    run_until_idle(&world);
    struct stream_position latest = {.from = STREAM_LATEST};
    assert_int_equal(
        stream_reader_open(stream, 0, world.loop, &latest, on_ready, &woken, &reader, &err), 0);
    assert_int_equal(stream_reader_next(reader, 10, 1000, &batch), ERR_AGAIN);
    delete_stream(&world, stream);
    while (!woken)
        turn(&world);
    stream_reader_seek(reader, 0);
    assert_int_equal(stream_reader_next(reader, 10, 1000, &batch), ERR_CLOSED);
    assert_int_equal(
        stream_reader_open(stream, 0, world.loop, &latest, on_ready, &woken, &other, &err),
        ERR_NOT_FOUND);
    stream_reader_close(reader);
    close_world(&world);
}

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_made_and_found_again),
        cmocka_unit_test(a_name_is_taken_from_the_beginning),
        cmocka_unit_test(a_stream_that_cannot_be_made_is_not_there),
        cmocka_unit_test(a_deleted_stream_takes_nothing),
        cmocka_unit_test(a_deletion_is_finished_by_the_next_start),
        cmocka_unit_test(retention_is_changed_and_kept),
        cmocka_unit_test(a_deleted_stream_is_freed),
        cmocka_unit_test(receipts_tell_the_place),
        cmocka_unit_test(readers_of_a_deleted_stream_hear_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
