/*
 * For tests: a data directory with one delivery stream, its log, facts and loop, and what stands in
 * its bucket directory. Records are numbered from 0 ("17 ...\n"), so that the objects show at once
 * which records they hold.
 */
#ifndef DELIVERY_TEST_PIPELINE_H
#define DELIVERY_TEST_PIPELINE_H

#include "base/test.h"

#include <dirent.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "delivery/delivery.h"
#include "io/file.h"

enum { RECORD_BYTES = 64, OBJECTS_MAX = 4096 };

struct pipeline {
    char root[64], bucket_path[96];
    struct delivery_config config;
    struct bucket_config bucket;
    size_t facts_bytes_max;
    /* Open: */
    struct loop *loop;
    struct facts *facts;
    struct http_client *client;
    struct stream_log *log;
    struct stream *stream;
    struct stream_writer *writer;
    struct sink *sink;
    struct sink_gate_listener listener;
    struct delivery *delivery;
    struct timer ticker;
    bool (*wanted)(struct pipeline *pipeline);
    unsigned ticks_left;
    bool met;
    uint64_t pushed;
    int things_open;
};

/* One object of the bucket: the numbers of its records, without gaps. */
struct object {
    char path[200];
    uint64_t first, end;
    size_t bytes;
};

static struct object objects[OBJECTS_MAX];
static size_t object_count;

/* ---- waiting ---- */

static void on_tick(struct timer *timer) {
    struct pipeline *pipeline = CONTAINER_OF(timer, struct pipeline, ticker);
    pipeline->met = pipeline->wanted(pipeline);
    if (pipeline->met || --pipeline->ticks_left == 0)
        loop_stop(pipeline->loop);
    else
        timer_start(pipeline->loop, timer, 2, 0, on_tick);
}

/* Runs the loop until it is so, a minute at most; false if it never was. */
static bool run_until(struct pipeline *pipeline, bool (*wanted)(struct pipeline *pipeline)) {
    pipeline->wanted = wanted;
    pipeline->ticks_left = 30000;
    timer_start(pipeline->loop, &pipeline->ticker, 0, 0, on_tick);
    loop_run(pipeline->loop);
    return pipeline->met;
}

static void run_for_ms(struct pipeline *pipeline, unsigned ms);

static bool never(struct pipeline *pipeline) {
    return false;
}

__attribute__((unused)) static void run_for_ms(struct pipeline *pipeline, unsigned ms) {
    pipeline->wanted = never;
    pipeline->ticks_left = ms / 2 + 1;
    timer_start(pipeline->loop, &pipeline->ticker, 0, 0, on_tick);
    loop_run(pipeline->loop);
}

/* ---- life ---- */

static void pipeline_init_at(struct pipeline *pipeline, const char *root) {
    log_setup(LOG_ERROR + 1, LOG_TEXT); /* The failures here are wanted. */
    *pipeline = (struct pipeline){.facts_bytes_max = 16 << 20};
    snprintf(pipeline->root, sizeof pipeline->root, "%s", root);
    snprintf(pipeline->bucket_path, sizeof pipeline->bucket_path, "%s/bucket", pipeline->root);
    pipeline->config = (struct delivery_config){
        .head.name = "sensors",
        .bucket = "archive",
        .prefix = "",
        .buffer_size_bytes = 16 * RECORD_BYTES,
        .buffer_interval_ms = 900 * 1000,
        .backlog_bytes_max = 1 << 30,
    };
    pipeline->bucket =
        (struct bucket_config){.head.name = "archive", .directory = pipeline->bucket_path};
}

static void pipeline_init(struct pipeline *pipeline) {
    char root[] = "/tmp/weir-delivery-XXXXXX";
    assert_non_null(mkdtemp(root));
    pipeline_init_at(pipeline, root);
}

static void on_commit(struct sink_gate_listener *listener, uint64_t ticket, int status) {}

