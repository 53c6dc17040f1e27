#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "things/shadow_document.h"

/* The second document after updating `kept` (NULL: none) with `request` at second 200. */
static void check(const char *kept, const char *request, const char *expected) {
    struct buf fresh = {0}, accepted = {0};
    struct err err;
    if (shadow_document_update(str_of(kept), str_of(request), 200, &fresh, &accepted, &err))
        fail_msg("%s: %s", request, err.text);
    if (strcmp(buf_cstr(&fresh), expected) != 0)
        fail_msg("%s gives\n%s, not\n%s", request, buf_cstr(&fresh), expected);
    buf_done(&fresh);
    buf_done(&accepted);
}

#define T100 "{\"timestamp\":100}"
#define T200 "{\"timestamp\":200}"

static void updates_merge(void **state) {
    check(NULL, "{\"state\":{\"reported\":{\"on\":true}}}",
          "{\"version\":1,\"state\":{\"reported\":{\"on\":true}},"
          "\"metadata\":{\"reported\":{\"on\":" T200 "}}}");
    static const char kept[] =
        "{\"version\":4,\"state\":{\"reported\":{\"a\":{\"x\":1,\"y\":2},\"b\":[1,2]}},"
        "\"metadata\":{\"reported\":{\"a\":{\"x\":" T100 ",\"y\":" T100 "},\"b\":[" T100 "," T100
        "]}}}";
    /* What is new or other gets a time; what is the same keeps its own. */
    check(kept, "{\"state\":{\"reported\":{\"a\":{\"x\":1,\"y\":3,\"z\":null}}}}",
          "{\"version\":5,\"state\":{\"reported\":{\"a\":{\"x\":1,\"y\":3},\"b\":[1,2]}},"
          "\"metadata\":{\"reported\":{\"a\":{\"x\":" T100 ",\"y\":" T200 "},\"b\":[" T100 "," T100
          "]}}}");
    /* null takes away, arrays are replaced whole. */
    check(kept, "{\"state\":{\"reported\":{\"a\":null,\"b\":[3]}}}",
          "{\"version\":5,\"state\":{\"reported\":{\"b\":[3]}},"
          "\"metadata\":{\"reported\":{\"b\":[" T200 "]}}}");
    check(kept, "{\"state\":{\"reported\":null}}", "{\"version\":5,\"state\":{},\"metadata\":{}}");
    check(kept, "{\"state\":{\"reported\":{\"a\":null,\"b\":null}}}",
          "{\"version\":5,\"state\":{},\"metadata\":{}}");
    check(kept, "{\"state\":{\"reported\":{\"a\":1,\"b\":{\"c\":{}}}}}",
          "{\"version\":5,\"state\":{\"reported\":{\"a\":1,\"b\":{\"c\":{}}}},"
          "\"metadata\":{\"reported\":{\"a\":" T200 ",\"b\":{\"c\":{}}}}}");
}

static void the_delta_is_what_is_desired_and_not_reported(void **state) {
    check(NULL,
          "{\"state\":{\"desired\":{\"a\":{\"r\":1,\"g\":2},\"l\":[1]},"
          "\"reported\":{\"a\":{\"g\":0,\"r\":1},\"l\":[1],\"other\":1}}}",
          "{\"version\":1,\"state\":{\"desired\":{\"a\":{\"r\":1,\"g\":2},\"l\":[1]},"
          "\"reported\":{\"a\":{\"g\":0,\"r\":1},\"l\":[1],\"other\":1},"
          "\"delta\":{\"a\":{\"g\":2}}},"
          "\"metadata\":{\"desired\":{\"a\":{\"r\":" T200 ",\"g\":" T200 "},\"l\":[" T200 "]},"
          "\"reported\":{\"a\":{\"g\":" T200 ",\"r\":" T200 "},\"l\":[" T200 "],\"other\":" T200
          "},\"delta\":{\"a\":{\"g\":" T200 "}}}}");
    static const char kept[] =
        "{\"version\":1,\"state\":{\"desired\":{\"a\":1},\"delta\":{\"a\":1}},"
        "\"metadata\":{\"desired\":{\"a\":" T100 "},\"delta\":{\"a\":" T100 "}}}";
    check(kept, "{\"state\":{\"reported\":{\"a\":1}}}",
          "{\"version\":2,\"state\":{\"desired\":{\"a\":1},\"reported\":{\"a\":1}},"
          "\"metadata\":{\"desired\":{\"a\":" T100 "},\"reported\":{\"a\":" T200 "}}}");
}

