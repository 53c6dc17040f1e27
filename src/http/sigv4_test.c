/* Vectors of the IAM user guide, of the S3 API reference, and captures of what AWS's own clients
 * sign. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base64.h"
#include "http/sigv4.h"

#define SECRET_SUITE STR("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
#define SECRET_S3    STR("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
#define EMPTY_HASH   STR("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

#define HEADERS(...)                                                                               \
    .headers = (const struct http_header[]){__VA_ARGS__},                                          \
    .header_count = sizeof((const struct http_header[]){__VA_ARGS__}) / sizeof(struct http_header)

#define H(name, value)                                                                             \
    { STR(name), STR(value) }

static void expect_signature(const struct sigv4_request *request, struct str secret,
                             const char *expected) {
    char signature[SIGV4_SIGNATURE_CHARS];
    sigv4_signature(request, secret, signature);
    assert_string_equal(signature, expected);
}

static void the_signing_key_is_derived_as_published(void **state) {
    uint8_t key[SIGV4_KEY_BYTES];
    sigv4_signing_key(SECRET_SUITE, STR("20150830"), STR("us-east-1"), STR("iam"), key);
    struct buf text = {0};
    hex_write(&text, str_from(key, sizeof key));
    assert_string_equal(buf_cstr(&text),
                        "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    buf_done(&text);
}

static const struct http_header vanilla_headers[] = {
    {{"X-Amz-Date", 10}, {"20150830T123600Z", 16}},
    {{"Host", 4}, {"example.amazonaws.com", 21}},
};

static const struct sigv4_request vanilla = {
    .method = {"GET", 3},
    .path = {"/", 1},
    .headers = vanilla_headers,
    .header_count = 2,
    .payload_hash = {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 64},
    .region = {"us-east-1", 9},
    .service = {"service", 7},
    .amz_date = {"20150830T123600Z", 16},
};

static void a_plain_get_is_signed_as_published(void **state) {
    struct buf text = {0};
    sigv4_canonical_request(&text, &vanilla);
    char hash[65];
    sigv4_sha256_hex(buf_str(&text), hash);
    assert_string_equal(hash, "bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63");
    buf_done(&text);
    expect_signature(&vanilla, SECRET_SUITE,
                     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

static void the_authorization_header_names_scope_and_headers(void **state) {
    struct buf text = {0};
    sigv4_authorization(&text, &vanilla, STR("AKIDEXAMPLE"), SECRET_SUITE);
    assert_string_equal(
        buf_cstr(&text),
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=host;x-amz-date, "
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    buf_done(&text);
}

static void a_kept_key_signs_the_same(void **state) {
    uint8_t key[SIGV4_KEY_BYTES];
    sigv4_signing_key(SECRET_SUITE, STR("20150830"), STR("us-east-1"), STR("service"), key);
    char signature[SIGV4_SIGNATURE_CHARS];
    sigv4_sign(&vanilla, key, signature);
    assert_string_equal(signature,
                        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

static void s3_get_with_a_range(void **state) {
    struct sigv4_request request = {
        .method = STR("GET"),
        .path = STR("/test.txt"),
        HEADERS(H("Host", "examplebucket.s3.amazonaws.com"), H("Range", "bytes=0-9"),
                {STR("x-amz-content-sha256"), EMPTY_HASH}, H("x-amz-date", "20130524T000000Z")),
        .payload_hash = EMPTY_HASH,
        .region = STR("us-east-1"),
        .service = STR("s3"),
        .amz_date = STR("20130524T000000Z"),
        .s3 = true,
    };
    expect_signature(&request, SECRET_S3,
                     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void s3_put_with_an_escape_in_its_path(void **state) {
    char hash[65];
    sigv4_sha256_hex(STR("Welcome to Amazon S3."), hash);
    struct sigv4_request request = {
        .method = STR("PUT"),
        .path = STR("/test%24file.text"),
        HEADERS(H("Host", "examplebucket.s3.amazonaws.com"),
                H("Date", "Fri, 24 May 2013 00:00:00 GMT"), H("x-amz-date", "20130524T000000Z"),
                H("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                {STR("x-amz-content-sha256"), {hash, 64}}),
        .payload_hash = {hash, 64},
        .region = STR("us-east-1"),
        .service = STR("s3"),
        .amz_date = STR("20130524T000000Z"),
        .s3 = true,
    };
    expect_signature(&request, SECRET_S3,
                     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    request.path = STR("/test$file.text"); /* The same once it is in its normal form. */
    expect_signature(&request, SECRET_S3,
                     "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void s3_presigned_get_leaves_its_signature_out(void **state) {
    struct sigv4_request request = {
        .method = STR("GET"),
        .path = STR("/test.txt"),
        .query = STR("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE"
                     "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z"
                     "&X-Amz-Expires=86400&X-Amz-Signature=00ff&X-Amz-SignedHeaders=host"),
        HEADERS(H("host", "examplebucket.s3.amazonaws.com")),
        .payload_hash = STR("UNSIGNED-PAYLOAD"),
        .region = STR("us-east-1"),
        .service = STR("s3"),
        .amz_date = STR("20130524T000000Z"),
        .s3 = true,
    };
    expect_signature(&request, SECRET_S3,
                     "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

static void s3_chunked_put_has_the_published_seed(void **state) {
    struct sigv4_request request = {
        .method = STR("PUT"),
        .path = STR("/examplebucket/chunkObject.txt"),
        HEADERS(H("host", "s3.amazonaws.com"), H("content-encoding", "aws-chunked"),
                H("content-length", "66824"), H("x-amz-date", "20130524T000000Z"),
                H("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
                H("x-amz-decoded-content-length", "66560"),
                H("x-amz-storage-class", "REDUCED_REDUNDANCY")),
        .payload_hash = STR("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        .region = STR("us-east-1"),
        .service = STR("s3"),
        .amz_date = STR("20130524T000000Z"),
        .s3 = true,
    };
    expect_signature(&request, SECRET_S3,
                     "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9");
}

static void kinesis_as_botocore_signs_it(void **state) {
    char hash[65];
    sigv4_sha256_hex(STR("{\"StreamName\": \"s1\"}"), hash);
    assert_string_equal(hash, "4e6787a5af77ee831331b4e976397a488731e06289bd3a1b7ad9d20561ce5705");
    struct sigv4_request request = {
        .method = STR("POST"),
        .path = STR("/"),
        HEADERS(H("Content-Type", "application/x-amz-json-1.1"), H("Host", "127.0.0.1:4567"),
                H("X-Amz-Date", "20240101T000000Z"),
                H("X-Amz-Target", "Kinesis_20131202.DescribeStreamSummary")),
        .payload_hash = {hash, 64},
        .region = STR("us-east-1"),
        .service = STR("kinesis"),
        .amz_date = STR("20240101T000000Z"),
    };
    expect_signature(&request, SECRET_S3,
                     "c55cb2617fb5cc80208bcfb4b231881fca0c66abcfb940928b5292896a1919c9");
}

static void kinesis_over_http2_signs_its_authority(void **state) {
    char hash[65];
    sigv4_sha256_hex(STR("{\"StreamName\":\"s1\"}"), hash);
    assert_string_equal(hash, "c2131f50d9b3f7bad37fed9febfb22a482dcb65488c2da9075fecf7356fb07c0");
    struct sigv4_request request = {
        .method = STR("POST"),
        .path = STR("/"),
        HEADERS(H("content-type", "application/x-amz-json-1.1"), H(":authority", "127.0.0.1:4567"),
                {STR("x-amz-content-sha256"), {hash, 64}}, H("x-amz-date", "20240101T000000Z"),
                H("x-amz-target", "Kinesis_20131202.DescribeStreamSummary")),
        .payload_hash = {hash, 64},
        .region = STR("us-east-1"),
        .service = STR("kinesis"),
        .amz_date = STR("20240101T000000Z"),
    };
    expect_signature(&request, SECRET_S3,
                     "19454956fd2a464caf2aafb4f455f105727ad59f8a3cf08e31340ba581e803a5");
}

static void lambda_path_is_encoded_twice(void **state) {
    struct sigv4_request request = {
        .method = STR("GET"),
        .path = STR("/2015-03-31/functions/"
                    "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af1"),
        HEADERS(H("host", "127.0.0.1:4567"), H("x-amz-date", "20240101T000000Z")),
        .payload_hash = EMPTY_HASH,
        .region = STR("us-east-1"),
        .service = STR("lambda"),
        .amz_date = STR("20240101T000000Z"),
    };
    expect_signature(&request, SECRET_S3,
                     "e74dbfe01650a7742dbe95a801ea9052e635529a54fabad0cf53dc9d6edaf18c");
}

static void expect_path(bool s3, const char *path, const char *expected) {
    struct sigv4_request request = {.method = STR("GET"), .path = str_of(path), .s3 = s3};
    struct buf text = {0};
    sigv4_canonical_request(&text, &request);
    struct str rest = buf_str(&text);
    str_cut(rest, '\n', &rest);
    struct str line = str_cut(rest, '\n', &rest);
    assert_int_equal(line.len, strlen(expected));
    assert_memory_equal(line.at, expected, line.len);
    buf_done(&text);
}

static void paths_are_normalised_except_for_s3(void **state) {
    expect_path(false, "", "/");
    expect_path(false, "/a//b/./c/../d", "/a/b/d");
    expect_path(false, "/../../x/", "/x/");
    expect_path(false, "/a/..", "/");
    expect_path(false, "/a/.", "/a/");
    expect_path(false, "/a b/%C3%BC", "/a%20b/%25C3%25BC");
    expect_path(true, "/a//b/./../c", "/a//b/./../c");
    expect_path(true, "/%c3%bc=+", "/%C3%BC%3D%2B");
    expect_path(true, "/100%", "/100%25");
}

static void queries_are_sorted_after_encoding(void **state) {
    struct sigv4_request request = {
        .method = STR("GET"),
        .path = STR("/"),
        .query = STR("b=2&a&b=1&prefix=x/y&%7E=%7e&&list-type=2"),
    };
    struct buf text = {0};
    sigv4_canonical_request(&text, &request);
    assert_string_equal(buf_cstr(&text), "GET\n/\na=&b=1&b=2&list-type=2&prefix=x%2Fy&~=~\n\n\n");
    buf_done(&text);
}

static void headers_are_trimmed_sorted_and_joined(void **state) {
    struct sigv4_request request = {
        .method = STR("GET"),
        .path = STR("/"),
        HEADERS(H("X-B", "  one   \t two  "), H("x-a", "2"), H("X-B", "\"a  b\""), H("X-A", "1"),
                H("x-a-b", "")),
        .payload_hash = STR("P"),
    };
    struct buf text = {0};
    sigv4_canonical_request(&text, &request);
    assert_string_equal(buf_cstr(&text), "GET\n/\n\nx-a:2,1\nx-a-b:\nx-b:one two,\"a b\"\n\n"
                                         "x-a;x-a-b;x-b\nP");
    buf_done(&text);
}

static void a_wall_time_becomes_a_date(void **state) {
    char text[SIGV4_DATE_CHARS];
    sigv4_date(1790144100999, text);
    assert_string_equal(text, "20260923T061500Z");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_signing_key_is_derived_as_published),
        cmocka_unit_test(a_plain_get_is_signed_as_published),
        cmocka_unit_test(the_authorization_header_names_scope_and_headers),
        cmocka_unit_test(a_kept_key_signs_the_same),
        cmocka_unit_test(s3_get_with_a_range),
        cmocka_unit_test(s3_put_with_an_escape_in_its_path),
        cmocka_unit_test(s3_presigned_get_leaves_its_signature_out),
        cmocka_unit_test(s3_chunked_put_has_the_published_seed),
        cmocka_unit_test(kinesis_as_botocore_signs_it),
        cmocka_unit_test(kinesis_over_http2_signs_its_authority),
        cmocka_unit_test(lambda_path_is_encoded_twice),
        cmocka_unit_test(paths_are_normalised_except_for_s3),
        cmocka_unit_test(queries_are_sorted_after_encoding),
        cmocka_unit_test(headers_are_trimmed_sorted_and_joined),
        cmocka_unit_test(a_wall_time_becomes_a_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
