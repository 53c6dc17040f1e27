/*
 * From the tree as written to the tree that runs. Everything that can be said about a statement
 * before the first message is said here, with its place in the SQL: unknown functions and
 * variables, what the version has not, what would have no name in the output, and what Weir cannot
 * evaluate. What passes is evaluated as it stands.
 */
#include "rule/plan.h"

#include "base/json_write.h"
#include "base/mem.h"
#include "flow/topic.h"
#include "rule/parser.h"
#include "rule/plan_state.h"

static int plan_select(struct planner *planner, const struct ast_select *select,
                       struct plan_select *ret_select);
static int plan_node(struct planner *planner, const struct ast_node *node,
                     struct plan_expression *ret);

/* For what came with 2016-03-23. */
static int require_2016(struct planner *planner, size_t at, const char *what) {
    if (planner->version == RULE_VERSION_2016_03_23)
        return 0;
    return PLAN_FAIL(planner, at, ERR_INVALID, "%s needs sql_version 2016-03-23", what);
}

static int plan_new(struct planner *planner, const struct ast_node *node,
                    struct plan_expression **ret) {
    *ret = arena_zalloc(planner->arena, sizeof **ret);
    return plan_node(planner, node, *ret);
}

static int plan_children(struct planner *planner, const struct ast_node *node,
                         struct plan_expression *ret) {
    ret->args = arena_zalloc(planner->arena, node->count * sizeof *ret->args);
    ret->count = node->count;
    struct plan_expression *to = ret->args;
    for (const struct ast_node *child = node->first; child; child = child->next) {
        int result = plan_node(planner, child, to++);
        if (result < 0)
            return result;
    }
    return 0;
}

static int plan_constant(struct plan_expression *ret, struct value constant) {
    ret->kind = PLAN_CONSTANT;
    ret->constant = constant;
    return 0;
}

/* a.b.c: the names are collected from the last to the first; what they begin with is a field, or
 * any other expression. */
static int plan_path(struct planner *planner, const struct ast_node *node,
                     struct plan_expression *ret) {
    size_t count = 0;
    const struct ast_node *root = node;
    for (; root->kind == AST_MEMBER; root = root->first)
        count++;
    bool field = root->kind == AST_NAME;
    ret->name_count = count + field;
    ret->names = arena_alloc(planner->arena, ret->name_count * sizeof *ret->names);
    for (struct str *to = ret->names + ret->name_count; node != root; node = node->first)
        *--to = node->text;
    if (field) {
        ret->kind = PLAN_PATH;
        ret->names[0] = root->text;
        return 0;
    }
    ret->kind = PLAN_MEMBER;
    ret->count = 1;
    return plan_new(planner, root, &ret->args);
}

static int plan_variable(struct planner *planner, const struct ast_node *node,
                         struct plan_expression *ret) {
    for (size_t i = 0; i < planner->plan->variable_count; i++) {
        if (str_eq(planner->plan->variable_names[i], node->text)) {
            ret->kind = PLAN_VARIABLE;
            ret->index = i;
            return 0;
        }
    }
    return PLAN_FAIL(planner, node->at, ERR_INVALID, "no SET gives @%.*s a value before this",
                     STR_ARG(node->text));
}

static void note_use(struct planner *planner, const struct ast_node *node) {
    struct plan_uses *uses = planner->plan->uses;
    if (!uses->end)
        return;
    struct plan_use *use = arena_zalloc(planner->arena, sizeof *use);
    use->sql = planner->sql;
    use->at = node->first->at;
    use->in_template = planner->in_template;
    if (node->first->kind == AST_STRING)
        use->function = node->first->text;
    *uses->end = use;
    uses->end = &use->next;
}

/* Patterns and time zones that stand in the rule are made once. */
static void prepare_args(struct planner *planner, const struct function *function,
                         struct plan_expression *call) {
    for (size_t i = 0; i < call->count && i < FUNCTION_PREPARED_MAX; i++) {
        struct plan_expression *arg = &call->args[i];
        bool string = arg->kind == PLAN_CONSTANT && arg->constant.type == VALUE_STRING;
        if (string && function->prepare[i])
            arg->prepared =
                rule_cache_make(function->prepare[i], planner->arena, arg->constant.text, true);
    }
}

/* A call with a wrong number of arguments is Undefined in this dialect, no error. */
static int plan_call(struct planner *planner, const struct ast_node *node,
                     struct plan_expression *ret) {
    const struct function *function = rule_function_find(node->text);
    int result = rule_plan_check_call(planner, node, function);
    if (result < 0)
        return result;
    result = plan_children(planner, node, ret);
    if (result < 0)
        return result;
    if (node->count < function->args_min || node->count > function->args_max)
        return plan_constant(ret, value_undefined());
    ret->kind = PLAN_CALL;
    ret->function = function;
    prepare_args(planner, function, ret);
    if (function->call == rule_function_aws_lambda)
        note_use(planner, node);
    if (function->call == rule_function_encode && ret->args[0].kind == PLAN_STAR &&
        !planner->nested)
        ret->args[0].kind = PLAN_BYTES;
    return 0;
}

