#include "rule/header.h"

#include "base/base64.h"
#include "base/utf8.h"
#include "flow/property.h"
#include "flow/topic.h"

enum { TEXT_BYTES_MAX = 1024, USER_PROPERTIES_MAX = 100 };

struct rule_header {
    enum mqtt_property property;
    struct rule_template key; /* PROPERTY_USER */
    struct rule_template text;
};

static const struct option user_property_options[] = {
    {.key = "key",
     .type = OPTION_STRING,
     .offset = offsetof(struct rule_user_property_config, key),
     .required = true,
     .help = "may be a template"},
    {.key = "value",
     .type = OPTION_STRING,
     .offset = offsetof(struct rule_user_property_config, value),
     .required = true,
     .help = "may be a template"},
    {.key = NULL},
};

#define HEADER(name, help_text)                                                                    \
    {                                                                                              \
        .key = #name, .type = OPTION_STRING, .offset = offsetof(struct rule_headers_config, name), \
        .help = help_text                                                                          \
    }

const struct option rule_headers_options[] = {
    HEADER(payload_format_indicator,
           "UNSPECIFIED_BYTES or UTF8_DATA; may be a template, as all here"),
    HEADER(content_type, "of the payload"),
    HEADER(response_topic, "where an answer is expected"),
    HEADER(correlation_data, "base64"),
    HEADER(message_expiry, "seconds"),
    {.key = "user_properties",
     .type = OPTION_LIST,
     .offset = offsetof(struct rule_headers_config, user_properties),
     .fields = user_property_options,
     .item_size = sizeof(struct rule_user_property_config),
     .help = "keys and values"},
    {.key = NULL},
};

/* ---- writing ---- */

static int add_format(struct buf *out, struct str text, struct err *why) {
    bool utf8 = str_eq(text, STR("UTF8_DATA"));
    if (!utf8 && !str_eq(text, STR("UNSPECIFIED_BYTES")))
        return err_set(why, ERR_INVALID,
                       "payloadFormatIndicator is UNSPECIFIED_BYTES or UTF8_DATA, not \"%.*s\"",
                       STR_ARG(text));
    buf_add_u8(out, PROPERTY_PAYLOAD_FORMAT);
    buf_add_u8(out, utf8);
    return 0;
}

static int add_expiry(struct buf *out, struct str text, struct err *why) {
    uint64_t seconds;
    if (!str_to_u64(text, &seconds) || seconds > UINT32_MAX)
        return err_set(why, ERR_INVALID, "messageExpiry: \"%.*s\" is no number of seconds",
                       STR_ARG(text));
    buf_add_u8(out, PROPERTY_MESSAGE_EXPIRY);
    buf_add_u32be(out, (uint32_t)seconds);
    return 0;
}

static void add_bytes(struct buf *out, struct str bytes) {
    buf_add_u16be(out, (uint16_t)bytes.len);
    buf_add_str(out, bytes);
}

static int add_correlation(struct buf *out, struct str text, struct err *why) {
    struct buf bytes = {0};
    if (!base64_read(&bytes, text)) {
        buf_done(&bytes);
        return err_set(why, ERR_INVALID, "correlationData is no base64");
    }
    buf_add_u8(out, PROPERTY_CORRELATION_DATA);
    add_bytes(out, buf_str(&bytes));
    buf_done(&bytes);
    return 0;
}

/* MQTT 5.0 section 1.5.4: UTF-8 without U+0000. */
static bool is_string(struct str text) {
    return text.len <= TEXT_BYTES_MAX && utf8_valid(text) &&
           (text.len == 0 || !memchr(text.at, '\0', text.len));
}

static int add_header(struct buf *out, enum mqtt_property property, struct str key, struct str text,
                      struct err *why) {
    if (text.len == 0 && property != PROPERTY_USER)
        return 0;
    if (!is_string(text) || !is_string(key))
        return err_set(why, ERR_INVALID, "a header is text of at most %d bytes", TEXT_BYTES_MAX);
    switch (property) {
    case PROPERTY_PAYLOAD_FORMAT:
        return add_format(out, text, why);
    case PROPERTY_MESSAGE_EXPIRY:
        return add_expiry(out, text, why);
    case PROPERTY_CORRELATION_DATA:
        return add_correlation(out, text, why);
    case PROPERTY_RESPONSE_TOPIC:
        if (!topic_name_valid(text))
            return err_set(why, ERR_INVALID, "responseTopic: \"%.*s\" is no topic", STR_ARG(text));
        break;
    default:
        break;
    }
    buf_add_u8(out, (uint8_t)property);
    if (property == PROPERTY_USER)
        add_bytes(out, key);
    add_bytes(out, text);
    return 0;
}

