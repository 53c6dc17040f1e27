#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bucket/bucket.h"
#include "io/file.h"

static char root[] = "/tmp/weir-directory-XXXXXX";
static struct loop *loop;
static struct bucket_result result;

static void on_done(void *data, const struct bucket_result *ended) {
    result = *ended;
    loop_stop(loop);
}

static void put(const char *directory, const char *key, const char *body) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", root, directory);
    loop = loop_new();
    struct bucket *bucket = bucket_open_directory(loop, path);
    bucket->done = on_done;
    struct bucket_object object = {.key = str_of(key), .body = str_of(body)};
    bucket->ops->put(bucket, &object);
    loop_run(loop);
    bucket->ops->free(bucket);
    loop_free(loop);
}

static void assert_file(const char *path, const char *expected) {
    char whole[256];
    struct buf content = {0};
    snprintf(whole, sizeof whole, "%s/%s", root, path);
    assert_int_equal(file_read_all(whole, 1000, &content, NULL), 0);
    assert_str(buf_str(&content), expected);
    buf_done(&content);
}

static void an_object_becomes_a_file(void **state) {
    put("bucket", "2026/03/07/00/one", "first");
    assert_int_equal(result.verdict, BUCKET_SAFE);
    assert_file("bucket/2026/03/07/00/one", "first");
}

static void a_repeated_put_overwrites(void **state) {
    put("bucket", "again", "longer text");
    put("bucket", "again", "short");
    assert_int_equal(result.verdict, BUCKET_SAFE);
    assert_file("bucket/again", "short");
}

static void keys_stay_in_the_directory(void **state) {
    char outside[128];
    put("bucket", "../outside", "x");
    assert_int_equal(result.verdict, BUCKET_RETRY);
    assert_string_equal(result.code, "InvalidKey");
    assert_non_null(strstr(result.text, "out of the directory"));
    snprintf(outside, sizeof outside, "%s/outside", root);
    assert_int_equal(access(outside, F_OK), -1);
}

static void failures_say_where_and_are_tried_again(void **state) {
    put("bucket", "plain", "a file");
    put("bucket", "plain/below", "x");
    assert_int_equal(result.verdict, BUCKET_RETRY);
    assert_string_equal(result.code, "Io");
    assert_non_null(strstr(result.text, "bucket/plain"));
}

static int set_up(void **state) {
    return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state) {
    return file_remove_tree(root, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_becomes_a_file),
        cmocka_unit_test(a_repeated_put_overwrites),
        cmocka_unit_test(keys_stay_in_the_directory),
        cmocka_unit_test(failures_say_where_and_are_tried_again),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