/* What is looked for with an index: an object of many members at each level, an escaped name, an
 * empty one. */
static void large_objects_merge_as_small_ones(void **state) {
    enum { MEMBERS = 100 };
    struct buf first = {0}, second = {0}, third = {0}, accepted = {0}, request = {0};
    struct err err;
    buf_add_str(&request, STR("{\"state\":{\"desired\":{\"\":0,\"in\":{\"\\u0061\":1"));
    for (int i = 0; i < MEMBERS; i++)
        buf_printf(&request, ",\"m%d\":%d", i, i);
    buf_add_str(&request, STR("}}}}"));
    assert_int_equal(
        shadow_document_update((struct str){0}, buf_str(&request), 100, &first, &accepted, &err),
        0);
    buf_clear(&request);
    buf_add_str(&request, STR("{\"state\":{\"reported\":{\"in\":{"));
    for (int i = MEMBERS - 1; i >= 0; i--)
        buf_printf(&request, "\"m%d\":%d,", i, i == 42 ? 0 : i);
    buf_add_str(&request, STR("\"a\":1},\"\":0}}}"));
    assert_int_equal(
        shadow_document_update(buf_str(&first), buf_str(&request), 200, &second, &accepted, &err),
        0);
    assert_non_null(strstr(buf_cstr(&second), "\"delta\":{\"in\":{\"m42\":42}}}"));
    assert_non_null(strstr(buf_cstr(&second), "\"delta\":{\"in\":{\"m42\":" T100 "}}}"));
    struct str again = STR("{\"state\":{\"reported\":{\"in\":{\"m42\":42,\"m1\":null}}}}");
    assert_int_equal(shadow_document_update(buf_str(&second), again, 300, &third, &accepted, &err),
                     0);
    assert_non_null(strstr(buf_cstr(&third), "\"delta\":{\"in\":{\"m1\":1}}}"));
    assert_non_null(strstr(buf_cstr(&third), "\"m42\":{\"timestamp\":300}"));
    buf_done(&first);
    buf_done(&second);
    buf_done(&third);
    buf_done(&accepted);
    buf_done(&request);
}

static void what_was_accepted_is_told(void **state) {
    struct buf fresh = {0}, accepted = {0};
    struct err err;
    static const char kept[] = "{\"version\":1,\"state\":{\"desired\":{\"a\":1,\"b\":1}},"
                               "\"metadata\":{\"desired\":{\"a\":" T100 ",\"b\":" T100 "}}}";
    static const char request[] =
        "{\"state\":{\"desired\":{\"b\":2,\"a\":null}},\"clientToken\":\"t\",\"version\":1}";
    assert_int_equal(
        shadow_document_update(str_of(kept), str_of(request), 200, &fresh, &accepted, &err), 0);
    assert_string_equal(buf_cstr(&accepted),
                        "{\"state\":{\"desired\":{\"b\":2,\"a\":null}},\"metadata\":{\"desired\":"
                        "{\"b\":" T200 "}},\"version\":2,\"timestamp\":200,\"clientToken\":\"t\"}");
    buf_done(&fresh);
    buf_done(&accepted);
}

static void refuse(const char *request, int code, const char *why) {
    struct buf fresh = {0}, accepted = {0};
    struct err err = {0};
    static const char kept[] = "{\"version\":3,\"state\":{},\"metadata\":{}}";
    int got = shadow_document_update(str_of(kept), str_of(request), 200, &fresh, &accepted, &err);
    if (got != code || strcmp(err.text, why) != 0)
        fail_msg("%.60s gives %d, %s", request, got, err.text);
    assert_int_equal(buf_len(&fresh), 0);
    assert_int_equal(buf_len(&accepted), 0);
}