int rule_headers_write(const struct rule_headers *headers, struct evaluation *evaluation,
                       struct buf *key_room, struct buf *text_room, struct buf *out,
                       struct err *why) {
    int result = 0;
    for (size_t i = 0; result == 0 && i < headers->count; i++) {
        const struct rule_header *header = &headers->items[i];
        struct str key = {0};
        if (header->property == PROPERTY_USER)
            key = rule_template_evaluate(&header->key, evaluation, key_room);
        struct str text = rule_template_evaluate(&header->text, evaluation, text_room);
        if (evaluation->exhausted)
            return err_set(why, ERR_FULL, "a template is too much work for one message");
        if (evaluation->failure)
            return err_set(why, ERR_REFUSED, "%s", evaluation->failure);
        result = add_header(out, header->property, key, text, why);
    }
    return result;
}

/* ---- compiling ---- */

struct maker {
    struct arena *arena;
    const struct plan *plan;
    struct rule_headers *headers;
    struct err *err;
};

static int compile_text(struct maker *maker, const struct option_head *head, const char *key,
                        const char *text, struct rule_template *ret_template) {
    struct err inner;
    struct str copy = str_of(arena_strdup(maker->arena, str_of(text)));
    int code = rule_template_compile(maker->arena, copy, maker->plan, ret_template, &inner);
    return code ? option_error(head, key, maker->err, code, "headers: %s %s", key, inner.text) : 0;
}

/* Constant texts are tried at once. */
static int try_constant(struct maker *maker, const struct option_head *head, const char *key,
                        const struct rule_header *header) {
    struct buf out = {0};
    struct err why;
    int code = 0;
    if (header->text.kind == TEMPLATE_TEXT)
        code = add_header(&out, header->property, (struct str){0}, header->text.text, &why);
    buf_done(&out);
    return code ? option_error(head, key, maker->err, code, "headers: %s", why.text) : 0;
}

static int add_one(struct maker *maker, const struct option_head *head, const char *key,
                   enum mqtt_property property, const char *text) {
    if (!text)
        return 0;
    struct rule_header *header = &maker->headers->items[maker->headers->count++];
    header->property = property;
    int code = compile_text(maker, head, key, text, &header->text);
    return code ? code : try_constant(maker, head, key, header);
}

static int add_user(struct maker *maker, const struct rule_user_property_config *config) {
    struct rule_header *header = &maker->headers->items[maker->headers->count];
    int code = add_one(maker, &config->head, "value", PROPERTY_USER, config->value);
    return code ? code : compile_text(maker, &config->head, "key", config->key, &header->key);
}

int rule_headers_compile(struct arena *arena, const struct rule_headers_config *config,
                         const struct plan *plan, struct rule_headers *ret_headers,
                         struct err *err) {
    const struct option_head *head = &config->head;
    struct maker maker = {arena, plan, ret_headers, err};
    size_t users = config->user_properties.count;
    if (users > USER_PROPERTIES_MAX)
        return option_error(head, "user_properties", err, ERR_INVALID,
                            "headers: more than %d user properties", USER_PROPERTIES_MAX);
    *ret_headers = (struct rule_headers){
        .items = arena_zalloc(arena, (users + 5) * sizeof *ret_headers->items)};
    int code = add_one(&maker, head, "payload_format_indicator", PROPERTY_PAYLOAD_FORMAT,
                       config->payload_format_indicator);
    if (!code)
        code = add_one(&maker, head, "message_expiry", PROPERTY_MESSAGE_EXPIRY,
                       config->message_expiry);
    if (!code)
        code = add_one(&maker, head, "content_type", PROPERTY_CONTENT_TYPE, config->content_type);
    if (!code)
        code = add_one(&maker, head, "response_topic", PROPERTY_RESPONSE_TOPIC,
                       config->response_topic);
    if (!code)
        code = add_one(&maker, head, "correlation_data", PROPERTY_CORRELATION_DATA,
                       config->correlation_data);
    for (size_t i = 0; !code && i < users; i++)
        code = add_user(&maker,
                        OPTION_AT(config->user_properties, struct rule_user_property_config, i));
    return code;
}
