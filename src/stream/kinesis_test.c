/* Streams of another Kinesis, against a server whose answers the test writes down beforehand. Against a
 * second Weir: tests/e2e/test_engines.py and test_engine_faults.py. */
#include "stream/kinesis.h"

#include "stream/world_test.h"

#include <unistd.h>

#include "base/base64.h"
#include "base/json_write.h"

enum { RECORDS_MAX = 2000, SCRIPT_MAX = 8, CREATED_S = 1700000000 };

enum step { TAKE_ALL, FAIL_SECOND, THROTTLE, BREAK, SPLIT };

struct server {
    struct loop_thread thread;
    struct http_server *http;
    struct sockaddr_storage address;
    uv_sem_t closed;
    char *records[RECORDS_MAX]; /* as they were taken: base64 */
    unsigned count, puts;
    enum step script[SCRIPT_MAX]; /* of PutRecords; then TAKE_ALL */
    unsigned at;
    const char *refused; /* base64 of a record that makes its whole request invalid */
    bool expire;         /* the next GetRecords finds its iterator too old */
    bool split;          /* there is a second shard, and records go there */
    char authorization[256];
};

static void number_text(const struct server *server, unsigned index, char *ret_text) {
    const struct sequence sequence = {CREATED_S, index, CREATED_S + 5, server->split};
    sequence_write(&sequence, ret_text);
}

static void add_shard(struct buf *out, unsigned shard) {
    char id[STREAM_SHARD_ID_CHARS], number[STREAM_SEQUENCE_CHARS];
    const struct sequence sequence = {CREATED_S, 0, 0, shard};
    stream_shard_id(shard, id);
    sequence_write(&sequence, number);
    json_write_comma(out);
    buf_printf(out,
               "{\"ShardId\":\"%s\",\"HashKeyRange\":{\"StartingHashKey\":\"0\",\"EndingHashKey\":"
               "\"340282366920938463463374607431768211455\"},\"SequenceNumberRange\":{"
               "\"StartingSequenceNumber\":\"%s\"}}",
               id, number);
}

static void take_records(struct server *server, struct json_value records, enum step step,
                         struct buf *out) {
    unsigned index = 0;
    if (step == SPLIT)
        server->split = true;
    buf_add_str(out, STR("{\"Records\":["));
    for (struct json_cursor cursor = json_each(records); json_next(&cursor); index++) {
        char number[STREAM_SEQUENCE_CHARS];
        struct str data = json_raw(json_member(cursor.value, STR("Data")));
        json_write_comma(out);
        if (step == FAIL_SECOND && index == 1) {
            buf_add_str(out, STR("{\"ErrorCode\":\"InternalFailure\",\"ErrorMessage\":\"no\"}"));
            continue;
        }
        number_text(server, server->count, number);
        server->records[server->count++] = str_dup(str_from(data.at + 1, data.len - 2));
        buf_printf(out, "{\"SequenceNumber\":\"%s\",\"ShardId\":\"x\"}", number);
    }
    buf_add_str(out, STR("]}"));
}

static bool has_refused(const struct server *server, struct json_value records) {
    for (struct json_cursor cursor = json_each(records); json_next(&cursor);)
        if (server->refused &&
            json_str_eq(json_member(cursor.value, STR("Data")), str_of(server->refused)))
            return true;
    return false;
}

static int on_put(struct server *server, struct json_value input, struct buf *out) {
    enum step step = server->at < SCRIPT_MAX ? server->script[server->at++] : TAKE_ALL;
    server->puts++;
    if (step == THROTTLE) {
        buf_add_str(out, STR("{\"__type\":\"ProvisionedThroughputExceededException\"}"));
        return 400;
    }
    if (step == BREAK)
        return 500;
    if (has_refused(server, json_member(input, STR("Records")))) {
        buf_add_str(out, STR("{\"__type\":\"ValidationException\",\"message\":\"too long\"}"));
        return 400;
    }
    take_records(server, json_member(input, STR("Records")), step, out);
    return 200;
}

