#include "function/environment_state.h"

#include "base/test.h"

enum { NO = -1 };

/* The whole table, written a second time in another form: rows are states, columns moves. */
static const int expected[ENVIRONMENT_STATES][ENVIRONMENT_MOVES] = {
    /* start, next, next lost, give, response, error, init error, kill, exit */
    [ENVIRONMENT_DOWN] = {ENVIRONMENT_INIT, NO, NO, NO, NO, NO, NO, NO, NO},
    [ENVIRONMENT_INIT] = {NO, ENVIRONMENT_WAITING, NO, NO, NO, NO, ENVIRONMENT_FAILED,
                          ENVIRONMENT_ENDING, ENVIRONMENT_DOWN},
    [ENVIRONMENT_WAITING] = {NO, ENVIRONMENT_WAITING, ENVIRONMENT_BETWEEN, ENVIRONMENT_BUSY, NO, NO,
                             NO, ENVIRONMENT_ENDING, ENVIRONMENT_DOWN},
    [ENVIRONMENT_BUSY] = {NO, ENVIRONMENT_BUSY, NO, NO, ENVIRONMENT_BETWEEN, ENVIRONMENT_BETWEEN,
                          NO, ENVIRONMENT_ENDING, ENVIRONMENT_DOWN},
    [ENVIRONMENT_BETWEEN] = {NO, ENVIRONMENT_WAITING, NO, NO, NO, NO, NO, ENVIRONMENT_ENDING,
                             ENVIRONMENT_DOWN},
    [ENVIRONMENT_FAILED] = {NO, NO, NO, NO, NO, NO, NO, ENVIRONMENT_ENDING, ENVIRONMENT_DOWN},
    [ENVIRONMENT_ENDING] = {NO, NO, NO, NO, NO, NO, NO, ENVIRONMENT_ENDING, ENVIRONMENT_DOWN},
};

static void each_move_leads_where_it_should(void **state) {
    for (int from = 0; from < ENVIRONMENT_STATES; from++) {
        for (int move = 0; move < ENVIRONMENT_MOVES; move++) {
            enum function_environment_state to = ENVIRONMENT_STATES;
            bool allowed = function_environment_state_after(
                (enum function_environment_state)from, (enum function_environment_move)move, &to);
            assert_int_equal(allowed, expected[from][move] != NO);
            assert_int_equal(to, allowed ? expected[from][move] : ENVIRONMENT_STATES);
        }
    }
}

static void a_process_can_always_be_killed_and_may_always_exit(void **state) {
    for (int from = ENVIRONMENT_DOWN + 1; from < ENVIRONMENT_STATES; from++) {
        enum function_environment_state to;
        assert_true(function_environment_state_after((enum function_environment_state)from,
                                                     MOVE_KILL, &to));
        assert_true(function_environment_state_after((enum function_environment_state)from,
                                                     MOVE_EXIT, &to));
    }
}

static void all_have_names(void **state) {
    for (int i = 0; i < ENVIRONMENT_STATES; i++)
        assert_non_null(function_environment_state_name((enum function_environment_state)i));
    for (int i = 0; i < ENVIRONMENT_MOVES; i++)
        assert_non_null(function_environment_move_name((enum function_environment_move)i));
    assert_string_equal(function_environment_state_name(ENVIRONMENT_BETWEEN), "Between");
    assert_string_equal(function_environment_move_name(MOVE_EXIT), "Exit");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_move_leads_where_it_should),
        cmocka_unit_test(a_process_can_always_be_killed_and_may_always_exit),
        cmocka_unit_test(all_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
