/* What the configuration says beyond what its tables check by themselves. */
#ifndef FUNCTION_SETTINGS_H
#define FUNCTION_SETTINGS_H

#include "function/function.h"

/* Milliseconds since 1970 from RFC 3339 ("2026-11-23T06:15:00.5+01:00") or epoch seconds with an
 * optional fraction. INVALID otherwise; what is finer than a millisecond is cut. */
int function_timestamp_parse(struct str text, uint64_t *ret_ms);

/* Name, and variables that the host alone may set (AWS Lambda developer guide, "Reserved
 * environment variables"). Errors stand at the place in the file. */
int function_config_check(const struct function_config *config, struct err *err);

/* Position and response types; `ret_position` is where a mapping without a checkpoint begins. */
int function_mapping_config_check(const struct function_mapping_config *config,
                                  struct stream_position *ret_position, bool *ret_reports_failures,
                                  struct err *err);

#endif
