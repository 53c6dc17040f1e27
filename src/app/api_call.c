#include "app/api_call.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "app/config.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "http/sigv4.h"

enum { ANSWER_BYTES_MAX = 64 * 1024 * 1024, HEADERS_MAX = 8 };

/* ---- where ---- */

static char *copy_or_null(const char *text) {
    return text && text[0] ? xstrdup(text) : NULL;
}

static int read_config(const char *path, struct api_target *target, bool wants_url,
                       struct err *err) {
    struct config *config;
    int code = config_read(path, &config, err);
    if (code)
        return code;
    if (!config->api.head.conf)
        code = err_set(err, ERR_NOT_FOUND, "%s has no api listener", path);
    if (!code && wants_url)
        target->url =
            xprintf("%s://%s", config->api.tls.head.conf ? "https" : "http", config->api.bind);
    if (!code && config->credentials.count && !target->access_key_id) {
        const struct aws_credential *first =
            OPTION_AT(config->credentials, struct aws_credential, 0);
        target->access_key_id = xstrdup(first->access_key_id);
        target->secret_access_key = xstrdup(first->secret_access_key);
    }
    if (!code && !target->region)
        target->region = xstrdup(config->api.region);
    config_free(config);
    return code;
}

int api_target_find(const char *url, const char *config_path, struct api_target *ret_target,
                    struct err *err) {
    struct api_target target = {.url = copy_or_null(url),
                                .access_key_id = copy_or_null(getenv("AWS_ACCESS_KEY_ID")),
                                .secret_access_key = copy_or_null(getenv("AWS_SECRET_ACCESS_KEY")),
                                .region = copy_or_null(getenv("AWS_DEFAULT_REGION"))};
    int code = config_path ? read_config(config_path, &target, !url, err) : 0;
    if (!code && !target.url)
        target.url = xstrdup("http://127.0.0.1:4566");
    if (!target.region)
        target.region = xstrdup("us-east-1");
    if (code)
        api_target_done(&target);
    else
        *ret_target = target;
    return code;
}

void api_target_done(struct api_target *target) {
    free(target->url);
    free(target->access_key_id);
    free(target->secret_access_key);
    free(target->region);
    *target = (struct api_target){0};
}

/* ---- signing ---- */

static struct curl_slist *add_header(struct curl_slist *list, const char *name, struct str value) {
    char *line = xprintf("%s: %.*s", name, STR_ARG(value));
    list = curl_slist_append(list, line);
    free(line);
    return list;
}

static struct curl_slist *sign(const struct api_call *call, struct curl_slist *list) {
    const struct api_target *target = call->target;
    char date[SIGV4_DATE_CHARS], hash[65];
    struct str host = str_of(strstr(target->url, "://") + 3), query;
    struct str path = str_cut(str_of(call->path), '?', &query);
    sigv4_date(clock_wall_ms(), date);
    sigv4_sha256_hex(call->body, hash);
    const struct http_header covered[] = {{STR("host"), host}, {STR("x-amz-date"), str_of(date)}};
    const struct sigv4_request request = {.method = str_of(call->method),
                                          .path = path,
                                          .query = query,
                                          .headers = covered,
                                          .header_count = COUNT_OF(covered),
                                          .payload_hash = str_of(hash),
                                          .region = str_of(target->region),
                                          .service = STR("iot"),
                                          .amz_date = str_of(date)};
    struct buf authorization = {0};
    sigv4_authorization(&authorization, &request, str_of(target->access_key_id),
                        str_of(target->secret_access_key));
    list = add_header(list, "X-Amz-Date", str_of(date));
    list = add_header(list, "Authorization", buf_str(&authorization));
    buf_done(&authorization);
    return list;
}

/* ---- calling ---- */

struct transfer {
    CURL *curl;
    struct api_call *call;
    struct buf failure; /* the body of an error */
    bool stopped;
};

static size_t on_body(char *at, size_t size, size_t count, void *data) {
    struct transfer *transfer = data;
    struct api_call *call = transfer->call;
    struct str bytes = str_from(at, size * count);
    long status = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    struct buf *to = status == 200 ? &call->answer : &transfer->failure;
    if (status == 200 && call->on_bytes) {
        transfer->stopped = !call->on_bytes(call->data, bytes);
        return transfer->stopped ? 0 : bytes.len;
    }
    if (buf_len(to) + bytes.len > ANSWER_BYTES_MAX)
        return 0;
    buf_add_str(to, bytes);
    return bytes.len;
}

static int read_failure(struct transfer *transfer, long status, struct err *err) {
    struct json json = {0};
    struct arena arena = {0};
    struct str text = {0};
    if (json_parse(&json, buf_str(&transfer->failure)) == 0)
        text = json_str(json_member(json_root(&json), STR("message")), &arena);
    int code = err_set(err, ERR_REFUSED, "%.*s (status %ld)",
                       STR_ARG(text.len ? text : STR("Weir refused it")), status);
    json_done(&json);
    arena_done(&arena);
    return code;
}

static int perform(struct transfer *transfer, struct err *err) {
    CURLcode result = curl_easy_perform(transfer->curl);
    long status = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    if (result != CURLE_OK && !transfer->stopped)
        return err_set(err, ERR_IO, "%s: %s", transfer->call->target->url,
                       curl_easy_strerror(result));
    return status == 200 ? 0 : read_failure(transfer, status, err);
}

int api_call(struct api_call *call, struct err *err) {
    struct transfer transfer = {.curl = curl_easy_init(), .call = call};
    char *url = xprintf("%s%s", call->target->url, call->path);
    struct curl_slist *headers = NULL;
    headers = add_header(headers, "Content-Type", STR("application/json"));
    headers = curl_slist_append(headers, "Expect:");
    if (call->target->access_key_id && call->target->secret_access_key)
        headers = sign(call, headers);
    curl_easy_setopt(transfer.curl, CURLOPT_URL, url);
    curl_easy_setopt(transfer.curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(transfer.curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(transfer.curl, CURLOPT_CUSTOMREQUEST, call->method);
    curl_easy_setopt(transfer.curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(transfer.curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(transfer.curl, CURLOPT_WRITEDATA, &transfer);
    if (call->body.len) {
        curl_easy_setopt(transfer.curl, CURLOPT_POSTFIELDS, call->body.at);
        curl_easy_setopt(transfer.curl, CURLOPT_POSTFIELDSIZE, (long)call->body.len);
    }
    int code = perform(&transfer, err);
    curl_slist_free_all(headers);
    curl_easy_cleanup(transfer.curl);
    buf_done(&transfer.failure);
    free(url);
    return code;
}
