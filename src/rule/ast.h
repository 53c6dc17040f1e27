/*
 * A rule's SQL as a tree, as it was written: the parser makes it, plan.c checks it and turns it
 * into something that runs. All in one arena; strings are views into the SQL or the arena.
 */
#ifndef RULE_AST_H
#define RULE_AST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum ast_kind {
    AST_NULL,
    AST_TRUE,
    AST_FALSE,
    AST_NUMBER, /* text */
    AST_STRING, /* text */
    AST_STAR,
    AST_NAME,     /* text */
    AST_VARIABLE, /* text */
    AST_MEMBER,   /* first . text */
    AST_INDEX,    /* first [ second ] */
    AST_NEGATE,   /* - first */
    AST_NOT,
    AST_AND, /* first, second */
    AST_OR,
    AST_EQUAL,
    AST_NOT_EQUAL,
    AST_LESS,
    AST_LESS_EQUAL,
    AST_GREATER,
    AST_GREATER_EQUAL,
    AST_IN,
    AST_ADD,
    AST_SUBTRACT,
    AST_MULTIPLY,
    AST_DIVIDE,
    AST_MODULO,
    AST_CALL,   /* text ( children ) */
    AST_CAST,   /* first AS text */
    AST_CASE,   /* operand, then WHEN and THEN by turns, then ELSE if the count is even */
    AST_OBJECT, /* children with their key in `text2` */
    AST_ARRAY,
    AST_QUERY, /* select */
    AST_EXISTS,
};

struct ast_select;

struct ast_node {
    enum ast_kind kind;
    unsigned depth; /* of the tree below, itself included */
    size_t at;      /* byte offset in the SQL, for errors */
    struct str text;
    struct str key;         /* as a child of AST_OBJECT */
    struct ast_node *first; /* children */
    struct ast_node *next;  /* sibling */
    size_t count;           /* of children */
    struct ast_select *select;
};

struct ast_item {
    struct ast_node *expression;
    struct str *alias; /* segments of AS a.b.c */
    size_t alias_count;
    struct ast_item *next;
};

struct ast_variable {
    struct str name;
    size_t at;
    struct ast_node *expression;
    struct ast_variable *next;
};

struct ast_select {
    size_t at;
    struct ast_variable *variables; /* SET, outermost only */
    bool value;                     /* SELECT VALUE: exactly one item, without alias */
    struct ast_item *items;
    size_t item_count;
    bool has_from;
    size_t from_at;
    struct str filter;       /* outermost: the topic filter */
    struct ast_node *source; /* nested: what it runs over */
    struct str element;      /* nested: FROM source AS element; may be empty */
    struct ast_node *where;  /* or NULL */
};

#endif
