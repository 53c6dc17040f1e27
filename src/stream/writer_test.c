/* The whole of it with its threads: a producer and a consumer loop around a running log. */
#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/file.h"
#include "stream/stream.h"
#include "stream/test_producer.h"

struct world {
    char directory[32];
    struct stream_log *log;
    struct stream *stream;
    struct loop *loop; /* of the test: producer and, unless told otherwise, consumer */
    struct stream_writer *writer;
    struct sink *sink;
    struct sink_gate *gate;
    struct sink_gate_listener listener;
    uint64_t tickets_seen, rooms;
    int last_status;
    unsigned to_push; /* more records that on_commit pushes */
    struct timer deadline;
};

static void on_deadline(struct timer *timer) {
    fail_msg("nothing happened in time");
}

static void on_commit(struct sink_gate_listener *listener, uint64_t ticket, int status) {
    struct world *world = CONTAINER_OF(listener, struct world, listener);
    assert_int_equal(ticket, world->tickets_seen + 1);
    world->tickets_seen = ticket;
    world->last_status = status;
    if (world->to_push) {
        struct record record = {.partition_key = STR("again"), .data = STR("again")};
        world->to_push--;
        assert_int_equal(sink_push(world->sink, &record), 0);
    }
}

static void on_room(struct sink_gate_listener *listener) {
    CONTAINER_OF(listener, struct world, listener)->rooms++;
}

static void open_world(struct world *world, const struct stream_log_config *with,
                       const struct stream_config *stream) {
    struct err err = {0};
    struct stream_log_config config = *with;
    strcpy(world->directory, "/tmp/weir-stream-XXXXXX");
    assert_non_null(mkdtemp(world->directory));
    config.directory = world->directory;
    assert_int_equal(stream_log_open(&config, &world->log, &err), 0);
    assert_int_equal(stream_open(world->log, stream, &world->stream, &err), 0);
    world->loop = loop_new();
    world->writer = stream_writer_new(world->log, world->loop);
    struct sink_resolver *resolver = stream_writer_resolver(world->writer);
    enum sink_kind kind = stream->kind == STREAM_DATA ? SINK_STREAM : SINK_DELIVERY;
    world->sink = resolver->find(resolver, kind, str_of(stream->name));
    assert_non_null(world->sink);
    world->gate = stream_writer_gate(world->writer);
    world->listener.on_commit = on_commit;
    world->listener.on_room = on_room;
    sink_gate_listen(world->gate, &world->listener);
    timer_start(world->loop, &world->deadline, 60000, 0, on_deadline);
}

static void turn(struct world *world) {
    uv_run(loop_uv(world->loop), UV_RUN_ONCE);
}

static void run_until_idle(struct world *world) {
    while (!stream_writer_idle(world->writer))
        turn(world);
}

static void close_world(struct world *world) {
    run_until_idle(world);
    stream_writer_free(world->writer);
    timer_close(&world->deadline, NULL);
    loop_free(world->loop);
    stream_log_close(world->log);
    file_remove_tree(world->directory, NULL);
}

static const struct stream_config one_shard = {.name = "s", .kind = STREAM_DATA, .shard_count = 1};

static int push(struct world *world, struct str key, struct str data) {
    struct record record = {.partition_key = key, .data = data};
    return sink_push(world->sink, &record);
}

/* ---- writing ---- */

static void tickets_commit_in_order(void **state) {
    struct world world = {0};
    open_world(&world, &(struct stream_log_config){0}, &one_shard);
    for (uint64_t i = 1; i <= 50; i++) {
        assert_int_equal(sink_gate_ticket(world.gate), i);
        assert_int_equal(push(&world, STR("k"), STR("v")), 0);
        assert_int_equal(push(&world, STR("k"), STR("w")), 0);
        assert_false(stream_writer_idle(world.writer));
        while (sink_gate_ticket(world.gate) == i)
            turn(&world);
    }
    run_until_idle(&world);
    assert_int_equal(world.tickets_seen, 50);
    assert_int_equal(world.last_status, 0);
    close_world(&world);
}

static void a_commit_may_push_again(void **state) {
    struct world world = {.to_push = 20};
    open_world(&world, &(struct stream_log_config){0}, &one_shard);
    assert_int_equal(push(&world, STR("k"), STR("v")), 0);
    run_until_idle(&world);
    assert_int_equal(world.tickets_seen, 21);
    close_world(&world);
}

struct late_hook {
    struct turn_hook hook;
    struct world *world;
    bool done;
};