static int on_get(struct server *server, struct json_value input, struct buf *out) {
    struct arena arena = {0};
    char *text = str_dup(json_str(json_member(input, STR("ShardIterator")), &arena));
    unsigned from = (unsigned)atoi(text);
    free(text);
    arena_done(&arena);
    if (server->expire) {
        server->expire = false;
        buf_add_str(out, STR("{\"__type\":\"ExpiredIteratorException\"}"));
        return 400;
    }
    unsigned end = from + 3 < server->count ? from + 3 : server->count;
    buf_add_str(out, STR("{\"Records\":["));
    for (unsigned i = from; i < end; i++) {
        char number[STREAM_SEQUENCE_CHARS];
        number_text(server, i, number);
        json_write_comma(out);
        buf_printf(out,
                   "{\"SequenceNumber\":\"%s\",\"Data\":\"%s\",\"PartitionKey\":\"k\","
                   "\"ApproximateArrivalTimestamp\":1700000005.25}",
                   number, server->records[i]);
    }
    buf_printf(out, "],\"NextShardIterator\":\"%u\",\"MillisBehindLatest\":%d}", end,
               end < server->count ? 1000 : 0);
    return 200;
}

static int on_iterator(struct json_value input, struct buf *out) {
    struct arena arena = {0};
    struct sequence sequence = {0};
    struct str type = json_str(json_member(input, STR("ShardIteratorType")), &arena);
    struct str number = json_str(json_member(input, STR("StartingSequenceNumber")), &arena);
    uint64_t at = 0;
    if (sequence_read(number, &sequence) == 0)
        at = sequence.counter + str_starts(type, STR("AFTER"));
    buf_printf(out, "{\"ShardIterator\":\"%u\"}", (unsigned)at);
    arena_done(&arena);
    return 200;
}

static int answer(struct server *server, struct str target, struct json_value input,
                  struct buf *out) {
    if (str_eq(target, STR("Kinesis_20131202.DescribeStreamSummary"))) {
        buf_printf(out, "{\"StreamDescriptionSummary\":{\"StreamCreationTimestamp\":%d}}",
                   CREATED_S);
        return 200;
    }
    if (str_eq(target, STR("Kinesis_20131202.ListShards"))) {
        buf_add_str(out, STR("{\"Shards\":["));
        add_shard(out, 0);
        if (server->split)
            add_shard(out, 1);
        buf_add_str(out, STR("]}"));
        return 200;
    }
    if (str_eq(target, STR("Kinesis_20131202.PutRecords")))
        return on_put(server, input, out);
    if (str_eq(target, STR("Kinesis_20131202.GetShardIterator")))
        return on_iterator(input, out);
    return on_get(server, input, out);
}

static void on_request(struct http_request *request, void *data) {
    struct server *server = data;
    struct json json = {0};
    struct buf out = {0};
    assert_int_equal(json_parse(&json, request->body), 0);
    snprintf(server->authorization, sizeof server->authorization, "%.*s",
             STR_ARG(http_header(request, "Authorization")));
    int status = answer(server, http_header(request, "X-Amz-Target"), json_root(&json), &out);
    http_respond(request, status, "application/x-amz-json-1.1", buf_str(&out), NULL, 0);
    buf_done(&out);
    json_done(&json);
}

static void do_open(void *data) {
    struct server *server = data;
    struct sockaddr_storage any;
    struct err err;
    assert_int_equal(tcp_address("127.0.0.1:0", &any, &err), 0);
    struct http_server_config config = {.address = &any,
                                        .handler = on_request,
                                        .data = server,
                                        .body_bytes_max = 16 * 1024 * 1024,
                                        .name = "kinesis"};
    assert_int_equal(
        http_server_open(server->thread.loop, &config, &server->address, &server->http, &err), 0);
}

static void on_server_closed(void *data) {
    uv_sem_post(&((struct server *)data)->closed);
}

static void do_close(void *data) {
    struct server *server = data;
    http_server_close(server->http, on_server_closed, server);
}

struct bench {
    struct world world;
    struct server server;
    char endpoint[64];
    struct stream_kinesis_config kinesis;
    struct stream *stream;
};

