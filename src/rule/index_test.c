#include "base/test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/random.h"
#include "flow/topic.h"
#include "rule/index.h"

enum { FILTERS_MAX = 200 };

static const char *const words[] = {"a", "b", "", "$x", "cc"};

/* Up to four levels, not empty; '#' at the end alone. */
static void make_text(struct buf *out, bool filter) {
    unsigned levels = 1 + (unsigned)(random_u64() % 4);
    for (unsigned i = 0; i < levels; i++) {
        unsigned pick = (unsigned)(random_u64() % (filter ? 8 : 5));
        if (i)
            buf_add_u8(out, '/');
        if (pick < 5)
            buf_add_str(out, str_of(words[pick]));
        else if (pick < 7)
            buf_add_u8(out, '+');
        else if (i + 1 == levels)
            buf_add_u8(out, '#');
    }
    if (buf_len(out) == 0)
        buf_add_u8(out, 'b');
}

struct found {
    unsigned times[FILTERS_MAX];
};

static void on_found(void *data, size_t rule) {
    ((struct found *)data)->times[rule]++;
}

/* Whatever matches is told once; the obvious way is to compare each. */
static void it_misses_nothing(void **state) {
    for (int round = 0; round < 50; round++) {
        struct buf filters[FILTERS_MAX] = {0}, topic = {0};
        struct rule_index index = {0};
        for (size_t i = 0; i < FILTERS_MAX; i++) {
            make_text(&filters[i], true);
            rule_index_add(&index, buf_str(&filters[i]), i);
        }
        for (int t = 0; t < 100; t++) {
            struct found found = {0};
            buf_clear(&topic);
            make_text(&topic, false);
            rule_index_find(&index, buf_str(&topic), on_found, &found);
            for (size_t i = 0; i < FILTERS_MAX; i++) {
                /* "a/#" is not told for "a": rules do not match there either. */
                struct str filter = buf_str(&filters[i]);
                bool below = filter.len > 2 &&
                             str_eq(str_skip(filter, filter.len - 2), STR("/#")) &&
                             topic_matches(str_from(filter.at, filter.len - 2), buf_str(&topic));
                assert_true(found.times[i] <= 1);
                if (topic_matches(filter, buf_str(&topic)) && !below)
                    assert_int_equal(found.times[i], 1);
            }
        }
        rule_index_done(&index);
        for (size_t i = 0; i < FILTERS_MAX; i++)
            buf_done(&filters[i]);
        buf_done(&topic);
    }
}

static void what_cannot_match_is_not_told(void **state) {
    struct rule_index index = {0};
    struct found found = {0};
    const char *const filters[] = {"d/1/t", "d/+/t", "d/2/t", "d/1", "d/1/t/x", "#", "d/1/t/#"};
    for (size_t i = 0; i < COUNT_OF(filters); i++)
        rule_index_add(&index, str_of(filters[i]), i);
    rule_index_find(&index, STR("d/1/t"), on_found, &found);
    const unsigned wanted[] = {1, 1, 0, 0, 0, 1, 0};
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        assert_int_equal(found.times[i], wanted[i]);
    rule_index_done(&index);
}

static void a_filter_may_be_deep(void **state) {
    struct rule_index index = {0};
    struct found found = {0};
    struct buf filter = {0};
    for (int i = 0; i < 30000; i++)
        buf_add(&filter, "+/", 2);
    rule_index_add(&index, buf_str(&filter), 0);
    rule_index_find(&index, buf_str(&filter), on_found, &found);
    assert_int_equal(found.times[0], 1);
    rule_index_done(&index);
    buf_done(&filter);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_misses_nothing),
        cmocka_unit_test(what_cannot_match_is_not_told),
        cmocka_unit_test(a_filter_may_be_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
