/* One event on its way through a function, embedded in whoever waits for its result. */
#ifndef FUNCTION_INVOCATION_H
#define FUNCTION_INVOCATION_H

#include "base/buf.h"
#include "base/list.h"
#include "base/random.h"
#include "function/function.h"

struct function_invocation {
    struct link link;                /* in the pool's queue until it is given to an environment */
    char request_id[UUID_CHARS + 1]; /* new for each attempt */
    struct str event;                /* borrowed until on_result */
    void (*on_begin)(struct function_invocation *invocation); /* an environment gets it; or NULL */
    /* Once, never before the submitting call returns. The invocation is the owner's again, who may
     * submit it anew at once; `result` is valid during the call. */
    void (*on_result)(struct function_invocation *invocation, const struct function_result *result);
};

/* Appends {"errorType":...,"errorMessage":"RequestId: ID Error: ..."}, the document of failures
 * that the host and not the function reports. */
void function_error_document(struct buf *out, const char *request_id, const char *error_type,
                             const char *message);

#endif
