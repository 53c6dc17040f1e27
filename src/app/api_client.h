/*
 * Calls of a running Weir's api listener, for commands: each waits for its answer. Requests are
 * signed (SigV4, for the service "weir") when there is a key.
 */
#ifndef APP_API_CLIENT_H
#define APP_API_CLIENT_H

#include "base/buf.h"
#include "base/err.h"

struct api_client {
    char *url;                                                        /* "http://127.0.0.1:4566" */
    char *ca_path;                                                    /* NULL: the system's */
    char *region, *access_key_id, *secret_access_key, *session_token; /* NULL: unsigned */
};

/*
 * Where to find it: at `url` with the keys of the environment (AWS_ACCESS_KEY_ID and its kin), or as
 * the configuration file at `config_path` says; with neither, http://127.0.0.1:4566.
 */
int api_client_init(struct api_client *client, const char *config_path, const char *url,
                    const char *ca_path, struct err *err);
void api_client_done(struct api_client *client);

/* `target` is path and query, encoded. The body goes to `ret_body`. An answer that tells of an error
 * is one here too, with its message. */
int api_client_call(const struct api_client *client, const char *method, const char *target,
                    struct buf *ret_body, struct err *err);

/* GET, of an answer that goes on: each piece as it comes; false ends it. */
int api_client_follow(const struct api_client *client, const char *target,
                      bool (*on_bytes)(void *data, struct str bytes), void *data, struct err *err);

#endif
