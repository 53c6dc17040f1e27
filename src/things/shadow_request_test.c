#include "base/test.h"

#include <stdio.h>

#include "base/mem.h"
#include "things/shadow_request.h"

static void topics_are_told_apart(void **state) {
    static const struct {
        const char *topic;
        enum shadow_topic kind;
        enum shadow_operation operation;
        const char *thing, *shadow;
    } cases[] = {
        {"$aws/things/a/shadow/get", SHADOW_TOPIC_REQUEST, SHADOW_GET, "a", ""},
        {"$aws/things/a:B_-9/shadow/update", SHADOW_TOPIC_REQUEST, SHADOW_UPDATE, "a:B_-9", ""},
        {"$aws/things/a/shadow/delete", SHADOW_TOPIC_REQUEST, SHADOW_DELETE, "a", ""},
        {"$aws/things/a/shadow/name/b/get", SHADOW_TOPIC_REQUEST, SHADOW_GET, "a", "b"},
        {"$aws/things/a/shadow/name/get/update", SHADOW_TOPIC_REQUEST, SHADOW_UPDATE, "a", "get"},
        {"$aws/things/a/shadow/name/$x/get", SHADOW_TOPIC_REQUEST, SHADOW_GET, "a", "$x"},
        {"$aws/things/a/shadow/get/accepted", SHADOW_TOPIC_RESERVED, 0, NULL, NULL},
        {"$aws/things/a/shadow/update/delta", SHADOW_TOPIC_RESERVED, 0, NULL, NULL},
        {"$aws/things/a/shadow/name/b/update/delta", SHADOW_TOPIC_RESERVED, 0, NULL, NULL},
        {"$aws/things/a/shadow/name//get", SHADOW_TOPIC_RESERVED, 0, NULL, NULL},
        {"$aws/things/a/shadow/name/get", SHADOW_TOPIC_RESERVED, 0, NULL, NULL},
        {"$aws/things/a/shadow/get/", SHADOW_TOPIC_RESERVED, 0, NULL, NULL},
        {"$aws/things/a/shadow/GET", SHADOW_TOPIC_RESERVED, 0, NULL, NULL},
        {"$aws/things/a/shadow", SHADOW_TOPIC_RESERVED, 0, NULL, NULL},
        {"$aws/things/$a/shadow/get", SHADOW_TOPIC_RESERVED, 0, NULL, NULL},
        {"$aws/things//shadow/get", SHADOW_TOPIC_RESERVED, 0, NULL, NULL},
        {"$aws/things/a/shadows/get", SHADOW_TOPIC_OTHER, 0, NULL, NULL},
        {"$aws/things/a/jobs/get", SHADOW_TOPIC_OTHER, 0, NULL, NULL},
        {"$aws/things/a", SHADOW_TOPIC_OTHER, 0, NULL, NULL},
        {"aws/things/a/shadow/get", SHADOW_TOPIC_OTHER, 0, NULL, NULL},
        {"", SHADOW_TOPIC_OTHER, 0, NULL, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct shadow_request request;
        if (shadow_topic_read(str_of(cases[i].topic), &request) != cases[i].kind)
            fail_msg("%s", cases[i].topic);
        if (cases[i].kind != SHADOW_TOPIC_REQUEST)
            continue;
        assert_int_equal(request.operation, cases[i].operation);
        assert_true(str_eq(request.thing, str_of(cases[i].thing)));
        assert_true(str_eq(request.shadow, str_of(cases[i].shadow)));
        struct buf topic = {0};
        shadow_topic_write(&topic, &request, "");
        assert_string_equal(buf_cstr(&topic), cases[i].topic);
        buf_done(&topic);
    }
}

static void names_have_bounds(void **state) {
    struct shadow_request request;
    char topic[400];
    snprintf(topic, sizeof topic, "$aws/things/%0128d/shadow/name/%064d/get", 0, 0);
    assert_int_equal(shadow_topic_read(str_of(topic), &request), SHADOW_TOPIC_REQUEST);
    snprintf(topic, sizeof topic, "$aws/things/%0129d/shadow/get", 0);
    assert_int_equal(shadow_topic_read(str_of(topic), &request), SHADOW_TOPIC_RESERVED);
    snprintf(topic, sizeof topic, "$aws/things/a/shadow/name/%065d/get", 0);
    assert_int_equal(shadow_topic_read(str_of(topic), &request), SHADOW_TOPIC_RESERVED);
}

static void answers_have_topics_below(void **state) {
    struct shadow_request request;
    struct buf topic = {0};
    shadow_topic_read(STR("$aws/things/a/shadow/name/b/update"), &request);
    shadow_topic_write(&topic, &request, "/documents");
    assert_string_equal(buf_cstr(&topic), "$aws/things/a/shadow/name/b/update/documents");
    buf_done(&topic);
}

static void an_entry_is_read_as_it_was_written(void **state) {
    const struct shadow_request written = {.operation = SHADOW_UPDATE,
                                           .depth = 3,
                                           .thing = STR("lamp"),
                                           .shadow = STR("$x"),
                                           .payload = STR("{\"state\":{}}")};
    struct shadow_request read;
    struct buf entry = {0};
    shadow_request_write(&entry, &written);
    assert_int_equal(shadow_request_read(buf_str(&entry), &read), 0);
    assert_int_equal(read.operation, SHADOW_UPDATE);
    assert_int_equal(read.depth, 3);
    assert_false(read.too_large);
    assert_true(str_eq(read.thing, written.thing) && str_eq(read.shadow, written.shadow));
    assert_true(str_eq(read.payload, written.payload));
    buf_done(&entry);
}

static void a_damaged_entry_is_none(void **state) {
    static const struct str entries[] = {
        {"", 0},
        {"\1\0\0\0\1a", 6},   /* cut */
        {"\2\0\0\0\1a\0", 7}, /* of a later version */
        {"\1\3\0\0\1a\0", 7}, /* no such operation */
        {"\1\0\0\0\1/\0", 7}, /* no name */
        {"\1\0\0\0\0\0", 6},  /* the same */
        {"\1\0\0\0\1a\377short", 12},
    };
    struct shadow_request request;
    for (size_t i = 0; i < COUNT_OF(entries); i++)
        assert_int_equal(shadow_request_read(entries[i], &request), ERR_CORRUPT);
    assert_int_equal(shadow_request_read(str_from("\1\2\1\0\1a\0", 7), &request), 0);
    assert_true(request.too_large && request.operation == SHADOW_DELETE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_are_told_apart),
        cmocka_unit_test(names_have_bounds),
        cmocka_unit_test(answers_have_topics_below),
        cmocka_unit_test(an_entry_is_read_as_it_was_written),
        cmocka_unit_test(a_damaged_entry_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
