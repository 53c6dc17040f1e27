#include "delivery/test_pipeline.h"

#include <libdeflate.h>
#include <sys/stat.h>

#include "base/metric.h"
#include "delivery/body.h"
#include "delivery/intent.h"

static struct pipeline pipeline;

static int set_up(void **state) {
    pipeline_init(&pipeline);
    return 0;
}

static int tear_down(void **state) {
    pipeline_done(&pipeline);
    return 0;
}

static bool has_wanted_checkpoint(struct pipeline *self);
static uint64_t wanted_checkpoint;

static bool has_wanted_checkpoint(struct pipeline *self) {
    return checkpoint_of(self) >= wanted_checkpoint;
}

static void wait_for_checkpoint(uint64_t counter) {
    wanted_checkpoint = counter;
    assert_true(run_until(&pipeline, has_wanted_checkpoint));
}

static bool has_failed(struct pipeline *self) {
    struct buf text = {0};
    metric_show(&text);
    bool failed = strstr(buf_cstr(&text), "\nweir_delivery_failures_total{") != NULL;
    buf_done(&text);
    return failed;
}

/* A file where the bucket's directory should be. */
static void break_bucket(void) {
    assert_int_equal(file_write_atomic(pipeline.bucket_path, STR("in the way\n"), NULL), 0);
}

static void repair_bucket(void) {
    assert_int_equal(unlink(pipeline.bucket_path), 0);
}

/* ---- when an object is due ---- */

static void buffers_that_are_full_become_objects(void **state) {
    pipeline_open(&pipeline);
    push_and_commit(&pipeline, 100);
    wait_for_checkpoint(96);
    run_for_ms(&pipeline, 20);
    assert_exactly_once(&pipeline, 0, 96);
    assert_int_equal(object_count, 6);
    for (size_t i = 0; i < object_count; i++)
        assert_int_equal(objects[i].bytes, 16 * RECORD_BYTES);
    assert_int_equal(checkpoint_of(&pipeline), 96);
    pipeline_close(&pipeline, 1000);
}

static void a_buffer_is_cut_behind_the_record_that_fills_it(void **state) {
    pipeline.config.buffer_size_bytes = 16 * RECORD_BYTES + 1;
    pipeline_open(&pipeline);
    push_and_commit(&pipeline, 17);
    wait_for_checkpoint(17);
    assert_exactly_once(&pipeline, 0, 17);
    assert_int_equal(object_count, 1);
    pipeline_close(&pipeline, 1000);
}

static void what_waited_long_enough_becomes_an_object(void **state) {
    pipeline.config.buffer_interval_ms = 30;
    pipeline_open(&pipeline);
    push_and_commit(&pipeline, 3);
    assert_true(run_until(&pipeline, is_delivered));
    push_and_commit(&pipeline, 2);
    assert_true(run_until(&pipeline, is_delivered));
    assert_exactly_once(&pipeline, 0, 5);
    pipeline_close(&pipeline, 1000);
}

static void nothing_gathered_gives_no_object(void **state) {
    pipeline.config.buffer_interval_ms = 0;
    pipeline_open(&pipeline);
    run_for_ms(&pipeline, 20);
    push_text(&pipeline, STR(""));
    push_text(&pipeline, STR(""));
    assert_true(run_until(&pipeline, is_delivered));
    scan(&pipeline);
    assert_int_equal(object_count, 0);
    pipeline_close(&pipeline, 1000);
}

static void the_rest_waits_for_the_next_start(void **state) {
    pipeline_open(&pipeline);
    push_and_commit(&pipeline, 20);
    wait_for_checkpoint(16);
    pipeline_close(&pipeline, 1000);
    assert_exactly_once(&pipeline, 0, 16);
    pipeline.config.buffer_interval_ms = 0;
    pipeline_open(&pipeline);
    assert_true(run_until(&pipeline, is_delivered));
    assert_exactly_once(&pipeline, 0, 20);
    assert_int_equal(object_count, 2);
    pipeline_close(&pipeline, 1000);
}

