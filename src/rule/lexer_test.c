#include "base/test.h"

#include "base/mem.h"
#include "rule/lexer.h"

static struct arena arena;
static struct err err;

static int lex(const char *sql, struct token *tokens, size_t cap, size_t *ret_count) {
    struct lexer lexer = {.sql = str_of(sql), .arena = &arena, .err = &err};
    for (*ret_count = 0; *ret_count < cap; ++*ret_count) {
        int result = rule_lexer_next(&lexer, &tokens[*ret_count]);
        if (result < 0 || tokens[*ret_count].kind == TOKEN_END)
            return result;
    }
    return 0;
}

static int teardown(void **state) {
    arena_done(&arena);
    return 0;
}

static void words_and_operators(void **state) {
    static const enum token_kind kinds[] = {
        TOKEN_NAME,         TOKEN_STAR,          TOKEN_COMMA,         TOKEN_NAME,
        TOKEN_DOT,          TOKEN_NAME,          TOKEN_LESS,          TOKEN_LESS_EQUAL,
        TOKEN_GREATER,      TOKEN_NOT_EQUAL,     TOKEN_GREATER_EQUAL, TOKEN_EQUAL,
        TOKEN_PLUS,         TOKEN_MINUS,         TOKEN_SLASH,         TOKEN_PERCENT,
        TOKEN_PAREN_OPEN,   TOKEN_PAREN_CLOSE,   TOKEN_BRACE_OPEN,    TOKEN_BRACE_CLOSE,
        TOKEN_BRACKET_OPEN, TOKEN_BRACKET_CLOSE, TOKEN_COLON,         TOKEN_VARIABLE,
    };
    struct token tokens[40];
    size_t count;
    assert_int_equal(
        lex("SELECT*,a.b1 < <= > <> >= = + - / % ( ) { } [ ] : @x_1", tokens, 40, &count), 0);
    assert_int_equal(count, COUNT_OF(kinds));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(tokens[i].kind, kinds[i]);
    assert_int_equal(tokens[0].keyword, KEYWORD_SELECT);
    assert_int_equal(tokens[3].keyword, KEYWORD_NONE);
    assert_str(tokens[5].text, "b1");
    assert_str(tokens[23].text, "x_1");
}

static void keywords_in_any_case(void **state) {
    struct token tokens[8];
    size_t count;
    assert_int_equal(lex("sElEcT From wherever WHERE", tokens, 8, &count), 0);
    assert_int_equal(tokens[0].keyword, KEYWORD_SELECT);
    assert_int_equal(tokens[1].keyword, KEYWORD_FROM);
    assert_int_equal(tokens[2].keyword, KEYWORD_NONE);
    assert_int_equal(tokens[3].keyword, KEYWORD_WHERE);
}

static void numbers(void **state) {
    static const char *const numbers[] = {"15", "50.0", "1E3", "5e-12", "0", "1.5E3"};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        struct token tokens[4];
        size_t count;
        assert_int_equal(lex(numbers[i], tokens, 4, &count), 0);
        assert_int_equal(count, 1);
        assert_int_equal(tokens[0].kind, TOKEN_NUMBER);
        assert_str(tokens[0].text, numbers[i]);
    }
}

static void strings(void **state) {
    static const struct {
        const char *sql, *text;
    } cases[] = {
        {"'a b'", "a b"},         {"\"a'b\"", "a'b"}, {"'it''s'", "it's"},
        {"\"a\"\"b\"", "a\"b"},   {"'a\\'b'", "a'b"}, {"'a\\nb'", "a\nb"},
        {"'\\d+\\\\'", "\\d+\\"}, {"''", ""},         {"''''", "'"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct token tokens[4];
        size_t count;
        assert_int_equal(lex(cases[i].sql, tokens, 4, &count), 0);
        assert_int_equal(count, 1);
        assert_int_equal(tokens[0].kind, TOKEN_STRING);
        assert_str(tokens[0].text, cases[i].text);
    }
}

static void what_is_no_word_is_refused_with_its_place(void **state) {
    static const struct {
        const char *sql, *text;
    } cases[] = {
        {"a != b", "1:3: inequality is written <>"},
        {"a\n  == b", "2:3: equality is written ="},
        {"a || b", "1:3: strings are joined by + or concat()"},
        {"a -- b", "1:3: the dialect has no comments"},
        {"a /* b", "1:3: the dialect has no comments"},
        {"'abc", "1:1: a string without its closing quote"},
        {"'abc\\'", "1:1: a string without its closing quote"},
        {"1a", "1:1: a name cannot begin with a digit, nor a number hold a letter"},
        {"@ x", "1:1: @ must be followed by a name of 1 to 64 letters, digits or underscores"},
        {"a ; b", "1:3: a character that begins no word of the dialect"},
        {"\xc3\xa4", "1:1: a character that begins no word of the dialect"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct token tokens[8];
        size_t count;
        assert_int_equal(lex(cases[i].sql, tokens, 8, &count), ERR_INVALID);
        assert_string_equal(err.text, cases[i].text);
    }
}

static void bare_text_ends_at_white_space(void **state) {
    struct lexer lexer = {.sql = STR("  a/+/#  WHERE"), .arena = &arena, .err = &err};
    assert_str(rule_lexer_bare(&lexer), "a/+/#");
    struct token token;
    assert_int_equal(rule_lexer_next(&lexer, &token), 0);
    assert_int_equal(token.keyword, KEYWORD_WHERE);
    assert_str(rule_lexer_bare(&lexer), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_operators),
        cmocka_unit_test(keywords_in_any_case),
        cmocka_unit_test(numbers),
        cmocka_unit_test(strings),
        cmocka_unit_test(what_is_no_word_is_refused_with_its_place),
        cmocka_unit_test(bare_text_ends_at_white_space),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
