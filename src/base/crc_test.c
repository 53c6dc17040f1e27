#include "base/test.h"

#include "base/crc.h"

/* RFC 3720 appendix B.4, and the usual check value. */
static void agrees_with_the_published_vectors(void **state) {
    uint8_t bytes[32] = {0};
    assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
}

/* One bit at a time, as the polynomial says. */
static uint32_t slow(const uint8_t *at, size_t len) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < len; i++) {
        crc ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
    }
    return ~crc;
}

static void long_and_split_inputs_give_the_same(void **state) {
    static uint8_t bytes[20000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    for (size_t len = 0; len < sizeof bytes; len += 1 + len / 7) {
        uint32_t whole = slow(bytes, len);
        assert_int_equal(crc32c(0, bytes, len), whole);
        size_t cut = len / 3;
        assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, len - cut), whole);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_published_vectors),
        cmocka_unit_test(long_and_split_inputs_give_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
