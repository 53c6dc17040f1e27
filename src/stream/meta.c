/*
 * stream.meta is lines of words, written anew as a whole when something changes:
 *
 *      weir-stream 1                                        format and its version
 *      kind data                                            or delivery
 *      created 1789780016                                   seconds since 1970
 *      seed 3735928559                                      of the blocks' sums
 *      shard 0 open 0 340282366920938463463374607431768211455 - -
 *
 * One line per shard, in order of their numbers: number, `open` or `closed`, first and last hash
 * key, and the shards it was split from or merged of (`-`: none). Lines and words are separated by
 * one LF and one blank.
 */
#include "stream/meta.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "io/file.h"

enum { VERSION = 1, FILE_BYTES_MAX = META_SHARDS_MAX * 160 };

void meta_done(struct meta *meta) {
    free(meta->shards);
    *meta = (struct meta){0};
}

void meta_make(struct meta *meta, enum stream_kind kind, unsigned shard_count) {
    *meta = (struct meta){.kind = kind,
                          .created_s = clock_wall_ms() / 1000,
                          .seed = (uint32_t)random_u64(),
                          .shard_count = shard_count};
    meta->shards = xcalloc(shard_count, sizeof *meta->shards);
    for (unsigned i = 0; i < shard_count; i++) {
        struct meta_shard *shard = &meta->shards[i];
        shard_map_even(i, shard_count, &shard->start, &shard->end);
        shard->parents[0] = shard->parents[1] = META_NO_PARENT;
        shard->open = true;
    }
}

/* ---- text ---- */

static bool take_word(struct str *line, const char *word) {
    return str_eq(str_cut(*line, ' ', line), str_of(word));
}

static bool take_number(struct str *line, uint64_t max, uint64_t *ret_value) {
    uint64_t value;
    if (!str_to_u64(str_cut(*line, ' ', line), &value) || value > max)
        return false;
    *ret_value = value;
    return true;
}

static bool take_parent(struct str *line, uint64_t own, int *ret_parent) {
    struct str word = str_cut(*line, ' ', line);
    uint64_t parent;
    if (str_eq(word, STR("-"))) {
        *ret_parent = META_NO_PARENT;
        return true;
    }
    if (!str_to_u64(word, &parent) || parent >= own)
        return false;
    *ret_parent = (int)parent;
    return true;
}

static bool parse_shard(struct str line, unsigned index, struct meta_shard *ret_shard) {
    uint64_t number;
    if (!take_word(&line, "shard") || !take_number(&line, META_SHARDS_MAX, &number) ||
        number != index)
        return false;
    struct str state = str_cut(line, ' ', &line);
    ret_shard->open = str_eq(state, STR("open"));
    if (!ret_shard->open && !str_eq(state, STR("closed")))
        return false;
    struct str start = str_cut(line, ' ', &line), end = str_cut(line, ' ', &line);
    return hash_key_parse(start, &ret_shard->start) && hash_key_parse(end, &ret_shard->end) &&
           ret_shard->start <= ret_shard->end &&
           take_parent(&line, index, &ret_shard->parents[0]) &&
           take_parent(&line, index, &ret_shard->parents[1]) && line.len == 0;
}

static int by_start(const void *a, const void *b) {
    const struct shard_map_range *left = a, *right = b;
    return (left->start > right->start) - (left->start < right->start);
}

void meta_map(const struct meta *meta, struct shard_map *ret_map) {
    struct shard_map map = {.ranges = xcalloc(meta->shard_count, sizeof *map.ranges)};
    for (unsigned i = 0; i < meta->shard_count; i++)
        if (meta->shards[i].open)
            map.ranges[map.count++] = (struct shard_map_range){meta->shards[i].start, i};
    qsort(map.ranges, map.count, sizeof *map.ranges, by_start);
    *ret_map = map;
}

/* Whether the open shards' ranges touch each other and cover all keys. */
static bool ranges_cover(const struct meta *meta) {
    struct shard_map map;
    meta_map(meta, &map);
    hash_key next = 0;
    bool good = map.count > 0;
    for (unsigned i = 0; i < map.count; i++) {
        good = good && map.ranges[i].start == next && (i == 0 || next != 0);
        next = meta->shards[map.ranges[i].shard].end + 1;
    }
    free(map.ranges);
    return good && next == 0;
}

