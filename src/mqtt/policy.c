/*
 * Compiles policies. A document may be written with the lower-case keys of the rest of the
 * configuration, or as AWS has it, key by key:
 *
 *      statement, Statement        a list of statements, or one
 *        effect, Effect            Allow or Deny
 *        action, Action            a text or a list: "iot:Publish", "iot:*", "*"; letters of any case
 *        resource, Resource        a text or a list, see below; or, of the two,
 *        not_resource, NotResource   all others than these
 *        condition, Condition      OPERATOR: { KEY: value or list }, all of which must be true
 *        sid, Sid                  a remark
 *      version, Version            "2012-10-17"
 *      id, Id                      a remark
 *
 * A resource is "*", "arn:aws:iot:REGION:ACCOUNT:TAIL" or TAIL alone; any region and account are
 * accepted and count as ours. TAIL is client/ID, topic/TOPIC, topicfilter/FILTER and so on; in an
 * ARN that ends early with a '*' it is that '*'.
 *
 * An action of iot: that Weir does not know is accepted, since AWS has many more, unless it looks like a
 * misspelt one: a Deny that denies nothing would be a hole.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/ref.h"
#include "mqtt/policy.h"

struct compiler {
    struct mqtt_policies *policies;
    struct arena *arena; /* of the policies */
    struct err *err;
    struct buf scratch;
    size_t bytes;                            /* of the present policy's texts */
    struct str actions[POLICY_ACTION_COUNT]; /* in lower case */
};

static const char *const action_texts[] = {
#define X(name, text) text,
    POLICY_ACTIONS(X)
#undef X
};

const char *policy_action_text(enum policy_action action) {
    return action_texts[action];
}

/* ---- texts ---- */

static int invalid(struct compiler *compiler, const struct conf *at, const char *what) {
    return conf_error(at, compiler->err, ERR_INVALID, "%s", what);
}

static int read_text(struct compiler *compiler, const struct conf *conf, struct str *ret_text) {
    *ret_text = str_of(conf->text);
    if (conf->type != CONF_SCALAR)
        return invalid(compiler, conf, "a text is wanted");
    compiler->bytes += ret_text->len + 1;
    if (compiler->bytes > POLICY_BYTES_MAX)
        return conf_error(conf, compiler->err, ERR_TOO_LARGE,
                          "the policy is longer than %d bytes here", POLICY_BYTES_MAX);
    return 0;
}

/* A text counts as a list of one. */
static size_t item_count(const struct conf *conf) {
    return conf->type == CONF_LIST ? conf->count : 1;
}

static const struct conf *item_at(const struct conf *conf, size_t i) {
    return conf->type == CONF_LIST ? conf->items[i] : conf;
}

/* ---- keys, in both forms ---- */

enum { KEYS_MAX = 8 };

static struct conf key_place(const struct conf *map, size_t i) {
    return (struct conf){
        .file = map->file, .line = map->keys[i].line, .column = map->keys[i].column};
}

static int read_keys(struct compiler *compiler, const struct conf *conf,
                     const struct conf_spelling *keys, const struct conf *ret_values[KEYS_MAX]) {
    return conf_spelled(conf, keys, "a policy", ret_values, compiler->err);
}

/* ---- actions ---- */

static const char *nearest_action(struct str text) {
    for (int i = 0; i < POLICY_ACTION_COUNT; i++)
        if (str_distance(text, str_of(action_texts[i])) <= 2)
            return action_texts[i];
    return NULL;
}

