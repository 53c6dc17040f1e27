/*
 * Shadows over HTTP (AWS IoT Core Developer Guide, "Device Shadow REST API"). A shadow needs no
 * thing in the registry, as on AWS. What is read is read at once, changes go the way of those by
 * MQTT.
 */
#include "base/clock.h"
#include "base/json_write.h"
#include "things/shadow_document.h"
#include "things/shadow_runner.h"

enum { PAGE_DEFAULT = 25, PAGE_MAX = 100 };

static uint64_t now_s(void) {
    return clock_wall_ms() / 1000;
}

/* The name of the shadow that the call is about, empty for the classic one; false, and the call has
 * failed. */
static bool read_name(struct rest_call *call, struct str *ret_shadow) {
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
    return true;
}

/* ---- get, update, delete ---- */

static void fail_unread(struct rest_call *call, int code) {
    rest_fail(call, 500, "InternalFailureException", "Shadows cannot be read: %s", err_text(code));
}

static void show(struct rest_call *call, struct str shadow) {
    const struct things *things = things_of(call);
    struct str name = shadow.len ? shadow : call->labels[0];
    struct str key = things_shadow_key(&call->arena, call->labels[0], shadow);
    struct buf kept = {0};
    int code = facts_get(things->facts, things->shadows.name, key, &kept);
    if (code && code != ERR_NOT_FOUND)
        fail_unread(call, code);
    else if (shadow_document_show(buf_str(&kept), now_s(), (struct str){0}, &call->output))
        rest_answer(call, 200);
    else
        rest_fail(call, 404, "ResourceNotFoundException", "No shadow exists with name: '%.*s'",
                  STR_ARG(name));
    buf_done(&kept);
}

static void get_shadow(struct rest_call *call) {
    struct str shadow;
    if (read_name(call, &shadow))
        show(call, shadow);
}

static void update_shadow(struct rest_call *call) {
    struct str shadow;
    if (read_name(call, &shadow))
        shadow_runner_ask(things_of(call), call, SHADOW_UPDATE, call->labels[0], shadow);
}

static void delete_shadow(struct rest_call *call) {
    struct str shadow;
    if (read_name(call, &shadow))
        shadow_runner_ask(things_of(call), call, SHADOW_DELETE, call->labels[0], shadow);
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
    int code = facts_each(things->facts, things->shadows.name, prefix, list_one, &listing);
    if (code) {
        fail_unread(call, code);
        return;
    }
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
