#include "rule/role.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/wildcard.h"

struct patterns {
    struct str *codes;
    size_t count;
};

struct statement {
    bool denies;
    bool all_but_actions, all_but_resources; /* NotAction, NotResource */
    struct patterns actions, resources;
};

struct rule_role {
    struct str name;
    struct statement *statements;
    size_t count;
};

struct rule_roles {
    _Atomic unsigned references;
    struct arena arena;
    struct map by_name; /* struct rule_role */
    const char *region, *account;
};

struct compiler {
    struct arena *arena;
    struct err *err;
    size_t bytes; /* of the present role's texts */
};

/* ---- compiling ---- */

/* A text counts as a list of one. */
static size_t item_count(const struct conf *conf) {
    return conf->type == CONF_LIST ? conf->count : 1;
}

static const struct conf *item_at(const struct conf *conf, size_t i) {
    return conf->type == CONF_LIST ? conf->items[i] : conf;
}

static int read_text(struct compiler *compiler, const struct conf *conf, struct str *ret_text) {
    if (conf->type != CONF_SCALAR)
        return conf_error(conf, compiler->err, ERR_INVALID, "a text is wanted");
    *ret_text = str_of(conf->text);
    compiler->bytes += ret_text->len + 1;
    if (compiler->bytes > RULE_ROLE_BYTES_MAX)
        return conf_error(conf, compiler->err, ERR_TOO_LARGE,
                          "the role is longer than %d bytes here", RULE_ROLE_BYTES_MAX);
    return 0;
}

static struct str fold(struct arena *arena, struct str text) {
    char *folded = arena_strdup(arena, text);
    for (char *at = folded; *at; at++)
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
    return str_from(folded, text.len);
}

static int read_action(struct compiler *compiler, const struct conf *conf, struct str *ret_code) {
    struct str text;
    int code = read_text(compiler, conf, &text);
    if (code)
        return code;
    if (!str_eq(text, STR("*")) && str_find(text, ':') == text.len)
        return conf_error(conf, compiler->err, ERR_INVALID,
                          "an action is wanted, such as \"kinesis:PutRecord\" or \"*\"");
    *ret_code = wildcard_compile(compiler->arena, fold(compiler->arena, text));
    return 0;
}

/* Region and account become '*': all of them count as ours. */
static struct str any_place(struct compiler *compiler, struct str arn) {
    enum { PARTS = 6, REGION = 3, ACCOUNT = 4 };
    struct buf out = {0};
    struct str rest = arn;
    for (int i = 0; i < PARTS - 1; i++) {
        struct str part = str_from(rest.at, str_find(rest, ':'));
        if (part.len == rest.len) { /* it ends early, with a wildcard */
            buf_done(&out);
            return arn;
        }
        buf_add_str(&out, i == REGION || i == ACCOUNT ? STR("*") : part);
        buf_add_u8(&out, ':');
        rest = str_skip(rest, part.len + 1);
    }
    buf_add_str(&out, rest);
    struct str made = str_from(arena_strdup(compiler->arena, buf_str(&out)), buf_len(&out));
    buf_done(&out);
    return made;
}

static int read_resource(struct compiler *compiler, const struct conf *conf, struct str *ret_code) {
    struct str text;
    int code = read_text(compiler, conf, &text);
    if (code)
        return code;
    bool is_arn = str_starts(text, STR("arn:"));
    if (!is_arn && !str_eq(text, STR("*")))
        return conf_error(conf, compiler->err, ERR_INVALID,
                          "a resource is \"*\" or an ARN, such as "
                          "\"arn:aws:kinesis:*:*:stream/sensors\"");
    *ret_code = wildcard_compile(compiler->arena, is_arn ? any_place(compiler, text) : text);
    return 0;
}

static int read_patterns(struct compiler *compiler, const struct conf *conf,
                         int (*read)(struct compiler *, const struct conf *, struct str *),
                         struct patterns *patterns) {
    patterns->codes =
        arena_zalloc(compiler->arena, (item_count(conf) + 1) * sizeof *patterns->codes);
    int code = 0;
    for (size_t i = 0; !code && i < item_count(conf); i++)
        code = read(compiler, item_at(conf, i), &patterns->codes[patterns->count++]);
    if (!code && patterns->count == 0)
        return conf_error(conf, compiler->err, ERR_INVALID, "at least one is wanted here");
    return code;
}

static int read_effect(struct compiler *compiler, const struct conf *conf,
                       struct statement *statement) {
    struct str text;
    int code = read_text(compiler, conf, &text);
    if (code)
        return code;
    statement->denies = str_eq(text, STR("Deny"));
    if (!statement->denies && !str_eq(text, STR("Allow")))
        return conf_error(conf, compiler->err, ERR_INVALID, "effect: Allow or Deny is wanted");
    return 0;
}

static int read_statement(struct compiler *compiler, const struct conf *conf,
                          struct statement *statement) {
    enum { EFFECT, ACTION, NOT_ACTION, RESOURCE, NOT_RESOURCE, CONDITION, SID, KEYS };
    static const struct conf_spelling keys[] = {{"effect", "Effect"},
                                                {"action", "Action"},
                                                {"not_action", "NotAction"},
                                                {"resource", "Resource"},
                                                {"not_resource", "NotResource"},
                                                {"condition", "Condition"},
                                                {"sid", "Sid"},
                                                {NULL, NULL}};
    const struct conf *values[KEYS];
    int code = conf_spelled(conf, keys, "a role", values, compiler->err);
    if (code)
        return code;
    if (values[CONDITION])
        return conf_error(values[CONDITION], compiler->err, ERR_UNSUPPORTED,
                          "a role has no conditions: Weir has no values for them");
    if (!values[EFFECT] || !values[ACTION] == !values[NOT_ACTION] ||
        !values[RESOURCE] == !values[NOT_RESOURCE])
        return conf_error(conf, compiler->err, ERR_INVALID,
                          "a statement needs effect, one of action and not_action, and one of "
                          "resource and not_resource");
    statement->all_but_actions = values[NOT_ACTION] != NULL;
    statement->all_but_resources = values[NOT_RESOURCE] != NULL;
    code = read_effect(compiler, values[EFFECT], statement);
    if (!code)
        code = read_patterns(compiler, values[ACTION] ? values[ACTION] : values[NOT_ACTION],
                             read_action, &statement->actions);
    if (!code)
        code = read_patterns(compiler, values[RESOURCE] ? values[RESOURCE] : values[NOT_RESOURCE],
                             read_resource, &statement->resources);
    return code;
}

