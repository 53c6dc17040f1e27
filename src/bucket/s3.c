/*
 * An S3 store as a bucket: PutObject (S3 API reference), signed with SigV4 (http/sigv4.h). One put
 * is atomic: the store shows the whole object or none. Content-MD5 lets any store check what it
 * got.
 *
 * What the answer says about our own settings is learned and kept until the end of the process: the
 * region of the bucket, and how far the clocks are apart. A corrected request is sent at once, at
 * most CORRECTIONS_MAX times in a row; then it is a case for a person, like wrong keys.
 *
 * A request that got no answer may have been carried out. It is sent again with the same key and
 * the same body, so that does no harm.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "bucket/bucket.h"
#include "bucket/s3_address.h"
#include "bucket/s3_error.h"
#include "http/sigv4.h"

enum {
    CORRECTIONS_MAX = 3,
    STALL_TIMEOUT_MS = 60 * 1000,
    REGION_CHARS = 33,
};

_Static_assert(10 + BUCKET_HEADERS_MAX <= HTTP_HEADERS_MAX, "add_headers() and Authorization");

struct s3 {
    struct bucket bucket;
    struct http_client *client;
    const struct bucket_s3_config *config;
    struct str name;      /* of the bucket in the store */
    struct buf authority; /* of the endpoint; changes with the region at AWS */
    bool is_tls;
    char region[REGION_CHARS];
    int64_t clock_offset_ms; /* what the store's clock is ahead of ours */
    unsigned corrections;    /* in a row */
    struct http_call *call;  /* NULL: nothing is under way */
};

/* ---- the request ---- */

static void add_headers(struct http_headers *headers, const struct s3 *s3,
                        const struct bucket_object *object, struct str host, struct str date) {
    http_headers_add(headers, STR("Host"), host);
    http_headers_add(headers, STR("X-Amz-Date"), date);
    http_headers_add(headers, STR("X-Amz-Content-Sha256"), str_of(object->sha256_hex));
    http_headers_add(headers, STR("Content-MD5"), str_of(object->md5_base64));
    http_headers_add(headers, STR("Content-Type"),
                     object->content_type ? str_of(object->content_type)
                                          : STR("application/octet-stream"));
    if (object->canned_acl)
        http_headers_add(headers, STR("X-Amz-Acl"), str_of(object->canned_acl));
    if (object->is_gzip)
        http_headers_add(headers, STR("Content-Encoding"), STR("gzip"));
    for (size_t i = 0; i < object->header_count; i++)
        http_headers_add(headers, object->headers[i].name, object->headers[i].value);
    if (s3->config->session_token && s3->config->session_token[0])
        http_headers_add(headers, STR("X-Amz-Security-Token"), str_of(s3->config->session_token));
}

static void sign(struct buf *out, const struct s3 *s3, const struct http_headers *headers,
                 struct str path, struct str payload_hash, struct str date) {
    struct sigv4_request request = {
        .method = STR("PUT"),
        .path = path,
        .headers = headers->items,
        .header_count = headers->count,
        .payload_hash = payload_hash,
        .region = str_of(s3->region),
        .service = STR("s3"),
        .amz_date = date,
        .s3 = true,
    };
    sigv4_authorization(out, &request, str_of(s3->config->access_key_id),
                        str_of(s3->config->secret_access_key));
}

static void on_answer(void *data, const struct http_answer *answer);

static void send_signed(struct s3 *s3, const struct bucket_object *object, struct str host,
                        struct str path) {
    char date[SIGV4_DATE_CHARS];
    struct http_headers headers = {0};
    struct buf authorization = {0};
    char *url =
        xprintf("%s://%.*s%.*s", s3->is_tls ? "https" : "http", STR_ARG(host), STR_ARG(path));
    sigv4_date(clock_wall_ms() + (uint64_t)s3->clock_offset_ms, date);
    add_headers(&headers, s3, object, host, str_of(date));
    sign(&authorization, s3, &headers, path, str_of(object->sha256_hex), str_of(date));
    http_headers_add(&headers, STR("Authorization"), buf_str(&authorization));
    struct http_call_config config = {
        .method = "PUT",
        .url = url,
        .headers = headers.items,
        .header_count = headers.count,
        .body = object->body,
        .stall_timeout_ms = STALL_TIMEOUT_MS,
        .ca_path = s3->config->ca_path,
    };
    s3->call = http_client_send(s3->client, &config, on_answer, s3);
    buf_done(&authorization);
    free(url);
}

static void s3_put(struct bucket *bucket, const struct bucket_object *object) {
    struct s3 *s3 = CONTAINER_OF(bucket, struct s3, bucket);
    struct buf host = {0}, path = {0};
    s3_address_host(&host, buf_str(&s3->authority), s3->name, s3->config->path_style);
    s3_address_path(&path, s3->name, object->key, s3->config->path_style);
    send_signed(s3, object, buf_str(&host), buf_str(&path));
    buf_done(&host);
    buf_done(&path);
}

/* ---- the answer ---- */

static struct str header_of(const struct http_answer *answer, struct str name) {
    for (size_t i = 0; i < answer->header_count; i++)
        if (str_eq_nocase(answer->headers[i].name, name))
            return answer->headers[i].value;
    return (struct str){0};
}

