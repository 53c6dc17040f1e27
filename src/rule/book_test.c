#include "rule/conf_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "rule/book.h"
#include "rule/set.h"

struct shelf {
    char root[40];
    struct facts *facts;
    struct rule_roles *roles;
    struct rule_set *configured;
    struct rule_book *book;
    struct err err;
    bool sql;
};

static struct rule_set *compile_file(const char *rules) {
    struct conf_test test = {0};
    struct rule_set *set;
    struct buf text = {0};
    buf_printf(&text, "{\"rules\":{%s}}", rules);
    assert_int_equal(conf_test_compile(&test, buf_cstr(&text), &set), 0);
    conf_test_done(&test);
    buf_done(&text);
    return set;
}

static void open_shelf(struct shelf *shelf, const char *rules_of_file) {
    if (!shelf->root[0]) {
        snprintf(shelf->root, sizeof shelf->root, "/tmp/weir-book-XXXXXX");
        assert_non_null(mkdtemp(shelf->root));
    }
    assert_int_equal(facts_open(shelf->root, 1 << 24, &shelf->facts, &shelf->err), 0);
    shelf->configured = compile_file(rules_of_file);
    struct rule_surroundings surroundings = {.roles = shelf->roles};
    assert_int_equal(
        rule_book_open(shelf->facts, shelf->configured, &surroundings, &shelf->book, &shelf->err),
        0);
}

static void close_shelf(struct shelf *shelf) {
    rule_book_free(shelf->book);
    rule_set_unref(shelf->configured);
    facts_close(shelf->facts);
    shelf->book = NULL;
}

static void remove_shelf(struct shelf *shelf) {
    close_shelf(shelf);
    rule_roles_unref(shelf->roles);
    char *command = xprintf("rm -rf %s", shelf->root);
    assert_int_equal(system(command), 0);
    free(command);
}

#define OF_FILE "\"fixed\":{\"sql\":\"SELECT * FROM 'f'\",\"actions\":[]}"
#define TO(topic)                                                                                  \
    "{\"sql\":\"SELECT * FROM 'a/+'\",\"actions\":[{\"republish\":{\"roleArn\":"                   \
    "\"arn:aws:iam::123456789012:role/out\",\"topic\":\"" topic "\"}}]}"

static int put(struct shelf *shelf, enum rule_book_put how, const char *name,
               const char *document) {
    return rule_book_put(shelf->book, how, str_of(name), str_of(document), (struct str){0}, 1000,
                         &shelf->sql, &shelf->err);
}

/* "fixed a! b": the rules in force, disabled ones with a mark. */
static void expect_set(struct shelf *shelf, const char *names) {
    struct rule_set *set = rule_book_set(shelf->book);
    struct buf out = {0};
    for (size_t i = 0; i < set->count; i++)
        buf_printf(&out, "%s%.*s%s", i ? " " : "", STR_ARG(set->rules[i]->name),
                   set->rules[i]->disabled ? "!" : "");
    assert_string_equal(buf_cstr(&out), names);
    buf_done(&out);
    rule_set_unref(set);
}

static void rules_come_change_and_go(void **state) {
    struct shelf shelf = {0};
    open_shelf(&shelf, OF_FILE);
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "b", TO("x")), 0);
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "a", TO("x")), 0);
    expect_set(&shelf, "a b fixed");
    assert_int_equal(rule_book_enable(shelf.book, STR("a"), false, &shelf.err), 0);
    expect_set(&shelf, "a! b fixed");
    assert_true(rule_book_find(shelf.book, STR("a"))->disabled);
    assert_int_equal(put(&shelf, RULE_BOOK_REPLACE, "a", TO("y")), 0);
    expect_set(&shelf, "a b fixed"); /* omitted fields return to their defaults */
    const struct rule_entry *entry = rule_book_find(shelf.book, STR("a"));
    assert_str(entry->filter, "a/+");
    assert_int_equal(entry->created_ms, 1000);
    assert_non_null(strstr(entry->document.at, "\"topic\":\"y\""));
    assert_int_equal(rule_book_delete(shelf.book, STR("b"), &shelf.err), 0);
    expect_set(&shelf, "a fixed");
    assert_int_equal(rule_book_count(shelf.book), 2);
    remove_shelf(&shelf);
}

static void they_are_there_at_the_next_start(void **state) {
    struct shelf shelf = {0};
    open_shelf(&shelf, OF_FILE);
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "a", TO("x")), 0);
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "b", TO("x")), 0);
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "c", TO("x")), 0);
    assert_int_equal(rule_book_enable(shelf.book, STR("b"), false, &shelf.err), 0);
    assert_int_equal(rule_book_set_tags(shelf.book, STR("b"), STR("{\"k\":\"v\"}"), &shelf.err), 0);
    assert_int_equal(rule_book_delete(shelf.book, STR("c"), &shelf.err), 0);
    close_shelf(&shelf);
    open_shelf(&shelf, OF_FILE);
    expect_set(&shelf, "a b! fixed");
    assert_str(rule_book_find(shelf.book, STR("b"))->tags, "{\"k\":\"v\"}");
    remove_shelf(&shelf);
}

