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

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoints_are_kept_per_consumer_and_shard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
