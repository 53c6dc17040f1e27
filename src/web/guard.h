/* Which requests a browser may make here; see guard.c for what it is that is kept out. */
#ifndef WEB_GUARD_H
#define WEB_GUARD_H

#include <stdbool.h>

#include "base/option.h"
#include "base/str.h"

/* Whether a request with this Host may be answered at all. `hosts`: the names that the operator has
 * given, without ports. */
bool web_guard_host(struct str host, bool is_loopback, const struct option_strings *hosts);

/* Whether a WebSocket may be opened: `origin` is empty (no browser), or names the same host and port
 * as `host`, or one of `hosts`. */
bool web_guard_origin(struct str origin, struct str host, const struct option_strings *hosts);

#endif
