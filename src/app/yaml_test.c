#include "base/test.h"

#include "app/yaml.h"
#include "base/mem.h"

static struct arena arena;

static const struct conf *read_ok(const char *text) {
    const struct conf *conf = NULL;
    struct err err = {0};
    if (yaml_read(&arena, "t.yaml", str_of(text), &conf, &err))
        fail_msg("%s", err.text);
    return conf;
}

static void check_error(const char *text, const char *expected) {
    const struct conf *conf = NULL;
    struct err err = {0};
    assert_int_equal(yaml_read(&arena, "t.yaml", str_of(text), &conf, &err), ERR_INVALID);
    assert_null(conf);
    assert_string_equal(err.text, expected);
}

static void maps_lists_and_scalars_keep_their_places(void **state) {
    const struct conf *root = read_ok("a: 1\nb:\n  - x\n  - { c: \"y\" }\n");
    assert_int_equal(root->count, 2);
    assert_string_equal(conf_get(root, "a")->text, "1");
    const struct conf *list = conf_get(root, "b");
    assert_int_equal(list->type, CONF_LIST);
    assert_string_equal(list->items[0]->text, "x");
    assert_false(list->items[0]->quoted);
    const struct conf *c = conf_get(list->items[1], "c");
    assert_string_equal(c->text, "y");
    assert_true(c->quoted);
    assert_int_equal(c->line, 4);
    assert_int_equal(c->column, 10);
    assert_int_equal(root->keys[1].line, 2);
    assert_null(conf_get(root, "none"));
}

static void an_empty_document_is_an_empty_map(void **state) {
    const struct conf *root = read_ok("# nothing\n");
    assert_int_equal(root->type, CONF_MAP);
    assert_int_equal(root->count, 0);
}

static void errors_say_where(void **state) {
    check_error("a: 1\na: 2\n", "t.yaml:2:1: this key stands here twice");
    check_error("a: &x 1\nb: *x\n", "t.yaml:2:4: aliases (*name) are not supported");
    check_error("a: 1\n---\nb: 2\n", "t.yaml:2:1: only one document is read");
    check_error("[1]: 2\n", "t.yaml:1:1: a key must be plain text");
    check_error("a: \"x\\0y\"\n", "t.yaml:1:4: a NUL character cannot stand here");
}

static void broken_yaml_is_an_error_not_a_crash(void **state) {
    static const char *const broken[] = {
        "a: [1, 2", "a: {b: 1", "\"unfinished",           "a:\n\t- b",
        "- - - [",  "a: b: c",  "%YAML 9.9\n---\na: 1\n", "a: \xff"};
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        const struct conf *conf = NULL;
        struct err err = {0};
        if (yaml_read(&arena, "t.yaml", str_of(broken[i]), &conf, &err) != ERR_INVALID)
            fail_msg("%s", broken[i]);
        assert_non_null(strstr(err.text, "t.yaml:"));
    }
}

static void depth_is_bounded(void **state) {
    char text[200];
    memset(text, '[', sizeof text);
    const struct conf *conf = NULL;
    struct err err = {0};
    assert_int_equal(yaml_read(&arena, "t.yaml", str_from(text, sizeof text), &conf, &err),
                     ERR_INVALID);
    assert_non_null(strstr(err.text, "nested too deeply"));
}

static int tear_down(void **state) {
    arena_done(&arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_lists_and_scalars_keep_their_places),
        cmocka_unit_test(an_empty_document_is_an_empty_map),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(broken_yaml_is_an_error_not_a_crash),
        cmocka_unit_test(depth_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