static struct str fold(struct compiler *compiler, struct str text) {
    char *folded = arena_strdup(compiler->arena, text);
    for (char *at = folded; *at; at++)
        *at = (char)(*at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
    return str_of(folded);
}

static int add_action(struct compiler *compiler, const struct conf *conf,
                      struct policy_statement *statement) {
    struct str text;
    int failed = read_text(compiler, conf, &text);
    if (failed)
        return failed;
    if (!str_eq(text, STR("*")) && str_find(text, ':') == text.len)
        return invalid(compiler, conf,
                       "an action is wanted, such as \"iot:Publish\", \"iot:*\" or \"*\"");
    struct policy_pattern pattern;
    const char *why;
    if (policy_pattern_compile(compiler->arena, fold(compiler, text), POLICY_WILDCARDS, &pattern,
                               &why))
        return invalid(compiler, conf, why);
    if (pattern.variables)
        return invalid(compiler, conf, "an action has no variables");
    uint32_t matching = 0;
    for (int i = 0; i < POLICY_ACTION_COUNT; i++)
        if (policy_pattern_matches(&pattern, NULL, compiler->actions[i], &compiler->scratch))
            matching |= 1u << i;
    statement->actions |= matching;
    const char *nearest = matching ? NULL : nearest_action(text);
    if (nearest)
        return conf_error(conf, compiler->err, ERR_INVALID,
                          "there is no action \"%.60s\"; did you mean \"%s\"?", conf->text,
                          nearest);
    return 0;
}

static int read_actions(struct compiler *compiler, const struct conf *conf,
                        struct policy_statement *statement) {
    int failed = 0;
    for (size_t i = 0; !failed && i < item_count(conf); i++)
        failed = add_action(compiler, item_at(conf, i), statement);
    return failed;
}

/* ---- resources ---- */

static const char *const kinds[] = {"client/",     "topic/",     "topicfilter/", "thing/",
                                    "thinggroup/", "thingtype/", "rolealias/",   "cert/",
                                    "job/",        "rule/",      "policy/"};

/* Whether what stands before the first wildcard or variable can begin one of the kinds. */
static bool is_kind(struct str tail) {
    struct str literal = str_from(tail.at, strcspn(tail.at, "*?$"));
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct str kind = str_of(kinds[i]);
        if (str_starts(literal, kind) || (literal.len < tail.len && str_starts(kind, literal)))
            return true;
    }
    return false;
}

/* What stands behind "arn:PARTITION:iot:REGION:ACCOUNT:". */
static const char *arn_tail(struct str text, struct str *ret_tail) {
    struct str rest = text, part;
    enum { ARN_PARTS = 5, ARN_SERVICE = 2 };
    for (int i = 0; i < ARN_PARTS; i++) {
        part = str_from(rest.at, str_find(rest, ':'));
        if (i == ARN_SERVICE && !str_eq(part, STR("iot")) && !str_eq(part, STR("*")))
            return "an ARN of the service iot is wanted: arn:aws:iot:REGION:ACCOUNT:topic/...";
        if (part.len == rest.len) {
            *ret_tail = STR("*");
            return part.len && part.at[part.len - 1] == '*' && i >= ARN_SERVICE
                       ? NULL
                       : "an ARN has six parts: arn:aws:iot:REGION:ACCOUNT:topic/...";
        }
        rest = str_skip(rest, part.len + 1);
    }
    *ret_tail = rest;
    return NULL;
}

static int add_resource(struct compiler *compiler, const struct conf *conf,
                        struct policy_statement *statement) {
    struct str text, tail;
    int failed = read_text(compiler, conf, &text);
    if (failed)
        return failed;
    tail = text;
    const char *why = str_starts(text, STR("arn:")) ? arn_tail(text, &tail) : NULL;
    if (!why && !is_kind(tail))
        why = "a resource is \"*\", or begins with topic/, topicfilter/ or client/, behind "
              "arn:aws:iot:REGION:ACCOUNT: or without it";
    if (why)
        return invalid(compiler, conf, why);
    struct policy_pattern *pattern = &statement->resources[statement->resource_count++];
    if (policy_pattern_compile(compiler->arena, tail, POLICY_WILDCARDS, pattern, &why))
        return invalid(compiler, conf, why);
    statement->variables |= pattern->variables;
    return 0;
}

static int read_resources(struct compiler *compiler, const struct conf *conf,
                          struct policy_statement *statement) {
    size_t count = item_count(conf);
    if (count == 0)
        return invalid(compiler, conf, "at least one resource is wanted");
    statement->resources = arena_zalloc(compiler->arena, count * sizeof *statement->resources);
    int failed = 0;
    for (size_t i = 0; !failed && i < count; i++)
        failed = add_resource(compiler, item_at(conf, i), statement);
    return failed;
}

