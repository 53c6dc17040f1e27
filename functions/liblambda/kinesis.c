/*
 * Walks the event that an event source mapping makes of a Kinesis batch (AWS Lambda developer
 * guide, "Using Lambda with Kinesis"):
 *
 *     {"Records":[{"kinesis":{"partitionKey":"k","sequenceNumber":"495...","data":"<base64>",
 *                             "approximateArrivalTimestamp":1545084650.987, ...},
 *                  "eventID":"shardId-000000000006:495...", ...}, ...], ...}
 *
 * Members come in any order, unknown ones are passed over, the last of two equal names counts. Each
 * record is scanned once; then its data is decoded over its own base64 text, which is always
 * longer. A record that lacks something is told apart from an event that is no JSON: after the
 * first the cursor stands behind the record and the walk may go on.
 */
#include <string.h>

#include "json.h"
#include "lambda.h"

#define SEQUENCE_NUMBER_DIGITS_MAX 129

enum state { STATE_FAILED, STATE_FIRST, STATE_MORE, STATE_ENDED };

static bool bytes_equal(struct lambda_bytes bytes, const char *text) {
    return bytes.size == strlen(text) && memcmp(bytes.data, text, bytes.size) == 0;
}

static int end_walk(struct lambda_kinesis *batch, enum state state) {
    batch->state = state;
    return state == STATE_ENDED ? LAMBDA_KINESIS_END : LAMBDA_KINESIS_BAD_EVENT;
}

int lambda_kinesis_open(struct lambda_kinesis *batch, char *body, size_t size) {
    struct lambda_json json = {.at = body, .end = body + size};
    struct lambda_bytes name;
    bool first = true;
    *batch = (struct lambda_kinesis){.state = STATE_FAILED};
    if (!lambda_json_take(&json, '{'))
        return LAMBDA_KINESIS_BAD_EVENT;
    while (lambda_json_member(&json, &first, &name)) {
        if (bytes_equal(name, "Records") && lambda_json_take(&json, '[')) {
            *batch = (struct lambda_kinesis){json.at, json.end, STATE_FIRST};
            return 0;
        }
        lambda_json_skip(&json);
    }
    return LAMBDA_KINESIS_BAD_EVENT;
}

/* A string as it is; any other value leaves ret_text without data. */
static void take_string(struct lambda_json *json, struct lambda_bytes *ret_text) {
    *ret_text = (struct lambda_bytes){0};
    if (lambda_json_peek(json) == '"')
        lambda_json_string(json, ret_text);
    else
        lambda_json_skip(json);
}

/*
 * Decimal seconds to milliseconds, without the locale and the rounding of strtod(). Digits below a
 * millisecond are cut off; a number that does not fit is 0, as if it were absent.
 */
static int64_t milliseconds(struct lambda_bytes number) {
    int64_t value = 0, exponent = 0;
    int scale = 3, sign = 1;
    bool fraction = false;
    size_t i = 0;
    for (; i < number.size && (number.data[i] == '.' || (unsigned)(number.data[i] - '0') < 10u);
         i++) {
        if (number.data[i] == '.') {
            fraction = true;
        } else if (value < INT64_MAX / 10 - 1) {
            value = value * 10 + (number.data[i] - '0');
            scale -= fraction;
        } else {
            scale += !fraction;
        }
    }
    for (i++; i < number.size && exponent < 1000; i++) {
        if (number.data[i] == '-')
            sign = -1;
        else if (number.data[i] != '+')
            exponent = exponent * 10 + (number.data[i] - '0');
    }
    for (exponent = sign * exponent + scale; exponent > 0 && value != 0; exponent--) {
        if (value > INT64_MAX / 10)
            return 0;
        value *= 10;
    }
    for (; exponent < 0 && value != 0; exponent++)
        value /= 10;
    return value;
}

static void take_arrival(struct lambda_json *json, int64_t *ret_ms) {
    struct lambda_bytes number;
    char byte = lambda_json_peek(json);
    *ret_ms = 0;
    if (byte < '0' || byte > '9')
        lambda_json_skip(json);
    else if (lambda_json_number(json, &number))
        *ret_ms = milliseconds(number);
}

/* What is no object is passed over. */
static bool begin_object(struct lambda_json *json) {
    if (lambda_json_peek(json) == '{')
        return lambda_json_take(json, '{');
    lambda_json_skip(json);
    return false;
}

