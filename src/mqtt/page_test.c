#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "mqtt/page.h"

static void expect(const struct page *page, const char *expected, bool more) {
    struct buf keys = {0};
    for (size_t i = 0; i < page->count; i++)
        buf_printf(&keys, "%.*s ", STR_ARG(page->items[i].key));
    assert_string_equal(buf_cstr(&keys), expected);
    assert_int_equal(page->more, more);
    buf_done(&keys);
}

static void offer(struct page *page, const char *keys) {
    for (struct str rest = str_of(keys); rest.len;)
        page_offer(page, str_cut(rest, ' ', &rest), NULL);
}

static void the_first_are_kept_in_order(void **state) {
    struct page page = {.limit = 3};
    offer(&page, "d b");
    expect(&page, "b d ", false);
    offer(&page, "c");
    expect(&page, "b c d ", false);
    offer(&page, "e");
    expect(&page, "b c d ", true);
    offer(&page, "a b");
    expect(&page, "a b c ", true);
    page_done(&page);
}

static void only_what_stands_behind_is_taken(void **state) {
    struct page page = {.limit = 3, .after = STR("b")};
    offer(&page, "a b ba c");
    expect(&page, "ba c ", false);
    page_done(&page);
}

/* Page after page of any number of keys gives all of them, sorted and once. */
static void pages_together_are_the_whole(void **state) {
    enum { KEYS = 500 };
    char keys[KEYS][8];
    srand(7);
    for (int i = 0; i < KEYS; i++)
        snprintf(keys[i], sizeof keys[i], "%d", i * 7919 % KEYS);
    char after[8] = "", last[8] = "";
    size_t seen = 0;
    for (bool more = true; more;) {
        struct page page = {.limit = 1 + (size_t)rand() % 40, .after = str_of(after)};
        for (int i = 0; i < KEYS; i++)
            page_offer(&page, str_of(keys[(i + rand() % 2 * 250) % KEYS]), NULL);
        for (int i = 0; i < KEYS; i++)
            page_offer(&page, str_of(keys[i]), NULL);
        for (size_t i = 0; i < page.count; i++) {
            assert_true(str_compare(str_of(last), page.items[i].key) < 0);
            snprintf(last, sizeof last, "%.*s", STR_ARG(page.items[i].key));
        }
        seen += page.count;
        more = page.more;
        memcpy(after, last, sizeof after);
        page_done(&page);
    }
    assert_int_equal(seen, KEYS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_are_kept_in_order),
        cmocka_unit_test(only_what_stands_behind_is_taken),
        cmocka_unit_test(pages_together_are_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