static void a_backlog_is_cut_by_size(void **state) {
    open_stream(&pipeline);
    push_and_commit(&pipeline, 1000);
    pipeline.config.buffer_interval_ms = 0;
    assert_int_equal(open_delivery(&pipeline, NULL), 0);
    assert_true(run_until(&pipeline, is_delivered));
    assert_exactly_once(&pipeline, 0, 1000);
    assert_int_equal(object_count, 63);
    pipeline_close(&pipeline, 1000);
}

/* ---- what an object is ---- */

static void gzip_objects_hold_the_records(void **state) {
    pipeline.config.compression = DELIVERY_GZIP;
    pipeline_open(&pipeline);
    push_and_commit(&pipeline, 16);
    assert_true(run_until(&pipeline, is_delivered));
    pipeline_close(&pipeline, 1000);
    scan(&pipeline);
    assert_int_equal(object_count, 1);
    assert_string_equal(objects[0].path + strlen(objects[0].path) - 3, ".gz");
    struct buf packed = {0};
    char text[16 * RECORD_BYTES];
    size_t len;
    assert_int_equal(file_read_all(objects[0].path, 1 << 20, &packed, NULL), 0);
    struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
    assert_int_equal(libdeflate_gzip_decompress(decompressor, buf_at(&packed), buf_len(&packed),
                                                text, sizeof text, &len),
                     0);
    libdeflate_free_decompressor(decompressor);
    buf_done(&packed);
    struct object content = {0};
    read_object(&content, str_from(text, len));
    assert_int_equal(content.first, 0);
    assert_int_equal(content.end, 16);
}

static void objects_larger_than_a_slice_are_whole(void **state) {
    enum { COUNT = 50000 };
    pipeline.config.buffer_size_bytes = COUNT * RECORD_BYTES;
    pipeline_open(&pipeline);
    push_and_commit(&pipeline, COUNT);
    assert_true(run_until(&pipeline, is_delivered));
    assert_exactly_once(&pipeline, 0, COUNT);
    assert_int_equal(object_count, 1);
    pipeline_close(&pipeline, 1000);
}

/* ---- a bucket that is down ---- */

static void records_wait_for_the_bucket(void **state) {
    break_bucket();
    pipeline_open(&pipeline);
    push_and_commit(&pipeline, 40);
    assert_true(run_until(&pipeline, has_failed));
    assert_int_equal(checkpoint_of(&pipeline), 0);
    repair_bucket();
    wait_for_checkpoint(32);
    assert_exactly_once(&pipeline, 0, 32);
    pipeline_close(&pipeline, 1000);
}

static void closing_does_not_wait_for_the_bucket(void **state) {
    struct intent intent;
    char path[256];
    break_bucket();
    pipeline_open(&pipeline);
    push_and_commit(&pipeline, 16);
    assert_true(run_until(&pipeline, has_failed));
    pipeline_close(&pipeline, 600 * 1000);
    repair_bucket();

    open_stream(&pipeline);
    assert_int_equal(intent_get(pipeline.facts, "sensors", &intent), 0);
    assert_int_equal(open_delivery(&pipeline, NULL), 0);
    assert_true(run_until(&pipeline, is_delivered));
    assert_exactly_once(&pipeline, 0, 16);
    snprintf(path, sizeof path, "%s/%s", pipeline.bucket_path, buf_cstr(&intent.key));
    assert_string_equal(objects[0].path, path);
    intent_done(&intent);
    assert_int_equal(intent_get(pipeline.facts, "sensors", &intent), ERR_NOT_FOUND);
    pipeline_close(&pipeline, 1000);
}

static void closing_finishes_the_object_under_way(void **state) {
    pipeline_open(&pipeline);
    push_and_commit(&pipeline, 16);
    for (int i = 0; i < 1000; i++) {
        struct intent intent;
        if (intent_get(pipeline.facts, "sensors", &intent) == 0) {
            intent_done(&intent);
            break;
        }
        run_for_ms(&pipeline, 0);
    }
    pipeline_close(&pipeline, 60 * 1000);
    assert_exactly_once(&pipeline, 0, 16);
}

/* ---- packed records ---- */

