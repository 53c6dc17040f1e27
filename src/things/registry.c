/*
 * Things (AWS IoT API Reference: CreateThing, DescribeThing, ListThings, UpdateThing, DeleteThing).
 * A thing's type is a name that it carries; types are no resources of their own here. What is kept
 * under the thing's name:
 *
 *      {"thingId":"UUID","thingTypeName":"T" (or absent),"attributes":{"A":"V",...},"version":N}
 */
#include "base/json_write.h"
#include "things/store.h"

enum {
    ATTRIBUTES_MAX = 50,
    UNTYPED_ATTRIBUTES_MAX = 3,
    ATTRIBUTE_NAME_CHARS_MAX = 128,
    ATTRIBUTE_VALUE_CHARS_MAX = 800,
    PAGE_DEFAULT = 25,
    PAGE_MAX = 250,
};

/* Texts are views into JSON or the call's arena. */
struct thing {
    struct str id, type;
    struct attribute {
        struct str name, value;
    } attributes[ATTRIBUTES_MAX];
    size_t count;
    int64_t version;
};

/* ---- what is kept ---- */

static struct str text_of(struct json_value object, const char *key, struct arena *arena) {
    return json_str(json_member(object, str_of(key)), arena);
}

/* An empty value takes the attribute away. False: there would be more than ATTRIBUTES_MAX. */
static bool set_attribute(struct thing *thing, struct str name, struct str value) {
    size_t i = 0;
    while (i < thing->count && !str_eq(thing->attributes[i].name, name))
        i++;
    if (!value.len) {
        if (i < thing->count)
            thing->attributes[i] = thing->attributes[--thing->count];
        return true;
    }
    if (i == ATTRIBUTES_MAX)
        return false;
    thing->attributes[i] = (struct attribute){name, value};
    thing->count += i == thing->count;
    return true;
}

static bool read_thing(struct json *json, struct str kept, struct arena *arena,
                       struct thing *ret_thing) {
    *ret_thing = (struct thing){0};
    if (json_parse(json, kept))
        return false;
    struct json_value root = json_root(json), attributes = json_member(root, STR("attributes"));
    ret_thing->id = text_of(root, "thingId", arena);
    ret_thing->type = text_of(root, "thingTypeName", arena);
    for (struct json_cursor cursor = json_each(attributes); json_next(&cursor);)
        set_attribute(ret_thing, json_str(cursor.key, arena), json_str(cursor.value, arena));
    return json_int(json_member(root, STR("version")), &ret_thing->version);
}

static void write_members(struct buf *out, const struct thing *thing) {
    if (thing->type.len)
        json_write_text(out, "thingTypeName", thing->type);
    json_write_key(out, "attributes");
    buf_add_u8(out, '{');
    for (size_t i = 0; i < thing->count; i++) {
        json_write_comma(out);
        json_write_string(out, thing->attributes[i].name);
        buf_add_u8(out, ':');
        json_write_string(out, thing->attributes[i].value);
    }
    buf_add_u8(out, '}');
    json_write_key(out, "version");
    buf_printf(out, "%lld}", (long long)thing->version);
}

static void write_kept(struct buf *out, const struct thing *thing) {
    buf_add_u8(out, '{');
    json_write_text(out, "thingId", thing->id);
    write_members(out, thing);
}

static void write_arn(const struct things *things, struct buf *out, struct str name) {
    json_write_key(out, "thingArn");
    buf_printf(out, "\"arn:aws:iot:%s:%s:thing/%.*s\"", things->region, things->account,
               STR_ARG(name));
}

void things_write_thing(const struct things *things, struct str thing, struct str kept,
                        struct buf *out) {
    buf_add_u8(out, '{');
    json_write_text(out, "defaultClientId", thing);
    json_write_text(out, "thingName", thing);
    write_arn(things, out, thing);
    buf_add_u8(out, ',');
    buf_add_str(out, str_skip(kept, 1)); /* behind its '{' */
}

/* ---- the request ---- */

static bool refuse(struct rest_call *call, const char *why) {
    rest_fail(call, 400, "InvalidRequestException", "%s", why);
    return false;
}