static void set_up(struct bench *bench) {
    char address[TCP_ADDRESS_CHARS];
    struct err err = {0};
    *bench = (struct bench){.world.directory = "/tmp/weir-stream-XXXXXX"};
    assert_int_equal(uv_sem_init(&bench->server.closed, 0), 0);
    loop_thread_start(&bench->server.thread, "server");
    loop_call(bench->server.thread.loop, do_open, &bench->server);
    tcp_address_text(&bench->server.address, address);
    snprintf(bench->endpoint, sizeof bench->endpoint, "http://%s", address);
    bench->kinesis = (struct stream_kinesis_config){.endpoint = bench->endpoint,
                                                    .region = "us-east-1",
                                                    .access_key_id = "AKID",
                                                    .secret_access_key = "secret",
                                                    .poll_interval_ms = 10};
    struct stream_config config = {
        .name = "sensors", .retention_ms = 3600000, .shard_count = 1, .kinesis = &bench->kinesis};
    assert_non_null(mkdtemp(bench->world.directory));
    open_parts(&bench->world);
    if (stream_open(bench->world.log, &config, &bench->stream, &err))
        fail_msg("%s", err.text);
    bench->world.writer = stream_writer_new(bench->world.log, bench->world.loop);
}

static void tear_down(struct bench *bench) {
    close_world(&bench->world);
    loop_call(bench->server.thread.loop, do_close, &bench->server);
    uv_sem_wait(&bench->server.closed);
    loop_thread_stop(&bench->server.thread);
    for (unsigned i = 0; i < bench->server.count; i++)
        free(bench->server.records[i]);
    uv_sem_destroy(&bench->server.closed);
}

static void put_letters(struct bench *bench, const char *letters, struct stream_receipt *receipts) {
    for (size_t i = 0; letters[i]; i++) {
        struct record record = {.partition_key = STR("k"), .data = str_from(&letters[i], 1)};
        assert_int_equal(
            stream_writer_put(bench->world.writer, bench->stream, &record, &receipts[i]), 0);
    }
    run_until_idle(&bench->world);
}

/* "A" is "QQ==" in base64, ... */
static char letter_of(const struct server *server, unsigned index) {
    struct buf bytes = {0};
    assert_true(base64_read(&bytes, str_of(server->records[index])));
    char letter = (char)buf_at(&bytes)[0];
    buf_done(&bytes);
    return letter;
}

static void expect_letters(const struct bench *bench, const char *letters) {
    assert_int_equal(bench->server.count, strlen(letters));
    for (unsigned i = 0; letters[i]; i++)
        assert_int_equal(letter_of(&bench->server, i), letters[i]);
}

static void test_a_record_is_kept_when_the_other_side_says_where(void **state) {
    struct bench bench;
    struct stream_receipt receipts[3];
    set_up(&bench);
    put_letters(&bench, "abc", receipts);
    expect_letters(&bench, "abc");
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(receipts[i].status, 0);
        assert_int_equal(receipts[i].counter, i);
        assert_int_equal(receipts[i].arrival_ms, (CREATED_S + 5) * UINT64_C(1000));
    }
    assert_non_null(strstr(bench.server.authorization, "/us-east-1/kinesis/aws4_request"));
    assert_int_equal(stream_created_s(bench.stream), CREATED_S);
    tear_down(&bench);
}

static void test_what_failed_goes_first_the_next_time(void **state) {
    struct bench bench;
    struct stream_receipt receipts[4], later[2];
    set_up(&bench);
    bench.server.script[0] = FAIL_SECOND;
    for (size_t i = 0; i < 4; i++) {
        struct record record = {.partition_key = STR("k"), .data = str_from(&"abcd"[i], 1)};
        assert_int_equal(stream_writer_put(bench.world.writer, bench.stream, &record, &receipts[i]),
                         0);
    }
    turn(&bench.world); /* The first request is on its way; these wait. */
    put_letters(&bench, "ef", later);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(receipts[i].status, 0);
    assert_int_equal(receipts[1].counter, 3);
    char taken[7] = {0};
    for (unsigned i = 0; i < 6; i++)
        taken[i] = letter_of(&bench.server, i);
    assert_string_equal(taken, "acdbef");
    tear_down(&bench);
}

static void test_a_server_that_is_busy_or_broken_is_asked_again(void **state) {
    struct bench bench;
    struct stream_receipt receipts[2];
    set_up(&bench);
    bench.server.script[0] = THROTTLE;
    bench.server.script[1] = BREAK;
    put_letters(&bench, "ab", receipts);
    assert_int_equal(bench.server.puts, 3);
    expect_letters(&bench, "ab");
    assert_int_equal(receipts[0].status, 0);
    tear_down(&bench);
}