static int read_role(struct compiler *compiler, const struct conf *conf, struct rule_role *role) {
    enum { STATEMENT, VERSION, ID, KEYS };
    static const struct conf_spelling keys[] = {
        {"statement", "Statement"}, {"version", "Version"}, {"id", "Id"}, {NULL, NULL}};
    const struct conf *values[KEYS];
    int code = conf_spelled(conf, keys, "a role", values, compiler->err);
    if (code)
        return code;
    const struct conf *version = values[VERSION], *statements = values[STATEMENT];
    if (version && (version->type != CONF_SCALAR || strcmp(version->text, "2012-10-17")))
        return conf_error(version, compiler->err, ERR_INVALID, "version: \"2012-10-17\" is wanted");
    if (!statements)
        return conf_error(conf, compiler->err, ERR_INVALID, "a role needs statement");
    if (item_count(statements) > RULE_ROLE_STATEMENTS_MAX)
        return conf_error(statements, compiler->err, ERR_TOO_LARGE,
                          "%zu statements; %d are the most in a role", item_count(statements),
                          RULE_ROLE_STATEMENTS_MAX);
    role->statements =
        arena_zalloc(compiler->arena, (item_count(statements) + 1) * sizeof *role->statements);
    for (size_t i = 0; !code && i < item_count(statements); i++)
        code = read_statement(compiler, item_at(statements, i), &role->statements[role->count++]);
    return code;
}

static int compile(struct rule_roles *roles, const struct conf *conf, struct err *err) {
    struct compiler compiler = {.arena = &roles->arena, .err = err};
    if (conf->type != CONF_MAP)
        return conf_error(conf, err, ERR_INVALID, "roles: a map of names to policies is wanted");
    int code = 0;
    for (size_t i = 0; !code && i < conf->count; i++) {
        struct rule_role *role = arena_zalloc(&roles->arena, sizeof *role);
        role->name = str_of(arena_strdup(&roles->arena, str_of(conf->keys[i].text)));
        compiler.bytes = 0;
        code = read_role(&compiler, conf->items[i], role);
        map_put(&roles->by_name, role->name, role);
    }
    return code;
}

int rule_roles_compile(const struct conf *conf, const char *region, const char *account,
                       struct rule_roles **ret_roles, struct err *err) {
    struct rule_roles *roles = xcalloc(1, sizeof *roles);
    roles->references = 1;
    roles->region = arena_strdup(&roles->arena, str_of(region));
    roles->account = arena_strdup(&roles->arena, str_of(account));
    int code = conf ? compile(roles, conf, err) : 0;
    if (code)
        rule_roles_unref(roles);
    else
        *ret_roles = roles;
    return code;
}

struct rule_roles *rule_roles_ref(struct rule_roles *roles) {
    if (roles)
        atomic_fetch_add_explicit(&roles->references, 1, memory_order_relaxed);
    return roles;
}

void rule_roles_unref(struct rule_roles *roles) {
    if (!roles || atomic_fetch_sub_explicit(&roles->references, 1, memory_order_acq_rel) != 1)
        return;
    map_done(&roles->by_name);
    arena_done(&roles->arena);
    free(roles);
}

/* ---- using ---- */

bool rule_roles_absent(const struct rule_roles *roles) {
    return !roles || roles->by_name.count == 0;
}

const struct rule_role *rule_roles_find(const struct rule_roles *roles, struct str name_or_arn) {
    struct str name = name_or_arn;
    if (str_starts(name, STR("arn:")))
        for (size_t slash; (slash = str_find(name, '/')) < name.len;)
            name = str_skip(name, slash + 1);
    return roles ? map_get(&roles->by_name, name) : NULL;
}

void rule_roles_add_arn(const struct rule_roles *roles, struct buf *out, const char *service) {
    buf_printf(out, "arn:aws:%s:%s:%s:", service, roles->region, roles->account);
}

static bool any_matches(const struct patterns *patterns, struct str text) {
    for (size_t i = 0; i < patterns->count; i++)
        if (wildcard_matches(patterns->codes[i], text))
            return true;
    return false;
}

int rule_role_check(const struct rule_role *role, struct str action, struct str arn,
                    struct err *why) {
    struct arena arena = {0};
    struct str folded = fold(&arena, action);
    bool allowed = false, denied = false;
    for (size_t i = 0; !denied && i < role->count; i++) {
        const struct statement *statement = &role->statements[i];
        if (any_matches(&statement->actions, folded) == statement->all_but_actions ||
            any_matches(&statement->resources, arn) == statement->all_but_resources)
            continue;
        denied = statement->denies;
        allowed = true;
    }
    arena_done(&arena);
    if (allowed && !denied)
        return 0;
    return err_set(why, ERR_DENIED, "the role %.*s %s %.*s on %.*s", STR_ARG(role->name),
                   denied ? "denies" : "does not allow", STR_ARG(action), STR_ARG(arn));
}
