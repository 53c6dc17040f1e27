/*
 * Expressions, by their precedence, which is that of ordinary SQL; AWS documents none:
 *
 *   expr    = or             or = and { OR and }        and = not { AND not }     not = [ NOT ] cmp
 *   cmp     = add [ ( = | <> | < | <= | > | >= | IN ) add ] | EXISTS ( select )
 *   add     = mul { ( + | - ) mul }        mul = unary { ( * | / | % ) unary }
 *   unary   = [ - ] postfix                postfix = primary { . name | [ expr ] }
 *   primary = number | string | TRUE | FALSE | NULL | @name | name | call | cast | case | object
 *           | array | ( select ) | ( expr ) | *
 *
 * Depth is bounded twice: that of recursion, and that of the tree, since a chain of operators makes a
 * deep tree without recursion.
 */
#include "rule/parser_state.h"

static struct ast_node *node_new(struct parser *parser, enum ast_kind kind, size_t at,
                                 struct str text) {
    struct ast_node *node = arena_zalloc(parser->arena, sizeof *node);
    *node = (struct ast_node){.kind = kind, .at = at, .text = text, .depth = 1};
    parser->nodes++;
    return node;
}

/* Appends `child` to the children of `parent`; **tail is where the chain ends. */
static int add_child(struct parser *parser, struct ast_node *parent, struct ast_node ***tail,
                     struct ast_node *child) {
    **tail = child;
    *tail = &child->next;
    parent->count++;
    if (child->depth >= parent->depth)
        parent->depth = child->depth + 1;
    if (parent->depth > RULE_TREE_DEPTH_MAX)
        return rule_parser_fail(parser, child->at, "too many operations within one another");
    return 0;
}

static int make_unary(struct parser *parser, enum ast_kind kind, size_t at,
                      struct ast_node *operand, struct ast_node **ret_node) {
    struct ast_node *node = node_new(parser, kind, at, (struct str){0}), **tail = &node->first;
    *ret_node = node;
    return add_child(parser, node, &tail, operand);
}

static int make_binary(struct parser *parser, enum ast_kind kind, size_t at, struct ast_node *left,
                       struct ast_node *right, struct ast_node **ret_node) {
    struct ast_node *node = node_new(parser, kind, at, (struct str){0}), **tail = &node->first;
    *ret_node = node;
    int result = add_child(parser, node, &tail, left);
    return result < 0 ? result : add_child(parser, node, &tail, right);
}

/* expr { , expr } up to `close`, which is taken; a comma before it is allowed where `trailing` says
 * so. */
static int parse_list(struct parser *parser, struct ast_node *parent, enum token_kind close,
                      const char *what) {
    struct ast_node **tail = &parent->first;
    int result = rule_parser_advance(parser);
    while (result == 0 && !rule_parser_at_kind(parser, close)) {
        struct ast_node *child;
        result = rule_parse_expression(parser, &child);
        if (result == 0)
            result = add_child(parser, parent, &tail, child);
        if (result == 0 && !rule_parser_at_kind(parser, close)) {
            result = rule_parser_expect(parser, TOKEN_COMMA, what);
            if (result == 0 && rule_parser_at_kind(parser, close))
                return rule_parser_fail_expected(parser, "a value");
        }
    }
    return result < 0 ? result : rule_parser_advance(parser);
}

static int parse_object(struct parser *parser, struct ast_node **ret_node) {
    struct ast_node *object = node_new(parser, AST_OBJECT, parser->token.at, (struct str){0});
    struct ast_node **tail = &object->first;
    *ret_node = object;
    int result = rule_parser_advance(parser);
    /* AWS accepts a comma behind the last member. */
    while (result == 0 && !rule_parser_at_kind(parser, TOKEN_BRACE_CLOSE)) {
        struct token key = parser->token;
        struct ast_node *child = NULL;
        result = rule_parser_expect(parser, TOKEN_STRING, "a member's name in quotes");
        if (result == 0)
            result = rule_parser_expect(parser, TOKEN_COLON, "a colon");
        if (result == 0)
            result = rule_parse_expression(parser, &child);
        if (result < 0)
            return result;
        child->key = key.text;
        result = add_child(parser, object, &tail, child);
        if (result == 0 && !rule_parser_at_kind(parser, TOKEN_BRACE_CLOSE))
            result = rule_parser_expect(parser, TOKEN_COMMA, "a comma or }");
    }
    return result < 0 ? result : rule_parser_advance(parser);
}