static void take_kinesis(struct lambda_json *json, struct lambda_kinesis_record *record) {
    struct lambda_bytes name;
    bool first = true;
    if (!begin_object(json))
        return;
    while (lambda_json_member(json, &first, &name)) {
        if (bytes_equal(name, "data"))
            take_string(json, &record->data);
        else if (bytes_equal(name, "partitionKey"))
            take_string(json, &record->partition_key);
        else if (bytes_equal(name, "sequenceNumber"))
            take_string(json, &record->sequence_number);
        else if (bytes_equal(name, "approximateArrivalTimestamp"))
            take_arrival(json, &record->arrival_ms);
        else
            lambda_json_skip(json);
    }
}

static void take_record(struct lambda_json *json, struct lambda_kinesis_record *record) {
    struct lambda_bytes name;
    bool first = true;
    if (!begin_object(json))
        return;
    while (lambda_json_member(json, &first, &name)) {
        if (bytes_equal(name, "eventID"))
            take_string(json, &record->shard_id);
        else if (bytes_equal(name, "kinesis"))
            take_kinesis(json, record);
        else
            lambda_json_skip(json);
    }
}

static int base64_value(char byte) {
    if (byte >= 'A' && byte <= 'Z')
        return byte - 'A';
    if (byte >= 'a' && byte <= 'z')
        return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9')
        return byte - '0' + 52;
    return byte == '+' ? 62 : byte == '/' ? 63 : -1;
}

/* RFC 4648 section 4, over its own text. Padding may be left off, nothing else may. */
static bool decode_base64(struct lambda_bytes *bytes) {
    unsigned char *out = (unsigned char *)bytes->data;
    size_t size = bytes->size, padding = 0;
    uint32_t bits = 0;
    while (size > 0 && padding < 2 && bytes->data[size - 1] == '=') {
        size--;
        padding++;
    }
    if (size % 4 == 1 || (padding > 0 && (size + padding) % 4 != 0))
        return false;
    for (size_t i = 0; i < size; i++) {
        int value = base64_value(bytes->data[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 > 0)
            *out++ = (unsigned char)(bits >> (6 - 2 * (i % 4)));
    }
    bytes->size = (size_t)(out - (unsigned char *)bytes->data);
    bytes->data[bytes->size] = '\0';
    return true;
}

static bool is_sequence_number(struct lambda_bytes number) {
    if (!number.data || number.size == 0 || number.size > SEQUENCE_NUMBER_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < number.size; i++) {
        if (number.data[i] < '0' || number.data[i] > '9')
            return false;
    }
    return true;
}

/* Cuts the shard id out of `shardId-000000000006:495...`. */
static bool cut_shard_id(struct lambda_bytes *event_id) {
    char *colon = event_id->data ? memchr(event_id->data, ':', event_id->size) : NULL;
    if (!colon || colon == event_id->data)
        return false;
    *colon = '\0';
    event_id->size = (size_t)(colon - event_id->data);
    return true;
}

int lambda_kinesis_next(struct lambda_kinesis *batch, struct lambda_kinesis_record *ret_record) {
    struct lambda_json json = {batch->at, batch->end, batch->state == STATE_FAILED};
    struct lambda_kinesis_record record = {0};
    struct lambda_bytes name;
    bool first = batch->state == STATE_FIRST, first_behind = false;
    if (batch->state == STATE_FAILED || batch->state == STATE_ENDED)
        return end_walk(batch, (enum state)batch->state);
    if (!lambda_json_element(&json, &first)) {
        while (lambda_json_member(&json, &first_behind, &name))
            lambda_json_skip(&json);
        return end_walk(batch, lambda_json_at_end(&json) ? STATE_ENDED : STATE_FAILED);
    }
    take_record(&json, &record);
    if (json.failed)
        return end_walk(batch, STATE_FAILED);
    batch->at = json.at;
    batch->state = STATE_MORE;
    if (!cut_shard_id(&record.shard_id) || !is_sequence_number(record.sequence_number) ||
        !record.partition_key.data || !record.data.data || !decode_base64(&record.data))
        return LAMBDA_KINESIS_BAD_RECORD;
    *ret_record = record;
    return LAMBDA_KINESIS_RECORD;
}

static struct lambda_bytes without_zeros(struct lambda_bytes number) {
    while (number.size > 1 && number.data[0] == '0') {
        number.data++;
        number.size--;
    }
    return number;
}

int lambda_sequence_compare(struct lambda_bytes a, struct lambda_bytes b) {
    a = without_zeros(a);
    b = without_zeros(b);
    if (a.size != b.size)
        return a.size < b.size ? -1 : 1;
    return a.size ? memcmp(a.data, b.data, a.size) : 0;
}
