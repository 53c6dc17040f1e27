/* The functions that a rule calls (aws_lambda()), looked at when it is made. */
#ifndef RULE_CALLEE_H
#define RULE_CALLEE_H

#include "rule/set.h"

/*
 * `rule` is compiled but for this; `in_error_action` is the first call that its error action's templates
 * make, or NULL. Makes the rule's log if it calls any function. INVALID for a function that does
 * not exist and for a call that cannot be where it is, DENIED for what the rule's role forbids.
 */
int rule_callees_compile(struct rule *rule, const struct rule_config *config,
                         const struct rule_surroundings *surroundings,
                         const struct plan_use *in_error_action, struct err *err);

#endif