static void test_a_record_that_is_refused_fails_alone(void **state) {
    struct bench bench;
    struct stream_receipt receipts[5], later[2];
    set_up(&bench);
    bench.server.refused = "Yw=="; /* c */
    bench.server.script[1] = THROTTLE;
    put_letters(&bench, "abcde", receipts);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(receipts[i].status, i == 2 ? ERR_INVALID : 0);
    expect_letters(&bench, "abde");
    unsigned puts = bench.server.puts;
    put_letters(&bench, "fg", later);
    expect_letters(&bench, "abdefg");
    assert_int_equal(bench.server.puts, puts + 1); /* together again */
    tear_down(&bench);
}

static void test_a_view_reads_to_the_end(void **state) {
    struct bench bench;
    struct stream_receipt receipts[8];
    struct stream_view *view;
    struct stream_view_info info;
    struct stream_batch batch;
    struct err err;
    set_up(&bench);
    put_letters(&bench, "abcdefgh", receipts); /* three to an answer */
    const struct stream_config config = {
        .name = "sensors", .shard_count = 1, .kinesis = &bench.kinesis};
    assert_int_equal(stream_view_open_engine(&config, &view, &err), 0);
    assert_int_equal(stream_view_shard_count(view), 1);
    assert_int_equal(stream_view_created_s(view), CREATED_S);
    assert_int_equal(stream_view_shard(view, 0, &info), 0);
    assert_false(info.counted || info.sized);
    assert_int_equal(info.first_ms, 1700000005250);
    for (int round = 0; round < 2; round++) {
        const struct stream_position oldest = {.from = STREAM_TRIM_HORIZON};
        size_t count = 0;
        assert_int_equal(stream_view_seek(view, 0, &oldest), 0);
        while (stream_view_next(view, 0, 2, &batch) == 0)
            for (size_t i = 0; i < batch.count; i++)
                assert_int_equal(batch.records[i].data.at[0], "abcdefgh"[count++]);
        assert_int_equal(count, 8);
        assert_int_equal(stream_view_counter(view, 0), 8);
        assert_int_equal(stream_view_next(view, 0, 2, &batch), ERR_AGAIN);
    }
    stream_view_close(view);
    tear_down(&bench);
}

static void test_a_view_of_nothing_is_not_opened(void **state) {
    struct stream_kinesis_config kinesis = {.endpoint = "ftp://x", .region = "us-east-1"};
    const struct stream_config config = {.name = "s", .shard_count = 1, .kinesis = &kinesis};
    struct stream_view *view;
    struct err err;
    assert_int_equal(stream_view_open_engine(&config, &view, &err), ERR_INVALID);
}

static void test_requests_keep_to_kinesis_s_bounds(void **state) {
    struct bench bench;
    set_up(&bench);
    struct sink *sink = find(&bench.world, "sensors");
    for (int i = 0; i < 1200; i++)
        assert_int_equal(push(sink, "k", "x"), 0);
    run_until_idle(&bench.world);
    assert_int_equal(bench.server.count, 1200);
    assert_true(bench.server.puts >= 3);
    tear_down(&bench);
}

static void test_a_shard_that_is_new_there_is_known_before_the_receipt(void **state) {
    struct bench bench;
    struct stream_receipt receipt[1];
    char text[STREAM_SEQUENCE_CHARS];
    set_up(&bench);
    assert_int_equal(stream_shard_count(bench.stream), 1);
    bench.server.script[0] = SPLIT;
    put_letters(&bench, "a", receipt);
    assert_int_equal(receipt->shard, 1);
    assert_int_equal(stream_shard_count(bench.stream), 2);
    stream_sequence_text(bench.stream, receipt->shard, receipt->counter, receipt->arrival_ms, text);
    assert_int_equal(strlen(text), 56);
    tear_down(&bench);
}

static void read_letters(struct bench *bench, struct stream_reader *reader, const char *letters) {
    while (*letters) {
        struct stream_batch batch;
        int status = stream_reader_next(reader, 100, 1000, &batch);
        if (status == ERR_AGAIN) {
            turn(&bench->world);
            continue;
        }
        assert_int_equal(status, 0);
        for (size_t i = 0; i < batch.count; i++, letters++) {
            assert_int_equal(batch.records[i].data.at[0], *letters);
            assert_int_equal(batch.records[i].arrival_ms, 1700000005250);
            assert_true(str_eq(batch.records[i].partition_key, STR("k")));
        }
    }
}

