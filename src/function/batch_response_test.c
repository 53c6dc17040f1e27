#include "function/batch_response.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/test.h"

static bool note(void *data, struct str identifier) {
    struct buf *seen = data;
    buf_add_str(seen, identifier);
    buf_add_u8(seen, ' ');
    return !str_eq(identifier, STR("bad"));
}

static int parse(const char *text, struct buf *seen) {
    struct json json = {0};
    buf_clear(seen);
    int status = function_batch_response_parse(&json, str_of(text), note, seen);
    json_done(&json);
    return status;
}

static void nothing_said_is_full_success(void **state) {
    static const char *const texts[] = {"",
                                        " \n",
                                        "null",
                                        "{}",
                                        "{\"batchItemFailures\":null}",
                                        "{\"batchItemFailures\":[]}",
                                        "{\"other\":[1]}"};
    struct buf seen = {0};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_int_equal(parse(texts[i], &seen), 0);
        assert_int_equal(buf_len(&seen), 0);
    }
    buf_done(&seen);
}

static void identifiers_are_handed_on(void **state) {
    struct buf seen = {0};
    assert_int_equal(parse("{\"batchItemFailures\":[{\"itemIdentifier\":\"12\"},"
                           "{\"x\":1,\"itemIdentifier\":\"\\u0033\"}]}",
                           &seen),
                     0);
    assert_str(buf_str(&seen), "12 3 ");
    buf_done(&seen);
}

static void everything_else_is_a_failure(void **state) {
    static const char *const texts[] = {
        "\"ok\"",
        "[]",
        "garbage",
        "{\"batchItemFailures\":{}}",
        "{\"batchItemFailures\":[\"12\"]}",
        "{\"batchItemFailures\":[{}]}",
        "{\"batchItemFailures\":[{\"itemIdentifier\":\"\"}]}",
        "{\"batchItemFailures\":[{\"itemIdentifier\":null}]}",
        "{\"batchItemFailures\":[{\"itemIdentifier\":12}]}",
        "{\"batchItemFailures\":[{\"ItemIdentifier\":\"12\"}]}",
        "{\"batchItemFailures\":[{\"itemIdentifier\":\"bad\"}]}",
    };
    struct buf seen = {0};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_int_equal(parse(texts[i], &seen), ERR_INVALID);
    buf_done(&seen);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_is_full_success),
        cmocka_unit_test(identifiers_are_handed_on),
        cmocka_unit_test(everything_else_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
