#include "base/test.h"

#include "base/random.h"
#include "delivery/object_key.h"

/* 2026-03-07T00:05:09Z */
static const uint64_t instant_ms = 1772841909000;

static struct delivery_config config_of(const char *prefix) {
    return (struct delivery_config){
        .head.name = "sensors", .prefix = prefix, .error_output_prefix = "errors/"};
}

static bool is_uuid(struct str text) {
    if (text.len != UUID_CHARS)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text.at[i] != '-' : !strchr("0123456789abcdef", text.at[i]))
            return false;
    }
    return true;
}

/* `expected` is what stands before the UUID, `extension` what stands behind it. */
static void assert_key(const struct delivery_config *config, const char *expected,
                       const char *extension) {
    struct buf key = {0};
    struct str head = str_of(expected), tail = str_of(extension);
    object_key_make(&key, config, instant_ms);
    assert_int_equal(buf_len(&key), head.len + UUID_CHARS + tail.len);
    assert_true(str_starts(buf_str(&key), head));
    assert_true(is_uuid(str_from(buf_at(&key) + head.len, UUID_CHARS)));
    assert_str(str_skip(buf_str(&key), head.len + UUID_CHARS), extension);
    buf_done(&key);
}

#define NAME "sensors-1-2026-03-07-00-05-09-"

static void prefixes_are_evaluated_as_firehose_does(void **state) {
    static const struct {
        const char *prefix, *expected;
    } rows[] = {
        {"", "2026/03/07/00/" NAME},
        {NULL, "2026/03/07/00/" NAME},
        {"raw", "raw2026/03/07/00/" NAME},
        {"raw/", "raw/2026/03/07/00/" NAME},
        {"raw/!{timestamp:yyyy}/", "raw/2026/" NAME},
        {"!{timestamp:'dt='yyyy-MM-dd}", "dt=2026-03-07" NAME},
        {"data/dt=!{timestamp:yyyy-MM-dd}/h=!{timestamp:HH}/", "data/dt=2026-03-07/h=00/" NAME},
        {"100%! {x} é/", "100%! {x} é/2026/03/07/00/" NAME},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct delivery_config config = config_of(rows[i].prefix);
        struct err err = {0};
        assert_int_equal(object_key_check(&config, &err), 0);
        assert_key(&config, rows[i].expected, "");
    }
}

static void the_extension_follows_compression_or_choice(void **state) {
    struct delivery_config config = config_of("");
    config.compression = DELIVERY_GZIP;
    assert_key(&config, "2026/03/07/00/" NAME, ".gz");
    config.compression = 3; /* "GZIP" */
    assert_key(&config, "2026/03/07/00/" NAME, ".gz");
    config.file_extension = ".ndjson.gz";
    assert_int_equal(object_key_check(&config, NULL), 0);
    assert_key(&config, "2026/03/07/00/" NAME, ".ndjson.gz");
}

