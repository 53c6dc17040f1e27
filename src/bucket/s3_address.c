#include "bucket/s3_address.h"

#include "http/http.h"

static bool is_host_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr(".-_", c));
}

/* A name, an IPv4 address, or an IPv6 address in brackets. Returns its length, 0 if it is none. */
static size_t host_len(struct str text) {
    size_t len = 0;
    if (text.len && text.at[0] == '[') {
        size_t end = str_find(text, ']');
        for (size_t i = 1; i < end; i++)
            if (!strchr("0123456789abcdefABCDEF:.", text.at[i]))
                return 0;
        return end < text.len && end >= 3 ? end + 1 : 0;
    }
    while (len < text.len && is_host_char(text.at[len]))
        len++;
    return len;
}

static bool is_port(struct str text, uint64_t *ret_port) {
    return str_to_u64(text, ret_port) && *ret_port >= 1 && *ret_port <= 65535;
}

int s3_endpoint_parse(struct str text, struct s3_endpoint *ret_endpoint, struct err *err) {
    bool is_tls = str_starts(text, STR("https://"));
    if (!is_tls && !str_starts(text, STR("http://")))
        return err_set(err, ERR_INVALID, "\"%.*s\" begins neither with http:// nor with https://",
                       STR_ARG(text));
    struct str rest = str_skip(text, is_tls ? 8 : 7);
    if (rest.len && rest.at[rest.len - 1] == '/')
        rest.len--;
    if (str_find(rest, '@') < rest.len)
        return err_set(err, ERR_INVALID,
                       "keys go into access_key_id and secret_access_key, not "
                       "into the address");
    size_t host = host_len(rest);
    if (!host)
        return err_set(err, ERR_INVALID, "\"%.*s\" has no host", STR_ARG(text));
    struct str tail = str_skip(rest, host);
    uint64_t port = 0;
    if (tail.len && (tail.at[0] != ':' || !is_port(str_skip(tail, 1), &port)))
        return err_set(err, ERR_INVALID,
                       "http(s)://host[:port] is wanted, and \"%.*s\" goes on with \"%.*s\"",
                       STR_ARG(text), STR_ARG(tail));
    if (port == (is_tls ? 443 : 80))
        rest.len = host;
    *ret_endpoint = (struct s3_endpoint){is_tls, rest};
    return 0;
}

bool s3_region_valid(struct str region) {
    if (region.len < 1 || region.len > 32)
        return false;
    for (size_t i = 0; i < region.len; i++) {
        char c = region.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return true;
}

void s3_address_host(struct buf *out, struct str authority, struct str bucket, bool path_style) {
    if (!path_style)
        buf_printf(out, "%.*s.", STR_ARG(bucket));
    buf_add_str(out, authority);
}

void s3_address_path(struct buf *out, struct str bucket, struct str key, bool path_style) {
    if (path_style)
        buf_printf(out, "/%.*s", STR_ARG(bucket));
    buf_add_u8(out, '/');
    http_percent_encode(out, key, true);
}

static bool ends_with(struct str text, struct str end) {
    return text.len >= end.len && str_eq(str_skip(text, text.len - end.len), end);
}

void s3_address_for_region(struct buf *out, struct str authority, struct str region) {
    bool is_aws = str_starts(authority, STR("s3")) && ends_with(authority, STR(".amazonaws.com"));
    if (is_aws)
        buf_printf(out, "s3.%.*s.amazonaws.com", STR_ARG(region));
    else
        buf_add_str(out, authority);
}
