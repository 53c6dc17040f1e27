/*
 * One fact per stream, table "kinesis", key = the stream's name, value = a JSON object:
 *
 *     {"created_s":1789780000,"on_demand":false,"warm_mibps":0,"target":0,"record_kib":0,
 *      "metrics":0,"key":"alias/x","policy":"...","tags":{"k":"v"},
 *      "consumers":[{"name":"c","created_s":1789780016,"tags":{},"policy":"..."}]}
 *
 * Shards and retention are not here but with the stream itself. A fact whose "created_s" is not the
 * stream's was left behind by one of the same name that was deleted just before a crash; it is passed
 * over and overwritten.
 */
#include "aws/catalog.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/json_write.h"
#include "base/mem.h"

static const char table[] = "kinesis";

const char *const catalog_status_names[] = {"CREATING", "ACTIVE", "UPDATING", "DELETING"};

/* ---- tags ---- */

static size_t tag_position(const struct catalog_tags *tags, struct str key) {
    size_t at = 0;
    while (at < tags->count && str_compare(str_of(tags->items[at].key), key) < 0)
        at++;
    return at;
}

const struct catalog_tag *catalog_tag_find(const struct catalog_tags *tags, struct str key) {
    size_t at = tag_position(tags, key);
    return at < tags->count && str_eq(str_of(tags->items[at].key), key) ? &tags->items[at] : NULL;
}

int catalog_tag_set(struct catalog_tags *tags, struct str key, struct str value) {
    size_t at = tag_position(tags, key);
    if (at < tags->count && str_eq(str_of(tags->items[at].key), key)) {
        free(tags->items[at].value);
        tags->items[at].value = str_dup(value);
        return 0;
    }
    if (tags->count == CATALOG_TAGS_MAX)
        return ERR_FULL;
    tags->items = xrealloc(tags->items, (tags->count + 1) * sizeof *tags->items);
    memmove(tags->items + at + 1, tags->items + at, (tags->count - at) * sizeof *tags->items);
    tags->items[at] = (struct catalog_tag){str_dup(key), str_dup(value)};
    tags->count++;
    return 0;
}

void catalog_tag_remove(struct catalog_tags *tags, struct str key) {
    size_t at = tag_position(tags, key);
    if (at == tags->count || !str_eq(str_of(tags->items[at].key), key))
        return;
    free(tags->items[at].key);
    free(tags->items[at].value);
    tags->count--;
    memmove(tags->items + at, tags->items + at + 1, (tags->count - at) * sizeof *tags->items);
}

static void tags_done(struct catalog_tags *tags) {
    for (size_t i = 0; i < tags->count; i++) {
        free(tags->items[i].key);
        free(tags->items[i].value);
    }
    free(tags->items);
    *tags = (struct catalog_tags){0};
}

/* ---- consumers ---- */

struct catalog_consumer *catalog_consumer_find(struct catalog_stream *stream, struct str name) {
    for (size_t i = 0; i < stream->consumer_count; i++)
        if (str_eq(str_of(stream->consumers[i].name), name))
            return &stream->consumers[i];
    return NULL;
}

int catalog_consumer_add(struct catalog_stream *stream, struct str name, uint64_t created_s,
                         struct catalog_consumer **ret_consumer) {
    size_t at = 0;
    if (catalog_consumer_find(stream, name))
        return ERR_EXISTS;
    if (stream->consumer_count == CATALOG_CONSUMERS_MAX)
        return ERR_FULL;
    while (at < stream->consumer_count && str_compare(str_of(stream->consumers[at].name), name) < 0)
        at++;
    size_t size = sizeof *stream->consumers;
    stream->consumers = xrealloc(stream->consumers, (stream->consumer_count + 1) * size);
    memmove(stream->consumers + at + 1, stream->consumers + at,
            (stream->consumer_count - at) * size);
    stream->consumers[at] =
        (struct catalog_consumer){.name = str_dup(name), .created_s = created_s};
    stream->consumer_count++;
    *ret_consumer = &stream->consumers[at];
    return 0;
}

