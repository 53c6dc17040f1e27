/*
 * Calls of the api listener of a running Weir, for the subcommands: blocking, signed if there is a key, the
 * answer handed on as it comes.
 */
#ifndef APP_API_CALL_H
#define APP_API_CALL_H

#include "base/buf.h"
#include "base/err.h"

struct api_target {
    char *url;                                        /* "http://127.0.0.1:4566" */
    char *access_key_id, *secret_access_key, *region; /* keys may be NULL: not signed */
};

/*
 * Where Weir is: at `url`, or where the configuration file says, or (both NULL) at http://127.0.0.1:4566.
 * The key is that of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else the file's first.
 */
int api_target_find(const char *url, const char *config_path, struct api_target *ret_target,
                    struct err *err);
void api_target_done(struct api_target *target);

struct api_call {
    const struct api_target *target;
    const char *method;
    const char *path; /* encoded, with the query */
    struct str body;
    /* Each piece of an answer with status 200; false ends the call. NULL: the answer goes to `answer`. */
    bool (*on_bytes)(void *data, struct str bytes);
    void *data;
    struct buf answer;
};

/* 0; IO: Weir cannot be reached; REFUSED: another status, with the message of the answer. */
int api_call(struct api_call *call, struct err *err);

#endif
