/* The parts of the Runtime API that need no environment: what a request is for, and what an error
 * type may be. */
#ifndef FUNCTION_RUNTIME_API_H
#define FUNCTION_RUNTIME_API_H

#include "base/str.h"

enum function_route_kind {
    FUNCTION_ROUTE_NONE,
    FUNCTION_ROUTE_PING,
    FUNCTION_ROUTE_NEXT,
    FUNCTION_ROUTE_RESPONSE,
    FUNCTION_ROUTE_ERROR,
    FUNCTION_ROUTE_INIT_ERROR,
};

struct function_route {
    enum function_route_kind kind;
    struct str request_id; /* of response and error: a view into the path, as it came */
};

struct function_route function_route_of(struct str method, struct str path);

/*
 * Error types are for logs and metrics. One that is not "Runtime." or "Function." and a name of
 * letters that begins with a capital becomes `unknown`, so that a peer cannot put anything else
 * there.
 */
enum { FUNCTION_ERROR_TYPE_CHARS = 64 };
void function_error_type_clean(struct str type, const char *unknown,
                               char ret_type[FUNCTION_ERROR_TYPE_CHARS]);

#endif
