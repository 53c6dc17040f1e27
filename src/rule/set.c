/* From the configuration to the rule set: the tables of keys, and the checks that go over more than
 * one key. */
#include "rule/set.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/ref.h"
#include "rule/callee.h"
#include "rule/document.h"
#include "rule/outside.h"

/* What AWS's rules have and Weir's have not yet is in the tables as well, so that the error says
 * what is missing. */
#define LATER(name, text)                                                                          \
    { .key = name, .type = OPTION_LATER, .help = text }
#define ROLE(config)                                                                               \
    {.key = "role_arn",                                                                            \
     .type = OPTION_STRING,                                                                        \
     .offset = offsetof(struct config, role),                                                      \
     .help = "what the action may touch: a name under `roles`, or an ARN that ends in one"},       \
    {                                                                                              \
        .key = "role", .type = OPTION_STRING, .offset = offsetof(struct config, role),             \
        .help = "the same"                                                                         \
    }

static const struct option kinesis_options[] = {
    {.key = "stream_name",
     .type = OPTION_STRING,
     .offset = offsetof(struct rule_kinesis_config, stream_name),
     .required = true,
     .help = "name of a stream; may be a template"},
    {.key = "partition_key",
     .type = OPTION_STRING,
     .offset = offsetof(struct rule_kinesis_config, partition_key),
     .help = "decides the shard; may be a template; absent: a random UUID per message"},
    ROLE(rule_kinesis_config),
    {.key = NULL},
};

static const struct option firehose_options[] = {
    {.key = "delivery_stream_name",
     .type = OPTION_STRING,
     .offset = offsetof(struct rule_firehose_config, delivery_stream_name),
     .required = true,
     .help = "name of a delivery stream; may be a template"},
    {.key = "separator",
     .type = OPTION_STRING,
     .offset = offsetof(struct rule_firehose_config, separator),
     .help = "what follows each record: \"\\n\", \"\\t\", \"\\r\\n\" or \",\"; absent: nothing"},
    {.key = "batch_mode",
     .type = OPTION_BOOL,
     .offset = offsetof(struct rule_firehose_config, batch_mode),
     .default_text = "false",
     .help = "an array becomes one record per item"},
    ROLE(rule_firehose_config),
    {.key = NULL},
};

static const struct option republish_options[] = {
    {.key = "topic",
     .type = OPTION_STRING,
     .offset = offsetof(struct rule_republish_config, topic),
     .required = true,
     .help = "may be a template; $$aws/... stands for $aws/..."},
    {.key = "qos",
     .type = OPTION_INT,
     .offset = offsetof(struct rule_republish_config, qos),
     .default_text = "0",
     .min = 0,
     .max = 1,
     .help = "0 or 1"},
    {.key = "headers",
     .type = OPTION_STRUCT,
     .offset = offsetof(struct rule_republish_config, headers),
     .fields = rule_headers_options,
     .item_size = sizeof(struct rule_headers_config),
     .help = "MQTT 5 properties"},
    ROLE(rule_republish_config),
    {.key = NULL},
};

/* What AWS has and Weir does not, with what comes nearest. */
#define TARGET(name, instead) LATER(name, "the action " name " is not available; " instead)
/* An action whose keys its kind reads (flow/action.h). */
#define OUTSIDE(name, text)                                                                        \
    {                                                                                              \
        .key = name, .type = OPTION_CONF, .offset = offsetof(struct rule_action_config, outside),  \
        .help = text                                                                               \
    }

