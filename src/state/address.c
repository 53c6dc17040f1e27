#include "state/address.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/http.h"

enum { PORT_DEFAULT = 6379, DATABASE_MAX = 1 << 20 };

static int decode(struct str text, char **ret_text) {
    struct buf out = {0};
    int code = http_percent_decode(text, &out) ? 0 : ERR_INVALID;
    struct str decoded = buf_str(&out);
    if (memchr(decoded.len ? decoded.at : "", 0, decoded.len))
        code = ERR_INVALID;
    if (!code && decoded.len)
        *ret_text = str_dup(decoded);
    buf_done(&out);
    return code;
}

/* `user:password`, `:password`, or a lone password as older clients write it. */
static int parse_user_info(struct state_address *address, struct str info, struct err *err) {
    struct str password = info, user = {0};
    if (memchr(info.at, ':', info.len))
        user = str_cut(info, ':', &password);
    int code = decode(user, &address->user);
    if (!code)
        code = decode(password, &address->password);
    return code ? err_set(err, code, "the user or the password is badly percent-encoded") : 0;
}

static int parse_port(struct state_address *address, struct str text, struct err *err) {
    uint64_t port;
    if (!str_to_u64(text, &port) || port == 0 || port > UINT16_MAX)
        return err_set(err, ERR_INVALID, "the port must be a number from 1 to 65535");
    address->port = (uint16_t)port;
    return 0;
}

/* `host`, `host:port`, `[v6]`, `[v6]:port`. */
static int parse_host(struct state_address *address, struct str text, struct err *err) {
    struct str host = text, rest = {0};
    bool is_v6 = str_starts(text, STR("["));
    if (is_v6)
        host = str_cut(str_skip(text, 1), ']', &rest);
    else
        host.len = str_find(text, ':');
    if (!is_v6)
        rest = str_skip(text, host.len);
    if (!host.len || (is_v6 && host.len + 1 == text.len))
        return err_set(err, ERR_INVALID, "the host is missing or its bracket is not closed");
    if (rest.len && rest.at[0] != ':')
        return err_set(err, ERR_INVALID, "a colon and the port must follow the host");
    address->host = str_dup(host);
    int code = rest.len ? parse_port(address, str_skip(rest, 1), err) : 0;
    address->place = xprintf(is_v6 ? "[%s]:%u" : "%s:%u", address->host, address->port);
    return code;
}

static int parse_database(struct state_address *address, struct str text, struct err *err) {
    uint64_t database;
    if (!text.len)
        return 0;
    if (!str_to_u64(text, &database) || database > DATABASE_MAX)
        return err_set(err, ERR_INVALID, "the number of a database must follow the slash");
    address->database = (unsigned)database;
    return 0;
}

static int parse_tcp(struct state_address *address, struct str rest, struct err *err) {
    struct str database, authority = str_cut(rest, '/', &database);
    const char *at = authority.len ? memrchr(authority.at, '@', authority.len) : NULL;
    int code = 0;
    if (at) {
        struct str info = str_from(authority.at, (size_t)(at - authority.at));
        code = parse_user_info(address, info, err);
        authority = str_skip(authority, info.len + 1);
    }
    if (!code)
        code = parse_host(address, authority, err);
    if (!code)
        code = parse_database(address, database, err);
    return code;
}

static int parse_unix(struct state_address *address, struct str path, struct err *err) {
    if (!str_starts(path, STR("/")))
        return err_set(err, ERR_INVALID, "an absolute path must follow unix://");
    if (path.len >= sizeof((struct sockaddr_un *)NULL)->sun_path)
        return err_set(err, ERR_TOO_LARGE, "the path of a socket has at most %zu bytes",
                       sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
    *address = state_address_unix(path.at);
    return 0;
}

struct state_address state_address_unix(const char *path) {
    return (struct state_address){.path = xstrdup(path), .place = xstrdup(path)};
}

int state_address_parse(const char *url, struct state_address *ret_address, struct err *err) {
    struct state_address address = {.port = PORT_DEFAULT};
    struct str text = str_of(url);
    int code;
    if (str_starts(text, STR("redis://")))
        code = parse_tcp(&address, str_skip(text, 8), err);
    else if (str_starts(text, STR("unix://")))
        code = parse_unix(&address, str_skip(text, 7), err);
    else if (str_starts(text, STR("rediss://")))
        code = err_set(err, ERR_UNSUPPORTED, "Redis over TLS is not part of this version");
    else
        code = err_set(err, ERR_INVALID,
                       "redis://[user:password@]host:port[/database] or unix:///path is wanted");
    if (code)
        state_address_done(&address);
    else
        *ret_address = address;
    return code;
}

void state_address_done(struct state_address *address) {
    free(address->path);
    free(address->host);
    free(address->user);
    free(address->password);
    free(address->place);
    *address = (struct state_address){0};
}