static void on_late_hook(struct turn_hook *hook) {
    struct late_hook *late = CONTAINER_OF(hook, struct late_hook, hook);
    if (!late->done)
        assert_int_equal(push(late->world, STR("k"), STR("late")), 0);
    late->done = true;
}

static void a_push_from_a_later_hook_is_not_left_behind(void **state) {
    struct world world = {0};
    open_world(&world, &(struct stream_log_config){0}, &one_shard);
    timer_stop(&world.deadline);
    struct late_hook late = {.hook.run = on_late_hook, .world = &world};
    loop_hook_add(world.loop, &late.hook);
    uv_run(loop_uv(world.loop), UV_RUN_NOWAIT);
    run_until_idle(&world);
    assert_int_equal(world.tickets_seen, 1);
    loop_hook_remove(&late.hook);
    close_world(&world);
}

static void records_out_of_bounds_are_refused(void **state) {
    struct world world = {0};
    open_world(&world, &(struct stream_log_config){0}, &one_shard);
    char *big = xcalloc(1, RECORD_BYTES_MAX + 1);
    assert_int_equal(push(&world, STR(""), STR("v")), ERR_INVALID);
    assert_int_equal(push(&world, str_from(big, RECORD_KEY_BYTES_MAX + 1), STR("v")), ERR_INVALID);
    assert_int_equal(push(&world, STR("k"), str_from(big, RECORD_BYTES_MAX)), ERR_TOO_LARGE);
    struct record record = {STR("k"), STR("12x"), STR("v")};
    assert_int_equal(sink_push(world.sink, &record), ERR_INVALID);
    assert_true(stream_writer_idle(world.writer));
    assert_int_equal(push(&world, STR("k"), str_from(big, RECORD_BYTES_MAX - 1)), 0);
    assert_int_equal(push(&world, STR("k"), STR("")), 0);
    run_until_idle(&world);
    assert_int_equal(world.last_status, 0);
    free(big);
    close_world(&world);
}

static void unknown_targets_have_no_sink(void **state) {
    struct world world = {0};
    open_world(&world, &(struct stream_log_config){0}, &one_shard);
    struct sink_resolver *resolver = stream_writer_resolver(world.writer);
    assert_null(resolver->find(resolver, SINK_STREAM, STR("other")));
    assert_null(resolver->find(resolver, SINK_DELIVERY, STR("s")));
    assert_ptr_equal(resolver->find(resolver, SINK_STREAM, STR("s")), world.sink);
    assert_string_equal(world.sink->name, "kinesis s");
    close_world(&world);
}

static void a_full_gate_reports_room(void **state) {
    struct world world = {0};
    open_world(&world, &(struct stream_log_config){.staging_bytes_max = 10000}, &one_shard);
    char data[3000] = {0};
    for (int i = 0; i < 3; i++) {
        assert_true(sink_gate_has_room(world.gate));
        push(&world, STR("k"), str_from(data, sizeof data));
    }
    assert_true(sink_gate_has_room(world.gate));
    push(&world, STR("k"), str_from(data, sizeof data));
    assert_false(sink_gate_has_room(world.gate));
    run_until_idle(&world);
    assert_int_equal(world.rooms, 1);
    assert_true(sink_gate_has_room(world.gate));
    close_world(&world);
}

static void a_full_delivery_stream_refuses_until_released(void **state) {
    struct world world = {0};
    struct stream_config config = {
        .name = "d", .kind = STREAM_DELIVERY, .shard_count = 1, .bytes_max = 300000};
    open_world(&world, &(struct stream_log_config){0}, &config);
    char data[10000] = {0};
    unsigned pushed = 0;
    int status;
    while ((status = push(&world, STR(""), str_from(data, sizeof data))) == 0) {
        pushed++;
        assert_true(pushed < 100);
        run_until_idle(&world);
    }
    assert_int_equal(status, ERR_NO_SPACE);
    assert_true(pushed >= 28);
    stream_release(world.stream, 0, pushed);
    for (int i = 0; i < 5000 && status; i++) {
        usleep(1000);
        status = push(&world, STR(""), str_from(data, sizeof data));
    }
    assert_int_equal(status, 0);
    run_until_idle(&world);
    assert_int_equal(world.last_status, 0);
    close_world(&world);
}

/* ---- reading ---- */

struct consumer {
    struct world *world;
    struct stream_reader *reader;
    uint64_t records, bytes, readies;
    uint64_t next[64];
    bool in_call;
};