static void packed_records_are_taken_apart(void **state) {
    pipeline.config.deaggregate = true;
    pipeline.config.buffer_interval_ms = 0;
    pipeline_open(&pipeline);
    push_packed(&pipeline, 40);
    assert_true(run_until(&pipeline, is_committed));
    assert_true(run_until(&pipeline, is_delivered));
    assert_exactly_once(&pipeline, 0, 40 * PACKED_RECORDS);
    pipeline_close(&pipeline, 1000);
}

static void packed_records_stay_as_they_are_unless_asked(void **state) {
    struct buf record = {0}, content = {0};
    pipeline.config.buffer_interval_ms = 0;
    pipeline.config.file_extension = ".gz"; /* Not to be taken for lines. */
    pipeline_open(&pipeline);
    push_packed(&pipeline, 1);
    assert_true(run_until(&pipeline, is_delivered));
    pipeline_close(&pipeline, 1000);
    scan(&pipeline);
    assert_int_equal(object_count, 1);
    assert_int_equal(file_read_all(objects[0].path, 1 << 20, &content, NULL), 0);
    add_packed(&record, 0);
    assert_true(str_eq(buf_str(&content), buf_str(&record)));
    buf_done(&record);
    buf_done(&content);
}

/* What was to be taken apart is, whatever the configuration says by now. */
static void an_intent_remembers_that_records_are_taken_apart(void **state) {
    for (int apart = 0; apart < 2; apart++) {
        struct intent intent;
        pipeline_done(&pipeline);
        pipeline_init(&pipeline);
        pipeline.config.deaggregate = true;
        break_bucket();
        pipeline_open(&pipeline);
        push_packed(&pipeline, 5); /* They fill one object. */
        assert_true(run_until(&pipeline, has_failed));
        pipeline_close(&pipeline, 1000);
        repair_bucket();

        open_stream(&pipeline);
        pipeline.config.deaggregate = apart;
        assert_int_equal(intent_get(pipeline.facts, "sensors", &intent), 0);
        assert_true(intent.deaggregates);
        assert_int_equal(intent.end, 5);
        intent_done(&intent);
        assert_int_equal(open_delivery(&pipeline, NULL), 0);
        assert_true(run_until(&pipeline, is_delivered));
        assert_exactly_once(&pipeline, 0, 5 * PACKED_RECORDS);
        pipeline_close(&pipeline, 1000);
    }
}

/* Two fields with one key and a record of no data. */
static void packed_records_without_data_give_no_object(void **state) {
    struct buf record = {0};
    uint8_t sum[16];
    const struct str message = STR("\x0a\x01k\x1a\x04\x08\x00\x1a\x00");
    EVP_Digest(message.at, message.len, sum, NULL, EVP_md5(), NULL);
    buf_add_str(&record, STR("\xf3\x89\x9a\xc2"));
    buf_add_str(&record, message);
    buf_add(&record, sum, sizeof sum);
    pipeline.config.deaggregate = true;
    pipeline.config.buffer_interval_ms = 0;
    pipeline_open(&pipeline);
    push_text(&pipeline, buf_str(&record));
    assert_true(run_until(&pipeline, is_delivered));
    scan(&pipeline);
    assert_int_equal(object_count, 0);
    push_packed(&pipeline, 1);
    assert_true(run_until(&pipeline, is_delivered));
    assert_exactly_once(&pipeline, PACKED_RECORDS, 2 * PACKED_RECORDS);
    pipeline_close(&pipeline, 1000);
    buf_done(&record);
}

static bool shows_lag(struct pipeline *self) {
    struct buf text = {0};
    metric_show(&text);
    const char *shown = buf_cstr(&text);
    bool all =
        strstr(shown, "weir_delivery_lag_records{delivery_stream=\"sensors\"} 40\n") &&
        strstr(shown, "weir_delivery_backlog_bytes{delivery_stream=\"sensors\"} 2560\n") &&
        strstr(shown, "weir_delivery_failures_total{delivery_stream=\"sensors\",code=\"Io\"}");
    buf_done(&text);
    return all;
}

