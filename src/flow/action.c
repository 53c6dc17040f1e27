/*
 * The records of actions: docs/formats/action.md. Numbers are little-endian.
 *
 *      version      u8    1
 *      flags        u8    1: the message's own payload follows; 2: it is the same as the payload;
 *                         4: the depth follows
 *      parameters   u16   how many
 *      received     u64   wall clock, ms
 *      parameters' bytes, payload             u32 length and bytes, each
 *      topic, client id, source ip, trace id  u16 length and bytes, each
 *      own payload  u32 length and bytes, if flag 1
 *      depth        u8, not 0, if flag 4
 *
 * A parameter is a u8 length and the name, a u32 length and the value. Nothing follows the record.
 */
#include "flow/action.h"

#include <string.h>

#include "base/err.h"
#include "base/wire.h"

enum { VERSION = 1, FLAG_ORIGINAL = 1, FLAG_ORIGINAL_SAME = 2, FLAG_DEPTH = 4 };

void action_template_add(struct action_templates *templates, const char *name, const char *text,
                         const struct option_head *head, const char *key) {
    if (!text)
        return;
    if (templates->count < ACTION_PARAMS_MAX) {
        const struct conf *at = conf_get(head->conf, key);
        templates->items[templates->count] =
            (struct action_template){name, text, at ? at : head->conf};
    }
    templates->count++;
}

void action_spec_ref(const struct action_spec *spec) {
    spec->ref(spec->owner);
}

void action_spec_unref(const struct action_spec *spec) {
    if (spec)
        spec->unref(spec->owner);
}

/* ---- writing ---- */

static void add_number(struct buf *out, const void *number, size_t size) {
    buf_add(out, number, size);
}

static void add_u32(struct buf *out, size_t value) {
    uint32_t number = (uint32_t)value;
    add_number(out, &number, sizeof number);
}

static void add_long(struct buf *out, struct str bytes) {
    add_u32(out, bytes.len);
    buf_add_str(out, bytes);
}

/* MQTT's own bound; what is longer can only be a client id made by hand, and is cut. */
static void add_short(struct buf *out, struct str bytes) {
    uint16_t len = bytes.len > UINT16_MAX ? UINT16_MAX : (uint16_t)bytes.len;
    add_number(out, &len, sizeof len);
    buf_add(out, bytes.at, len);
}

void action_param_write(struct buf *params, struct str name, struct str value) {
    ASSERT(name.len <= ACTION_PARAM_NAME_BYTES_MAX);
    buf_add_u8(params, (uint8_t)name.len);
    buf_add_str(params, name);
    add_long(params, value);
}

static uint8_t flags_of(const struct action_record *record) {
    uint8_t depth = record->depth ? FLAG_DEPTH : 0;
    if (!record->has_original)
        return depth;
    bool is_same = str_eq(record->original, record->payload);
    return depth | (is_same ? FLAG_ORIGINAL_SAME : FLAG_ORIGINAL);
}

void action_record_write(struct buf *out, const struct action_record *record) {
    uint16_t count = (uint16_t)record->params.count;
    uint8_t flags = flags_of(record);
    buf_add_u8(out, VERSION);
    buf_add_u8(out, flags);
    add_number(out, &count, sizeof count);
    add_number(out, &record->received_ms, sizeof record->received_ms);
    add_long(out, record->params.bytes);
    add_long(out, record->payload);
    add_short(out, record->topic);
    add_short(out, record->client_id);
    add_short(out, record->source_ip);
    add_short(out, record->trace_id);
    if (flags & FLAG_ORIGINAL)
        add_long(out, record->original);
    if (flags & FLAG_DEPTH)
        buf_add_u8(out, record->depth);
}

/* ---- reading ---- */

static uint16_t take_u16(struct wire *wire) {
    uint16_t value = 0;
    const uint8_t *at = wire_take(wire, sizeof value);
    if (at)
        memcpy(&value, at, sizeof value);
    return value;
}

static struct str take_long(struct wire *wire) {
    uint32_t len = wire_u32le(wire);
    return wire_bytes(wire, len);
}

static struct str take_short(struct wire *wire) {
    uint16_t len = take_u16(wire);
    return wire_bytes(wire, len);
}

static struct action_param take_param(struct wire *wire) {
    struct action_param param;
    uint8_t len = wire_u8(wire);
    param.name = wire_bytes(wire, len);
    param.value = take_long(wire);
    return param;
}

static bool params_good(const struct action_params *params) {
    struct wire wire = wire_over(params->bytes.at, params->bytes.len);
    for (unsigned i = 0; i < params->count && !wire.failed; i++)
        take_param(&wire);
    return wire_finished(&wire) && params->count <= ACTION_PARAMS_MAX;
}

/* Each record has one form only. */
static bool flags_good(uint8_t flags, uint8_t depth) {
    unsigned original = flags & (FLAG_ORIGINAL | FLAG_ORIGINAL_SAME);
    return original != (FLAG_ORIGINAL | FLAG_ORIGINAL_SAME) && flags <= (FLAG_DEPTH | original) &&
           !(flags & FLAG_DEPTH) == !depth;
}

int action_record_read(struct str bytes, struct action_record *ret_record) {
    struct wire wire = wire_over(bytes.at, bytes.len);
    struct action_record record = {0};
    uint8_t version = wire_u8(&wire), flags = wire_u8(&wire);
    record.params.count = take_u16(&wire);
    record.received_ms = wire_u64le(&wire);
    record.params.bytes = take_long(&wire);
    record.payload = take_long(&wire);
    record.topic = take_short(&wire);
    record.client_id = take_short(&wire);
    record.source_ip = take_short(&wire);
    record.trace_id = take_short(&wire);
    record.has_original = flags & (FLAG_ORIGINAL | FLAG_ORIGINAL_SAME);
    if (flags & FLAG_ORIGINAL_SAME)
        record.original = record.payload;
    if (flags & FLAG_ORIGINAL)
        record.original = take_long(&wire);
    if (flags & FLAG_DEPTH)
        record.depth = wire_u8(&wire);
    if (!wire_finished(&wire) || version != VERSION || !flags_good(flags, record.depth) ||
        !params_good(&record.params))
        return ERR_CORRUPT;
    *ret_record = record;
    return 0;
}

bool action_param_next(const struct action_params *params, struct action_place *place,
                       struct action_param *ret_param) {
    if (place->at >= params->bytes.len)
        return false;
    struct str rest = str_skip(params->bytes, place->at);
    struct wire wire = wire_over(rest.at, rest.len);
    *ret_param = take_param(&wire);
    place->at = params->bytes.len - wire_left(&wire);
    return !wire.failed;
}

struct str action_param_get(const struct action_params *params, const char *name) {
    struct action_place place = {0};
    struct action_param param;
    struct str wanted = str_of(name);
    while (action_param_next(params, &place, &param))
        if (str_eq(param.name, wanted))
            return param.value;
    return (struct str){0};
}
