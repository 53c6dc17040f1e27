#include "flow/arn.h"

#include "base/test.h"

#include "base/mem.h"

static void names_of_functions(void **state) {
    static const struct {
        const char *arn, *name;
    } cases[] = {
        {"f", "f"},
        {"f:live", "f"},
        {"arn:aws:lambda:us-east-1:000000000000:function:f", "f"},
        {"arn:aws:lambda:us-east-1:000000000000:function:f-1_a:7", "f-1_a"},
        {"000000000000:function:f", "f"},
        {"arn:aws:lambda:us-east-1:000000000000:function:", ""},
        {"", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_str(arn_function_name(str_of(cases[i].arn)), cases[i].name);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_of_functions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
