/* The header values that a peer chooses and this folder reads: Host, Origin, Accept-Encoding,
 * If-None-Match, one per line of the input. */
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "web/guard.h"
#include "web/page.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

/* A copy of its own size, so that reading beyond it is seen. */
static struct str take_line(struct str *rest) {
    struct str line = str_cut(*rest, '\n', rest);
    return str_from(line.len ? xmemdup(line.at, line.len) : NULL, line.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    static const char *names[] = {"weir.example.org"};
    const struct option_strings hosts = {names, 1};
    struct str rest = str_from(at, len);
    struct str host = take_line(&rest), origin = take_line(&rest);
    struct str encoding = take_line(&rest), tags = take_line(&rest);
    if (web_guard_host(host, true, &hosts))
        ASSERT(web_guard_host(host, false, &hosts));
    if (web_guard_origin(origin, host, &hosts) && origin.len)
        ASSERT(str_starts(origin, STR("http")));
    web_page_takes_gzip(encoding);
    web_page_matches(tags, "2ad4a3af14692355486dcc4cf4de851e");
    free((char *)host.at);
    free((char *)origin.at);
    free((char *)encoding.at);
    free((char *)tags.at);
    return 0;
}