/* CASE expr WHEN expr THEN expr ... [ ELSE expr ] END */
static int parse_case(struct parser *parser, struct ast_node **ret_node) {
    struct ast_node *node = node_new(parser, AST_CASE, parser->token.at, (struct str){0}), *child;
    struct ast_node **tail = &node->first;
    *ret_node = node;
    int result = rule_parser_advance(parser);
    if (result == 0 && rule_parser_at_keyword(parser, KEYWORD_WHEN))
        return rule_parser_fail(
            parser, parser->token.at,
            "CASE needs a value before WHEN; conditions are compared with it: CASE x > 1 "
            "WHEN true ...");
    if (result == 0)
        result = rule_parse_expression(parser, &child);
    if (result == 0)
        result = add_child(parser, node, &tail, child);
    if (result == 0 && !rule_parser_at_keyword(parser, KEYWORD_WHEN))
        return rule_parser_fail_expected(parser, "WHEN");
    enum keyword then = KEYWORD_WHEN;
    while (result == 0 && !rule_parser_at_keyword(parser, KEYWORD_END)) {
        bool last =
            then == KEYWORD_WHEN && node->count > 1 && rule_parser_at_keyword(parser, KEYWORD_ELSE);
        result = last ? rule_parser_advance(parser)
                      : rule_parser_expect_keyword(
                            parser, then, then == KEYWORD_WHEN ? "WHEN, ELSE or END" : "THEN");
        if (result == 0)
            result = rule_parse_expression(parser, &child);
        if (result == 0)
            result = add_child(parser, node, &tail, child);
        if (last)
            break;
        then = then == KEYWORD_WHEN ? KEYWORD_THEN : KEYWORD_WHEN;
    }
    if (result == 0 && then == KEYWORD_THEN)
        return rule_parser_fail_expected(parser, "THEN");
    return result < 0 ? result : rule_parser_expect_keyword(parser, KEYWORD_END, "END");
}

static int parse_cast(struct parser *parser, struct ast_node **ret_node) {
    size_t at = parser->token.at;
    struct ast_node *operand;
    int result = rule_parser_advance(parser);
    if (result == 0)
        result = rule_parser_expect(parser, TOKEN_PAREN_OPEN, "(");
    if (result == 0)
        result = rule_parse_expression(parser, &operand);
    if (result == 0)
        result = rule_parser_expect_keyword(parser, KEYWORD_AS, "AS and a type");
    if (result == 0)
        result = make_unary(parser, AST_CAST, at, operand, ret_node);
    if (result < 0)
        return result;
    (*ret_node)->text = parser->token.text;
    result = rule_parser_expect(parser, TOKEN_NAME, "a type");
    return result < 0 ? result : rule_parser_expect(parser, TOKEN_PAREN_CLOSE, ")");
}

/* "( select )" or "( expr )"; at the parenthesis. */
static int parse_parenthesis(struct parser *parser, struct ast_node **ret_node) {
    size_t at = parser->token.at;
    int result = rule_parser_advance(parser);
    if (result == 0 && rule_parser_at_keyword(parser, KEYWORD_SELECT)) {
        struct ast_select *select;
        result = rule_parse_select(parser, true, &select);
        if (result < 0)
            return result;
        *ret_node = node_new(parser, AST_QUERY, at, (struct str){0});
        (*ret_node)->select = select;
        for (struct ast_item *item = select->items; item; item = item->next)
            if (item->expression->depth >= (*ret_node)->depth)
                (*ret_node)->depth = item->expression->depth + 1;
        if (select->where && select->where->depth >= (*ret_node)->depth)
            (*ret_node)->depth = select->where->depth + 1;
        if ((*ret_node)->depth > RULE_TREE_DEPTH_MAX)
            return rule_parser_fail(parser, at, "too many operations within one another");
    } else if (result == 0) {
        result = rule_parse_expression(parser, ret_node);
    }
    return result < 0 ? result : rule_parser_expect(parser, TOKEN_PAREN_CLOSE, ")");
}

static int parse_name(struct parser *parser, struct ast_node **ret_node) {
    struct token name = parser->token;
    int result = rule_parser_advance(parser);
    if (result < 0)
        return result;
    bool call = rule_parser_at_kind(parser, TOKEN_PAREN_OPEN);
    *ret_node = node_new(parser, call ? AST_CALL : AST_NAME, name.at, name.text);
    return call ? parse_list(parser, *ret_node, TOKEN_PAREN_CLOSE, "a comma or )") : 0;
}

static int parse_leaf(struct parser *parser, enum ast_kind kind, struct ast_node **ret_node) {
    *ret_node = node_new(parser, kind, parser->token.at, parser->token.text);
    return rule_parser_advance(parser);
}

