/*
 * What parser.c (statements) and parser_expression.c (expressions) share: the words of lexer.c with one
 * word of lookahead.
 */
#ifndef RULE_PARSER_STATE_H
#define RULE_PARSER_STATE_H

#include "rule/lexer.h"
#include "rule/parser.h"

struct parser {
    struct lexer lexer;
    struct token token; /* the word ahead */
    struct arena *arena;
    unsigned depth, nodes;
};

int rule_parser_fail(struct parser *parser, size_t at, const char *text);
int rule_parser_fail_expected(struct parser *parser, const char *what);
int rule_parser_advance(struct parser *parser);
bool rule_parser_at_kind(const struct parser *parser, enum token_kind kind);
bool rule_parser_at_keyword(const struct parser *parser, enum keyword keyword);

/* Takes that word, or fails for want of `what`. */
int rule_parser_expect(struct parser *parser, enum token_kind kind, const char *what);
int rule_parser_expect_keyword(struct parser *parser, enum keyword keyword, const char *what);

int rule_parse_expression(struct parser *parser, struct ast_node **ret_node);

/* A primary with the members and indices behind it. */
int rule_parse_postfix(struct parser *parser, struct ast_node **ret_node);

/* The word ahead is SELECT. */
int rule_parse_select(struct parser *parser, bool nested, struct ast_select **ret_select);

#endif