static bool name_is_valid(struct rest_call *call) {
    return things_name_valid(call->labels[0], THINGS_NAME_CHARS_MAX, false) ||
           refuse(call, "thingName must have 1 to 128 characters of [a-zA-Z0-9:_-]");
}

static bool is_made_of(struct str text, const char *others) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i], folded = c | 0x20;
        bool plain = (folded >= 'a' && folded <= 'z') || (c >= '0' && c <= '9');
        if (!plain && (!c || !strchr(others, c)))
            return false;
    }
    return true;
}

static bool read_attribute(struct rest_call *call, struct json_cursor *cursor,
                           struct thing *thing) {
    struct str name = json_str(cursor->key, &call->arena);
    struct str value = json_str(cursor->value, &call->arena);
    if (!name.len || name.len > ATTRIBUTE_NAME_CHARS_MAX || !is_made_of(name, "_.,@/:#-"))
        return refuse(call, "An attribute's name must have 1 to 128 characters of "
                            "[a-zA-Z0-9_.,@/:#-]");
    if (json_type(cursor->value) != JSON_STRING || value.len > ATTRIBUTE_VALUE_CHARS_MAX ||
        !is_made_of(value, "_.,@/:#=[]-"))
        return refuse(call, "An attribute's value must be a text of at most 800 characters of "
                            "[a-zA-Z0-9_.,@/:#=[]-]");
    return set_attribute(thing, name, value) || refuse(call, "A thing has at most 50 attributes");
}

static bool read_attributes(struct rest_call *call, struct json_value body, struct thing *thing) {
    struct json_value payload = json_member(body, STR("attributePayload"));
    struct json_value attributes = json_member(payload, STR("attributes"));
    bool merge = false;
    json_bool(json_member(payload, STR("merge")), &merge);
    if (json_type(attributes) != JSON_OBJECT)
        return true;
    if (!merge)
        thing->count = 0;
    for (struct json_cursor cursor = json_each(attributes); json_next(&cursor);)
        if (!read_attribute(call, &cursor, thing))
            return false;
    return true;
}

/* An empty body is an object without members. */
static bool read_body(struct rest_call *call, struct json_value *ret_body) {
    *ret_body = (struct json_value){0};
    return call->request->body.len == 0 || rest_read_json(call, ret_body);
}

/* Changes `thing` as the body of CreateThing or UpdateThing says. */
static bool read_change(struct rest_call *call, struct json_value body, struct thing *thing) {
    struct str type = text_of(body, "thingTypeName", &call->arena);
    bool remove_type = false;
    json_bool(json_member(body, STR("removeThingType")), &remove_type);
    if (text_of(body, "billingGroupName", &call->arena).len) {
        rest_fail(call, 404, "ResourceNotFoundException", "There are no billing groups here");
        return false;
    }
    if (type.len && !things_name_valid(type, THINGS_NAME_CHARS_MAX, false))
        return refuse(call, "thingTypeName must have 1 to 128 characters of [a-zA-Z0-9:_-]");
    if (type.len && remove_type)
        return refuse(call, "thingTypeName and removeThingType exclude one another");
    if (type.len || remove_type)
        thing->type = type;
    if (!read_attributes(call, body, thing))
        return false;
    if (!thing->type.len && thing->count > UNTYPED_ATTRIBUTES_MAX)
        return refuse(call, "A thing without a type has at most 3 attributes");
    return true;
}

/* ---- finding and keeping ---- */

static void fail(struct rest_call *call, int code, const struct err *err) {
    if (code == ERR_NOT_FOUND)
        rest_fail(call, 404, "ResourceNotFoundException", "Thing %.*s cannot be found.",
                  STR_ARG(call->labels[0]));
    else if (code == ERR_FULL)
        rest_fail(call, 410, "LimitExceededException", "%s", err->text);
    else
        rest_fail(call, 500, "InternalFailureException", "%s", err_text(code));
}

/* What is kept under the call's name, with the thing it says; `json` holds the texts. */
static int find(struct rest_call *call, struct json *json, struct buf *ret_kept,
                struct thing *ret_thing) {
    struct things *things = things_of(call);
    int code = facts_get(things->facts, things->registry.name, call->labels[0], ret_kept);
    if (!code && !read_thing(json, buf_str(ret_kept), &call->arena, ret_thing))
        code = ERR_CORRUPT;
    return code;
}

