/* Changes of streams while they run, with threads: a service loop (the test's own) that changes and
 * reads, and producers on loops of their own. */
#include "base/test.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/file.h"
#include "stream/stream.h"

#define KEY_MAX  (~(unsigned __int128)0)
#define KEY_HALF ((unsigned __int128)1 << 127)

struct world {
    char directory[32];
    struct stream_log *log;
    struct loop *loop;
    struct stream_writer *writer;
    struct timer deadline;
};

static void on_deadline(struct timer *timer) {
    fail_msg("nothing happened in time");
}

static void open_parts(struct world *world) {
    struct err err;
    struct stream_log_config config = {.directory = world->directory, .segment_bytes_max = 100000};
    assert_int_equal(stream_log_open(&config, &world->log, &err), 0);
    world->loop = loop_new();
    timer_start(world->loop, &world->deadline, 60000, 0, on_deadline);
}

static void open_world(struct world *world) {
    *world = (struct world){.directory = "/tmp/weir-stream-XXXXXX"};
    assert_non_null(mkdtemp(world->directory));
    open_parts(world);
    world->writer = stream_writer_new(world->log, world->loop);
}

static void turn(struct world *world) {
    uv_run(loop_uv(world->loop), UV_RUN_ONCE);
}

static void run_until_idle(struct world *world) {
    while (!stream_writer_idle(world->writer))
        turn(world);
}

static void close_parts(struct world *world) {
    run_until_idle(world);
    stream_writer_free(world->writer);
    timer_close(&world->deadline, NULL);
    loop_free(world->loop);
    stream_log_close(world->log);
}

static void close_world(struct world *world) {
    close_parts(world);
    file_remove_tree(world->directory, NULL);
}

static void open_again(struct world *world) {
    struct err err = {0};
    close_parts(world);
    world->deadline = (struct timer){0};
    open_parts(world);
    if (stream_open_rest(world->log, &err))
        fail_msg("%s", err.text);
    world->writer = stream_writer_new(world->log, world->loop);
}

/* ---- changes ---- */

struct outcome {
    bool done;
    int status;
    struct stream *stream;
};

static void on_done(void *data, int status, struct stream *stream) {
    *(struct outcome *)data = (struct outcome){true, status, stream};
}

static void wait_for(struct world *world, struct outcome *outcome) {
    assert_false(outcome->done);
    while (!outcome->done)
        turn(world);
    assert_int_equal(outcome->status, 0);
}

static struct stream *create(struct world *world, const char *name, int64_t shards) {
    struct err err = {0};
    struct outcome outcome = {0};
    char copy[32];
    snprintf(copy, sizeof copy, "%s", name);
    struct stream_config config = {.name = copy, .shard_count = shards, .retention_ms = 3600000};
    if (stream_create(world->log, world->loop, &config, on_done, &outcome, &err))
        fail_msg("%s", err.text);
    memset(copy, 0, sizeof copy);
    wait_for(world, &outcome);
    return outcome.stream;
}

static void split(struct world *world, struct stream *stream, unsigned shard,
                  unsigned __int128 key) {
    struct err err = {0};
    struct outcome outcome = {0};
    if (stream_split(stream, world->loop, shard, key, on_done, &outcome, &err))
        fail_msg("%s", err.text);
    wait_for(world, &outcome);
}

static void merge(struct world *world, struct stream *stream, unsigned shard, unsigned adjacent) {
    struct err err = {0};
    struct outcome outcome = {0};
    if (stream_merge(stream, world->loop, shard, adjacent, on_done, &outcome, &err))
        fail_msg("%s", err.text);
    wait_for(world, &outcome);
}

static void delete_stream(struct world *world, struct stream *stream) {
    struct outcome outcome = {0};
    assert_int_equal(stream_delete(stream, world->loop, on_done, &outcome), 0);
    wait_for(world, &outcome);
}

static struct sink *find(struct world *world, const char *name) {
    struct sink_resolver *resolver = stream_writer_resolver(world->writer);
    return resolver->find(resolver, SINK_STREAM, str_of(name));
}

static int push(struct sink *sink, const char *key, const char *data) {
    struct record record = {.partition_key = str_of(key), .data = str_of(data)};
    return sink_push(sink, &record);
}

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
    assert_int_equal(push(find(&world, "s"), "k", "v"), 0);
    run_until_idle(&world);
    struct stream_shard_info info;
    stream_shard_get(again, 0, &info);
    assert_int_equal(info.next_counter, 1);
    close_world(&world);
}