static bool parse_head(struct str *rest, struct meta *meta) {
    struct str kind = str_cut(*rest, '\n', rest), created = str_cut(*rest, '\n', rest),
               seed = str_cut(*rest, '\n', rest);
    uint64_t value;
    if (!take_word(&kind, "kind") || !take_word(&created, "created") ||
        !take_number(&created, UINT64_MAX / 1000, &meta->created_s) || !take_word(&seed, "seed") ||
        !take_number(&seed, UINT32_MAX, &value))
        return false;
    meta->seed = (uint32_t)value;
    meta->kind = str_eq(kind, STR("delivery")) ? STREAM_DELIVERY : STREAM_DATA;
    return meta->kind == STREAM_DELIVERY || str_eq(kind, STR("data"));
}

static bool parse_shards(struct str rest, struct meta *meta) {
    unsigned cap = 0;
    while (rest.len) {
        if (meta->shard_count == META_SHARDS_MAX)
            return false;
        if (meta->shard_count == cap) {
            cap = cap ? 2 * cap : 16;
            meta->shards = xrealloc(meta->shards, cap * sizeof *meta->shards);
        }
        struct meta_shard *shard = &meta->shards[meta->shard_count];
        if (!parse_shard(str_cut(rest, '\n', &rest), meta->shard_count, shard))
            return false;
        meta->shard_count++;
    }
    return meta->shard_count > 0 && ranges_cover(meta);
}

int meta_parse(struct str text, struct meta *ret_meta, struct err *err) {
    struct str rest = text, first = str_cut(rest, '\n', &rest);
    uint64_t version;
    if (!take_word(&first, "weir-stream") || !take_number(&first, UINT64_MAX, &version))
        return err_set(err, ERR_CORRUPT, "no metadata of a stream");
    if (version != VERSION)
        return err_set(err, ERR_UNSUPPORTED, "format version %llu is not known here",
                       (unsigned long long)version);
    struct meta meta = {0};
    if (!parse_head(&rest, &meta) || !parse_shards(rest, &meta)) {
        meta_done(&meta);
        return err_set(err, ERR_CORRUPT, "damaged metadata of a stream");
    }
    *ret_meta = meta;
    return 0;
}

static void write_parent(struct buf *out, int parent) {
    if (parent == META_NO_PARENT)
        buf_printf(out, " -");
    else
        buf_printf(out, " %d", parent);
}

void meta_write(const struct meta *meta, struct buf *out) {
    buf_printf(out, "weir-stream %d\nkind %s\ncreated %llu\nseed %u\n", VERSION,
               meta->kind == STREAM_DELIVERY ? "delivery" : "data",
               (unsigned long long)meta->created_s, meta->seed);
    for (unsigned i = 0; i < meta->shard_count; i++) {
        const struct meta_shard *shard = &meta->shards[i];
        char start[HASH_KEY_CHARS], end[HASH_KEY_CHARS];
        hash_key_text(shard->start, start);
        hash_key_text(shard->end, end);
        buf_printf(out, "shard %u %s %s %s", i, shard->open ? "open" : "closed", start, end);
        write_parent(out, shard->parents[0]);
        write_parent(out, shard->parents[1]);
        buf_add_u8(out, '\n');
    }
}

/* ---- file ---- */

int meta_load(const char *directory, struct meta *ret_meta, struct err *err) {
    char *path = xprintf("%s/stream.meta", directory);
    struct buf content = {0};
    int status = file_read_all(path, FILE_BYTES_MAX, &content, err);
    if (status == 0) {
        status = meta_parse(buf_str(&content), ret_meta, err);
        if (status)
            err_wrap(err, "%s", path);
    }
    buf_done(&content);
    free(path);
    return status;
}

int meta_save(const char *directory, const struct meta *meta, struct err *err) {
    char *path = xprintf("%s/stream.meta", directory);
    struct buf content = {0};
    meta_write(meta, &content);
    int status = file_write_atomic(path, buf_str(&content), err);
    buf_done(&content);
    free(path);
    return status;
}

uint32_t meta_shard_seed(const struct meta *meta, unsigned shard) {
    return meta->seed ^ (shard + 1) * UINT32_C(2654435761);
}
