#include "app/api_client.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "app/config.h"
#include "base/clock.h"
#include "base/json.h"
#include "http/sigv4.h"

static const char default_url[] = "http://127.0.0.1:4566";

enum { ANSWER_BYTES_MAX = 64 * 1024 * 1024 };

/* ---- where ---- */

static char *copy(const char *text) {
    return text && text[0] ? xstrdup(text) : NULL;
}

static void use_environment(struct api_client *client) {
    const char *region = getenv("AWS_REGION");
    client->access_key_id = copy(getenv("AWS_ACCESS_KEY_ID"));
    client->secret_access_key = copy(getenv("AWS_SECRET_ACCESS_KEY"));
    client->session_token = copy(getenv("AWS_SESSION_TOKEN"));
    client->region = xstrdup(region && region[0] ? region : "us-east-1");
}

/* A listener at all addresses is at this machine's own, too. */
static char *url_of(const struct aws_config *api) {
    const char *scheme = api->tls.head.conf ? "https" : "http";
    static const char all[] = "0.0.0.0:", all_6[] = "[::]:";
    if (strncmp(api->bind, all, sizeof all - 1) == 0)
        return xprintf("%s://127.0.0.1:%s", scheme, api->bind + sizeof all - 1);
    if (strncmp(api->bind, all_6, sizeof all_6 - 1) == 0)
        return xprintf("%s://[::1]:%s", scheme, api->bind + sizeof all_6 - 1);
    return xprintf("%s://%s", scheme, api->bind);
}

static int use_config(struct api_client *client, const char *path, struct err *err) {
    struct config *config;
    int code = config_read(path, &config, err);
    if (code)
        return code;
    const struct aws_config *api = &config->api;
    if (!api->head.conf) {
        code =
            err_set(err, ERR_INVALID, "%s: there is no api listener; add api: {auth: open}", path);
    } else {
        client->url = url_of(api);
        if (!client->ca_path && api->tls.head.conf)
            client->ca_path = xstrdup(api->tls.cert);
        client->region = xstrdup(api->region);
    }
    if (!code && api->auth == AWS_AUTH_SIGV4) {
        const struct aws_credential *key = OPTION_AT(config->credentials, struct aws_credential, 0);
        client->access_key_id = xstrdup(key->access_key_id);
        client->secret_access_key = xstrdup(key->secret_access_key);
        client->session_token = copy(key->session_token);
    }
    config_free(config);
    return code;
}

int api_client_init(struct api_client *client, const char *config_path, const char *url,
                    const char *ca_path, struct err *err) {
    *client = (struct api_client){.ca_path = copy(ca_path)};
    if (config_path && !url)
        return use_config(client, config_path, err);
    use_environment(client);
    client->url = xstrdup(url ? url : default_url);
    for (size_t len = strlen(client->url); len && client->url[len - 1] == '/'; len--)
        client->url[len - 1] = '\0';
    if (strncmp(client->url, "http://", 7) != 0 && strncmp(client->url, "https://", 8) != 0)
        return err_set(err, ERR_INVALID, "%s is no URL: http://HOST:PORT is wanted", client->url);
    return 0;
}

void api_client_done(struct api_client *client) {
    if (client->secret_access_key)
        explicit_bzero(client->secret_access_key, strlen(client->secret_access_key));
    free(client->url);
    free(client->ca_path);
    free(client->region);
    free(client->access_key_id);
    free(client->secret_access_key);
    free(client->session_token);
}

/* ---- a call ---- */

struct exchange {
    struct loop *loop;
    struct http_client *http;
    const struct api_client *client;
    struct buf *body;
    struct err *err;
    int code;
};

static void on_closed(void *data) {
    loop_stop(((struct exchange *)data)->loop);
}

/* {"message": "..."}, or the body as it is. */
static int fail(struct err *err, int status, struct str body) {
    struct json json = {0};
    struct arena arena = {0};
    bool is_json = !json_parse(&json, body);
    struct str message =
        is_json ? json_str(json_member(json_root(&json), STR("message")), &arena) : (struct str){0};
    if (message.len)
        err_set(err, ERR_INVALID, "%.*s", STR_ARG(message));
    else
        err_set(err, ERR_INVALID, "the answer is %d %s", status, http_status_text(status));
    json_done(&json);
    arena_done(&arena);
    return ERR_INVALID;
}

static void on_answer(void *data, const struct http_answer *answer) {
    struct exchange *exchange = data;
    if (!answer->status)
        exchange->code =
            err_set(exchange->err, ERR_IO, "%s: %s (does weir run, with an api listener?)",
                    exchange->client->url, answer->error);
    else if (answer->status >= 300)
        exchange->code = fail(exchange->err, answer->status, answer->body);
    else
        buf_add_str(exchange->body, answer->body);
    http_client_close(exchange->http, on_closed, exchange);
}

enum { HEADERS_MAX = 4 };

/* Host as libcurl sends it: what stands between the scheme and the path. */
static struct str host_of(const char *url) {
    struct str rest = str_skip(str_of(strstr(url, "://")), 3);
    return str_cut(rest, '/', &rest);
}