/* RFC 9110 section 5.6.7, the form that servers must send. */
static bool read_http_date(struct str text, int64_t *ret_ms) {
    struct tm tm = {0};
    char *copy = str_dup(text);
    const char *end = strptime(copy, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    bool good = end && *end == '\0';
    free(copy);
    if (good)
        *ret_ms = (int64_t)timegm(&tm) * 1000;
    return good;
}

static bool learn_clock(struct s3 *s3, const struct http_answer *answer,
                        struct bucket_result *result) {
    int64_t theirs_ms;
    if (!read_http_date(header_of(answer, STR("Date")), &theirs_ms))
        return false;
    s3->clock_offset_ms = theirs_ms - (int64_t)clock_wall_ms();
    snprintf(result->text, sizeof result->text,
             "the store's clock is %lld s ahead of this machine's; its time is used from now on",
             (long long)s3->clock_offset_ms / 1000);
    return true;
}

static void take_region(struct s3 *s3, struct str region) {
    struct buf authority = {0};
    s3_address_for_region(&authority, buf_str(&s3->authority), region);
    buf_done(&s3->authority);
    s3->authority = authority;
    snprintf(s3->region, sizeof s3->region, "%.*s", STR_ARG(region));
}

static bool learn_region(struct s3 *s3, const struct http_answer *answer,
                         const struct s3_error *error, struct bucket_result *result) {
    struct str region = header_of(answer, STR("x-amz-bucket-region"));
    if (!region.len)
        region = str_of(error->region);
    if (!s3_region_valid(region) || str_eq(region, str_of(s3->region)))
        return false;
    snprintf(result->text, sizeof result->text,
             "the bucket is in the region %.*s, not %s; it is used from now on (set region: %.*s)",
             STR_ARG(region), s3->region, STR_ARG(region));
    take_region(s3, region);
    return true;
}

static bool learn(struct s3 *s3, enum s3_action action, const struct http_answer *answer,
                  const struct s3_error *error, struct bucket_result *result) {
    if (s3->corrections == CORRECTIONS_MAX)
        return false;
    if (action == S3_FIX_CLOCK)
        return learn_clock(s3, answer, result);
    return action == S3_FIX_REGION && learn_region(s3, answer, error, result);
}

/* "bucket archive at host:9000: 403 AccessDenied: Access Denied. (request 1F2E): the access key
 * needs ..." */
static void describe(const struct s3 *s3, const struct http_answer *answer,
                     const struct s3_error *error, const struct s3_case *what,
                     struct bucket_result *result) {
    struct buf text = {0};
    buf_printf(&text, "bucket %.*s at %.*s: ", STR_ARG(s3->name), STR_ARG(buf_str(&s3->authority)));
    if (!answer->status)
        buf_printf(&text, "no answer: %s", answer->error);
    else
        buf_printf(&text, "%d %s %s", answer->status, error->code, error->message);
    if (error->request_id[0])
        buf_printf(&text, " (request %s)", error->request_id);
    if (what->advice)
        buf_printf(&text, ": %s", what->advice);
    snprintf(result->text, sizeof result->text, "%s", buf_cstr(&text));
    buf_done(&text);
}

static void judge(struct s3 *s3, const struct http_answer *answer, struct bucket_result *result) {
    struct s3_error error;
    bool is_error = s3_error_read(answer->body, &error);
    if (answer->status >= 200 && answer->status <= 299 && !is_error) {
        s3->corrections = 0;
        *result = (struct bucket_result){.verdict = BUCKET_SAFE, .code = "OK"};
        return;
    }
    const struct s3_case *what = s3_error_case(answer->status, str_of(error.code));
    result->code = what->code;
    if (learn(s3, what->action, answer, &error, result)) {
        s3->corrections++;
        result->verdict = BUCKET_RETRY_NOW;
        return;
    }
    s3->corrections = 0;
    result->verdict = what->action == S3_RETRY ? BUCKET_RETRY : BUCKET_HOLD;
    describe(s3, answer, &error, what, result);
}

static void on_answer(void *data, const struct http_answer *answer) {
    struct s3 *s3 = data;
    struct bucket_result result = {0};
    s3->call = NULL;
    judge(s3, answer, &result);
    s3->bucket.done(s3->bucket.data, &result);
}

/* ---- life ---- */

static bool s3_cancel(struct bucket *bucket) {
    struct s3 *s3 = CONTAINER_OF(bucket, struct s3, bucket);
    if (s3->call)
        http_call_cancel(s3->call);
    s3->call = NULL;
    return true;
}

static void s3_free(struct bucket *bucket) {
    struct s3 *s3 = CONTAINER_OF(bucket, struct s3, bucket);
    ASSERT(!s3->call);
    buf_done(&s3->authority);
    free(s3);
}

static const struct bucket_ops s3_ops = {
    .wants_hashes = true, .put = s3_put, .cancel = s3_cancel, .free = s3_free};

struct bucket *bucket_open_s3(struct http_client *client, const struct bucket_config *config) {
    struct s3 *s3 = xcalloc(1, sizeof *s3);
    struct s3_endpoint endpoint;
    int code = s3_endpoint_parse(str_of(config->s3.endpoint), &endpoint, NULL);
    ASSERT(!code);
    s3->bucket.ops = &s3_ops;
    s3->client = client;
    s3->config = &config->s3;
    s3->name = str_of(config->s3.bucket ? config->s3.bucket : config->head.name);
    s3->is_tls = endpoint.is_tls;
    buf_add_str(&s3->authority, endpoint.authority);
    snprintf(s3->region, sizeof s3->region, "%s", config->s3.region);
    return &s3->bucket;
}
