#include "base/test.h"

#include "delivery/delivery.h"

/* A document of one level: keys and values in turn, at line 3. */
struct document {
    struct conf root;
    struct conf values[8], *items[8];
    struct conf_key keys[8];
};

static void document_of(struct document *document, const char *const *texts) {
    *document = (struct document){.root = {.type = CONF_MAP, .file = "a.yaml", .line = 2}};
    for (size_t i = 0; texts[2 * i]; i++) {
        document->keys[i] = (struct conf_key){texts[2 * i], 3, 1};
        document->values[i] = (struct conf){.type = CONF_SCALAR,
                                            .text = texts[2 * i + 1],
                                            .file = "a.yaml",
                                            .line = 3,
                                            .column = 9};
        document->items[i] = &document->values[i];
        document->root.count++;
    }
    document->root.items = document->items;
    document->root.keys = document->keys;
}

#define DOCUMENT(document, ...)                                                                    \
    document_of(&document, (const char *const[]){__VA_ARGS__, NULL, NULL})

static void defaults_are_those_of_firehose(void **state) {
    struct arena arena = {0};
    struct document document;
    struct delivery_config config = {0};
    DOCUMENT(document, "bucket", "archive");
    assert_int_equal(option_load(&arena, delivery_options, &document.root, &config, NULL), 0);
    config.head.name = "sensors";
    assert_string_equal(config.bucket, "archive");
    assert_int_equal(config.buffer_size_bytes, 5 * 1024 * 1024);
    assert_int_equal(config.buffer_interval_ms, 300000);
    assert_int_equal(config.backlog_bytes_max, 10LL * 1024 * 1024 * 1024);
    assert_int_equal(delivery_compression(&config), DELIVERY_UNCOMPRESSED);
    assert_int_equal(delivery_config_check(&config, NULL), 0);
    arena_done(&arena);
}

static void compression_is_read_in_both_spellings(void **state) {
    static const struct {
        const char *text;
        enum delivery_compression expected;
    } rows[] = {{"none", DELIVERY_UNCOMPRESSED},
                {"gzip", DELIVERY_GZIP},
                {"UNCOMPRESSED", DELIVERY_UNCOMPRESSED},
                {"GZIP", DELIVERY_GZIP}};
    struct arena arena = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct document document;
        struct delivery_config config = {0};
        DOCUMENT(document, "bucket", "b", "compression", rows[i].text);
        assert_int_equal(option_load(&arena, delivery_options, &document.root, &config, NULL), 0);
        assert_int_equal(delivery_compression(&config), rows[i].expected);
    }
    arena_done(&arena);
}

static void assert_not_loaded(const char *key, const char *value, const char *reason) {
    struct arena arena = {0};
    struct document document;
    struct delivery_config config = {0};
    struct err err = {0};
    DOCUMENT(document, "bucket", "b", key, value);
    assert_int_not_equal(option_load(&arena, delivery_options, &document.root, &config, &err), 0);
    assert_non_null(strstr(err.text, "a.yaml:3:"));
    assert_non_null(strstr(err.text, reason));
    arena_done(&arena);
}

static void what_is_out_of_range_or_for_later_is_refused(void **state) {
    assert_not_loaded("buffer_size", "1000", "out of range");
    assert_not_loaded("buffer_size", "129MiB", "out of range");
    assert_not_loaded("buffer_interval", "16m", "out of range");
    assert_not_loaded("compression", "zip", "none of");
    assert_not_loaded("format", "parquet", "none of: json");
    assert_not_loaded("dynamic_partitioning", "true", "not part of this version");
}

static void errors_stand_at_the_key(void **state) {
    struct arena arena = {0};
    struct document document;
    struct delivery_config config = {0};
    struct err err = {0};
    DOCUMENT(document, "bucket", "b", "prefix", "x/!{timestamp:Q}/");
    assert_int_equal(option_load(&arena, delivery_options, &document.root, &config, NULL), 0);
    config.head.name = "sensors";
    assert_int_equal(delivery_config_check(&config, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "a.yaml:3:9: prefix: "));
    arena_done(&arena);
}

static void names_are_checked(void **state) {
    struct delivery_config config = {.head.name = "a b", .prefix = ""};
    struct err err = {0};
    assert_int_equal(delivery_config_check(&config, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "\"a b\""));
}

/* ---- buckets ---- */

static struct bucket_config s3_bucket(void) {
    return (struct bucket_config){.head.name = "archive",
                                  .s3 = {.endpoint = "https://s3.example.com:9000",
                                         .region = "us-east-1",
                                         .access_key_id = "AKID",
                                         .secret_access_key = "secret-words",
                                         .path_style = true}};
}

static void assert_refused(const struct bucket_config *bucket, const char *reason) {
    struct err err = {0};
    assert_int_equal(bucket_check(bucket, &err), ERR_INVALID);
    if (!strstr(err.text, reason))
        fail_msg("\"%s\" does not say \"%s\"", err.text, reason);
    assert_null(strstr(err.text, "secret-words"));
}

static void a_bucket_is_a_directory_or_s3(void **state) {
    struct bucket_config bucket = s3_bucket();
    assert_int_equal(bucket_check(&bucket, NULL), 0);
    bucket.directory = "/tmp/x";
    assert_refused(&bucket, "exactly one");
    bucket = (struct bucket_config){.head.name = "archive"};
    assert_refused(&bucket, "exactly one");
    bucket.directory = "/tmp/x";
    assert_int_equal(bucket_check(&bucket, NULL), 0);
}

static void s3_settings_are_checked(void **state) {
    struct bucket_config bucket = s3_bucket();
    bucket.s3.endpoint = "s3.example.com";
    assert_refused(&bucket, "http://");
    bucket = s3_bucket();
    bucket.s3.secret_access_key = NULL;
    assert_refused(&bucket, "secret_access_key is missing");
    bucket = s3_bucket();
    bucket.s3.access_key_id = "";
    assert_refused(&bucket, "access_key_id is missing");
    bucket = s3_bucket();
    bucket.s3.region = "US East";
    assert_refused(&bucket, "region");
    bucket = s3_bucket();
    bucket.s3.bucket = "a/b";
    assert_refused(&bucket, "a/b");
    bucket = s3_bucket();
    bucket.s3.bucket = "a.b";
    bucket.s3.path_style = false;
    assert_refused(&bucket, "path_style");
}

static void an_absent_s3_map_asks_for_nothing(void **state) {
    struct arena arena = {0};
    struct document document;
    struct bucket_config bucket = {0};
    DOCUMENT(document, "directory", "/tmp/x");
    assert_int_equal(option_load(&arena, bucket_options, &document.root, &bucket, NULL), 0);
    assert_false(bucket_is_s3(&bucket));
    assert_int_equal(bucket_check(&bucket, NULL), 0);
    assert_string_equal(bucket.s3.region, "us-east-1");
    assert_true(bucket.s3.path_style);
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_firehose),
        cmocka_unit_test(compression_is_read_in_both_spellings),
        cmocka_unit_test(what_is_out_of_range_or_for_later_is_refused),
        cmocka_unit_test(errors_stand_at_the_key),
        cmocka_unit_test(names_are_checked),
        cmocka_unit_test(a_bucket_is_a_directory_or_s3),
        cmocka_unit_test(s3_settings_are_checked),
        cmocka_unit_test(an_absent_s3_map_asks_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