static void random_strings_differ_between_places_and_objects(void **state) {
    struct delivery_config config =
        config_of("a/!{firehose:random-string}/!{firehose:random-string}/");
    struct buf one = {0}, two = {0};
    enum { CHARS = 11 };
    assert_int_equal(object_key_check(&config, NULL), 0);
    object_key_make(&one, &config, instant_ms);
    object_key_make(&two, &config, instant_ms);
    const char *first = buf_cstr(&one) + 2, *second = first + CHARS + 1;
    assert_int_equal(
        strspn(first, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"), CHARS);
    assert_int_equal(second[CHARS], '/');
    assert_memory_not_equal(first, second, CHARS);
    assert_memory_not_equal(first, buf_cstr(&two) + 2, CHARS);
    /* An expression that is no timestamp: nothing is appended. */
    assert_memory_equal(second + CHARS + 1, NAME, strlen(NAME));
    buf_done(&one);
    buf_done(&two);
}

static void assert_refused(const struct delivery_config *config, const char *reason) {
    struct err err = {0};
    assert_int_not_equal(object_key_check(config, &err), 0);
    if (!strstr(err.text, reason))
        fail_msg("\"%s\" does not say \"%s\"", err.text, reason);
}

static void wrong_prefixes_are_refused_with_a_reason(void **state) {
    static const struct {
        const char *prefix, *reason;
    } rows[] = {
        {"a/!{timestamp:yyyy", "not closed"},
        {"a/!{timestamp:QQ}", "letter Q"},
        {"a/!{timestamp:}", "not known"},
        {"a/!{timestamp:'x}", "quote"},
        {"a/!{firehose:error-output-type}", "belongs into error_output_prefix"},
        {"a/!{firehose:nonsense}", "random-string"},
        {"a/!{weather:today}", "!{weather:today} is not known"},
        {"a/!{partitionKeyFromQuery:device}", "dynamic partitioning"},
        {"../other/", "out of the directory"},
        {"a/./b/", "out of the directory"},
        {"a/!{timestamp:'..'}/", "out of the directory"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct delivery_config config = config_of(rows[i].prefix);
        assert_refused(&config, rows[i].reason);
    }
}

static void prefixes_are_bounded(void **state) {
    char prefix[600];
    memset(prefix, 'a', sizeof prefix);
    for (size_t i = 100; i < sizeof prefix; i += 100)
        prefix[i] = '/';
    prefix[OBJECT_PREFIX_BYTES_MAX - (sizeof "yyyy/MM/dd/HH/" - 1)] = '\0';
    struct delivery_config config = config_of(prefix);
    assert_int_equal(object_key_check(&config, NULL), 0);
    strcat(prefix, "a");
    assert_refused(&config, "512 bytes");
    memset(prefix, 'a', 300);
    prefix[300] = '\0';
    assert_refused(&config, "file name");
}

/* "May" fits and "September" does not. */
static void prefixes_are_bounded_in_every_month(void **state) {
    char prefix[300] = "";
    memset(prefix, 'a', 183);
    strcat(prefix, "!{timestamp:MMMM}");
    struct delivery_config config = config_of(prefix);
    assert_refused(&config, "file name");
    memmove(prefix, prefix + 10, sizeof prefix - 10);
    assert_int_equal(object_key_check(&config, NULL), 0);
}

static void error_prefixes_follow_their_rules(void **state) {
    struct delivery_config config = config_of("!{timestamp:yyyy}/");
    config.error_output_prefix = "";
    assert_refused(&config, "error_output_prefix is wanted");
    config.error_output_prefix = "errors/!{timestamp:yyyy}/";
    assert_refused(&config, "error-output-type");
    config.error_output_prefix = "errors/!{firehose:error-output-type}/!{timestamp:yyyy}/";
    assert_int_equal(object_key_check(&config, NULL), 0);
}

static void extensions_follow_their_rules(void **state) {
    static const char *const wrong[] = {"gz", ".", ".GZ", ".a/b", ".a b"};
    struct delivery_config config = config_of("");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        config.file_extension = wrong[i];
        assert_refused(&config, "file_extension");
    }
}

static void paths_must_stay_below_the_directory(void **state) {
    assert_int_equal(bucket_path_check(STR("a/b..c/...d/.e"), NULL), 0);
    assert_int_equal(bucket_path_check(STR("a/../b"), NULL), ERR_INVALID);
    assert_int_equal(bucket_path_check(STR(".."), NULL), ERR_INVALID);
    assert_int_equal(bucket_path_check(STR("a/."), NULL), ERR_INVALID);
    assert_int_equal(bucket_path_check(STR("a\0b"), NULL), ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes_are_evaluated_as_firehose_does),
        cmocka_unit_test(the_extension_follows_compression_or_choice),
        cmocka_unit_test(random_strings_differ_between_places_and_objects),
        cmocka_unit_test(wrong_prefixes_are_refused_with_a_reason),
        cmocka_unit_test(prefixes_are_bounded),
        cmocka_unit_test(prefixes_are_bounded_in_every_month),
        cmocka_unit_test(error_prefixes_follow_their_rules),
        cmocka_unit_test(extensions_follow_their_rules),
        cmocka_unit_test(paths_must_stay_below_the_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
