#include "base/test.h"

#include "bucket/s3_error.h"

static void a_document_is_read(void **state) {
    struct s3_error error;
    assert_true(s3_error_read(
        STR("\n  <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<Error xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n"
            "  <Code>AuthorizationHeaderMalformed</Code>\n"
            "  <Message>The region &apos;a&apos; is wrong; &lt;&amp;&gt; &quot;b&quot;</Message>"
            "<Region> eu-central-1 </Region><RequestId>4442587FB7D0A2F9</RequestId></Error>"),
        &error));
    assert_string_equal(error.code, "AuthorizationHeaderMalformed");
    assert_string_equal(error.message, "The region 'a' is wrong; <&> \"b\"");
    assert_string_equal(error.request_id, "4442587FB7D0A2F9");
    assert_string_equal(error.region, "eu-central-1");
}

static void what_is_no_error_document_says_nothing(void **state) {
    static const char *const texts[] = {
        "",       "<",       "<html>502 Bad Gateway</html>", "<Errors><Code>x</Code></Errors>",
        "<Error", "<Error ", "<ListBucketResult/>",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct s3_error error;
        assert_false(s3_error_read(str_of(texts[i]), &error));
        assert_string_equal(error.code, "");
    }
}

static void broken_documents_give_what_is_there(void **state) {
    struct s3_error error;
    assert_true(s3_error_read(STR("<Error><Code>SlowDown"), &error));
    assert_string_equal(error.code, "SlowDown");
    assert_true(s3_error_read(STR("<Error><Code/><Message></Message>"), &error));
    assert_string_equal(error.code, "");
    assert_true(s3_error_read(STR("<Error>&lt;&bogus; <Message>&bogus;&</Message>"), &error));
    assert_string_equal(error.message, "&bogus;&");
}

static void long_texts_are_cut(void **state) {
    struct buf text = {0};
    struct s3_error error;
    buf_add_str(&text, STR("<Error><Code>"));
    for (int i = 0; i < 1000; i++)
        buf_add_u8(&text, 'x');
    buf_add_str(&text, STR("</Code><Message>m</Message></Error>"));
    assert_true(s3_error_read(buf_str(&text), &error));
    assert_int_equal(strlen(error.code), sizeof error.code - 1);
    assert_string_equal(error.message, "m");
    buf_done(&text);
}

static void every_answer_has_a_consequence(void **state) {
    static const struct {
        int status;
        const char *code;
        enum s3_action action;
        const char *word;
    } rows[] = {
        {503, "SlowDown", S3_RETRY, "SlowDown"},
        {500, "InternalError", S3_RETRY, "InternalError"},
        {400, "RequestTimeout", S3_RETRY, "RequestTimeout"},
        {400, "BadDigest", S3_RETRY, "BadDigest"},
        {409, "OperationAborted", S3_RETRY, "OperationAborted"},
        {0, "", S3_RETRY, "NoAnswer"},
        {408, "", S3_RETRY, "408"},
        {429, "", S3_RETRY, "429"},
        {502, "", S3_RETRY, "502"},
        {504, "", S3_RETRY, "504"},
        {599, "Unheard", S3_RETRY, "OtherRetry"},
        {200, "Unheard", S3_RETRY, "OtherRetry"},
        {403, "RequestTimeTooSkewed", S3_FIX_CLOCK, "RequestTimeTooSkewed"},
        {400, "AuthorizationHeaderMalformed", S3_FIX_REGION, "AuthorizationHeaderMalformed"},
        {301, "PermanentRedirect", S3_FIX_REGION, "PermanentRedirect"},
        {307, "", S3_FIX_REGION, "307"},
        {403, "AccessDenied", S3_HOLD, "AccessDenied"},
        {403, "InvalidAccessKeyId", S3_HOLD, "InvalidAccessKeyId"},
        {403, "SignatureDoesNotMatch", S3_HOLD, "SignatureDoesNotMatch"},
        {404, "NoSuchBucket", S3_HOLD, "NoSuchBucket"},
        {507, "XMinioStorageFull", S3_HOLD, "XMinioStorageFull"},
        {507, "", S3_HOLD, "507"},
        {400, "ExpiredToken", S3_HOLD, "ExpiredToken"},
        {400, "Unheard", S3_HOLD, "Other"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct s3_case *what = s3_error_case(rows[i].status, str_of(rows[i].code));
        assert_int_equal(what->action, rows[i].action);
        assert_string_equal(what->code, rows[i].word);
        assert_true(what->action == S3_RETRY || what->advice);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_is_read),
        cmocka_unit_test(what_is_no_error_document_says_nothing),
        cmocka_unit_test(broken_documents_give_what_is_there),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(every_answer_has_a_consequence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
