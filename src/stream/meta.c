/*
 * stream.meta is lines of words, written anew as a whole when something changes:
 *
 *      weir-stream 2                                        format and its version
 *      kind data                                            or delivery, action, sessions, requests
 *      created 1789780016                                   seconds since 1970
 *      seed 3735928559                                      of the blocks' sums
 *      retention 86400000                                   milliseconds; 0: for ever
 *      state active                                         or deleting
 *      shards 3                                             numbers that were given so far
 *      shard 0 closed 0 340282366920938463463374607431768211455 - - 1789780016000 1789780099123 42
 *      shard 1 open 0 170141183460469231731687303715884105727 0 - 1789780099123 - -
 *      shard 2 open 170141183460469231731687303715884105728 340282366920938463463374607431768211455 0 - ...
 *
 * One line per shard, ascending: number, `open` or `closed`, first and last hash key, the shards it
 * was split from or merged of (`-`: none), when it was opened and closed, and the counter at which a
 * closed one ends (`-`: it was not written down, what is on disk tells). Numbers without a line are
 * those of closed shards whose records are gone. Lines and words are separated by one LF and one
 * blank.
 *
 * Version 1 had neither retention, state and shards nor the last three words of a shard, which is
 * taken as opened with the stream. It is read, and written as version 2. A stream that compresses its
 * blocks, or did so once, has version 3 and behind its retention the line `compression zstd`: older
 * programs, which would take such a block for the remains of a write, refuse it.
 */
#include "stream/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"

enum { VERSION = 2, VERSION_COMPRESSED = 3, FILE_BYTES_MAX = STREAM_SHARDS_MAX * 220 };

const char *const meta_kind_names[STREAM_KINDS] = {"data", "delivery", "action", "sessions",
                                                   "requests"};

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
        shard->state = META_OPEN;
        shard->opened_ms = meta->created_s * 1000;
    }
}

