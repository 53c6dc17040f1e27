#include "base/test.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "mqtt/packet.h"

static void headers_are_found_or_refused(void **state) {
    struct packet packet;
    assert_int_equal(packet_find((const uint8_t *)"", 0, 100, &packet), ERR_AGAIN);
    assert_int_equal(packet_find((const uint8_t *)"\xc0", 1, 100, &packet), ERR_AGAIN);
    assert_int_equal(packet_find((const uint8_t *)"\xc0\0", 2, 100, &packet), 0);
    assert_int_equal(packet.bytes, 2);
    assert_int_equal(packet.type, PACKET_PINGREQ);
    assert_int_equal(packet_find((const uint8_t *)"\x30\x80", 2, 100, &packet), ERR_AGAIN);
    assert_int_equal(packet.bytes, 0);
    assert_int_equal(packet_find((const uint8_t *)"\x3d\x03\0\1a..", 7, 100, &packet), 0);
    assert_int_equal(packet.flags, 0x0d);
    assert_int_equal(packet.bytes, 5);
    assert_int_equal(packet_find((const uint8_t *)"\x30\x03\0", 3, 100, &packet), ERR_AGAIN);
    assert_int_equal(packet.bytes, 5);
    /* The largest length, and one byte more than may be. */
    assert_int_equal(
        packet_find((const uint8_t *)"\x30\xff\xff\xff\x7f", 5, 268435455 + 5, &packet), ERR_AGAIN);
    assert_int_equal(packet.bytes, 268435455 + 5);
    assert_int_equal(
        packet_find((const uint8_t *)"\x30\xff\xff\xff\x7f", 5, 268435455 + 4, &packet),
        ERR_TOO_LARGE);
    assert_int_equal(packet_find((const uint8_t *)"\x30\xff\xff\xff\xff", 5, SIZE_MAX, &packet),
                     ERR_INVALID);
}

static struct packet only(struct buf *bytes) {
    struct packet packet;
    assert_int_equal(packet_find(buf_at(bytes), buf_len(bytes), SIZE_MAX, &packet), 0);
    assert_int_equal(packet.bytes, buf_len(bytes));
    return packet;
}

/* Lengths around each step of the variable byte integer. */
static void publishes_come_back_as_they_went(void **state) {
    static const size_t lengths[] = {0,     1,     100,   127,     128,    16000,
                                     16383, 16384, 70000, 2097151, 2097152};
    static const uint32_t ids[] = {1, 127, 128, 268435455};
    for (size_t i = 0; i < COUNT_OF(lengths) * 2 * 2; i++) {
        uint8_t version = i % 2 ? PACKET_VERSION_5 : PACKET_VERSION_3_1_1, qos = i / 2 % 2;
        size_t len = lengths[i / 4];
        char *payload = xcalloc(1, len + 1);
        memset(payload, 'p', len);
        struct message message = {.topic = STR("a/b"),
                                  .payload = str_from(payload, len),
                                  .properties = STR("\x02\0\0\0\x05\x26\0\1k\0\1v")};
        struct packet_form form = {
            .version = version, .qos = qos, .retain = true, .packet_id = 258};
        struct packet_marks marks;
        struct buf out = {0};
        packet_write_publish(&out, &message, &form, &marks);
        assert_int_equal(marks.bytes, buf_len(&out));
        struct packet packet = only(&out);
        struct packet_publish in;
        assert_int_equal(packet_read_publish(&packet, version, &in), PACKET_NORMAL);
        assert_true(str_eq(in.topic, message.topic) && str_eq(in.payload, message.payload));
        assert_true(in.retain);
        assert_int_equal(in.qos, qos);
        assert_int_equal(in.packet_id, qos ? 258 : 0);
        if (qos)
            assert_memory_equal(buf_at(&out) + marks.packet_id_at, "\x01\x02", 2);
        if (version == PACKET_VERSION_5) {
            assert_true(str_eq(in.properties, message.properties));
            assert_int_equal(in.expiry_at, 1);
            assert_memory_equal(buf_at(&out) + marks.properties_at, message.properties.at,
                                message.properties.len);
        }
        buf_clear(&out);
        form.subscription_ids = ids;
        form.subscription_id_count = COUNT_OF(ids);
        packet_write_publish(&out, &message, &form, &marks);
        assert_int_equal(only(&out).bytes, marks.bytes);
        buf_done(&out);
        free(payload);
    }
}

static void properties_are_read_by_the_table(void **state) {
    struct packet_properties got;
    assert_int_equal(packet_read_properties(STR("\x01\x01\x02\0\0\1\0\x03\0\2ct\x08\0\2rt\x09\0\2\0"
                                                "\1\x26\0\1k\0\1v\x26\0\1k\0\1w\x23\0\7"),
                                            PACKET_PUBLISH, &got),
                     PACKET_NORMAL);
    assert_int_equal(got.payload_format, 1);
    assert_int_equal(got.message_expiry_s, 256);
    assert_str(got.content_type, "ct");
    assert_str(got.response_topic, "rt");
    assert_int_equal(got.correlation_data.len, 2);
    assert_int_equal(got.topic_alias, 7);
    assert_int_equal(got.expiry_at, 3);
    assert_int_equal(got.raw.at[got.alias_at], 0x23);
    assert_int_equal(packet_read_properties(STR("\x18\0\0\0\x09\x01\0"), PACKET_WILL, &got),
                     PACKET_NORMAL);
    assert_int_equal(got.will_delay_s, 9);
    assert_int_equal(got.delay_at, 0);
}

