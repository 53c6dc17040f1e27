#include "base/test.h"

#include <stdio.h>

#include "base/mem.h"
#include "rule/md2.h"

/* RFC 1319, "Test suite". */
static void the_test_suite_of_the_rfc(void **state) {
    static const struct {
        const char *text, *digest;
    } cases[] = {
        {"", "8350e5a3e24c153df2275c9f80692773"},
        {"a", "32ec01ec4a6dac72c0ab96fb34c0b5d1"},
        {"abc", "da853b0d3f88d99b30283a69e6ded6bb"},
        {"message digest", "ab4f496bfb2a530b219ff33031fe06b0"},
        {"abcdefghijklmnopqrstuvwxyz", "4e8ddff3650292ab5a4108c3aa47940b"},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
         "da33def2a42df13975352846c30338cd"},
        {"1234567890123456789012345678901234567890"
         "1234567890123456789012345678901234567890",
         "d5976f79d83d3a0dc9806c3c66f3efd8"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint8_t digest[MD2_BYTES];
        char text[2 * MD2_BYTES + 1];
        md2(str_of(cases[i].text), digest);
        for (int at = 0; at < MD2_BYTES; at++)
            snprintf(text + 2 * at, 3, "%02x", digest[at]);
        assert_string_equal(text, cases[i].digest);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_test_suite_of_the_rfc)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