static void consumer_done(struct catalog_consumer *consumer) {
    free(consumer->name);
    free(consumer->policy);
    tags_done(&consumer->tags);
}

void catalog_consumer_remove(struct catalog_stream *stream, struct catalog_consumer *consumer) {
    size_t at = (size_t)(consumer - stream->consumers);
    consumer_done(consumer);
    stream->consumer_count--;
    memmove(consumer, consumer + 1, (stream->consumer_count - at) * sizeof *consumer);
}

/* ---- to and from JSON ---- */

static void write_tags(struct buf *out, const struct catalog_tags *tags) {
    json_write_key(out, "tags");
    buf_add_u8(out, '{');
    for (size_t i = 0; i < tags->count; i++) {
        json_write_comma(out);
        json_write_string(out, str_of(tags->items[i].key));
        buf_add_u8(out, ':');
        json_write_string(out, str_of(tags->items[i].value));
    }
    buf_add_u8(out, '}');
}

static void write_text(struct buf *out, const char *key, const char *text) {
    if (!text)
        return;
    json_write_text(out, key, str_of(text));
}

static void write_consumers(struct buf *out, const struct catalog_stream *stream) {
    json_write_key(out, "consumers");
    buf_add_u8(out, '[');
    for (size_t i = 0; i < stream->consumer_count; i++) {
        const struct catalog_consumer *consumer = &stream->consumers[i];
        json_write_comma(out);
        buf_add_u8(out, '{');
        write_text(out, "name", consumer->name);
        json_write_int(out, "created_s", (int64_t)consumer->created_s);
        write_tags(out, &consumer->tags);
        write_text(out, "policy", consumer->policy);
        buf_add_u8(out, '}');
    }
    buf_add_u8(out, ']');
}

static void write_stream(struct buf *out, const struct catalog_stream *stream) {
    buf_add_u8(out, '{');
    json_write_int(out, "created_s", (int64_t)stream_created_s(stream->stream));
    json_write_bool(out, "on_demand", stream->on_demand);
    json_write_int(out, "warm_mibps", stream->warm_mibps);
    json_write_int(out, "target", stream->target_shards);
    json_write_int(out, "record_kib", stream->record_kib);
    json_write_int(out, "metrics", stream->metrics);
    write_text(out, "key", stream->key_id);
    write_text(out, "policy", stream->policy);
    write_tags(out, &stream->tags);
    write_consumers(out, stream);
    buf_add_u8(out, '}');
}

static struct json_value member(struct json_value from, const char *key) {
    return json_member(from, str_of(key));
}

static char *read_text(struct json_value from, const char *key) {
    struct buf text = {0};
    char *copy = json_str_add(member(from, key), &text) ? str_dup(buf_str(&text)) : NULL;
    buf_done(&text);
    return copy;
}

static void read_tags(struct json_value from, struct catalog_tags *tags) {
    struct arena arena = {0};
    for (struct json_cursor cursor = json_each(member(from, "tags")); json_next(&cursor);)
        catalog_tag_set(tags, json_str(cursor.key, &arena), json_str(cursor.value, &arena));
    arena_done(&arena);
}

static void read_consumers(struct json_value from, struct catalog_stream *stream) {
    for (struct json_cursor cursor = json_each(member(from, "consumers")); json_next(&cursor);) {
        struct catalog_consumer *consumer;
        int64_t created_s = 0;
        char *name = read_text(cursor.value, "name");
        json_int(member(cursor.value, "created_s"), &created_s);
        if (name &&
            catalog_consumer_add(stream, str_of(name), (uint64_t)created_s, &consumer) == 0) {
            read_tags(cursor.value, &consumer->tags);
            consumer->policy = read_text(cursor.value, "policy");
        }
        free(name);
    }
}

static void read_stream(struct json_value root, struct catalog_stream *stream) {
    int64_t metrics = 0;
    json_bool(member(root, "on_demand"), &stream->on_demand);
    json_int(member(root, "warm_mibps"), &stream->warm_mibps);
    json_int(member(root, "target"), &stream->target_shards);
    json_int(member(root, "record_kib"), &stream->record_kib);
    json_int(member(root, "metrics"), &metrics);
    stream->metrics = (unsigned)metrics;
    stream->key_id = read_text(root, "key");
    stream->policy = read_text(root, "policy");
    read_tags(root, &stream->tags);
    read_consumers(root, stream);
}