static void open_stream(struct pipeline *pipeline) {
    const struct stream_log_config log = {.directory = pipeline->root};
    const struct stream_config stream = {
        .name = "sensors", .kind = STREAM_DELIVERY, .shard_count = 1, .bytes_max = 1 << 30};
    assert_int_equal(facts_open(pipeline->root, pipeline->facts_bytes_max, &pipeline->facts, NULL),
                     0);
    assert_int_equal(stream_log_open(&log, &pipeline->log, NULL), 0);
    assert_int_equal(stream_open(pipeline->log, &stream, &pipeline->stream, NULL), 0);
    pipeline->loop = loop_new();
    pipeline->client = http_client_new(pipeline->loop);
    pipeline->writer = stream_writer_new(pipeline->log, pipeline->loop);
    struct sink_resolver *resolver = stream_writer_resolver(pipeline->writer);
    pipeline->sink = resolver->find(resolver, SINK_DELIVERY, STR("sensors"));
    assert_non_null(pipeline->sink);
    pipeline->listener.on_commit = on_commit;
    sink_gate_listen(stream_writer_gate(pipeline->writer), &pipeline->listener);
    struct stream_reader *reader;
    const struct stream_position latest = {.from = STREAM_LATEST};
    assert_int_equal(
        stream_reader_open(pipeline->stream, 0, pipeline->loop, &latest, NULL, NULL, &reader, NULL),
        0);
    pipeline->pushed = stream_reader_counter(reader);
    stream_reader_close(reader);
}

static int open_delivery(struct pipeline *pipeline, struct err *err) {
    return delivery_open(pipeline->loop, pipeline->facts, pipeline->client, &pipeline->config,
                         &pipeline->bucket, pipeline->stream, &pipeline->delivery, err);
}

__attribute__((unused)) static void pipeline_open(struct pipeline *pipeline) {
    struct err err;
    open_stream(pipeline);
    if (open_delivery(pipeline, &err))
        fail_msg("%s", err.text);
}

static void on_thing_closed(void *data) {
    ((struct pipeline *)data)->things_open--;
}

static bool is_all_closed(struct pipeline *pipeline) {
    return pipeline->things_open == 0 && stream_writer_idle(pipeline->writer);
}

static bool is_ticker_closed;

static void on_ticker_closed(struct timer *timer) {
    is_ticker_closed = true;
    loop_stop(CONTAINER_OF(timer, struct pipeline, ticker)->loop);
}

static void pipeline_close(struct pipeline *pipeline, unsigned grace_ms) {
    if (pipeline->delivery) {
        pipeline->things_open++;
        delivery_close(pipeline->delivery, grace_ms, on_thing_closed, pipeline);
        assert_true(run_until(pipeline, is_all_closed));
    }
    pipeline->things_open++;
    http_client_close(pipeline->client, on_thing_closed, pipeline);
    assert_true(run_until(pipeline, is_all_closed));
    timer_close(&pipeline->ticker, on_ticker_closed);
    loop_run(pipeline->loop);
    stream_writer_free(pipeline->writer);
    stream_log_close(pipeline->log);
    loop_free(pipeline->loop);
    facts_close(pipeline->facts);
    pipeline->delivery = NULL;
    pipeline->ticker = (struct timer){0};
}

static void pipeline_done(struct pipeline *pipeline) {
    file_remove_tree(pipeline->root, NULL);
}

/* ---- records in ---- */

static bool is_committed(struct pipeline *pipeline) {
    return stream_writer_idle(pipeline->writer);
}

static void push_text(struct pipeline *pipeline, struct str text) {
    struct record record = {.partition_key = STR("k"), .data = text};
    assert_int_equal(sink_push(pipeline->sink, &record), 0);
    pipeline->pushed++;
}

static void push(struct pipeline *pipeline, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        char text[RECORD_BYTES + 1];
        snprintf(text, sizeof text, "%-*llu\n", RECORD_BYTES - 1,
                 (unsigned long long)pipeline->pushed);
        push_text(pipeline, str_of(text));
    }
}

__attribute__((unused)) static void push_and_commit(struct pipeline *pipeline, uint64_t count) {
    push(pipeline, count);
    assert_true(run_until(pipeline, is_committed));
}

enum { PACKED_RECORDS = 3 };