static const struct option action_options[] = {
    {.key = "kinesis",
     .type = OPTION_STRUCT,
     .offset = offsetof(struct rule_action_config, kinesis),
     .fields = kinesis_options,
     .item_size = sizeof(struct rule_kinesis_config),
     .help = "append to a stream"},
    {.key = "firehose",
     .type = OPTION_STRUCT,
     .offset = offsetof(struct rule_action_config, firehose),
     .fields = firehose_options,
     .item_size = sizeof(struct rule_firehose_config),
     .help = "hand to a delivery stream"},
    {.key = "republish",
     .type = OPTION_STRUCT,
     .offset = offsetof(struct rule_action_config, republish),
     .fields = republish_options,
     .item_size = sizeof(struct rule_republish_config),
     .help = "publish to another topic"},
    OUTSIDE("redis", "a command to a Redis"),
    OUTSIDE("lambda", "invoke a function, asynchronously"),
    OUTSIDE("s3", "one object per message"),
    OUTSIDE("postgres", "rows into a table"),
    TARGET("sqs", "kafka or redis (RPUSH) keep a queue"),
    TARGET("sns", "http or republish tell others"),
    TARGET("dynamodb", "postgres or redis keep rows by key"),
    TARGET("dynamodb_v2", "postgres or redis keep rows by key"),
    OUTSIDE("open_search", "documents by the bulk API"),
    OUTSIDE("elasticsearch", "documents by the bulk API"),
    TARGET("cloudwatch_metric", "influxdb keeps points"),
    TARGET("cloudwatch_alarm", "http tells others"),
    TARGET("cloudwatch_logs", "elasticsearch or firehose keep lines"),
    OUTSIDE("http", "POST to a URL"),
    OUTSIDE("kafka", "a message to a Kafka topic"),
    TARGET("step_functions", "lambda invokes a function"),
    TARGET("timestream", "influxdb or postgres keep points"),
    TARGET("location", "postgres keeps positions"),
    TARGET("iot_events", "lambda invokes a function"),
    TARGET("iot_analytics", "kinesis or firehose keep messages"),
    TARGET("iot_site_wise", "influxdb keeps points"),
    TARGET("salesforce", "http posts to a URL"),
    OUTSIDE("influxdb", "points in line protocol"),
    {.key = NULL},
};

/* As enum rule_version; "beta" is the newest one. */
static const char *const version_names[] = {"2015-10-08", "2016-03-23", "beta", NULL};

const struct option rule_options[] = {
    {.key = "sql",
     .type = OPTION_STRING,
     .offset = offsetof(struct rule_config, sql),
     .required = true,
     .help = "SELECT ... FROM 'topic/filter' WHERE ..."},
    {.key = "sql_version",
     .type = OPTION_ENUM,
     .offset = offsetof(struct rule_config, sql_version),
     .default_text = "2015-10-08",
     .names = version_names,
     .help = "of the dialect; AWS's default is the old one"},
    {.key = "description",
     .type = OPTION_STRING,
     .offset = offsetof(struct rule_config, description),
     .help = "for people"},
    {.key = "disabled",
     .type = OPTION_BOOL,
     .offset = offsetof(struct rule_config, disabled),
     .default_text = "false",
     .help = "checked, but never run"},
    {.key = "role",
     .type = OPTION_STRING,
     .offset = offsetof(struct rule_config, role),
     .help = "what its actions may touch, unless they say it: a name under `roles`"},
    {.key = "actions",
     .type = OPTION_LIST,
     .offset = offsetof(struct rule_config, actions),
     .required = true,
     .fields = action_options,
     .item_size = sizeof(struct rule_action_config),
     .help = "what is done with the result; each item one action"},
    {.key = "error_action",
     .type = OPTION_STRUCT,
     .offset = offsetof(struct rule_config, error_action),
     .fields = action_options,
     .item_size = sizeof(struct rule_action_config),
     .help = "gets a report when an action fails"},
    {.key = NULL},
};

struct compiler {
    struct arena *arena;
    const struct action_kind *const *kinds;
    const struct rule_config *config;
    struct rule *rule;
    const struct plan *plan;
    struct err *err;
};

const char *rule_action_name(const struct rule_action *action) {
    static const char *const names[] = {"kinesis", "firehose", "republish"};
    return action->outside ? action->outside->kind->name : names[action->kind];
}

const char *rule_action_failed_name(const struct rule_action *action) {
    static const char *const names[] = {"KinesisAction", "FirehoseAction", "RepublishAction"};
    return action->outside ? action->outside->kind->failed_action : names[action->kind];
}

static const struct conf *place(const struct conf *conf, const char *key) {
    const struct conf *item = conf_get(conf, key);
    return item ? item : conf;
}

