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
 * characters. To match, values take the places of the variables, and what they hold is literal; the
 * rest is base/wildcard.h's.
 */
#include "base/utf8.h"
#include "base/wildcard.h"
#include "mqtt/policy.h"

enum { CODE_VARIABLE = 0xf8 };

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
            c = (char)(c == '*' ? WILDCARD_ANY : WILDCARD_ONE);
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

bool policy_pattern_matches(const struct policy_pattern *pattern, const struct str *values,
                            struct str text, struct buf *scratch) {
    return wildcard_matches(pattern->variables ? expand(pattern, values, scratch) : pattern->code,
                            text);
}