static int parse_word(struct parser *parser, struct ast_node **ret_node) {
    switch (parser->token.keyword) {
    case KEYWORD_NONE:
    case KEYWORD_VALUE: /* reserved behind SELECT only */
        return parse_name(parser, ret_node);
    case KEYWORD_TRUE:
        return parse_leaf(parser, AST_TRUE, ret_node);
    case KEYWORD_FALSE:
        return parse_leaf(parser, AST_FALSE, ret_node);
    case KEYWORD_NULL:
        return parse_leaf(parser, AST_NULL, ret_node);
    case KEYWORD_CASE:
        return parse_case(parser, ret_node);
    case KEYWORD_CAST:
        return parse_cast(parser, ret_node);
    default:
        return rule_parser_fail_expected(parser, "a value");
    }
}

static int parse_primary(struct parser *parser, struct ast_node **ret_node) {
    switch (parser->token.kind) {
    case TOKEN_NAME:
        return parse_word(parser, ret_node);
    case TOKEN_NUMBER:
        return parse_leaf(parser, AST_NUMBER, ret_node);
    case TOKEN_STRING:
        return parse_leaf(parser, AST_STRING, ret_node);
    case TOKEN_VARIABLE:
        return parse_leaf(parser, AST_VARIABLE, ret_node);
    case TOKEN_STAR:
        return parse_leaf(parser, AST_STAR, ret_node);
    case TOKEN_BRACE_OPEN:
        return parse_object(parser, ret_node);
    case TOKEN_BRACKET_OPEN:
        *ret_node = node_new(parser, AST_ARRAY, parser->token.at, (struct str){0});
        return parse_list(parser, *ret_node, TOKEN_BRACKET_CLOSE, "a comma or ]");
    case TOKEN_PAREN_OPEN:
        return parse_parenthesis(parser, ret_node);
    default:
        return rule_parser_fail_expected(parser, "a value");
    }
}

static int parse_member(struct parser *parser, struct ast_node **node) {
    int result = rule_parser_advance(parser);
    if (result < 0)
        return result;
    struct token name = parser->token;
    result = rule_parser_expect(parser, TOKEN_NAME,
                                "a member's name (get(value, \"name\") reaches any other)");
    if (result == 0)
        result = make_unary(parser, AST_MEMBER, name.at, *node, node);
    if (result == 0)
        (*node)->text = name.text;
    return result;
}

static int parse_index(struct parser *parser, struct ast_node **node) {
    size_t at = parser->token.at;
    struct ast_node *index;
    int result = rule_parser_advance(parser);
    if (result == 0)
        result = rule_parse_expression(parser, &index);
    if (result == 0)
        result = rule_parser_expect(parser, TOKEN_BRACKET_CLOSE, "]");
    return result < 0 ? result : make_binary(parser, AST_INDEX, at, *node, index, node);
}

int rule_parse_postfix(struct parser *parser, struct ast_node **ret_node) {
    int result = parse_primary(parser, ret_node);
    while (result == 0 && (rule_parser_at_kind(parser, TOKEN_DOT) ||
                           rule_parser_at_kind(parser, TOKEN_BRACKET_OPEN))) {
        if ((*ret_node)->kind == AST_STAR)
            return rule_parser_fail_expected(parser, "the end of *");
        result = rule_parser_at_kind(parser, TOKEN_DOT) ? parse_member(parser, ret_node)
                                                        : parse_index(parser, ret_node);
    }
    return result;
}

static int parse_unary(struct parser *parser, struct ast_node **ret_node) {
    if (!rule_parser_at_kind(parser, TOKEN_MINUS))
        return rule_parse_postfix(parser, ret_node);
    size_t at = parser->token.at;
    int result = rule_parser_advance(parser);
    if (result == 0)
        result = rule_parse_postfix(parser, ret_node);
    return result < 0 ? result : make_unary(parser, AST_NEGATE, at, *ret_node, ret_node);
}

static bool multiplication(enum token_kind kind, enum ast_kind *ret_kind) {
    *ret_kind = kind == TOKEN_STAR ? AST_MULTIPLY : kind == TOKEN_SLASH ? AST_DIVIDE : AST_MODULO;
    return kind == TOKEN_STAR || kind == TOKEN_SLASH || kind == TOKEN_PERCENT;
}

static int parse_multiplication(struct parser *parser, struct ast_node **ret_node) {
    int result = parse_unary(parser, ret_node);
    enum ast_kind kind;
    while (result == 0 && multiplication(parser->token.kind, &kind)) {
        size_t at = parser->token.at;
        struct ast_node *right;
        result = rule_parser_advance(parser);
        if (result == 0)
            result = parse_unary(parser, &right);
        if (result == 0)
            result = make_binary(parser, kind, at, *ret_node, right, ret_node);
    }
    return result;
}

