#include "base/test.h"

#include "base/base64.h"

/* RFC 4648 section 10. */
static const struct {
    const char *bytes, *text;
} vectors[] = {{"", ""},
               {"f", "Zg=="},
               {"fo", "Zm8="},
               {"foo", "Zm9v"},
               {"foob", "Zm9vYg=="},
               {"fooba", "Zm9vYmE="},
               {"foobar", "Zm9vYmFy"}};

static void writes_and_reads_the_published_vectors(void **state) {
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct buf text = {0}, bytes = {0};
        base64_write(&text, str_of(vectors[i].bytes));
        assert_str(buf_str(&text), vectors[i].text);
        assert_true(base64_read(&bytes, buf_str(&text)));
        assert_str(buf_str(&bytes), vectors[i].bytes);
        buf_done(&text);
        buf_done(&bytes);
    }
}

static void refuses_what_is_not_padded_base64(void **state) {
    static const char *const bad[] = {
        "Z", "Zg", "Zg=", "Z===", "Zh==", "Zm9=", "Zg==Zg==", "Zm9 ", "Zm9-"};
    struct buf out = {0};
    buf_add(&out, "keep", 4);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(base64_read(&out, str_of(bad[i])));
        assert_str(buf_str(&out), "keep");
    }
    buf_done(&out);
}

static void hexadecimal_is_lower_case(void **state) {
    struct buf out = {0};
    hex_write(&out, str_from("\x00\x7f\xab\xff", 4));
    assert_str(buf_str(&out), "007fabff");
    buf_done(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_reads_the_published_vectors),
        cmocka_unit_test(refuses_what_is_not_padded_base64),
        cmocka_unit_test(hexadecimal_is_lower_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
