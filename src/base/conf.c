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

int conf_error(const struct conf *at, struct err *err, int code, const char *format, ...) {
    char text[sizeof err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return err_set(err, code, "%s:%d:%d: %.400s", at->file, at->line, at->column, text);
}