/* ---- conditions ---- */

enum value_type { VALUE_EXACT, VALUE_LIKE, VALUE_NETWORK, VALUE_BOOL };

static const struct comparison {
    const char *name;
    enum value_type type;
    bool negated;
} comparisons[] = {
    {"StringEquals", VALUE_EXACT, false}, {"StringNotEquals", VALUE_EXACT, true},
    {"StringLike", VALUE_LIKE, false},    {"StringNotLike", VALUE_LIKE, true},
    {"IpAddress", VALUE_NETWORK, false},  {"NotIpAddress", VALUE_NETWORK, true},
    {"Bool", VALUE_BOOL, false},
};

static const struct comparison *find_comparison(struct str name,
                                                enum policy_quantifier *ret_quantifier) {
    struct str for_all = STR("ForAllValues:"), for_any = STR("ForAnyValue:");
    *ret_quantifier = str_starts(name, for_all)   ? POLICY_FOR_ALL
                      : str_starts(name, for_any) ? POLICY_FOR_ANY
                                                  : POLICY_PLAIN;
    if (*ret_quantifier)
        name = str_skip(name, *ret_quantifier == POLICY_FOR_ALL ? for_all.len : for_any.len);
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++)
        if (str_eq(name, str_of(comparisons[i].name)))
            return &comparisons[i];
    return NULL;
}

/* As for variables: what AWS has and Weir has no value for is known all the same. */
static int find_key(struct str name) {
    static const char *const names[] = {
#define X(name_, text) text,
        POLICY_VARIABLES(X)
#undef X
            "iot:ConnectAttributes",
        "iot:Connection.Thing.IsAttached"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq_nocase(name, str_of(names[i])))
            return (int)i;
    bool is_aws = str_starts(name, STR("iot:Connection.Thing.")) ||
                  str_starts(name, STR("iot:Certificate.")) || str_eq(name, STR("iot:DomainName"));
    return is_aws ? POLICY_KEY_UNKNOWN : ERR_NOT_FOUND;
}

