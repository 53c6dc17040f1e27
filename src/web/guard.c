/*
 * A listener on loopback is open to whoever sits at this machine, and so is their browser, in which
 * pages of other sites run. Two doors that such a page could use:
 *
 * Cross-site WebSocket hijacking. The same-origin policy does not hold for WebSockets: any page may
 * open ws://127.0.0.1:8080/mqtt and publish. But the browser says in Origin whose page it is. So a
 * WebSocket is opened only when Origin is absent (a program, not a browser) or its host and port are
 * those of Host, that is, of the address that this page itself came from.
 *
 * DNS rebinding. A page of evil.example waits until that name means 127.0.0.1; then its requests
 * come here, and Origin and Host agree. What they cannot do is agree on a name that is ours: a
 * loopback listener answers to localhost, to names below it (RFC 6761 section 6.3: they never leave
 * the machine), and to bare addresses, which no DNS answer can fake. Beyond loopback the operator
 * has chosen who may come, and names are what they should be.
 *
 * A reverse proxy on this machine passes a public name on, in Host or only in Origin: the operator
 * lists it under `hosts`.
 */
#include "web/guard.h"

#include <arpa/inet.h>
#include <string.h>

/* "name:8080" -> "name", "[::1]:8080" -> "[::1]"; empty when something else follows the bracket. */
static struct str without_port(struct str host) {
    if (!str_starts(host, STR("[")))
        return str_from(host.at, str_find(host, ':'));
    struct str rest, inner = str_cut(host, ']', &rest);
    bool is_whole = inner.len + 1 <= host.len && (!rest.len || rest.at[0] == ':');
    return is_whole ? str_from(host.at, inner.len + 1) : (struct str){0};
}

static bool is_address(struct str name) {
    char text[INET6_ADDRSTRLEN + 1];
    unsigned char address[sizeof(struct in6_addr)];
    if (name.len == 0 || name.len >= sizeof text)
        return false;
    bool is_v6 = name.at[0] == '[' && name.at[name.len - 1] == ']';
    if (is_v6)
        name = str_from(name.at + 1, name.len - 2);
    memcpy(text, name.at, name.len);
    text[name.len] = 0;
    return inet_pton(is_v6 ? AF_INET6 : AF_INET, text, address) == 1;
}

static bool is_localhost(struct str name) {
    struct str last = STR("localhost");
    if (name.len < last.len)
        return false;
    struct str end = str_skip(name, name.len - last.len);
    return str_eq_nocase(end, last) && (end.at == name.at || end.at[-1] == '.');
}

static bool is_listed(struct str name, const struct option_strings *hosts) {
    for (size_t i = 0; i < hosts->count; i++)
        if (str_eq_nocase(name, str_of(hosts->items[i])))
            return true;
    return false;
}

/* Without Host it is HTTP/1.0, which no browser speaks any more. */
bool web_guard_host(struct str host, bool is_loopback, const struct option_strings *hosts) {
    struct str name = without_port(host);
    return !is_loopback || host.len == 0 || is_address(name) || is_localhost(name) ||
           is_listed(name, hosts);
}

/* Both leave the port out when it is the scheme's own. */
bool web_guard_origin(struct str origin, struct str host, const struct option_strings *hosts) {
    if (!origin.at)
        return true;
    struct str rest = origin;
    if (str_starts(origin, STR("http://")))
        rest = str_skip(origin, 7);
    else if (str_starts(origin, STR("https://")))
        rest = str_skip(origin, 8);
    else
        return false;
    return (rest.len && str_eq_nocase(rest, host)) || is_listed(without_port(rest), hosts);
}
