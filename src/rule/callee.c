#include "rule/callee.h"

#include <stdio.h>

#include "flow/arn.h"
#include "rule/calls.h"
#include "rule/lexer.h"
#include "rule/outside.h"

struct callees {
    struct rule *rule;
    const struct rule_config *config;
    const struct rule_surroundings *surroundings;
    struct err *err;
};

/* "weir.yaml:3:9: rule r: sql 1:19: ..." */
static int fail(const struct callees *callees, const struct plan_use *use, int code,
                const char *why) {
    const struct conf *conf = callees->config->head.conf;
    const struct conf *sql = conf_get(conf, "sql");
    struct err inner;
    rule_sql_error(use->sql, use->at, &inner, code, "%s", why);
    return conf_error(sql && !use->in_template ? sql : conf, callees->err, code, "rule %.*s: %s %s",
                      STR_ARG(callees->rule->name), use->in_template ? "template" : "sql",
                      inner.text);
}

/* A client's role for actions says nothing of functions; that of a rule of the file does. */
static int find_role(const struct callees *callees, const struct plan_use *use) {
    struct rule *rule = callees->rule;
    const char *name = callees->config->role;
    if (!name || (callees->config->from_client && rule_roles_absent(rule->roles)))
        return 0;
    rule->function_role = rule_roles_find(rule->roles, name);
    rule->function_role_name = arena_strdup(&rule->arena, str_of(name));
    return rule->function_role ? 0 : fail(callees, use, ERR_INVALID, "there is no such role");
}

/* What is made for each message is looked at then. */
static int check_use(const struct callees *callees, const struct plan_use *use) {
    struct str name = arn_function_name(use->function);
    struct err why;
    if (!name.len)
        return 0;
    if (!rule_functions_has(callees->surroundings->functions, name)) {
        err_set(&why, ERR_INVALID, "there is no function \"%.*s\"", STR_ARG(name));
        return fail(callees, use, ERR_INVALID, why.text);
    }
    int code = rule_function_permit(callees->rule, name, &why);
    return code ? fail(callees, use, code, why.text) : 0;
}

static int check_uses(const struct callees *callees) {
    const struct plan_use *use = callees->rule->plan->uses->first;
    int code = find_role(callees, use);
    for (; use && !code; use = use->next) {
        code = check_use(callees, use);
        callees->rule->asks_in_templates |= use->in_template;
    }
    return code;
}

int rule_callees_compile(struct rule *rule, const struct rule_config *config,
                         const struct rule_surroundings *surroundings,
                         const struct plan_use *in_error_action, struct err *err) {
    struct callees callees = {rule, config, surroundings, err};
    const struct plan_use *first = rule->plan->uses->first;
    rule->plan->uses->end = NULL;
    if (!first)
        return 0;
    if (in_error_action)
        return fail(&callees, in_error_action, ERR_INVALID,
                    "an error action must not call a function, which may have failed");
    int code = check_uses(&callees);
    if (code)
        return code;
    rule->statement = rule_outside_statement(rule, surroundings->kinds, config->head.conf, err);
    return rule->statement ? 0
                           : fail(&callees, first, ERR_UNSUPPORTED,
                                  "functions cannot be called from rules here");
}