static void what_is_refused(void **state) {
    struct shelf shelf = {0};
    open_shelf(&shelf, OF_FILE);
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "a", TO("x")), 0);
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "a", TO("x")), ERR_EXISTS);
    assert_int_equal(put(&shelf, RULE_BOOK_REPLACE, "b", TO("x")), ERR_NOT_FOUND);
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "fixed", TO("x")), ERR_EXISTS);
    assert_int_equal(put(&shelf, RULE_BOOK_REPLACE, "fixed", TO("x")), ERR_REFUSED);
    assert_string_equal(shelf.err.text, "The rule fixed stands in weir.yaml:1:19 and is changed "
                                        "there, not through the API");
    assert_int_equal(rule_book_delete(shelf.book, STR("fixed"), &shelf.err), ERR_REFUSED);
    assert_int_equal(rule_book_enable(shelf.book, STR("fixed"), false, &shelf.err), ERR_REFUSED);
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "b", "{\"sql\":\"SELECT\",\"actions\":[]}"),
                     ERR_INVALID);
    assert_true(shelf.sql);
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "b", TO("${")), ERR_INVALID);
    assert_false(shelf.sql);
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "b", "[]"), ERR_INVALID);
    expect_set(&shelf, "a fixed");
    remove_shelf(&shelf);
}

static struct rule_roles *compile_roles(const char *text) {
    struct conf_test test = {0};
    struct rule_roles *roles;
    assert_int_equal(json_parse(&test.json, str_of(text)), 0);
    assert_int_equal(rule_roles_compile(conf_test_tree(&test, json_root(&test.json)), "us-east-1",
                                        "000000000000", &roles, &test.err),
                     0);
    conf_test_done(&test);
    return roles;
}

static void a_role_forbids_at_once_what_is_constant(void **state) {
    struct shelf shelf = {
        .roles = compile_roles("{\"out\":{\"statement\":[{\"effect\":\"Allow\",\"action\":"
                               "\"iot:Publish\",\"resource\":\"arn:aws:iot:*:*:topic/out/*\"}]}}")};
    open_shelf(&shelf, OF_FILE);
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "a", TO("out/1")), 0);
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "b", TO("in/1")), ERR_DENIED);
    assert_string_equal(
        shelf.err.text,
        "rule b: the role arn:aws:iam::123456789012:role/out does not allow iot:Publish on "
        "arn:aws:iot:us-east-1:000000000000:topic/in/1");
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "b", TO("${x}")), 0);
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "c",
                         "{\"sql\":\"SELECT * FROM 'a'\",\"actions\":[{\"republish\":{\"roleArn\":"
                         "\"other\",\"topic\":\"t\"}}]}"),
                     ERR_INVALID);
    assert_string_equal(shelf.err.text, "rule c: there is no role \"other\" under roles");
    remove_shelf(&shelf);
}

/* The role is gone: the rule is listed with the reason and can be deleted. */
static void a_rule_may_cease_to_hold(void **state) {
    struct shelf shelf = {
        .roles = compile_roles("{\"out\":{\"statement\":[{\"effect\":\"Allow\",\"action\":\"*\","
                               "\"resource\":\"*\"}]}}")};
    open_shelf(&shelf, OF_FILE);
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "a", TO("x")), 0);
    close_shelf(&shelf);
    rule_roles_unref(shelf.roles);
    shelf.roles = compile_roles("{\"other\":{\"statement\":[{\"effect\":\"Allow\",\"action\":\"*\","
                                "\"resource\":\"*\"}]}}");
    open_shelf(&shelf, OF_FILE);
    expect_set(&shelf, "fixed");
    assert_string_equal(rule_book_find(shelf.book, STR("a"))->reason,
                        "rule a: there is no role \"arn:aws:iam::123456789012:role/out\" under "
                        "roles");
    assert_int_equal(rule_book_delete(shelf.book, STR("a"), &shelf.err), 0);
    remove_shelf(&shelf);
}

static void another_file_has_other_rules(void **state) {
    struct shelf shelf = {0};
    struct rule_surroundings none = {0};
    open_shelf(&shelf, OF_FILE);
    assert_int_equal(put(&shelf, RULE_BOOK_CREATE, "a", TO("x")), 0);
    struct rule_set *set =
        compile_file("\"a\":{\"sql\":\"SELECT 1 AS n FROM 'f'\",\"actions\":[]}");
    struct rule_book *fresh = rule_book_reconfigured(shelf.book, set, &none);
    rule_set_unref(set);
    assert_int_equal(rule_book_count(fresh), 1);
    assert_str(rule_book_find(fresh, STR("a"))->sql, "SELECT 1 AS n FROM 'f'");
    assert_int_equal(rule_book_delete(fresh, STR("a"), &shelf.err), ERR_REFUSED);
    rule_book_free(shelf.book);
    shelf.book = rule_book_reconfigured(fresh, shelf.configured, &none);
    rule_book_free(fresh);
    expect_set(&shelf, "a fixed"); /* the rule of the API was hidden, not lost */
    assert_string_equal(rule_book_find(shelf.book, STR("a"))->place, "");
    remove_shelf(&shelf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_come_change_and_go),
        cmocka_unit_test(they_are_there_at_the_next_start),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(a_role_forbids_at_once_what_is_constant),
        cmocka_unit_test(a_rule_may_cease_to_hold),
        cmocka_unit_test(another_file_has_other_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
