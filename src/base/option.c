#include "base/option.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

struct loader {
    struct arena *arena;
    struct err *err;
};

static int load_fields(struct loader *loader, const struct option *fields, const struct conf *conf,
                       void *settings);

static int fail(struct loader *loader, const struct conf *at, const char *key, const char *what) {
    return conf_error(at, loader->err, ERR_INVALID, "%s: %s", key, what);
}

/* ---- scalars ---- */

struct option_unit {
    const char *name;
    int64_t factor;
};

static const struct option_unit size_units[] = {{"", 1},          {"B", 1},
                                                {"KiB", 1 << 10}, {"MiB", 1 << 20},
                                                {"GiB", 1 << 30}, {"TiB", (int64_t)1 << 40},
                                                {NULL, 0}};
static const struct option_unit duration_units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                                    {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct option_unit plain_units[] = {{"", 1}, {NULL, 0}};

static bool read_unit(const char *text, const struct option_unit *units, int64_t *ret_value) {
    bool negative = text[0] == '-';
    const char *digits = text + negative;
    size_t count = strspn(digits, "0123456789");
    uint64_t number;
    if (!str_to_u64(str_from(digits, count), &number) || number > INT64_MAX)
        return false;
    for (const struct option_unit *unit = units; unit->name; unit++) {
        int64_t value;
        if (strcmp(digits + count, unit->name) != 0)
            continue;
        if (__builtin_mul_overflow((int64_t)number, unit->factor, &value))
            return false;
        *ret_value = negative ? -value : value;
        return true;
    }
    return false;
}

static int load_number(struct loader *loader, const struct option *field, const struct conf *at,
                       const char *text, int64_t *ret_value) {
    const struct option_unit *units = plain_units;
    const char *what = "a whole number is wanted";
    if (field->type == OPTION_SIZE) {
        units = size_units;
        what = "a size is wanted, such as 512, 64KiB or 5MiB";
    } else if (field->type == OPTION_DURATION) {
        units = duration_units;
        what = "a duration is wanted, such as 10ms, 5s, 2m, 24h or 7d";
    }
    int64_t value;
    if (!read_unit(text, units, &value))
        return fail(loader, at, field->key, what);
    bool ranged = field->min || field->max;
    if (ranged ? value < field->min || value > field->max : value < 0)
        return ranged ? conf_error(at, loader->err, ERR_INVALID,
                                   "%s: %s is out of range (%lld to %lld)", field->key, text,
                                   (long long)field->min, (long long)field->max)
                      : fail(loader, at, field->key, "must not be negative");
    *ret_value = value;
    return 0;
}

/* Replaces each ${env:NAME} unless the text is verbatim; a variable that is not set is an error. */
static int load_string(struct loader *loader, const struct option *field, const struct conf *at,
                       const char *text, const char **ret_value) {
    static const char opening[] = "${env:";
    struct buf out = {0};
    int result = 0;
    for (const char *rest = text; *rest;) {
        const char *hit = at->verbatim ? NULL : strstr(rest, opening);
        const char *end = hit ? strchr(hit, '}') : NULL;
        if (!end) {
            buf_add(&out, rest, strlen(rest));
            break;
        }
        buf_add(&out, rest, (size_t)(hit - rest));
        const char *name = hit + strlen(opening);
        char *wanted = str_dup(str_from(name, (size_t)(end - name)));
        const char *value = getenv(wanted);
        if (value)
            buf_add(&out, value, strlen(value));
        else
            result = conf_error(at, loader->err, ERR_INVALID,
                                "%s: the environment variable %s is not set", field->key, wanted);
        free(wanted);
        rest = end + 1;
    }
    *ret_value = arena_strdup(loader->arena, buf_str(&out));
    buf_done(&out);
    return result;
}

static int load_enum(struct loader *loader, const struct option *field, const struct conf *at,
                     const char *text, int *ret_value) {
    struct buf choices = {0};
    for (int i = 0; field->names[i]; i++) {
        if (strcmp(field->names[i], text) == 0) {
            *ret_value = i;
            buf_done(&choices);
            return 0;
        }
        buf_printf(&choices, "%s%s", i ? ", " : "", field->names[i]);
    }
    int code = conf_error(at, loader->err, ERR_INVALID, "%s: \"%s\" is none of: %s", field->key,
                          text, buf_cstr(&choices));
    buf_done(&choices);
    return code;
}

static int load_bool(struct loader *loader, const struct option *field, const struct conf *at,
                     const char *text, bool *ret_value) {
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0)
        return fail(loader, at, field->key, "true or false is wanted");
    *ret_value = yes;
    return 0;
}

