#include "base/test.h"

#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>

#include "delivery/body.h"

static struct loop *loop;

static void on_ready(struct body *body) {
    loop_stop(loop);
}

static void pack(struct body *body, bool gzip, bool hashes) {
    loop = loop_new();
    body_pack(body, loop, gzip, hashes, on_ready);
    loop_run(loop);
    loop_free(loop);
}

static void fill(struct body *body) {
    for (int i = 0; i < 10000; i++) {
        char record[64];
        snprintf(record, sizeof record, "{\"sensor\":%d,\"value\":%d}\n", i % 7, i);
        body_add(body, str_of(record));
    }
}

static void plain_bytes_are_the_records(void **state) {
    struct body body = {0};
    body_add(&body, STR("one"));
    body_add(&body, STR(""));
    body_add(&body, STR("two"));
    pack(&body, false, true);
    assert_str(body_bytes(&body), "onetwo");
    /* printf onetwo | sha256sum; openssl md5 -binary | base64 */
    assert_string_equal(body.sha256_hex,
                        "25b6746d5172ed6352966a013d93ac846e1110d5a25e8f183b5931f4688842a1");
    assert_string_equal(body.md5_base64, "W5FkrW9JbZ3uEux2NM4lPw==");
    body_done(&body);
}

static void gzip_gives_the_records_back(void **state) {
    struct body plain = {0}, packed = {0};
    fill(&plain);
    fill(&packed);
    pack(&packed, true, true);
    struct str bytes = body_bytes(&packed);
    size_t len = body_bytes(&plain).len, out_len = 0;
    assert_true(bytes.len < len / 2);
    char *out = malloc(len);
    struct libdeflate_decompressor *decompressor = libdeflate_alloc_decompressor();
    assert_int_equal(
        libdeflate_gzip_decompress(decompressor, bytes.at, bytes.len, out, len, &out_len), 0);
    libdeflate_free_decompressor(decompressor);
    assert_int_equal(out_len, len);
    assert_memory_equal(out, body_bytes(&plain).at, len);
    free(out);
    body_done(&plain);
    body_done(&packed);
}

static void the_same_records_give_the_same_bytes(void **state) {
    struct body one = {0}, two = {0};
    fill(&one);
    fill(&two);
    pack(&one, true, true);
    pack(&two, true, true);
    assert_true(str_eq(body_bytes(&one), body_bytes(&two)));
    assert_string_equal(one.sha256_hex, two.sha256_hex);
    assert_memory_equal(body_bytes(&one).at + 4, "\0\0\0\0", 4); /* RFC 1952: MTIME */
    body_done(&one);
    body_done(&two);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_bytes_are_the_records),
        cmocka_unit_test(gzip_gives_the_records_back),
        cmocka_unit_test(the_same_records_give_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
