/* Settings of the action `http` and what a request of it consists of. */
#include "action/web_hook.h"

#include <stdio.h>
#include <strings.h>

#include "base/mem.h"
#include "http/sigv4.h"

enum { URL_CHARS_MAX = 2048, HEADERS_MAX = 100, HEADER_KEY_CHARS_MAX = 256 };

static const struct option header_options[] = {
    {"key", OPTION_STRING, offsetof(struct web_hook_header, key), .required = true},
    {"value", OPTION_STRING, offsetof(struct web_hook_header, value), .required = true,
     .help = "may be a template"},
    {0}};

static const struct option sigv4_options[] = {
    {"signing_region", OPTION_STRING, offsetof(struct web_hook_sigv4, signing_region),
     .required = true},
    {"service_name", OPTION_STRING, offsetof(struct web_hook_sigv4, service_name),
     .required = true},
    {"access_key_id", OPTION_STRING, offsetof(struct web_hook_sigv4, access_key_id),
     .required = true},
    {"secret_access_key", OPTION_SECRET, offsetof(struct web_hook_sigv4, secret_access_key),
     .required = true, .help = "best as ${env:NAME}"},
    {"session_token", OPTION_SECRET, offsetof(struct web_hook_sigv4, session_token)},
    {"role_arn", OPTION_LATER,
     .help = "requests are signed with access_key_id and secret_access_key, no role is assumed"},
    {0}};

static const struct option auth_options[] = {
    {"sigv4", OPTION_STRUCT, offsetof(struct web_hook_auth, sigv4), .fields = sigv4_options,
     .item_size = sizeof(struct web_hook_sigv4)},
    {0}};

static const struct option batch_options[] = {
    {"max_batch_open_ms", OPTION_INT, offsetof(struct web_hook_batch, open_ms_max), .min = 5,
     .max = 200, .default_text = "20", .help = "how long a batch waits for more"},
    {"max_batch_size", OPTION_INT, offsetof(struct web_hook_batch, count_max), .min = 2, .max = 10,
     .default_text = "10", .help = "messages in one request"},
    {"max_batch_size_bytes", OPTION_INT, offsetof(struct web_hook_batch, bytes_max), .min = 100,
     .max = 131072, .default_text = "5120", .help = "of one request's body"},
    {"batch_across_topics", OPTION_BOOL, offsetof(struct web_hook_batch, across_topics),
     .default_text = "false"},
    {0}};

const struct option web_hook_options[] = {
    {"url", OPTION_STRING, offsetof(struct web_hook_settings, url), .required = true,
     .help = "https:// or http://; may be a template, then confirmation_url is wanted"},
    {"confirmation_url", OPTION_STRING, offsetof(struct web_hook_settings, confirmation_url),
     .help = "what url begins with, may be a template; its owner is asked to confirm before "
             "anything is "
             "sent"},
    {"headers", OPTION_LIST, offsetof(struct web_hook_settings, headers), .fields = header_options,
     .item_size = sizeof(struct web_hook_header)},
    {"auth", OPTION_STRUCT, offsetof(struct web_hook_settings, auth), .fields = auth_options,
     .item_size = sizeof(struct web_hook_auth)},
    {"enable_batching", OPTION_BOOL, offsetof(struct web_hook_settings, enable_batching),
     .default_text = "false", .help = "several messages as a JSON array in one request"},
    {"batch_config", OPTION_STRUCT, offsetof(struct web_hook_settings, batch),
     .fields = batch_options, .item_size = sizeof(struct web_hook_batch)},
    {"timeout", OPTION_DURATION, offsetof(struct web_hook_settings, timeout_ms), .min = 100,
     .max = 300000, .default_text = "3s", .help = "of one request"},
    {"max_in_flight", OPTION_INT, offsetof(struct web_hook_settings, in_flight_max), .min = 1,
     .max = 64, .default_text = "1", .help = "requests at a time; above 1 without order"},
    {"ca_path", OPTION_STRING, offsetof(struct web_hook_settings, ca_path),
     .help = "certificates that sign the server's; the system's when absent"},
    ACTION_COMMON_OPTIONS("-1", "0s"),
};

/* ---- URLs ---- */

static bool is_plain(struct str text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '\\')
            return false;
    }
    return true;
}

bool web_hook_url_read(struct str url, struct web_hook_url *ret_url) {
    struct str rest = url;
    if (str_starts(url, STR("https://")))
        rest = str_skip(url, 8);
    else if (str_starts(url, STR("http://")))
        rest = str_skip(url, 7);
    else
        return false;
    size_t end = 0;
    while (end < rest.len && !strchr("/?#", rest.at[end]))
        end++;
    ret_url->authority = str_from(rest.at, end);
    struct str after = str_skip(rest, end);
    ret_url->path = str_cut(after, '?', &ret_url->query);
    if (ret_url->path.len == 0)
        ret_url->path = STR("/");
    return end > 0 && url.len <= URL_CHARS_MAX && is_plain(url) &&
           str_find(ret_url->authority, '@') == end && str_find(url, '#') == url.len;
}

