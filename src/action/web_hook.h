/* The action `http`: its settings, and one request of it. */
#ifndef ACTION_WEB_HOOK_H
#define ACTION_WEB_HOOK_H

#include "action/target.h"

struct web_hook_header {
    struct option_head head;
    const char *key, *value;
};

struct web_hook_sigv4 {
    struct option_head head; /* head.conf NULL: none */
    const char *signing_region, *service_name;
    const char *access_key_id, *secret_access_key, *session_token;
};

struct web_hook_auth {
    struct option_head head;
    struct web_hook_sigv4 sigv4;
};

struct web_hook_batch {
    struct option_head head;
    int64_t open_ms_max, count_max, bytes_max;
    bool across_topics;
};

struct web_hook_settings {
    struct action_settings common;
    const char *url, *confirmation_url; /* templates */
    struct option_items headers;        /* struct web_hook_header */
    struct web_hook_auth auth;
    bool enable_batching;
    struct web_hook_batch batch;
    int64_t timeout_ms, in_flight_max;
    const char *ca_path;
};

extern const struct option web_hook_options[];
int web_hook_check(const void *settings, struct err *err);

/* Parameters are "url", "confirmation_url" if that is a template, and, per header whose value is a
 * template, "header.KEY"; a header without one is taken from the settings, so that secrets stay out
 * of the log. */
void web_hook_templates(const void *settings, struct action_templates *templates);

/* Where the owner of `record`'s URL is asked; empty: nowhere, it is posted to because the file says
 * so. Rules of clients ask at the URL itself unless they say where (AWS). */
struct str web_hook_confirmation(const struct web_hook_settings *settings,
                                 const struct action_record *record);
/* Whether messages may wait for that owner, who is asked by themselves: of the file alone, and not
 * at addresses that messages make up. */
bool web_hook_may_ask(const struct web_hook_settings *settings);

/* "https://host:port/path?query" in its parts. False: no such URL, or one with user or spaces. */
struct web_hook_url {
    struct str authority, path, query; /* of the path at least "/" */
};
bool web_hook_url_read(struct str url, struct web_hook_url *ret_url);

/* Whether `url` begins with `confirmation`, at the same host ("https://host" could go on with
 * another one), and does not climb out of it again by way of "..": templates have values that
 * publishers choose. */
bool web_hook_is_below(struct str url, struct str confirmation);

/* One request, built for curl. Texts live in the arena. */
enum { WEB_HOOK_HEADERS_MAX = 112 };
struct web_hook_request {
    struct str url, body;
    struct http_header headers[WEB_HOOK_HEADERS_MAX];
    size_t header_count;
};

/*
 * Writes headers (Content-Type, those of the settings with the values of `record`, authorization at
 * `wall_ms`) for a request whose url and body are set.
 */
void web_hook_headers(struct arena *arena, const struct web_hook_settings *settings,
                      const struct action_record *record, bool is_json, uint64_t wall_ms,
                      struct web_hook_request *request);

#endif
