/*
 * The two spellings of a policy are those of conf_spelled(). Patterns are codes of base/wildcard.h;
 * ${*}, ${?} and ${$} in a resource stand for the characters themselves. Whatever else IAM knows and
 * this does not would make a policy say more or less than it seems to, so it is an error.
 */
#include "base/iam.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/wildcard.h"

struct pattern_list {
    struct str *codes;
    size_t count;
    bool excludes; /* NotAction, NotResource */
};

struct statement {
    bool denies;
    struct pattern_list actions, resources;
};

struct iam_policy {
    const char *name;
    struct statement *statements;
    size_t count;
};

struct iam_policies {
    struct arena arena;
    struct iam_policy *items;
    size_t count;
};

struct compiler {
    struct arena *arena;
    struct err *err;
    size_t bytes; /* of the present policy's texts */
};

static int invalid(struct compiler *compiler, const struct conf *at, const char *what) {
    return conf_error(at, compiler->err, ERR_INVALID, "%s", what);
}

/* ---- patterns ---- */

static int compile_action(struct compiler *compiler, const struct conf *at, struct str *ret_code) {
    char *text = arena_strdup(compiler->arena, str_of(at->text));
    for (char *c = text; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    if (strcmp(text, "*") != 0 && !strchr(text, ':'))
        return invalid(compiler, at, "an action is SERVICE:NAME, such as kinesis:PutRecord, or *");
    *ret_code = wildcard_compile(compiler->arena, str_of(text));
    return 0;
}

/* The characters that "${" and "}" hold are put back after the rest has been compiled. */
static int compile_resource(struct compiler *compiler, const struct conf *at,
                            struct str *ret_code) {
    char *text = arena_strdup(compiler->arena, str_of(at->text)), *to = text;
    char *literal = arena_strdup(compiler->arena, str_of(at->text));
    memset(literal, 0, strlen(literal));
    for (const char *from = text; *from; to++) {
        bool escaped = from[0] == '$' && from[1] == '{';
        if (escaped && (!from[2] || !strchr("*?$", from[2]) || from[3] != '}'))
            return invalid(compiler, at, "of variables only ${*}, ${?} and ${$} are known here");
        literal[to - text] = escaped ? from[2] : '\0';
        *to = escaped ? 'x' : *from;
        from += escaped ? 4 : 1;
    }
    *to = '\0';
    *ret_code = wildcard_compile(compiler->arena, str_of(text));
    for (size_t i = 0; i < ret_code->len; i++)
        if (literal[i])
            ((char *)ret_code->at)[i] = literal[i];
    return 0;
}

/* A text counts as a list of one. */
static int compile_list(struct compiler *compiler, const struct conf *conf,
                        int (*compile)(struct compiler *, const struct conf *, struct str *),
                        struct pattern_list *list) {
    bool is_list = conf->type == CONF_LIST;
    list->count = is_list ? conf->count : 1;
    list->codes = arena_zalloc(compiler->arena, (list->count + 1) * sizeof *list->codes);
    for (size_t i = 0; i < list->count; i++) {
        const struct conf *item = is_list ? conf->items[i] : conf;
        if (item->type != CONF_SCALAR || !item->text[0])
            return invalid(compiler, item, "a text is wanted");
        compiler->bytes += strlen(item->text);
        if (compiler->bytes > IAM_POLICY_BYTES_MAX)
            return invalid(compiler, item, "the policy is longer than 64 KiB here");
        int failed = compile(compiler, item, &list->codes[i]);
        if (failed)
            return failed;
    }
    return 0;
}

/* ---- documents ---- */

static int read_effect(struct compiler *compiler, const struct conf *conf, bool *ret_denies) {
    const char *text = conf->type == CONF_SCALAR ? conf->text : "";
    *ret_denies = strcmp(text, "Deny") == 0;
    if (!*ret_denies && strcmp(text, "Allow") != 0)
        return invalid(compiler, conf, "effect: Allow or Deny is wanted");
    return 0;
}

static int read_statement(struct compiler *compiler, const struct conf *conf,
                          struct statement *statement) {
    enum { EFFECT, ACTION, NOT_ACTION, RESOURCE, NOT_RESOURCE, CONDITION, SID, COUNT };
    static const struct conf_spelling keys[] = {{"effect", "Effect"},
                                                {"action", "Action"},
                                                {"not_action", "NotAction"},
                                                {"resource", "Resource"},
                                                {"not_resource", "NotResource"},
                                                {"condition", "Condition"},
                                                {"sid", "Sid"},
                                                {NULL, NULL}};
    const struct conf *values[COUNT];
    int failed = conf_spelled(conf, keys, "a policy", values, compiler->err);
    if (failed)
        return failed;
    if (values[CONDITION])
        return invalid(compiler, values[CONDITION], "conditions are not supported here");
    if (!values[EFFECT] || !values[ACTION] == !values[NOT_ACTION] ||
        !values[RESOURCE] == !values[NOT_RESOURCE])
        return invalid(compiler, conf,
                       "a statement needs effect, action or not_action, and resource or "
                       "not_resource");
    statement->actions.excludes = values[NOT_ACTION];
    statement->resources.excludes = values[NOT_RESOURCE];
    failed = read_effect(compiler, values[EFFECT], &statement->denies);
    if (!failed)
        failed = compile_list(compiler, values[values[ACTION] ? ACTION : NOT_ACTION],
                              compile_action, &statement->actions);
    if (!failed)
        failed = compile_list(compiler, values[values[RESOURCE] ? RESOURCE : NOT_RESOURCE],
                              compile_resource, &statement->resources);
    return failed;
}

static int read_policy(struct compiler *compiler, const struct conf *conf,
                       struct iam_policy *policy) {
    enum { STATEMENT, VERSION, ID, COUNT };
    static const struct conf_spelling keys[] = {
        {"statement", "Statement"}, {"version", "Version"}, {"id", "Id"}, {NULL, NULL}};
    const struct conf *values[COUNT];
    int failed = conf_spelled(conf, keys, "a policy", values, compiler->err);
    if (failed)
        return failed;
    const struct conf *statements = values[STATEMENT], *version = values[VERSION];
    if (version && (version->type != CONF_SCALAR || strcmp(version->text, "2012-10-17") != 0))
        return invalid(compiler, version, "version: \"2012-10-17\" is wanted");
    if (!statements)
        return invalid(compiler, conf, "a policy needs statement");
    bool is_list = statements->type == CONF_LIST;
    policy->count = is_list ? statements->count : 1;
    if (policy->count > IAM_STATEMENTS_MAX)
        return invalid(compiler, statements, "a policy may have 100 statements");
    policy->statements =
        arena_zalloc(compiler->arena, (policy->count + 1) * sizeof *policy->statements);
    for (size_t i = 0; !failed && i < policy->count; i++)
        failed = read_statement(compiler, is_list ? statements->items[i] : statements,
                                &policy->statements[i]);
    return failed;
}

static int read_policies(const struct conf *conf, struct iam_policies *policies, struct err *err) {
    if (conf->type != CONF_MAP || conf->count > IAM_POLICIES_MAX)
        return conf_error(conf, err, ERR_INVALID, "policies: a map of at most %d names is wanted",
                          IAM_POLICIES_MAX);
    policies->items = arena_zalloc(&policies->arena, (conf->count + 1) * sizeof *policies->items);
    policies->count = conf->count;
    int failed = 0;
    for (size_t i = 0; !failed && i < conf->count; i++) {
        struct compiler compiler = {.arena = &policies->arena, .err = err};
        policies->items[i].name = arena_strdup(&policies->arena, str_of(conf->keys[i].text));
        failed = read_policy(&compiler, conf->items[i], &policies->items[i]);
    }
    return failed;
}

int iam_policies_compile(const struct conf *conf, struct iam_policies **ret_policies,
                         struct err *err) {
    struct iam_policies *policies = xcalloc(1, sizeof *policies);
    int failed = conf ? read_policies(conf, policies, err) : 0;
    if (failed)
        iam_policies_free(policies);
    else
        *ret_policies = policies;
    return failed;
}

void iam_policies_free(struct iam_policies *policies) {
    if (!policies)
        return;
    arena_done(&policies->arena);
    free(policies);
}

const struct iam_policy *iam_policy_find(const struct iam_policies *policies, const char *name) {
    for (size_t i = 0; policies && i < policies->count; i++)
        if (strcmp(policies->items[i].name, name) == 0)
            return &policies->items[i];
    return NULL;
}

/* ---- decisions ---- */

static bool holds(const struct pattern_list *list, struct str text) {
    for (size_t i = 0; i < list->count; i++)
        if (wildcard_matches(list->codes[i], text))
            return !list->excludes;
    return list->excludes;
}

enum iam_decision iam_decide(const struct iam_policy *policy, struct str action,
                             struct str resource) {
    char room[IAM_ACTION_CHARS_MAX];
    enum iam_decision decision = IAM_IMPLICIT_DENY;
    if (action.len > sizeof room)
        return decision;
    for (size_t i = 0; i < action.len; i++) {
        char c = action.at[i];
        room[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    struct str folded = str_from(room, action.len);
    for (size_t i = 0; i < policy->count; i++) {
        const struct statement *statement = &policy->statements[i];
        if (!holds(&statement->actions, folded) || !holds(&statement->resources, resource))
            continue;
        if (statement->denies)
            return IAM_EXPLICIT_DENY;
        decision = IAM_ALLOW;
    }
    return decision;
}
