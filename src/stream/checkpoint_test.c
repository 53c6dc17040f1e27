#include "base/test.h"

#include "base/log.h"
#include "stream/fixture.h"

static void put(struct facts *facts, struct stream *stream, unsigned shard, const char *name,
                uint64_t counter) {
    struct facts_write *write;
    struct err err;
    assert_int_equal(facts_begin(facts, &write, &err), 0);
    assert_int_equal(stream_checkpoint_put(write, stream, shard, name, counter), 0);
    assert_int_equal(facts_commit(write, &err), 0);
}

static void checkpoints_are_kept_per_consumer_and_shard(void **state) {
    struct fixture fixture = {.config.shard_count = 2};
    fixture_init(&fixture);
    fixture_open(&fixture);
    struct stream *delivery;
    struct stream_config config = {.name = "test", .kind = STREAM_DELIVERY, .shard_count = 2};
    struct err err;
    assert_int_equal(stream_open(fixture.log, &config, &delivery, &err), 0);
    struct facts *facts;
    uint64_t counter = 99;
    assert_int_equal(facts_open(fixture.directory, 1 << 20, &facts, &err), 0);
    assert_int_equal(stream_checkpoint_get(facts, fixture.stream, 0, "mapping/a", &counter),
                     ERR_NOT_FOUND);
    assert_int_equal(counter, 99);
    put(facts, fixture.stream, 0, "mapping/a", 5);
    put(facts, fixture.stream, 1, "mapping/a", 6);
    put(facts, fixture.stream, 0, "mapping/b", 7);
    put(facts, delivery, 0, "mapping/a", UINT64_MAX);
    put(facts, fixture.stream, 0, "mapping/a", 8);
    assert_int_equal(stream_checkpoint_get(facts, fixture.stream, 0, "mapping/a", &counter), 0);
    assert_int_equal(counter, 8);
    assert_int_equal(stream_checkpoint_get(facts, fixture.stream, 1, "mapping/a", &counter), 0);
    assert_int_equal(counter, 6);
    assert_int_equal(stream_checkpoint_get(facts, fixture.stream, 0, "mapping/b", &counter), 0);
    assert_int_equal(counter, 7);
    assert_int_equal(stream_checkpoint_get(facts, delivery, 0, "mapping/a", &counter), 0);
    assert_true(counter == UINT64_MAX);
    facts_close(facts);
    fixture_done(&fixture);
}

struct positions {
    unsigned count;
    uint64_t counters;
};

static bool add_position(void *data, const struct stream_consumer *consumer) {
    struct positions *positions = data;
    assert_true(str_eq(consumer->stream, STR("test")));
    assert_true(str_eq(consumer->name, STR("c")));
    positions->count++;
    positions->counters += consumer->counter * (consumer->shard + 1);
    return true;
}

static void consumers_have_positions_of_their_own(void **state) {
    struct fixture fixture = {0};
    struct facts *facts;
    struct facts_write *write;
    struct err err;
    fixture_init(&fixture);
    fixture_open(&fixture);
    assert_int_equal(facts_open(fixture.directory, 1 << 20, &facts, &err), 0);
    put(facts, fixture.stream, 0, "mapping/c", 5);
    struct stream_consumer consumer = {.stream = STR("test"), .created_s = 7, .name = STR("c")};
    assert_int_equal(stream_consumer_get(facts, &consumer), ERR_NOT_FOUND);
    for (consumer.shard = 0; consumer.shard < 3; consumer.shard++) {
        consumer.counter = 10 + consumer.shard;
        assert_int_equal(facts_begin(facts, &write, &err), 0);
        assert_int_equal(stream_consumer_put(write, &consumer), 0);
        assert_int_equal(facts_commit(write, &err), 0);
    }
    consumer.shard = 1;
    assert_int_equal(facts_begin(facts, &write, &err), 0);
    assert_int_equal(stream_consumer_remove(write, &consumer), 0);
    assert_int_equal(facts_commit(write, &err), 0);
    struct positions positions = {0};
    assert_int_equal(stream_consumer_each(facts, add_position, &positions), 0);
    assert_int_equal(positions.count, 2);
    assert_int_equal(positions.counters, 10 + 3 * 12);
    consumer.shard = 2;
    assert_int_equal(stream_consumer_get(facts, &consumer), 0);
    assert_int_equal(consumer.counter, 12);
    facts_close(facts);
    fixture_done(&fixture);
}

static void names_of_consumers_are_plain(void **state) {
    char name[STREAM_CONSUMER_CHARS_MAX + 2] = "";
    assert_true(stream_consumer_name_valid("Reader-1_x.y"));
    assert_false(stream_consumer_name_valid(""));
    assert_false(stream_consumer_name_valid("a/b"));
    memset(name, 'a', STREAM_CONSUMER_CHARS_MAX);
    assert_true(stream_consumer_name_valid(name));
    name[STREAM_CONSUMER_CHARS_MAX] = 'a';
    assert_false(stream_consumer_name_valid(name));
}

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoints_are_kept_per_consumer_and_shard),
        cmocka_unit_test(consumers_have_positions_of_their_own),
        cmocka_unit_test(names_of_consumers_are_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
