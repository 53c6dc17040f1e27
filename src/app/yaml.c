#include "app/yaml.h"

#include <stdlib.h>
#include <yaml.h>

#include "base/mem.h"

struct reader {
    struct arena *arena;
    struct err *err;
    const char *file;
    yaml_parser_t parser;
};

static int fail(struct reader *reader, yaml_mark_t mark, const char *what) {
    const struct conf at = {
        .file = reader->file, .line = (int)mark.line + 1, .column = (int)mark.column + 1};
    return conf_error(&at, reader->err, ERR_INVALID, "%s", what);
}

static int next_event(struct reader *reader, yaml_event_t *event) {
    if (yaml_parser_parse(&reader->parser, event))
        return 0;
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem ? parser->problem : "not readable";
    const struct conf at = {.file = reader->file,
                            .line = (int)parser->problem_mark.line + 1,
                            .column = (int)parser->problem_mark.column + 1};
    return conf_error(&at, reader->err, ERR_INVALID, "no valid YAML: %s%s%s", problem,
                      parser->context ? ", " : "", parser->context ? parser->context : "");
}

static struct conf *new_node(struct reader *reader, enum conf_type type, yaml_mark_t mark) {
    struct conf *conf = arena_zalloc(reader->arena, sizeof *conf);
    *conf = (struct conf){.type = type,
                          .text = "",
                          .file = reader->file,
                          .line = (int)mark.line + 1,
                          .column = (int)mark.column + 1};
    return conf;
}

/* The items of a list or map while it is being read; afterwards they move to the arena. */
struct gathered {
    struct conf **items;
    struct conf_key *keys;
    size_t count, cap;
};

static void gather(struct gathered *gathered, struct conf_key key, struct conf *item) {
    if (gathered->count == gathered->cap) {
        gathered->cap = gathered->cap ? gathered->cap * 2 : 8;
        gathered->items = xrealloc(gathered->items, gathered->cap * sizeof(*gathered->items));
        gathered->keys = xrealloc(gathered->keys, gathered->cap * sizeof *gathered->keys);
    }
    gathered->items[gathered->count] = item;
    gathered->keys[gathered->count++] = key;
}

static void settle(struct reader *reader, struct gathered *gathered, struct conf *conf) {
    conf->count = gathered->count;
    conf->items = arena_alloc(reader->arena, gathered->count * sizeof(*conf->items));
    conf->keys = arena_alloc(reader->arena, gathered->count * sizeof *conf->keys);
    if (gathered->count) {
        memcpy(conf->items, gathered->items, gathered->count * sizeof(*conf->items));
        memcpy(conf->keys, gathered->keys, gathered->count * sizeof *conf->keys);
    }
    free(gathered->items);
    free(gathered->keys);
}

static int read_node(struct reader *reader, yaml_event_t *event, int depth, struct conf **ret_conf);

/* Reads the item of a list that begins with `event`. */
static int read_item(struct reader *reader, yaml_event_t *event, int depth,
                     struct gathered *gathered) {
    struct conf *item = NULL;
    int code = read_node(reader, event, depth, &item);
    if (!code)
        gather(gathered, (struct conf_key){0}, item);
    return code;
}

static bool has_key(const struct gathered *gathered, const char *text) {
    for (size_t i = 0; i < gathered->count; i++)
        if (strcmp(gathered->keys[i].text, text) == 0)
            return true;
    return false;
}

/* Reads the value that belongs to the key in `event` and gathers both. */
static int read_pair(struct reader *reader, const yaml_event_t *event, int depth,
                     struct gathered *gathered) {
    if (event->type != YAML_SCALAR_EVENT)
        return fail(reader, event->start_mark, "a key must be plain text");
    struct str text = str_from(event->data.scalar.value, event->data.scalar.length);
    struct conf_key key = {arena_strdup(reader->arena, text), (int)event->start_mark.line + 1,
                           (int)event->start_mark.column + 1};
    if (has_key(gathered, key.text))
        return fail(reader, event->start_mark, "this key stands here twice");
    yaml_event_t value;
    int code = next_event(reader, &value);
    if (code)
        return code;
    struct conf *item = NULL;
    code = read_node(reader, &value, depth, &item);
    yaml_event_delete(&value);
    if (!code)
        gather(gathered, key, item);
    return code;
}

