/*
 * The words of the AWS IoT SQL dialect (AWS IoT Core Developer Guide, "SQL reference"):
 *
 *   name       letter or underscore, then letters, digits, underscores; keywords in any case
 *   @name      a SET variable
 *   number     digits [ . digits ] [ E [-] digits ]
 *   string     '...' or "...": both are literals, never quoted names; a doubled quote stands for
 *              itself, and \\ \' \" \n \r \t for what they do in JSON; any other backslash stands for
 *              itself (regular expressions)
 *   operators  = <> < <= > >= + - * / %   and ( ) [ ] { } , . :
 *
 * There are no comments. What other dialects write differently (!=, ==, ||) is refused with the
 * right spelling.
 */
#include "rule/lexer.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

int rule_sql_error(struct str sql, size_t at, struct err *err, int code, const char *format, ...) {
    unsigned line = 1, column = 1;
    for (size_t i = 0; i < at && i < sql.len; i++) {
        column++;
        if (sql.at[i] == '\n') {
            line++;
            column = 1;
        }
    }
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return err_set(err, code, "%u:%u: %s", line, column, text);
}

static int fail(const struct lexer *lexer, size_t at, const char *text) {
    return rule_sql_error(lexer->sql, at, lexer->err, ERR_INVALID, "%s", text);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

static char peek(const struct lexer *lexer, size_t ahead) {
    size_t at = lexer->at + ahead;
    return at < lexer->sql.len ? lexer->sql.at[at] : '\0';
}

static void skip_blank(struct lexer *lexer) {
    while (lexer->at < lexer->sql.len && is_blank(lexer->sql.at[lexer->at]))
        lexer->at++;
}

static enum keyword keyword_of(struct str name) {
    static const char *const words[] = {"",
#define X(word) #word,
                                        KEYWORD_LIST(X)
#undef X
    };
    for (size_t i = 1; i < COUNT_OF(words); i++)
        if (str_eq_nocase(name, str_of(words[i])))
            return (enum keyword)i;
    return KEYWORD_NONE;
}

static struct str take_name(struct lexer *lexer) {
    size_t begin = lexer->at;
    while (is_name(peek(lexer, 0)))
        lexer->at++;
    return str_from(lexer->sql.at + begin, lexer->at - begin);
}

static int read_variable(struct lexer *lexer, struct token *token) {
    enum { NAME_CHARS_MAX = 64 };
    lexer->at++;
    token->kind = TOKEN_VARIABLE;
    token->text = take_name(lexer);
    if (token->text.len == 0 || token->text.len > NAME_CHARS_MAX)
        return fail(lexer, token->at,
                    "@ must be followed by a name of 1 to 64 letters, digits or underscores");
    return 0;
}

static void skip_digits(struct lexer *lexer) {
    while (is_digit(peek(lexer, 0)))
        lexer->at++;
}

static int read_number(struct lexer *lexer, struct token *token) {
    skip_digits(lexer);
    if (peek(lexer, 0) == '.' && is_digit(peek(lexer, 1))) {
        lexer->at++;
        skip_digits(lexer);
    }
    size_t sign = peek(lexer, 1) == '-';
    if ((peek(lexer, 0) == 'e' || peek(lexer, 0) == 'E') && is_digit(peek(lexer, 1 + sign))) {
        lexer->at += 1 + sign;
        skip_digits(lexer);
    }
    if (is_name(peek(lexer, 0)))
        return fail(lexer, token->at,
                    "a name cannot begin with a digit, nor a number hold a letter");
    token->kind = TOKEN_NUMBER;
    token->text = str_from(lexer->sql.at + token->at, lexer->at - token->at);
    return 0;
}

/* What a backslash and `c` stand for; 0: a backslash and `c`. */
static char unescaped(char c) {
    switch (c) {
    case '\\':
    case '\'':
    case '"':
        return c;
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return 0;
    }
}

static int read_string(struct lexer *lexer, struct token *token) {
    char quote = peek(lexer, 0);
    size_t begin = ++lexer->at, extra = 0;
    for (;; lexer->at++) {
        if (lexer->at == lexer->sql.len)
            return fail(lexer, token->at, "a string without its closing quote");
        char c = peek(lexer, 0), next = peek(lexer, 1);
        bool pair = (c == quote && next == quote) || (c == '\\' && unescaped(next));
        if (c == quote && !pair)
            break;
        lexer->at += pair;
        extra += pair;
    }
    struct str raw = str_from(lexer->sql.at + begin, lexer->at - begin);
    lexer->at++;
    token->kind = TOKEN_STRING;
    token->text = raw;
    if (extra == 0)
        return 0;
    char *copy = arena_alloc(lexer->arena, raw.len), *to = copy;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.at[i], next = i + 1 < raw.len ? raw.at[i + 1] : '\0';
        bool escape = c == '\\' && unescaped(next);
        *to++ = escape ? unescaped(next) : c;
        i += escape || c == quote;
    }
    token->text = str_from(copy, (size_t)(to - copy));
    return 0;
}

