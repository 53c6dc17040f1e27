#include "base/test.h"

#include "flow/topic.h"

static const struct {
    const char *filter, *topic;
    bool matches;
} cases[] = {
    {"a", "a", true},
    {"a", "b", false},
    {"a/b", "a", false},
    {"a", "a/b", false},
    {"+", "a", true},
    {"+", "a/b", false},
    {"a/+", "a/b", true},
    {"a/+", "a", false},
    {"a/+", "a/", true},
    {"+/+", "/a", true},
    {"/+", "/a", true},
    {"+", "/a", false},
    {"#", "a/b/c", true},
    {"#", "/", true},
    {"a/#", "a", true},
    {"a/#", "a/b/c", true},
    {"a/#", "b", false},
    {"a/+/#", "a", false},
    {"a/+/#", "a/b", true},
    {"a/+/c", "a/b/c", true},
    {"a/+/c", "a/b/d", false},
    {"#", "$SYS/x", false},
    {"+/x", "$SYS/x", false},
    {"$SYS/#", "$SYS/x", true},
    {"$SYS/+", "$SYS/x", true},
    {"a//b", "a//b", true},
    {"a/+/b", "a//b", true},
    {"a/b/", "a/b", false},
    {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
};

static void filters_match_as_the_specification_says(void **state) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(topic_filter_valid(str_of(cases[i].filter)));
        assert_true(topic_name_valid(str_of(cases[i].topic)));
        if (topic_matches(str_of(cases[i].filter), str_of(cases[i].topic)) != cases[i].matches)
            fail_msg("%s and %s", cases[i].filter, cases[i].topic);
    }
}

static void wildcards_stand_alone_in_their_level(void **state) {
    static const char *const bad[] = {"",     "a#",   "a/#b", "#/a",   "a+",
                                      "+a/b", "a/+b", "##",   "a/#/c", "\xff"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (topic_filter_valid(str_of(bad[i])))
            fail_msg("%s", bad[i]);
    assert_false(topic_filter_valid(str_from("a\0b", 3)));
    assert_false(topic_name_valid(STR("a/+")));
    assert_false(topic_name_valid(STR("#")));
    assert_false(topic_name_valid(STR("")));
}

static void shared_subscriptions_have_a_name_and_a_filter(void **state) {
    struct str name, filter;
    assert_true(topic_share_parse(STR("$share/g/a/+"), &name, &filter));
    assert_str(name, "g");
    assert_str(filter, "a/+");
    assert_false(topic_share_parse(STR("$share/g"), &name, &filter));
    assert_false(topic_share_parse(STR("$share//a"), &name, &filter));
    assert_false(topic_share_parse(STR("$share/g+/a"), &name, &filter));
    assert_false(topic_share_parse(STR("$share/g/a#"), &name, &filter));
    assert_false(topic_share_parse(STR("a/b"), &name, &filter));
}

static void levels_count_from_one(void **state) {
    struct str level;
    assert_true(topic_level(STR("a/b/c"), 1, &level));
    assert_str(level, "a");
    assert_true(topic_level(STR("a/b/c"), 3, &level));
    assert_str(level, "c");
    assert_false(topic_level(STR("a/b/c"), 4, &level));
    assert_false(topic_level(STR("a/b/c"), 0, &level));
    assert_true(topic_level(STR("/a"), 1, &level));
    assert_str(level, "");
    assert_true(topic_level(STR("a/"), 2, &level));
    assert_str(level, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_match_as_the_specification_says),
        cmocka_unit_test(wildcards_stand_alone_in_their_level),
        cmocka_unit_test(shared_subscriptions_have_a_name_and_a_filter),
        cmocka_unit_test(levels_count_from_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
