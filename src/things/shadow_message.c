#include "things/shadow_message.h"

#include "base/json_write.h"
#include "base/utf8.h"
#include "things/shadow_document.h"

int shadow_message_token(struct str request, struct buf *ret_token, struct err *err) {
    struct json json = {0};
    struct str token;
    int code = 0;
    if (request.len > SHADOW_REQUEST_BYTES_MAX)
        code = err_set(err, ERR_TOO_LARGE, "The payload exceeds the maximum size allowed");
    else if (!utf8_valid(request))
        code = err_set(err, ERR_UNSUPPORTED, "The document is not UTF-8");
    else if (json_parse(&json, request) || json_type(json_root(&json)) != JSON_OBJECT)
        code = err_set(err, ERR_INVALID, "Invalid JSON");
    else if (!shadow_document_read_token(json_root(&json), &token))
        code = err_set(err, ERR_INVALID, "Invalid clientToken");
    else
        buf_add_str(ret_token, token);
    json_done(&json);
    return code;
}

static void add_sections(struct buf *out, struct json_value kept, const char *part) {
    struct json_value sections = json_member(kept, str_of(part));
    json_write_key(out, part);
    buf_add_u8(out, '{');
    for (struct json_cursor cursor = json_each(sections); json_next(&cursor);) {
        if (json_str_eq(cursor.key, STR("delta")))
            continue;
        json_write_comma(out);
        buf_add_str(out, json_raw(cursor.key));
        buf_add_u8(out, ':');
        buf_add_str(out, json_raw(cursor.value));
    }
    buf_add_u8(out, '}');
}

/* Of one that was not there, or was deleted: empty sections, and the version from which it counts on. */
static void add_snapshot(struct buf *out, const char *key, struct str kept) {
    struct json json = {0};
    int64_t version = 0;
    bool is_read = kept.len && json_parse(&json, kept) == 0;
    struct json_value root = is_read ? json_root(&json) : (struct json_value){0};
    json_int(json_member(root, STR("version")), &version);
    json_write_key(out, key);
    buf_add_u8(out, '{');
    add_sections(out, root, "state");
    add_sections(out, root, "metadata");
    json_write_int(out, "version", version);
    buf_add_u8(out, '}');
    json_done(&json);
}

void shadow_message_documents(struct str old, struct str fresh, uint64_t now_s, struct str token,
                              struct buf *out) {
    buf_add_u8(out, '{');
    add_snapshot(out, "previous", old);
    add_snapshot(out, "current", fresh);
    shadow_document_end(out, now_s, token);
}

bool shadow_message_delta(struct str kept, uint64_t now_s, struct str token, struct buf *out) {
    struct json json = {0};
    bool is_read = json_parse(&json, kept) == 0;
    struct json_value root = is_read ? json_root(&json) : (struct json_value){0};
    struct json_value state = json_member(json_member(root, STR("state")), STR("delta"));
    struct json_value times = json_member(json_member(root, STR("metadata")), STR("delta"));
    bool differs_now = json_type(state) != JSON_ABSENT;
    if (differs_now) {
        int64_t version = 0;
        json_int(json_member(root, STR("version")), &version);
        buf_add_u8(out, '{');
        json_write_int(out, "version", version);
        json_write_key(out, "state");
        buf_add_str(out, json_raw(state));
        json_write_key(out, "metadata");
        buf_add_str(out, json_raw(times));
        shadow_document_end(out, now_s, token);
    }
    json_done(&json);
    return differs_now;
}

void shadow_message_deleted(int64_t version, uint64_t now_s, struct str token, struct buf *out) {
    buf_add_u8(out, '{');
    json_write_int(out, "version", version);
    shadow_document_end(out, now_s, token);
}

void shadow_message_rejected(unsigned number, struct str message, uint64_t now_s, struct str token,
                             struct buf *out) {
    buf_printf(out, "{\"code\":%u,\"message\":", number);
    json_write_string(out, message);
    shadow_document_end(out, now_s, token);
}
