#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/facts.h"
#include "io/file.h"

enum { MAP_BYTES = 1 << 20 };

static char root[] = "/tmp/weir-facts-XXXXXX";

/* Each test has a directory of its own. */
static struct facts *open_facts(const char *name, size_t bytes_max) {
    char path[128];
    struct facts *facts = NULL;
    struct err err = {0};
    snprintf(path, sizeof path, "%s/%s", root, name);
    if (facts_open(path, bytes_max, &facts, &err) != 0)
        fail_msg("%s", err.text);
    return facts;
}

static void assert_value(struct facts *facts, const char *table, const char *key,
                         const char *expected) {
    struct buf value = {0};
    int failed = facts_get(facts, table, str_of(key), &value);
    assert_int_equal(failed, expected ? 0 : ERR_NOT_FOUND);
    if (expected)
        assert_true(str_eq(buf_str(&value), str_of(expected)));
    else
        assert_int_equal(buf_len(&value), 0);
    buf_done(&value);
}

static void facts_survive_closing(void **state) {
    struct facts *facts = open_facts("again/deeper", MAP_BYTES);
    assert_int_equal(facts_set(facts, "checkpoint", STR("a"), STR("1"), NULL), 0);
    assert_int_equal(facts_set(facts, "checkpoint", STR("a"), STR("2"), NULL), 0);
    assert_int_equal(facts_set(facts, "intent", STR("empty"), STR(""), NULL), 0);
    facts_close(facts);
    facts = open_facts("again/deeper", MAP_BYTES);
    assert_value(facts, "checkpoint", "a", "2");
    assert_value(facts, "intent", "empty", "");
    assert_value(facts, "intent", "a", NULL);
    assert_value(facts, "unheard-of", "a", NULL);
    facts_close(facts);
    facts_close(NULL);
}

static void a_reader_sees_what_was_committed(void **state) {
    struct facts *facts = open_facts("reader", MAP_BYTES);
    struct facts_reader *reader = facts_reader_new(facts);
    struct buf value = {0};
    char long_key[600] = {0};
    assert_int_equal(facts_reader_get(reader, "t", STR("a"), &value), ERR_NOT_FOUND);
    for (char text[] = "0"; text[0] < '9'; text[0]++) {
        assert_int_equal(facts_set(facts, "t", STR("a"), str_of(text), NULL), 0);
        assert_int_equal(facts_reader_get(reader, "t", STR("a"), &value), 0);
    }
    assert_true(str_eq(buf_str(&value), STR("012345678")));
    assert_int_equal(facts_reader_get(reader, "t", str_from(long_key, sizeof long_key), &value),
                     ERR_NOT_FOUND);
    facts_reader_free(reader);
    facts_reader_free(NULL);
    buf_done(&value);
    facts_close(facts);
}