static void lag_is_shown(void **state) {
    break_bucket();
    pipeline_open(&pipeline);
    push_and_commit(&pipeline, 40);
    assert_true(run_until(&pipeline, shows_lag));
    pipeline_close(&pipeline, 0);
}

/* ---- what disks may do ---- */

static void set_checkpoint(uint64_t counter) {
    struct facts_write *write;
    assert_int_equal(facts_begin(pipeline.facts, &write, NULL), 0);
    assert_int_equal(stream_checkpoint_put(write, pipeline.stream, 0, "delivery/sensors", counter),
                     0);
    assert_int_equal(facts_commit(write, NULL), 0);
}

static void a_stream_that_lost_its_end_goes_on_there(void **state) {
    pipeline.config.buffer_interval_ms = 0;
    open_stream(&pipeline);
    push_and_commit(&pipeline, 5);
    set_checkpoint(12);
    assert_int_equal(open_delivery(&pipeline, NULL), 0);
    assert_int_equal(checkpoint_of(&pipeline), 5);
    push_and_commit(&pipeline, 3);
    assert_true(run_until(&pipeline, is_delivered));
    assert_exactly_once(&pipeline, 5, 8);
    pipeline_close(&pipeline, 1000);
}

static void set_intent(const char *key, uint64_t end, struct tally tally, uint64_t created_s) {
    struct intent intent = {.stream_created_s = created_s, .end = end, .tally = tally};
    intent.instant_ms = 1772841909000;
    buf_add_str(&intent.key, str_of(key));
    assert_int_equal(intent_set(pipeline.facts, "sensors", &intent, NULL), 0);
    intent_done(&intent);
}

/* Other bytes than the intent says never overwrite the object that may be there. */
static void an_intent_that_does_not_fit_the_records_is_given_a_new_key(void **state) {
    static const struct {
        uint64_t end;
        struct tally tally;
    } rows[] = {
        {5, {5, 5 * RECORD_BYTES, 1}},             /* the same sizes, other bytes */
        {5, {4, 4 * RECORD_BYTES, 1}},             /* fewer */
        {90, {90, 90 * RECORD_BYTES, 1}},          /* beyond the end of the stream */
        {5, {5, (uint64_t)BODY_BYTES_MAX + 1, 1}}, /* more than an object holds */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char key[64], path[200];
        open_stream(&pipeline);
        if (!pipeline.pushed)
            push_and_commit(&pipeline, 5);
        set_checkpoint(0);
        snprintf(key, sizeof key, "earlier/%zu", i);
        snprintf(path, sizeof path, "%s/%s", pipeline.bucket_path, key);
        assert_int_equal(file_write_atomic(path, STR("77\n"), NULL), 0);
        set_intent(key, rows[i].end, rows[i].tally, stream_created_s(pipeline.stream));
        assert_int_equal(open_delivery(&pipeline, NULL), 0);
        assert_true(run_until(&pipeline, is_delivered));
        pipeline_close(&pipeline, 1000);
        scan(&pipeline);
        assert_int_equal(object_count, 2);
        assert_int_equal(objects[0].first, 0);
        assert_int_equal(objects[0].end, 5);
        assert_int_equal(objects[1].first, 77);
        file_remove_tree(pipeline.bucket_path, NULL);
    }
}

static void an_intent_of_another_stream_says_nothing(void **state) {
    open_stream(&pipeline);
    push_and_commit(&pipeline, 16);
    set_intent("other", 3, (struct tally){3, 3 * RECORD_BYTES, 1},
               stream_created_s(pipeline.stream) + 1);
    assert_int_equal(open_delivery(&pipeline, NULL), 0);
    assert_true(run_until(&pipeline, is_delivered));
    assert_exactly_once(&pipeline, 0, 16);
    assert_int_equal(object_count, 1);
    pipeline_close(&pipeline, 1000);
}

static void an_intent_that_cannot_be_read_is_an_error(void **state) {
    struct err err = {0};
    open_stream(&pipeline);
    assert_int_equal(
        facts_set(pipeline.facts, "intent", STR("delivery/sensors"), STR("junk"), NULL), 0);
    assert_int_equal(open_delivery(&pipeline, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "sensors"));
    pipeline_close(&pipeline, 0);
}