/* The items of a list, or the pairs of a map, up to the event that ends it. */
static int read_children(struct reader *reader, struct conf *conf, int depth,
                         yaml_event_type_t last) {
    struct gathered gathered = {0};
    int code = 0;
    for (;;) {
        yaml_event_t event;
        if ((code = next_event(reader, &event)))
            break;
        bool end = event.type == last;
        if (!end)
            code = last == YAML_MAPPING_END_EVENT ? read_pair(reader, &event, depth, &gathered)
                                                  : read_item(reader, &event, depth, &gathered);
        yaml_event_delete(&event);
        if (end || code)
            break;
    }
    settle(reader, &gathered, conf);
    return code;
}

static int read_scalar(struct reader *reader, const yaml_event_t *event, struct conf *conf) {
    struct str text = str_from(event->data.scalar.value, event->data.scalar.length);
    if (str_find(text, '\0') < text.len)
        return fail(reader, event->start_mark, "a NUL character cannot stand here");
    conf->text = arena_strdup(reader->arena, text);
    conf->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    return 0;
}

static int read_node(struct reader *reader, yaml_event_t *event, int depth,
                     struct conf **ret_conf) {
    if (depth > YAML_DEPTH_MAX)
        return fail(reader, event->start_mark, "nested too deeply");
    int code = 0;
    struct conf *conf = NULL;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        conf = new_node(reader, CONF_SCALAR, event->start_mark);
        code = read_scalar(reader, event, conf);
        break;
    case YAML_SEQUENCE_START_EVENT:
        conf = new_node(reader, CONF_LIST, event->start_mark);
        code = read_children(reader, conf, depth + 1, YAML_SEQUENCE_END_EVENT);
        break;
    case YAML_MAPPING_START_EVENT:
        conf = new_node(reader, CONF_MAP, event->start_mark);
        code = read_children(reader, conf, depth + 1, YAML_MAPPING_END_EVENT);
        break;
    case YAML_ALIAS_EVENT:
        return fail(reader, event->start_mark, "aliases (*name) are not supported");
    default:
        return fail(reader, event->start_mark, "a value is wanted here");
    }
    *ret_conf = conf;
    return code;
}

/* Stream start, document start, the root, document end, stream end. */
static int read_document(struct reader *reader, struct conf **ret_conf) {
    struct conf *root = NULL;
    for (;;) {
        yaml_event_t event;
        int code = next_event(reader, &event);
        if (code)
            return code;
        yaml_event_type_t type = event.type;
        bool content = type != YAML_STREAM_START_EVENT && type != YAML_STREAM_END_EVENT &&
                       type != YAML_DOCUMENT_START_EVENT && type != YAML_DOCUMENT_END_EVENT;
        if (content || (type == YAML_DOCUMENT_START_EVENT && root))
            code = root ? fail(reader, event.start_mark, "only one document is read")
                        : read_node(reader, &event, 1, &root);
        yaml_mark_t mark = event.start_mark;
        yaml_event_delete(&event);
        if (code)
            return code;
        if (type == YAML_STREAM_END_EVENT) {
            *ret_conf = root ? root : new_node(reader, CONF_MAP, mark);
            return 0;
        }
    }
}

int yaml_read(struct arena *arena, const char *file, struct str text, const struct conf **ret_conf,
              struct err *err) {
    struct reader reader = {.arena = arena, .err = err, .file = file};
    if (text.len > YAML_BYTES_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s: larger than %d bytes", file, YAML_BYTES_MAX);
    int made = yaml_parser_initialize(&reader.parser);
    ASSERT(made);
    /* libyaml asserts that there is an input, even an empty one. */
    const char *input = text.len ? text.at : "";
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)input, text.len);
    struct conf *root = NULL;
    int code = read_document(&reader, &root);
    yaml_parser_delete(&reader.parser);
    if (!code)
        *ret_conf = root;
    return code;
}
