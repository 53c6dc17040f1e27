/*
 * Recursive descent; one function per rule of the grammar. Expressions are in parser_expression.c.
 *
 *   statement = [ SET var = expr { , var = expr } ] select
 *   select    = SELECT ( VALUE expr | items ) [ FROM source ] [ WHERE expr ]
 *   items     = item { , item }
 *   item      = expr [ AS name { . name } ]
 */
#include "rule/parser_state.h"

int rule_parser_fail(struct parser *parser, size_t at, const char *text) {
    return rule_sql_error(parser->lexer.sql, at, parser->lexer.err, ERR_INVALID, "%s", text);
}

int rule_parser_fail_expected(struct parser *parser, const char *what) {
    struct str found = parser->token.text;
    if (found.len > 40)
        found.len = 40;
    return rule_sql_error(parser->lexer.sql, parser->token.at, parser->lexer.err, ERR_INVALID,
                          "expected %s before \"%.*s\"", what, STR_ARG(found));
}

int rule_parser_advance(struct parser *parser) {
    return rule_lexer_next(&parser->lexer, &parser->token);
}

bool rule_parser_at_kind(const struct parser *parser, enum token_kind kind) {
    return parser->token.kind == kind;
}

bool rule_parser_at_keyword(const struct parser *parser, enum keyword keyword) {
    return parser->token.kind == TOKEN_NAME && parser->token.keyword == keyword;
}

int rule_parser_expect(struct parser *parser, enum token_kind kind, const char *what) {
    return rule_parser_at_kind(parser, kind) ? rule_parser_advance(parser)
                                             : rule_parser_fail_expected(parser, what);
}

int rule_parser_expect_keyword(struct parser *parser, enum keyword keyword, const char *what) {
    return rule_parser_at_keyword(parser, keyword) ? rule_parser_advance(parser)
                                                   : rule_parser_fail_expected(parser, what);
}

static int parse_alias(struct parser *parser, struct ast_item *item) {
    struct str segments[RULE_DEPTH_MAX];
    size_t count = 0;
    int result;
    do {
        result = rule_parser_advance(parser); /* AS, or the dot before the next segment */
        if (result < 0)
            return result;
        if (count == RULE_DEPTH_MAX)
            return rule_parser_fail(parser, parser->token.at, "too many segments in an alias");
        segments[count++] = parser->token.text;
        result = rule_parser_expect(parser, TOKEN_NAME, "a name");
    } while (result == 0 && rule_parser_at_kind(parser, TOKEN_DOT));
    if (result < 0)
        return result;
    item->alias = arena_alloc(parser->arena, count * sizeof *item->alias);
    memcpy(item->alias, segments, count * sizeof *item->alias);
    item->alias_count = count;
    return 0;
}

static int parse_items(struct parser *parser, struct ast_select *select) {
    struct ast_item **tail = &select->items;
    for (;;) {
        struct ast_item *item = arena_zalloc(parser->arena, sizeof *item);
        int result = rule_parse_expression(parser, &item->expression);
        if (result == 0 && rule_parser_at_keyword(parser, KEYWORD_AS)) {
            if (select->value)
                return rule_parser_fail_expected(parser, "FROM, for SELECT VALUE takes no alias,");
            result = parse_alias(parser, item);
        }
        if (result < 0)
            return result;
        *tail = item;
        tail = &item->next;
        select->item_count++;
        if (!rule_parser_at_kind(parser, TOKEN_COMMA))
            return 0;
        if (select->value)
            return rule_parser_fail(parser, parser->token.at,
                                    "SELECT VALUE takes exactly one expression");
        result = rule_parser_advance(parser);
        if (result < 0)
            return result;
    }
}

/* The outermost FROM: a filter in quotes, or bare up to white space. The word ahead is FROM. */
static int parse_filter(struct parser *parser, struct ast_select *select) {
    struct token token;
    struct lexer behind = parser->lexer;
    select->filter = rule_lexer_bare(&behind);
    select->from_at = (size_t)(select->filter.at - parser->lexer.sql.at);
    if (select->filter.len == 0)
        return rule_parser_fail(parser, parser->token.at, "FROM needs a topic filter in quotes");
    if (select->filter.at[0] != '\'' && select->filter.at[0] != '"') {
        parser->lexer = behind;
        return rule_parser_advance(parser);
    }
    int result = rule_lexer_next(&parser->lexer, &token);
    select->filter = token.text;
    return result < 0 ? result : rule_parser_advance(parser);
}

/* A nested FROM: a path with an optional name for the element. */
static int parse_source(struct parser *parser, struct ast_select *select) {
    int result = rule_parser_advance(parser);
    select->from_at = parser->token.at;
    if (result == 0)
        result = rule_parse_postfix(parser, &select->source);
    if (result < 0 || !rule_parser_at_keyword(parser, KEYWORD_AS))
        return result;
    result = rule_parser_advance(parser);
    select->element = parser->token.text;
    return result < 0 ? result : rule_parser_expect(parser, TOKEN_NAME, "a name");
}