static size_t sign(const struct api_client *client, const char *method, struct str target,
                   char date[SIGV4_DATE_CHARS], struct buf *authorization,
                   struct http_header headers[HEADERS_MAX]) {
    size_t count = 0;
    char hash[65];
    struct str query, path = str_cut(target, '?', &query);
    sigv4_date(clock_wall_ms(), date);
    sigv4_sha256_hex((struct str){0}, hash);
    headers[count++] = (struct http_header){STR("Host"), host_of(client->url)};
    headers[count++] = (struct http_header){STR("X-Amz-Date"), str_of(date)};
    if (client->session_token)
        headers[count++] =
            (struct http_header){STR("X-Amz-Security-Token"), str_of(client->session_token)};
    const struct sigv4_request request = {.method = str_of(method),
                                          .path = path,
                                          .query = query,
                                          .headers = headers,
                                          .header_count = count,
                                          .payload_hash = str_of(hash),
                                          .region = str_of(client->region),
                                          .service = STR("weir"),
                                          .amz_date = str_of(date)};
    sigv4_authorization(authorization, &request, str_of(client->access_key_id),
                        str_of(client->secret_access_key));
    headers[count++] = (struct http_header){STR("Authorization"), buf_str(authorization)};
    return count;
}

int api_client_call(const struct api_client *client, const char *method, const char *target,
                    struct buf *ret_body, struct err *err) {
    struct http_header headers[HEADERS_MAX];
    char date[SIGV4_DATE_CHARS];
    struct buf authorization = {0};
    bool has_key = client->access_key_id && client->secret_access_key;
    size_t count =
        has_key ? sign(client, method, str_of(target), date, &authorization, headers) : 0;
    char *url = xprintf("%s%s", client->url, target);
    const struct http_call_config config = {.method = method,
                                            .url = url,
                                            .headers = headers,
                                            .header_count = count,
                                            .answer_bytes_max = ANSWER_BYTES_MAX,
                                            .ca_path = client->ca_path};
    struct exchange exchange = {.loop = loop_new(), .client = client, .body = ret_body, .err = err};
    exchange.http = http_client_new(exchange.loop);
    http_client_send(exchange.http, &config, on_answer, &exchange);
    loop_run(exchange.loop);
    loop_free(exchange.loop);
    free(url);
    buf_done(&authorization);
    return exchange.code;
}

/* ---- an answer that goes on: libcurl by itself, blocking ---- */

struct following {
    CURL *curl;
    bool (*on_bytes)(void *data, struct str bytes);
    void *data;
    struct buf failure; /* the body of an error */
    bool stopped;
};

static size_t on_body(char *at, size_t size, size_t count, void *data) {
    struct following *following = data;
    struct str bytes = str_from(at, size * count);
    long status = 0;
    curl_easy_getinfo(following->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 200) {
        following->stopped = !following->on_bytes(following->data, bytes);
        return following->stopped ? 0 : bytes.len;
    }
    if (buf_len(&following->failure) + bytes.len > ANSWER_BYTES_MAX)
        return 0;
    buf_add_str(&following->failure, bytes);
    return bytes.len;
}

static int perform(struct following *following, const char *url, struct err *err) {
    CURLcode result = curl_easy_perform(following->curl);
    long status = 0;
    curl_easy_getinfo(following->curl, CURLINFO_RESPONSE_CODE, &status);
    if (result != CURLE_OK && !following->stopped)
        return err_set(err, ERR_IO, "%s: %s (does weir run, with an api listener?)", url,
                       curl_easy_strerror(result));
    return status == 200 ? 0 : fail(err, (int)status, buf_str(&following->failure));
}

static struct curl_slist *header_list(const struct http_header *headers, size_t count) {
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < count; i++) {
        char *line = xprintf("%.*s: %.*s", STR_ARG(headers[i].name), STR_ARG(headers[i].value));
        list = curl_slist_append(list, line);
        free(line);
    }
    return list;
}

int api_client_follow(const struct api_client *client, const char *target,
                      bool (*on_bytes)(void *data, struct str bytes), void *data, struct err *err) {
    struct following following = {.curl = curl_easy_init(), .on_bytes = on_bytes, .data = data};
    struct http_header headers[HEADERS_MAX];
    char date[SIGV4_DATE_CHARS];
    struct buf authorization = {0};
    bool has_key = client->access_key_id && client->secret_access_key;
    size_t count = has_key ? sign(client, "GET", str_of(target), date, &authorization, headers) : 0;
    struct curl_slist *list = header_list(headers, count);
    char *url = xprintf("%s%s", client->url, target);
    curl_easy_setopt(following.curl, CURLOPT_URL, url);
    curl_easy_setopt(following.curl, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(following.curl, CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(following.curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(following.curl, CURLOPT_WRITEDATA, &following);
    if (client->ca_path)
        curl_easy_setopt(following.curl, CURLOPT_CAINFO, client->ca_path);
    int code = perform(&following, client->url, err);
    curl_slist_free_all(list);
    curl_easy_cleanup(following.curl);
    buf_done(&following.failure);
    buf_done(&authorization);
    free(url);
    return code;
}