static const struct {
    struct str raw;
    enum packet_type type;
    enum packet_reason reason;
} bad_properties[] = {
    {{"\x01", 1}, PACKET_PUBLISH, PACKET_MALFORMED},        /* no value */
    {{"\x01\2", 2}, PACKET_PUBLISH, PACKET_PROTOCOL_ERROR}, /* not 0 or 1 */
    {{"\x01\1\x01\1", 4}, PACKET_PUBLISH, PACKET_PROTOCOL_ERROR},
    {{"\x03\0\2a", 4}, PACKET_PUBLISH, PACKET_MALFORMED},    /* text cut off */
    {{"\x03\0\1\0", 4}, PACKET_PUBLISH, PACKET_MALFORMED},   /* U+0000 */
    {{"\x03\0\1\xff", 4}, PACKET_PUBLISH, PACKET_MALFORMED}, /* not UTF-8 */
    {{"\x26\0\1k\0", 5}, PACKET_PUBLISH, PACKET_MALFORMED},  /* half a pair */
    {{"\x80\x80\x80\x80\x01", 5}, PACKET_PUBLISH, PACKET_MALFORMED},
    {{"\x81\x00\x01", 3}, PACKET_PUBLISH, PACKET_MALFORMED},  /* longer than need be */
    {{"\x0b\1", 2}, PACKET_PUBLISH, PACKET_PROTOCOL_ERROR},   /* the server's */
    {{"\x24\1", 2}, PACKET_CONNECT, PACKET_MALFORMED},        /* only servers send it */
    {{"\x08\0\0", 3}, PACKET_PUBLISH, PACKET_PROTOCOL_ERROR}, /* empty response topic */
    {{"\x18\0\0\0\1", 5}, PACKET_CONNECT, PACKET_MALFORMED},  /* a will's */
};

static void bad_properties_have_their_reason(void **state) {
    for (size_t i = 0; i < COUNT_OF(bad_properties); i++) {
        struct packet_properties got;
        assert_int_equal(
            packet_read_properties(bad_properties[i].raw, bad_properties[i].type, &got),
            bad_properties[i].reason);
    }
}

static void acks_may_have_reason_and_properties(void **state) {
    struct packet packet = {.type = PACKET_PUBACK, .body = STR("\0\1")};
    uint16_t id;
    uint8_t reason;
    assert_int_equal(packet_read_ack(&packet, PACKET_VERSION_5, &id, &reason), PACKET_NORMAL);
    assert_int_equal(id, 1);
    packet.body = STR("\0\1\x97");
    assert_int_equal(packet_read_ack(&packet, PACKET_VERSION_5, &id, &reason), PACKET_NORMAL);
    assert_int_equal(reason, 0x97);
    assert_int_equal(packet_read_ack(&packet, PACKET_VERSION_3_1_1, &id, &reason),
                     PACKET_MALFORMED);
    packet.body = STR("\0\1\x97\4\x1f\0\1r");
    assert_int_equal(packet_read_ack(&packet, PACKET_VERSION_5, &id, &reason), PACKET_NORMAL);
    packet.body = STR("\0\1\x97\4\x1f\0\1rx");
    assert_int_equal(packet_read_ack(&packet, PACKET_VERSION_5, &id, &reason), PACKET_MALFORMED);
    packet.body = STR("\0\0");
    assert_int_equal(packet_read_ack(&packet, PACKET_VERSION_5, &id, &reason),
                     PACKET_PROTOCOL_ERROR);
    packet.flags = 2;
    assert_int_equal(packet_read_ack(&packet, PACKET_VERSION_5, &id, &reason), PACKET_MALFORMED);
}

static void names_hold_no_control_characters(void **state) {
    static const struct str good[] = {{"", 0},
                                      {"a b~", 4},
                                      {"\xc2\xa0", 2},
                                      {"\xef\xbb\xbf", 3},
                                      {"\xf0\xaa\x9b\x94", 4},
                                      {"\xef\xb7\xb0", 3}};
    static const struct str bad[] = {{"a\n", 2},          {"\x7f", 1},
                                     {"\xc2\x80", 2},     {"\xef\xbf\xbf", 3},
                                     {"\xef\xb7\x90", 3}, {"\xf0\x9f\xbf\xbe", 4}};
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(packet_name_valid(good[i]));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(packet_name_valid(bad[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_found_or_refused),
        cmocka_unit_test(publishes_come_back_as_they_went),
        cmocka_unit_test(properties_are_read_by_the_table),
        cmocka_unit_test(bad_properties_have_their_reason),
        cmocka_unit_test(acks_may_have_reason_and_properties),
        cmocka_unit_test(names_hold_no_control_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
