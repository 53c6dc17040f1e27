/* The S3 bucket against a small store that answers by a script and checks every signature. */
#include "delivery/test_pipeline.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>

#include "bucket/bucket.h"
#include "delivery/intent.h"
#include "http/sigv4.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

enum { REQUESTS_MAX = 16, CLOSES = 0, SILENT = 1 };

struct step {
    int status; /* CLOSES, SILENT, or that of the answer */
    const char *body;
    struct http_header extra;
};

/* What the store saw. */
struct seen {
    char target[256], host[64], region[40], body[2048];
    char gzip[16], token[32], md5[32];
    size_t body_len;
    bool is_signed; /* well */
};

static struct store {
    struct loop *loop;
    struct http_server *server;
    char endpoint[64];
    struct step steps[REQUESTS_MAX];
    struct seen seen[REQUESTS_MAX];
    size_t count;
} store;

static struct bucket_config config;
static struct http_client *client;
static struct bucket_result results[REQUESTS_MAX];
static size_t result_count;

/* ---- the store ---- */

static void copy(char *to, size_t size, struct str from) {
    snprintf(to, size, "%.*s", STR_ARG(from));
}

/* Signs anew what came, with the headers that the request names, and compares. */
static bool signature_holds(const struct http_request *request, struct str region) {
    struct http_header headers[16];
    struct str authorization = http_header(request, "Authorization");
    const char *names_at = memmem(authorization.at, authorization.len, "SignedHeaders=", 14);
    struct str names =
        str_from(names_at + 14, (size_t)(authorization.at + authorization.len - names_at - 14));
    struct str rest, signature = str_skip(authorization, authorization.len - 64);
    size_t count = 0;
    names = str_cut(names, ',', &rest);
    while (names.len && count < 16) {
        char name[64];
        headers[count].name = str_cut(names, ';', &names);
        copy(name, sizeof name, headers[count].name);
        headers[count++].value = http_header(request, name);
    }
    struct sigv4_request signed_request = {
        .method = request->method,
        .path = request->path,
        .query = request->query,
        .headers = headers,
        .header_count = count,
        .payload_hash = http_header(request, "x-amz-content-sha256"),
        .region = region,
        .service = STR("s3"),
        .amz_date = http_header(request, "x-amz-date"),
        .s3 = true,
    };
    char expected[SIGV4_SIGNATURE_CHARS], hash[65];
    sigv4_signature(&signed_request, STR(SECRET), expected);
    sigv4_sha256_hex(request->body, hash);
    return count >= 5 && str_eq(signature, str_of(expected)) &&
           str_eq(signed_request.payload_hash, str_of(hash));
}

/* "AWS4-HMAC-SHA256 Credential=ID/DAY/REGION/s3/aws4_request, ..." */
static struct str region_of(const struct http_request *request) {
    struct str rest = http_header(request, "Authorization");
    str_cut(rest, '/', &rest);
    str_cut(rest, '/', &rest);
    return str_cut(rest, '/', &rest);
}

static void note(const struct http_request *request, struct seen *seen) {
    struct str region = region_of(request);
    copy(seen->target, sizeof seen->target, request->target);
    copy(seen->host, sizeof seen->host, http_header(request, "Host"));
    copy(seen->gzip, sizeof seen->gzip, http_header(request, "Content-Encoding"));
    copy(seen->token, sizeof seen->token, http_header(request, "x-amz-security-token"));
    copy(seen->md5, sizeof seen->md5, http_header(request, "Content-MD5"));
    copy(seen->region, sizeof seen->region, region);
    copy(seen->body, sizeof seen->body, request->body);
    seen->body_len = request->body.len;
    seen->is_signed = str_eq(request->method, STR("PUT")) && signature_holds(request, region);
}