static int load_scalar(struct loader *loader, const struct option *field, const struct conf *at,
                       const char *text, void *to) {
    switch (field->type) {
    case OPTION_STRING:
    case OPTION_SECRET:
        return load_string(loader, field, at, text, to);
    case OPTION_BOOL:
        return load_bool(loader, field, at, text, to);
    case OPTION_ENUM:
        return load_enum(loader, field, at, text, to);
    default:
        return load_number(loader, field, at, text, to);
    }
}

/* ---- lists, maps, structs ---- */

static int load_strings(struct loader *loader, const struct option *field, const struct conf *conf,
                        struct option_strings *strings) {
    if (conf->type != CONF_LIST)
        return fail(loader, conf, field->key, "a list is wanted");
    strings->items = arena_zalloc(loader->arena, (conf->count + 1) * sizeof *strings->items);
    strings->count = conf->count;
    for (size_t i = 0; i < conf->count; i++) {
        const struct conf *item = conf->items[i];
        if (item->type != CONF_SCALAR)
            return fail(loader, item, field->key, "a list of plain values is wanted");
        int code = load_string(loader, field, item, item->text, &strings->items[i]);
        if (code)
            return code;
    }
    return 0;
}

static int load_pairs(struct loader *loader, const struct option *field, const struct conf *conf,
                      struct option_pairs *pairs) {
    if (conf->type != CONF_MAP)
        return fail(loader, conf, field->key, "a map of names to plain values is wanted");
    pairs->items = arena_zalloc(loader->arena, (conf->count + 1) * sizeof *pairs->items);
    pairs->count = conf->count;
    for (size_t i = 0; i < conf->count; i++) {
        const struct conf *item = conf->items[i];
        if (item->type != CONF_SCALAR)
            return fail(loader, item, conf->keys[i].text, "a plain value is wanted");
        pairs->items[i].key = conf->keys[i].text;
        int code = load_string(loader, field, item, item->text, &pairs->items[i].value);
        if (code)
            return code;
    }
    return 0;
}

static int load_items(struct loader *loader, const struct option *field, const struct conf *conf,
                      struct option_items *items) {
    bool map = field->type == OPTION_MAP;
    if (conf->type != (map ? CONF_MAP : CONF_LIST))
        return fail(loader, conf, field->key, map ? "a map is wanted" : "a list is wanted");
    items->items = arena_zalloc(loader->arena, (conf->count + 1) * field->item_size);
    items->count = conf->count;
    for (size_t i = 0; i < conf->count; i++) {
        struct option_head *head = (void *)((char *)items->items + i * field->item_size);
        int code = load_fields(loader, field->fields, conf->items[i], head);
        if (code)
            return code;
        head->name = map ? conf->keys[i].text : NULL;
    }
    return 0;
}

static int load_present(struct loader *loader, const struct option *field, const struct conf *conf,
                        void *to) {
    switch (field->type) {
    case OPTION_STRING_LIST:
        return load_strings(loader, field, conf, to);
    case OPTION_STRING_MAP:
        return load_pairs(loader, field, conf, to);
    case OPTION_STRUCT:
        return load_fields(loader, field->fields, conf, to);
    case OPTION_LIST:
    case OPTION_MAP:
        return load_items(loader, field, conf, to);
    case OPTION_CONF:
        *(const struct conf **)to = conf;
        return 0;
    case OPTION_LATER:
        return fail(loader, conf, field->key, field->help);
    default:
        if (conf->type != CONF_SCALAR)
            return fail(loader, conf, field->key, "a plain value is wanted");
        return load_scalar(loader, field, conf, conf->text, to);
    }
}

static int load_absent(struct loader *loader, const struct option *field, const struct conf *parent,
                       void *to) {
    static const struct conf nowhere = {.file = "default", .text = ""};
    const struct conf *at = parent ? parent : &nowhere;
    if (field->required && parent)
        return conf_error(at, loader->err, ERR_INVALID, "%s is missing here (%s)", field->key,
                          field->help ? field->help : "required");
    if (field->type == OPTION_STRUCT)
        return load_fields(loader, field->fields, NULL, to);
    return field->default_text ? load_scalar(loader, field, at, field->default_text, to) : 0;
}

/* The key of the table that looks most like `word`, if one does. */
static const char *nearest(const struct option *fields, const char *word) {
    const char *best = NULL;
    unsigned best_distance = 3;
    for (const struct option *field = fields; field->key; field++) {
        unsigned distance = str_distance(str_of(word), str_of(field->key));
        if (distance < best_distance) {
            best_distance = distance;
            best = field->key;
        }
    }
    return best;
}