/* "file:line:column", which outlives the configuration; empty for what came from no file. */
static const char *place_text(struct arena *arena, const struct conf *conf) {
    char text[512] = "";
    if (conf->file)
        snprintf(text, sizeof text, "%s:%d:%d", conf->file, conf->line, conf->column);
    return arena_strdup(arena, str_of(text));
}

static int compile_template(struct compiler *compiler, const struct conf *conf, const char *key,
                            const char *text, struct rule_template *ret_template) {
    struct err inner = {0};
    struct str copy = str_of(arena_strdup(compiler->arena, str_of(text)));
    int result = rule_template_compile(compiler->arena, copy, compiler->plan, ret_template, &inner);
    if (result == 0)
        return 0;
    return conf_error(place(conf, key), compiler->err, result, "rule %s: %s %s",
                      compiler->config->head.name, key, inner.text);
}

static int compile_kinesis(struct compiler *compiler, const struct rule_kinesis_config *config,
                           struct rule_action *action) {
    const char *key = config->partition_key ? config->partition_key : "${newuuid()}";
    int result = compile_template(compiler, config->head.conf, "stream_name", config->stream_name,
                                  &action->target);
    if (result == 0)
        result = compile_template(compiler, config->head.conf, "partition_key", key, &action->key);
    return result;
}

static int compile_firehose(struct compiler *compiler, const struct rule_firehose_config *config,
                            struct rule_action *action) {
    static const char *const separators[] = {"\n", "\t", "\r\n", ","};
    action->batch = config->batch_mode;
    for (size_t i = 0; config->separator && i < COUNT_OF(separators); i++)
        if (strcmp(config->separator, separators[i]) == 0)
            action->separator = str_of(separators[i]);
    if (config->separator && action->separator.len == 0)
        return conf_error(
            place(config->head.conf, "separator"), compiler->err, ERR_INVALID,
            "rule %s: separator must be \"\\n\", \"\\t\", \"\\r\\n\" or \",\", in double quotes",
            compiler->config->head.name);
    return compile_template(compiler, config->head.conf, "delivery_stream_name",
                            config->delivery_stream_name, &action->target);
}

static int compile_republish(struct compiler *compiler, const struct rule_republish_config *config,
                             struct rule_action *action) {
    const char *topic = config->topic;
    action->qos = (uint8_t)config->qos;
    if (str_starts(str_of(topic), STR("$$aws/")))
        topic++;
    int result = compile_template(compiler, config->head.conf, "topic", topic, &action->target);
    if (result == 0 && config->headers.head.conf)
        result = rule_headers_compile(compiler->arena, &config->headers, compiler->plan,
                                      &action->headers, compiler->err);
    return result;
}

/* The role that the action names, or else the rule. A client that brings roles of its own to where
 * none are configured is let in: there is nothing that they could mean. */
static int compile_role(struct compiler *compiler, const struct rule_action_config *config,
                        const char *named, struct rule_action *action) {
    const struct rule_config *rule = compiler->config;
    const struct rule_roles *roles = compiler->rule->roles;
    const char *name = named ? named : rule->role;
    if (rule->from_client && rule_roles_absent(roles))
        return 0;
    if (!name)
        return rule->from_client && !(action->outside && !action->outside->kind->permission)
                   ? conf_error(config->head.conf, compiler->err, ERR_INVALID,
                                "rule %s: roles are configured here, so an action needs roleArn",
                                rule->head.name)
                   : 0;
    action->role = rule_roles_find(roles, name);
    action->role_name = arena_strdup(compiler->arena, str_of(name));
    if (!action->role)
        return conf_error(config->head.conf, compiler->err, ERR_INVALID,
                          "rule %s: there is no role \"%s\" under roles", rule->head.name, name);
    struct err why;
    if (action->outside || action->target.kind != TEMPLATE_TEXT)
        return 0;
    action->permitted = rule_action_permit(compiler->rule, action, action->target.text, &why) == 0;
    return action->permitted ? 0
                             : conf_error(config->head.conf, compiler->err, ERR_DENIED,
                                          "rule %s: %s", rule->head.name, why.text);
}

