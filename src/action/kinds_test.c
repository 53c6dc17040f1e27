/* What must hold for every kind, so that a new one forgets none of it. */
#include "action/target_rig_test.h"

#include "action/kinds.h"

static const struct option *find(const struct action_kind *kind, const char *key) {
    for (const struct option *option = kind->options; option->key; option++)
        if (strcmp(option->key, key) == 0)
            return option;
    return NULL;
}

static void names_are_told_apart(void **state) {
    for (size_t i = 0; action_kinds[i]; i++) {
        assert_non_null(action_kinds[i]->failed_action);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(action_kinds[i]->name, action_kinds[j]->name);
    }
}

static void each_takes_what_all_actions_take(void **state) {
    static const char *const common[] = {"role_arn", "role", "maximum_retry_attempts",
                                         "maximum_record_age", "backlog_size"};
    for (size_t i = 0; action_kinds[i]; i++)
        for (size_t j = 0; j < COUNT_OF(common); j++)
            if (!find(action_kinds[i], common[j]))
                fail_msg("%s: no %s", action_kinds[i]->name, common[j]);
}

/* A role that nobody looks up would forbid nothing. */
static void the_role_that_is_named_is_the_one_that_is_looked_up(void **state) {
    for (size_t i = 0; action_kinds[i]; i++) {
        const struct option *role = find(action_kinds[i], "role_arn");
        assert_non_null(role);
        if (role->offset != action_kinds[i]->role_offset)
            fail_msg("%s: its role is not looked up", action_kinds[i]->name);
        assert_int_equal(find(action_kinds[i], "role")->offset, role->offset);
    }
}

static void each_has_bounds_and_can_be_opened(void **state) {
    for (size_t i = 0; action_kinds[i]; i++) {
        const struct action_target_kind *kind =
            CONTAINER_OF(action_kinds[i], struct action_target_kind, kind);
        assert_true(kind->batch_items_max > 0);
        assert_true(kind->batch_bytes_max > 0);
        assert_non_null(kind->open);
        assert_non_null(kind->kind.templates);
        assert_true(kind->kind.settings_size >= sizeof(struct action_settings));
        assert_true(!kind->kind.permission == !kind->kind.arn);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_told_apart),
        cmocka_unit_test(each_takes_what_all_actions_take),
        cmocka_unit_test(the_role_that_is_named_is_the_one_that_is_looked_up),
        cmocka_unit_test(each_has_bounds_and_can_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
