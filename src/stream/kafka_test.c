/* Streams on Kafka topics, against librdkafka's mock of the brokers' side of the protocol. The same on
 * real brokers: tests/kafka/README.md. */
#include "stream/kafka.h"

#include <librdkafka/rdkafka_mock.h>

#include "stream/world_test.h"

enum { PARTITIONS = 2 };

struct cluster {
    rd_kafka_t *handle;
    rd_kafka_mock_cluster_t *mock;
    const char *brokers[1];
};

static void start_cluster(struct cluster *cluster) {
    char why[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", why, sizeof why);
    cluster->handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    assert_non_null(cluster->handle);
    cluster->mock = rd_kafka_mock_cluster_new(cluster->handle, 1);
    assert_non_null(cluster->mock);
    assert_int_equal(rd_kafka_mock_topic_create(cluster->mock, "sensors", PARTITIONS, 1), 0);
    cluster->brokers[0] = rd_kafka_mock_cluster_bootstraps(cluster->mock);
}

struct bench {
    struct world world;
    struct cluster cluster;
    struct stream_kafka_config kafka;
    struct stream *stream;
};

static void open_stream(struct bench *bench) {
    struct err err = {0};
    struct stream_config config = {
        .name = "sensors", .retention_ms = 3600000, .shard_count = 1, .kafka = &bench->kafka};
    if (stream_open(bench->world.log, &config, &bench->stream, &err))
        fail_msg("%s", err.text);
    bench->world.writer = stream_writer_new(bench->world.log, bench->world.loop);
}

static void set_up(struct bench *bench) {
    *bench = (struct bench){.world.directory = "/tmp/weir-stream-XXXXXX"};
    start_cluster(&bench->cluster);
    bench->kafka.brokers = (struct option_strings){.items = bench->cluster.brokers, .count = 1};
    assert_non_null(mkdtemp(bench->world.directory));
    open_parts(&bench->world);
    open_stream(bench);
}

static void tear_down(struct bench *bench) {
    close_world(&bench->world);
    rd_kafka_mock_cluster_destroy(bench->cluster.mock);
    rd_kafka_destroy(bench->cluster.handle);
}

/* Puts records "0", "1", ... into a shard, one ticket each or all in one. */
static void put_numbers(struct bench *bench, unsigned shard, unsigned count) {
    struct sink *sink = find(&bench->world, "sensors");
    for (unsigned i = 0; i < count; i++) {
        char data[16];
        snprintf(data, sizeof data, "%u", i);
        struct record record = {
            .partition_key = STR("k"),
            .explicit_hash_key = shard ? STR("340282366920938463463374607431768211455") : STR("0"),
            .data = str_of(data)};
        assert_int_equal(sink_push(sink, &record), 0);
        if (i % 10 == 9)
            turn(&bench->world);
    }
    run_until_idle(&bench->world);
}

static struct stream_reader *open_reader(struct bench *bench, unsigned shard, enum stream_from from,
                                         uint64_t counter, int *ready) {
    struct err err = {0};
    struct stream_reader *reader;
    struct stream_position position = {.from = from, .counter = counter};
    if (stream_reader_open(bench->stream, shard, bench->world.loop, &position, on_ready, ready,
                           &reader, &err))
        fail_msg("%s", err.text);
    return reader;
}

/* The next batch, however long it takes to come. */
static void await_batch(struct bench *bench, struct stream_reader *reader, size_t records_max,
                        struct stream_batch *ret_batch) {
    int status;
    while ((status = stream_reader_next(reader, records_max, 100000, ret_batch)) == ERR_AGAIN)
        turn(&bench->world);
    assert_int_equal(status, 0);
}

static void expect_numbers(struct bench *bench, struct stream_reader *reader, unsigned from,
                           unsigned end) {
    while (from < end) {
        struct stream_batch batch;
        await_batch(bench, reader, end - from, &batch);
        for (size_t i = 0; i < batch.count; i++, from++) {
            char data[16];
            snprintf(data, sizeof data, "%u", from);
            assert_true(str_eq(batch.records[i].data, str_of(data)));
            assert_int_equal(batch.records[i].counter, from);
        }
    }
    assert_int_equal(stream_reader_counter(reader), end);
}

static void test_records_come_back_in_order_from_their_partition(void **state) {
    struct bench bench;
    int ready = 0;
    set_up(&bench);
    assert_int_equal(stream_shard_count(bench.stream), PARTITIONS);
    put_numbers(&bench, 1, 100);
    struct stream_shard_info info;
    stream_shard_get(bench.stream, 1, &info);
    assert_int_equal(info.next_counter, 100);
    assert_true(info.open && !info.removed);
    struct stream_reader *reader = open_reader(&bench, 1, STREAM_TRIM_HORIZON, 0, &ready);
    expect_numbers(&bench, reader, 0, 100);
    assert_true(ready > 0);
    struct stream_batch batch;
    assert_int_equal(stream_reader_next(reader, 10, 1000, &batch), ERR_AGAIN);
    stream_reader_close(reader);
    reader = open_reader(&bench, 0, STREAM_TRIM_HORIZON, 0, &ready);
    assert_int_equal(stream_reader_next(reader, 10, 1000, &batch), ERR_AGAIN);
    assert_false(stream_reader_pending(reader));
    stream_reader_close(reader);
    tear_down(&bench);
}

static void test_a_receipt_tells_the_offset(void **state) {
    struct bench bench;
    struct stream_receipt receipts[2];
    set_up(&bench);
    put_numbers(&bench, 0, 5);
    for (int i = 0; i < 2; i++)
        assert_int_equal(put(&bench.world, bench.stream, "0", &receipts[i]), 0);
    run_until_idle(&bench.world);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(receipts[i].status, 0);
        assert_int_equal(receipts[i].shard, 0);
        assert_int_equal(receipts[i].counter, 5 + i);
    }
    char text[STREAM_SEQUENCE_CHARS];
    uint64_t counter;
    stream_sequence_text(bench.stream, 0, 6, receipts[1].arrival_ms, text);
    assert_int_equal(stream_sequence_parse(bench.stream, 0, str_of(text), &counter), 0);
    assert_int_equal(counter, 6);
    tear_down(&bench);
}