static int reject_unknown(struct loader *loader, const struct option *fields,
                          const struct conf *conf, size_t i) {
    const struct conf_key *key = &conf->keys[i];
    const struct conf at = {.file = conf->file, .line = key->line, .column = key->column};
    const char *guess = nearest(fields, key->text);
    if (guess)
        return conf_error(&at, loader->err, ERR_INVALID, "unknown key \"%s\"; did you mean \"%s\"?",
                          key->text, guess);
    struct buf known = {0};
    for (const struct option *field = fields; field->key; field++)
        if (field->type != OPTION_LATER)
            buf_printf(&known, "%s%s", buf_len(&known) ? ", " : "", field->key);
    int code = conf_error(&at, loader->err, ERR_INVALID, "unknown key \"%s\"; known here: %s",
                          key->text, buf_cstr(&known));
    buf_done(&known);
    return code;
}

static bool is_known(const struct option *fields, const char *key) {
    for (const struct option *field = fields; field->key; field++)
        if (strcmp(field->key, key) == 0)
            return true;
    return false;
}

/* `key:` with nothing behind it is an empty scalar: it counts as an empty map. */
static bool is_empty_scalar(const struct conf *conf) {
    return conf->type == CONF_SCALAR && !conf->quoted && conf->text[0] == '\0';
}

/* A struct without an option_head is the outermost one; all others begin with it, and nested ones
 * say where they stood. */
static int load_fields(struct loader *loader, const struct option *fields, const struct conf *conf,
                       void *settings) {
    ((struct option_head *)settings)->conf = conf;
    if (conf && conf->type != CONF_MAP && !is_empty_scalar(conf))
        return conf_error(conf, loader->err, ERR_INVALID,
                          "a map with keys such as \"%s\" is wanted", fields->key);
    for (size_t i = 0; conf && i < conf->count; i++)
        if (!is_known(fields, conf->keys[i].text))
            return reject_unknown(loader, fields, conf, i);
    for (const struct option *field = fields; field->key; field++) {
        const struct conf *value = conf_get(conf, field->key);
        void *to = (char *)settings + field->offset;
        int code =
            value ? load_present(loader, field, value, to) : load_absent(loader, field, conf, to);
        if (code)
            return code;
    }
    return 0;
}

int option_load(struct arena *arena, const struct option *fields, const struct conf *conf,
                void *settings, struct err *err) {
    struct loader loader = {arena, err};
    return load_fields(&loader, fields, conf, settings);
}

static const char *type_name(enum option_type type) {
    static const char *const names[] = {
        [OPTION_STRING] = "text",
        [OPTION_SECRET] = "secret",
        [OPTION_BOOL] = "true|false",
        [OPTION_INT] = "number",
        [OPTION_SIZE] = "size",
        [OPTION_DURATION] = "duration",
        [OPTION_ENUM] = "choice",
        [OPTION_STRING_LIST] = "list of texts",
        [OPTION_STRING_MAP] = "map of texts",
        [OPTION_STRUCT] = "map",
        [OPTION_LIST] = "list of",
        [OPTION_MAP] = "map, NAME to",
        [OPTION_CONF] = "document",
        [OPTION_LATER] = "not yet",
    };
    return names[type];
}

static void show_type(struct buf *out, const struct option *field) {
    if (field->type != OPTION_ENUM) {
        buf_printf(out, "%s", type_name(field->type));
        return;
    }
    for (int i = 0; field->names[i]; i++)
        buf_printf(out, "%s%s", i ? "|" : "", field->names[i]);
}

void option_show(struct buf *out, const struct option *fields, int indent) {
    for (const struct option *field = fields; field->key; field++) {
        if (field->type == OPTION_LATER)
            continue;
        buf_printf(out, "%*s%s: ", indent, "", field->key);
        show_type(out, field);
        if (field->required)
            buf_printf(out, ", required");
        if (field->default_text)
            buf_printf(out, ", default %s", field->default_text);
        if (field->help)
            buf_printf(out, " -- %s", field->help);
        buf_add_u8(out, '\n');
        if (field->fields)
            option_show(out, field->fields, indent + 4);
    }
}

int option_error(const struct option_head *head, const char *key, struct err *err, int code,
                 const char *format, ...) {
    char text[sizeof err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const struct conf *at = conf_get(head->conf, key);
    if (!at)
        at = head->conf;
    return at ? conf_error(at, err, code, "%s", text) : err_set(err, code, "%s", text);
}
