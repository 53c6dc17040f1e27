/* What the planner's files share. */
#ifndef RULE_PLAN_STATE_H
#define RULE_PLAN_STATE_H

#include "rule/lexer.h"
#include "rule/plan.h"

struct planner {
    struct arena *arena;
    struct str sql;
    enum rule_version version;
    struct err *err;
    const struct plan *plan; /* for its variables */
    bool nested;             /* inside a nested query */
    bool in_template;
};

/* Tells what is wrong with the SQL `at` its place; gives the code. */
#define PLAN_FAIL(planner, at, code, ...)                                                          \
    rule_sql_error((planner)->sql, (at), (planner)->err, (code), __VA_ARGS__)

/* That there is such a function, that the version has it, and that the arguments which must be written
 * out are. `function` is NULL if there is none of that name. */
int rule_plan_check_call(struct planner *planner, const struct ast_node *node,
                         const struct function *function);

#endif