static bool read_network(struct str text, struct policy_network *ret_network) {
    struct str bits_text, address_text = str_cut(text, '/', &bits_text);
    char address[INET6_ADDRSTRLEN];
    uint64_t bits = 128;
    if (address_text.len >= sizeof address)
        return false;
    memcpy(address, address_text.at, address_text.len);
    address[address_text.len] = '\0';
    bool v4 = inet_pton(AF_INET, address, ret_network->address + 12) == 1;
    if (v4)
        memcpy(ret_network->address, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
    else if (inet_pton(AF_INET6, address, ret_network->address) != 1)
        return false;
    if (address_text.len < text.len) {
        if (!str_to_u64(bits_text, &bits) || bits > (v4 ? 32 : 128))
            return false;
        bits += v4 ? 96 : 0;
    }
    ret_network->bits = (uint8_t)bits;
    return true;
}

static int add_value(struct compiler *compiler, const struct conf *conf, enum value_type type,
                     struct policy_statement *statement, struct policy_condition *condition) {
    struct str text;
    int failed = read_text(compiler, conf, &text);
    if (failed)
        return failed;
    if (type == VALUE_NETWORK)
        return read_network(text, &condition->networks[condition->count++])
                   ? 0
                   : invalid(compiler, conf,
                             "an address is wanted, such as 10.0.0.0/8 or fd00::/8");
    if (type == VALUE_BOOL && !str_eq(text, STR("true")) && !str_eq(text, STR("false")))
        return invalid(compiler, conf, "true or false is wanted");
    struct policy_pattern *pattern = &condition->patterns[condition->count++];
    const char *why;
    if (policy_pattern_compile(compiler->arena, text,
                               type == VALUE_LIKE ? POLICY_WILDCARDS : POLICY_LITERAL, pattern,
                               &why))
        return invalid(compiler, conf, why);
    statement->variables |= pattern->variables;
    return 0;
}

static int read_condition(struct compiler *compiler, const struct comparison *comparison,
                          const struct conf *values, struct policy_statement *statement,
                          struct policy_condition *condition) {
    bool is_address = condition->key == POLICY_SOURCE_IP;
    if (comparison->type == VALUE_NETWORK && !is_address)
        return invalid(compiler, values, "IpAddress is for aws:SourceIp");
    if (comparison->type == VALUE_BOOL && condition->key < POLICY_KEY_IS_ATTACHED)
        return invalid(compiler, values, "Bool is for iot:Connection.Thing.IsAttached");
    condition->negated = comparison->negated;
    size_t count = item_count(values);
    if (comparison->type == VALUE_NETWORK)
        condition->networks =
            arena_zalloc(compiler->arena, (count + 1) * sizeof *condition->networks);
    else
        condition->patterns =
            arena_zalloc(compiler->arena, (count + 1) * sizeof *condition->patterns);
    int failed = 0;
    for (size_t i = 0; !failed && i < count; i++)
        failed = add_value(compiler, item_at(values, i), comparison->type, statement, condition);
    return failed;
}

/* All keys of one operator. */
static int read_operator(struct compiler *compiler, const struct conf *conf, size_t i,
                         struct policy_statement *statement) {
    const struct conf *keys = conf->items[i], at = key_place(conf, i);
    enum policy_quantifier quantifier;
    const struct comparison *comparison = find_comparison(str_of(conf->keys[i].text), &quantifier);
    if (!comparison)
        return conf_error(
            &at, compiler->err, ERR_UNSUPPORTED,
            "condition operator \"%.60s\": StringEquals, StringNotEquals, StringLike, "
            "StringNotLike, IpAddress, NotIpAddress and Bool are known, with "
            "ForAllValues: or ForAnyValue: before them",
            conf->keys[i].text);
    if (keys->type != CONF_MAP)
        return invalid(compiler, keys, "a map of condition keys to values is wanted");
    int failed = 0;
    for (size_t k = 0; !failed && k < keys->count; k++) {
        struct policy_condition *condition = &statement->conditions[statement->condition_count++];
        condition->quantifier = quantifier;
        condition->key = find_key(str_of(keys->keys[k].text));
        const struct conf key_at = key_place(keys, k);
        if (condition->key < 0)
            return conf_error(&key_at, compiler->err, ERR_INVALID,
                              "condition key \"%.60s\": iot:ConnectAttributes, aws:SourceIp, "
                              "iot:ClientId and those of certificates and things are known",
                              keys->keys[k].text);
        failed = read_condition(compiler, comparison, keys->items[k], statement, condition);
    }
    return failed;
}

static int read_conditions(struct compiler *compiler, const struct conf *conf,
                           struct policy_statement *statement) {
    if (conf->type != CONF_MAP)
        return invalid(compiler, conf, "a map of condition operators is wanted");
    size_t count = 0;
    for (size_t i = 0; i < conf->count; i++)
        count += conf->items[i]->count;
    statement->conditions =
        arena_zalloc(compiler->arena, (count + 1) * sizeof *statement->conditions);
    int failed = 0;
    for (size_t i = 0; !failed && i < conf->count; i++)
        failed = read_operator(compiler, conf, i, statement);
    return failed;
}

/* ---- documents ---- */

static int read_effect(struct compiler *compiler, const struct conf *conf,
                       struct policy_statement *statement) {
    struct str text;
    int failed = read_text(compiler, conf, &text);
    if (failed)
        return failed;
    statement->denies = str_eq(text, STR("Deny"));
    if (!statement->denies && !str_eq(text, STR("Allow")))
        return invalid(compiler, conf, "effect: Allow or Deny is wanted");
    return 0;
}

static int read_statement(struct compiler *compiler, const struct conf *conf,
                          struct policy_statement *statement) {
    enum { EFFECT, ACTION, RESOURCE, NOT_RESOURCE, CONDITION };
    static const struct conf_spelling keys[KEYS_MAX] = {{"effect", "Effect"},
                                                        {"action", "Action"},
                                                        {"resource", "Resource"},
                                                        {"not_resource", "NotResource"},
                                                        {"condition", "Condition"},
                                                        {"sid", "Sid"},
                                                        {NULL, NULL}};
    const struct conf *values[KEYS_MAX];
    int failed = read_keys(compiler, conf, keys, values);
    if (failed)
        return failed;
    if (!values[EFFECT] || !values[ACTION])
        return invalid(compiler, conf, "a statement needs effect and action");
    if (!values[RESOURCE] == !values[NOT_RESOURCE])
        return invalid(compiler, conf, "a statement needs resource or not_resource, one of them");
    statement->excludes = values[NOT_RESOURCE] != NULL;
    failed = read_effect(compiler, values[EFFECT], statement);
    if (!failed)
        failed = read_actions(compiler, values[ACTION], statement);
    if (!failed)
        failed = read_resources(
            compiler, statement->excludes ? values[NOT_RESOURCE] : values[RESOURCE], statement);
    if (!failed && values[CONDITION])
        failed = read_conditions(compiler, values[CONDITION], statement);
    return failed;
}

static int read_policy(struct compiler *compiler, const struct conf *conf, struct policy *policy) {
    enum { STATEMENT, VERSION };
    static const struct conf_spelling keys[KEYS_MAX] = {
        {"statement", "Statement"}, {"version", "Version"}, {"id", "Id"}, {NULL, NULL}};
    const struct conf *values[KEYS_MAX];
    int failed = read_keys(compiler, conf, keys, values);
    if (failed)
        return failed;
    const struct conf *version = values[VERSION], *statements = values[STATEMENT];
    if (version && (version->type != CONF_SCALAR || strcmp(version->text, "2012-10-17")))
        return invalid(compiler, version, "version: \"2012-10-17\" is wanted");
    if (!statements)
        return invalid(compiler, conf, "a policy needs statement");
    policy->count = item_count(statements);
    if (policy->count > POLICY_STATEMENTS_MAX)
        return conf_error(statements, compiler->err, ERR_TOO_LARGE,
                          "%zu statements; %d are the most in a policy", policy->count,
                          POLICY_STATEMENTS_MAX);
    policy->statements =
        arena_zalloc(compiler->arena, (policy->count + 1) * sizeof *policy->statements);
    for (size_t i = 0; !failed && i < policy->count; i++)
        failed = read_statement(compiler, item_at(statements, i), &policy->statements[i]);
    return failed;
}

static int compile(struct compiler *compiler, const struct conf *conf) {
    if (conf->type != CONF_MAP)
        return invalid(compiler, conf, "a map of names to policies is wanted");
    int failed = 0;
    for (size_t i = 0; !failed && i < conf->count; i++) {
        struct policy *policy = arena_zalloc(compiler->arena, sizeof *policy);
        policy->name = arena_strdup(compiler->arena, str_of(conf->keys[i].text));
        compiler->bytes = 0;
        failed = read_policy(compiler, conf->items[i], policy);
        map_put(&compiler->policies->by_name, str_of(policy->name), policy);
    }
    return failed;
}

int policies_compile(const struct conf *conf, struct mqtt_policies **ret_policies,
                     struct err *err) {
    struct mqtt_policies *policies = xcalloc(1, sizeof *policies);
    struct compiler compiler = {.policies = policies, .arena = &policies->arena, .err = err};
    policies->references = 1;
    for (int i = 0; i < POLICY_ACTION_COUNT; i++)
        compiler.actions[i] = fold(&compiler, str_of(action_texts[i]));
    int failed = conf ? compile(&compiler, conf) : 0;
    buf_done(&compiler.scratch);
    if (failed)
        policies_unref(policies);
    else
        *ret_policies = policies;
    return failed;
}

struct mqtt_policies *policies_ref(struct mqtt_policies *policies) {
    ref_take(&policies->references);
    return policies;
}

void policies_unref(struct mqtt_policies *policies) {
    if (!policies || !ref_drop(&policies->references))
        return;
    map_done(&policies->by_name);
    arena_done(&policies->arena);
    free(policies);
}

const struct policy *policies_find(const struct mqtt_policies *policies, struct str name) {
    return map_get(&policies->by_name, name);
}
