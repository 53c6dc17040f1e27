/*
 * The parts between '*' are found from left to right, each as early as possible: with '*' around
 * it, an early place leaves most to what follows. A part without '?' is looked for by memmem(), so
 * the time is linear in text and pattern. A part with '?' is tried place by place, at most as many
 * comparisons as text times part; nothing ever goes back behind a '*'.
 */
#include "base/wildcard.h"

#include "base/utf8.h"

struct str wildcard_compile(struct arena *arena, struct str text) {
    char *code = arena_strdup(arena, text);
    for (size_t i = 0; i < text.len; i++)
        if (code[i] == '*' || code[i] == '?')
            code[i] = (char)(code[i] == '*' ? WILDCARD_ANY : WILDCARD_ONE);
    return str_from(code, text.len);
}

/* What is no UTF-8 is stepped over byte by byte. */
static size_t first_character(struct str text) {
    size_t bytes = utf8_sequence(text);
    return bytes ? bytes : text.len > 0;
}

/* Takes the part, which has no '*', off the front of the text. */
static bool take_front(struct str part, struct str *text) {
    struct str rest = *text;
    for (bool more = true; more;) {
        size_t at = str_find(part, (char)WILDCARD_ONE);
        struct str literal = str_from(part.at, at);
        more = at < part.len;
        if (!str_starts(rest, literal))
            return false;
        rest = str_skip(rest, literal.len);
        part = str_skip(part, at + 1);
        size_t one = more ? first_character(rest) : 0;
        if (more && one == 0)
            return false;
        rest = str_skip(rest, one);
    }
    *text = rest;
    return true;
}

/* Takes all up to and with the part's first place off the text. */
static bool take_first(struct str part, struct str *text) {
    struct str literal = str_from(part.at, str_find(part, (char)WILDCARD_ONE));
    struct str rest = *text;
    for (;;) {
        const char *hit = rest.at;
        if (literal.len)
            hit = rest.len ? memmem(rest.at, rest.len, literal.at, literal.len) : NULL;
        if (!hit)
            return false;
        rest = str_skip(rest, (size_t)(hit - rest.at));
        struct str behind = rest;
        if (take_front(part, &behind)) {
            *text = behind;
            return true;
        }
        if (rest.len == 0)
            return false;
        rest = str_skip(rest, first_character(rest));
    }
}

static bool is_continuation(char byte) {
    return ((uint8_t)byte & 0xc0) == 0x80;
}

/* Whether the text ends with the part, which is as many characters long as what it matches. */
static bool ends_with(struct str part, struct str text) {
    size_t at = text.len;
    for (struct str rest = part; rest.len; rest = str_skip(rest, first_character(rest))) {
        if (at == 0)
            return false;
        do
            at--;
        while (at && is_continuation(text.at[at]));
    }
    struct str end = str_skip(text, at);
    return take_front(part, &end) && end.len == 0;
}

bool wildcard_matches(struct str code, struct str text) {
    size_t star = str_find(code, (char)WILDCARD_ANY);
    if (!take_front(str_from(code.at, star), &text))
        return false;
    if (star == code.len)
        return text.len == 0;
    for (;;) {
        code = str_skip(code, star + 1);
        star = str_find(code, (char)WILDCARD_ANY);
        if (star == code.len)
            return ends_with(code, text);
        if (!take_first(str_from(code.at, star), &text))
            return false;
    }
}
