/* Rules that call functions: what the service's rule engine does for their log (action/action.h). */
#ifndef APP_STATEMENTS_H
#define APP_STATEMENTS_H

#include "action/action.h"

/* `data` is the struct service. */
extern const struct action_statements service_statements;

#endif