/* `number` says which action of the rule it is: "1", "2", "error". */
static int compile_outside(struct compiler *compiler, const struct conf *conf, const char *number,
                           struct rule_action *action, const char **ret_role) {
    bool is_error_action = strcmp(number, "error") == 0;
    struct rule_outside outside = {
        .rule = compiler->rule,
        .kinds = compiler->kinds,
        .number = number,
        .is_error_action = is_error_action,
        .has_error_action = compiler->config->error_action.head.conf && !is_error_action,
        .from_client = compiler->config->from_client,
    };
    return rule_outside_compile(&outside, conf, action, ret_role, compiler->err);
}

static int compile_action(struct compiler *compiler, const struct rule_action_config *config,
                          const char *number, struct rule_action *action) {
    bool kinesis = config->kinesis.head.conf, firehose = config->firehose.head.conf;
    const char *role;
    int result;
    action->place = place_text(compiler->arena, config->head.conf);
    if (config->head.conf->type != CONF_MAP || config->head.conf->count != 1)
        return conf_error(config->head.conf, compiler->err, ERR_INVALID,
                          "rule %s: an action has exactly one key, its kind: kinesis, firehose, "
                          "republish, http, ...",
                          compiler->config->head.name);
    if (config->outside) {
        result = compile_outside(compiler, config->head.conf, number, action, &role);
    } else if (kinesis) {
        action->kind = RULE_ACTION_KINESIS;
        role = config->kinesis.role;
        result = compile_kinesis(compiler, &config->kinesis, action);
    } else if (firehose) {
        action->kind = RULE_ACTION_FIREHOSE;
        role = config->firehose.role;
        result = compile_firehose(compiler, &config->firehose, action);
    } else {
        action->kind = RULE_ACTION_REPUBLISH;
        role = config->republish.role;
        result = compile_republish(compiler, &config->republish, action);
    }
    return result < 0 ? result : compile_role(compiler, config, role, action);
}

bool rule_name_valid(struct str name) {
    if (name.len == 0 || name.len > RULE_NAME_CHARS_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i], folded = c | 0x20;
        if (!(folded >= 'a' && folded <= 'z') && !(c >= '0' && c <= '9') && c != '_')
            return false;
    }
    return true;
}

static int compile_sql(struct compiler *compiler, struct rule *rule) {
    const struct rule_config *config = compiler->config;
    struct err inner = {0};
    rule->sql = str_of(arena_strdup(compiler->arena, str_of(config->sql)));
    enum rule_version version = config->sql_version == RULE_VERSION_2015_10_08
                                    ? RULE_VERSION_2015_10_08
                                    : RULE_VERSION_2016_03_23;
    int result = rule_plan_statement(compiler->arena, rule->sql, version, &rule->plan, &inner);
    compiler->plan = rule->plan;
    if (result == 0)
        return 0;
    return conf_error(place(config->head.conf, "sql"), compiler->err, result, "rule %s: sql %s",
                      config->head.name, inner.text);
}

static void describe(const struct rule_config *config, const struct action_kind *const *kinds,
                     struct rule *rule) {
    struct buf document = {0};
    rule_document_write(&document, config, kinds);
    rule->document = str_from(arena_strdup(&rule->arena, buf_str(&document)), buf_len(&document));
    buf_done(&document);
    rule->description =
        str_of(arena_strdup(&rule->arena, str_of(config->description ? config->description : "")));
    rule->place = place_text(&rule->arena, config->head.conf);
}

