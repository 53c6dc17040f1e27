/* The published examples (IAM user guide, S3 API reference, the signature test suite) and requests as
 * SDKs were seen to send them, then everything that can be wrong with one of them. */
#include "base/test.h"

#include <stdio.h>

#include "aws/sigv4_verify.h"
#include "base/mem.h"

#define KEY_ID "AKIAIOSFODNN7EXAMPLE"
static const char guide_secret[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
static const char suite_secret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
static const char empty_hash[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char kinesis_hash[] =
    "4e6787a5af77ee831331b4e976397a488731e06289bd3a1b7ad9d20561ce5705";

enum { HEADERS_MAX = 16 };

/* A request, and when and by whom it was signed. */
struct sample {
    const char *method, *path, *query, *body;
    struct http_header headers[HEADERS_MAX];
    const char *secret, *token, *service;
    bool s3;
    uint64_t now_s;
};

enum {
    AUGUST_2015 = 1440938160, /* 2015-08-30 12:36:00 */
    MAY_2013 = 1369353600,    /* 2013-05-24 00:00:00 */
    JANUARY_2024 = 1704067200,
};

#define H(name, value)                                                                             \
    {                                                                                              \
        {name, sizeof(name) - 1}, {                                                                \
            value, sizeof(value) - 1                                                               \
        }                                                                                          \
    }
#define AUTH(scope, names, signature)                                                              \
    H("Authorization", "AWS4-HMAC-SHA256 Credential=" KEY_ID "/" scope                             \
                       "/aws4_request, SignedHeaders=" names ", Signature=" signature)

static const struct aws_refusal untouched = {.type = "none"};

static int verify_at(const struct sample *sample, uint64_t now_s, struct aws_refusal *refusal) {
    struct aws_credential credential = {.access_key_id = KEY_ID,
                                        .secret_access_key = sample->secret,
                                        .session_token = sample->token};
    struct aws_verifier verifier = {
        .credentials = {&credential, 1}, .service = str_of(sample->service), .s3 = sample->s3};
    const struct aws_credential *who = NULL;
    struct http_request request = {.method = str_of(sample->method),
                                   .path = str_of(sample->path),
                                   .query = str_of(sample->query),
                                   .body = str_of(sample->body),
                                   .headers = sample->headers};
    while (sample->headers[request.header_count].name.len)
        request.header_count++;
    *refusal = untouched;
    int status = aws_verify(&verifier, &request, now_s * 1000, &who, refusal);
    assert_true(status || who == &credential);
    return status;
}

static int verify(const struct sample *sample, struct aws_refusal *refusal) {
    return verify_at(sample, sample->now_s, refusal);
}

static const struct sample kinesis = {
    .method = "POST",
    .path = "/",
    .body = "{\"StreamName\": \"s1\"}",
    .headers = {H("Host", "127.0.0.1:4567"), H("Content-Type", "application/x-amz-json-1.1"),
                H("X-Amz-Target", "Kinesis_20131202.DescribeStreamSummary"),
                H("X-Amz-Date", "20240101T000000Z"),
                AUTH("20240101/us-east-1/kinesis", "content-type;host;x-amz-date;x-amz-target",
                     "c55cb2617fb5cc80208bcfb4b231881fca0c66abcfb940928b5292896a1919c9")},
    .secret = guide_secret,
    .service = "kinesis",
    .now_s = JANUARY_2024,
};

static const struct sample samples[] = {
    {.method = "GET",
     .path = "/",
     .headers = {H("Host", "example.amazonaws.com"), H("X-Amz-Date", "20150830T123600Z"),
                 AUTH("20150830/us-east-1/service", "host;x-amz-date",
                      "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")},
     .secret = suite_secret,
     .service = "service",
     .now_s = AUGUST_2015},
    {.method = "GET",
     .path = "/test.txt",
     .headers = {H("Host", "examplebucket.s3.amazonaws.com"), H("Range", "bytes=0-9"),
                 H("x-amz-content-sha256",
                   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
                 H("x-amz-date", "20130524T000000Z"),
                 AUTH("20130524/us-east-1/s3", "host;range;x-amz-content-sha256;x-amz-date",
                      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")},
     .secret = guide_secret,
     .service = "s3",
     .s3 = true,
     .now_s = MAY_2013},
    {.method = "PUT",
     .path = "/test%24file.text",
     .body = "Welcome to Amazon S3.",
     .headers = {H("Host", "examplebucket.s3.amazonaws.com"),
                 H("Date", "Fri, 24 May 2013 00:00:00 GMT"),
                 H("x-amz-content-sha256",
                   "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
                 H("x-amz-date", "20130524T000000Z"),
                 H("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                 AUTH("20130524/us-east-1/s3",
                      "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")},
     .secret = guide_secret,
     .service = "s3",
     .s3 = true,
     .now_s = MAY_2013},
    {.method = "GET",
     .path = "/test.txt",
     .query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" KEY_ID
              "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&"
              "X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
              "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
     .headers = {H("Host", "examplebucket.s3.amazonaws.com")},
     .secret = guide_secret,
     .service = "s3",
     .s3 = true,
     .now_s = MAY_2013},
    {.method = "PUT", /* the seed of a chunked upload */
     .path = "/examplebucket/chunkObject.txt",
     .headers = {H("Host", "s3.amazonaws.com"), H("x-amz-date", "20130524T000000Z"),
                 H("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                 H("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
                 H("Content-Encoding", "aws-chunked"), H("x-amz-decoded-content-length", "66560"),
                 H("Content-Length", "66824"),
                 AUTH("20130524/us-east-1/s3",
                      "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
                      "x-amz-decoded-content-length;x-amz-storage-class",
                      "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9")},
     .secret = guide_secret,
     .service = "s3",
     .s3 = true,
     .now_s = MAY_2013},
    {.method = "POST", /* as the JavaScript SDK over HTTP/2 */
     .path = "/",
     .body = "{\"StreamName\":\"s1\"}",
     .headers = {H("Host", "127.0.0.1:4567"), H("content-type", "application/x-amz-json-1.1"),
                 H("x-amz-target", "Kinesis_20131202.DescribeStreamSummary"),
                 H("x-amz-date", "20240101T000000Z"),
                 H("x-amz-content-sha256",
                   "c2131f50d9b3f7bad37fed9febfb22a482dcb65488c2da9075fecf7356fb07c0"),
                 AUTH("20240101/us-east-1/kinesis",
                      ":authority;content-type;x-amz-content-sha256;x-amz-date;x-amz-target",
                      "19454956fd2a464caf2aafb4f455f105727ad59f8a3cf08e31340ba581e803a5")},
     .secret = guide_secret,
     .service = "kinesis",
     .now_s = JANUARY_2024},
    {.method = "GET",
     .path = "/2015-03-31/functions/"
             "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af1",
     .headers = {H("Host", "127.0.0.1:4567"), H("X-Amz-Date", "20240101T000000Z"),
                 AUTH("20240101/us-east-1/lambda", "host;x-amz-date",
                      "e74dbfe01650a7742dbe95a801ea9052e635529a54fabad0cf53dc9d6edaf18c")},
     .secret = guide_secret,
     .service = "lambda",
     .now_s = JANUARY_2024},
};

static void known_signatures_are_accepted(void **state) {
    struct aws_refusal refusal;
    char hash[65];
    for (size_t i = 0; i < COUNT_OF(samples); i++)
        if (verify(&samples[i], &refusal))
            fail_msg("sample %zu: %s: %s", i, refusal.type, refusal.text);
    assert_int_equal(verify(&kinesis, &refusal), 0);
    sigv4_sha256_hex(str_of(kinesis.body), hash);
    assert_string_equal(hash, kinesis_hash);
    sigv4_sha256_hex(STR(""), hash);
    assert_string_equal(hash, empty_hash);
}

static void assert_refusal(const struct sample *sample, uint64_t now_s, const char *type,
                           const char *text) {
    struct aws_refusal refusal;
    assert_int_equal(verify_at(sample, now_s, &refusal), ERR_DENIED);
    assert_string_equal(refusal.type, type);
    if (strncmp(refusal.text, text, strlen(text)) != 0)
        fail_msg("\"%s\" does not begin with \"%s\"", refusal.text, text);
}

static const char mismatch[] =
    "The request signature we calculated does not match the signature you provided. Check your AWS "
    "Secret Access Key and signing method. Consult the service documentation for details.";
static const char bad_signature[] = "InvalidSignatureException";

static void what_was_changed_on_the_way_is_refused(void **state) {
    struct sample sample;
    sample = kinesis;
    sample.body = "{\"StreamName\": \"s2\"}";
    assert_refusal(&sample, JANUARY_2024, bad_signature, mismatch);
    sample = kinesis;
    sample.method = "PUT";
    assert_refusal(&sample, JANUARY_2024, bad_signature, mismatch);
    sample = kinesis;
    sample.query = "a=b";
    assert_refusal(&sample, JANUARY_2024, bad_signature, mismatch);
    sample = kinesis;
    sample.headers[2] = (struct http_header)H("X-Amz-Target", "Kinesis_20131202.DeleteStream");
    assert_refusal(&sample, JANUARY_2024, bad_signature, mismatch);
    sample = kinesis;
    sample.secret = suite_secret;
    assert_refusal(&sample, JANUARY_2024, bad_signature, mismatch);
    sample = kinesis; /* x-amz-* headers that are not signed */
    sample.headers[5] = (struct http_header)H("x-amz-extra", "1");
    assert_refusal(&sample, JANUARY_2024, bad_signature, mismatch);
    sample = samples[5]; /* the hash is signed, but the body is another */
    sample.body = "{\"StreamName\":\"s2\"}";
    assert_refusal(&sample, JANUARY_2024, bad_signature, mismatch);
    sample = samples[3]; /* presigned for a longer life */
    sample.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" KEY_ID
                   "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&"
                   "X-Amz-Expires=86401&X-Amz-SignedHeaders=host&X-Amz-Signature="
                   "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    assert_refusal(&sample, MAY_2013, bad_signature, mismatch);
}

static void a_request_has_five_minutes(void **state) {
    struct aws_refusal refusal;
    assert_int_equal(verify_at(&kinesis, JANUARY_2024 + 300, &refusal), 0);
    assert_int_equal(verify_at(&kinesis, JANUARY_2024 - 300, &refusal), 0);
    assert_refusal(&kinesis, JANUARY_2024 + 301, bad_signature,
                   "Signature expired: 20240101T000000Z is now earlier than 20240101T000001Z "
                   "(20240101T000501Z - 5 min.)");
    assert_refusal(&kinesis, JANUARY_2024 - 301, bad_signature,
                   "Signature not yet current: 20240101T000000Z is still later than "
                   "20231231T235959Z (20231231T235459Z + 5 min.)");
    /* S3 takes 15 minutes, a presigned URL what it says. */
    assert_int_equal(verify_at(&samples[1], MAY_2013 + 900, &refusal), 0);
    assert_refusal(&samples[1], MAY_2013 + 901, bad_signature, "Signature expired");
    assert_int_equal(verify_at(&samples[3], MAY_2013 + 86400, &refusal), 0);
    assert_refusal(&samples[3], MAY_2013 + 86401, bad_signature, "Signature expired");
}

static struct sample with_authorization(const char *value) {
    struct sample sample = kinesis;
    sample.headers[4].value = str_of(value);
    return sample;
}

static void incomplete_headers_say_what_is_missing(void **state) {
    static const struct {
        const char *authorization, *text;
    } cases[] = {
        {"AWS4-HMAC-SHA256 SignedHeaders=a, Signature=b",
         "Authorization header requires 'Credential' parameter. Authorization="},
        {"AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request",
         "Authorization header requires 'Signature' parameter. Authorization header requires "
         "'SignedHeaders' parameter."},
        {"AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=a, Signature=b",
         "Credential must have exactly 5 slash-delimited elements"},
        {"AWS AKIA:signature", "Unsupported AWS 'algorithm'"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sample sample = with_authorization(cases[i].authorization);
        assert_refusal(&sample, JANUARY_2024, "IncompleteSignatureException", cases[i].text);
    }
    struct sample sample = kinesis;
    sample.headers[3].name = STR("X-Other");
    assert_refusal(&sample, JANUARY_2024, "IncompleteSignatureException",
                   "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date'");
}

static void scopes_and_keys_must_fit(void **state) {
    struct sample sample = with_authorization(
        "AWS4-HMAC-SHA256 Credential=AKIDOTHER/20240101/us-east-1/kinesis/aws4_request, "
        "SignedHeaders=host, Signature=0");
    assert_refusal(&sample, JANUARY_2024, "UnrecognizedClientException",
                   "The security token included in the request is invalid.");
    sample = with_authorization("AWS4-HMAC-SHA256 Credential=" KEY_ID
                                "/20240101/us-east-1/s3/aws4_request, SignedHeaders=host, "
                                "Signature=0");
    assert_refusal(&sample, JANUARY_2024, bad_signature,
                   "Credential should be scoped to correct service: 'kinesis'.");
    sample = with_authorization("AWS4-HMAC-SHA256 Credential=" KEY_ID
                                "/20240102/us-east-1/kinesis/aws4_request, SignedHeaders=host, "
                                "Signature=0");
    assert_refusal(&sample, JANUARY_2024, bad_signature, "Date in Credential scope does not match");
    sample = kinesis;
    sample.headers[5] = (struct http_header)H("X-Amz-Security-Token", "stray");
    assert_refusal(&sample, JANUARY_2024, "UnrecognizedClientException", "The security token");
    sample = kinesis;
    sample.token = "wanted";
    assert_refusal(&sample, JANUARY_2024, "UnrecognizedClientException", "The security token");
}

static void both_forms_or_none_are_refused(void **state) {
    struct sample sample = kinesis;
    sample.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256";
    assert_refusal(&sample, JANUARY_2024, bad_signature, "Found both 'X-Amz-Algorithm'");
    sample = kinesis;
    sample.headers[4] = (struct http_header){{0}};
    assert_refusal(&sample, JANUARY_2024, "MissingAuthenticationTokenException",
                   "Missing Authentication Token");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_signatures_are_accepted),
        cmocka_unit_test(what_was_changed_on_the_way_is_refused),
        cmocka_unit_test(a_request_has_five_minutes),
        cmocka_unit_test(incomplete_headers_say_what_is_missing),
        cmocka_unit_test(scopes_and_keys_must_fit),
        cmocka_unit_test(both_forms_or_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
