/* What can be said about a call before the first message. */
#include "rule/plan_state.h"

#include "flow/arn.h"

/* The scheme of encode() and decode() must be written out: only base64. */
static int check_scheme(struct planner *planner, const struct ast_node *node) {
    const struct ast_node *scheme = node->count >= 2 ? node->first->next : NULL;
    if (!scheme)
        return 0;
    if (scheme->kind != AST_STRING)
        return PLAN_FAIL(planner, scheme->at, ERR_INVALID,
                         "the scheme of %.*s() must be a string that stands here",
                         STR_ARG(node->text));
    if (str_eq(scheme->text, STR("base64")))
        return 0;
    return PLAN_FAIL(planner, scheme->at, ERR_UNSUPPORTED,
                     "%.*s() knows the scheme 'base64' only, not '%.*s'", STR_ARG(node->text),
                     STR_ARG(scheme->text));
}

/* AWS reads the mode before it evaluates anything. */
static int check_mode(struct planner *planner, const struct ast_node *node) {
    if (node->first && node->first->kind == AST_VARIABLE)
        return PLAN_FAIL(planner, node->first->at, ERR_INVALID,
                         "the mode of transform() cannot be a variable");
    return 0;
}

/* Nor may the ARN of a role, the last argument, be one. */
static int check_role(struct planner *planner, const struct ast_node *node) {
    const struct ast_node *role = node->first;
    while (role && role->next)
        role = role->next;
    if (role && role->kind == AST_VARIABLE)
        return PLAN_FAIL(planner, role->at, ERR_INVALID, "the role of %.*s() cannot be a variable",
                         STR_ARG(node->text));
    return 0;
}

/* There are no thing groups to be listed. */
static int check_registry_api(struct planner *planner, const struct ast_node *node) {
    const struct ast_node *api = node->first;
    if (!api || api->kind != AST_STRING)
        return PLAN_FAIL(planner, api ? api->at : node->at, ERR_INVALID,
                         "the API of %.*s() must be a string that stands here",
                         STR_ARG(node->text));
    if (str_eq(api->text, STR("DescribeThing")))
        return check_role(planner, node);
    return PLAN_FAIL(planner, api->at, ERR_UNSUPPORTED,
                     "%.*s() knows 'DescribeThing' only, not '%.*s'", STR_ARG(node->text),
                     STR_ARG(api->text));
}

/* What is called is a text: one that stands there, or what an expression makes. */
static int check_callee(struct planner *planner, const struct ast_node *node) {
    const struct ast_node *callee = node->first;
    if (node->count != 2)
        return 0;
    bool named = callee->kind == AST_STRING && arn_function_name(callee->text).len;
    bool made = callee->kind == AST_NAME || callee->kind == AST_VARIABLE ||
                callee->kind == AST_MEMBER || callee->kind == AST_INDEX ||
                callee->kind == AST_ADD || callee->kind == AST_CALL || callee->kind == AST_CAST ||
                callee->kind == AST_CASE;
    return named || made ? 0
                         : PLAN_FAIL(planner, callee->at, ERR_INVALID,
                                     "the function of %.*s() must be its ARN or its name",
                                     STR_ARG(node->text));
}

int rule_plan_check_call(struct planner *planner, const struct ast_node *node,
                         const struct function *function) {
    if (!function) {
        const char *nearest = rule_function_nearest(node->text);
        return PLAN_FAIL(planner, node->at, ERR_INVALID, "there is no function %.*s()%s%s%s",
                         STR_ARG(node->text), nearest ? "; did you mean " : "",
                         nearest ? nearest : "", nearest ? "()?" : "");
    }
    if (!function->call)
        return PLAN_FAIL(planner, node->at, ERR_UNSUPPORTED,
                         "%s() is not available yet: it needs %s", function->name,
                         function->missing);
    if (planner->version < function->since)
        return PLAN_FAIL(planner, node->at, ERR_INVALID, "%s() needs sql_version 2016-03-23",
                         function->name);
    if (node->count > FUNCTION_ARGS_MAX)
        return PLAN_FAIL(planner, node->at, ERR_INVALID, "more than %d arguments",
                         FUNCTION_ARGS_MAX);
    if (function->call == rule_function_get_secret ||
        function->call == rule_function_get_thing_shadow)
        return check_role(planner, node);
    bool coder = function->call == rule_function_encode || function->call == rule_function_decode;
    if (function->call == rule_function_transform)
        return check_mode(planner, node);
    if (function->call == rule_function_get_registry_data)
        return check_registry_api(planner, node);
    if (function->call == rule_function_aws_lambda)
        return check_callee(planner, node);
    return coder ? check_scheme(planner, node) : 0;
}
