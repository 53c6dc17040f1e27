#include "base/test.h"

#include <stdio.h>

#include "base/mem.h"
#include "mqtt/password_cache.h"

static struct password_tag tag_of(const struct password_cache *cache, const char *user,
                                  const char *secret, const char *password) {
    return password_cache_tag(cache, str_of(user), str_of(secret), str_of(password));
}

static void what_was_added_is_known_and_nothing_else(void **state) {
    struct password_cache cache;
    password_cache_init(&cache, 1000);
    assert_int_equal(cache.slot_count, 1024);
    struct password_tag tag = tag_of(&cache, "joe", "$hash", "secret");
    assert_false(password_cache_has(&cache, &tag));
    password_cache_add(&cache, &tag);
    assert_true(password_cache_has(&cache, &tag));
    static const char *const others[][3] = {{"joe", "$hash", "Secret"}, {"joe", "$other", "secret"},
                                            {"jo", "e$hash", "secret"}, {"joe$", "hash", "secret"},
                                            {"joe", "$hashs", "ecret"}, {"", "", ""}};
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        struct password_tag other = tag_of(&cache, others[i][0], others[i][1], others[i][2]);
        assert_false(password_cache_has(&cache, &other));
    }
    password_cache_clear(&cache);
    assert_false(password_cache_has(&cache, &tag));
    password_cache_done(&cache);
}

static void tags_of_another_process_mean_nothing(void **state) {
    struct password_cache one, other;
    password_cache_init(&one, 1);
    password_cache_init(&other, 1);
    struct password_tag a = tag_of(&one, "joe", "$hash", "secret");
    struct password_tag b = tag_of(&other, "joe", "$hash", "secret");
    assert_memory_not_equal(&a, &b, sizeof a);
    password_cache_done(&one);
    password_cache_done(&other);
}

static void it_stays_as_small_as_it_was_made(void **state) {
    struct password_cache cache;
    password_cache_init(&cache, 4);
    unsigned kept = 0;
    struct password_tag tags[100];
    for (unsigned i = 0; i < 100; i++) {
        char name[8];
        snprintf(name, sizeof name, "%u", i);
        tags[i] = tag_of(&cache, name, "", "");
        password_cache_add(&cache, &tags[i]);
        assert_true(password_cache_has(&cache, &tags[i]));
    }
    for (unsigned i = 0; i < 100; i++)
        kept += password_cache_has(&cache, &tags[i]);
    assert_in_range(kept, 1, 4);
    password_cache_done(&cache);
    password_cache_init(&cache, 0);
    password_cache_add(&cache, &tags[0]);
    assert_false(password_cache_has(&cache, &tags[0]));
    password_cache_done(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_added_is_known_and_nothing_else),
        cmocka_unit_test(tags_of_another_process_mean_nothing),
        cmocka_unit_test(it_stays_as_small_as_it_was_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