static int plan_cast(struct planner *planner, const struct ast_node *node,
                     struct plan_expression *ret) {
    static const struct {
        const char *name;
        enum value_cast type;
        enum rule_version since;
    } types[] = {
        {"string", VALUE_CAST_STRING, RULE_VERSION_2015_10_08},
        {"nvarchar", VALUE_CAST_STRING, RULE_VERSION_2015_10_08},
        {"text", VALUE_CAST_STRING, RULE_VERSION_2015_10_08},
        {"ntext", VALUE_CAST_STRING, RULE_VERSION_2015_10_08},
        {"varchar", VALUE_CAST_STRING, RULE_VERSION_2015_10_08},
        {"int", VALUE_CAST_INT, RULE_VERSION_2015_10_08},
        {"integer", VALUE_CAST_INT, RULE_VERSION_2015_10_08},
        {"double", VALUE_CAST_DOUBLE, RULE_VERSION_2015_10_08},
        {"decimal", VALUE_CAST_DECIMAL, RULE_VERSION_2016_03_23},
        {"bool", VALUE_CAST_BOOLEAN, RULE_VERSION_2016_03_23},
        {"boolean", VALUE_CAST_BOOLEAN, RULE_VERSION_2016_03_23},
    };
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (!str_eq_nocase(node->text, str_of(types[i].name)))
            continue;
        if (planner->version < types[i].since)
            return require_2016(planner, node->at, "this type in CAST");
        ret->kind = PLAN_CAST;
        ret->how = types[i].type;
        return plan_children(planner, node, ret);
    }
    return PLAN_FAIL(planner, node->at, ERR_INVALID, "there is no type %.*s to cast to",
                     STR_ARG(node->text));
}

static int plan_object(struct planner *planner, const struct ast_node *node,
                       struct plan_expression *ret) {
    int result = require_2016(planner, node->at, "an object literal");
    if (result < 0)
        return result;
    ret->kind = PLAN_OBJECT;
    ret->names = arena_alloc(planner->arena, node->count * sizeof *ret->names);
    struct str *to = ret->names;
    for (const struct ast_node *child = node->first; child; child = child->next)
        *to++ = child->key;
    return plan_children(planner, node, ret);
}

static int plan_array(struct planner *planner, const struct ast_node *node,
                      struct plan_expression *ret) {
    int result = require_2016(planner, node->at, "an array literal");
    ret->kind = PLAN_ARRAY;
    return result < 0 ? result : plan_children(planner, node, ret);
}

static int plan_query(struct planner *planner, const struct ast_node *node,
                      struct plan_expression *ret) {
    int result = require_2016(planner, node->at, "a nested query");
    if (result < 0)
        return result;
    ret->kind = node->kind == AST_QUERY ? PLAN_QUERY : PLAN_EXISTS;
    ret->query = arena_zalloc(planner->arena, sizeof *ret->query);
    ret->query->element = node->select->element;
    const struct ast_node *root = node->select->source;
    while (root->kind == AST_MEMBER || root->kind == AST_INDEX)
        root = root->first;
    if (root->kind != AST_NAME && root->kind != AST_VARIABLE)
        return PLAN_FAIL(planner, node->select->from_at, ERR_INVALID,
                         "a nested query runs over a field or a variable");
    result = plan_new(planner, node->select->source, &ret->query->source);
    if (result < 0)
        return result;
    bool nested = planner->nested;
    planner->nested = true;
    result = plan_select(planner, node->select, ret->query);
    planner->nested = nested;
    return result;
}

static int plan_operator(struct planner *planner, const struct ast_node *node, enum plan_kind kind,
                         unsigned how, struct plan_expression *ret) {
    ret->kind = kind;
    ret->how = how;
    return plan_children(planner, node, ret);
}

static int plan_number(struct planner *planner, const struct ast_node *node, struct str text,
                       struct plan_expression *ret) {
    struct value number = rule_value_read_number(planner->version, text);
    if (number.beyond)
        return PLAN_FAIL(planner, node->at, ERR_INVALID,
                         "this number is beyond the range of the dialect, 1E-999 to 9.99E999");
    return plan_constant(ret, number);
}

static int plan_negate(struct planner *planner, const struct ast_node *node,
                       struct plan_expression *ret) {
    if (node->first->kind != AST_NUMBER)
        return plan_operator(planner, node, PLAN_NEGATE, 0, ret);
    struct str digits = node->first->text;
    char *text = arena_alloc(planner->arena, 1 + digits.len);
    text[0] = '-';
    memcpy(text + 1, digits.at, digits.len);
    return plan_number(planner, node->first, str_from(text, 1 + digits.len), ret);
}