static void load(struct catalog *catalog, struct catalog_stream *stream) {
    struct buf text = {0};
    struct json json = {0};
    int64_t created_s = 0;
    if (facts_get(catalog->facts, table, str_of(stream->name), &text) == 0 &&
        json_parse(&json, buf_str(&text)) == 0 &&
        json_int(member(json_root(&json), "created_s"), &created_s) &&
        (uint64_t)created_s == stream_created_s(stream->stream))
        read_stream(json_root(&json), stream);
    json_done(&json);
    buf_done(&text);
}

/* ---- the list ---- */

static void stream_done(struct catalog_stream *stream) {
    for (size_t i = 0; i < stream->consumer_count; i++)
        consumer_done(&stream->consumers[i]);
    free(stream->consumers);
    limit_stream_done(&stream->limits);
    tags_done(&stream->tags);
    free(stream->key_id);
    free(stream->policy);
    free(stream->name);
}

void catalog_done(struct catalog *catalog) {
    for (size_t i = 0; i < catalog->count; i++) {
        stream_done(catalog->streams[i]);
        free(catalog->streams[i]);
    }
    free(catalog->streams);
    *catalog = (struct catalog){0};
}

size_t catalog_position(const struct catalog *catalog, struct str name) {
    size_t low = 0, high = catalog->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (str_compare(str_of(catalog->streams[middle]->name), name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct catalog_stream *catalog_find(const struct catalog *catalog, struct str name) {
    size_t at = catalog_position(catalog, name);
    bool found = at < catalog->count && str_eq(str_of(catalog->streams[at]->name), name);
    return found ? catalog->streams[at] : NULL;
}

int64_t catalog_record_kib(const struct catalog_stream *stream) {
    int64_t bytes = stream->stream ? stream_record_bytes_max(stream->stream) : 0;
    if (bytes)
        return bytes / 1024;
    return stream->record_kib ? stream->record_kib : RECORD_BYTES_DEFAULT / 1024;
}

struct catalog_stream *catalog_add(struct catalog *catalog, struct str name,
                                   struct stream *stream_or_null) {
    struct catalog_stream *stream = xcalloc(1, sizeof *stream);
    stream->name = str_dup(name);
    stream->stream = stream_or_null;
    stream->added_ms = clock_wall_ms();
    stream->status = stream_or_null ? CATALOG_ACTIVE : CATALOG_CREATING;
    if (stream_or_null)
        load(catalog, stream);
    size_t at = catalog_position(catalog, name);
    if (catalog->count == catalog->cap) {
        catalog->cap = catalog->cap ? catalog->cap * 2 : 16;
        catalog->streams = xrealloc(catalog->streams, catalog->cap * sizeof *catalog->streams);
    }
    memmove(catalog->streams + at + 1, catalog->streams + at,
            (catalog->count - at) * sizeof *catalog->streams);
    catalog->streams[at] = stream;
    catalog->count++;
    return stream;
}

void catalog_remove(struct catalog *catalog, struct catalog_stream *stream) {
    size_t at = catalog_position(catalog, str_of(stream->name));
    ASSERT(at < catalog->count && catalog->streams[at] == stream);
    catalog->count--;
    memmove(catalog->streams + at, catalog->streams + at + 1,
            (catalog->count - at) * sizeof *catalog->streams);
    stream_done(stream);
    free(stream);
}

int catalog_save(struct catalog *catalog, const struct catalog_stream *stream, struct err *err) {
    struct buf text = {0};
    write_stream(&text, stream);
    int code = facts_set(catalog->facts, table, str_of(stream->name), buf_str(&text), err);
    buf_done(&text);
    return code;
}

int catalog_forget(struct catalog *catalog, const char *name, struct err *err) {
    struct facts_write *write;
    int code = facts_begin(catalog->facts, &write, err);
    if (code)
        return code;
    facts_delete(write, table, str_of(name));
    return facts_commit(write, err);
}
