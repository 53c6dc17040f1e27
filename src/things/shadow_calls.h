/*
 * Changes of shadows by HTTP that wait for their batch, in the order in which they came. Belongs to the
 * runner and its loop.
 */
#ifndef THINGS_SHADOW_CALLS_H
#define THINGS_SHADOW_CALLS_H

#include "base/list.h"
#include "http/rest.h"
#include "things/shadow_request.h"

/* Beyond it a call ends with ThrottlingException. */
enum { SHADOW_CALLS_MAX = 4096 };

/* In its call's arena. */
struct shadow_call {
    struct link link;
    struct shadow_request request;
    struct rest_call *call;
};

struct shadow_calls {
    struct link waiting; /* struct shadow_call */
    unsigned count;
    bool is_closed;
};

void shadow_calls_init(struct shadow_calls *calls);

/* False: it has ended at once; NULL takes none. `thing` and `shadow` live as long as the call, whose
 * request is there. */
bool shadow_calls_add(struct shadow_calls *calls, struct rest_call *call,
                      enum shadow_operation operation, struct str thing, struct str shadow);

/* The first, or NULL. */
struct shadow_call *shadow_calls_pop(struct shadow_calls *calls);

/* One that was popped and not applied waits for the next batch, before all others. */
void shadow_calls_put_back(struct shadow_calls *calls, struct rest_call *call);

/* Ends all that wait, and what is added or put back from now on. */
void shadow_calls_close(struct shadow_calls *calls);

/* Ends one with its answer or, by a `code` that is not 0, with an error as the REST service of AWS IoT
 * tells it. */
void shadow_call_end(struct rest_call *call, int code, const char *message, struct str answer);

#endif