static void on_request(struct http_request *request, void *data) {
    assert_true(store.count < REQUESTS_MAX);
    const struct step *step = &store.steps[store.count];
    note(request, &store.seen[store.count++]);
    if (step->status == SILENT)
        return;
    if (step->status == CLOSES) {
        struct http_server *server = store.server;
        store.server = NULL;
        http_server_close(server, NULL, NULL);
        return;
    }
    struct str body = str_of(step->body ? step->body : "");
    http_respond(request, step->status, "application/xml", body, &step->extra,
                 step->extra.name.len ? 1 : 0);
}

static void store_open(struct loop *loop) {
    struct sockaddr_storage address, real;
    struct http_server_config server = {
        .address = &address, .handler = on_request, .name = "store", .body_bytes_max = 1 << 20};
    store = (struct store){.loop = loop};
    assert_int_equal(tcp_address("127.0.0.1:0", &address, NULL), 0);
    assert_int_equal(http_server_open(loop, &server, &real, &store.server, NULL), 0);
    snprintf(store.endpoint, sizeof store.endpoint, "http://127.0.0.1:%u",
             ntohs(((struct sockaddr_in *)&real)->sin_port));
}

static void store_close(void) {
    if (store.server)
        http_server_close(store.server, NULL, NULL);
}

static void use_endpoint(const char *endpoint) {
    config = (struct bucket_config){
        .head.name = "archive",
        .s3 = {.endpoint = endpoint,
               .region = "us-east-1",
               .access_key_id = "AKIAIOSFODNN7EXAMPLE",
               .secret_access_key = SECRET,
               .path_style = true},
    };
}

/* ---- putting ---- */

static void on_done(void *data, const struct bucket_result *result) {
    results[result_count++] = *result;
    loop_stop(store.loop);
}

static void put_once(struct bucket *bucket, const char *key, const char *body) {
    struct bucket_object object = {.key = str_of(key), .body = str_of(body)};
    char hash[65];
    sigv4_sha256_hex(object.body, hash);
    object.sha256_hex = hash;
    object.md5_base64 = "XUFAKrxLKna5cZ2REBfFkg==";
    object.is_gzip = strstr(key, ".gz") != NULL;
    bucket->ops->put(bucket, &object);
    loop_run(store.loop);
}

static void on_client_closed(void *data) {
    loop_stop(store.loop);
}

/* `count` puts through one bucket; what the store says is in store.steps. */
static void put_times(size_t count) {
    result_count = 0;
    assert_int_equal(bucket_check(&config, NULL), 0);
    client = http_client_new(store.loop);
    struct bucket *bucket = bucket_open_s3(client, &config);
    bucket->done = on_done;
    for (size_t i = 0; i < count; i++)
        put_once(bucket, "raw/dt=1/a b.gz", "hello");
    bucket->ops->free(bucket);
    http_client_close(client, on_client_closed, NULL);
    loop_run(store.loop);
}

static int set_up(void **state) {
    store_open(loop_new());
    use_endpoint(store.endpoint);
    return 0;
}

static int tear_down(void **state) {
    store_close();
    loop_free(store.loop);
    return 0;
}

/* ---- requests ---- */

static void an_object_is_put_and_signed(void **state) {
    config.s3.session_token = "token";
    store.steps[0].status = 200;
    put_times(1);
    assert_int_equal(results[0].verdict, BUCKET_SAFE);
    assert_int_equal(store.count, 1);
    const struct seen *seen = &store.seen[0];
    assert_true(seen->is_signed);
    assert_string_equal(seen->target, "/archive/raw/dt%3D1/a%20b.gz");
    assert_string_equal(seen->host, store.endpoint + strlen("http://"));
    assert_string_equal(seen->region, "us-east-1");
    assert_string_equal(seen->body, "hello");
    assert_string_equal(seen->gzip, "gzip");
    assert_string_equal(seen->token, "token");
    assert_string_equal(seen->md5, "XUFAKrxLKna5cZ2REBfFkg==");
}