/* One line per kind of node. */
static int plan_node(struct planner *planner, const struct ast_node *node,
                     struct plan_expression *ret) {
    switch (node->kind) {
    case AST_NULL:
        return plan_constant(ret, value_null());
    case AST_TRUE:
        return plan_constant(ret, value_boolean(true));
    case AST_FALSE:
        return plan_constant(ret, value_boolean(false));
    case AST_NUMBER:
        return plan_number(planner, node, node->text, ret);
    case AST_STRING:
        return plan_constant(ret, value_string(node->text));
    case AST_STAR:
        ret->kind = PLAN_STAR;
        return 0;
    case AST_NAME:
    case AST_MEMBER:
        return plan_path(planner, node, ret);
    case AST_VARIABLE:
        return plan_variable(planner, node, ret);
    case AST_INDEX:
        return plan_operator(planner, node, PLAN_INDEX, 0, ret);
    case AST_NEGATE:
        return plan_negate(planner, node, ret);
    case AST_NOT:
        return plan_operator(planner, node, PLAN_NOT, 0, ret);
    case AST_AND:
        return plan_operator(planner, node, PLAN_AND, 0, ret);
    case AST_OR:
        return plan_operator(planner, node, PLAN_OR, 0, ret);
    case AST_EQUAL:
        return plan_operator(planner, node, PLAN_EQUAL, 0, ret);
    case AST_NOT_EQUAL:
        return plan_operator(planner, node, PLAN_NOT_EQUAL, 0, ret);
    case AST_LESS:
        return plan_operator(planner, node, PLAN_COMPARE, VALUE_LESS, ret);
    case AST_LESS_EQUAL:
        return plan_operator(planner, node, PLAN_COMPARE, VALUE_LESS_EQUAL, ret);
    case AST_GREATER:
        return plan_operator(planner, node, PLAN_COMPARE, VALUE_GREATER, ret);
    case AST_GREATER_EQUAL:
        return plan_operator(planner, node, PLAN_COMPARE, VALUE_GREATER_EQUAL, ret);
    case AST_IN:
        return plan_operator(planner, node, PLAN_IN, 0, ret);
    case AST_ADD:
        return plan_operator(planner, node, PLAN_ADD, 0, ret);
    case AST_SUBTRACT:
        return plan_operator(planner, node, PLAN_ARITHMETIC, VALUE_SUBTRACT, ret);
    case AST_MULTIPLY:
        return plan_operator(planner, node, PLAN_ARITHMETIC, VALUE_MULTIPLY, ret);
    case AST_DIVIDE:
        return plan_operator(planner, node, PLAN_ARITHMETIC, VALUE_DIVIDE, ret);
    case AST_MODULO:
        return plan_operator(planner, node, PLAN_ARITHMETIC, VALUE_MODULO, ret);
    case AST_CALL:
        return plan_call(planner, node, ret);
    case AST_CAST:
        return plan_cast(planner, node, ret);
    case AST_CASE:
        return plan_operator(planner, node, PLAN_CASE, 0, ret);
    case AST_OBJECT:
        return plan_object(planner, node, ret);
    case AST_ARRAY:
        return plan_array(planner, node, ret);
    case AST_QUERY:
    case AST_EXISTS:
        return plan_query(planner, node, ret);
    }
    return PLAN_FAIL(planner, node->at, ERR_UNSUPPORTED, "this cannot be evaluated");
}

/* --- what SELECT makes --- */

/* The key of an item without AS: the last name of a path, the name of a function. */
static bool natural_name(const struct ast_node *node, struct str *ret_name) {
    *ret_name = node->kind == AST_CAST ? STR("cast") : node->text;
    return node->kind == AST_NAME || node->kind == AST_MEMBER || node->kind == AST_CALL ||
           node->kind == AST_CAST;
}

static struct str write_key(struct arena *arena, struct str key) {
    struct buf written = {0};
    json_write_plain_string(&written, key);
    buf_add_u8(&written, ':');
    struct str copy = {arena_strdup(arena, buf_str(&written)), buf_len(&written)};
    buf_done(&written);
    return copy;
}

/* The output of that key: the one there is, or a new one at the end of the list. */
static struct plan_output *output_for(struct planner *planner, struct plan_output **list,
                                      struct str key) {
    struct plan_output *found = NULL;
    for (; *list; list = &(*list)->next) {
        /* What stands before * is overridden by it, so it is no place for what stands behind. */
        if ((*list)->star)
            found = NULL;
        else if (str_eq((*list)->key, key))
            found = *list;
    }
    if (found)
        return found;
    *list = arena_zalloc(planner->arena, sizeof **list);
    (*list)->key = key;
    (*list)->written_key = write_key(planner->arena, key);
    return *list;
}

