#include "io/proxy.h"

#include "base/test.h"
#include "io/tcp.h"

#define SIGNATURE "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"

struct text {
    const char *at;
    size_t len;
};

#define TEXT(literal)                                                                              \
    (struct text) {                                                                                \
        literal, sizeof literal - 1                                                                \
    }

static int read_text(struct text text, struct proxy_header *ret) {
    return proxy_read((const uint8_t *)text.at, text.len, ret);
}

static void assert_source(const struct proxy_header *header, const char *wanted) {
    char text[TCP_ADDRESS_CHARS];
    assert_true(header->has_source);
    tcp_address_text(&header->source, text);
    assert_string_equal(text, wanted);
}

static void the_source_address_is_read(void **state) {
    struct proxy_header header;
    assert_int_equal(read_text(TEXT(SIGNATURE "\x21\x11\x00\x0c"
                                              "\x0a\x01\x02\x03\x7f\x00\x00\x01\x30\x39\x07\x5b"
                                              "MQTT"),
                               &header),
                     0);
    assert_int_equal(header.bytes, 28);
    assert_source(&header, "10.1.2.3:12345");
    assert_int_equal(read_text(TEXT(SIGNATURE "\x21\x21\x00\x24"
                                              "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                                              "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x50\x00\x51"),
                               &header),
                     0);
    assert_int_equal(header.bytes, 52);
    assert_source(&header, "[2001:db8::1]:80");
}

static void what_stands_behind_the_addresses_is_skipped(void **state) {
    struct proxy_header header;
    assert_int_equal(read_text(TEXT(SIGNATURE "\x21\x11\x00\x13"
                                              "\x0a\x01\x02\x03\x7f\x00\x00\x01\x30\x39\x07\x5b"
                                              "\x02\x00\x04" /* authority */
                                              "host"),
                               &header),
                     0);
    assert_int_equal(header.bytes, 35);
    assert_source(&header, "10.1.2.3:12345");
}

static void a_local_connection_keeps_its_address(void **state) {
    static const struct text texts[] = {
        {SIGNATURE "\x20\x00\x00\x00", 16}, /* LOCAL */
        {SIGNATURE "\x20\x11\x00\x04"
                   "abcd",
         20},                               /* LOCAL with something behind */
        {SIGNATURE "\x21\x00\x00\x00", 16}, /* PROXY, nothing told */
        {SIGNATURE "\x21\x31\x00\x01"
                   "x",
         17}, /* UNIX */
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct proxy_header header;
        assert_int_equal(read_text(texts[i], &header), 0);
        assert_int_equal(header.bytes, texts[i].len);
        assert_false(header.has_source);
    }
}

static void a_beginning_says_how_much_it_needs(void **state) {
    const struct text whole = TEXT(SIGNATURE "\x21\x11\x00\x0c"
                                             "\x0a\x01\x02\x03\x7f\x00\x00\x01\x30\x39\x07\x5b");
    struct proxy_header header;
    for (size_t len = 0; len < whole.len; len++) {
        assert_int_equal(proxy_read((const uint8_t *)whole.at, len, &header), ERR_AGAIN);
        assert_int_equal(header.bytes, len < 16 ? 16 : 28);
    }
}

static void everything_else_is_refused_at_once(void **state) {
    static const struct {
        struct text text;
        int code;
        const char *word;
    } bad[] = {
        {{"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", 32}, ERR_INVALID, "version 1"},
        {{"PRO", 3}, ERR_INVALID, "version 1"},
        {{"\x10\x0e\x00\x04MQTT", 8}, ERR_INVALID, "no PROXY"},
        {{SIGNATURE "\x11\x11\x00\x0c", 16}, ERR_INVALID, "version or command"},
        {{SIGNATURE "\x22\x11\x00\x0c", 16}, ERR_INVALID, "version or command"},
        {{SIGNATURE "\x21\x12\x00\x00", 16}, ERR_INVALID, "other than TCP"},
        {{SIGNATURE "\x21\x11\x00\x04"
                    "abcd",
          20},
         ERR_INVALID,
         "too short"},
        {{SIGNATURE "\x21\x21\x00\x0c"
                    "abcdabcdabcd",
          28},
         ERR_INVALID,
         "too short"},
        {{SIGNATURE "\x21\x11\xff\xff", 16}, ERR_TOO_LARGE, "too large"},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct proxy_header header;
        assert_int_equal(read_text(bad[i].text, &header), bad[i].code);
        assert_non_null(strstr(header.error, bad[i].word));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_source_address_is_read),
        cmocka_unit_test(what_stands_behind_the_addresses_is_skipped),
        cmocka_unit_test(a_local_connection_keeps_its_address),
        cmocka_unit_test(a_beginning_says_how_much_it_needs),
        cmocka_unit_test(everything_else_is_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