static void test_a_reader_goes_back_and_on(void **state) {
    struct bench bench;
    int ready = 0;
    struct stream_batch batch;
    set_up(&bench);
    put_numbers(&bench, 0, 1500);
    struct stream_reader *reader = open_reader(&bench, 0, STREAM_AT_COUNTER, 10, &ready);
    await_batch(&bench, reader, 20, &batch);
    assert_int_equal(batch.records[0].counter, 10);
    stream_reader_seek(reader, 12); /* within what is held */
    expect_numbers(&bench, reader, 12, 1500);
    stream_reader_seek(reader, 3); /* before it */
    expect_numbers(&bench, reader, 3, 700);
    stream_reader_seek(reader, 1490); /* behind it */
    expect_numbers(&bench, reader, 1490, 1500);
    uint64_t records, behind_ms;
    stream_reader_lag(reader, &records, &behind_ms);
    assert_int_equal(records, 0);
    stream_reader_close(reader);
    tear_down(&bench);
}

static void test_readers_of_one_partition_do_not_disturb_each_other(void **state) {
    struct bench bench;
    int ready = 0;
    set_up(&bench);
    put_numbers(&bench, 0, 50);
    struct stream_reader *a = open_reader(&bench, 0, STREAM_TRIM_HORIZON, 0, &ready);
    struct stream_reader *b = open_reader(&bench, 0, STREAM_AT_COUNTER, 20, &ready);
    expect_numbers(&bench, a, 0, 10);
    expect_numbers(&bench, b, 20, 50);
    expect_numbers(&bench, a, 10, 50);
    stream_reader_close(a);
    stream_reader_close(b);
    /* A parked cursor at the right place is taken up again, with what it has fetched. */
    put_numbers(&bench, 0, 1);
    struct stream_reader *again = open_reader(&bench, 0, STREAM_AT_COUNTER, 50, &ready);
    assert_true(again == a || again == b);
    struct stream_batch batch;
    await_batch(&bench, again, 10, &batch);
    assert_int_equal(batch.records[0].counter, 50);
    stream_reader_close(again);
    tear_down(&bench);
}

static void test_no_more_readers_than_lanes(void **state) {
    struct bench bench;
    struct err err;
    int ready = 0;
    struct stream_position position = {.from = STREAM_TRIM_HORIZON};
    struct stream_reader *readers[KAFKA_LANES_MAX], *another;
    set_up(&bench);
    for (int i = 0; i < KAFKA_LANES_MAX; i++)
        readers[i] = open_reader(&bench, 0, STREAM_TRIM_HORIZON, 0, &ready);
    assert_int_equal(stream_reader_open(bench.stream, 0, bench.world.loop, &position, on_ready,
                                        &ready, &another, &err),
                     ERR_FULL);
    for (int i = 0; i < KAFKA_LANES_MAX; i++)
        stream_reader_close(readers[i]);
    tear_down(&bench);
}

