/* Actions that reach outside (flow/action.h), from the configuration to the rule set. */
#ifndef RULE_OUTSIDE_H
#define RULE_OUTSIDE_H

#include "rule/set.h"

struct rule_outside {
    struct arena *arena;                    /* of the set */
    const struct action_kind *const *kinds; /* NULL-terminated, or NULL */
    const struct plan *plan;
    const char *rule;
    const char *number; /* "1", "2", "error" */
    bool is_error_action, has_error_action;
};

/* `conf` is a map of one key, the kind. INVALID, UNSUPPORTED. */
int rule_outside_compile(const struct rule_outside *outside, const struct conf *conf,
                         struct rule_action *action, struct err *err);

/* Fills set->actions. */
void rule_outside_collect(struct rule_set *set);

#endif
