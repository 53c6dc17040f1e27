/* Whether every stream, delivery stream and bucket that a rule names exists: an engine is made against
 * names instead of sinks. */
#ifndef APP_TARGETS_H
#define APP_TARGETS_H

#include "app/config.h"

/* NOT_FOUND, naming rule, action and target. */
int targets_check(const struct config *config, struct err *err);

#endif
