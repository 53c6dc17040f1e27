/*
 * The proof that who owns a URL wants messages there (AWS IoT Core Developer Guide, "Working with HTTP
 * action destinations"): a token is posted to the confirmation URL, and comes back by way of the
 * enable URL, /confirmdestination/TOKEN. Until then nothing is sent. What was confirmed is kept in the
 * table "destination" (docs/formats/facts.md). Embedded in a target; belongs to its loop.
 */
#ifndef ACTION_DESTINATION_H
#define ACTION_DESTINATION_H

#include "action/target.h"

enum { DESTINATION_TOKEN_CHARS = 64, DESTINATION_ASK_MS = 60 * 1000 };

struct destination {
    struct loop *loop;
    const struct action_services *services;
    const char *url;
    const char *ca_path;
    bool is_enabled;
    uint64_t ask_again_ms;
    struct http_call *call;
    struct buf body;
    char why[200];
};

void destination_init(struct destination *destination, struct loop *loop,
                      const struct action_services *services, const char *url, const char *ca_path);

/* Whether it is confirmed. If not, asks for it, at most once in DESTINATION_ASK_MS; `why` says how that
 * stands. */
bool destination_check(struct destination *destination);

/* The token of a destination that waits, or of one that is confirmed already. NOT_FOUND. */
int destination_confirm(struct facts *facts, struct str token);

void destination_done(struct destination *destination);

#endif
