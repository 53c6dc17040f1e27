/*
 * Each file is embedded twice, as it is and packed with gzip when the program was built; both forms
 * have a strong entity tag of their own. Names carry no hash, so a browser asks each time
 * (Cache-Control: no-cache) and gets 304 until the program changes.
 *
 * The headers of every answer: no guessing of types, no address of this page to other sites, no
 * frame of another site around it (which could make a person click into the MQTT client unawares);
 * and for the page the policy that web/README.md states, under which a browser loads nothing from
 * anywhere else.
 */
#include "web/page.h"

#include <stdlib.h>

#include "base/mem.h"

enum { EXTRA_MAX = 8 };

static const struct http_header common_headers[] = {
    {{"X-Content-Type-Options", 22}, {"nosniff", 7}},
    {{"Referrer-Policy", 15}, {"no-referrer", 11}},
    {{"X-Frame-Options", 15}, {"SAMEORIGIN", 10}},
};

static const char content_security_policy[] =
    "default-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self' ws: wss:; "
    "img-src 'self' data:";

#define X(path, name, type, tag, packed_tag)                                                       \
    extern const char page_##name[], page_##name##_end[];                                          \
    extern const char page_##name##_gz[], page_##name##_gz_end[];
#include "web/page_files.inc"
#undef X

static const struct page_file {
    const char *path, *type;
    const char *at, *end, *tag;
    const char *packed_at, *packed_end, *packed_tag;
} files[] = {
#define X(path, name, type, tag, packed_tag)                                                       \
    {path,      type, page_##name, page_##name##_end, tag, page_##name##_gz, page_##name##_gz_end, \
     packed_tag},
#include "web/page_files.inc"
#undef X
};

void web_respond(struct http_request *request, int status, const char *content_type,
                 struct str body, const struct http_header *extra, size_t extra_count) {
    struct http_header headers[COUNT_OF(common_headers) + EXTRA_MAX];
    ASSERT(extra_count <= EXTRA_MAX);
    memcpy(headers, common_headers, sizeof common_headers);
    if (extra_count)
        memcpy(headers + COUNT_OF(common_headers), extra, extra_count * sizeof *extra);
    http_respond(request, status, content_type, body, headers,
                 COUNT_OF(common_headers) + extra_count);
}

/* Whether a weight is zero: "q=0", "q=0.", "q=0.000". */
static bool is_refusal(struct str parameters) {
    struct str weight = str_trim(parameters);
    if (weight.len < 3 || (weight.at[0] | 0x20) != 'q' || weight.at[1] != '=')
        return false;
    for (size_t i = 2; i < weight.len; i++)
        if (weight.at[i] != '0' && weight.at[i] != '.')
            return false;
    return true;
}

bool web_page_takes_gzip(struct str accept_encoding) {
    struct str rest = accept_encoding;
    while (rest.len) {
        struct str parameters, item = str_cut(rest, ',', &rest);
        struct str coding = str_trim(str_cut(item, ';', &parameters));
        if (str_eq_nocase(coding, STR("gzip")) || str_eq_nocase(coding, STR("x-gzip")))
            return !is_refusal(parameters);
    }
    return false;
}

/* The comparison is the weak one: what a proxy has marked W/ is still this file. */
bool web_page_matches(struct str if_none_match, const char *tag) {
    struct str rest = if_none_match;
    while (rest.len) {
        struct str item = str_trim(str_cut(rest, ',', &rest));
        if (str_eq(item, STR("*")))
            return true;
        if (str_starts(item, STR("W/")))
            item = str_skip(item, 2);
        if (item.len >= 2 && item.at[0] == '"' && item.at[item.len - 1] == '"' &&
            str_eq(str_from(item.at + 1, item.len - 2), str_of(tag)))
            return true;
    }
    return false;
}

static void respond_file(struct http_request *request, const struct page_file *file) {
    bool is_packed = web_page_takes_gzip(http_header(request, "Accept-Encoding"));
    const char *tag = is_packed ? file->packed_tag : file->tag;
    const char *at = is_packed ? file->packed_at : file->at;
    const char *end = is_packed ? file->packed_end : file->end;
    char *quoted = xprintf("\"%s\"", tag);
    const struct http_header extra[] = {
        {STR("ETag"), str_of(quoted)},
        {STR("Cache-Control"), STR("no-cache")},
        {STR("Vary"), STR("Accept-Encoding")},
        {STR("Content-Security-Policy"), str_of(content_security_policy)},
        {STR("Content-Encoding"), STR("gzip")},
    };
    if (web_page_matches(http_header(request, "If-None-Match"), tag))
        web_respond(request, 304, NULL, (struct str){0}, extra, 4);
    else
        web_respond(request, 200, file->type, str_from(at, (size_t)(end - at)), extra,
                    is_packed ? 5 : 4);
    free(quoted);
}

static const struct page_file *find(struct str path) {
    for (size_t i = 0; i < COUNT_OF(files); i++)
        if (str_eq(path, str_of(files[i].path)))
            return &files[i];
    return NULL;
}

bool web_page_has(struct str path) {
    return find(path) != NULL;
}

void web_page_respond(struct http_request *request) {
    const struct page_file *file = find(request->path);
    ASSERT(file);
    respond_file(request, file);
}
