/*
 * Patterns of policies: wildcards and variables.
 *
 *      text in the policy                        byte of the code
 *      *   any characters, none too, '/' too     0xFF
 *      ?   one character                         0xFE
 *      ${iot:ClientId} and other variables       0xF8 + enum policy_variable
 *      ${*}  ${?}  ${$}                          the character itself
 *      anything else                             itself
 *
 * UTF-8 has none of these bytes, so the code needs no escapes; MQTT's '+' and '#' are ordinary
 * characters. To match, values take the places of the variables, and what they hold is literal.
 *
 * The parts between '*' are found from left to right, each as early as possible: with '*' around it, an early
 * place leaves most to what follows. A part without '?' is looked for by memmem(), so the time is
 * linear in text and pattern. A part with '?' is tried place by place, at most as many comparisons
 * as text times part; nothing ever goes back behind a '*'.
 */
#include "base/utf8.h"
#include "mqtt/policy.h"

enum { CODE_ANY = 0xff, CODE_ONE = 0xfe, CODE_VARIABLE = 0xf8 };

/* ---- compiling ---- */

static const char *const variable_names[] = {
#define X(name, text) text,
    POLICY_VARIABLES(X)
#undef X
};

/* Variables that AWS has and Weir has no value for. */
static const char *const foreign_variables[] = {"iot:Connection.Thing.", "iot:Certificate.",
                                                "iot:DomainName",
                                                "aws:", "cognito-identity.amazonaws.com:"};

static int find_variable(struct str name) {
    for (int i = 0; i < POLICY_VARIABLE_COUNT; i++)
        if (str_eq_nocase(name, str_of(variable_names[i])))
            return i;
    for (size_t i = 0; i < sizeof foreign_variables / sizeof *foreign_variables; i++)
        if (str_starts(name, str_of(foreign_variables[i])))
            return POLICY_VARIABLE_UNKNOWN;
    return ERR_NOT_FOUND;
}

/* What stands in "${...}": one of the three characters, or a variable. */
static int compile_reference(struct str name, struct policy_pattern *pattern, char *ret_code,
                             const char **ret_why) {
    if (name.len == 1 && strchr("*?$", name.at[0])) {
        *ret_code = name.at[0];
        return 0;
    }
    int variable = find_variable(name);
    if (variable < 0) {
        *ret_why = "there is no such policy variable; known: iot:ClientId, aws:SourceIp, "
                   "iot:CertificateId, iot:Certificate.Subject.CommonName, and ${*} ${?} ${$}";
        return ERR_INVALID;
    }
    pattern->variables |= (uint8_t)(1u << variable);
    *ret_code = (char)(CODE_VARIABLE + variable);
    return 0;
}

int policy_pattern_compile(struct arena *arena, struct str text, enum policy_wildcards wildcards,
                           struct policy_pattern *ret_pattern, const char **ret_why) {
    struct policy_pattern pattern = {{arena_alloc(arena, text.len + 1), 0}, 0};
    char *code = (char *)pattern.code.at;
    while (text.len) {
        char c = text.at[0];
        size_t used = 1;
        if (str_starts(text, STR("${"))) {
            struct str name = str_from(text.at + 2, str_find(str_skip(text, 2), '}'));
            used = name.len + 3;
            if (used > text.len) {
                *ret_why = "\"${\" without \"}\"";
                return ERR_INVALID;
            }
            int failed = compile_reference(name, &pattern, &c, ret_why);
            if (failed)
                return failed;
        } else if (wildcards == POLICY_WILDCARDS && (c == '*' || c == '?')) {
            c = (char)(c == '*' ? CODE_ANY : CODE_ONE);
        }
        code[pattern.code.len++] = c;
        text = str_skip(text, used);
    }
    *ret_pattern = pattern;
    return 0;
}

/* ---- variables ---- */

bool policy_value_replaces(struct str value) {
    if (value.len == 0 || value.len > POLICY_VALUE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < value.len; i++)
        if (strchr("*$+?#", value.at[i])) /* finds NUL too */
            return false;
    return utf8_valid(value);
}

static struct str expand(const struct policy_pattern *pattern, const struct str *values,
                         struct buf *scratch) {
    buf_clear(scratch);
    for (size_t i = 0; i < pattern->code.len; i++) {
        unsigned code = (uint8_t)pattern->code.at[i];
        if (code >= CODE_VARIABLE && code < CODE_VARIABLE + POLICY_VARIABLE_COUNT)
            buf_add_str(scratch, values[code - CODE_VARIABLE]);
        else
            buf_add_u8(scratch, (uint8_t)code);
    }
    return buf_str(scratch);
}

/* ---- matching ---- */

/* What is no UTF-8 is stepped over byte by byte. */
static size_t first_character(struct str text) {
    size_t bytes = utf8_sequence(text);
    return bytes ? bytes : text.len > 0;
}

/* Takes the part, which has no '*', off the front of the text. */
static bool take_front(struct str part, struct str *text) {
    struct str rest = *text;
    for (bool more = true; more;) {
        size_t at = str_find(part, (char)CODE_ONE);
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
    struct str literal = str_from(part.at, str_find(part, (char)CODE_ONE));
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

static bool match(struct str code, struct str text) {
    size_t star = str_find(code, (char)CODE_ANY);
    if (!take_front(str_from(code.at, star), &text))
        return false;
    if (star == code.len)
        return text.len == 0;
    for (;;) {
        code = str_skip(code, star + 1);
        star = str_find(code, (char)CODE_ANY);
        if (star == code.len)
            return ends_with(code, text);
        if (!take_first(str_from(code.at, star), &text))
            return false;
    }
}

bool policy_pattern_matches(const struct policy_pattern *pattern, const struct str *values,
                            struct str text, struct buf *scratch) {
    return match(pattern->variables ? expand(pattern, values, scratch) : pattern->code, text);
}
