/* Actions that reach outside (flow/action.h), from the configuration to the rule set. */
#ifndef RULE_OUTSIDE_H
#define RULE_OUTSIDE_H

#include "rule/set.h"

struct rule_outside {
    struct rule *rule;                      /* name, arena and plan are there */
    const struct action_kind *const *kinds; /* NULL-terminated, or NULL */
    const char *number;                     /* "1", "2", "error" */
    bool is_error_action, has_error_action;
    bool from_client; /* keys are AWS's */
};

/* `conf` is a map of one key, the kind. *ret_role is the role that the action names, or NULL. INVALID,
 * UNSUPPORTED. */
int rule_outside_compile(const struct rule_outside *outside, const struct conf *conf,
                         struct rule_action *action, const char **ret_role, struct err *err);

/* The log of a rule that calls functions, in the rule's arena: "RULE-0-statement". `conf` is the
 * rule's. NULL if there is no such kind. */
const struct action_spec *rule_outside_statement(struct rule *rule,
                                                 const struct action_kind *const *kinds,
                                                 const struct conf *conf, struct err *err);

/* Whether the role lets it touch what `params` say: 0, or DENIED with a sentence. */
int rule_outside_permit(const struct rule *rule, const struct rule_action *action,
                        const struct action_params *params, struct err *why);

/* Fills set->actions. */
void rule_outside_collect(struct rule_set *set);

/* NULL: there is none of that name. */
const struct action_kind *rule_outside_kind(const struct action_kind *const *kinds,
                                            const char *name);

#endif