static int compile_rule(const struct rule_config *config,
                        const struct rule_surroundings *surroundings, struct rule *rule,
                        struct err *err) {
    const struct action_kind *const *kinds = surroundings->kinds;
    struct compiler compiler = {
        .arena = &rule->arena, .kinds = kinds, .rule = rule, .config = config, .err = err};
    rule->name = str_of(arena_strdup(&rule->arena, str_of(config->head.name)));
    rule->disabled = config->disabled;
    rule->from_client = config->from_client;
    if (!rule_name_valid(rule->name))
        return conf_error(config->head.conf, err, ERR_INVALID,
                          "rule %s: a rule's name is 1 to %d letters, digits and underscores",
                          config->head.name, RULE_NAME_CHARS_MAX);
    if (config->actions.count > RULE_ACTIONS_MAX)
        return conf_error(place(config->head.conf, "actions"), err, ERR_INVALID,
                          "rule %s: more than %d actions", config->head.name, RULE_ACTIONS_MAX);
    describe(config, kinds, rule);
    int result = compile_sql(&compiler, rule);
    rule->actions = arena_zalloc(&rule->arena, config->actions.count * sizeof *rule->actions);
    for (size_t i = 0; result == 0 && i < config->actions.count; i++) {
        const struct rule_action_config *action =
            OPTION_AT(config->actions, struct rule_action_config, i);
        char number[8];
        snprintf(number, sizeof number, "%zu", i + 1);
        result = compile_action(&compiler, action, number, &rule->actions[rule->action_count++]);
    }
    if (result < 0)
        return result;
    struct plan_use **in_error_action = rule->plan->uses->end;
    if (config->error_action.head.conf) {
        rule->error_action = arena_zalloc(&rule->arena, sizeof *rule->error_action);
        result = compile_action(&compiler, &config->error_action, "error", rule->error_action);
    }
    return result < 0 ? result
                      : rule_callees_compile(rule, config, surroundings, *in_error_action, err);
}

/* ---- rules and sets of them ---- */

int rule_compile(const struct rule_config *config, const struct rule_surroundings *surroundings,
                 struct rule **ret_rule, struct err *err) {
    struct rule *rule = xcalloc(1, sizeof *rule);
    rule->references = 1;
    rule->roles = rule_roles_ref(surroundings->roles);
    rule->secrets = rule_secrets_ref(surroundings->secrets);
    int result = compile_rule(config, surroundings, rule, err);
    if (result < 0)
        rule_unref(rule);
    else
        *ret_rule = rule;
    return result;
}

struct rule *rule_ref(struct rule *rule) {
    ref_take(&rule->references);
    return rule;
}

void rule_unref(struct rule *rule) {
    if (!rule || !ref_drop(&rule->references))
        return;
    rule_roles_unref(rule->roles);
    rule_secrets_unref(rule->secrets);
    arena_done(&rule->arena);
    free(rule);
}

struct rule_set *rule_set_new(struct rule *const *rules, size_t count) {
    struct rule_set *set = xcalloc(1, sizeof *set + count * sizeof set->rules[0]);
    set->references = 1;
    for (; set->count < count; set->count++)
        set->rules[set->count] = rule_ref(rules[set->count]);
    rule_outside_collect(set);
    return set;
}

int rule_set_compile(const struct option_items *rules, const struct rule_surroundings *surroundings,
                     struct rule_set **ret_set, struct err *err) {
    if (rules->count > RULE_COUNT_MAX)
        return err_set(err, ERR_INVALID, "%zu rules; at most %d are possible", rules->count,
                       RULE_COUNT_MAX);
    struct rule_set *set = xcalloc(1, sizeof *set + rules->count * sizeof set->rules[0]);
    set->references = 1;
    int result = 0;
    for (size_t i = 0; result == 0 && i < rules->count; i++) {
        result = rule_compile(OPTION_AT(*rules, struct rule_config, i), surroundings,
                              &set->rules[set->count], err);
        set->count += result == 0;
    }
    if (result < 0)
        rule_set_unref(set);
    else
        *ret_set = set;
    if (result == 0)
        rule_outside_collect(set);
    return result;
}

const struct action_specs *rule_set_actions(const struct rule_set *set) {
    return &set->actions;
}

const struct rule *rule_set_find(const struct rule_set *set, struct str name) {
    for (size_t i = 0; i < set->count; i++)
        if (str_eq(set->rules[i]->name, name))
            return set->rules[i];
    return NULL;
}

struct rule_set *rule_set_ref(struct rule_set *set) {
    ref_take(&set->references);
    return set;
}

void rule_set_unref(struct rule_set *set) {
    if (!set || !ref_drop(&set->references))
        return;
    for (size_t i = 0; i < set->count; i++)
        rule_unref(set->rules[i]);
    free((void *)set->actions.items);
    free(set);
}
