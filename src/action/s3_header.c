#include "action/s3_header.h"

#include <strings.h>

#include "bucket/bucket.h"

enum { VALUE_BYTES_MAX = 2048 };

#define PARAM STR("header.")

const struct option s3_header_options[] = {
    {.key = "key",
     .type = OPTION_STRING,
     .offset = offsetof(struct s3_header, key),
     .required = true,
     .help = "Cache-Control, Content-Disposition, Content-Encoding, Content-Language, Expires, "
             "x-amz-..."},
    {.key = "value",
     .type = OPTION_STRING,
     .offset = offsetof(struct s3_header, value),
     .required = true,
     .help = "may be a template; empty: the header is left out"},
    {.key = NULL},
};

/* RFC 9110 section 5.6.2. */
static bool is_token(const char *text) {
    return *text &&
           text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "!#$%&'*+-.^_`|~")] == '\0';
}

/* What signs the request or has a key of its own is not to be had here. */
static bool is_free(const char *key) {
    static const char *const known[] = {"Cache-Control", "Content-Disposition", "Content-Encoding",
                                        "Content-Language", "Expires"};
    static const char *const taken[] = {"x-amz-date", "x-amz-content-sha256",
                                        "x-amz-security-token", "x-amz-acl"};
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (strcasecmp(key, known[i]) == 0)
            return true;
    for (size_t i = 0; i < COUNT_OF(taken); i++)
        if (strcasecmp(key, taken[i]) == 0)
            return false;
    return is_token(key) && strncasecmp(key, "x-amz-", 6) == 0 && key[6];
}

static bool is_repeated(const struct option_items *headers, size_t index) {
    const struct s3_header *header = OPTION_AT(*headers, struct s3_header, index);
    for (size_t i = 0; i < index; i++)
        if (strcasecmp(OPTION_AT(*headers, struct s3_header, i)->key, header->key) == 0)
            return true;
    return false;
}

int s3_headers_check(const struct option_head *head, const struct option_items *headers,
                     struct err *err) {
    if (headers->count > BUCKET_HEADERS_MAX)
        return option_error(head, "headers", err, ERR_INVALID, "s3: more than %d headers",
                            BUCKET_HEADERS_MAX);
    for (size_t i = 0; i < headers->count; i++) {
        const struct s3_header *header = OPTION_AT(*headers, struct s3_header, i);
        if (strlen(header->key) > 128 || !is_free(header->key))
            return option_error(&header->head, "key", err, ERR_INVALID,
                                "s3: \"%s\" is no header that an action can set; content_type and "
                                "canned_acl are keys of their own",
                                header->key);
        if (is_repeated(headers, i))
            return option_error(&header->head, "key", err, ERR_INVALID,
                                "s3: the header \"%s\" stands there twice", header->key);
    }
    return 0;
}

void s3_headers_templates(const struct option_items *headers, struct action_templates *templates) {
    for (size_t i = 0; i < headers->count; i++) {
        const struct s3_header *header = OPTION_AT(*headers, struct s3_header, i);
        size_t len = strlen(header->key);
        char *name = arena_alloc(templates->arena, PARAM.len + len + 1);
        memcpy(name, PARAM.at, PARAM.len);
        memcpy(name + PARAM.len, header->key, len + 1);
        action_template_add(templates, name, header->value, &header->head, "value");
    }
}

/* Printable ASCII: stores do not agree on anything else, and the signature must. */
static bool is_value(struct str text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < ' ' || text.at[i] > '~')
            return false;
    return text.len <= VALUE_BYTES_MAX;
}

int s3_headers_read(const struct action_record *record, struct http_header *ret_headers,
                    size_t *ret_count, struct err *err) {
    struct action_place place = {0};
    struct action_param param;
    *ret_count = 0;
    while (action_param_next(&record->params, &place, &param)) {
        struct str value = str_trim(param.value);
        if (!str_starts(param.name, PARAM) || !value.len || *ret_count == BUCKET_HEADERS_MAX)
            continue;
        struct str name = str_skip(param.name, PARAM.len);
        if (!is_value(value))
            return err_set(err, ERR_INVALID,
                           "the header %.*s must be at most %d characters of ASCII", STR_ARG(name),
                           VALUE_BYTES_MAX);
        ret_headers[(*ret_count)++] = (struct http_header){name, value};
    }
    return 0;
}
