/*
 * The environment variables of a function's process (AWS Lambda developer guide, "Defined runtime
 * environment variables"; the set of the provided runtimes).
 *
 * Later ones win: what is inherited (PATH, HOME, TMPDIR, LD_LIBRARY_PATH, nothing else), what the
 * host gives by default (region, time zone, placeholder credentials, ...), default_environment, the
 * function's own, and what the host alone may say (AWS_LAMBDA_*, _HANDLER, ...).
 *
 * The credentials are placeholders, so that an SDK against Weir's own endpoints signs at all; a
 * function that talks with AWS sets its own.
 */
#ifndef FUNCTION_VARIABLES_H
#define FUNCTION_VARIABLES_H

#include "function/function.h"

struct function_variables {
    char **items; /* "NAME=value", NULL-terminated */
    size_t count, cap;
};

void function_variables_fill(struct function_variables *variables,
                             const struct function_host_config *host,
                             const struct function_config *config, const char *api_address);
void function_variables_done(struct function_variables *variables);

#endif