static struct stream_reader *open_reader(struct bench *bench, uint64_t counter, int *ready) {
    struct err err;
    struct stream_reader *reader;
    struct stream_position position = {.from = STREAM_AT_COUNTER, .counter = counter};
    assert_int_equal(stream_reader_open(bench->stream, 0, bench->world.loop, &position, on_ready,
                                        ready, &reader, &err),
                     0);
    return reader;
}

static void test_a_reader_follows_and_goes_back(void **state) {
    struct bench bench;
    struct stream_receipt receipts[8];
    int ready = 0;
    set_up(&bench);
    put_letters(&bench, "abcdefg", receipts);
    struct stream_reader *reader = open_reader(&bench, 0, &ready);
    assert_true(stream_reader_pending(reader));
    read_letters(&bench, reader, "abcdefg");
    assert_false(stream_reader_pending(reader));
    put_letters(&bench, "h", receipts);
    read_letters(&bench, reader, "h");
    stream_reader_seek(reader, 2);
    read_letters(&bench, reader, "cde");
    assert_true(ready > 0);
    stream_reader_close(reader);
    reader = open_reader(&bench, 5, &ready);
    read_letters(&bench, reader, "fgh");
    stream_reader_close(reader);
    tear_down(&bench);
}

static void test_an_iterator_that_is_too_old_is_replaced(void **state) {
    struct bench bench;
    struct stream_receipt receipts[6];
    int ready = 0;
    set_up(&bench);
    put_letters(&bench, "abcdef", receipts);
    bench.server.expire = true;
    struct stream_reader *reader = open_reader(&bench, 0, &ready);
    read_letters(&bench, reader, "abc");
    read_letters(&bench, reader, "def");
    stream_reader_close(reader);
    tear_down(&bench);
}

static void test_a_reader_may_be_closed_at_any_time(void **state) {
    struct bench bench;
    struct stream_receipt receipts[3];
    int ready = 0;
    set_up(&bench);
    put_letters(&bench, "abc", receipts);
    for (int i = 0; i < 60; i++) {
        struct stream_batch batch;
        struct stream_reader *reader = open_reader(&bench, 0, &ready);
        stream_reader_next(reader, 10, 1000, &batch);
        for (int turns = 0; turns < i % 6; turns++) {
            uv_run(loop_uv(bench.world.loop), UV_RUN_NOWAIT);
            usleep((useconds_t)(i % 7) * 200);
        }
        stream_reader_close(reader);
    }
    tear_down(&bench);
}

static void test_endpoints(void **state) {
    struct err err;
    struct kinesis_server server;
    struct stream_kinesis_config config = {.region = "eu-central-1"};
    assert_int_equal(kinesis_server_parse(&config, &server, &err), 0);
    assert_string_equal(server.url, "https://kinesis.eu-central-1.amazonaws.com");
    free(server.url);
    config.endpoint = "http://127.0.0.1:4566/";
    assert_int_equal(kinesis_server_parse(&config, &server, &err), 0);
    assert_true(str_eq(server.host, STR("127.0.0.1:4566")));
    free(server.url);
    const char *const bad[] = {"127.0.0.1:4566", "ftp://x", "http://", "http://x/path"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        config.endpoint = bad[i];
        assert_int_equal(kinesis_server_parse(&config, &server, &err), ERR_INVALID);
    }
}

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_is_kept_when_the_other_side_says_where),
        cmocka_unit_test(test_what_failed_goes_first_the_next_time),
        cmocka_unit_test(test_a_server_that_is_busy_or_broken_is_asked_again),
        cmocka_unit_test(test_a_record_that_is_refused_fails_alone),
        cmocka_unit_test(test_a_view_reads_to_the_end),
        cmocka_unit_test(test_a_view_of_nothing_is_not_opened),
        cmocka_unit_test(test_requests_keep_to_kinesis_s_bounds),
        cmocka_unit_test(test_a_shard_that_is_new_there_is_known_before_the_receipt),
        cmocka_unit_test(test_a_reader_follows_and_goes_back),
        cmocka_unit_test(test_an_iterator_that_is_too_old_is_replaced),
        cmocka_unit_test(test_a_reader_may_be_closed_at_any_time),
        cmocka_unit_test(test_endpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
