#include "action/s3_header.h"

#include "base/test.h"
#include "bucket/bucket.h"

static int check(const char *key) {
    struct s3_header header = {.key = key, .value = "v"};
    struct option_items headers = {&header, 1};
    struct option_head head = {0};
    struct err err;
    return s3_headers_check(&head, &headers, &err);
}

static void which_headers_are_free(void **state) {
    static const char *const good[] = {"Cache-Control",     "content-disposition", "Expires",
                                       "x-amz-meta-Device", "X-Amz-Storage-Class", "x-amz-tagging"};
    static const char *const bad[] = {
        "Authorization", "Host",   "Content-Type", "Content-Length",       "x-amz-acl",
        "X-Amz-Date",    "x-amz-", "x-amz-a b",    "x-amz-content-sha256", ""};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_int_equal(check(good[i]), 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(check(bad[i]), ERR_INVALID);
}

static void they_have_bounds(void **state) {
    struct s3_header many[BUCKET_HEADERS_MAX + 1] = {0};
    struct option_head head = {0};
    struct err err;
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i].key = "Expires";
    struct option_items headers = {many, COUNT_OF(many)};
    assert_int_equal(s3_headers_check(&head, &headers, &err), ERR_INVALID);
    assert_string_equal(err.text, "s3: more than 20 headers");
    headers.count = 2;
    assert_int_equal(s3_headers_check(&head, &headers, &err), ERR_INVALID);
    assert_string_equal(err.text, "s3: the header \"Expires\" stands there twice");
    headers.count = 1;
    assert_int_equal(s3_headers_check(&head, &headers, &err), 0);
}

static int read_one(const char *value, struct http_header *ret_headers, size_t *ret_count) {
    struct buf params = {0};
    struct err err;
    action_param_write(&params, STR("bucket"), STR("b"));
    action_param_write(&params, STR("header.x-amz-meta-a"), str_of(value));
    struct action_record record = {.params = {buf_str(&params), 2}};
    int code = s3_headers_read(&record, ret_headers, ret_count, &err);
    if (!code && *ret_count) {
        assert_str(ret_headers[0].name, "x-amz-meta-a");
        assert_str(ret_headers[0].value, "v w");
    }
    buf_done(&params);
    return code;
}

static void values_are_those_of_the_message(void **state) {
    struct http_header headers[BUCKET_HEADERS_MAX];
    size_t count;
    assert_int_equal(read_one(" v w ", headers, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(read_one("", headers, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(read_one("v\r\nX-Evil: 1", headers, &count), ERR_INVALID);
    assert_int_equal(read_one("\xc3\xa4", headers, &count), ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_headers_are_free),
        cmocka_unit_test(they_have_bounds),
        cmocka_unit_test(values_are_those_of_the_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
