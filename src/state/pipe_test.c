#include "base/test.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/file.h"
#include "state/state.h"

/* A pipe to a real Redis: the private one of a state. */

enum { TEST_SECONDS_MAX = 60, OUTCOMES_MAX = 8 };

struct fixture {
    struct loop *loop;
    char root[32];
    struct state *state;
    struct state_pipe *pipe;
    struct timer poll;
    unsigned ups, downs, count;
    struct outcome {
        enum state_outcome outcome;
        char text[64];
    } outcomes[OUTCOMES_MAX];
    unsigned closed;
};

static void on_up(void *data) {
    ((struct fixture *)data)->ups++;
}

static void on_down(void *data, const char *why) {
    ((struct fixture *)data)->downs++;
}

static const struct state_pipe_events events = {on_up, on_down};

static void on_outcome(void *data, enum state_outcome outcome, struct str text) {
    struct fixture *fixture = data;
    struct outcome *next = &fixture->outcomes[fixture->count++];
    next->outcome = outcome;
    snprintf(next->text, sizeof next->text, "%.*s", STR_ARG(text));
}

static void on_closed(void *data) {
    ((struct fixture *)data)->closed++;
}

static void on_poll(struct timer *timer) {}

static int begin(void **state) {
    struct fixture *fixture = *state = xcalloc(1, sizeof *fixture);
    const struct state_config config = {0};
    struct err err;
    alarm(TEST_SECONDS_MAX);
    strcpy(fixture->root, "/tmp/weir-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->root));
    fixture->loop = loop_new();
    assert_int_equal(state_open(fixture->loop, &config, fixture->root, &fixture->state, &err), 0);
    assert_int_equal(state_pipe_open(fixture->loop, state_url(fixture->state), &events, fixture,
                                     &fixture->pipe, &err),
                     0);
    assert_int_equal(fixture->ups + fixture->downs, 0);
    timer_start(fixture->loop, &fixture->poll, 0, 2, on_poll);
    return 0;
}

static void turn(struct fixture *fixture) {
    uv_run(loop_uv(fixture->loop), UV_RUN_ONCE);
}

static int end(void **state) {
    struct fixture *fixture = *state;
    unsigned waited = fixture->closed + 1;
    state_close(fixture->state, on_closed, fixture);
    while (fixture->closed < waited)
        turn(fixture);
    timer_close(&fixture->poll, NULL);
    loop_free(fixture->loop);
    file_remove_tree(fixture->root, NULL);
    free(fixture);
    return 0;
}

static bool say(struct fixture *fixture, const char *first, const char *second, struct str third) {
    struct str words[] = {str_of(first), str_of(second), third};
    return state_pipe_send(fixture->pipe, words, third.at ? 3 : 2, on_outcome, fixture);
}

static void close_pipe(struct fixture *fixture) {
    state_pipe_close(fixture->pipe, on_closed, fixture);
    assert_int_equal(fixture->closed, 0);
    while (!fixture->closed)
        turn(fixture);
}

static void commands_are_answered_in_order(void **state) {
    struct fixture *fixture = *state;
    while (!fixture->ups)
        turn(fixture);
    assert_true(say(fixture, "SET", "a", str_from("b\0c", 3)));
    assert_true(say(fixture, "LPUSH", "a", STR("x")));
    assert_true(say(fixture, "STRLEN", "a", (struct str){0}));
    assert_int_equal(fixture->count, 0);
    while (fixture->count < 3)
        turn(fixture);
    assert_int_equal(fixture->outcomes[0].outcome, STATE_ANSWERED);
    assert_int_equal(fixture->outcomes[1].outcome, STATE_ERROR);
    assert_true(str_starts(str_of(fixture->outcomes[1].text), STR("WRONGTYPE ")));
    assert_int_equal(fixture->outcomes[2].outcome, STATE_ANSWERED);
    close_pipe(fixture);
}

static void a_lost_connection_is_told_and_comes_back(void **state) {
    struct fixture *fixture = *state;
    assert_false(say(fixture, "PING", "x", (struct str){0}));
    while (!fixture->ups)
        turn(fixture);
    assert_true(say(fixture, "DEBUG", "SLEEP", STR("0")));
    struct str quit = STR("QUIT");
    assert_true(state_pipe_send(fixture->pipe, &quit, 1, on_outcome, fixture));
    assert_true(say(fixture, "PING", "late", (struct str){0}));
    while (fixture->count < 3 || fixture->ups < 2)
        turn(fixture);
    assert_int_equal(fixture->outcomes[2].outcome, STATE_LOST);
    assert_true(fixture->downs >= 1);
    close_pipe(fixture);
}

static void closing_drops_what_is_under_way(void **state) {
    struct fixture *fixture = *state;
    while (!fixture->ups)
        turn(fixture);
    assert_true(say(fixture, "PING", "x", (struct str){0}));
    close_pipe(fixture);
    assert_int_equal(fixture->count, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(commands_are_answered_in_order, begin, end),
        cmocka_unit_test_setup_teardown(a_lost_connection_is_told_and_comes_back, begin, end),
        cmocka_unit_test_setup_teardown(closing_drops_what_is_under_way, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