static void the_bucket_may_stand_in_the_host_name(void **state) {
    char endpoint[64], host[64];
    snprintf(endpoint, sizeof endpoint, "http://localhost%s", strrchr(store.endpoint, ':'));
    snprintf(host, sizeof host, "objects.localhost%s", strrchr(store.endpoint, ':'));
    use_endpoint(endpoint);
    config.s3.path_style = false;
    config.s3.bucket = "objects";
    store.steps[0].status = 200;
    put_times(1);
    assert_int_equal(results[0].verdict, BUCKET_SAFE);
    assert_string_equal(store.seen[0].target, "/raw/dt%3D1/a%20b.gz");
    assert_string_equal(store.seen[0].host, host);
    assert_true(store.seen[0].is_signed);
}

/* ---- answers ---- */

#define ERROR_XML(code)                                                                            \
    "<?xml version=\"1.0\"?><Error><Code>" code "</Code><Message>m</Message></Error>"

static void answers_decide_what_follows(void **state) {
    static const struct {
        struct step step;
        enum bucket_verdict verdict;
        const char *code, *text;
    } rows[] = {
        {{503, ERROR_XML("SlowDown")}, BUCKET_RETRY, "SlowDown", "503 SlowDown m"},
        {{500, ""}, BUCKET_RETRY, "500", "500"},
        {{502, "<html>Bad Gateway</html>"}, BUCKET_RETRY, "502", "502"},
        {{200, ERROR_XML("InternalError")}, BUCKET_RETRY, "InternalError", "200 InternalError"},
        {{400, ERROR_XML("BadDigest")}, BUCKET_RETRY, "BadDigest", "BadDigest"},
        {{404, ERROR_XML("NoSuchBucket")}, BUCKET_HOLD, "NoSuchBucket", "make the bucket"},
        {{403, ERROR_XML("SignatureDoesNotMatch")},
         BUCKET_HOLD,
         "SignatureDoesNotMatch",
         "secret_access_key"},
        {{403, ERROR_XML("InvalidAccessKeyId")},
         BUCKET_HOLD,
         "InvalidAccessKeyId",
         "access_key_id"},
        {{403, ""}, BUCKET_HOLD, "403", "s3:PutObject"},
        {{507, ERROR_XML("XMinioStorageFull")}, BUCKET_HOLD, "XMinioStorageFull", "make room"},
        {{301, ""}, BUCKET_HOLD, "301", "set region and endpoint"},
        {{400, ERROR_XML("AuthorizationHeaderMalformed")},
         BUCKET_HOLD,
         "AuthorizationHeaderMalformed",
         "set region"},
        {{204, ""}, BUCKET_SAFE, "OK", ""},
    };
    enum { COUNT = sizeof rows / sizeof rows[0] };
    for (size_t i = 0; i < COUNT; i++)
        store.steps[i] = rows[i].step;
    put_times(COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(results[i].verdict, rows[i].verdict);
        assert_string_equal(results[i].code, rows[i].code);
        if (!strstr(results[i].text, rows[i].text))
            fail_msg("\"%s\" does not say \"%s\"", results[i].text, rows[i].text);
        assert_null(strstr(results[i].text, SECRET));
    }
    assert_non_null(strstr(results[0].text, "bucket archive at 127.0.0.1:"));
}

static void the_region_that_the_store_names_is_taken(void **state) {
    store.steps[0] = (struct step){400, "<Error><Code>AuthorizationHeaderMalformed</Code>"
                                        "<Region>eu-west-3</Region></Error>"};
    store.steps[1].status = 200;
    store.steps[2] = (struct step){301, "", {STR("x-amz-bucket-region"), STR("garage")}};
    store.steps[3].status = 200;
    put_times(4);
    static const enum bucket_verdict verdicts[] = {BUCKET_RETRY_NOW, BUCKET_SAFE, BUCKET_RETRY_NOW,
                                                   BUCKET_SAFE};
    static const char *const regions[] = {"us-east-1", "eu-west-3", "eu-west-3", "garage"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(results[i].verdict, verdicts[i]);
        assert_string_equal(store.seen[i].region, regions[i]);
        assert_true(store.seen[i].is_signed);
    }
    assert_non_null(strstr(results[0].text, "set region: eu-west-3"));
}

