/* Into directories, and against a server that gives a store's answers. */
#include "action/http_rig_test.h"

#include "action/kinds.h"
#include "io/file.h"

static struct place {
    char directory[40];
    struct bucket_config bucket;
} place;

static const struct bucket_config *find_bucket(void *data, struct str name) {
    return str_eq(name, STR("b")) ? &place.bucket : NULL;
}

static void set_item(struct http_rig *rig, unsigned i, const char *bucket, const char *key) {
    buf_clear(&rig->rig.params[i]);
    rig->rig.items[i].record.params.count = 0;
    rig_param(&rig->rig, i, "bucket", bucket);
    rig_param(&rig->rig, i, "key", key);
}

static void begin(struct http_rig *rig) {
    http_rig_init(rig);
    rig->rig.services.bucket = find_bucket;
    rig_open(&rig->rig, &action_s3, "{'bucket_name':'b','key':'k'}");
    for (unsigned i = 0; i < RIG_ITEMS; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%u", i);
        set_item(rig, i, "b", key);
    }
}

static void begin_directory(struct http_rig *rig) {
    strcpy(place.directory, "/tmp/weir-s3-XXXXXX");
    assert_non_null(mkdtemp(place.directory));
    place.bucket = (struct bucket_config){.head.name = "b", .directory = place.directory};
    begin(rig);
}

static void begin_store(struct http_rig *rig) {
    static char endpoint[40];
    begin(rig);
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%u", rig->server.port);
    place.bucket =
        (struct bucket_config){.head.name = "b",
                               .s3 = {.head.conf = conf_from_text(&rig->rig.arena, STR("{}")),
                                      .endpoint = endpoint,
                                      .region = "us-east-1",
                                      .bucket = "b",
                                      .access_key_id = "id",
                                      .secret_access_key = "key",
                                      .path_style = true}};
}

static void end_directory(struct http_rig *rig) {
    struct err err;
    http_rig_end(rig);
    if (file_remove_tree(place.directory, &err))
        fail_msg("%s", err.text);
}

static void assert_object(const char *key, const char *text) {
    struct buf content = {0};
    struct err err;
    char *path = xprintf("%s/%s", place.directory, key);
    if (file_read_all(path, 1 << 20, &content, &err))
        fail_msg("%s: %s", key, err.text);
    assert_str(buf_str(&content), text);
    buf_done(&content);
    free(path);
}

static void each_message_is_an_object(void **state) {
    struct http_rig rig;
    begin_directory(&rig);
    set_item(&rig, 1, "b", "a/b/c");
    rig.rig.items[1].record.payload = STR("one");
    rig_send_and_expect(&rig.rig, "ooooo");
    assert_object("k0", "{}");
    assert_object("a/b/c", "one");
    end_directory(&rig);
}

static void of_one_key_the_last_message_wins(void **state) {
    static const char *const texts[RIG_ITEMS] = {"0", "1", "2", "3", "4"};
    struct http_rig rig;
    begin_directory(&rig);
    for (unsigned i = 0; i < RIG_ITEMS; i++) {
        set_item(&rig, i, "b", "same");
        rig.rig.items[i].record.payload = str_of(texts[i]);
    }
    rig_send_and_expect(&rig.rig, "ooooo");
    assert_object("same", "4");
    end_directory(&rig);
}

static void in_a_directory_a_key_stays_below_it(void **state) {
    static const char *const keys[] = {"",          "/etc/passwd", "a/",    "..",         "../x",
                                       "a/../../x", ".",           "a/./b", "a//b/../..", "\xff"};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct http_rig rig;
        begin_directory(&rig);
        set_item(&rig, 2, "b", keys[i]);
        rig_send_and_expect(&rig.rig, "oofoo");
        rig_expect_why(&rig.rig, 2, "bucket b: ");
        end_directory(&rig);
    }
}

static void a_key_has_1024_bytes_at_most(void **state) {
    struct http_rig rig;
    char key[1026];
    memset(key, 'k', sizeof key);
    for (size_t i = 100; i < sizeof key; i += 100)
        key[i] = '/';
    key[sizeof key - 1] = '\0';
    begin_directory(&rig);
    set_item(&rig, 0, "b", key + 1);
    set_item(&rig, 1, "b", key);
    rig_send_and_expect(&rig.rig, "ofooo");
    rig_expect_why(&rig.rig, 1, "1 to 1024 bytes");
    end_directory(&rig);
}

