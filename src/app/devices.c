/*
 * The value of a device is a JSON object:
 *
 *      {"fingerprint":"...","policy":"..." (or absent),"active":true,"created_ms":1795...}
 *
 * The key is the name. When a name is used again, what was revoked under it moves to the key name, zero
 * byte, fingerprint: its certificate stays refused, also where a listener's client_ca would vouch for
 * it.
 */
#include "app/devices.h"

#include <string.h>

#include "base/json.h"
#include "base/json_write.h"

static const char table[] = "device";

enum { NAME_CHARS_MAX = 128, VALUE_BYTES_MAX = 4096 };

bool device_name_valid(const char *name) {
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:";
    size_t len = strlen(name);
    return len >= 1 && len <= NAME_CHARS_MAX && strspn(name, allowed) == len && name[0] != '.';
}

/* ---- the value ---- */

static void write_value(const struct device *device, struct buf *out) {
    buf_add_u8(out, '{');
    json_write_text(out, "fingerprint", str_of(device->fingerprint));
    if (device->policy) {
        json_write_text(out, "policy", str_of(device->policy));
    }
    json_write_bool(out, "active", device->active);
    json_write_key(out, "created_ms");
    buf_printf(out, "%llu}", (unsigned long long)device->created_ms);
}

static const char *read_text(struct json_value object, const char *key, struct arena *arena) {
    struct json_value value = json_member(object, str_of(key));
    return json_type(value) == JSON_STRING ? arena_strdup(arena, json_str(value, arena)) : NULL;
}

static bool read_value(struct str text, struct arena *arena, struct device *ret) {
    struct json json = {.bytes_max = VALUE_BYTES_MAX};
    bool fine = json_parse(&json, text) == 0;
    if (fine) {
        struct json_value root = json_root(&json);
        int64_t created_ms = 0;
        ret->fingerprint = read_text(root, "fingerprint", arena);
        ret->policy = read_text(root, "policy", arena);
        json_bool(json_member(root, STR("active")), &ret->active);
        json_int(json_member(root, STR("created_ms")), &created_ms);
        ret->created_ms = (uint64_t)created_ms;
        fine = ret->fingerprint && strlen(ret->fingerprint) == 64;
    }
    json_done(&json);
    return fine;
}

/* ---- the table ---- */

static int get(struct facts *facts, const char *name, struct arena *arena, struct device *ret) {
    struct buf value = {0};
    int code = facts_get(facts, table, str_of(name), &value);
    ret->name = name;
    if (!code && !read_value(buf_str(&value), arena, ret))
        code = ERR_CORRUPT;
    buf_done(&value);
    return code;
}

static int put(struct facts_write *write, struct str key, const struct device *device) {
    struct buf value = {0};
    write_value(device, &value);
    int code = facts_put(write, table, key, buf_str(&value));
    buf_done(&value);
    return code;
}

/* Errors of the steps come with the commit. */
static void keep_revoked(struct facts_write *write, const struct device *old) {
    struct buf key = {0};
    buf_add_str(&key, str_of(old->name));
    buf_add_u8(&key, 0);
    buf_add_str(&key, str_of(old->fingerprint));
    put(write, buf_str(&key), old);
    buf_done(&key);
}

int devices_set(struct facts *facts, const struct device *device, struct err *err) {
    struct arena arena = {0};
    struct device old = {0};
    struct facts_write *write;
    bool replaces = get(facts, device->name, &arena, &old) == 0 &&
                    strcmp(old.fingerprint, device->fingerprint) != 0;
    int code = facts_begin(facts, &write, err);
    if (!code) {
        if (replaces)
            keep_revoked(write, &old);
        put(write, str_of(device->name), device);
        code = facts_commit(write, err);
    }
    arena_done(&arena);
    return code;
}

int devices_check_new(struct facts *facts, const char *name, struct err *err) {
    struct arena arena = {0};
    struct device old = {0};
    bool exists = get(facts, name, &arena, &old) == 0 && old.active;
    arena_done(&arena);
    if (!exists)
        return 0;
    return err_set(err, ERR_EXISTS,
                   "there is a device \"%s\" already; `weir device revoke` it first", name);
}

int devices_revoke(struct facts *facts, const char *name, struct err *err) {
    struct arena arena = {0};
    struct device device = {0};
    int code = get(facts, name, &arena, &device);
    if (code) {
        err_set(err, code, "there is no device \"%s\"", name);
    } else {
        device.active = false;
        code = devices_set(facts, &device, err);
    }
    arena_done(&arena);
    return code;
}

struct walk {
    void (*each)(void *data, const struct device *device);
    void *data;
};

static bool on_entry(void *data, struct str key, struct str value) {
    const struct walk *walk = data;
    struct arena arena = {0};
    struct device device = {.name = arena_strdup(&arena, key)};
    if (read_value(value, &arena, &device))
        walk->each(walk->data, &device);
    arena_done(&arena);
    return true;
}

int devices_each(struct facts *facts, void (*each)(void *data, const struct device *device),
                 void *data) {
    struct walk walk = {each, data};
    return facts_each(facts, table, (struct str){NULL, 0}, on_entry, &walk);
}

/* ---- for the broker ---- */

struct gathering {
    struct arena *arena;
    struct buf devices; /* struct mqtt_device */
};

static void gather(void *data, const struct device *device) {
    struct gathering *gathering = data;
    struct mqtt_device copy = {
        .fingerprint = arena_strdup(gathering->arena, str_of(device->fingerprint)),
        .policy = device->policy ? arena_strdup(gathering->arena, str_of(device->policy)) : NULL,
        .active = device->active,
    };
    buf_add(&gathering->devices, &copy, sizeof copy);
}

int devices_read(struct facts *facts, struct arena *arena, struct mqtt_device **ret_devices,
                 size_t *ret_count) {
    struct gathering gathering = {.arena = arena};
    int code = devices_each(facts, gather, &gathering);
    size_t bytes = buf_len(&gathering.devices);
    *ret_count = bytes / sizeof(struct mqtt_device);
    *ret_devices = arena_alloc(arena, bytes + 1);
    if (bytes)
        memcpy(*ret_devices, buf_at(&gathering.devices), bytes);
    buf_done(&gathering.devices);
    return code;
}