static int keep(struct rest_call *call, struct str old, const struct thing *thing,
                struct err *err) {
    struct things *things = things_of(call);
    struct buf kept = {0};
    write_kept(&kept, thing);
    int code = things_put(things, &things->registry, call->labels[0], old, buf_str(&kept), err);
    buf_done(&kept);
    return code;
}

static bool check_version(struct rest_call *call, const struct thing *thing, int64_t expected) {
    if (expected == thing->version)
        return true;
    rest_fail(call, 409, "VersionConflictException",
              "The version for thing %.*s does not match the expected version.",
              STR_ARG(call->labels[0]));
    return false;
}

/* ---- operations ---- */

static void answer_created(struct rest_call *call, const struct thing *thing) {
    buf_add_u8(&call->output, '{');
    json_write_text(&call->output, "thingName", call->labels[0]);
    write_arn(things_of(call), &call->output, call->labels[0]);
    json_write_text(&call->output, "thingId", thing->id);
    buf_add_u8(&call->output, '}');
    rest_answer(call, 200);
}

static bool is_same(const struct thing *a, const struct thing *b) {
    size_t found = 0;
    for (size_t i = 0; i < a->count; i++)
        for (size_t j = 0; j < b->count; j++)
            found += str_eq(a->attributes[i].name, b->attributes[j].name) &&
                     str_eq(a->attributes[i].value, b->attributes[j].value);
    return str_eq(a->type, b->type) && a->count == b->count && found == a->count;
}

static void create(struct rest_call *call, const struct thing *made, struct json *json,
                   struct buf *kept) {
    struct thing present;
    struct err err;
    int code = find(call, json, kept, &present);
    bool exists = !code;
    if (code == ERR_NOT_FOUND)
        code = keep(call, (struct str){0}, made, &err);
    if (exists && !is_same(&present, made))
        rest_fail(call, 409, "ResourceAlreadyExistsException",
                  "Thing %.*s already exists in account with different configuration.",
                  STR_ARG(call->labels[0]));
    else if (code)
        fail(call, code, &err);
    else
        answer_created(call, exists ? &present : made);
}

static void create_thing(struct rest_call *call) {
    struct json_value body;
    struct thing made = {.version = 1};
    struct json json = {0};
    struct buf kept = {0};
    char id[UUID_CHARS];
    random_uuid(id);
    made.id = str_from(id, sizeof id);
    if (name_is_valid(call) && read_body(call, &body) && read_change(call, body, &made))
        create(call, &made, &json, &kept);
    json_done(&json);
    buf_done(&kept);
}

static void describe_thing(struct rest_call *call) {
    struct things *things = things_of(call);
    struct buf kept = {0};
    int code = facts_get(things->facts, things->registry.name, call->labels[0], &kept);
    if (code) {
        fail(call, code, NULL);
    } else {
        things_write_thing(things, call->labels[0], buf_str(&kept), &call->output);
        rest_answer(call, 200);
    }
    buf_done(&kept);
}

static void change(struct rest_call *call, struct json_value body, struct thing *thing,
                   struct str old) {
    struct err err;
    int64_t expected = thing->version;
    json_int(json_member(body, STR("expectedVersion")), &expected);
    if (!check_version(call, thing, expected) || !read_change(call, body, thing))
        return;
    thing->version++;
    int code = keep(call, old, thing, &err);
    if (code)
        fail(call, code, &err);
    else
        rest_answer(call, 200);
}

static void update_thing(struct rest_call *call) {
    struct json_value body;
    struct thing thing;
    struct json json = {0};
    struct buf kept = {0};
    if (name_is_valid(call) && read_body(call, &body)) {
        int code = find(call, &json, &kept, &thing);
        if (code)
            fail(call, code, NULL);
        else
            change(call, body, &thing, buf_str(&kept));
    }
    json_done(&json);
    buf_done(&kept);
}

