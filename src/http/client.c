/*
 * The HTTP client: libcurl's multi interface on the loop.
 *
 * libcurl says which sockets it waits for (on_socket) and how long (on_timeout); the loop tells it
 * what happened (drive), and it does its work inside that call. Ended transfers are collected after
 * each drive, so an answer never comes from inside http_client_send(), which only adds a transfer
 * and has libcurl ask for a time-out of 0.
 *
 * One easy handle per call; connections are kept by the multi handle and reused. When a kept
 * connection turns out to be dead before a byte of the answer came, libcurl sends the request again
 * on a new one; for that it rewinds the body (on_seek).
 *
 * The request line and the headers go out as given: no dot segments are removed, nothing is added
 * but Host, Accept and Content-Length, since the caller has signed them. libcurl's habit of sending
 * "Expect: 100-continue" is turned off.
 *
 * The proxy variables of the environment (http_proxy, https_proxy, no_proxy) are honoured except
 * towards loopback, where a proxy would be somebody else's loopback.
 */
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>

#include "base/list.h"
#include "base/mem.h"
#include "http/http.h"

enum {
    CONNECT_TIMEOUT_MS_DEFAULT = 10 * 1000,
    STALL_TIMEOUT_MS_DEFAULT = 30 * 1000,
    ANSWER_BYTES_MAX_DEFAULT = 1024 * 1024,
    ANSWER_HEAD_BYTES_MAX = 64 * 1024,
    IDLE_CONNECTIONS_MAX = 16,
};

struct http_client {
    struct loop *loop;
    CURLM *multi;
    struct timer timer;
    struct link calls, polls;
    bool is_closing, is_timer_closed;
    void (*closed)(void *data);
    void *closed_data;
};

/* One socket of libcurl. */
struct poll {
    uv_poll_t uv;
    struct link link;
    struct http_client *client;
    curl_socket_t socket;
    bool is_closing;
};

struct http_call {
    struct link link;
    struct http_client *client;
    CURL *easy;
    struct curl_slist *request_headers;
    struct str body;
    size_t body_sent;
    struct buf answer_body, answer_head; /* the head as it came, line by line */
    size_t answer_bytes_max;
    bool is_head_whole, is_cut;
    void (*on_answer)(void *data, const struct http_answer *answer);
    void *data;
    char error[CURL_ERROR_SIZE];
};

/* ---- answers ---- */

static void call_free(struct http_call *call) {
    list_remove(&call->link);
    curl_multi_remove_handle(call->client->multi, call->easy);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->request_headers);
    buf_done(&call->answer_body);
    buf_done(&call->answer_head);
    free(call);
}

/* Fills the answer's headers from the lines of the head. The array is the caller's to free. */
static struct http_header *split_head(struct str head, size_t *ret_count) {
    size_t count = 0, cap = 16;
    struct http_header *headers = xmalloc(cap * sizeof *headers);
    while (head.len) {
        struct str value, name = str_cut(str_cut(head, '\n', &head), ':', &value);
        if (str_find(name, '\r') < name.len || !name.len || str_starts(name, STR("HTTP/")))
            continue;
        if (count == cap)
            headers = xrealloc(headers, (cap *= 2) * sizeof *headers);
        headers[count++] = (struct http_header){name, str_trim(value)};
    }
    *ret_count = count;
    return headers;
}

static void call_end(struct http_call *call, CURLcode code) {
    struct http_answer answer = {0};
    struct http_header *headers = NULL;
    if (call->is_head_whole && (code == CURLE_OK || call->is_cut)) {
        long status = 0;
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
        headers = split_head(buf_str(&call->answer_head), &answer.header_count);
        answer.status = (int)status;
        answer.headers = headers;
        answer.body = buf_str(&call->answer_body);
    } else {
        const char *text = code ? curl_easy_strerror(code) : "the answer ended within its headers";
        answer.error = call->error[0] ? call->error : text;
        answer.is_late = code == CURLE_OPERATION_TIMEDOUT;
        answer.is_host_unknown = code == CURLE_COULDNT_RESOLVE_HOST;
    }
    list_remove(&call->link); /* Cancelling it from on_answer() would be a mistake of the caller. */
    call->on_answer(call->data, &answer);
    free(headers);
    call_free(call);
}

static size_t on_body(char *at, size_t size, size_t count, void *data) {
    struct http_call *call = data;
    size_t len = size * count, room = call->answer_bytes_max - buf_len(&call->answer_body);
    call->is_cut = len > room;
    buf_add(&call->answer_body, at, call->is_cut ? room : len);
    return call->is_cut ? 0 : len; /* 0 ends the transfer. */
}

