/*
 * The merge walks the kept section and the request's side by side and writes state and metadata at once:
 *
 *      member                          state                       metadata
 *      only kept                       as it is                    as it is
 *      null in the request             gone                        gone
 *      objects in both                 merged, one level deeper    merged, one level deeper
 *      the same value in both          as it is                    as it is
 *      otherwise                       the request's, less nulls   the present second at each leaf
 *
 * Metadata has the shape of the state, with {"timestamp":SECONDS} in the place of each leaf; arrays
 * have it for each of their items, as AWS's do. A section left without members is left out. The
 * delta is what of `desired` differs from `reported`, arrays compared whole.
 *
 * Who asks for shadows chooses what they hold, and all wait for each: members of large objects are
 * looked for with an index, so that the work grows with their number and not with its square.
 */
#include "things/shadow_document.h"

#include <string.h>

#include "base/json_write.h"
#include "base/map.h"
#include "base/utf8.h"

struct merge {
    struct arena arena;
    struct buf *state, *metadata;
    uint64_t now_s;
};

static struct json_value absent(void) {
    return (struct json_value){0};
}

static bool is_object(struct json_value value) {
    return json_type(value) == JSON_OBJECT;
}

static void add_key(struct buf *out, struct json_value key) {
    json_write_comma(out);
    buf_add_str(out, json_raw(key));
    buf_add_u8(out, ':');
}

/* ---- members by name ---- */

enum { MEMBERS_INDEXED_MIN = 16 };

struct members {
    struct json_value object;
    struct map by_name; /* struct json_entry of the value; empty: there are few */
};

static struct members members_of(struct merge *merge, struct json_value object) {
    struct members members = {.object = object};
    if (!is_object(object) || json_count(object) < MEMBERS_INDEXED_MIN)
        return members;
    for (struct json_cursor cursor = json_each(object); json_next(&cursor);)
        map_put(&members.by_name, json_str(cursor.key, &merge->arena),
                (void *)json_entry(cursor.value));
    return members;
}

static struct json_value member(struct merge *merge, const struct members *members,
                                struct json_value key) {
    struct json_value object = members->object;
    struct str name = json_str(key, &merge->arena);
    if (!members->by_name.count)
        return json_member(object, name);
    const struct json_entry *found = map_get(&members->by_name, name);
    return found ? (struct json_value){object.json, (uint32_t)(found - object.json->entries)}
                 : absent();
}

static void members_done(struct members *members) {
    map_done(&members->by_name);
}

/* ---- values ---- */

static bool equal(struct merge *merge, struct json_value a, struct json_value b);

/* Of two with as many members. */
static bool objects_equal(struct merge *merge, struct json_value a, struct json_value b) {
    struct members others = members_of(merge, b);
    bool same = true;
    for (struct json_cursor cursor = json_each(a); same && json_next(&cursor);)
        same = equal(merge, cursor.value, member(merge, &others, cursor.key));
    members_done(&others);
    return same;
}

/* By value; the order of members does not count. */
static bool equal(struct merge *merge, struct json_value a, struct json_value b) {
    if (json_type(a) != json_type(b) || json_count(a) != json_count(b))
        return false;
    if (json_type(a) == JSON_STRING)
        return str_eq(json_str(a, &merge->arena), json_str(b, &merge->arena));
    if (json_type(a) < JSON_ARRAY)
        return str_eq(json_raw(a), json_raw(b));
    if (is_object(a))
        return objects_equal(merge, a, b);
    struct json_cursor left = json_each(a), right = json_each(b);
    while (json_next(&left) && json_next(&right))
        if (!equal(merge, left.value, right.value))
            return false;
    return true;
}

/* ---- what is new ---- */

typedef void add_leaf_fn(struct buf *out, struct json_value leaf, uint64_t now_s);

static void add_value(struct buf *out, struct json_value leaf, uint64_t now_s) {
    buf_add_str(out, json_raw(leaf));
}

static void add_present_time(struct buf *out, struct json_value leaf, uint64_t now_s) {
    buf_printf(out, "{\"timestamp\":%llu}", (unsigned long long)now_s);
}

