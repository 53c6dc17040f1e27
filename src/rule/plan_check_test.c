#include "rule/sql_test.h"

#define V1 RULE_VERSION_2015_10_08
#define V2 RULE_VERSION_2016_03_23

static void what_cannot_be_called_is_refused(void **state) {
    static const struct refusal cases[] = {
        {"SELECT nosuch(1) AS x FROM 't'", "1:8: there is no function nosuch()", ERR_INVALID},
        {"SELECT newuid() AS x FROM 't'",
         "1:8: there is no function newuid(); did you mean newuuid()?", ERR_INVALID},
        {"SELECT get_registry_data('ListThingGroupsForThing', 'a', 'role') AS r FROM 't'",
         "1:26: get_registry_data() knows 'DescribeThing' only, not 'ListThingGroupsForThing'",
         ERR_UNSUPPORTED},
        {"SELECT get_registry_data(api, 'a', 'role') AS r FROM 't'",
         "1:26: the API of get_registry_data() must be a string that stands here", ERR_INVALID},
        {"SELECT get_dynamodb('t', 'k', 'v', 'role') AS r FROM 't'",
         "1:8: get_dynamodb() is not available yet: it needs calls to DynamoDB", ERR_UNSUPPORTED},
        {"SELECT machinelearning_predict('m', 'role', *) AS r FROM 't'",
         "1:8: machinelearning_predict() is not available yet: it needs calls to a machine "
         "learning "
         "service",
         ERR_UNSUPPORTED},
        {"SELECT\n aws_lambda(5, *) AS x FROM 't'",
         "2:13: the function of aws_lambda() must be its ARN or its name", ERR_INVALID},
        {"SELECT aws_lambda('arn:aws:lambda:r:a:function:', *) AS x FROM 't'",
         "1:19: the function of aws_lambda() must be its ARN or its name", ERR_INVALID},
        {"SELECT aws_lambda(*, *) AS x FROM 't'",
         "1:19: the function of aws_lambda() must be its ARN or its name", ERR_INVALID},
        {"SET @m = 'enrichArray' SELECT transform(@m, a, b) AS x FROM 't'",
         "1:41: the mode of transform() cannot be a variable", ERR_INVALID},
        {"SELECT decode(*, 'proto', 'b') AS x FROM 't'",
         "1:18: decode() knows the scheme 'base64' only, not 'proto'", ERR_UNSUPPORTED},
        {"SELECT encode(a, b) AS x FROM 't'",
         "1:18: the scheme of encode() must be a string that stands here", ERR_INVALID},
    };
    check_refusals(V2, cases, COUNT_OF(cases));
}

static void the_old_version_lacks_functions(void **state) {
    static const struct refusal cases[] = {
        {"SELECT encode(*, 'base64') AS x FROM 't'", "1:8: encode() needs sql_version 2016-03-23",
         ERR_INVALID},
        {"SELECT isUndefined(a) AS x FROM 't'", "1:8: isundefined() needs sql_version 2016-03-23",
         ERR_INVALID},
    };
    check_refusals(V1, cases, COUNT_OF(cases));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_called_is_refused),
        cmocka_unit_test(the_old_version_lacks_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