/* As if the process had ended between the two steps of a deletion. */
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
    assert_true(stream_is_changing(stream));
    assert_int_equal(stream_set_retention(stream, world.loop, 1, on_done, NULL), ERR_FULL);
    wait_for(&world, &outcome);
    assert_int_equal(stream_retention_ms(stream), 7200000);
    open_again(&world);
    assert_int_equal(stream_retention_ms(stream_find(world.log, STREAM_DATA, STR("s"))), 7200000);
    close_world(&world);
}

/* ---- receipts ---- */

static int put(struct world *world, struct stream *stream, const char *explicit_key,
               struct stream_receipt *receipt) {
    struct record record = {
        .partition_key = STR("k"), .explicit_hash_key = str_of(explicit_key), .data = STR("data")};
    return stream_writer_put(world->writer, stream, &record, receipt);
}

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

static void on_ready(struct stream_reader *reader, void *data) {
    ++*(int *)data;
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

/* ---- many writers, while shards come and go ---- */

enum { PRODUCERS = 3, EACH = 15000, CHANGES = 40, KEYS = 16, SHARDS_MAX = 128 };

struct producer {
    struct loop_thread thread;
    struct stream_log *log;
    struct stream_writer *writer;
    struct sink *sink;
    struct sink_gate_listener listener;
    unsigned number, pushed;
    struct timer timer;
    _Atomic bool done;
};

static void on_produce_timer(struct timer *timer) {
    struct producer *producer = CONTAINER_OF(timer, struct producer, timer);
    struct sink_gate *gate = stream_writer_gate(producer->writer);
    for (int i = 0; i < 200 && producer->pushed < EACH && sink_gate_has_room(gate); i++) {
        char key[32], data[64];
        snprintf(key, sizeof key, "%u", producer->pushed % KEYS);
        snprintf(data, sizeof data, "%u %u", producer->number, producer->pushed);
        assert_int_equal(push(producer->sink, key, data), 0);
        producer->pushed++;
    }
}

static void on_producer_commit(struct sink_gate_listener *listener, uint64_t ticket, int status) {
    struct producer *producer = CONTAINER_OF(listener, struct producer, listener);
    assert_int_equal(status, 0);
    if (producer->pushed == EACH && stream_writer_idle(producer->writer))
        atomic_store(&producer->done, true);
}

static void start_producer(void *data) {
    struct producer *producer = data;
    producer->writer = stream_writer_new(producer->log, producer->thread.loop);
    struct sink_resolver *resolver = stream_writer_resolver(producer->writer);
    producer->sink = resolver->find(resolver, SINK_STREAM, STR("s"));
    producer->listener.on_commit = on_producer_commit;
    sink_gate_listen(stream_writer_gate(producer->writer), &producer->listener);
    timer_start(producer->thread.loop, &producer->timer, 0, 1, on_produce_timer);
}

static void stop_producer(void *data) {
    struct producer *producer = data;
    timer_close(&producer->timer, NULL);
    stream_writer_free(producer->writer);
}

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
    memset(producers, 0, sizeof producers);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        producers[i].log = world.log;
        producers[i].number = i;
        loop_thread_start(&producers[i].thread, "producer");
        loop_call(producers[i].thread.loop, start_producer, &producers[i]);
    }
    for (unsigned i = 0; i < CHANGES; i++)
        change_something(&world, stream, i * 7 / 3);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        while (!atomic_load(&producers[i].done))
            usleep(1000);
        loop_call(producers[i].thread.loop, stop_producer, &producers[i]);
        loop_thread_stop(&producers[i].thread);
    }
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
        cmocka_unit_test(a_stream_is_made_and_found_again),
        cmocka_unit_test(a_name_is_taken_from_the_beginning),
        cmocka_unit_test(a_stream_that_cannot_be_made_is_not_there),
        cmocka_unit_test(a_deleted_stream_takes_nothing),
        cmocka_unit_test(a_deletion_is_finished_by_the_next_start),
        cmocka_unit_test(retention_is_changed_and_kept),
        cmocka_unit_test(receipts_tell_the_place),
        cmocka_unit_test(children_have_their_parents_ranges),
        cmocka_unit_test(sequence_numbers_of_children_are_higher),
        cmocka_unit_test(a_reader_hears_the_end),
        cmocka_unit_test(readers_of_a_deleted_stream_hear_it),
        cmocka_unit_test(the_order_of_each_key_is_kept),
        cmocka_unit_test(writers_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
