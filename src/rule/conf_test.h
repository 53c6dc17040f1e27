/* For the tests of this folder: a configuration written as JSON, read as the program would read its
 * YAML. */
#ifndef RULE_CONF_TEST_H
#define RULE_CONF_TEST_H

#include "base/test.h"

#include "base/json.h"
#include "base/option.h"
#include "rule/rule.h"

struct conf_test {
    struct arena arena;
    struct json json;
    struct option_head head; /* of the outermost struct */
    struct option_items rules;
    struct rule_surroundings surroundings;
    struct err err;
};

static inline void conf_test_place(struct conf_test *test, struct json_value value,
                                   struct conf *conf) {
    const char *at = json_raw(value).at;
    conf->file = "weir.yaml";
    conf->line = conf->column = 1;
    for (const char *c = test->json.text.at; c < at; c++) {
        conf->column = *c == '\n' ? 1 : conf->column + 1;
        conf->line += *c == '\n';
    }
}

static inline struct conf *conf_test_tree(struct conf_test *test, struct json_value value) {
    struct conf *conf = arena_zalloc(&test->arena, sizeof *conf);
    conf_test_place(test, value, conf);
    enum json_type type = json_type(value);
    if (type != JSON_OBJECT && type != JSON_ARRAY) {
        conf->type = CONF_SCALAR;
        conf->quoted = type == JSON_STRING;
        struct str text = type == JSON_STRING ? json_str(value, &test->arena) : json_raw(value);
        conf->text = arena_strdup(&test->arena, text);
        return conf;
    }
    conf->type = type == JSON_OBJECT ? CONF_MAP : CONF_LIST;
    conf->items = arena_zalloc(&test->arena, json_count(value) * sizeof *conf->items);
    conf->keys = arena_zalloc(&test->arena, json_count(value) * sizeof *conf->keys);
    for (struct json_cursor cursor = json_each(value); json_next(&cursor); conf->count++) {
        conf->items[conf->count] = conf_test_tree(test, cursor.value);
        if (type == JSON_OBJECT) {
            struct conf place;
            conf_test_place(test, cursor.key, &place);
            conf->keys[conf->count] = (struct conf_key){
                .text = arena_strdup(&test->arena, json_str(cursor.key, &test->arena)),
                .line = place.line,
                .column = place.column,
            };
        }
    }
    return conf;
}

/* {"rules": {...}} to test->rules. 0 or a negative code with its text in test->err. */
static inline int conf_test_load(struct conf_test *test, const char *text) {
    static const struct option options[] = {
        {.key = "rules",
         .type = OPTION_MAP,
         .offset = offsetof(struct conf_test, rules) - offsetof(struct conf_test, head),
         .fields = rule_options,
         .item_size = sizeof(struct rule_config)},
        {.key = NULL}};
    *test = (struct conf_test){.surroundings = test->surroundings};
    assert_int_equal(json_parse(&test->json, str_of(text)), 0);
    return option_load(&test->arena, options, conf_test_tree(test, json_root(&test->json)),
                       &test->head, &test->err);
}

/* The same and compiles. */
static inline int conf_test_compile(struct conf_test *test, const char *text,
                                    struct rule_set **ret_set) {
    int result = conf_test_load(test, text);
    return result < 0 ? result
                      : rule_set_compile(&test->rules, &test->surroundings, ret_set, &test->err);
}

static inline void conf_test_done(struct conf_test *test) {
    json_done(&test->json);
    arena_done(&test->arena);
}

#endif
