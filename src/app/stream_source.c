#include "app/stream_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"

int stream_source_init(struct stream_source *source, const char *data, const char *config_path,
                       struct err *err) {
    *source = (struct stream_source){.data = data};
    if (config_path) {
        int code = config_read(config_path, &source->config, err);
        if (code)
            return code;
    }
    if (!data)
        source->data = source->config ? source->config->data : "./data";
    return 0;
}

void stream_source_done(struct stream_source *source) {
    config_free(source->config);
}

static bool has_engine(const struct config_stream *stream) {
    return stream->kafka.head.conf || stream->kinesis.head.conf;
}

static const struct config_stream *find(const struct stream_source *source, const char *name) {
    return source->config ? config_find_stream(source->config, name) : NULL;
}

/* What cannot be looked at is told when it is opened. */
static bool is_in_directory(const struct stream_source *source, const char *name) {
    struct stat stat_now;
    char *path = xprintf("%s/streams/%s/stream.meta", source->data, name);
    bool found = stat(path, &stat_now) == 0 || (errno != ENOENT && errno != ENOTDIR);
    free(path);
    return found;
}

int stream_source_open(const struct stream_source *source, const char *name,
                       struct stream_view **ret_view, struct err *err) {
    const struct config_stream *stream = find(source, name);
    if (stream && has_engine(stream)) {
        const struct stream_config config = {
            .name = name,
            .kind = STREAM_DATA,
            .shard_count = stream->shard_count,
            .kafka = stream->kafka.head.conf ? &stream->kafka : NULL,
            .kinesis = stream->kinesis.head.conf ? &stream->kinesis : NULL};
        return stream_view_open_engine(&config, ret_view, err);
    }
    if (!is_in_directory(source, name))
        return err_set(err, ERR_NOT_FOUND, "there is no stream %s in %s%s", name, source->data,
                       source->config ? ", and the configuration puts none of this name elsewhere"
                                      : "; one on Kafka or another Kinesis is found with -c FILE, "
                                        "the configuration that describes it");
    return stream_view_open(source->data, name, ret_view, err);
}

/* ---- waiting ---- */

static void add_brokers(struct buf *out, const struct option_strings *brokers) {
    buf_printf(out, "Kafka at ");
    for (size_t i = 0; i < brokers->count; i++)
        buf_printf(out, "%s%s", i ? "," : "", brokers->items[i]);
}

static void add_endpoint(struct buf *out, const struct stream_kinesis_config *kinesis) {
    if (kinesis->endpoint)
        buf_printf(out, "Kinesis at %s", kinesis->endpoint);
    else
        buf_printf(out, "Amazon Kinesis in %s", kinesis->region);
}

struct patience *stream_source_wait(const struct stream_source *source, const char *name) {
    const struct config_stream *stream = find(source, name);
    struct buf text = {0};
    if (!stream || !has_engine(stream))
        return NULL;
    buf_printf(&text, "weir stream: waiting for ");
    if (stream->kafka.head.conf)
        add_brokers(&text, &stream->kafka.brokers);
    else
        add_endpoint(&text, &stream->kinesis);
    buf_printf(&text, ", where stream %s is; Ctrl-C ends it", name);
    struct patience *patience = patience_begin(buf_cstr(&text));
    buf_done(&text);
    return patience;
}

/* ---- names ---- */

struct names {
    const struct stream_source *source;
    char **items;
    size_t count;
};

static void add(struct names *names, const char *name) {
    names->items = xrealloc(names->items, (names->count + 1) * sizeof *names->items);
    names->items[names->count++] = xstrdup(name);
}

/* A log that was left behind when its stream moved to another engine is not what the name means. */
static void on_directory(void *data, const char *name) {
    struct names *names = data;
    const struct config_stream *stream = find(names->source, name);
    if (!stream || !has_engine(stream))
        add(names, name);
}

static void add_engines(struct names *names) {
    const struct config *config = names->source->config;
    for (size_t i = 0; config && i < config->streams.count; i++) {
        const struct config_stream *stream = OPTION_AT(config->streams, struct config_stream, i);
        if (has_engine(stream))
            add(names, stream->head.name);
    }
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int stream_source_list(const struct stream_source *source,
                       void (*each)(void *data, const char *name), void *data, struct err *err) {
    struct names names = {.source = source};
    add_engines(&names);
    int code = stream_view_list(source->data, on_directory, &names, err);
    bool only_engines = code && names.count; /* The program has not run here yet. */
    qsort(names.items, names.count, sizeof *names.items, by_name);
    for (size_t i = 0; i < names.count; i++) {
        each(data, names.items[i]);
        free(names.items[i]);
    }
    free(names.items);
    return only_engines ? 0 : code;
}