static int read_operator(struct lexer *lexer, struct token *token) {
    static const struct {
        struct str text;
        enum token_kind kind;
    } operators[] = {
        {STR("<>"), TOKEN_NOT_EQUAL},
        {STR("<="), TOKEN_LESS_EQUAL},
        {STR(">="), TOKEN_GREATER_EQUAL},
        {STR("="), TOKEN_EQUAL},
        {STR("<"), TOKEN_LESS},
        {STR(">"), TOKEN_GREATER},
        {STR("+"), TOKEN_PLUS},
        {STR("-"), TOKEN_MINUS},
        {STR("*"), TOKEN_STAR},
        {STR("/"), TOKEN_SLASH},
        {STR("%"), TOKEN_PERCENT},
        {STR("("), TOKEN_PAREN_OPEN},
        {STR(")"), TOKEN_PAREN_CLOSE},
        {STR("["), TOKEN_BRACKET_OPEN},
        {STR("]"), TOKEN_BRACKET_CLOSE},
        {STR("{"), TOKEN_BRACE_OPEN},
        {STR("}"), TOKEN_BRACE_CLOSE},
        {STR(","), TOKEN_COMMA},
        {STR("."), TOKEN_DOT},
        {STR(":"), TOKEN_COLON},
    };
    struct str rest = str_skip(lexer->sql, lexer->at);
    if (str_starts(rest, STR("==")))
        return fail(lexer, token->at, "equality is written =");
    if (str_starts(rest, STR("!=")))
        return fail(lexer, token->at, "inequality is written <>");
    if (str_starts(rest, STR("||")))
        return fail(lexer, token->at, "strings are joined by + or concat()");
    if (str_starts(rest, STR("--")) || str_starts(rest, STR("/*")))
        return fail(lexer, token->at, "the dialect has no comments");
    for (size_t i = 0; i < COUNT_OF(operators); i++) {
        if (str_starts(rest, operators[i].text)) {
            token->kind = operators[i].kind;
            token->text = operators[i].text;
            lexer->at += operators[i].text.len;
            return 0;
        }
    }
    return fail(lexer, token->at, "a character that begins no word of the dialect");
}

int rule_lexer_next(struct lexer *lexer, struct token *ret_token) {
    skip_blank(lexer);
    struct token token = {.kind = TOKEN_END, .at = lexer->at};
    int result = 0;
    char c = peek(lexer, 0);
    if (lexer->at == lexer->sql.len) {
        token.text = STR("the end");
    } else if (is_digit(c)) {
        result = read_number(lexer, &token);
    } else if (is_name(c)) {
        token.kind = TOKEN_NAME;
        token.text = take_name(lexer);
        token.keyword = keyword_of(token.text);
    } else if (c == '@') {
        result = read_variable(lexer, &token);
    } else if (c == '\'' || c == '"') {
        result = read_string(lexer, &token);
    } else {
        result = read_operator(lexer, &token);
    }
    *ret_token = token;
    return result;
}

struct str rule_lexer_bare(struct lexer *lexer) {
    skip_blank(lexer);
    size_t begin = lexer->at;
    while (lexer->at < lexer->sql.len && !is_blank(lexer->sql.at[lexer->at]))
        lexer->at++;
    return str_from(lexer->sql.at + begin, lexer->at - begin);
}