static int parse_addition(struct parser *parser, struct ast_node **ret_node) {
    int result = parse_multiplication(parser, ret_node);
    while (result == 0 &&
           (rule_parser_at_kind(parser, TOKEN_PLUS) || rule_parser_at_kind(parser, TOKEN_MINUS))) {
        enum ast_kind kind = rule_parser_at_kind(parser, TOKEN_PLUS) ? AST_ADD : AST_SUBTRACT;
        size_t at = parser->token.at;
        struct ast_node *right;
        result = rule_parser_advance(parser);
        if (result == 0)
            result = parse_multiplication(parser, &right);
        if (result == 0)
            result = make_binary(parser, kind, at, *ret_node, right, ret_node);
    }
    return result;
}

static bool comparison(const struct parser *parser, enum ast_kind *ret_kind) {
    static const enum ast_kind kinds[] = {
        [TOKEN_EQUAL] = AST_EQUAL,     [TOKEN_NOT_EQUAL] = AST_NOT_EQUAL,
        [TOKEN_LESS] = AST_LESS,       [TOKEN_LESS_EQUAL] = AST_LESS_EQUAL,
        [TOKEN_GREATER] = AST_GREATER, [TOKEN_GREATER_EQUAL] = AST_GREATER_EQUAL,
    };
    enum token_kind kind = parser->token.kind;
    if (rule_parser_at_keyword(parser, KEYWORD_IN)) {
        *ret_kind = AST_IN;
        return true;
    }
    if (kind < TOKEN_EQUAL || kind > TOKEN_GREATER_EQUAL)
        return false;
    *ret_kind = kinds[kind];
    return true;
}

static int parse_exists(struct parser *parser, struct ast_node **ret_node) {
    size_t at = parser->token.at;
    int result = rule_parser_advance(parser);
    if (result < 0)
        return result;
    if (!rule_parser_at_kind(parser, TOKEN_PAREN_OPEN))
        return rule_parser_fail_expected(parser, "(SELECT ...)");
    result = parse_parenthesis(parser, ret_node);
    if (result < 0)
        return result;
    if ((*ret_node)->kind != AST_QUERY)
        return rule_parser_fail(parser, at, "EXISTS needs a nested query: EXISTS (SELECT ...)");
    (*ret_node)->kind = AST_EXISTS;
    return 0;
}

static int parse_comparison(struct parser *parser, struct ast_node **ret_node) {
    if (rule_parser_at_keyword(parser, KEYWORD_EXISTS))
        return parse_exists(parser, ret_node);
    int result = parse_addition(parser, ret_node);
    enum ast_kind kind;
    if (result < 0 || !comparison(parser, &kind))
        return result;
    size_t at = parser->token.at;
    struct ast_node *right;
    result = rule_parser_advance(parser);
    if (result == 0)
        result = parse_addition(parser, &right);
    if (result == 0)
        result = make_binary(parser, kind, at, *ret_node, right, ret_node);
    if (result == 0 && comparison(parser, &kind))
        return rule_parser_fail(parser, parser->token.at,
                                "comparisons cannot be chained; join them with AND");
    return result;
}

static int parse_not(struct parser *parser, struct ast_node **ret_node) {
    if (!rule_parser_at_keyword(parser, KEYWORD_NOT))
        return parse_comparison(parser, ret_node);
    size_t at = parser->token.at;
    int result = rule_parser_advance(parser);
    if (result == 0)
        result = parse_comparison(parser, ret_node);
    return result < 0 ? result : make_unary(parser, AST_NOT, at, *ret_node, ret_node);
}

static int parse_and(struct parser *parser, struct ast_node **ret_node) {
    int result = parse_not(parser, ret_node);
    while (result == 0 && rule_parser_at_keyword(parser, KEYWORD_AND)) {
        size_t at = parser->token.at;
        struct ast_node *right;
        result = rule_parser_advance(parser);
        if (result == 0)
            result = parse_not(parser, &right);
        if (result == 0)
            result = make_binary(parser, AST_AND, at, *ret_node, right, ret_node);
    }
    return result;
}

static int parse_or(struct parser *parser, struct ast_node **ret_node) {
    int result = parse_and(parser, ret_node);
    while (result == 0 && rule_parser_at_keyword(parser, KEYWORD_OR)) {
        size_t at = parser->token.at;
        struct ast_node *right;
        result = rule_parser_advance(parser);
        if (result == 0)
            result = parse_and(parser, &right);
        if (result == 0)
            result = make_binary(parser, AST_OR, at, *ret_node, right, ret_node);
    }
    return result;
}

int rule_parse_expression(struct parser *parser, struct ast_node **ret_node) {
    if (parser->depth == RULE_DEPTH_MAX)
        return rule_parser_fail(parser, parser->token.at,
                                "too many expressions within one another");
    if (parser->nodes > RULE_NODES_MAX)
        return rule_parser_fail(parser, parser->token.at, "too long a statement");
    parser->depth++;
    int result = parse_or(parser, ret_node);
    parser->depth--;
    return result;
}
