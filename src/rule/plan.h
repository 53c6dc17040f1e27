/*
 * What a rule's SQL comes to: a tree that evaluate.c runs. Names of functions and types are
 * resolved, versions checked, constants made; everything the tree holds can be evaluated. Immutable
 * once made, in one arena, and shared by all threads.
 */
#ifndef RULE_PLAN_H
#define RULE_PLAN_H

#include "base/arena.h"
#include "base/err.h"
#include "rule/ast.h"
#include "rule/function.h"
#include "rule/value.h"

enum plan_kind {
    PLAN_CONSTANT,
    PLAN_PATH,     /* names: a field, and its members */
    PLAN_STAR,     /* the payload, or the element of a nested query */
    PLAN_BYTES,    /* the payload as it came: encode(*, ...) */
    PLAN_VARIABLE, /* index */
    PLAN_MEMBER,   /* args[0] . names */
    PLAN_INDEX,    /* args[0] [ args[1] ] */
    PLAN_NEGATE,
    PLAN_NOT,
    PLAN_AND,
    PLAN_OR,
    PLAN_EQUAL,
    PLAN_NOT_EQUAL,
    PLAN_COMPARE,    /* how: enum value_comparison */
    PLAN_ARITHMETIC, /* how: enum value_arithmetic */
    PLAN_ADD,
    PLAN_IN,
    PLAN_CALL, /* function */
    PLAN_CAST, /* how: enum value_cast */
    PLAN_CASE,
    PLAN_OBJECT, /* names[i]: args[i] */
    PLAN_ARRAY,
    PLAN_QUERY, /* query */
    PLAN_EXISTS,
};

struct plan_select;

struct plan_expression {
    enum plan_kind kind;
    unsigned how;
    size_t index;
    struct value constant;
    const void *prepared; /* as a constant argument: what the function needs of it, or NULL */
    const struct function *function;
    struct str *names;
    size_t name_count;
    struct plan_expression *args;
    size_t count;
    struct plan_select *query;
};

/* One member of what SELECT makes, in their order; with children for AS a.b. */
struct plan_output {
    struct str key;
    struct str written_key; /* as JSON, with the colon */
    bool star;              /* all members of the payload instead */
    struct plan_expression *expression;
    struct plan_output *first, *next; /* children, sibling */
};

struct plan_select {
    bool star_alone;               /* SELECT *: the payload unchanged */
    struct plan_expression *value; /* SELECT VALUE; else NULL */
    struct plan_output *outputs;
    struct plan_expression *where;  /* or NULL */
    struct plan_expression *source; /* nested */
    struct str element;
};

enum { PLAN_VARIABLES_MAX = 10 };

/* A call of a function of Weir's own (aws_lambda()), in the statement or in a template over it. */
struct plan_use {
    struct plan_use *next;
    struct str sql; /* of the statement, or the template's text, */
    size_t at;      /* and where in it */
    bool in_template;
    struct str function; /* its ARN or name, or empty: it is made for each message */
};

/* They are collected while templates are planned, the plan itself being finished; `end` is NULL
 * when the rule is, and nothing is added any more. */
struct plan_uses {
    struct plan_use *first, **end;
};

struct plan {
    enum rule_version version;
    struct plan_select select;
    bool has_filter;
    struct str filter;                                     /* FROM */
    struct plan_expression *variables[PLAN_VARIABLES_MAX]; /* SET, in order */
    struct str variable_names[PLAN_VARIABLES_MAX];
    size_t variable_count;
    struct plan_uses *uses;
    bool takes_all; /* SELECT * without WHERE and SET: there is nothing to evaluate */
};

/* `sql` must outlive the arena. Errors begin with "LINE:COLUMN: " in the SQL: INVALID, or
 * UNSUPPORTED for what the dialect has and Weir has not yet. */
int rule_plan_statement(struct arena *arena, struct str sql, enum rule_version version,
                        struct plan **ret_plan, struct err *err);

/* An expression of a template (text of which `node` was parsed), which sees the variables of
 * `plan`. */
int rule_plan_template(struct arena *arena, struct str text, const struct plan *plan,
                       const struct ast_node *node, struct plan_expression **ret_expression,
                       struct err *err);

#endif