static void test_a_position_behind_the_end_is_brought_back(void **state) {
    struct bench bench;
    int ready = 0;
    set_up(&bench);
    put_numbers(&bench, 0, 5);
    struct stream_reader *reader = open_reader(&bench, 0, STREAM_AT_COUNTER, 1000, &ready);
    struct stream_batch batch;
    while (stream_reader_next(reader, 10, 1000, &batch) == ERR_AGAIN &&
           stream_reader_counter(reader) == 1000)
        turn(&bench.world);
    assert_int_equal(stream_reader_counter(reader), 5);
    stream_reader_close(reader);
    tear_down(&bench);
}

static void test_what_is_not_taken_is_given_up_at_the_end(void **state) {
    struct bench bench;
    struct stream_receipt receipt;
    set_up(&bench);
    rd_kafka_mock_broker_set_down(bench.cluster.mock, 1);
    assert_int_equal(put(&bench.world, bench.stream, "0", &receipt), 0);
    for (int i = 0; i < 5; i++)
        uv_run(loop_uv(bench.world.loop), UV_RUN_NOWAIT);
    assert_false(stream_writer_idle(bench.world.writer));
    stream_log_finish(bench.world.log, 10);
    run_until_idle(&bench.world);
    assert_int_equal(receipt.status, ERR_IO);
    assert_int_equal(put(&bench.world, bench.stream, "0", &receipt), 0);
    run_until_idle(&bench.world);
    assert_int_equal(receipt.status, ERR_IO);
    tear_down(&bench);
}

static void test_a_record_that_a_broker_refuses_is_not_committed(void **state) {
    struct bench bench;
    struct stream_receipt receipt;
    set_up(&bench);
    rd_kafka_mock_push_request_errors(bench.cluster.mock, 0 /* Produce */, 1,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    assert_int_equal(put(&bench.world, bench.stream, "0", &receipt), 0);
    run_until_idle(&bench.world);
    assert_int_equal(receipt.status, ERR_TOO_LARGE);
    assert_int_equal(put(&bench.world, bench.stream, "0", &receipt), 0);
    run_until_idle(&bench.world);
    assert_int_equal(receipt.status, 0);
    tear_down(&bench);
}

static void test_what_weir_itself_must_set_is_refused(void **state) {
    struct err err;
    const char *brokers[] = {"127.0.0.1:9092"};
    struct option_pair pairs[] = {{"linger.ms", "5"}, {"acks", "1"}};
    struct stream_kafka_config config = {.brokers = {brokers, 1}, .properties = {pairs, 1}};
    const struct conf conf = {.file = "weir.yaml", .line = 3, .column = 1};
    config.head.conf = &conf;
    assert_int_equal(stream_kafka_check(&config, &err), 0);
    config.properties.count = 2;
    assert_int_equal(stream_kafka_check(&config, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "acks"));
}

static void test_a_wrong_property_is_named(void **state) {
    struct bench bench;
    struct err err;
    struct option_pair pair = {"no.such.thing", "1"};
    set_up(&bench);
    struct stream_kafka_config kafka_config = bench.kafka;
    kafka_config.properties = (struct option_pairs){&pair, 1};
    struct stream_config config = {
        .name = "other", .retention_ms = 3600000, .shard_count = 1, .kafka = &kafka_config};
    assert_int_equal(stream_open(bench.world.log, &config, &bench.stream, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "no.such.thing"));
    tear_down(&bench);
}

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_come_back_in_order_from_their_partition),
        cmocka_unit_test(test_a_receipt_tells_the_offset),
        cmocka_unit_test(test_a_reader_goes_back_and_on),
        cmocka_unit_test(test_readers_of_one_partition_do_not_disturb_each_other),
        cmocka_unit_test(test_no_more_readers_than_lanes),
        cmocka_unit_test(test_a_position_behind_the_end_is_brought_back),
        cmocka_unit_test(test_what_is_not_taken_is_given_up_at_the_end),
        cmocka_unit_test(test_a_record_that_a_broker_refuses_is_not_committed),
        cmocka_unit_test(test_what_weir_itself_must_set_is_refused),
        cmocka_unit_test(test_a_wrong_property_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
