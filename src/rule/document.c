#include "rule/document.h"

#include "base/json_write.h"
#include "rule/book.h"
#include "rule/outside.h"

/* ---- names ---- */

static char fold(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* Whether two keys are the same but for case and underscores. */
static bool same_letters(const char *a, const char *b) {
    for (;; a++, b++) {
        while (*a == '_')
            a++;
        while (*b == '_')
            b++;
        if (fold(*a) != fold(*b))
            return false;
        if (!*a)
            return true;
    }
}

/* Where AWS's name is not the configuration's in camelCase. The first one is written. */
static const struct {
    const char *here, *aws;
} odd_names[] = {
    {"sql_version", "awsIotSqlVersion"},
    {"disabled", "ruleDisabled"},
    {"role", "roleArn"},
    {"dynamodb", "dynamoDB"},
    {"dynamodb_v2", "dynamoDBv2"},
    {"influxdb", "influxDB"},
};

static const struct option *find_option(const struct option *fields, const char *key) {
    for (size_t i = 0; i < sizeof odd_names / sizeof *odd_names; i++)
        if (strcmp(key, odd_names[i].aws) == 0)
            for (const struct option *field = fields; field->key; field++)
                if (strcmp(field->key, odd_names[i].here) == 0)
                    return field;
    for (const struct option *field = fields; field && field->key; field++)
        if (same_letters(field->key, key))
            return field;
    return NULL;
}

static void write_name(struct buf *out, const char *key) {
    json_write_comma(out);
    buf_add_u8(out, '"');
    for (size_t i = 0; i < sizeof odd_names / sizeof *odd_names; i++) {
        if (strcmp(key, odd_names[i].here) == 0) {
            buf_add_str(out, str_of(odd_names[i].aws));
            key = "";
        }
    }
    for (bool upper = false; *key; key++) {
        if (*key != '_')
            buf_add_u8(out,
                       (uint8_t)(upper && *key >= 'a' && *key <= 'z' ? *key - 'a' + 'A' : *key));
        upper = *key == '_';
    }
    buf_add(out, "\":", 2);
}

const char *rule_document_key(struct arena *arena, struct str aws_name) {
    const struct option *actions = find_option(rule_options, "actions");
    const char *name = arena_strdup(arena, aws_name);
    const struct option *action = find_option(actions->fields, name);
    return action ? action->key : name;
}

/* ---- from JSON ---- */

static struct conf *make_conf(struct arena *arena, struct json_value value,
                              const struct option *field);

static struct conf *make_scalar(struct arena *arena, struct json_value value) {
    struct conf *conf = arena_zalloc(arena, sizeof *conf);
    bool text = json_type(value) == JSON_STRING;
    conf->type = CONF_SCALAR;
    conf->verbatim = true;
    conf->quoted = text;
    conf->text = arena_strdup(arena, text ? json_str(value, arena) : json_raw(value));
    return conf;
}

static struct conf *make_list(struct arena *arena, struct json_value value,
                              const struct option *item) {
    struct conf *conf = arena_zalloc(arena, sizeof *conf);
    conf->type = CONF_LIST;
    conf->verbatim = true;
    conf->items = arena_zalloc(arena, (json_count(value) + 1) * sizeof *conf->items);
    for (struct json_cursor cursor = json_each(value); json_next(&cursor);)
        conf->items[conf->count++] = make_conf(arena, cursor.value, item);
    return conf;
}

/* The keys of a struct become those of its table; those of a map are data and stay. A null is as good as
 * absent. */
static struct conf *make_map(struct arena *arena, struct json_value value,
                             const struct option *fields, const struct option *item) {
    struct conf *conf = arena_zalloc(arena, sizeof *conf);
    conf->type = CONF_MAP;
    conf->verbatim = true;
    conf->items = arena_zalloc(arena, (json_count(value) + 1) * sizeof *conf->items);
    conf->keys = arena_zalloc(arena, (json_count(value) + 1) * sizeof *conf->keys);
    for (struct json_cursor cursor = json_each(value); json_next(&cursor);) {
        if (json_type(cursor.value) == JSON_NULL)
            continue;
        const char *key = arena_strdup(arena, json_str(cursor.key, arena));
        const struct option *field = fields ? find_option(fields, key) : NULL;
        conf->keys[conf->count].text = field ? field->key : key;
        conf->items[conf->count++] = make_conf(arena, cursor.value, fields ? field : item);
    }
    return conf;
}

/* `field` says what the value is of, NULL if nothing is known of it. The depth of JSON is bounded by its
 * reader. */
static struct conf *make_conf(struct arena *arena, struct json_value value,
                              const struct option *field) {
    bool of_structs = field && (field->type == OPTION_LIST || field->type == OPTION_MAP);
    struct option item = {.type = OPTION_STRUCT, .fields = of_structs ? field->fields : NULL};
    switch (json_type(value)) {
    case JSON_ARRAY:
        return make_list(arena, value, of_structs ? &item : NULL);
    case JSON_OBJECT:
        if (field && field->type == OPTION_STRUCT)
            return make_map(arena, value, field->fields, NULL);
        return make_map(arena, value, NULL, of_structs ? &item : NULL);
    default:
        return make_scalar(arena, value);
    }
}

static int load(struct arena *arena, const struct option *fields, struct json_value value,
                void *settings, struct err *err) {
    struct option whole = {.type = OPTION_STRUCT, .fields = fields};
    if (json_type(value) != JSON_OBJECT)
        return err_set(err, ERR_INVALID, "a JSON object is wanted");
    return option_load(arena, fields, make_conf(arena, value, &whole), settings, err);
}

int rule_document_read(struct arena *arena, const char *name, struct json_value document,
                       struct rule_config *ret_config, struct err *err) {
    *ret_config = (struct rule_config){0};
    int code = load(arena, rule_options, document, ret_config, err);
    ret_config->head.name = name;
    ret_config->from_client = true;
    return code;
}

static void rename_each(struct conf *conf, const struct option *fields) {
    for (size_t i = 0; i < conf->count; i++)
        rule_document_rename(conf->items[i], fields);
}

void rule_document_rename(struct conf *conf, const struct option *fields) {
    for (size_t i = 0; conf->type == CONF_MAP && i < conf->count; i++) {
        const struct option *field = find_option(fields, conf->keys[i].text);
        if (!field)
            continue; /* whoever loads it says so */
        conf->keys[i].text = field->key;
        if (field->type == OPTION_STRUCT)
            rule_document_rename(conf->items[i], field->fields);
        else if (field->type == OPTION_LIST || field->type == OPTION_MAP)
            rename_each(conf->items[i], field->fields);
    }
}

/* ---- to JSON ---- */

struct writer {
    struct buf *out;
    const struct action_kind *const *kinds;
};

static void write_value(const struct writer *writer, const struct conf *conf,
                        const struct option *field);

static void write_scalar(struct buf *out, const char *text, const struct option *field) {
    bool bare = field && (field->type == OPTION_BOOL || field->type == OPTION_INT ||
                          field->type == OPTION_SIZE);
    if (bare)
        buf_add_str(out, str_of(text));
    else
        json_write_string(out, str_of(text));
}

static void write_list(const struct writer *writer, const struct conf *conf,
                       const struct option *item) {
    struct buf *out = writer->out;
    buf_add_u8(out, '[');
    for (size_t i = 0; i < conf->count; i++) {
        json_write_comma(out);
        write_value(writer, conf->items[i], item);
    }
    buf_add_u8(out, ']');
}

static void write_map(const struct writer *writer, const struct conf *conf,
                      const struct option *fields, const struct option *item) {
    struct buf *out = writer->out;
    buf_add_u8(out, '{');
    for (size_t i = 0; i < conf->count; i++) {
        const char *key = conf->keys[i].text;
        const struct option *field = fields ? find_option(fields, key) : NULL;
        if (fields) {
            write_name(out, key);
        } else {
            json_write_comma(out);
            json_write_string(out, str_of(key));
            buf_add_u8(out, ':');
        }
        write_value(writer, conf->items[i], fields ? field : item);
    }
    buf_add_u8(out, '}');
}

/* What an action's kind reads itself is known by its table. */
static const struct option *fields_of(const struct writer *writer, const struct option *field) {
    if (!field || field->type == OPTION_STRUCT)
        return field ? field->fields : NULL;
    const struct action_kind *kind =
        field->type == OPTION_CONF ? rule_outside_kind(writer->kinds, field->key) : NULL;
    return kind ? kind->options : NULL;
}

static void write_value(const struct writer *writer, const struct conf *conf,
                        const struct option *field) {
    bool of_structs = field && (field->type == OPTION_LIST || field->type == OPTION_MAP);
    struct option item = {.type = OPTION_STRUCT, .fields = of_structs ? field->fields : NULL};
    if (conf->type == CONF_LIST)
        write_list(writer, conf, of_structs ? &item : NULL);
    else if (conf->type == CONF_MAP)
        write_map(writer, conf, fields_of(writer, field), of_structs ? &item : NULL);
    else if (field && field->type == OPTION_SECRET)
        json_write_string(writer->out, STR("***"));
    else
        write_scalar(writer->out, conf->text, field);
}

static void write_part(const struct writer *writer, const struct rule_config *config,
                       const char *key) {
    const struct conf *conf = conf_get(config->head.conf, key);
    if (!conf)
        return;
    write_name(writer->out, key);
    write_value(writer, conf, find_option(rule_options, key));
}

void rule_document_write(struct buf *out, const struct rule_config *config,
                         const struct action_kind *const *kinds) {
    const struct writer writer = {out, kinds};
    buf_add_u8(out, '{');
    json_write_text(out, "sql", str_of(config->sql));
    json_write_text(out, "description", str_of(config->description ? config->description : ""));
    write_part(&writer, config, "actions");
    json_write_bool(out, "ruleDisabled", config->disabled);
    json_write_key(out, "awsIotSqlVersion");
    json_write_string(out,
                      str_of(find_option(rule_options, "sql_version")->names[config->sql_version]));
    write_part(&writer, config, "error_action");
    write_part(&writer, config, "role");
    buf_add_u8(out, '}');
}