/* The tree of `value`, less its nulls, with what `add_leaf` makes of each leaf. */
static void add_tree(struct buf *out, struct json_value value, uint64_t now_s,
                     add_leaf_fn *add_leaf) {
    if (json_type(value) < JSON_ARRAY) {
        add_leaf(out, value, now_s);
        return;
    }
    buf_add_u8(out, is_object(value) ? '{' : '[');
    for (struct json_cursor cursor = json_each(value); json_next(&cursor);) {
        if (json_type(cursor.value) == JSON_NULL)
            continue;
        if (is_object(value))
            add_key(out, cursor.key);
        else
            json_write_comma(out);
        add_tree(out, cursor.value, now_s, add_leaf);
    }
    buf_add_u8(out, is_object(value) ? '}' : ']');
}

/* ---- the merge of a section ---- */

static void merge_objects(struct merge *merge, struct json_value old, struct json_value old_times,
                          struct json_value request);

static void merge_member(struct merge *merge, struct json_value key, struct json_value old,
                         struct json_value old_times, struct json_value request) {
    if (json_type(request) == JSON_NULL)
        return;
    add_key(merge->state, key);
    add_key(merge->metadata, key);
    bool is_kept =
        json_type(request) == JSON_ABSENT || (!is_object(request) && equal(merge, old, request));
    if (is_kept) {
        buf_add_str(merge->state, json_raw(old));
        buf_add_str(merge->metadata, json_raw(old_times));
    } else if (is_object(old) && is_object(request)) {
        merge_objects(merge, old, old_times, request);
    } else {
        add_tree(merge->state, request, merge->now_s, add_value);
        add_tree(merge->metadata, request, merge->now_s, add_present_time);
    }
}

static void merge_objects(struct merge *merge, struct json_value old, struct json_value old_times,
                          struct json_value request) {
    struct members known = members_of(merge, old), times = members_of(merge, old_times),
                   changes = members_of(merge, request);
    buf_add_u8(merge->state, '{');
    buf_add_u8(merge->metadata, '{');
    for (struct json_cursor cursor = json_each(old); json_next(&cursor);)
        merge_member(merge, cursor.key, cursor.value, member(merge, &times, cursor.key),
                     member(merge, &changes, cursor.key));
    for (struct json_cursor cursor = json_each(request); json_next(&cursor);)
        if (json_type(member(merge, &known, cursor.key)) == JSON_ABSENT)
            merge_member(merge, cursor.key, absent(), absent(), cursor.value);
    buf_add_u8(merge->state, '}');
    buf_add_u8(merge->metadata, '}');
    members_done(&known);
    members_done(&times);
    members_done(&changes);
}

/* `out` has grown by an empty object: its key goes as well. */
static void drop_empty(struct buf *out, size_t before) {
    struct str text = str_skip(buf_str(out), before);
    if (text.len >= 2 && memcmp(text.at + text.len - 2, "{}", 2) == 0 &&
        memchr(text.at, '{', text.len) == text.at + text.len - 2)
        out->end = out->begin + before;
}

static void merge_section(struct merge *merge, const char *name, struct json_value kept,
                          struct json_value request) {
    struct json_value old = json_member(json_member(kept, STR("state")), str_of(name));
    struct json_value old_times = json_member(json_member(kept, STR("metadata")), str_of(name));
    struct json_value change = json_member(json_member(request, STR("state")), str_of(name));
    size_t state_before = buf_len(merge->state), metadata_before = buf_len(merge->metadata);
    if (json_type(change) == JSON_NULL || (!is_object(old) && !is_object(change)))
        return;
    json_write_key(merge->state, name);
    json_write_key(merge->metadata, name);
    merge_objects(merge, old, old_times, change);
    drop_empty(merge->state, state_before);
    drop_empty(merge->metadata, metadata_before);
}

/* ---- parts of a document ---- */

/* Of `times`, what stands where `pattern` has something. */
static void add_times_of(struct merge *merge, struct buf *out, struct json_value pattern,
                         struct json_value times) {
    if (!is_object(pattern)) {
        buf_add_str(out, json_raw(times));
        return;
    }
    struct members known = members_of(merge, times);
    buf_add_u8(out, '{');
    for (struct json_cursor cursor = json_each(pattern); json_next(&cursor);) {
        struct json_value inner = member(merge, &known, cursor.key);
        if (json_type(inner) == JSON_ABSENT)
            continue;
        add_key(out, cursor.key);
        add_times_of(merge, out, cursor.value, inner);
    }
    buf_add_u8(out, '}');
    members_done(&known);
}

