/* SQL text to tree. Errors carry "LINE:COLUMN: " within the text (INVALID). */
#ifndef RULE_PARSER_H
#define RULE_PARSER_H

#include "base/arena.h"
#include "base/err.h"
#include "rule/ast.h"

/* Bounds, so that neither time nor stack can be run out of by a text. */
enum {
    RULE_SQL_BYTES_MAX = 128 * 1024, /* AWS: the whole rule, 128 KB */
    RULE_DEPTH_MAX = 64,             /* of parentheses, calls and queries within one another */
    RULE_TREE_DEPTH_MAX = 256,       /* of the tree, to which a chain of operators adds as well */
    RULE_NODES_MAX = 8192,
};

/* A whole statement. The tree refers to `sql`, which must outlive it. */
int rule_parse_statement(struct arena *arena, struct str sql, struct ast_select **ret_select,
                         struct err *err);

/* An expression that begins at `begin` in `text` and is ended by '}', as in a template; *ret_end is
 * behind the brace. */
int rule_parse_template(struct arena *arena, struct str text, size_t begin,
                        struct ast_node **ret_node, size_t *ret_end, struct err *err);

#endif