static void a_store_that_cannot_decide_is_a_case_for_a_person(void **state) {
    for (size_t i = 0; i < 4; i++)
        store.steps[i] = (struct step){
            301, "", {STR("x-amz-bucket-region"), i % 2 ? STR("region-a") : STR("region-b")}};
    put_times(4);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(results[i].verdict, BUCKET_RETRY_NOW);
    assert_int_equal(results[3].verdict, BUCKET_HOLD);
}

static void regions_that_are_none_are_not_taken(void **state) {
    store.steps[0] = (struct step){301, "", {STR("x-amz-bucket-region"), STR("evil.example/")}};
    put_times(1);
    assert_int_equal(results[0].verdict, BUCKET_HOLD);
}

static void a_closed_connection_is_tried_again(void **state) {
    store.steps[0].status = CLOSES;
    put_times(1);
    assert_int_equal(results[0].verdict, BUCKET_RETRY);
    assert_string_equal(results[0].code, "NoAnswer");
    put_times(1); /* Nobody listens any more. */
    assert_int_equal(results[0].verdict, BUCKET_RETRY);
    assert_non_null(strstr(results[0].text, "no answer"));
}

static void a_put_can_be_cancelled(void **state) {
    client = http_client_new(store.loop);
    struct bucket *bucket = bucket_open_s3(client, &config);
    struct bucket_object object = {
        .key = STR("k"), .body = STR(""), .sha256_hex = "", .md5_base64 = ""};
    result_count = 0;
    bucket->done = on_done;
    bucket->ops->put(bucket, &object);
    assert_true(bucket->ops->cancel(bucket));
    bucket->ops->free(bucket);
    http_client_close(client, on_client_closed, NULL);
    loop_run(store.loop);
    assert_int_equal(result_count, 0);
}

/* ---- a store with another clock: bytes as they are, since a server's Date is its own affair ---- */

struct raw_store {
    int listener;
    const char *answers[2];
    char requests[2][4096];
};

static void *serve_raw(void *data) {
    struct raw_store *raw = data;
    for (int i = 0; i < 2; i++) {
        int peer = accept(raw->listener, NULL, NULL);
        size_t len = 0;
        while (!strstr(raw->requests[i], "\r\n\r\nhello")) {
            ssize_t got = recv(peer, raw->requests[i] + len, sizeof raw->requests[i] - 1 - len, 0);
            if (got <= 0)
                break;
            len += (size_t)got;
        }
        ssize_t sent = send(peer, raw->answers[i], strlen(raw->answers[i]), MSG_NOSIGNAL);
        assert_true(sent > 0);
        close(peer);
    }
    return NULL;
}

static void raw_store_open(struct raw_store *raw, pthread_t *thread, char endpoint[64]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    raw->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(raw->listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(raw->listener, 4), 0);
    assert_int_equal(getsockname(raw->listener, (struct sockaddr *)&address, &len), 0);
    snprintf(endpoint, 64, "http://127.0.0.1:%u", ntohs(address.sin_port));
    assert_int_equal(pthread_create(thread, NULL, serve_raw, raw), 0);
}