static void what_is_wrong_with_one_fails_alone(void **state) {
    struct http_rig rig;
    begin_directory(&rig);
    set_item(&rig, 0, "none", "k");
    rig_param(&rig.rig, 1, "content_type", "text/pl\xc3\xa4in");
    rig_param(&rig.rig, 2, "content_type", "text/plain\r\nX-A: b");
    rig_send_and_expect(&rig.rig, "fffoo");
    rig_expect_why(&rig.rig, 0, "there is no bucket \"none\"");
    rig_expect_why(&rig.rig, 1, "must be ASCII");
    end_directory(&rig);
}

static void an_object_that_cannot_be_written_is_waited_for(void **state) {
    struct http_rig rig;
    begin_directory(&rig);
    rig_send_and_expect(&rig.rig, "ooooo");
    http_rig_again(&rig);
    set_item(&rig, 0, "b", "k1/below-a-file");
    rig_send_and_expect(&rig.rig, "roooo");
    end_directory(&rig);
}

static void a_store_gets_type_and_access(void **state) {
    struct http_rig rig;
    begin_store(&rig);
    rig.rig.items[1].record.payload = STR("no JSON");
    rig_param(&rig.rig, 2, "content_type", " text/csv ");
    http_rig_answer(&rig, 200, "");
    rig_send_and_expect(&rig.rig, "ooooo");
    assert_int_equal(rig.request_count, RIG_ITEMS);
    for (unsigned i = 0; i < RIG_ITEMS; i++) {
        const char *type = strstr(rig.heads[i], "/k1 ")   ? "application/octet-stream\r\n"
                           : strstr(rig.heads[i], "/k2 ") ? "text/csv\r\n"
                                                          : "application/json\r\n";
        const char *at = strcasestr(rig.heads[i], "\r\ncontent-type: ");
        assert_non_null(at);
        assert_true(str_starts(str_of(at + 16), str_of(type)));
        assert_null(strcasestr(rig.heads[i], "x-amz-acl"));
    }
    http_rig_end(&rig);
}

#define FAILURE(code) "<Error><Code>" code "</Code><Message>m</Message></Error>"

/* Nothing that a store says makes a message lost: what a person has to mend waits too. */
static void whatever_a_store_says_it_comes_again(void **state) {
    struct http_rig rig;
    begin_store(&rig);
    http_rig_expect_for(&rig, 503, FAILURE("SlowDown"), "rrrrr");
    http_rig_expect_for(&rig, 403, FAILURE("AccessDenied"), "rrrrr");
    http_rig_expect_for(&rig, 404, FAILURE("NoSuchBucket"), "rrrrr");
    http_rig_expect_for(&rig, 400, "no XML", "rrrrr");
    http_rig_expect_cut(&rig, NULL, "rrrrr");
    http_rig_expect_cut(&rig, "HTTP/1.1 200 OK\r\nContent-Le", "rrrrr");
    http_rig_expect_for(&rig, 200, "", "ooooo");
    http_rig_end(&rig);
}

static void it_closes_while_objects_are_under_way(void **state) {
    struct http_rig rig;
    begin_store(&rig);
    rig.is_silent = true;
    rig_send(&rig.rig);
    while (rig.request_count < RIG_ITEMS)
        rig_turn(&rig.rig);
    http_rig_end(&rig);
    rig_expect(&rig.rig, "-----");
    begin_directory(&rig); /* whose writing cannot be stopped */
    rig_send(&rig.rig);
    end_directory(&rig);
    rig_expect(&rig.rig, "-----");
}

static void the_bucket_that_a_rule_names(void **state) {
    struct arena arena = {0};
    struct err err;
    void *settings;
    assert_int_equal(
        rig_load(&arena, &action_s3, "{'bucket_name':'b','key':'${k}'}", &settings, &err), 0);
    struct action_spec spec = {.kind = &action_s3.kind, .settings = settings};
    assert_string_equal(action_bucket_of(&spec), "b");
    assert_int_equal(
        rig_load(&arena, &action_s3, "{'bucket_name':'${b}','key':'k'}", &settings, &err), 0);
    spec.settings = settings;
    assert_null(action_bucket_of(&spec));
    spec.kind = &action_redis.kind;
    assert_null(action_bucket_of(&spec));
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_is_an_object),
        cmocka_unit_test(of_one_key_the_last_message_wins),
        cmocka_unit_test(in_a_directory_a_key_stays_below_it),
        cmocka_unit_test(a_key_has_1024_bytes_at_most),
        cmocka_unit_test(what_is_wrong_with_one_fails_alone),
        cmocka_unit_test(an_object_that_cannot_be_written_is_waited_for),
        cmocka_unit_test(a_store_gets_type_and_access),
        cmocka_unit_test(whatever_a_store_says_it_comes_again),
        cmocka_unit_test(it_closes_while_objects_are_under_way),
        cmocka_unit_test(the_bucket_that_a_rule_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
