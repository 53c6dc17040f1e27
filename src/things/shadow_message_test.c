#include "base/test.h"

#include "things/shadow_message.h"

#define KEPT                                                                                       \
    "{\"version\":2,\"state\":{\"desired\":{\"a\":1},\"reported\":{\"b\":2},\"delta\":{\"a\":1}}," \
    "\"metadata\":{\"desired\":{\"a\":{\"timestamp\":1}},\"reported\":{\"b\":{\"timestamp\":2}},"  \
    "\"delta\":{\"a\":{\"timestamp\":1}}}}"

static void documents_have_no_delta(void **state) {
    struct buf out = {0};
    shadow_message_documents(STR("{\"version\":1,\"state\":{},\"metadata\":{}}"), STR(KEPT), 9,
                             STR("\"t\""), &out);
    assert_string_equal(buf_cstr(&out),
                        "{\"previous\":{\"state\":{},\"metadata\":{},\"version\":1},"
                        "\"current\":{\"state\":{\"desired\":{\"a\":1},\"reported\":{\"b\":2}},"
                        "\"metadata\":{\"desired\":{\"a\":{\"timestamp\":1}},\"reported\":{\"b\":{"
                        "\"timestamp\":2}}},"
                        "\"version\":2},\"timestamp\":9,\"clientToken\":\"t\"}");
    buf_done(&out);
}

/* Of a shadow that was not there, and of one that was deleted. */
static void documents_begin_somewhere(void **state) {
    static const struct {
        struct str old;
        const char *begin;
    } cases[] = {
        {{NULL, 0}, "{\"previous\":{\"state\":{},\"metadata\":{},\"version\":0},"},
        {{"{\"version\":7,\"deleted\":1}", 25},
         "{\"previous\":{\"state\":{},\"metadata\":{},\"version\":7},"},
    };
    for (size_t i = 0; i < 2; i++) {
        struct buf out = {0};
        shadow_message_documents(cases[i].old, STR(KEPT), 9, (struct str){0}, &out);
        assert_true(str_starts(buf_str(&out), str_of(cases[i].begin)));
        buf_done(&out);
    }
}

static void a_delta_is_told_if_there_is_one(void **state) {
    struct buf out = {0};
    assert_false(shadow_message_delta(STR("{\"version\":1,\"state\":{},\"metadata\":{}}"), 9,
                                      (struct str){0}, &out));
    assert_int_equal(buf_len(&out), 0);
    assert_true(shadow_message_delta(STR(KEPT), 9, (struct str){0}, &out));
    assert_string_equal(buf_cstr(&out), "{\"version\":2,\"state\":{\"a\":1},"
                                        "\"metadata\":{\"a\":{\"timestamp\":1}},\"timestamp\":9}");
    buf_done(&out);
}

static void other_answers(void **state) {
    struct buf out = {0};
    shadow_message_deleted(3, 9, STR("\"t\""), &out);
    assert_string_equal(buf_cstr(&out), "{\"version\":3,\"timestamp\":9,\"clientToken\":\"t\"}");
    buf_clear(&out);
    shadow_message_rejected(404, STR("No \"shadow\""), 9, (struct str){0}, &out);
    assert_string_equal(buf_cstr(&out),
                        "{\"code\":404,\"message\":\"No \\\"shadow\\\"\",\"timestamp\":9}");
    buf_done(&out);
}

static void tokens_are_read(void **state) {
    static const struct {
        const char *request;
        int code;
        const char *token;
    } cases[] = {
        {"{}", 0, ""},
        {"{\"clientToken\":\"a\\u0041\"}", 0, "\"a\\u0041\""},
        {"{\"clientToken\":1}", ERR_INVALID, ""},
        {"[]", ERR_INVALID, ""},
        {"", ERR_INVALID, ""},
        {"{\"a\":\"\xff\"}", ERR_UNSUPPORTED, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf token = {0};
        struct err err;
        assert_int_equal(shadow_message_token(str_of(cases[i].request), &token, &err),
                         cases[i].code);
        assert_string_equal(buf_cstr(&token), cases[i].token);
        buf_done(&token);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_have_no_delta),
        cmocka_unit_test(documents_begin_somewhere),
        cmocka_unit_test(a_delta_is_told_if_there_is_one),
        cmocka_unit_test(other_answers),
        cmocka_unit_test(tokens_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