/* A thing that does not exist is deleted already. */
static void delete_thing(struct rest_call *call) {
    struct things *things = things_of(call);
    struct thing thing;
    struct json json = {0};
    struct buf kept = {0};
    struct err err;
    uint64_t expected;
    if (rest_query_number(call, "expectedVersion", 1, INT64_MAX, 0, &expected)) {
        int code = find(call, &json, &kept, &thing);
        if (!code && expected && !check_version(call, &thing, (int64_t)expected))
            code = ERR_REFUSED;
        if (!code)
            code = things_remove(things, &things->registry, call->labels[0], buf_str(&kept), &err);
        if (!code || code == ERR_NOT_FOUND)
            rest_answer(call, 200);
        else if (code != ERR_REFUSED) /* which is answered */
            fail(call, code, &err);
    }
    json_done(&json);
    buf_done(&kept);
}

/* ---- ListThings: goes through all names up to the page's end ---- */

struct listing {
    struct rest_call *call;
    struct str after, type, attribute, value;
    bool has_type, has_attribute, has_value, prefix;
    uint64_t left;
    char last[THINGS_NAME_CHARS_MAX + 1];
    bool more;
};

static bool has_attribute(const struct listing *listing, const struct thing *thing) {
    for (size_t i = 0; i < thing->count; i++) {
        struct str value = thing->attributes[i].value;
        if (str_eq(thing->attributes[i].name, listing->attribute))
            return !listing->has_value || (listing->prefix ? str_starts(value, listing->value)
                                                           : str_eq(value, listing->value));
    }
    return false;
}

static void list_thing(struct listing *listing, struct str name, const struct thing *thing) {
    struct buf *out = &listing->call->output;
    json_write_comma(out);
    buf_add_u8(out, '{');
    json_write_text(out, "thingName", name);
    write_arn(things_of(listing->call), out, name);
    write_members(out, thing);
    snprintf(listing->last, sizeof listing->last, "%.*s", STR_ARG(name));
    listing->left--;
}

static bool list_one(void *data, struct str name, struct str kept) {
    struct listing *listing = data;
    struct thing thing;
    struct json json = {0};
    struct arena arena = {0};
    if (str_compare(name, listing->after) <= 0)
        return true;
    bool listed = read_thing(&json, kept, &arena, &thing) &&
                  (!listing->has_type || str_eq(thing.type, listing->type)) &&
                  (!listing->has_attribute || has_attribute(listing, &thing));
    listing->more = listed && !listing->left;
    if (listed && !listing->more)
        list_thing(listing, name, &thing);
    json_done(&json);
    arena_done(&arena);
    return !listing->more;
}

static void list_things(struct rest_call *call) {
    struct things *things = things_of(call);
    struct listing listing = {.call = call};
    listing.has_type = rest_query(call, "thingTypeName", &listing.type);
    listing.has_attribute = rest_query(call, "attributeName", &listing.attribute);
    listing.has_value = rest_query(call, "attributeValue", &listing.value);
    if (!rest_query_bool(call, "usePrefixAttributeValue", &listing.prefix) ||
        !rest_query_number(call, "maxResults", 1, PAGE_MAX, PAGE_DEFAULT, &listing.left) ||
        !things_read_token(call, &listing.after))
        return;
    buf_add_str(&call->output, STR("{\"things\":["));
    int code =
        facts_each(things->facts, things->registry.name, (struct str){0}, list_one, &listing);
    if (code) {
        fail(call, code, NULL);
        return;
    }
    buf_add_u8(&call->output, ']');
    if (listing.more)
        things_write_token(&call->output, str_of(listing.last));
    buf_add_u8(&call->output, '}');
    rest_answer(call, 200);
}

const struct rest_route things_registry_routes[] = {
    {"POST", "/things/{thingName}", create_thing, "iot:CreateThing", "thing/0"},
    {"GET", "/things/{thingName}", describe_thing, "iot:DescribeThing", "thing/0"},
    {"GET", "/things", list_things, "iot:ListThings", NULL},
    {"PATCH", "/things/{thingName}", update_thing, "iot:UpdateThing", "thing/0"},
    {"DELETE", "/things/{thingName}", delete_thing, "iot:DeleteThing", "thing/0"},
    {0}};