/* Whether an expression cannot begin with the token. */
static bool begins_nothing(const struct token *token) {
    switch (token->kind) {
    case TOKEN_NAME:
        return token->keyword == KEYWORD_FROM || token->keyword == KEYWORD_AS ||
               token->keyword == KEYWORD_WHERE || token->keyword == KEYWORD_AND ||
               token->keyword == KEYWORD_OR || token->keyword == KEYWORD_IN;
    case TOKEN_NUMBER:
    case TOKEN_STRING:
    case TOKEN_VARIABLE:
    case TOKEN_MINUS:
    case TOKEN_STAR:
    case TOKEN_PAREN_OPEN:
    case TOKEN_BRACKET_OPEN:
    case TOKEN_BRACE_OPEN:
        return false;
    default:
        return true;
    }
}

/* Whether VALUE, the word ahead, is a field of that name and not the keyword: it is, if nothing
 * that could be its expression follows. Behind * there is none either where * multiplies. */
static bool value_is_field(const struct parser *parser) {
    struct lexer lexer = parser->lexer;
    struct token next, behind;
    struct err ignored;
    lexer.err = &ignored;
    if (rule_lexer_next(&lexer, &next) < 0)
        return false;
    if (next.kind == TOKEN_STAR && rule_lexer_next(&lexer, &behind) == 0)
        return !begins_nothing(&behind);
    return begins_nothing(&next);
}

int rule_parse_select(struct parser *parser, bool nested, struct ast_select **ret_select) {
    struct ast_select *select = arena_zalloc(parser->arena, sizeof *select);
    *ret_select = select;
    select->at = parser->token.at;
    int result = rule_parser_expect_keyword(parser, KEYWORD_SELECT, "SELECT");
    if (result == 0 && rule_parser_at_keyword(parser, KEYWORD_VALUE) && !value_is_field(parser)) {
        select->value = true;
        result = rule_parser_advance(parser);
    }
    if (result == 0)
        result = parse_items(parser, select);
    if (result == 0 && rule_parser_at_keyword(parser, KEYWORD_FROM)) {
        select->has_from = true;
        result = nested ? parse_source(parser, select) : parse_filter(parser, select);
    }
    if (result == 0 && nested && !select->has_from)
        return rule_parser_fail_expected(parser, "FROM");
    if (result == 0 && rule_parser_at_keyword(parser, KEYWORD_WHERE)) {
        result = rule_parser_advance(parser);
        if (result == 0)
            result = rule_parse_expression(parser, &select->where);
    }
    return result;
}

/* SET @a = expr { , @b = expr } */
static int parse_set(struct parser *parser, struct ast_variable **tail) {
    do {
        struct ast_variable *variable = arena_zalloc(parser->arena, sizeof *variable);
        int result = rule_parser_advance(parser); /* SET or the comma */
        variable->name = parser->token.text;
        variable->at = parser->token.at;
        if (result == 0)
            result = rule_parser_expect(parser, TOKEN_VARIABLE, "a variable (@name)");
        if (result == 0)
            result = rule_parser_expect(parser, TOKEN_EQUAL, "=");
        if (result == 0)
            result = rule_parse_expression(parser, &variable->expression);
        if (result < 0)
            return result;
        *tail = variable;
        tail = &variable->next;
    } while (rule_parser_at_kind(parser, TOKEN_COMMA));
    return 0;
}

static int parser_init(struct parser *parser, struct arena *arena, struct str text, size_t begin,
                       struct err *err) {
    *parser = (struct parser){.lexer = {.sql = text, .at = begin, .arena = arena, .err = err},
                              .arena = arena};
    if (text.len > RULE_SQL_BYTES_MAX)
        return err_set(err, ERR_TOO_LARGE, "longer than %d bytes", RULE_SQL_BYTES_MAX);
    return rule_parser_advance(parser);
}

int rule_parse_statement(struct arena *arena, struct str sql, struct ast_select **ret_select,
                         struct err *err) {
    struct parser parser;
    struct ast_variable *variables = NULL;
    int result = parser_init(&parser, arena, sql, 0, err);
    if (result == 0 && rule_parser_at_keyword(&parser, KEYWORD_SET))
        result = parse_set(&parser, &variables);
    if (result == 0)
        result = rule_parse_select(&parser, false, ret_select);
    if (result < 0)
        return result;
    (*ret_select)->variables = variables;
    return rule_parser_at_kind(&parser, TOKEN_END)
               ? 0
               : rule_parser_fail_expected(&parser, "an operator, FROM, WHERE or the end");
}

int rule_parse_template(struct arena *arena, struct str text, size_t begin,
                        struct ast_node **ret_node, size_t *ret_end, struct err *err) {
    struct parser parser;
    int result = parser_init(&parser, arena, text, begin, err);
    if (result == 0)
        result = rule_parse_expression(&parser, ret_node);
    if (result < 0)
        return result;
    if (!rule_parser_at_kind(&parser, TOKEN_BRACE_CLOSE))
        return rule_parser_fail_expected(&parser, "}");
    *ret_end = parser.token.at + 1;
    return 0;
}
