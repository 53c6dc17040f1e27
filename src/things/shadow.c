/*
 * Shadows over HTTP (AWS IoT Core Developer Guide, "Device Shadow REST API"). A shadow needs no thing in the
 * registry, as on AWS. Each change is one commit of the facts, on disk before it is answered.
 */
#include "base/clock.h"
#include "base/json_write.h"
#include "things/shadow_document.h"
#include "things/store.h"

enum { PAGE_DEFAULT = 25, PAGE_MAX = 100, SWEEP_INTERVAL_S = 600 };

static uint64_t now_s(void) {
    return clock_wall_ms() / 1000;
}

static void fail(struct rest_call *call, int code, const struct err *err) {
    switch (code) {
    case ERR_INVALID:
        rest_fail(call, 400, "InvalidRequestException", "%s", err->text);
        break;
    case ERR_EXISTS:
        rest_fail(call, 409, "ConflictException", "%s", err->text);
        break;
    case ERR_TOO_LARGE:
        rest_fail(call, 413, "RequestEntityTooLargeException", "%s", err->text);
        break;
    case ERR_UNSUPPORTED:
        rest_fail(call, 415, "UnsupportedDocumentEncodingException", "%s", err->text);
        break;
    case ERR_FULL:
        rest_fail(call, 429, "ThrottlingException", "%s", err->text);
        break;
    default:
        rest_fail(call, 500, "InternalFailureException", "%s", err->text);
    }
}

/* The key of the shadow that the call is about; false, and the call has failed. */
static bool read_key(struct rest_call *call, struct str *ret_key, struct str *ret_shadow) {
    *ret_shadow = (struct str){0};
    bool named = rest_query(call, "name", ret_shadow);
    if (!things_name_valid(call->labels[0], THINGS_NAME_CHARS_MAX, false)) {
        rest_fail(call, 400, "InvalidRequestException", "Invalid thingName");
        return false;
    }
    if (named && !things_name_valid(*ret_shadow, THINGS_SHADOW_NAME_CHARS_MAX, true)) {
        rest_fail(call, 400, "InvalidRequestException", "Invalid shadowName");
        return false;
    }
    *ret_key = things_shadow_key(&call->arena, call->labels[0], *ret_shadow);
    return true;
}

/* What is kept of it, empty if there is nothing; false, and the call has failed. */
static bool read_kept(struct rest_call *call, struct str key, struct buf *ret_kept) {
    struct things *things = things_of(call);
    int code = facts_get(things->facts, things->shadows.name, key, ret_kept);
    if (!code || code == ERR_NOT_FOUND)
        return true;
    rest_fail(call, 500, "InternalFailureException", "The shadow cannot be read: %s",
              err_text(code));
    return false;
}

static void fail_absent(struct rest_call *call, struct str shadow) {
    struct str name = shadow.len ? shadow : call->labels[0];
    rest_fail(call, 404, "ResourceNotFoundException", "No shadow exists with name: '%.*s'",
              STR_ARG(name));
}

/* ---- get, update, delete ---- */

static void get_shadow(struct rest_call *call) {
    struct str key, shadow;
    struct buf kept = {0};
    if (read_key(call, &key, &shadow) && read_kept(call, key, &kept)) {
        if (shadow_document_show(buf_str(&kept), now_s(), &call->output))
            rest_answer(call, 200);
        else
            fail_absent(call, shadow);
    }
    buf_done(&kept);
}

struct sweep {
    struct buf keys; /* each with its length before it */
    uint64_t now_s;
};

static bool note_forgotten(void *data, struct str key, struct str value) {
    struct sweep *sweep = data;
    if (shadow_document_forgotten(value, sweep->now_s)) {
        buf_add_u16be(&sweep->keys, (uint16_t)key.len);
        buf_add_str(&sweep->keys, key);
    }
    return true;
}

/* Makes room: shadows deleted long ago go. Whether it is worth to try again. */
static bool sweep_forgotten(struct things *things) {
    struct sweep sweep = {.now_s = now_s()};
    struct buf value = {0};
    bool swept = false;
    if (sweep.now_s < things->swept_s + SWEEP_INTERVAL_S)
        return false;
    things->swept_s = sweep.now_s;
    facts_each(things->facts, things->shadows.name, (struct str){0}, note_forgotten, &sweep);
    for (struct str rest = buf_str(&sweep.keys); rest.len;) {
        size_t len = (size_t)((uint8_t)rest.at[0] << 8 | (uint8_t)rest.at[1]);
        struct str key = str_from(rest.at + 2, len);
        rest = str_skip(rest, 2 + len);
        buf_clear(&value);
        if (!facts_get(things->facts, things->shadows.name, key, &value))
            swept |= !things_remove(things, &things->shadows, key, buf_str(&value), NULL);
    }
    buf_done(&value);
    buf_done(&sweep.keys);
    return swept;
}

