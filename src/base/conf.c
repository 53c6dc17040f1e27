#include "base/conf.h"

#include <stdio.h>
#include <string.h>

const struct conf *conf_get(const struct conf *conf, const char *key) {
    if (!conf || conf->type != CONF_MAP)
        return NULL;
    for (size_t i = 0; i < conf->count; i++)
        if (strcmp(conf->keys[i].text, key) == 0)
            return conf->items[i];
    return NULL;
}

static char *clone_text(struct arena *arena, const char *text) {
    return text ? arena_strdup(arena, str_of(text)) : NULL;
}

struct conf *conf_clone(struct arena *arena, const struct conf *conf) {
    struct conf *copy = arena_alloc(arena, sizeof *copy);
    *copy = *conf;
    copy->text = clone_text(arena, conf->text);
    copy->file = clone_text(arena, conf->file);
    copy->items = conf->items ? arena_alloc(arena, (conf->count + 1) * sizeof *copy->items) : NULL;
    copy->keys = conf->keys ? arena_alloc(arena, (conf->count + 1) * sizeof *copy->keys) : NULL;
    for (size_t i = 0; i < conf->count; i++) {
        copy->items[i] = conf_clone(arena, conf->items[i]);
        if (conf->keys) {
            copy->keys[i] = conf->keys[i];
            copy->keys[i].text = clone_text(arena, conf->keys[i].text);
        }
    }
    return copy;
}

static bool text_equal(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool conf_equal(const struct conf *a, const struct conf *b) {
    if (a->type != b->type || a->quoted != b->quoted || a->count != b->count ||
        !text_equal(a->text, b->text))
        return false;
    for (size_t i = 0; i < a->count; i++)
        if ((a->type == CONF_MAP && !text_equal(a->keys[i].text, b->keys[i].text)) ||
            !conf_equal(a->items[i], b->items[i]))
            return false;
    return true;
}

int conf_error(const struct conf *at, struct err *err, int code, const char *format, ...) {
    char text[sizeof err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!at->file)
        return err_set(err, code, "%s", text);
    return err_set(err, code, "%s:%d:%d: %.400s", at->file, at->line, at->column, text);
}

int conf_spelled(const struct conf *conf, const struct conf_spelling *keys, const char *what,
                 const struct conf **ret_values, struct err *err) {
    if (conf->type != CONF_MAP)
        return conf_error(conf, err, ERR_INVALID, "a map with keys such as \"%s\" is wanted",
                          keys[0].here);
    for (size_t i = 0; keys[i].here; i++)
        ret_values[i] = NULL;
    for (size_t i = 0; i < conf->count; i++) {
        const char *text = conf->keys[i].text;
        const struct conf at = {
            .file = conf->file, .line = conf->keys[i].line, .column = conf->keys[i].column};
        size_t found = 0;
        while (keys[found].here && strcmp(text, keys[found].here) && strcmp(text, keys[found].aws))
            found++;
        if (!keys[found].here)
            return conf_error(&at, err, ERR_INVALID,
                              "unknown key \"%.60s\" in %s; such as \"%s\" or \"%s\" are known",
                              text, what, keys[0].here, keys[0].aws);
        if (ret_values[found])
            return conf_error(&at, err, ERR_INVALID, "a second \"%.60s\"", text);
        ret_values[found] = conf->items[i];
    }
    return 0;
}