static void what_is_no_update_is_refused(void **state) {
    static const struct {
        const char *request;
        int code;
        const char *why;
    } cases[] = {
        {"{", ERR_INVALID, "Invalid JSON"},
        {"[]", ERR_INVALID, "Invalid JSON"},
        {"{}", ERR_INVALID, "Missing required node: state"},
        {"{\"state\":1}", ERR_INVALID, "State node must be an object"},
        {"{\"state\":{\"desired\":1}}", ERR_INVALID, "Desired node must be an object"},
        {"{\"state\":{\"reported\":[]}}", ERR_INVALID, "Reported node must be an object"},
        {"{\"state\":{\"reported\":{},\"reported\":[null]}}", ERR_INVALID,
         "State contains an invalid node: a name that comes twice"},
        {"{\"state\":{\"other\":{}}}", ERR_INVALID, "State contains an invalid node: '\"other\"'"},
        {"{\"state\":{},\"version\":2}", ERR_EXISTS, "Version conflict"},
        {"{\"state\":{},\"version\":\"3\"}", ERR_INVALID, "Invalid version"},
        {"{\"state\":{},\"version\":-1}", ERR_INVALID, "Invalid version"},
        {"{\"state\":{},\"clientToken\":1}", ERR_INVALID, "Invalid clientToken"},
        {"{\"state\":{\"reported\":{\"a\":[null]}}}", ERR_INVALID,
         "State contains an invalid node: null in an array, or a name that comes twice"},
        {"{\"state\":{\"reported\":{\"a\":1,\"\\u0061\":2}}}", ERR_INVALID,
         "State contains an invalid node: null in an array, or a name that comes twice"},
        {"{\"state\":{\"reported\":{\"1\":{\"2\":{\"3\":{\"4\":{\"5\":{\"6\":{\"7\":{\"8\":{}}}}}}}"
         "}}}}",
         ERR_INVALID, "JSON contains too many levels of nesting; maximum is 8"},
        {"{\"state\":{\"reported\":{\"a\":\"\xff\"}}}", ERR_UNSUPPORTED,
         "The document is not UTF-8"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        refuse(cases[i].request, cases[i].code, cases[i].why);
}

static void the_state_is_bounded(void **state) {
    struct buf half = {0}, first = {0}, second = {0}, accepted = {0};
    struct err err;
    for (int i = 0; i < SHADOW_STATE_BYTES_MAX / 2 + 100; i++)
        buf_add_u8(&half, 'x');
    char request[SHADOW_STATE_BYTES_MAX];
    snprintf(request, sizeof request, "{\"state\":{\"reported\":{\"a\":\"%s\"}}}", buf_cstr(&half));
    assert_int_equal(
        shadow_document_update((struct str){0}, str_of(request), 1, &first, &accepted, &err), 0);
    snprintf(request, sizeof request, "{\"state\":{\"reported\":{\"b\":\"%s\"}}}", buf_cstr(&half));
    assert_int_equal(
        shadow_document_update(buf_str(&first), str_of(request), 1, &second, &accepted, &err),
        ERR_TOO_LARGE);
    buf_done(&half);
    buf_done(&first);
    buf_done(&second);
    buf_done(&accepted);
}

static void a_deleted_shadow_counts_on(void **state) {
    struct buf deleted = {0}, shown = {0};
    int64_t version;
    struct str kept = STR("{\"version\":7,\"state\":{},\"metadata\":{}}");
    assert_true(shadow_document_show(kept, 9, (struct str){0}, &shown));
    assert_string_equal(buf_cstr(&shown),
                        "{\"version\":7,\"state\":{},\"metadata\":{},\"timestamp\":9}");
    assert_int_equal(shadow_document_delete(kept, 1000, &deleted, &version), 0);
    assert_int_equal(version, 7);
    assert_false(shadow_document_show(buf_str(&deleted), 9, (struct str){0}, &shown));
    assert_int_equal(shadow_document_delete(buf_str(&deleted), 1000, &shown, &version),
                     ERR_NOT_FOUND);
    assert_false(shadow_document_forgotten(buf_str(&deleted), 1000 + SHADOW_REMEMBERED_S - 1));
    assert_true(shadow_document_forgotten(buf_str(&deleted), 1000 + SHADOW_REMEMBERED_S));
    check(buf_cstr(&deleted), "{\"state\":{\"reported\":{\"a\":1}}}",
          "{\"version\":8,\"state\":{\"reported\":{\"a\":1}},"
          "\"metadata\":{\"reported\":{\"a\":" T200 "}}}");
    buf_done(&deleted);
    buf_done(&shown);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(updates_merge),
        cmocka_unit_test(the_delta_is_what_is_desired_and_not_reported),
        cmocka_unit_test(large_objects_merge_as_small_ones),
        cmocka_unit_test(what_was_accepted_is_told),
        cmocka_unit_test(what_is_no_update_is_refused),
        cmocka_unit_test(the_state_is_bounded),
        cmocka_unit_test(a_deleted_shadow_counts_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