/* "." and "/" may be written as "%2e" and "%2f", and many servers take a backslash for a slash. */
static char next_char(struct str *path) {
    static const char *const codes[] = {"%2e", "%2f", "%5c"};
    char c = path->at[0];
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        if (path->len >= 3 && strncasecmp(path->at, codes[i], 3) == 0) {
            *path = str_skip(*path, 3);
            return i ? '/' : '.';
        }
    *path = str_skip(*path, 1);
    return c;
}

static bool climbs(struct str path) {
    size_t chars = 0, dots = 0;
    while (path.len) {
        char c = next_char(&path);
        if (c == '/' && chars == 2 && dots == 2)
            return true;
        chars = c == '/' ? 0 : chars + 1;
        dots = c == '/' ? 0 : dots + (c == '.');
    }
    return chars == 2 && dots == 2;
}

bool web_hook_is_below(struct str url, struct str confirmation) {
    struct web_hook_url ours, theirs;
    return str_starts(url, confirmation) && web_hook_url_read(url, &ours) &&
           web_hook_url_read(confirmation, &theirs) && str_eq(ours.authority, theirs.authority) &&
           !climbs(ours.path);
}

/* ---- checks ---- */

static bool is_template(const char *text) {
    return strstr(text, "${") != NULL;
}

static int check_urls(const struct web_hook_settings *settings, struct err *err) {
    const struct option_head *head = &settings->common.head;
    const char *confirmation = settings->confirmation_url;
    struct web_hook_url parts;
    bool is_fixed = confirmation && !is_template(confirmation);
    if (is_fixed && !web_hook_url_read(str_of(confirmation), &parts))
        return option_error(head, "confirmation_url", err, ERR_INVALID,
                            "http: confirmation_url: https://host/path is wanted");
    if (is_template(settings->url) && !confirmation)
        return option_error(
            head, "url", err, ERR_INVALID,
            "http: a url with templates needs confirmation_url, with which it begins");
    if (!is_template(settings->url) && !web_hook_url_read(str_of(settings->url), &parts))
        return option_error(head, "url", err, ERR_INVALID,
                            "http: url: https://host/path is wanted, without user, at most %d "
                            "characters",
                            URL_CHARS_MAX);
    if (is_fixed && !is_template(settings->url) &&
        !str_starts(str_of(settings->url), str_of(confirmation)))
        return option_error(head, "confirmation_url", err, ERR_INVALID,
                            "http: confirmation_url is not what url begins with");
    return 0;
}

/* RFC 9110 section 5.6.2. */
static bool is_token(const char *text) {
    size_t len = strlen(text);
    return len >= 1 && len <= HEADER_KEY_CHARS_MAX &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                        "!#$%&'*+-.^_`|~") == len;
}

static bool is_reserved(const char *key) {
    static const char *const keys[] = {"host", "content-length", "transfer-encoding", "connection",
                                       "expect"};
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        if (strcasecmp(key, keys[i]) == 0)
            return true;
    return false;
}

static int check_headers(const struct web_hook_settings *settings, struct err *err) {
    if (settings->headers.count > HEADERS_MAX)
        return option_error(&settings->common.head, "headers", err, ERR_INVALID,
                            "http: more than %d headers", HEADERS_MAX);
    for (size_t i = 0; i < settings->headers.count; i++) {
        const struct web_hook_header *header =
            OPTION_AT(settings->headers, struct web_hook_header, i);
        if (!is_token(header->key) || is_reserved(header->key))
            return option_error(&header->head, "key", err, ERR_INVALID,
                                "http: \"%s\" is no header that an action can set", header->key);
        if (strpbrk(header->value, "\r\n"))
            return option_error(&header->head, "value", err, ERR_INVALID,
                                "http: a header's value has one line");
    }
    return 0;
}

int web_hook_check(const void *data, struct err *err) {
    const struct web_hook_settings *settings = data;
    int code = check_urls(settings, err);
    if (!code)
        code = check_headers(settings, err);
    if (!code && settings->auth.head.conf && !settings->auth.sigv4.head.conf)
        code = option_error(&settings->auth.head, "sigv4", err, ERR_INVALID,
                            "http: auth: sigv4 is wanted");
    if (!code && settings->batch.head.conf && !settings->enable_batching)
        code = option_error(&settings->common.head, "batch_config", err, ERR_INVALID,
                            "http: batch_config means nothing without enable_batching: true");
    return code;
}

static const char *header_name(struct arena *arena, const char *key) {
    size_t len = strlen(key);
    char *name = arena_alloc(arena, sizeof "header." + len);
    memcpy(name, "header.", 7);
    memcpy(name + 7, key, len + 1);
    return name;
}

