#include "base/test.h"

#include "rule/function.h"

static void names_are_found_in_any_case(void **state) {
    assert_non_null(rule_function_find(STR("NEWUUID")));
    assert_ptr_equal(rule_function_find(STR("isNull")), rule_function_find(STR("ISNULL")));
    assert_null(rule_function_find(STR("newuui")));
    assert_string_equal(rule_function_nearest(STR("newuui")), "newuuid");
    assert_null(rule_function_nearest(STR("something_else_entirely")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
