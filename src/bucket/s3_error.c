/*
 * The scanner takes what is between <Code> and </Code> of an <Error> document and knows no more of
 * XML than that and the five named entities: stores differ in everything else (declaration or
 * none, namespaces, order, white space before it), and nothing is decided by the rest.
 */
#include "bucket/s3_error.h"

#include <stdio.h>
#include <string.h>

/* ---- the document ---- */

static const struct entity {
    struct str name;
    char character;
} entities[] = {
    {{"&lt;", 4}, '<'},   {{"&gt;", 4}, '>'},    {{"&amp;", 5}, '&'},
    {{"&quot;", 6}, '"'}, {{"&apos;", 6}, '\''},
};

static size_t unescape_one(struct str text, char *ret_character) {
    for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
        if (str_starts(text, entities[i].name)) {
            *ret_character = entities[i].character;
            return entities[i].name.len;
        }
    }
    *ret_character = text.at[0];
    return 1;
}

/* The text up to the next '<', without white space at its end. */
static void take_text(struct str text, char *to, size_t size) {
    size_t len = 0;
    while (text.len && text.at[0] != '<' && len + 1 < size)
        text = str_skip(text, unescape_one(text, &to[len++]));
    to[str_trim(str_from(to, len)).len] = '\0';
}

/* Behind the first start tag of that name (attributes skipped); {NULL, 0} if there is none. */
static struct str behind_tag(struct str text, struct str name) {
    while (text.len) {
        text = str_skip(text, str_find(text, '<'));
        struct str tag = str_skip(text, 1);
        struct str tail = str_skip(tag, name.len);
        if (str_starts(tag, name) && tail.len && memchr("> \t\r\n", tail.at[0], 5)) {
            size_t end = str_find(tail, '>');
            return end < tail.len ? str_skip(tail, end + 1) : (struct str){NULL, 0};
        }
        text = tag;
    }
    return (struct str){NULL, 0};
}

static void take_element(struct str document, struct str name, char *to, size_t size) {
    struct str text = behind_tag(document, name);
    if (text.at)
        take_text(str_trim(text), to, size);
}

bool s3_error_read(struct str text, struct s3_error *ret_error) {
    *ret_error = (struct s3_error){0};
    if (text.len > S3_ERROR_BYTES_MAX)
        text.len = S3_ERROR_BYTES_MAX;
    struct str document = behind_tag(text, STR("Error"));
    if (!document.at)
        return false;
    take_element(document, STR("Code"), ret_error->code, sizeof ret_error->code);
    take_element(document, STR("Message"), ret_error->message, sizeof ret_error->message);
    take_element(document, STR("Region"), ret_error->region, sizeof ret_error->region);
    take_element(document, STR("RequestId"), ret_error->request_id, sizeof ret_error->request_id);
    return true;
}

/* ---- what follows ---- */

static const struct s3_case cases[] = {
    {"BadDigest", S3_RETRY, NULL},
    {"ConditionalRequestConflict", S3_RETRY, NULL},
    {"IncompleteBody", S3_RETRY, NULL},
    {"InternalError", S3_RETRY, NULL},
    {"OperationAborted", S3_RETRY, NULL},
    {"RequestTimeout", S3_RETRY, NULL},
    {"ServiceUnavailable", S3_RETRY, NULL},
    {"SlowDown", S3_RETRY, NULL},
    {"SlowDownWrite", S3_RETRY, NULL},
    {"TooManyRequests", S3_RETRY, NULL},
    {"XMinioServerNotInitialized", S3_RETRY, NULL},
    {"RequestTimeTooSkewed", S3_FIX_CLOCK, "set the clock of this machine"},
    {"AuthorizationHeaderMalformed", S3_FIX_REGION, "set region to that of the bucket"},
    {"PermanentRedirect", S3_FIX_REGION, "set region and endpoint to those of the bucket"},
    {"TemporaryRedirect", S3_FIX_REGION, "set region and endpoint to those of the bucket"},
    {"AccessDenied", S3_HOLD, "the access key needs the right s3:PutObject on this bucket"},
    {"AllAccessDisabled", S3_HOLD, "the bucket's owner has to allow access again"},
    {"AccountProblem", S3_HOLD, "the bucket's account has to be put in order"},
    {"EntityTooLarge", S3_HOLD, "the store takes no object of this size: lower buffer_size"},
    {"ExpiredToken", S3_HOLD, "session_token has expired: a new one is wanted"},
    {"InvalidAccessKeyId", S3_HOLD, "the store does not know access_key_id"},
    {"InvalidBucketName", S3_HOLD, "correct the name of the bucket"},
    {"InvalidToken", S3_HOLD, "session_token does not belong to access_key_id"},
    {"KeyTooLongError", S3_HOLD, "shorten prefix"},
    {"MethodNotAllowed", S3_HOLD, "the endpoint is not that of an S3 store"},
    {"NoSuchBucket", S3_HOLD, "make the bucket, or correct its name or the endpoint"},
    {"QuotaExceeded", S3_HOLD, "raise the quota or make room in the store"},
    {"SignatureDoesNotMatch", S3_HOLD,
     "secret_access_key is not the one of access_key_id, or a proxy changes the request"},
    {"XAmzContentSHA256Mismatch", S3_HOLD, "a proxy changes the request"},
    {"XMinioStorageFull", S3_HOLD, "make room in the store"},
};

static const struct status_case {
    int status;
    struct s3_case result;
} status_cases[] = {
    {0, {"NoAnswer", S3_RETRY, NULL}},
    {301, {"301", S3_FIX_REGION, "set region and endpoint to those of the bucket"}},
    {307, {"307", S3_FIX_REGION, "set region and endpoint to those of the bucket"}},
    {308, {"308", S3_FIX_REGION, "set region and endpoint to those of the bucket"}},
    {403, {"403", S3_HOLD, "the access key needs the right s3:PutObject on this bucket"}},
    {404, {"404", S3_HOLD, "make the bucket, or correct its name or the endpoint"}},
    {408, {"408", S3_RETRY, NULL}},
    {409, {"409", S3_RETRY, NULL}},
    {429, {"429", S3_RETRY, NULL}},
    {500, {"500", S3_RETRY, NULL}},
    {502, {"502", S3_RETRY, NULL}},
    {503, {"503", S3_RETRY, NULL}},
    {504, {"504", S3_RETRY, NULL}},
    {507, {"507", S3_HOLD, "make room in the store"}},
};

/* A 2xx whose body is an error counts as a failure inside the store, as botocore does it. */
static const struct s3_case other_retry = {"OtherRetry", S3_RETRY, NULL};
static const struct s3_case other_hold = {"Other", S3_HOLD, "see what the store says"};

const struct s3_case *s3_error_case(int status, struct str code) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (str_eq(code, str_of(cases[i].code)))
            return &cases[i];
    for (size_t i = 0; i < sizeof status_cases / sizeof status_cases[0]; i++)
        if (status_cases[i].status == status)
            return &status_cases[i].result;
    return status >= 500 || (status >= 200 && status <= 299) ? &other_retry : &other_hold;
}
