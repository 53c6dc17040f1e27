#include "things/store.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/json_write.h"
#include "base/mem.h"
#include "things/shadow_document.h"

/* LMDB gives what is longer than about half a page pages of its own. */
int64_t things_room_of(struct str key, struct str value) {
    enum { PAGE = 4096, ALONE = 1900, NODE = 48 };
    int64_t len = (int64_t)(key.len + value.len) + NODE;
    return len < ALONE ? len : (len + PAGE - 1) / PAGE * PAGE;
}

bool things_name_valid(struct str name, size_t chars_max, bool dollar) {
    if (name.len == 0 || name.len > chars_max)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i], folded = c | 0x20;
        bool plain = (folded >= 'a' && folded <= 'z') || (c >= '0' && c <= '9');
        if (!plain && c != ':' && c != '_' && c != '-' && !(dollar && c == '$'))
            return false;
    }
    return true;
}

struct str things_shadow_key(struct arena *arena, struct str thing, struct str shadow) {
    size_t len = thing.len + 1 + shadow.len;
    char *at = arena_zalloc(arena, len);
    memcpy(at, thing.at, thing.len);
    if (shadow.len)
        memcpy(at + thing.len + 1, shadow.at, shadow.len);
    return str_from(at, len);
}

/* ---- changes ---- */

int things_check_room(const struct things *things, const struct things_table *table, int64_t count,
                      int64_t bytes, struct err *err) {
    if (count > 0 && metric_get(&table->count) + count > table->count_max)
        return err_set(err, ERR_FULL, "There are %lld of them, and more are not possible",
                       (long long)table->count_max);
    if (bytes > 0 && metric_get(&things->bytes) + bytes > THINGS_BYTES_MAX)
        return err_set(err, ERR_FULL, "Things and shadows take %d MiB, and more is not possible",
                       THINGS_BYTES_MAX >> 20);
    return 0;
}

int things_put(struct things *things, struct things_table *table, struct str key, struct str old,
               struct str value, struct err *err) {
    int64_t more = things_room_of(key, value) - (old.len ? things_room_of(key, old) : 0);
    int code = things_check_room(things, table, !old.len, more, err);
    if (!code)
        code = facts_set(things->facts, table->name, key, value, err);
    if (!code) {
        metric_add(&table->count, !old.len);
        metric_add(&things->bytes, more);
    }
    return code;
}

int things_remove(struct things *things, struct things_table *table, struct str key, struct str old,
                  struct err *err) {
    struct facts_write *write;
    int code = facts_begin(things->facts, &write, err);
    if (code)
        return code;
    facts_delete(write, table->name, key);
    code = facts_commit(write, err);
    if (!code) {
        metric_add(&table->count, -1);
        metric_add(&things->bytes, -things_room_of(key, old));
    }
    return code;
}

/* ---- pages ---- */

bool things_read_token(struct rest_call *call, struct str *ret_after) {
    struct str token;
    struct buf after = {0};
    *ret_after = (struct str){0};
    if (!rest_query(call, "nextToken", &token))
        return true;
    bool ok = base64_read(&after, token) && buf_len(&after) > 0;
    if (ok)
        *ret_after = str_from(arena_strdup(&call->arena, buf_str(&after)), buf_len(&after));
    else
        rest_fail(call, 400, "InvalidRequestException", "Invalid nextToken");
    buf_done(&after);
    return ok;
}

void things_write_token(struct buf *out, struct str last) {
    json_write_key(out, "nextToken");
    buf_add_u8(out, '"');
    base64_write(out, last);
    buf_add_u8(out, '"');
}

/* ---- life ---- */

struct counting {
    struct things *things;
    struct things_table *table;
};

static bool count_one(void *data, struct str key, struct str value) {
    struct counting *counting = data;
    metric_add(&counting->table->count, 1);
    metric_add(&counting->things->bytes, things_room_of(key, value));
    return true;
}

static int count_table(struct things *things, struct things_table *table) {
    struct counting counting = {things, table};
    return facts_each(things->facts, table->name, (struct str){0}, count_one, &counting);
}

int things_open(struct facts *facts, const char *region, const char *account,
                struct things **ret_things, struct err *err) {
    struct things *things = xcalloc(1, sizeof *things);
    *things = (struct things){
        .facts = facts,
        .region = region,
        .account = account,
        .services = {{"iot execute-api", things_registry_routes, things},
                     {"iotdata iotdevicegateway", things_shadow_routes, things}},
        .registry = {.name = "thing", .count_max = THINGS_COUNT_MAX},
        .shadows = {.name = "shadow", .count_max = THINGS_SHADOWS_MAX},
    };
    metric_init(&things->registry.count, METRIC_GAUGE, "weir_things_count",
                "Things in the registry", NULL);
    metric_init(&things->shadows.count, METRIC_GAUGE, "weir_things_shadows",
                "Shadows, with those deleted of which the version is remembered", NULL);
    metric_init(&things->bytes, METRIC_GAUGE, "weir_things_bytes",
                "Room that things and shadows take in facts.mdb", NULL);
    int code = count_table(things, &things->registry);
    if (!code)
        code = count_table(things, &things->shadows);
    if (code) {
        things_close(things);
        return err_set(err, code, "the things in facts.mdb: %s", err_text(code));
    }
    *ret_things = things;
    return 0;
}

void things_close(struct things *things) {
    if (!things)
        return;
    metric_done(&things->registry.count);
    metric_done(&things->shadows.count);
    metric_done(&things->bytes);
    free(things);
}

const struct rest_service *things_service(const struct things *things, unsigned index) {
    ASSERT(index < THINGS_SERVICES);
    return &things->services[index];
}

/* ---- for rules ---- */

struct things_reader {
    const struct things *things; /* of which nothing is touched but what never changes */
    struct facts_reader *facts;
    struct buf kept;
    struct arena arena;
};

struct things_reader *things_reader_new(const struct things *things) {
    struct things_reader *reader = xcalloc(1, sizeof *reader);
    reader->things = things;
    reader->facts = facts_reader_new(things->facts);
    return reader;
}

void things_reader_free(struct things_reader *reader) {
    if (!reader)
        return;
    facts_reader_free(reader->facts);
    buf_done(&reader->kept);
    arena_done(&reader->arena);
    free(reader);
}

int things_read_shadow(struct things_reader *reader, struct str thing, struct str shadow,
                       uint64_t now_ms, struct buf *document) {
    if (!things_name_valid(thing, THINGS_NAME_CHARS_MAX, false) ||
        (shadow.len && !things_name_valid(shadow, THINGS_SHADOW_NAME_CHARS_MAX, true)))
        return ERR_NOT_FOUND;
    arena_reset(&reader->arena);
    buf_clear(&reader->kept);
    struct str key = things_shadow_key(&reader->arena, thing, shadow);
    int code = facts_reader_get(reader->facts, reader->things->shadows.name, key, &reader->kept);
    if (code)
        return code;
    bool found =
        shadow_document_show(buf_str(&reader->kept), now_ms / 1000, (struct str){0}, document);
    return found ? 0 : ERR_NOT_FOUND;
}

int things_read_thing(struct things_reader *reader, struct str thing, struct buf *document) {
    buf_clear(&reader->kept);
    if (!things_name_valid(thing, THINGS_NAME_CHARS_MAX, false))
        return ERR_NOT_FOUND;
    int code = facts_reader_get(reader->facts, reader->things->registry.name, thing, &reader->kept);
    if (!code)
        things_write_thing(reader->things, thing, buf_str(&reader->kept), document);
    return code;
}