static void a_wrong_configuration_is_an_error(void **state) {
    struct err err = {0};
    open_stream(&pipeline);
    pipeline.config.prefix = "!{";
    assert_int_equal(open_delivery(&pipeline, &err), ERR_INVALID);
    pipeline.config.prefix = "";
    pipeline.bucket.directory = NULL;
    assert_int_equal(open_delivery(&pipeline, &err), ERR_INVALID);
    pipeline_close(&pipeline, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- without room for facts ---- */

static void fill_facts(void) {
    static char junk[1 << 20];
    struct err err;
    size_t bytes = sizeof junk;
    for (unsigned i = 0; bytes; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", i);
        if (facts_set(pipeline.facts, "junk", str_of(key), str_from(junk, bytes), &err))
            bytes /= 2;
    }
}

static bool has_failed_facts(struct pipeline *self) {
    struct buf text = {0};
    metric_show(&text);
    bool failed = strstr(buf_cstr(&text), "\"Facts\"") != NULL;
    buf_done(&text);
    return failed;
}

static void reopen_with_room(void) {
    pipeline_close(&pipeline, 0);
    pipeline.facts_bytes_max *= 2;
    pipeline_open(&pipeline);
}

/* An object whose intent is not on disk might be written twice, with two names. */
static void what_cannot_be_noted_is_not_begun(void **state) {
    pipeline_open(&pipeline);
    fill_facts();
    push_and_commit(&pipeline, 16);
    assert_true(run_until(&pipeline, has_failed_facts));
    run_for_ms(&pipeline, 20);
    scan(&pipeline);
    assert_int_equal(object_count, 0);
    reopen_with_room();
    wait_for_checkpoint(16);
    assert_exactly_once(&pipeline, 0, 16);
    pipeline_close(&pipeline, 0);
}

static bool has_an_object(struct pipeline *self) {
    scan(self);
    return object_count > 0;
}

/* The object is there, but nothing says so: it is written again, as it is, before the next one. */
static void an_end_that_cannot_be_noted_is_no_end(void **state) {
    break_bucket();
    pipeline_open(&pipeline);
    push_and_commit(&pipeline, 16);
    assert_true(run_until(&pipeline, has_failed));
    fill_facts();
    repair_bucket();
    assert_true(run_until(&pipeline, has_an_object));
    assert_true(run_until(&pipeline, has_failed_facts));
    push_and_commit(&pipeline, 16);
    run_for_ms(&pipeline, 20);
    assert_int_equal(checkpoint_of(&pipeline), 0);
    scan(&pipeline);
    assert_int_equal(object_count, 1);
    reopen_with_room();
    wait_for_checkpoint(32);
    assert_exactly_once(&pipeline, 0, 32);
    pipeline_close(&pipeline, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(buffers_that_are_full_become_objects),
        TEST(a_buffer_is_cut_behind_the_record_that_fills_it),
        TEST(what_waited_long_enough_becomes_an_object),
        TEST(nothing_gathered_gives_no_object),
        TEST(the_rest_waits_for_the_next_start),
        TEST(a_backlog_is_cut_by_size),
        TEST(gzip_objects_hold_the_records),
        TEST(objects_larger_than_a_slice_are_whole),
        TEST(records_wait_for_the_bucket),
        TEST(closing_does_not_wait_for_the_bucket),
        TEST(closing_finishes_the_object_under_way),
        TEST(packed_records_are_taken_apart),
        TEST(packed_records_stay_as_they_are_unless_asked),
        TEST(an_intent_remembers_that_records_are_taken_apart),
        TEST(packed_records_without_data_give_no_object),
        TEST(lag_is_shown),
        TEST(a_stream_that_lost_its_end_goes_on_there),
        TEST(an_intent_that_does_not_fit_the_records_is_given_a_new_key),
        TEST(an_intent_of_another_stream_says_nothing),
        TEST(an_intent_that_cannot_be_read_is_an_error),
        TEST(a_wrong_configuration_is_an_error),
        TEST(what_cannot_be_noted_is_not_begun),
        TEST(an_end_that_cannot_be_noted_is_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
