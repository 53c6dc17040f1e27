#include "rule/sql_test.h"

#define V1 RULE_VERSION_2015_10_08
#define V2 RULE_VERSION_2016_03_23

static void what_cannot_be_evaluated_is_refused(void **state) {
    static const struct refusal cases[] = {
        {"SELECT 1E1000 AS x FROM 't'",
         "1:8: this number is beyond the range of the dialect, 1E-999 to 9.99E999", ERR_INVALID},
        {"SELECT -1E-1000 AS x FROM 't'",
         "1:9: this number is beyond the range of the dialect, 1E-999 to 9.99E999", ERR_INVALID},
        {"SELECT a + 1 FROM 't'", "1:10: this needs a name: AS name", ERR_INVALID},
        {"SELECT 5 FROM 't'", "1:8: this needs a name: AS name", ERR_INVALID},
        {"SELECT *, * FROM 't'", "1:11: * stands here twice", ERR_INVALID},
        {"SELECT @x AS x FROM 't'", "1:8: no SET gives @x a value before this", ERR_INVALID},
        {"SET @a = @b, @b = 1 SELECT @a AS x FROM 't'", "1:10: no SET gives @b a value before this",
         ERR_INVALID},
        {"SET @a = 1, @a = 2 SELECT @a AS x FROM 't'", "1:13: @a has a value already", ERR_INVALID},
        {"SELECT cast(a AS Date) AS x FROM 't'", "1:8: there is no type Date to cast to",
         ERR_INVALID},
        {"SELECT * FROM 'a/#/b'", "1:15: 'a/#/b' is no topic filter", ERR_INVALID},
        {"SELECT * FROM a/b+", "1:15: 'a/b+' is no topic filter", ERR_INVALID},
        {"SELECT (SELECT a FROM topic()) AS x FROM 't'",
         "1:23: a nested query runs over a field or a variable", ERR_INVALID},
    };
    check_refusals(V2, cases, COUNT_OF(cases));
}

static void the_old_version_lacks_what_came_later(void **state) {
    static const struct refusal cases[] = {
        {"SELECT [1] AS a FROM 't'", "1:8: an array literal needs sql_version 2016-03-23",
         ERR_INVALID},
        {"SELECT {'a':1} AS a FROM 't'", "1:8: an object literal needs sql_version 2016-03-23",
         ERR_INVALID},
        {"SELECT (SELECT a FROM b) AS a FROM 't'",
         "1:8: a nested query needs sql_version 2016-03-23", ERR_INVALID},
        {"SELECT a FROM 't' WHERE EXISTS (SELECT a FROM b)",
         "1:32: a nested query needs sql_version 2016-03-23", ERR_INVALID},
        {"SET @a = 1 SELECT a FROM 't'", "1:5: SET needs sql_version 2016-03-23", ERR_INVALID},
        {"SELECT cast(a AS Decimal) AS x FROM 't'",
         "1:8: this type in CAST needs sql_version 2016-03-23", ERR_INVALID},
    };
    check_refusals(V1, cases, COUNT_OF(cases));
}

static void a_lone_star_needs_no_evaluation(void **state) {
    struct sql_run run;
    assert_int_equal(sql_run_init(&run, V1, "SELECT * FROM 't'", test_message(STR("{}"))), 0);
    assert_true(run.plan->select.star_alone);
    assert_str(run.plan->filter, "t");
    sql_run_done(&run);
    assert_int_equal(sql_run_init(&run, V1, "SELECT *, a FROM 't'", test_message(STR("{}"))), 0);
    assert_false(run.plan->select.star_alone);
    sql_run_done(&run);
}

static void a_wrong_number_of_arguments_is_no_error(void **state) {
    static const struct sql_case cases[] = {
        {"{}", "SELECT topic(1,2) AS t, 1 AS one FROM 't'", "{\"one\":1}"}};
    check_sql(V1, cases, COUNT_OF(cases));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_evaluated_is_refused),
        cmocka_unit_test(the_old_version_lacks_what_came_later),
        cmocka_unit_test(a_lone_star_needs_no_evaluation),
        cmocka_unit_test(a_wrong_number_of_arguments_is_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