/* Between reads it keeps no old pages: as much can be rewritten as without it. */
static void an_idle_reader_keeps_no_room(void **state) {
    struct facts *facts = open_facts("idle", MAP_BYTES);
    struct facts_reader *reader = facts_reader_new(facts);
    struct buf value = {0};
    char *large = xcalloc(1, MAP_BYTES / 4);
    facts_set(facts, "t", STR("a"), STR("1"), NULL);
    assert_int_equal(facts_reader_get(reader, "t", STR("a"), &value), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(facts_set(facts, "t", STR("a"), str_from(large, MAP_BYTES / 4), NULL), 0);
    facts_reader_free(reader);
    buf_done(&value);
    free(large);
    facts_close(facts);
}

static void getting_appends_to_what_is_there(void **state) {
    struct facts *facts = open_facts("append", MAP_BYTES);
    struct buf value = {0};
    buf_add(&value, "x=", 2);
    assert_int_equal(facts_set(facts, "t", STR("k"), STR("1"), NULL), 0);
    assert_int_equal(facts_get(facts, "t", STR("k"), &value), 0);
    assert_string_equal(buf_cstr(&value), "x=1");
    buf_done(&value);
    facts_close(facts);
}

static void a_transaction_is_seen_whole_or_not_at_all(void **state) {
    struct facts *facts = open_facts("whole", MAP_BYTES);
    struct facts_write *write;
    assert_int_equal(facts_set(facts, "t", STR("gone"), STR("x"), NULL), 0);
    assert_int_equal(facts_begin(facts, &write, NULL), 0);
    assert_int_equal(facts_put(write, "t", STR("a"), STR("1")), 0);
    assert_int_equal(facts_put(write, "u", STR("b"), STR("2")), 0);
    assert_int_equal(facts_delete(write, "t", STR("gone")), 0);
    assert_int_equal(facts_delete(write, "t", STR("never there")), 0);
    assert_value(facts, "t", "a", NULL);
    assert_value(facts, "t", "gone", "x");
    assert_int_equal(facts_commit(write, NULL), 0);
    assert_value(facts, "t", "a", "1");
    assert_value(facts, "u", "b", "2");
    assert_value(facts, "t", "gone", NULL);
    assert_int_equal(facts_begin(facts, &write, NULL), 0);
    assert_int_equal(facts_put(write, "t", STR("a"), STR("9")), 0);
    facts_abort(write);
    facts_abort(NULL);
    assert_value(facts, "t", "a", "1");
    facts_close(facts);
}

struct listing {
    struct buf text;
    int left;
};

static bool list(void *data, struct str key, struct str value) {
    struct listing *listing = data;
    buf_printf(&listing->text, "%.*s=%.*s ", STR_ARG(key), STR_ARG(value));
    return --listing->left > 0;
}

static void a_transaction_sees_what_it_has_changed(void **state) {
    struct facts *facts = open_facts("inside", MAP_BYTES);
    struct facts_write *write;
    struct buf value = {0};
    struct err err;
    assert_int_equal(facts_set(facts, "t", STR("a"), STR("old"), &err), 0);
    assert_int_equal(facts_begin(facts, &write, &err), 0);
    facts_put(write, "t", STR("a"), STR("new"));
    facts_put(write, "t", STR("b"), STR("more"));
    assert_int_equal(facts_write_get(write, "t", STR("a"), &value), 0);
    assert_int_equal(facts_write_get(write, "t", STR("b"), &value), 0);
    assert_string_equal(buf_cstr(&value), "newmore");
    facts_delete(write, "t", STR("b"));
    assert_int_equal(facts_write_get(write, "t", STR("b"), &value), ERR_NOT_FOUND);
    facts_abort(write);
    assert_value(facts, "t", "a", "old");
    buf_done(&value);
    facts_close(facts);
}

static void assert_listed(struct facts *facts, const char *table, const char *prefix, int most,
                          const char *expected) {
    struct listing listing = {.left = most};
    assert_int_equal(facts_each(facts, table, str_of(prefix), list, &listing), 0);
    assert_string_equal(buf_cstr(&listing.text), expected);
    buf_done(&listing.text);
}

static void tables_are_read_in_order_and_apart(void **state) {
    struct facts *facts = open_facts("order", MAP_BYTES);
    const char *const keys[] = {"b/2", "a", "b/10", "c", "b/1", "b"};
    assert_listed(facts, "mid", "", 100, "");
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        assert_int_equal(facts_set(facts, "mid", str_of(keys[i]), str_of(keys[i]), NULL), 0);
    assert_int_equal(facts_set(facts, "middle", STR("b/x"), STR("no"), NULL), 0);
    assert_int_equal(facts_set(facts, "m", STR("b/y"), STR("no"), NULL), 0);
    assert_int_equal(facts_set(facts, "mid", STR(""), STR("empty key"), NULL), 0);
    assert_listed(facts, "mid", "", 100, "=empty key a=a b=b b/1=b/1 b/10=b/10 b/2=b/2 c=c ");
    assert_listed(facts, "mid", "b/", 100, "b/1=b/1 b/10=b/10 b/2=b/2 ");
    assert_listed(facts, "mid", "", 2, "=empty key a=a ");
    assert_listed(facts, "mid", "d", 100, "");
    assert_listed(facts, "mi", "", 100, "");
    facts_close(facts);
}

static void a_key_that_is_too_long_fails_the_transaction(void **state) {
    struct facts *facts = open_facts("long", MAP_BYTES);
    char key[512];
    memset(key, 'k', sizeof key);
    struct str longest = str_from(key, 511 - sizeof "table"),
               longer = str_from(key, longest.len + 1);
    struct facts_write *write;
    struct buf value = {0};
    struct err err = {0};
    assert_int_equal(facts_set(facts, "table", longest, STR("v"), &err), 0);
    assert_int_equal(facts_get(facts, "table", longest, &value), 0);
    assert_int_equal(facts_get(facts, "table", longer, &value), ERR_NOT_FOUND);
    assert_int_equal(facts_each(facts, "table", longer, list, NULL), 0);
    assert_int_equal(facts_begin(facts, &write, NULL), 0);
    assert_int_equal(facts_put(write, "table", STR("short"), STR("v")), 0);
    assert_int_equal(facts_delete(write, "table", longer), 0);
    assert_int_equal(facts_put(write, "table", longer, STR("v")), ERR_TOO_LARGE);
    assert_int_equal(facts_put(write, "table", STR("after"), STR("v")), ERR_TOO_LARGE);
    assert_int_equal(facts_commit(write, &err), ERR_TOO_LARGE);
    assert_non_null(strstr(err.text, "table table"));
    assert_value(facts, "table", "short", NULL);
    buf_done(&value);
    facts_close(facts);
}

static void a_full_map_refuses_and_keeps_what_it_has(void **state) {
    struct facts *facts = open_facts("full", 256 * 1024);
    static char bulk[8 * 1024];
    struct err err = {0};
    int failed = 0, kept = 0;
    for (; !failed && kept < 1000; kept++) {
        char key[16];
        snprintf(key, sizeof key, "%04d", kept);
        failed = facts_set(facts, "t", str_of(key), str_from(bulk, sizeof bulk), &err);
    }
    assert_int_equal(failed, ERR_FULL);
    assert_true(kept > 10);
    struct buf value = {0};
    assert_int_equal(facts_get(facts, "t", STR("0000"), &value), 0);
    assert_int_equal(buf_len(&value), sizeof bulk);
    buf_done(&value);
    facts_close(facts);
    facts = open_facts("full", MAP_BYTES); /* With more room it goes on. */
    assert_int_equal(facts_set(facts, "t", STR("more"), str_from(bulk, sizeof bulk), &err), 0);
    facts_close(facts);
}

static void what_was_committed_survives_a_killed_process(void **state) {
    pid_t child = fork();
    if (child == 0) {
        struct facts_write *write;
        struct facts *facts = open_facts("killed", MAP_BYTES);
        facts_set(facts, "t", STR("committed"), STR("yes"), NULL);
        facts_begin(facts, &write, NULL);
        facts_put(write, "t", STR("open"), STR("no"));
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    struct facts *facts = open_facts("killed", MAP_BYTES);
    assert_value(facts, "t", "committed", "yes");
    assert_value(facts, "t", "open", NULL);
    assert_int_equal(facts_set(facts, "t", STR("next"), STR("1"), NULL), 0);
    facts_close(facts);
}

static void a_file_that_is_no_database_is_told(void **state) {
    char path[128];
    struct facts *facts = NULL;
    struct err err = {0};
    static char junk[8192];
    memset(junk, 'j', sizeof junk);
    snprintf(path, sizeof path, "%s/junk/facts.mdb", root);
    assert_int_equal(file_write_atomic(path, str_from(junk, sizeof junk), NULL), 0);
    snprintf(path, sizeof path, "%s/junk", root);
    assert_int_equal(facts_open(path, MAP_BYTES, &facts, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "junk/facts.mdb"));
    assert_null(facts);
    snprintf(path, sizeof path, "%s/junk/facts.mdb", root);
    assert_int_equal(facts_open(path, MAP_BYTES, &facts, &err), ERR_EXISTS);
}

/* Two values always change together: a reader sees them equal or is shown a torn transaction. */

enum { ROUNDS = 60, READERS = 3 };

static bool collect(void *data, struct str key, struct str value) {
    buf_add_str(data, value);
    buf_add_u8(data, ' ');
    return true;
}

static void *read_pairs(void *data) {
    struct facts *facts = data;
    unsigned first = 0, second = 0;
    while (first < ROUNDS) {
        struct buf values = {0};
        assert_int_equal(facts_each(facts, "pair", STR(""), collect, &values), 0);
        if (buf_len(&values))
            assert_int_equal(sscanf(buf_cstr(&values), "%u %u", &first, &second), 2);
        assert_int_equal(first, second);
        buf_done(&values);
    }
    return NULL;
}

static void readers_on_other_threads_see_whole_transactions(void **state) {
    struct facts *facts = open_facts("threads", MAP_BYTES);
    pthread_t readers[READERS];
    for (int i = 0; i < READERS; i++)
        pthread_create(&readers[i], NULL, read_pairs, facts);
    for (int i = 1; i <= ROUNDS; i++) {
        char text[16];
        struct facts_write *write;
        snprintf(text, sizeof text, "%d", i);
        assert_int_equal(facts_begin(facts, &write, NULL), 0);
        assert_int_equal(facts_put(write, "pair", STR("a"), str_of(text)), 0);
        assert_int_equal(facts_put(write, "pair", STR("b"), str_of(text)), 0);
        assert_int_equal(facts_commit(write, NULL), 0);
    }
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    facts_close(facts);
}

static int make_root(void **state) {
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state) {
    return file_remove_tree(root, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_survive_closing),
        cmocka_unit_test(a_reader_sees_what_was_committed),
        cmocka_unit_test(an_idle_reader_keeps_no_room),
        cmocka_unit_test(getting_appends_to_what_is_there),
        cmocka_unit_test(a_transaction_is_seen_whole_or_not_at_all),
        cmocka_unit_test(a_transaction_sees_what_it_has_changed),
        cmocka_unit_test(tables_are_read_in_order_and_apart),
        cmocka_unit_test(a_key_that_is_too_long_fails_the_transaction),
        cmocka_unit_test(a_full_map_refuses_and_keeps_what_it_has),
        cmocka_unit_test(what_was_committed_survives_a_killed_process),
        cmocka_unit_test(a_file_that_is_no_database_is_told),
        cmocka_unit_test(readers_on_other_threads_see_whole_transactions),
    };
    return cmocka_run_group_tests(tests, make_root, remove_root);
}