static void drain(struct consumer *consumer, unsigned shard) {
    struct stream_batch batch;
    int status;
    consumer->in_call = true;
    while ((status = stream_reader_next(consumer->reader, 100, 1 << 20, &batch)) == 0)
        for (size_t i = 0; i < batch.count; i++) {
            assert_int_equal(batch.records[i].counter, consumer->next[shard]++);
            consumer->records++;
            consumer->bytes += batch.records[i].data.len;
        }
    assert_int_equal(status, ERR_AGAIN);
    consumer->in_call = false;
}

static void on_ready(struct stream_reader *reader, void *data) {
    struct consumer *consumer = data;
    assert_false(consumer->in_call);
    consumer->readies++;
    drain(consumer, 0);
}

static void open_reader(struct consumer *consumer, enum stream_from from) {
    struct err err;
    struct stream_position position = {.from = from};
    consumer->in_call = true;
    assert_int_equal(stream_reader_open(consumer->world->stream, 0, consumer->world->loop,
                                        &position, on_ready, consumer, &consumer->reader, &err),
                     0);
    consumer->in_call = false;
}

static void a_reader_is_woken_for_each_commit(void **state) {
    struct world world = {0};
    struct consumer consumer = {.world = &world};
    open_world(&world, &(struct stream_log_config){0}, &one_shard);
    open_reader(&consumer, STREAM_TRIM_HORIZON);
    drain(&consumer, 0);
    for (unsigned i = 1; i <= 100; i++) {
        assert_int_equal(push(&world, STR("k"), STR("value")), 0);
        while (consumer.records < i)
            turn(&world);
    }
    assert_int_equal(consumer.bytes, 500);
    assert_int_equal(stream_reader_counter(consumer.reader), 100);
    assert_int_equal(stream_reader_skipped(consumer.reader), 0);
    stream_reader_close(consumer.reader);
    close_world(&world);
}

static void latest_is_where_the_stream_stood_at_open(void **state) {
    struct world world = {0};
    struct consumer consumer = {.world = &world};
    open_world(&world, &(struct stream_log_config){0}, &one_shard);
    for (int i = 0; i < 5; i++)
        push(&world, STR("k"), STR("before"));
    run_until_idle(&world);
    open_reader(&consumer, STREAM_LATEST);
    consumer.next[0] = 5;
    push(&world, STR("k"), STR("after"));
    run_until_idle(&world);
    drain(&consumer, 0);
    assert_int_equal(consumer.records, 1);
    assert_int_equal(consumer.bytes, 5);
    uint64_t records, behind_ms;
    stream_reader_lag(consumer.reader, &records, &behind_ms);
    assert_int_equal(records, 0);
    assert_int_equal(behind_ms, 0);
    stream_reader_seek(consumer.reader, 2);
    stream_reader_lag(consumer.reader, &records, &behind_ms);
    assert_int_equal(records, 4);
    stream_reader_close(consumer.reader);
    close_world(&world);
}

static void closing_a_reader_at_any_time_is_safe(void **state) {
    struct world world = {0};
    open_world(&world, &(struct stream_log_config){0}, &one_shard);
    for (unsigned i = 0; i < 200; i++) {
        struct consumer consumer = {.world = &world};
        open_reader(&consumer, STREAM_LATEST);
        consumer.next[0] = stream_reader_counter(consumer.reader);
        push(&world, STR("k"), STR("v"));
        if (i % 3)
            drain(&consumer, 0);
        if (i % 2)
            turn(&world);
        stream_reader_close(consumer.reader);
    }
    stream_reader_close(NULL);
    close_world(&world);
}

/* Producers on loops of their own, consumers on another: all arrives, in order, once. */

enum { PRODUCERS = 3, SHARDS = 4, EACH = 20000 };

struct order {
    struct consumer consumer;
    unsigned shard;
    uint64_t seen[PRODUCERS]; /* next number that may come, per producer */
    uint64_t *total;
};

static void on_order_ready(struct stream_reader *reader, void *data) {
    struct order *order = data;
    struct stream_batch batch;
    while (stream_reader_next(reader, 1000, 1 << 16, &batch) == 0)
        for (size_t i = 0; i < batch.count; i++) {
            unsigned producer, number;
            char text[64] = {0};
            memcpy(text, batch.records[i].data.at, batch.records[i].data.len);
            assert_int_equal(sscanf(text, "%u %u", &producer, &number), 2);
            assert_true(number >= order->seen[producer]);
            order->seen[producer] = number + 1;
            ++*order->total;
        }
}