static int keep(struct things *things, struct str key, const struct buf *old,
                const struct buf *fresh, struct err *err) {
    int code = things_put(things, &things->shadows, key, buf_str(old), buf_str(fresh), err);
    if (code == ERR_FULL && sweep_forgotten(things))
        code = things_put(things, &things->shadows, key, buf_str(old), buf_str(fresh), err);
    return code;
}

static void update_shadow(struct rest_call *call) {
    struct str key, shadow;
    struct buf kept = {0}, fresh = {0};
    struct err err;
    if (read_key(call, &key, &shadow) && read_kept(call, key, &kept)) {
        bool forgotten = shadow_document_forgotten(buf_str(&kept), now_s());
        int code =
            shadow_document_update(forgotten ? (struct str){0} : buf_str(&kept),
                                   call->request->body, now_s(), &fresh, &call->output, &err);
        if (!code)
            code = keep(things_of(call), key, &kept, &fresh, &err);
        if (code)
            fail(call, code, &err);
        else
            rest_answer(call, 200);
    }
    buf_done(&kept);
    buf_done(&fresh);
}

static void delete_shadow(struct rest_call *call) {
    struct str key, shadow;
    struct buf kept = {0}, fresh = {0};
    struct err err;
    int64_t version;
    if (read_key(call, &key, &shadow) && read_kept(call, key, &kept)) {
        int code = shadow_document_delete(buf_str(&kept), now_s(), &fresh, &version);
        bool found = code != ERR_NOT_FOUND;
        if (code == ERR_CORRUPT)
            err_set(&err, code, "The shadow that is kept is no document");
        else if (found)
            code = keep(things_of(call), key, &kept, &fresh, &err);
        if (!found) {
            fail_absent(call, shadow);
        } else if (code) {
            fail(call, code, &err);
        } else {
            buf_printf(&call->output, "{\"version\":%lld,\"timestamp\":%llu}", (long long)version,
                       (unsigned long long)now_s());
            rest_answer(call, 200);
        }
    }
    buf_done(&kept);
    buf_done(&fresh);
}

/* ---- ListNamedShadowsForThing ---- */

struct listing {
    struct buf *out;
    struct str after, thing;
    uint64_t left;
    char last[THINGS_SHADOW_NAME_CHARS_MAX + 1];
    bool more;
};

static bool list_one(void *data, struct str key, struct str value) {
    struct listing *listing = data;
    struct str name = str_skip(key, listing->thing.len + 1);
    int64_t deleted_s;
    if (!name.len || str_compare(name, listing->after) <= 0 ||
        shadow_document_deleted(value, &deleted_s))
        return true;
    listing->more = listing->left == 0;
    if (listing->more)
        return false;
    listing->left--;
    json_write_comma(listing->out);
    json_write_string(listing->out, name);
    snprintf(listing->last, sizeof listing->last, "%.*s", STR_ARG(name));
    return true;
}

static void list_named_shadows(struct rest_call *call) {
    struct things *things = things_of(call);
    struct listing listing = {.out = &call->output, .thing = call->labels[0]};
    if (!rest_query_number(call, "pageSize", 1, PAGE_MAX, PAGE_DEFAULT, &listing.left) ||
        !things_read_token(call, &listing.after))
        return;
    struct str prefix = things_shadow_key(&call->arena, listing.thing, (struct str){0});
    buf_add_str(&call->output, STR("{\"results\":["));
    facts_each(things->facts, things->shadows.name, prefix, list_one, &listing);
    buf_add_u8(&call->output, ']');
    if (listing.more)
        things_write_token(&call->output, str_of(listing.last));
    json_write_key(&call->output, "timestamp");
    buf_printf(&call->output, "%llu}", (unsigned long long)now_s());
    rest_answer(call, 200);
}

const struct rest_route things_shadow_routes[] = {
    {"GET", "/things/{thingName}/shadow", get_shadow, "iot:GetThingShadow", "thing/0"},
    {"POST", "/things/{thingName}/shadow", update_shadow, "iot:UpdateThingShadow", "thing/0"},
    {"DELETE", "/things/{thingName}/shadow", delete_shadow, "iot:DeleteThingShadow", "thing/0"},
    {"GET", "/api/things/shadow/ListNamedShadowsForThing/{thingName}", list_named_shadows,
     "iot:ListNamedShadowsForThing", "thing/0"},
    {0}};
