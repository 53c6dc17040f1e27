#include "base/test.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/option.h"

struct inner {
    struct option_head head;
    int64_t size;
};

struct settings {
    struct option_head head;
    const char *name;
    bool on;
    int64_t wait_ms, size;
    int mode;
    struct option_items inners;
    struct option_pairs pairs;
};

static const char *const modes[] = {"slow", "fast", NULL};
static const struct option inner_options[] = {
    {"size", OPTION_SIZE, offsetof(struct inner, size), .required = true, .help = "bytes"}, {0}};
static const struct option options[] = {
    {"name", OPTION_STRING, offsetof(struct settings, name), .default_text = "anon"},
    {"on", OPTION_BOOL, offsetof(struct settings, on)},
    {"wait", OPTION_DURATION, offsetof(struct settings, wait_ms), .default_text = "5s"},
    {"size", OPTION_SIZE, offsetof(struct settings, size), .min = 1, .max = 1 << 20,
     .default_text = "1KiB"},
    {"mode", OPTION_ENUM, offsetof(struct settings, mode), .names = modes},
    {"inners", OPTION_MAP, offsetof(struct settings, inners), .fields = inner_options,
     .item_size = sizeof(struct inner)},
    {"pairs", OPTION_STRING_MAP, offsetof(struct settings, pairs)},
    {"cluster", OPTION_LATER, .help = "comes with clustering"},
    {0}};

/* A small tree: nodes are made by hand, as the YAML reader would. */
static struct conf *scalar(const char *text, int line) {
    static struct conf nodes[64];
    static size_t used;
    struct conf *node = &nodes[used++ % 64];
    *node = (struct conf){
        .type = CONF_SCALAR, .text = text, .file = "t.yaml", .line = line, .column = 9};
    return node;
}

static struct conf map_of(const char *key, struct conf **item, struct conf_key *keys) {
    keys[0] = (struct conf_key){key, 3, 5};
    return (struct conf){.type = CONF_MAP,
                         .count = 1,
                         .items = item,
                         .keys = keys,
                         .file = "t.yaml",
                         .line = 1,
                         .column = 1};
}

static int load_one(const char *key, struct conf *value, struct settings *settings,
                    struct err *err) {
    static struct arena arena;
    arena_done(&arena);
    struct conf_key keys[1];
    struct conf map = map_of(key, &value, keys);
    *settings = (struct settings){0};
    return option_load(&arena, options, &map, settings, err);
}

static void absent_keys_get_their_defaults(void **state) {
    struct settings settings = {0};
    struct arena arena = {0};
    assert_int_equal(option_load(&arena, options, NULL, &settings, NULL), 0);
    assert_string_equal(settings.name, "anon");
    assert_int_equal(settings.wait_ms, 5000);
    assert_int_equal(settings.size, 1024);
    assert_int_equal(settings.mode, 0);
    arena_done(&arena);
}

static void values_carry_their_units(void **state) {
    struct settings settings;
    struct err err;
    assert_int_equal(load_one("wait", scalar("24h", 1), &settings, &err), 0);
    assert_int_equal(settings.wait_ms, 86400000);
    assert_int_equal(load_one("size", scalar("64KiB", 1), &settings, &err), 0);
    assert_int_equal(settings.size, 65536);
    assert_int_equal(load_one("mode", scalar("fast", 1), &settings, &err), 0);
    assert_int_equal(settings.mode, 1);
}

static void errors_say_where_and_what_is_right(void **state) {
    struct settings settings;
    struct err err;
    assert_int_equal(load_one("wait", scalar("5 parsecs", 4), &settings, &err), ERR_INVALID);
    assert_string_equal(err.text,
                        "t.yaml:4:9: wait: a duration is wanted, such as 10ms, 5s, 2m, 24h or 7d");
    assert_int_equal(load_one("size", scalar("2MiB", 4), &settings, &err), ERR_INVALID);
    assert_string_equal(err.text, "t.yaml:4:9: size: 2MiB is out of range (1 to 1048576)");
    assert_int_equal(load_one("mdoe", scalar("fast", 4), &settings, &err), ERR_INVALID);
    assert_string_equal(err.text, "t.yaml:3:5: unknown key \"mdoe\"; did you mean \"mode\"?");
    assert_int_equal(load_one("mode", scalar("quick", 4), &settings, &err), ERR_INVALID);
    assert_string_equal(err.text, "t.yaml:4:9: mode: \"quick\" is none of: slow, fast");
    assert_int_equal(load_one("cluster", scalar("x", 4), &settings, &err), ERR_INVALID);
    assert_string_equal(err.text, "t.yaml:4:9: cluster: comes with clustering");
}

static void maps_of_structs_carry_their_names(void **state) {
    struct settings settings;
    struct err err;
    struct conf_key size_key[1], name_key[1];
    struct conf *size = scalar("3KiB", 1);
    struct conf inner = map_of("size", &size, size_key);
    struct conf *inner_at = &inner;
    struct conf inners = map_of("first", &inner_at, name_key);
    assert_int_equal(load_one("inners", &inners, &settings, &err), 0);
    assert_int_equal(settings.inners.count, 1);
    assert_string_equal(OPTION_AT(settings.inners, struct inner, 0)->head.name, "first");
    assert_int_equal(OPTION_AT(settings.inners, struct inner, 0)->size, 3072);
    inner.count = 0;
    assert_int_equal(load_one("inners", &inners, &settings, &err), ERR_INVALID);
    assert_string_equal(err.text, "t.yaml:1:1: size is missing here (bytes)");
}

static void the_environment_is_read_into_texts(void **state) {
    struct settings settings;
    struct err err;
    setenv("WEIR_TEST_NAME", "gw", 1);
    assert_int_equal(load_one("name", scalar("x-${env:WEIR_TEST_NAME}-y", 1), &settings, &err), 0);
    assert_string_equal(settings.name, "x-gw-y");
    unsetenv("WEIR_TEST_NAME");
    assert_int_equal(load_one("name", scalar("${env:WEIR_TEST_NAME}", 1), &settings, &err),
                     ERR_INVALID);
    assert_string_equal(err.text,
                        "t.yaml:1:9: name: the environment variable WEIR_TEST_NAME is not set");
    assert_int_equal(load_one("name", scalar("${newuuid()}", 1), &settings, &err), 0);
    assert_string_equal(settings.name, "${newuuid()}");
}

static void the_manual_lists_what_can_be_set(void **state) {
    struct buf out = {0};
    option_show(&out, options, 0);
    const char *text = buf_cstr(&out);
    assert_non_null(strstr(text, "wait: duration, default 5s\n"));
    assert_non_null(strstr(text, "    size: size, required -- bytes\n"));
    assert_null(strstr(text, "cluster"));
    buf_done(&out);
}

static int drop_arena(void **state) {
    struct settings settings;
    load_one("on", scalar("true", 1), &settings, NULL);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_keys_get_their_defaults),
        cmocka_unit_test(values_carry_their_units),
        cmocka_unit_test(errors_say_where_and_what_is_right),
        cmocka_unit_test(maps_of_structs_carry_their_names),
        cmocka_unit_test(the_environment_is_read_into_texts),
        cmocka_unit_test(the_manual_lists_what_can_be_set),
    };
    return cmocka_run_group_tests(tests, NULL, drop_arena);
}