/*
 * A status line begins a head: that of the answer comes after those of "100 Continue" and the like.
 * libcurl is content when the connection ends inside a head; such an answer is not to be believed,
 * so the empty line is looked for here.
 */
static size_t on_header(char *at, size_t size, size_t count, void *data) {
    struct http_call *call = data;
    struct str line = {at, size * count};
    if (str_starts(line, STR("HTTP/"))) {
        buf_clear(&call->answer_head);
        call->is_head_whole = false;
    }
    call->is_head_whole |= str_eq(line, STR("\r\n")) || str_eq(line, STR("\n"));
    if (buf_len(&call->answer_head) + line.len > ANSWER_HEAD_BYTES_MAX)
        return 0;
    buf_add_str(&call->answer_head, line);
    return line.len;
}

static size_t on_body_wanted(char *at, size_t size, size_t count, void *data) {
    struct http_call *call = data;
    size_t len = size * count, left = call->body.len - call->body_sent;
    if (len > left)
        len = left;
    if (len)
        memcpy(at, call->body.at + call->body_sent, len);
    call->body_sent += len;
    return len;
}

static int on_seek(void *data, curl_off_t offset, int origin) {
    struct http_call *call = data;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > call->body.len)
        return CURL_SEEKFUNC_FAIL;
    call->body_sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* ---- the loop and libcurl ---- */

static void collect(struct http_client *client) {
    CURLMsg *message;
    int left;
    while (!client->is_closing && (message = curl_multi_info_read(client->multi, &left))) {
        char *data = NULL;
        CURLcode code = message->data.result; /* `message` dies with the easy handle. */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &data);
        call_end((struct http_call *)(void *)data, code);
    }
}

static void drive(struct http_client *client, curl_socket_t socket, int events) {
    int running;
    if (client->is_closing)
        return;
    curl_multi_socket_action(client->multi, socket, events, &running);
    collect(client);
}