/* A tag and a length below 16384, as a protocol buffer has them. */
static void add_field(struct buf *out, uint8_t tag, size_t len) {
    buf_add_u8(out, tag);
    buf_add_u8(out, (uint8_t)(0x80 | (len & 0x7f)));
    buf_add_u8(out, (uint8_t)(len >> 7));
}

/* One record as a producer library packs it ("KPL aggregated records"): PACKED_RECORDS lines under
 * one key. */
__attribute__((unused)) static void add_packed(struct buf *out, uint64_t first) {
    struct buf message = {0};
    uint8_t sum[16];
    add_field(&message, 0x0a, 1);
    buf_add_str(&message, STR("k"));
    for (unsigned i = 0; i < PACKED_RECORDS; i++) {
        char text[RECORD_BYTES + 1];
        snprintf(text, sizeof text, "%-*llu\n", RECORD_BYTES - 1, (unsigned long long)first + i);
        add_field(&message, 0x1a, 5 + RECORD_BYTES);
        buf_add_str(&message, STR("\x08\x00"));
        add_field(&message, 0x1a, RECORD_BYTES);
        buf_add_str(&message, str_of(text));
    }
    EVP_Digest(buf_at(&message), buf_len(&message), sum, NULL, EVP_md5(), NULL);
    buf_add_str(out, STR("\xf3\x89\x9a\xc2"));
    buf_add_str(out, buf_str(&message));
    buf_add(out, sum, sizeof sum);
    buf_done(&message);
}

__attribute__((unused)) static void push_packed(struct pipeline *pipeline, uint64_t count) {
    struct buf record = {0};
    for (uint64_t i = 0; i < count; i++) {
        buf_clear(&record);
        add_packed(&record, pipeline->pushed * PACKED_RECORDS);
        push_text(pipeline, buf_str(&record));
    }
    buf_done(&record);
}

/* ---- objects out ---- */

static void read_object(struct object *object, struct str text) {
    object->bytes = text.len;
    for (struct str rest = text; rest.len; object->end++) {
        struct str line = str_cut(rest, '\n', &rest);
        uint64_t number;
        assert_true(str_to_u64(str_trim(line), &number));
        if (line.at == text.at)
            object->first = object->end = number;
        assert_int_equal(number, object->end);
    }
}

static int visit(const char *path, const struct stat *stat, int type, struct FTW *where) {
    if (type != FTW_F || strstr(path, "/.tmp-"))
        return 0;
    assert_true(object_count < OBJECTS_MAX);
    struct object *object = &objects[object_count++];
    *object = (struct object){0};
    snprintf(object->path, sizeof object->path, "%s", path);
    struct buf content = {0};
    assert_int_equal(file_read_all(path, 1 << 28, &content, NULL), 0);
    if (!strstr(path, ".gz"))
        read_object(object, buf_str(&content));
    buf_done(&content);
    return 0;
}

static int by_first(const void *a, const void *b) {
    const struct object *left = a, *right = b;
    return (left->first > right->first) - (left->first < right->first);
}

/* Fills `objects`, in order of their records. */
static void scan(const struct pipeline *pipeline) {
    object_count = 0;
    nftw(pipeline->bucket_path, visit, 16, FTW_PHYS);
    qsort(objects, object_count, sizeof objects[0], by_first);
}

/* Each record from `first` to `end - 1` stands in one object and in no other. */
__attribute__((unused)) static void assert_exactly_once(const struct pipeline *pipeline,
                                                        uint64_t first, uint64_t end) {
    scan(pipeline);
    for (size_t i = 0; i < object_count; i++) {
        if (objects[i].first != first)
            fail_msg("%s begins with record %llu instead of %llu", objects[i].path,
                     (unsigned long long)objects[i].first, (unsigned long long)first);
        first = objects[i].end;
    }
    assert_int_equal(first, end);
}

static uint64_t checkpoint_of(struct pipeline *pipeline) {
    uint64_t counter = 0;
    stream_checkpoint_get(pipeline->facts, pipeline->stream, 0, "delivery/sensors", &counter);
    return counter;
}

/* All that was pushed is in objects and noted. */
__attribute__((unused)) static bool is_delivered(struct pipeline *pipeline) {
    return checkpoint_of(pipeline) == pipeline->pushed;
}

#endif
