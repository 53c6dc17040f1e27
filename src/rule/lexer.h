/* The words of a rule's SQL (lexer.c says which). */
#ifndef RULE_LEXER_H
#define RULE_LEXER_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum token_kind {
    TOKEN_END,
    TOKEN_NAME,     /* identifier or keyword */
    TOKEN_VARIABLE, /* @name, without its @ */
    TOKEN_NUMBER,
    TOKEN_STRING, /* without quotes, escapes resolved */
    TOKEN_EQUAL,
    TOKEN_NOT_EQUAL,
    TOKEN_LESS,
    TOKEN_LESS_EQUAL,
    TOKEN_GREATER,
    TOKEN_GREATER_EQUAL,
    TOKEN_PLUS,
    TOKEN_MINUS,
    TOKEN_STAR,
    TOKEN_SLASH,
    TOKEN_PERCENT,
    TOKEN_PAREN_OPEN,
    TOKEN_PAREN_CLOSE,
    TOKEN_BRACKET_OPEN,
    TOKEN_BRACKET_CLOSE,
    TOKEN_BRACE_OPEN,
    TOKEN_BRACE_CLOSE,
    TOKEN_COMMA,
    TOKEN_DOT,
    TOKEN_COLON,
};

/* Reserved words: not usable as names of fields, except behind a dot. */
#define KEYWORD_LIST(X)                                                                            \
    X(SET)                                                                                         \
    X(SELECT)                                                                                      \
    X(VALUE)                                                                                       \
    X(FROM)                                                                                        \
    X(AS)                                                                                          \
    X(WHERE)                                                                                       \
    X(AND)                                                                                         \
    X(OR)                                                                                          \
    X(NOT)                                                                                         \
    X(IN)                                                                                          \
    X(EXISTS)                                                                                      \
    X(CASE)                                                                                        \
    X(WHEN)                                                                                        \
    X(THEN)                                                                                        \
    X(ELSE)                                                                                        \
    X(END)                                                                                         \
    X(CAST)                                                                                        \
    X(NULL)                                                                                        \
    X(TRUE)                                                                                        \
    X(FALSE)

enum keyword {
    KEYWORD_NONE,
#define X(word) KEYWORD_##word,
    KEYWORD_LIST(X)
#undef X
};

struct token {
    enum token_kind kind;
    enum keyword keyword; /* of a TOKEN_NAME */
    struct str text;      /* view into the SQL, or in the arena */
    size_t at;            /* byte offset in the SQL */
};

struct lexer {
    struct str sql;
    size_t at;
    struct arena *arena; /* for strings with escapes */
    struct err *err;
};

/* The next word; TOKEN_END at the end, again and again. INVALID: what stands there is none. */
int rule_lexer_next(struct lexer *lexer, struct token *ret_token);

/* All up to the next white space, for a topic filter without quotes. Empty at the end. */
struct str rule_lexer_bare(struct lexer *lexer);

/* Fills err with "LINE:COLUMN: message", both counted within the SQL from 1. Returns `code`. */
int rule_sql_error(struct str sql, size_t at, struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