static bool differs(struct merge *merge, struct json_value desired, struct json_value reported) {
    if (!is_object(desired) || !is_object(reported))
        return !equal(merge, desired, reported);
    struct members others = members_of(merge, reported);
    bool found = false;
    for (struct json_cursor cursor = json_each(desired); !found && json_next(&cursor);)
        found = differs(merge, cursor.value, member(merge, &others, cursor.key));
    members_done(&others);
    return found;
}

static void add_delta(struct merge *merge, struct json_value desired, struct json_value reported,
                      struct json_value times) {
    if (!is_object(desired) || !is_object(reported)) {
        buf_add_str(merge->state, json_raw(desired));
        buf_add_str(merge->metadata, json_raw(times));
        return;
    }
    struct members others = members_of(merge, reported), known = members_of(merge, times);
    buf_add_u8(merge->state, '{');
    buf_add_u8(merge->metadata, '{');
    for (struct json_cursor cursor = json_each(desired); json_next(&cursor);) {
        struct json_value other = member(merge, &others, cursor.key);
        if (!differs(merge, cursor.value, other))
            continue;
        add_key(merge->state, cursor.key);
        add_key(merge->metadata, cursor.key);
        add_delta(merge, cursor.value, other, member(merge, &known, cursor.key));
    }
    buf_add_u8(merge->state, '}');
    buf_add_u8(merge->metadata, '}');
    members_done(&others);
    members_done(&known);
}

/* ---- the request ---- */