struct meta meta_copy(const struct meta *meta) {
    struct meta copy = *meta;
    copy.shards = xmalloc(meta->shard_count * sizeof *copy.shards);
    memcpy(copy.shards, meta->shards, meta->shard_count * sizeof *copy.shards);
    return copy;
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

/* A number or `-`, which stands for `none`. */
static bool take_optional(struct str *line, uint64_t none, uint64_t *ret_value) {
    struct str word = str_cut(*line, ' ', line);
    *ret_value = none;
    return str_eq(word, STR("-")) || (str_to_u64(word, ret_value) && *ret_value != none);
}

static bool parse_life(struct str *line, struct meta_shard *shard) {
    bool open = shard->state == META_OPEN;
    return take_number(line, UINT64_MAX / 2, &shard->opened_ms) &&
           take_optional(line, 0, &shard->closed_ms) && open == (shard->closed_ms == 0) &&
           take_optional(line, META_END_UNKNOWN, &shard->end_counter) &&
           !(open && shard->end_counter != META_END_UNKNOWN);
}

/* Numbers ascend; those that are left out are gone. */
static bool parse_shard(struct str line, uint64_t version, uint64_t least, struct meta *meta,
                        uint64_t *ret_number) {
    if (!take_word(&line, "shard") || !take_number(&line, meta->shard_count - 1, ret_number) ||
        *ret_number < least || (version == 1 && *ret_number != least))
        return false;
    struct meta_shard *shard = &meta->shards[*ret_number];
    struct str state = str_cut(line, ' ', &line);
    shard->state = str_eq(state, STR("open")) ? META_OPEN : META_CLOSED;
    if (shard->state == META_CLOSED && !str_eq(state, STR("closed")))
        return false;
    struct str start = str_cut(line, ' ', &line), end = str_cut(line, ' ', &line);
    bool good = hash_key_parse(start, &shard->start) && hash_key_parse(end, &shard->end) &&
                shard->start <= shard->end && take_parent(&line, *ret_number, &shard->parents[0]) &&
                take_parent(&line, *ret_number, &shard->parents[1]);
    shard->end_counter = META_END_UNKNOWN;
    shard->opened_ms = meta->created_s * 1000;
    shard->closed_ms = shard->state == META_CLOSED ? shard->opened_ms + 1 : 0;
    return good && (version == 1 || parse_life(&line, shard)) && line.len == 0;
}

static int by_start(const void *a, const void *b) {
    const struct shard_map_range *left = a, *right = b;
    return (left->start > right->start) - (left->start < right->start);
}

void meta_map(const struct meta *meta, struct shard_map *ret_map) {
    struct shard_map map = {.ranges = xcalloc(meta->shard_count, sizeof *map.ranges)};
    for (unsigned i = 0; i < meta->shard_count; i++)
        if (meta->shards[i].state == META_OPEN)
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

static bool take_line(struct str *rest, const char *word, uint64_t max, uint64_t *ret_value) {
    struct str line = str_cut(*rest, '\n', rest);
    return take_word(&line, word) && take_number(&line, max, ret_value) && line.len == 0;
}

static bool kind_parse(struct str text, enum stream_kind *ret_kind) {
    for (unsigned kind = 0; kind < COUNT_OF(meta_kind_names); kind++)
        if (str_eq(text, str_of(meta_kind_names[kind]))) {
            *ret_kind = (enum stream_kind)kind;
            return true;
        }
    return false;
}

static bool parse_head(struct str *rest, struct meta *meta) {
    struct str kind = str_cut(*rest, '\n', rest);
    uint64_t seed;
    if (!take_word(&kind, "kind") ||
        !take_line(rest, "created", UINT64_MAX / 2000, &meta->created_s) ||
        !take_line(rest, "seed", UINT32_MAX, &seed))
        return false;
    meta->seed = (uint32_t)seed;
    return kind_parse(kind, &meta->kind);
}

/* What version 2 has more of. */
static bool parse_state(struct str *rest, uint64_t version, struct meta *meta,
                        uint64_t *ret_shards) {
    uint64_t retention_ms;
    if (!take_line(rest, "retention", INT64_MAX, &retention_ms))
        return false;
    meta->retention_ms = (int64_t)retention_ms;
    meta->compressed = version == VERSION_COMPRESSED;
    if (meta->compressed && !str_eq(str_cut(*rest, '\n', rest), STR("compression zstd")))
        return false;
    struct str line = str_cut(*rest, '\n', rest);
    if (!take_word(&line, "state"))
        return false;
    meta->deleting = str_eq(line, STR("deleting"));
    return (meta->deleting || str_eq(line, STR("active"))) &&
           take_line(rest, "shards", STREAM_SHARDS_MAX, ret_shards);
}

static uint64_t count_lines(struct str text) {
    uint64_t count = 0;
    for (; text.len && count <= STREAM_SHARDS_MAX; count++)
        str_cut(text, '\n', &text);
    return count;
}

static bool parse_shards(struct str rest, uint64_t version, uint64_t count, struct meta *meta) {
    if (count == 0 || count > STREAM_SHARDS_MAX)
        return false;
    meta->shard_count = (unsigned)count;
    meta->shards = xcalloc(count, sizeof *meta->shards);
    for (unsigned i = 0; i < meta->shard_count; i++)
        meta->shards[i].parents[0] = meta->shards[i].parents[1] = META_NO_PARENT;
    for (uint64_t least = 0, number; rest.len; least = number + 1)
        if (!parse_shard(str_cut(rest, '\n', &rest), version, least, meta, &number))
            return false;
    return ranges_cover(meta);
}

int meta_parse(struct str text, struct meta *ret_meta, struct err *err) {
    struct str rest = text, first = str_cut(rest, '\n', &rest);
    uint64_t version, shards = 0;
    if (!take_word(&first, "weir-stream") || !take_number(&first, UINT64_MAX, &version))
        return err_set(err, ERR_CORRUPT, "no metadata of a stream");
    if (version < 1 || version > VERSION_COMPRESSED)
        return err_set(err, ERR_UNSUPPORTED, "format version %llu is not known here",
                       (unsigned long long)version);
    struct meta meta = {0};
    bool good =
        parse_head(&rest, &meta) && (version == 1 || parse_state(&rest, version, &meta, &shards));
    if (version == 1)
        shards = count_lines(rest);
    if (!good || !parse_shards(rest, version, shards, &meta)) {
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

static void write_optional(struct buf *out, uint64_t none, uint64_t value) {
    if (value == none)
        buf_printf(out, " -");
    else
        buf_printf(out, " %llu", (unsigned long long)value);
}

static void write_shard(struct buf *out, unsigned number, const struct meta_shard *shard) {
    char start[HASH_KEY_CHARS], end[HASH_KEY_CHARS];
    hash_key_text(shard->start, start);
    hash_key_text(shard->end, end);
    buf_printf(out, "shard %u %s %s %s", number, shard->state == META_OPEN ? "open" : "closed",
               start, end);
    write_parent(out, shard->parents[0]);
    write_parent(out, shard->parents[1]);
    buf_printf(out, " %llu", (unsigned long long)shard->opened_ms);
    write_optional(out, 0, shard->closed_ms);
    write_optional(out, META_END_UNKNOWN,
                   shard->state == META_OPEN ? META_END_UNKNOWN : shard->end_counter);
    buf_add_u8(out, '\n');
}

void meta_write(const struct meta *meta, struct buf *out) {
    buf_printf(out,
               "weir-stream %d\nkind %s\ncreated %llu\nseed %u\nretention %lld\n%sstate %s\n"
               "shards %u\n",
               meta->compressed ? VERSION_COMPRESSED : VERSION, meta_kind_names[meta->kind],
               (unsigned long long)meta->created_s, meta->seed, (long long)meta->retention_ms,
               meta->compressed ? "compression zstd\n" : "", meta->deleting ? "deleting" : "active",
               meta->shard_count);
    for (unsigned i = 0; i < meta->shard_count; i++)
        if (meta->shards[i].state != META_GONE)
            write_shard(out, i, &meta->shards[i]);
}

/* ---- file ---- */

int meta_load(const char *directory, struct meta *ret_meta, struct err *err) {
    char *path = xprintf("%s/" META_FILE, directory);
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

static int write_new(const struct file_ops *file, const char *path, struct str content) {
    int fd;
    int status = file->open(file->self, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640, &fd);
    if (status)
        return status;
    struct iovec part = {(void *)content.at, content.len};
    status = file->writev_all(file->self, fd, &part, 1, 0);
    if (status == 0)
        status = file->datasync(file->self, fd);
    file->close(file->self, fd);
    return status;
}

int meta_save(const struct file_ops *file, const char *directory, const struct meta *meta,
              struct err *err) {
    char *path = xprintf("%s/" META_FILE, directory);
    char *temporary = xprintf("%s/" META_FILE ".new", directory);
    struct buf content = {0};
    meta_write(meta, &content);
    int status = write_new(file, temporary, buf_str(&content));
    if (status == 0)
        status = file->rename(file->self, temporary, path);
    if (status == 0)
        status = file->sync_directory(file->self, directory);
    if (status)
        err_set_errno(err, errno, "%s: cannot be written", path);
    buf_done(&content);
    free(temporary);
    free(path);
    return status;
}

uint32_t meta_shard_seed(const struct meta *meta, unsigned shard) {
    return meta->seed ^ (shard + 1) * UINT32_C(2654435761);
}

/* ---- resharding ---- */

static int check_open(const struct meta *meta, unsigned shard, struct err *err) {
    if (shard >= meta->shard_count || meta->shards[shard].state == META_GONE)
        return err_set(err, ERR_NOT_FOUND, "there is no shard %u", shard);
    if (meta->shards[shard].state != META_OPEN)
        return err_set(err, ERR_CLOSED, "shard %u is closed", shard);
    return 0;
}

static int check_room(const struct meta *meta, unsigned children, struct err *err) {
    if (meta->shard_count + children > STREAM_SHARDS_MAX)
        return err_set(err, ERR_FULL, "a stream can have %d shards in its life", STREAM_SHARDS_MAX);
    return 0;
}

int meta_check_split(const struct meta *meta, unsigned shard, hash_key key, struct err *err) {
    int status = check_open(meta, shard, err);
    if (status)
        return status;
    if (key <= meta->shards[shard].start || key > meta->shards[shard].end)
        return err_set(err, ERR_INVALID, "the key does not cut the range of shard %u in two",
                       shard);
    return check_room(meta, 2, err);
}

static bool touch(const struct meta_shard *low, const struct meta_shard *high) {
    return low->end != ~(hash_key)0 && low->end + 1 == high->start;
}

int meta_check_merge(const struct meta *meta, unsigned shard, unsigned adjacent, struct err *err) {
    int status = check_open(meta, shard, err);
    if (status == 0)
        status = check_open(meta, adjacent, err);
    if (status)
        return status;
    const struct meta_shard *one = &meta->shards[shard], *other = &meta->shards[adjacent];
    if (!touch(one, other) && !touch(other, one))
        return err_set(err, ERR_INVALID, "the ranges of the shards %u and %u do not touch", shard,
                       adjacent);
    return check_room(meta, 1, err);
}

static void close_shard(struct meta *meta, unsigned shard, uint64_t now_ms) {
    meta->shards[shard].state = META_CLOSED;
    uint64_t opened_ms = meta->shards[shard].opened_ms;
    meta->shards[shard].closed_ms = now_ms > opened_ms ? now_ms : opened_ms;
    meta->shards[shard].end_counter = META_END_UNKNOWN;
}

/* Sequence numbers begin with the second in which the shard was opened: that of a child is above
 * its parent's whatever the clock says. */
static void add_child(struct meta *meta, const struct meta_shard *child, uint64_t now_ms) {
    struct meta_shard shard = *child;
    shard.state = META_OPEN;
    shard.opened_ms = now_ms;
    shard.end_counter = META_END_UNKNOWN;
    for (int i = 0; i < 2; i++) {
        if (shard.parents[i] == META_NO_PARENT)
            continue;
        uint64_t least_ms = (meta->shards[shard.parents[i]].opened_ms / 1000 + 1) * 1000;
        if (shard.opened_ms < least_ms)
            shard.opened_ms = least_ms;
    }
    meta->shards = xrealloc(meta->shards, ((size_t)meta->shard_count + 1) * sizeof *meta->shards);
    meta->shards[meta->shard_count++] = shard;
}

void meta_split(struct meta *meta, unsigned shard, hash_key key, uint64_t now_ms) {
    int parent = (int)shard;
    struct meta_shard low = {
        .start = meta->shards[shard].start, .end = key - 1, .parents = {parent, META_NO_PARENT}};
    struct meta_shard high = {
        .start = key, .end = meta->shards[shard].end, .parents = {parent, META_NO_PARENT}};
    close_shard(meta, shard, now_ms);
    add_child(meta, &low, now_ms);
    add_child(meta, &high, now_ms);
}

void meta_merge(struct meta *meta, unsigned shard, unsigned adjacent, uint64_t now_ms) {
    const struct meta_shard *one = &meta->shards[shard], *other = &meta->shards[adjacent];
    struct meta_shard child = {.start = one->start < other->start ? one->start : other->start,
                               .end = one->end > other->end ? one->end : other->end,
                               .parents = {(int)shard, (int)adjacent}};
    close_shard(meta, shard, now_ms);
    close_shard(meta, adjacent, now_ms);
    add_child(meta, &child, now_ms);
}

bool meta_is_original(const struct meta *meta) {
    for (unsigned i = 0; i < meta->shard_count; i++)
        if (meta->shards[i].state != META_OPEN || meta->shards[i].parents[0] != META_NO_PARENT)
            return false;
    return true;
}