static void the_clock_of_the_store_is_taken(void **state) {
    static const char skewed[] =
        "HTTP/1.1 403 Forbidden\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\nConnection: close\r\n"
        "Content-Length: 48\r\n\r\n<Error><Code>RequestTimeTooSkewed</Code></Error>";
    static const char fine[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    static struct raw_store raw = {.answers = {skewed, fine}};
    pthread_t thread;
    char endpoint[64];
    raw_store_open(&raw, &thread, endpoint);
    use_endpoint(endpoint);
    put_times(2);
    pthread_join(thread, NULL);
    close(raw.listener);
    assert_int_equal(results[0].verdict, BUCKET_RETRY_NOW);
    assert_string_equal(results[0].code, "RequestTimeTooSkewed");
    assert_int_equal(results[1].verdict, BUCKET_SAFE);
    assert_null(strstr(raw.requests[0], "X-Amz-Date: 20300101T0000"));
    assert_non_null(strstr(raw.requests[1], "X-Amz-Date: 20300101T0000"));
}

static void an_answer_that_breaks_off_is_tried_again(void **state) {
    static const char broken[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<Pu";
    static const char junk[] = "220 smtp.example\r\n";
    static struct raw_store raw = {.answers = {broken, junk}};
    pthread_t thread;
    char endpoint[64];
    raw_store_open(&raw, &thread, endpoint);
    use_endpoint(endpoint);
    put_times(2);
    pthread_join(thread, NULL);
    close(raw.listener);
    assert_int_equal(results[0].verdict, BUCKET_RETRY);
    assert_int_equal(results[1].verdict, BUCKET_RETRY);
}

/* ---- a whole delivery stream ---- */

static struct pipeline pipeline;

static void a_delivery_stream_goes_on_until_the_store_takes_it(void **state) {
    pipeline_init(&pipeline);
    open_stream(&pipeline);
    store_open(pipeline.loop);
    use_endpoint(store.endpoint);
    pipeline.bucket = config;
    store.steps[0] = (struct step){503, ERROR_XML("SlowDown")};
    store.steps[1] = (struct step){301, "", {STR("x-amz-bucket-region"), STR("garage")}};
    store.steps[2] = (struct step){500, ""};
    store.steps[3].status = store.steps[4].status = 200;
    assert_int_equal(open_delivery(&pipeline, NULL), 0);
    push_and_commit(&pipeline, 32);
    assert_true(run_until(&pipeline, is_delivered));
    assert_int_equal(store.count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(store.seen[i].is_signed);
    for (size_t i = 1; i < 4; i++) {
        assert_string_equal(store.seen[i].target, store.seen[0].target);
        assert_string_equal(store.seen[i].body, store.seen[0].body);
    }
    assert_int_equal(store.seen[3].body_len, 16 * RECORD_BYTES);
    assert_string_not_equal(store.seen[4].target, store.seen[0].target);
    assert_memory_equal(store.seen[4].body, "16 ", 3);
    store_close();
    pipeline_close(&pipeline, 1000);
    pipeline_done(&pipeline);
}

static bool has_asked(struct pipeline *self) {
    return store.count > 0;
}

static void closing_gives_up_an_object_that_takes_too_long(void **state) {
    struct intent intent;
    pipeline_init(&pipeline);
    open_stream(&pipeline);
    store_open(pipeline.loop);
    use_endpoint(store.endpoint);
    pipeline.bucket = config;
    store.steps[0].status = SILENT;
    assert_int_equal(open_delivery(&pipeline, NULL), 0);
    push_and_commit(&pipeline, 16);
    assert_true(run_until(&pipeline, has_asked));
    pipeline.things_open++;
    delivery_close(pipeline.delivery, 30, on_thing_closed, &pipeline);
    assert_true(run_until(&pipeline, is_all_closed));
    pipeline.delivery = NULL;
    assert_int_equal(intent_get(pipeline.facts, "sensors", &intent), 0);
    intent_done(&intent);
    store_close();
    pipeline_close(&pipeline, 0);
    pipeline_done(&pipeline);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_object_is_put_and_signed),
        TEST(the_bucket_may_stand_in_the_host_name),
        TEST(answers_decide_what_follows),
        TEST(the_region_that_the_store_names_is_taken),
        TEST(a_store_that_cannot_decide_is_a_case_for_a_person),
        TEST(regions_that_are_none_are_not_taken),
        TEST(a_closed_connection_is_tried_again),
        TEST(a_put_can_be_cancelled),
        TEST(the_clock_of_the_store_is_taken),
        TEST(an_answer_that_breaks_off_is_tried_again),
        cmocka_unit_test(a_delivery_stream_goes_on_until_the_store_takes_it),
        cmocka_unit_test(closing_gives_up_an_object_that_takes_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
