/* Functions on the message and its surroundings. The properties are those of MQTT 5.0
 * section 3.3.2.3. */
#include "base/base64.h"
#include "base/random.h"
#include "base/wire.h"
#include "flow/property.h"
#include "flow/topic.h"
#include "rule/evaluate.h"
#include "rule/function.h"

static struct value string_or_undefined(struct str text) {
    return text.len ? value_string(text) : value_undefined();
}

/* topic(), or its n-th level from 1. */
struct value rule_function_topic(struct evaluation *evaluation, const struct value *args,
                                 size_t count) {
    int64_t n;
    struct str level;
    if (count == 0)
        return value_string(evaluation->topic);
    if (!rule_value_to_int(evaluation, args[0], NUMBER_FLOOR, &n) || n < 1 || n > TOPIC_BYTES_MAX)
        return value_undefined();
    return topic_level(evaluation->topic, (unsigned)n, &level) ? value_string(level)
                                                               : value_undefined();
}

struct value rule_function_clientid(struct evaluation *evaluation, const struct value *args,
                                    size_t count) {
    struct str id = evaluation->message->client_id;
    return value_string(id.len ? id : STR("n/a"));
}

struct value rule_function_principal(struct evaluation *evaluation, const struct value *args,
                                     size_t count) {
    return string_or_undefined(evaluation->message->principal);
}

struct value rule_function_sourceip(struct evaluation *evaluation, const struct value *args,
                                    size_t count) {
    return string_or_undefined(evaluation->message->source_ip);
}

struct value rule_function_accountid(struct evaluation *evaluation, const struct value *args,
                                     size_t count) {
    return value_string(str_of(evaluation->environment->account_id));
}

struct value rule_function_sql_version(struct evaluation *evaluation, const struct value *args,
                                       size_t count) {
    bool old = evaluation->version == RULE_VERSION_2015_10_08;
    return value_string(old ? STR("2015-10-08") : STR("2016-03-23"));
}

struct value rule_function_timestamp(struct evaluation *evaluation, const struct value *args,
                                     size_t count) {
    return value_int((int64_t)evaluation->environment->now_ms(evaluation->environment));
}

struct value rule_function_newuuid(struct evaluation *evaluation, const struct value *args,
                                   size_t count) {
    char *text = rule_evaluation_alloc(evaluation, UUID_CHARS);
    if (!text)
        return value_undefined();
    evaluation->environment->uuid(evaluation->environment, text);
    return value_string(str_from(text, UUID_CHARS));
}

/* The same for all that is evaluated on a message; none for what did not come by MQTT. */
struct value rule_function_traceid(struct evaluation *evaluation, const struct value *args,
                                   size_t count) {
    if (evaluation->message->client_id.len == 0)
        return value_undefined();
    return value_string(rule_evaluation_trace_id(evaluation));
}

/* --- MQTT 5 properties --- */

struct property {
    uint8_t id;
    uint8_t format;
    struct str key; /* user property */
    struct str value;
};

/* The next property that a PUBLISH may have; false at the end, and at what is none. */
static bool next_property(struct wire *wire, struct property *property) {
    if (wire_left(wire) == 0)
        return false;
    *property = (struct property){.id = wire_u8(wire)};
    switch (property->id) {
    case PROPERTY_PAYLOAD_FORMAT:
        property->format = wire_u8(wire);
        break;
    case PROPERTY_MESSAGE_EXPIRY:
        wire_u32be(wire);
        break;
    case PROPERTY_TOPIC_ALIAS:
        wire_u16be(wire);
        break;
    case PROPERTY_SUBSCRIPTION_ID:
        for (int i = 0; i < 4 && (wire_u8(wire) & 0x80); i++)
            continue;
        break;
    case PROPERTY_USER:
        property->key = wire_bytes(wire, wire_u16be(wire));
        property->value = wire_bytes(wire, wire_u16be(wire));
        break;
    case PROPERTY_CONTENT_TYPE:
    case PROPERTY_RESPONSE_TOPIC:
    case PROPERTY_CORRELATION_DATA:
        property->value = wire_bytes(wire, wire_u16be(wire));
        break;
    default:
        return false;
    }
    return !wire->failed;
}

static struct wire properties_of(const struct evaluation *evaluation) {
    struct str properties = evaluation->message->properties;
    return wire_over(properties.len ? properties.at : "", properties.len);
}

static bool find_property(const struct evaluation *evaluation, uint8_t id,
                          struct property *property) {
    struct wire wire = properties_of(evaluation);
    while (next_property(&wire, property))
        if (property->id == id)
            return true;
    return false;
}

struct value rule_function_get_mqtt_property(struct evaluation *evaluation,
                                             const struct value *args, size_t count) {
    struct property property;
    if (args[0].type != VALUE_STRING)
        return value_undefined();
    struct str name = args[0].text;
    if (str_eq(name, STR("format_indicator"))) {
        bool utf8 =
            find_property(evaluation, PROPERTY_PAYLOAD_FORMAT, &property) && property.format == 1;
        return value_string(utf8 ? STR("UTF8_DATA") : STR("UNSPECIFIED_BYTES"));
    }
    if (str_eq(name, STR("content_type")) &&
        find_property(evaluation, PROPERTY_CONTENT_TYPE, &property))
        return value_string(property.value);
    if (str_eq(name, STR("response_topic")) &&
        find_property(evaluation, PROPERTY_RESPONSE_TOPIC, &property))
        return value_string(property.value);
    if (str_eq(name, STR("correlation_data")) &&
        find_property(evaluation, PROPERTY_CORRELATION_DATA, &property)) {
        base64_write(evaluation->scratch, property.value);
        return rule_evaluation_take_scratch(evaluation);
    }
    return value_undefined();
}

static struct value single_pair(struct evaluation *evaluation, const struct property *property) {
    struct value_object *object = rule_value_object_new(evaluation, 1);
    if (object)
        rule_value_object_set(evaluation, object, property->key, value_string(property->value));
    return value_of_object(object);
}

/* With a key: all its values, Undefined if there is none. Without: all pairs, as objects of one
 * member. */
struct value rule_function_get_user_properties(struct evaluation *evaluation,
                                               const struct value *args, size_t count) {
    struct str key = {0};
    if (count == 1 && !rule_function_str(evaluation, args[0], &key))
        return value_undefined();
    struct wire wire = properties_of(evaluation);
    /* A user property takes at least five bytes. */
    struct value_array *array = rule_value_array_new(evaluation, wire_left(&wire) / 5);
    struct property property;
    while (array && next_property(&wire, &property)) {
        if (property.id != PROPERTY_USER || (count == 1 && !str_eq(property.key, key)))
            continue;
        struct value value =
            count == 1 ? value_string(property.value) : single_pair(evaluation, &property);
        if (value.type != VALUE_UNDEFINED)
            array->items[array->count++] = value;
    }
    return array && array->count ? value_of_array(array) : value_undefined();
}
