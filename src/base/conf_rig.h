/* For tests and fuzzers of what is compiled from a configuration tree: the tree of a JSON text.
 * Lines are 1, columns those of the text (within quotes). */
#ifndef BASE_CONF_RIG_H
#define BASE_CONF_RIG_H

#include "base/conf.h"
#include "base/json.h"

static inline struct conf *conf_from_json(struct arena *arena, struct json_value value);

static inline void conf_add(struct arena *arena, struct conf *conf, size_t i,
                            const struct json_cursor *cursor) {
    conf->items[i] = conf_from_json(arena, cursor->value);
    if (conf->type != CONF_MAP)
        return;
    conf->keys[i].text = arena_strdup(arena, json_str(cursor->key, arena));
    conf->keys[i].line = 1;
    conf->keys[i].column = (int)json_entry(cursor->key)->at + 1;
}

static inline struct conf *conf_from_json(struct arena *arena, struct json_value value) {
    struct conf *conf = arena_zalloc(arena, sizeof *conf);
    enum json_type type = json_type(value);
    bool is_string = type == JSON_STRING;
    conf->type = type == JSON_OBJECT ? CONF_MAP : type == JSON_ARRAY ? CONF_LIST : CONF_SCALAR;
    conf->file = "policy";
    conf->line = 1;
    conf->column = (int)json_entry(value)->at + 1;
    if (conf->type == CONF_SCALAR) {
        conf->text = arena_strdup(arena, is_string ? json_str(value, arena) : json_raw(value));
        return conf;
    }
    conf->count = json_count(value);
    conf->items = arena_zalloc(arena, (conf->count + 1) * sizeof(struct conf *));
    conf->keys = arena_zalloc(arena, (conf->count + 1) * sizeof *conf->keys);
    size_t i = 0;
    for (struct json_cursor cursor = json_each(value); json_next(&cursor); i++)
        conf_add(arena, conf, i, &cursor);
    return conf;
}

/* NULL: no JSON. In tests ' may stand for ". */
static inline const struct conf *conf_from_text(struct arena *arena, struct str text) {
    struct json json = {.bytes_max = 1024 * 1024};
    char *copy = arena_strdup(arena, text);
    for (size_t i = 0; i < text.len; i++)
        copy[i] = (char)(copy[i] == '\'' ? '"' : copy[i]);
    const struct conf *conf = NULL;
    if (json_parse(&json, str_from(copy, text.len)) == 0)
        conf = conf_from_json(arena, json_root(&json));
    json_done(&json);
    return conf;
}

#endif
