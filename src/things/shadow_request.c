#include "things/shadow_request.h"

#include "base/wire.h"
#include "things/store.h"

enum { VERSION = 1, FLAG_TOO_LARGE = 1 };

static const char *const operation_names[] = {"get", "update", "delete"};

static const struct str prefix = {"$aws/things/", 12};

/* ---- topics ---- */

static bool names_valid(const struct shadow_request *request) {
    return things_name_valid(request->thing, THINGS_NAME_CHARS_MAX, false) &&
           (!request->shadow.len ||
            things_name_valid(request->shadow, THINGS_SHADOW_NAME_CHARS_MAX, true));
}

static bool read_operation(struct str text, enum shadow_operation *ret_operation) {
    for (unsigned i = 0; i < COUNT_OF(operation_names); i++)
        if (str_eq(text, str_of(operation_names[i]))) {
            *ret_operation = (enum shadow_operation)i;
            return true;
        }
    return false;
}

enum shadow_topic shadow_topic_read(struct str topic, struct shadow_request *ret_request) {
    struct str rest;
    *ret_request = (struct shadow_request){0};
    if (!str_starts(topic, prefix))
        return SHADOW_TOPIC_OTHER;
    ret_request->thing = str_cut(str_skip(topic, prefix.len), '/', &rest);
    if (!str_eq(str_cut(rest, '/', &rest), STR("shadow")))
        return SHADOW_TOPIC_OTHER;
    bool is_named = str_starts(rest, STR("name/"));
    if (is_named)
        ret_request->shadow = str_cut(str_skip(rest, strlen("name/")), '/', &rest);
    bool is_request = read_operation(rest, &ret_request->operation) && names_valid(ret_request) &&
                      (!is_named || ret_request->shadow.len);
    return is_request ? SHADOW_TOPIC_REQUEST : SHADOW_TOPIC_RESERVED;
}

void shadow_topic_write(struct buf *out, const struct shadow_request *request, const char *tail) {
    buf_add_str(out, prefix);
    buf_add_str(out, request->thing);
    buf_add_str(out, STR("/shadow/"));
    if (request->shadow.len) {
        buf_add_str(out, STR("name/"));
        buf_add_str(out, request->shadow);
        buf_add_u8(out, '/');
    }
    buf_add_str(out, str_of(operation_names[request->operation]));
    buf_add_str(out, str_of(tail));
}

/* ---- entries of the log ---- */

static void write_name(struct buf *out, struct str name) {
    buf_add_u8(out, (uint8_t)name.len);
    buf_add_str(out, name);
}

void shadow_request_write(struct buf *out, const struct shadow_request *request) {
    buf_add_u8(out, VERSION);
    buf_add_u8(out, (uint8_t)request->operation);
    buf_add_u8(out, request->too_large ? FLAG_TOO_LARGE : 0);
    buf_add_u8(out, request->depth);
    write_name(out, request->thing);
    write_name(out, request->shadow);
    buf_add_str(out, request->payload);
}

int shadow_request_read(struct str entry, struct shadow_request *ret_request) {
    struct wire wire = wire_over(entry.at, entry.len);
    uint8_t version = wire_u8(&wire), operation = wire_u8(&wire), flags = wire_u8(&wire);
    *ret_request = (struct shadow_request){.operation = (enum shadow_operation)operation,
                                           .depth = wire_u8(&wire),
                                           .too_large = flags & FLAG_TOO_LARGE};
    ret_request->thing = wire_bytes(&wire, wire_u8(&wire));
    ret_request->shadow = wire_bytes(&wire, wire_u8(&wire));
    ret_request->payload = wire_bytes(&wire, wire_left(&wire));
    bool is_known = version == VERSION && operation < COUNT_OF(operation_names);
    return is_known && !wire.failed && names_valid(ret_request) ? 0 : ERR_CORRUPT;
}