static unsigned depth_of(struct json_value value) {
    unsigned deepest = 0;
    if (json_type(value) < JSON_ARRAY)
        return 0;
    for (struct json_cursor cursor = json_each(value); json_next(&cursor);) {
        unsigned depth = depth_of(cursor.value);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest + 1;
}

static bool names_unique(struct json_value object, struct arena *arena) {
    struct map names = {0};
    bool unique = true;
    for (struct json_cursor cursor = json_each(object); unique && json_next(&cursor);)
        unique = !map_put(&names, json_str(cursor.key, arena), (void *)json_entry(cursor.value));
    map_done(&names);
    return unique;
}

/* Neither null in an array nor two members of one name, of which one could not be told from the
 * other later. */
static bool is_plain(struct json_value value, struct arena *arena) {
    if (is_object(value) && !names_unique(value, arena))
        return false;
    for (struct json_cursor cursor = json_each(value); json_next(&cursor);) {
        bool is_null_item = !is_object(value) && json_type(cursor.value) == JSON_NULL;
        if (is_null_item || !is_plain(cursor.value, arena))
            return false;
    }
    return true;
}

static int check_section(struct json_value section, const char *node, struct arena *arena,
                         struct err *err) {
    enum json_type type = json_type(section);
    if (type == JSON_ABSENT || type == JSON_NULL)
        return 0;
    if (type != JSON_OBJECT)
        return err_set(err, ERR_INVALID, "%s node must be an object", node);
    if (depth_of(section) > SHADOW_DEPTH_MAX)
        return err_set(err, ERR_INVALID, "JSON contains too many levels of nesting; maximum is %d",
                       SHADOW_DEPTH_MAX);
    if (!is_plain(section, arena))
        return err_set(
            err, ERR_INVALID,
            "State contains an invalid node: null in an array, or a name that comes twice");
    return 0;
}

bool shadow_document_read_token(struct json_value request, struct str *ret_token) {
    struct json_value token = json_member(request, STR("clientToken"));
    *ret_token = (struct str){0};
    if (json_type(token) == JSON_ABSENT)
        return true;
    if (json_type(token) != JSON_STRING || json_raw(token).len > SHADOW_TOKEN_BYTES_MAX + 2)
        return false;
    *ret_token = json_raw(token);
    return true;
}

static int check_request(struct json_value request, struct arena *arena, struct err *err) {
    struct json_value state = json_member(request, STR("state"));
    struct str token;
    if (!is_object(request))
        return err_set(err, ERR_INVALID, "Invalid JSON");
    if (json_type(state) == JSON_ABSENT)
        return err_set(err, ERR_INVALID, "Missing required node: state");
    if (!is_object(state))
        return err_set(err, ERR_INVALID, "State node must be an object");
    if (!shadow_document_read_token(request, &token))
        return err_set(err, ERR_INVALID, "Invalid clientToken");
    for (struct json_cursor cursor = json_each(state); json_next(&cursor);)
        if (!json_str_eq(cursor.key, STR("desired")) && !json_str_eq(cursor.key, STR("reported")))
            return err_set(err, ERR_INVALID, "State contains an invalid node: '%.*s'",
                           STR_ARG(json_raw(cursor.key)));
    if (!names_unique(state, arena))
        return err_set(err, ERR_INVALID, "State contains an invalid node: a name that comes twice");
    int code = check_section(json_member(state, STR("desired")), "Desired", arena, err);
    return code ? code : check_section(json_member(state, STR("reported")), "Reported", arena, err);
}

static int check_version(struct json_value request, int64_t present, struct err *err) {
    struct json_value value = json_member(request, STR("version"));
    int64_t version;
    if (json_type(value) == JSON_ABSENT || json_type(value) == JSON_NULL)
        return 0;
    if (!json_int(value, &version) || version < 0)
        return err_set(err, ERR_INVALID, "Invalid version");
    return version == present ? 0 : err_set(err, ERR_EXISTS, "Version conflict");
}

static int read_request(struct json *json, struct str text, struct arena *arena, struct err *err) {
    if (text.len > SHADOW_REQUEST_BYTES_MAX)
        return err_set(err, ERR_TOO_LARGE, "The payload exceeds the maximum size allowed");
    if (!utf8_valid(text))
        return err_set(err, ERR_UNSUPPORTED, "The document is not UTF-8");
    if (json_parse(json, text))
        return err_set(err, ERR_INVALID, "Invalid JSON");
    return check_request(json_root(json), arena, err);
}

/* ---- update ---- */

void shadow_document_end(struct buf *out, uint64_t now_s, struct str token) {
    json_write_int(out, "timestamp", now_s);
    if (token.len) {
        json_write_key(out, "clientToken");
        buf_add_str(out, token);
    }
    buf_add_u8(out, '}');
}

static void add_object(struct buf *out, const char *key, const struct buf *members) {
    json_write_key(out, key);
    buf_add_str(out, buf_str(members));
}

/* Adds the delta to state and metadata, whose last bracket is still open. */
static int finish_with_delta(struct merge *merge, struct err *err) {
    struct json state = {0}, metadata = {0};
    struct buf state_text = {0}, metadata_text = {0};
    buf_add_str(&state_text, buf_str(merge->state));
    buf_add_str(&metadata_text, buf_str(merge->metadata));
    buf_add_u8(&state_text, '}');
    buf_add_u8(&metadata_text, '}');
    bool ok = json_parse(&state, buf_str(&state_text)) == 0 &&
              json_parse(&metadata, buf_str(&metadata_text)) == 0;
    if (ok) {
        struct json_value desired = json_member(json_root(&state), STR("desired"));
        struct json_value reported = json_member(json_root(&state), STR("reported"));
        struct json_value times = json_member(json_root(&metadata), STR("desired"));
        if (is_object(desired) && differs(merge, desired, reported)) {
            json_write_key(merge->state, "delta");
            json_write_key(merge->metadata, "delta");
            add_delta(merge, desired, reported, times);
        }
    }
    buf_add_u8(merge->state, '}');
    buf_add_u8(merge->metadata, '}');
    json_done(&state);
    json_done(&metadata);
    buf_done(&state_text);
    buf_done(&metadata_text);
    return ok ? 0 : err_set(err, ERR_CORRUPT, "The shadow that is kept is no document");
}

static void add_accepted(struct merge *merge, struct json_value request, int64_t version,
                         struct buf *out) {
    struct json metadata = {0};
    struct json_value state = json_member(request, STR("state"));
    struct str token;
    shadow_document_read_token(request, &token);
    buf_add_u8(out, '{');
    json_write_key(out, "state");
    buf_add_str(out, json_raw(state));
    json_write_key(out, "metadata");
    int code = json_parse(&metadata, buf_str(merge->metadata));
    ASSERT(!code);
    add_times_of(merge, out, state, json_root(&metadata));
    json_write_int(out, "version", version);
    shadow_document_end(out, merge->now_s, token);
    json_done(&metadata);
}

static int update(struct merge *merge, struct json_value kept, struct json_value request,
                  struct buf *ret_kept, struct buf *ret_accepted, struct err *err) {
    int64_t version = 0;
    json_int(json_member(kept, STR("version")), &version);
    int code = check_version(request, version, err);
    if (code)
        return code;
    buf_add_u8(merge->state, '{');
    buf_add_u8(merge->metadata, '{');
    merge_section(merge, "desired", kept, request);
    merge_section(merge, "reported", kept, request);
    if (buf_len(merge->state) + 1 > SHADOW_STATE_BYTES_MAX)
        return err_set(err, ERR_TOO_LARGE, "The payload exceeds the maximum size allowed");
    code = finish_with_delta(merge, err);
    if (code)
        return code;
    buf_add_u8(ret_kept, '{');
    json_write_int(ret_kept, "version", version + 1);
    add_object(ret_kept, "state", merge->state);
    add_object(ret_kept, "metadata", merge->metadata);
    buf_add_u8(ret_kept, '}');
    add_accepted(merge, request, version + 1, ret_accepted);
    return 0;
}

int shadow_document_update(struct str kept, struct str request, uint64_t now_s,
                           struct buf *ret_kept, struct buf *ret_accepted, struct err *err) {
    struct buf state = {0}, metadata = {0};
    struct json kept_json = {0}, request_json = {0};
    struct merge merge = {.state = &state, .metadata = &metadata, .now_s = now_s};
    int code = read_request(&request_json, request, &merge.arena, err);
    if (!code && kept.len && json_parse(&kept_json, kept))
        code = err_set(err, ERR_CORRUPT, "The shadow that is kept is no document");
    if (!code)
        code = update(&merge, json_root(&kept_json), json_root(&request_json), ret_kept,
                      ret_accepted, err);
    json_done(&kept_json);
    json_done(&request_json);
    buf_done(&state);
    buf_done(&metadata);
    arena_done(&merge.arena);
    return code;
}

/* ---- the other operations ---- */

/* What is kept of a deleted one is short: documents need not be read through to know them. */
bool shadow_document_deleted(struct str kept, int64_t *ret_deleted_s) {
    enum { DELETED_BYTES_MAX = 100 };
    struct json json = {0};
    bool deleted = kept.len <= DELETED_BYTES_MAX && json_parse(&json, kept) == 0 &&
                   json_int(json_member(json_root(&json), STR("deleted")), ret_deleted_s);
    json_done(&json);
    return deleted;
}

/* False if there is none (`kept` is empty) or it was deleted. */
static bool is_there(struct str kept) {
    int64_t deleted_s;
    return kept.len && !shadow_document_deleted(kept, &deleted_s);
}

bool shadow_document_show(struct str kept, uint64_t now_s, struct str token, struct buf *out) {
    if (!is_there(kept))
        return false;
    buf_add(out, kept.at, kept.len - 1);
    shadow_document_end(out, now_s, token);
    return true;
}

int shadow_document_delete(struct str kept, uint64_t now_s, struct buf *ret_kept,
                           int64_t *ret_version) {
    struct json json = {0};
    bool found = is_there(kept);
    bool is_read = found && json_parse(&json, kept) == 0 &&
                   json_int(json_member(json_root(&json), STR("version")), ret_version);
    json_done(&json);
    if (!is_read)
        return found ? ERR_CORRUPT : ERR_NOT_FOUND;
    buf_printf(ret_kept, "{\"version\":%lld,\"deleted\":%llu}", (long long)*ret_version,
               (unsigned long long)now_s);
    return 0;
}

bool shadow_document_forgotten(struct str kept, uint64_t now_s) {
    int64_t deleted_s;
    return shadow_document_deleted(kept, &deleted_s) &&
           deleted_s + SHADOW_REMEMBERED_S <= (int64_t)now_s;
}
