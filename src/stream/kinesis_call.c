/* Requests to the other Kinesis: AWS JSON 1.1 over HTTP, signed (Kinesis API reference 2013-12-02). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "http/sigv4.h"
#include "stream/kinesis.h"

enum { STALL_TIMEOUT_MS = 20000, CONNECT_TIMEOUT_MS = 5000 };

int kinesis_server_parse(const struct stream_kinesis_config *config, struct kinesis_server *server,
                         struct err *err) {
    const char *endpoint = config->endpoint;
    char *url = endpoint && endpoint[0]
                    ? xstrdup(endpoint)
                    : xprintf("https://kinesis.%s.amazonaws.com", config->region);
    struct str rest = str_of(url);
    struct str scheme = str_starts(rest, STR("https://")) ? STR("https://") : STR("http://");
    bool known = str_starts(rest, scheme);
    rest = known ? str_skip(rest, scheme.len) : rest;
    size_t host_chars = str_find(rest, '/');
    if (!known || !host_chars || rest.len > host_chars + 1) {
        int code = err_set(err, ERR_INVALID, "endpoint %s: http(s)://host[:port] is wanted", url);
        free(url);
        return code;
    }
    url[scheme.len + host_chars] = '\0';
    server->url = url;
    server->host = str_of(url + scheme.len);
    return 0;
}

int stream_kinesis_check(const struct stream_kinesis_config *config, struct err *err) {
    struct kinesis_server server;
    struct err why;
    int code = kinesis_server_parse(config, &server, &why);
    if (code)
        return conf_error(config->head.conf, err, code, "kinesis: %s", why.text);
    free(server.url);
    return 0;
}

/* ---- the request ---- */

void kinesis_call_begin(struct kinesis_call *call, struct kinesis_engine *engine) {
    ASSERT(!call->http);
    call->engine = engine;
    call->json.bytes_max = KINESIS_ANSWER_BYTES_MAX;
    arena_reset(&call->arena);
    buf_clear(&call->body);
    buf_add_u8(&call->body, '{');
    json_write_text(&call->body, "StreamName", str_of(engine->stream));
}

static void sign(struct buf *out, const struct kinesis_call *call,
                 const struct http_headers *headers, struct str date) {
    const struct stream_kinesis_config *config = call->engine->config;
    char hash[65];
    sigv4_sha256_hex(buf_str(&call->body), hash);
    struct sigv4_request request = {.method = STR("POST"),
                                    .path = STR("/"),
                                    .headers = headers->items,
                                    .header_count = headers->count,
                                    .payload_hash = str_of(hash),
                                    .region = str_of(config->region),
                                    .service = STR("kinesis"),
                                    .amz_date = date};
    sigv4_authorization(out, &request, str_of(config->access_key_id),
                        str_of(config->secret_access_key));
}

static void on_answer(void *data, const struct http_answer *answer);

void kinesis_call_send(struct kinesis_call *call, const char *operation,
                       void (*done)(struct kinesis_call *call, int status,
                                    struct json_value answer)) {
    const struct kinesis_engine *engine = call->engine;
    const char *token = engine->config->session_token;
    struct http_headers headers = {0};
    struct buf target = {0}, authorization = {0};
    char date[SIGV4_DATE_CHARS];
    buf_add_u8(&call->body, '}');
    sigv4_date(clock_wall_ms(), date);
    buf_printf(&target, "Kinesis_20131202.%s", operation);
    http_headers_add(&headers, STR("Host"), engine->server.host);
    http_headers_add(&headers, STR("X-Amz-Date"), str_of(date));
    http_headers_add(&headers, STR("X-Amz-Target"), buf_str(&target));
    http_headers_add(&headers, STR("Content-Type"), STR("application/x-amz-json-1.1"));
    if (token && token[0])
        http_headers_add(&headers, STR("X-Amz-Security-Token"), str_of(token));
    sign(&authorization, call, &headers, str_of(date));
    http_headers_add(&headers, STR("Authorization"), buf_str(&authorization));
    char *url = xprintf("%s/", engine->server.url);
    struct http_call_config config = {.method = "POST",
                                      .url = url,
                                      .headers = headers.items,
                                      .header_count = headers.count,
                                      .body = buf_str(&call->body),
                                      .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                      .stall_timeout_ms = STALL_TIMEOUT_MS,
                                      .answer_bytes_max = KINESIS_ANSWER_BYTES_MAX,
                                      .ca_path = engine->config->ca_path};
    call->done = done;
    call->http = http_client_send(engine->client, &config, on_answer, call);
    free(url);
    buf_done(&target);
    buf_done(&authorization);
}

/* ---- the answer ---- */

/* "com.amazonaws.kinesis#ExpiredIteratorException" and "ExpiredIteratorException" are the same. */
static struct str error_type(struct kinesis_call *call, struct json_value root) {
    struct str type = json_str(json_member(root, STR("__type")), &call->arena), rest;
    str_cut(type, '#', &rest);
    return rest.len ? rest : type;
}

static int status_of(int http_status, struct str type) {
    static const char *const later[] = {"ProvisionedThroughputExceededException",
                                        "LimitExceededException", "KMSThrottlingException",
                                        "ThrottlingException"};
    for (size_t i = 0; i < COUNT_OF(later); i++)
        if (str_eq(type, str_of(later[i])))
            return ERR_AGAIN;
    static const char *const invalid[] = {"ValidationException", "InvalidArgumentException",
                                          "SerializationException"};
    for (size_t i = 0; i < COUNT_OF(invalid); i++)
        if (str_eq(type, str_of(invalid[i])))
            return ERR_INVALID;
    if (str_eq(type, STR("ExpiredIteratorException")) ||
        str_eq(type, STR("ExpiredNextTokenException")))
        return ERR_TIMEOUT;
    if (str_eq(type, STR("ResourceNotFoundException")))
        return ERR_NOT_FOUND;
    return http_status >= 500 || http_status == 429 ? ERR_AGAIN : ERR_REFUSED;
}

static int judge(struct kinesis_call *call, const struct http_answer *answer) {
    if (!answer->status) {
        snprintf(call->why, sizeof call->why, "no answer: %s", answer->error);
        return ERR_IO;
    }
    bool parsed = json_parse(&call->json, answer->body) == 0;
    if (parsed && answer->status == 200)
        return 0;
    struct json_value root = parsed ? json_root(&call->json) : (struct json_value){0};
    struct str type = error_type(call, root);
    struct str text = json_str(json_member(root, STR("message")), &call->arena);
    if (!text.len)
        text = json_str(json_member(root, STR("Message")), &call->arena);
    snprintf(call->why, sizeof call->why, "%d %.*s %.*s", answer->status, STR_ARG(type),
             STR_ARG(text));
    return status_of(answer->status, type);
}

static void on_answer(void *data, const struct http_answer *answer) {
    struct kinesis_call *call = data;
    call->http = NULL;
    int status = judge(call, answer);
    call->done(call, status, status ? (struct json_value){0} : json_root(&call->json));
}

void kinesis_call_done(struct kinesis_call *call) {
    if (call->http)
        http_call_cancel(call->http);
    call->http = NULL;
    buf_done(&call->body);
    json_done(&call->json);
    arena_done(&call->arena);
}