static void many_threads_keep_the_order_of_each(void **state) {
    struct world world = {0};
    struct stream_config config = {.name = "s", .kind = STREAM_DATA, .shard_count = SHARDS};
    open_world(&world,
               &(struct stream_log_config){.segment_bytes_max = 200000, .staging_bytes_max = 50000},
               &config);
    uint64_t total = 0;
    struct order orders[SHARDS];
    memset(orders, 0, sizeof orders);
    for (unsigned i = 0; i < SHARDS; i++) {
        orders[i].total = &total;
        struct err err;
        struct stream_position position = {.from = STREAM_TRIM_HORIZON};
        assert_int_equal(stream_reader_open(world.stream, i, world.loop, &position, on_order_ready,
                                            &orders[i], &orders[i].consumer.reader, &err),
                         0);
        on_order_ready(orders[i].consumer.reader, &orders[i]);
    }
    struct producer producers[PRODUCERS];
    for (unsigned i = 0; i < PRODUCERS; i++)
        producer_start(&producers[i], world.log, i, EACH, 100);
    while (total < PRODUCERS * EACH)
        turn(&world);
    for (unsigned i = 0; i < PRODUCERS; i++)
        producer_stop(&producers[i]);
    assert_int_equal(total, PRODUCERS * EACH);
    for (unsigned i = 0; i < SHARDS; i++) {
        assert_int_equal(stream_reader_skipped(orders[i].consumer.reader), 0);
        stream_reader_close(orders[i].consumer.reader);
    }
    close_world(&world);
}

/* ---- the directory ---- */

static void a_directory_is_open_once(void **state) {
    struct world world = {0};
    open_world(&world, &(struct stream_log_config){0}, &one_shard);
    struct stream_log_config config = {.directory = world.directory};
    struct stream_log *second;
    struct stream *stream;
    struct err err;
    assert_int_equal(stream_log_open(&config, &second, &err), ERR_DENIED);
    assert_int_equal(stream_open(world.log, &one_shard, &stream, &err), ERR_EXISTS);
    assert_ptr_equal(stream_find(world.log, STREAM_DATA, STR("s")), world.stream);
    close_world(&world);
}

static void bad_streams_are_refused(void **state) {
    struct world world = {0};
    open_world(&world, &(struct stream_log_config){0}, &one_shard);
    const char *names[] = {"", ".", "..", "a/b", "a b", "\xc3\xa4"};
    struct stream *stream;
    struct err err;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct stream_config config = {.name = names[i], .shard_count = 1};
        assert_int_equal(stream_open(world.log, &config, &stream, &err), ERR_INVALID);
    }
    struct stream_config config = {.name = "n", .shard_count = 0};
    assert_int_equal(stream_open(world.log, &config, &stream, &err), ERR_INVALID);
    config.shard_count = 10001;
    assert_int_equal(stream_open(world.log, &config, &stream, &err), ERR_INVALID);
    close_world(&world);
}

static void sync_may_be_left_to_an_interval(void **state) {
    struct world world = {0};
    struct stream_log_config config = {.sync = STREAM_SYNC_INTERVAL, .sync_interval_ms = 5};
    open_world(&world, &config, &one_shard);
    for (int i = 0; i < 20; i++) {
        push(&world, STR("k"), STR("v"));
        run_until_idle(&world);
        usleep(2000);
    }
    assert_int_equal(world.tickets_seen, 20);
    assert_int_equal(world.last_status, 0);
    close_world(&world);
}

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tickets_commit_in_order),
        cmocka_unit_test(a_commit_may_push_again),
        cmocka_unit_test(a_push_from_a_later_hook_is_not_left_behind),
        cmocka_unit_test(records_out_of_bounds_are_refused),
        cmocka_unit_test(unknown_targets_have_no_sink),
        cmocka_unit_test(a_full_gate_reports_room),
        cmocka_unit_test(a_full_delivery_stream_refuses_until_released),
        cmocka_unit_test(a_reader_is_woken_for_each_commit),
        cmocka_unit_test(latest_is_where_the_stream_stood_at_open),
        cmocka_unit_test(closing_a_reader_at_any_time_is_safe),
        cmocka_unit_test(many_threads_keep_the_order_of_each),
        cmocka_unit_test(a_directory_is_open_once),
        cmocka_unit_test(bad_streams_are_refused),
        cmocka_unit_test(sync_may_be_left_to_an_interval),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