static void on_fire(struct timer *timer) {
    drive(CONTAINER_OF(timer, struct http_client, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int on_timeout(CURLM *multi, long timeout_ms, void *data) {
    struct http_client *client = data;
    if (client->is_closing)
        return 0;
    if (timeout_ms < 0)
        timer_stop(&client->timer);
    else
        timer_start(client->loop, &client->timer, (uint64_t)timeout_ms, 0, on_fire);
    return 0;
}

static void on_ready(uv_poll_t *uv, int status, int events) {
    struct poll *poll = CONTAINER_OF(uv, struct poll, uv);
    int what = (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
               (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0) | (status < 0 ? CURL_CSELECT_ERR : 0);
    drive(poll->client, poll->socket, what);
}

static void free_client_if_done(struct http_client *client) {
    if (!client->is_timer_closed || !list_empty(&client->polls))
        return;
    void (*closed)(void *data) = client->closed;
    void *data = client->closed_data;
    free(client);
    if (closed)
        closed(data);
}

static void on_poll_closed(uv_handle_t *uv) {
    struct poll *poll = CONTAINER_OF(uv, struct poll, uv);
    struct http_client *client = poll->client;
    list_remove(&poll->link);
    free(poll);
    free_client_if_done(client);
}

static void poll_close(struct poll *poll) {
    if (poll->is_closing)
        return;
    poll->is_closing = true;
    uv_close((uv_handle_t *)&poll->uv, on_poll_closed);
}

static struct poll *poll_open(struct http_client *client, curl_socket_t socket) {
    struct poll *poll = xcalloc(1, sizeof *poll);
    poll->client = client;
    poll->socket = socket;
    int failed = uv_poll_init_socket(loop_uv(client->loop), &poll->uv, socket);
    ASSERT(!failed);
    list_push_back(&client->polls, &poll->link);
    curl_multi_assign(client->multi, socket, poll);
    return poll;
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *data, void *socket_data) {
    struct http_client *client = data;
    struct poll *poll = socket_data;
    if (what == CURL_POLL_REMOVE) {
        if (poll)
            poll_close(poll);
        curl_multi_assign(client->multi, socket, NULL);
        return 0;
    }
    if (!poll)
        poll = poll_open(client, socket);
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    uv_poll_start(&poll->uv, events, on_ready);
    return 0;
}

/* ---- client ---- */

static void init_curl(void) {
    CURLcode failed = curl_global_init(CURL_GLOBAL_DEFAULT);
    ASSERT(!failed);
}

struct http_client *http_client_new(struct loop *loop) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl);
    struct http_client *client = xcalloc(1, sizeof *client);
    client->loop = loop;
    client->multi = curl_multi_init();
    ASSERT(client->multi);
    list_init(&client->calls);
    list_init(&client->polls);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS_MAX);
    return client;
}

static void on_timer_closed(struct timer *timer) {
    struct http_client *client = CONTAINER_OF(timer, struct http_client, timer);
    client->is_timer_closed = true;
    free_client_if_done(client);
}

/* Runs from the loop, so that neither libcurl nor one of its calls is on the stack. */
static void on_closing(struct timer *timer) {
    struct http_client *client = CONTAINER_OF(timer, struct http_client, timer);
    curl_multi_cleanup(client->multi);
    LIST_EACH(item, &client->polls)
    poll_close(LIST_ITEM(item, struct poll, link));
    timer_close(timer, on_timer_closed);
}

void http_client_close(struct http_client *client, void (*closed)(void *data), void *data) {
    ASSERT(!client->is_closing);
    client->is_closing = true;
    client->closed = closed;
    client->closed_data = data;
    LIST_EACH(item, &client->calls)
    call_free(LIST_ITEM(item, struct http_call, link));
    timer_start(client->loop, &client->timer, 0, 0, on_closing);
}

/* ---- calls ---- */

/* libcurl takes a header without a value only in the form "Name;". */
static struct curl_slist *make_headers(const struct http_header *headers, size_t count) {
    struct curl_slist *list = NULL;
    struct buf line = {0};
    for (size_t i = 0; i < count; i++) {
        struct str name = headers[i].name, value = headers[i].value;
        buf_clear(&line);
        if (value.len)
            buf_printf(&line, "%.*s: %.*s", STR_ARG(name), STR_ARG(value));
        else
            buf_printf(&line, "%.*s;", STR_ARG(name));
        list = curl_slist_append(list, buf_cstr(&line));
        ASSERT(list);
    }
    list = curl_slist_append(list, "Expect:");
    ASSERT(list);
    buf_done(&line);
    return list;
}

static bool is_loopback(const char *url) {
    CURLU *parts = curl_url();
    char *host = NULL;
    bool found = parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
                 curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK;
    bool loopback = found && (strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0 ||
                              strcasecmp(host, "localhost") == 0);
    curl_free(host);
    curl_url_cleanup(parts);
    return loopback;
}

static void set_method(CURL *easy, const char *method, struct http_call *call) {
    bool has_body = call->body.len || !strcmp(method, "PUT") || !strcmp(method, "POST") ||
                    !strcmp(method, "PATCH");
    if (!strcmp(method, "HEAD"))
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (has_body) {
        curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->body.len);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_body_wanted);
        curl_easy_setopt(easy, CURLOPT_READDATA, call);
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
        curl_easy_setopt(easy, CURLOPT_SEEKDATA, call);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static void set_limits(CURL *easy, const struct http_call_config *config) {
    unsigned connect_ms =
        config->connect_timeout_ms ? config->connect_timeout_ms : CONNECT_TIMEOUT_MS_DEFAULT;
    unsigned stall_ms =
        config->stall_timeout_ms ? config->stall_timeout_ms : STALL_TIMEOUT_MS_DEFAULT;
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)config->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(stall_ms + 999) / 1000);
}

static void set_transport(CURL *easy, const struct http_call_config *config) {
    curl_easy_setopt(easy, CURLOPT_URL, config->url);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT,
                     1L); /* Ending a call never waits for its name resolver. */
    if (config->ca_path)
        curl_easy_setopt(easy, CURLOPT_CAINFO, config->ca_path);
    if (is_loopback(config->url))
        curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
}

struct http_call *http_client_send(struct http_client *client,
                                   const struct http_call_config *config,
                                   void (*on_answer)(void *data, const struct http_answer *answer),
                                   void *data) {
    ASSERT(!client->is_closing);
    struct http_call *call = xcalloc(1, sizeof *call);
    CURL *easy = call->easy = curl_easy_init();
    ASSERT(easy);
    call->client = client;
    call->body = config->body;
    call->answer_bytes_max =
        config->answer_bytes_max ? config->answer_bytes_max : ANSWER_BYTES_MAX_DEFAULT;
    call->on_answer = on_answer;
    call->data = data;
    call->request_headers = make_headers(config->headers, config->header_count);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->request_headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    set_transport(easy, config);
    set_limits(easy, config);
    set_method(easy, config->method, call);
    list_push_back(&client->calls, &call->link);
    CURLMcode failed = curl_multi_add_handle(client->multi, easy);
    ASSERT(!failed);
    return call;
}

void http_call_cancel(struct http_call *call) {
    ASSERT(list_linked(&call->link)); /* Not from on_answer() of this very call. */
    call_free(call);
}