static int add_output(struct planner *planner, struct plan_output **list, const struct str *keys,
                      size_t count, const struct ast_node *node) {
    struct plan_output *output = NULL;
    for (size_t i = 0; i < count; i++) {
        output = output_for(planner, list, keys[i]);
        /* A later item takes the place of an earlier one; below a common prefix they stand side by
         * side. */
        if (i + 1 < count)
            output->expression = NULL;
        list = &output->first;
    }
    output->first = NULL;
    return plan_new(planner, node, &output->expression);
}

static int add_star(struct planner *planner, struct plan_output **list) {
    while (*list)
        list = &(*list)->next;
    *list = arena_zalloc(planner->arena, sizeof **list);
    (*list)->star = true;
    return 0;
}

static int plan_item(struct planner *planner, const struct ast_item *item,
                     struct plan_output **outputs) {
    const struct ast_node *node = item->expression;
    struct str name;
    if (item->alias_count)
        return add_output(planner, outputs, item->alias, item->alias_count, node);
    if (node->kind == AST_STAR) {
        for (const struct plan_output *output = *outputs; output; output = output->next)
            if (output->star)
                return PLAN_FAIL(planner, node->at, ERR_INVALID, "* stands here twice");
        return add_star(planner, outputs);
    }
    if (!natural_name(node, &name))
        return PLAN_FAIL(planner, node->at, ERR_INVALID, "this needs a name: AS name");
    return add_output(planner, outputs, &name, 1, node);
}

static int plan_select(struct planner *planner, const struct ast_select *select,
                       struct plan_select *ret_select) {
    int result = 0;
    const struct ast_item *only = select->item_count == 1 ? select->items : NULL;
    if (select->value)
        result = plan_new(planner, select->items->expression, &ret_select->value);
    else if (only && only->expression->kind == AST_STAR && !only->alias_count)
        ret_select->star_alone = true;
    else
        for (const struct ast_item *item = select->items; item && result == 0; item = item->next)
            result = plan_item(planner, item, &ret_select->outputs);
    if (result == 0 && select->where)
        result = plan_new(planner, select->where, &ret_select->where);
    return result;
}

static int plan_variables(struct planner *planner, const struct ast_variable *variable,
                          struct plan *plan) {
    int result = variable ? require_2016(planner, variable->at, "SET") : 0;
    for (; variable && result == 0; variable = variable->next) {
        size_t at = plan->variable_count;
        for (size_t i = 0; i < at; i++)
            if (str_eq(plan->variable_names[i], variable->name))
                return PLAN_FAIL(planner, variable->at, ERR_INVALID, "@%.*s has a value already",
                                 STR_ARG(variable->name));
        if (at == PLAN_VARIABLES_MAX)
            return PLAN_FAIL(planner, variable->at, ERR_INVALID, "more than %d variables",
                             PLAN_VARIABLES_MAX);
        result = plan_new(planner, variable->expression, &plan->variables[at]);
        plan->variable_names[at] = variable->name;
        plan->variable_count++;
    }
    return result;
}

int rule_plan_statement(struct arena *arena, struct str sql, enum rule_version version,
                        struct plan **ret_plan, struct err *err) {
    struct plan *plan = arena_zalloc(arena, sizeof *plan);
    struct planner planner = {
        .arena = arena, .sql = sql, .version = version, .err = err, .plan = plan};
    struct ast_select *select;
    int result = rule_parse_statement(arena, sql, &select, err);
    if (result < 0)
        return result;
    plan->version = version;
    plan->uses = arena_zalloc(arena, sizeof *plan->uses);
    plan->uses->end = &plan->uses->first;
    plan->has_filter = select->has_from;
    plan->filter = select->filter;
    if (select->has_from && !topic_filter_valid(select->filter))
        return PLAN_FAIL(&planner, select->from_at, ERR_INVALID, "'%.*s' is no topic filter",
                         STR_ARG(select->filter));
    result = plan_variables(&planner, select->variables, plan);
    if (result == 0)
        result = plan_select(&planner, select, &plan->select);
    if (result < 0)
        return result;
    plan->takes_all = plan->select.star_alone && !plan->select.where && plan->variable_count == 0;
    *ret_plan = plan;
    return 0;
}

int rule_plan_template(struct arena *arena, struct str text, const struct plan *plan,
                       const struct ast_node *node, struct plan_expression **ret_expression,
                       struct err *err) {
    struct planner planner = {.arena = arena,
                              .sql = text,
                              .version = plan->version,
                              .err = err,
                              .plan = plan,
                              .in_template = true};
    return plan_new(&planner, node, ret_expression);
}