void web_hook_templates(const void *data, struct action_templates *templates) {
    const struct web_hook_settings *settings = data;
    const struct option_head *head = &settings->common.head;
    action_template_add(templates, "url", settings->url, head, "url");
    if (settings->confirmation_url && is_template(settings->confirmation_url))
        action_template_add(templates, "confirmation_url", settings->confirmation_url, head,
                            "confirmation_url");
    for (size_t i = 0; i < settings->headers.count; i++) {
        const struct web_hook_header *header =
            OPTION_AT(settings->headers, struct web_hook_header, i);
        if (is_template(header->value))
            action_template_add(templates, header_name(templates->arena, header->key),
                                header->value, &header->head, "value");
    }
}

/* ---- destinations ---- */

/* What clients of the API wrote stands in no file. */
static bool is_of_file(const struct web_hook_settings *settings) {
    const struct conf *conf = settings->common.head.conf;
    return conf && conf->file;
}

struct str web_hook_confirmation(const struct web_hook_settings *settings,
                                 const struct action_record *record) {
    if (settings->confirmation_url && is_template(settings->confirmation_url))
        return action_param_get(&record->params, "confirmation_url");
    if (settings->confirmation_url)
        return str_of(settings->confirmation_url);
    return is_of_file(settings) ? (struct str){0} : action_param_get(&record->params, "url");
}

bool web_hook_may_ask(const struct web_hook_settings *settings) {
    return is_of_file(settings) && !is_template(settings->confirmation_url);
}

/* ---- requests ---- */

static void add(struct web_hook_request *request, struct str name, struct str value) {
    ASSERT(request->header_count < WEB_HOOK_HEADERS_MAX);
    request->headers[request->header_count++] = (struct http_header){name, value};
}

static bool has_header(const struct web_hook_request *request, struct str name) {
    for (size_t i = 0; i < request->header_count; i++)
        if (str_eq_nocase(request->headers[i].name, name))
            return true;
    return false;
}

/* Controls in a value that came from a message would be other headers. */
static struct str clean(struct arena *arena, struct str value) {
    char *copy = arena_strdup(arena, value);
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)copy[i] < ' ' || copy[i] == 0x7f)
            copy[i] = ' ';
    return str_trim(str_from(copy, value.len));
}

static void add_own(struct arena *arena, const struct web_hook_settings *settings,
                    const struct action_record *record, struct web_hook_request *request) {
    for (size_t i = 0; i < settings->headers.count; i++) {
        const struct web_hook_header *header =
            OPTION_AT(settings->headers, struct web_hook_header, i);
        if (!is_template(header->value))
            add(request, str_of(header->key), str_of(header->value));
    }
    struct action_place at = {0};
    struct action_param param;
    while (action_param_next(&record->params, &at, &param))
        if (str_starts(param.name, STR("header.")) &&
            request->header_count < WEB_HOOK_HEADERS_MAX - 6)
            add(request, str_skip(param.name, 7), clean(arena, param.value));
}

static void sign(struct arena *arena, const struct web_hook_sigv4 *sigv4, uint64_t wall_ms,
                 struct web_hook_request *request) {
    char date[SIGV4_DATE_CHARS], hash[65];
    struct web_hook_url url;
    struct buf authorization = {0};
    bool good = web_hook_url_read(request->url, &url);
    ASSERT(good);
    sigv4_date(wall_ms, date);
    sigv4_sha256_hex(request->body, hash);
    size_t signed_from = request->header_count;
    add(request, STR("Host"), url.authority);
    add(request, STR("X-Amz-Date"), str_of(arena_strdup(arena, str_of(date))));
    if (sigv4->session_token && sigv4->session_token[0])
        add(request, STR("X-Amz-Security-Token"), str_of(sigv4->session_token));
    struct sigv4_request signing = {
        .method = STR("POST"),
        .path = url.path,
        .query = url.query,
        .headers = request->headers + signed_from,
        .header_count = request->header_count - signed_from,
        .payload_hash = str_of(hash),
        .region = str_of(sigv4->signing_region),
        .service = str_of(sigv4->service_name),
        .amz_date = str_of(date),
        .s3 = strcmp(sigv4->service_name, "s3") == 0,
    };
    sigv4_authorization(&authorization, &signing, str_of(sigv4->access_key_id),
                        str_of(sigv4->secret_access_key));
    add(request, STR("Authorization"), str_of(arena_strdup(arena, buf_str(&authorization))));
    buf_done(&authorization);
}

void web_hook_headers(struct arena *arena, const struct web_hook_settings *settings,
                      const struct action_record *record, bool is_json, uint64_t wall_ms,
                      struct web_hook_request *request) {
    request->header_count = 0;
    add_own(arena, settings, record, request);
    if (!has_header(request, STR("Content-Type")))
        add(request, STR("Content-Type"),
            is_json ? STR("application/json") : STR("application/octet-stream"));
    if (settings->auth.sigv4.head.conf)
        sign(arena, &settings->auth.sigv4, wall_ms, request);
}
