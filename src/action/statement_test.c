#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "action/cursor.h"
#include "action/kinds.h"
#include "action/log_rig_test.h"
#include "action/runner.h"
#include "base/log.h"
#include "base/mem.h"

/* The log of a rule with a real runner, and in the place of rules, functions and the gate what a
 * test says. A message's text is its functions, one letter each, which are called one after the
 * other. */

enum { SECONDS_MAX = 60, CALLS_MAX = 64, LINES_MAX = 64 };

struct fake_call {
    char function;
    action_begun_cb *begun;
    action_invoked_cb *done; /* NULL: answered */
    void *data;
};

/* As struct rule_calls: how many were answered, and with what. */
struct answers {
    char text[16];
    char asked[2];
};

static struct world {
    struct log_rig rig;
    struct action_services services;
    struct action_settings settings;
    struct conf conf;
    struct action_spec spec;
    struct action_runner *runner;

    struct sink_gate gate;
    uint64_t ticket;
    bool is_full;

    struct fake_call calls[CALLS_MAX];
    unsigned call_count, open_calls, invocations;
    int invoke_result;
    bool is_busy;            /* no process has time for a call */
    char ran[LINES_MAX][32]; /* message and answers, in the order in which actions ran */
    unsigned ran_count;
    bool asks_more; /* the rule is another, which calls one function more */
    int run_result;
    unsigned failed;
} * world;

static void turn(void) {
    log_rig_turn(&world->rig);
}

#define UNTIL(condition)                                                                           \
    while (!(condition))                                                                           \
    turn()

static void turns(int count) {
    while (count--)
        turn();
}

/* ---- what the statement needs ---- */

static bool has_room(struct sink_gate *gate) {
    return !world->is_full;
}

static uint64_t present_ticket(struct sink_gate *gate) {
    return world->ticket;
}

static void commit_ticket(uint64_t ticket, int status) {
    LIST_EACH(link, &world->gate.listeners) {
        struct sink_gate_listener *listener = LIST_ITEM(link, struct sink_gate_listener, link);
        listener->on_commit(listener, ticket, status);
    }
}

static void commit(int status) {
    commit_ticket(world->ticket++, status);
}

static void *open_answers(void) {
    world->open_calls++;
    return xcalloc(1, sizeof(struct answers));
}

static void close_answers(void *answers) {
    world->open_calls--;
    free(answers);
}

static bool ask(void *data, const struct action_spec *spec, const struct action_record *record,
                void *calls, struct str *ret_function, struct str *ret_input) {
    struct answers *answers = calls;
    size_t count = strlen(answers->text);
    assert_ptr_equal(spec, &world->spec);
    if (count == record->payload.len + world->asks_more)
        return false;
    answers->asked[0] = count < record->payload.len ? record->payload.at[count] : 'z';
    *ret_function = str_of(answers->asked);
    *ret_input = STR("1");
    return true;
}

static void answer(void *calls, bool ok, struct str text) {
    struct answers *answers = calls;
    strcat(answers->text, ok ? "y" : str_starts(text, STR("it has not answered")) ? "t" : "n");
}

static int run(void *data, const struct action_spec *spec, const struct action_record *record,
               void *calls) {
    const struct answers *answers = calls;
    snprintf(world->ran[world->ran_count++], sizeof world->ran[0], "%.*s %s",
             STR_ARG(record->payload), answers->text);
    return world->run_result;
}

static const struct action_statements statements = {
    .open = open_answers, .close = close_answers, .ask = ask, .answer = answer, .run = run};

static int invoke(void *data, struct str function, struct str event, action_begun_cb *begun,
                  action_invoked_cb *done, void *done_data) {
    world->invocations++;
    if (world->invoke_result)
        return world->invoke_result;
    world->calls[world->call_count++] = (struct fake_call){function.at[0], begun, done, done_data};
    if (!world->is_busy)
        begun(done_data);
    return 0;
}

static int fail_item(void *data, const struct action_failure *failure) {
    assert_string_equal(failure->failed_action, "aws_lambda");
    world->failed++;
    return MESSAGE_TAKEN;
}

static void respond(unsigned i, bool ok) {
    struct fake_call call = world->calls[i];
    assert_non_null(call.done);
    world->calls[i].done = NULL;
    call.done(call.data, ok, STR("text"));
}

/* ---- the world ---- */

static void keep(void *owner) {}

static void open_log(void) {
    struct err err;
    log_rig_open(&world->rig);
    world->services = (struct action_services){.log = world->rig.log,
                                               .facts = world->rig.facts,
                                               .gate = &world->gate,
                                               .fail = fail_item,
                                               .invoke = invoke,
                                               .statements = &statements};
    struct action_runner_config config = {.loop = world->rig.loop,
                                          .services = &world->services,
                                          .checkpoints = world->rig.checkpoints,
                                          .stream = world->rig.stream};
    assert_int_equal(action_runner_open(&config, &world->spec, &world->runner, &err), 0);
}

static int begin(void **state) {
    alarm(SECONDS_MAX);
    world = xcalloc(1, sizeof *world);
    log_rig_begin(&world->rig, "r-0-statement");
    world->gate = (struct sink_gate){.has_room = has_room, .ticket = present_ticket};
    list_init(&world->gate.listeners);
    world->run_result = MESSAGE_STAGED;
    world->settings = (struct action_settings){.retry_attempts_max = -1};
    world->conf = (struct conf){.type = CONF_SCALAR, .text = ""};
    world->spec = (struct action_spec){.kind = &action_statement.kind,
                                       .settings = &world->settings,
                                       .conf = &world->conf,
                                       .log = "r-0-statement",
                                       .rule = STR("r"),
                                       .ref = keep,
                                       .unref = keep};
    open_log();
    return 0;
}

static void close_runner(unsigned grace_ms, bool *ret_closed) {
    *ret_closed = false;
    action_runner_close(world->runner, grace_ms, log_rig_set_flag, ret_closed);
}

/* Behind close_runner(). */
static void end_log(const bool *closed) {
    UNTIL(*closed);
    log_rig_close_checkpoints(&world->rig);
    action_runner_free(world->runner);
    /* What the functions answer now finds nobody. */
    for (unsigned i = 0; i < world->call_count; i++) {
        if (!world->calls[i].done)
            continue;
        if (world->is_busy)
            world->calls[i].begun(world->calls[i].data);
        respond(i, true);
    }
    assert_int_equal(world->open_calls, 0);
    log_rig_close(&world->rig);
}

static void close_log(void) {
    bool closed;
    close_runner(0, &closed);
    end_log(&closed);
}

static int end(void **state) {
    close_log();
    log_rig_end(&world->rig);
    free(world);
    return 0;
}

static void restart(void) {
    close_log();
    world->call_count = world->ran_count = 0;
    open_log();
}

static void push(const char *text) {
    struct buf bytes = {0};
    struct action_record action = {
        .payload = str_of(text), .topic = STR("t"), .original = str_of(text), .has_original = true};
    action_record_write(&bytes, &action);
    log_rig_push(&world->rig, buf_str(&bytes));
    buf_done(&bytes);
}

static uint64_t delivered(void) {
    uint64_t counter = 0;
    stream_checkpoint_get(world->rig.facts, world->rig.stream, 0, action_consumer, &counter);
    return counter;
}

/* ---- tests ---- */

static void one_answer_after_the_other_and_then_the_actions(void **state) {
    push("ab");
    UNTIL(world->call_count == 1);
    turns(10);
    assert_int_equal(world->ran_count, 0);
    respond(0, true);
    assert_int_equal(world->call_count, 2);
    assert_int_equal(world->calls[1].function, 'b');
    respond(1, false);
    assert_string_equal(world->ran[0], "ab yn");
    turns(50); /* the cursor waits for the disk */
    assert_int_equal(delivered(), 0);
    commit(0);
    UNTIL(delivered() == 1);
    assert_int_equal(world->ran_count, 1);
}

static void side_by_side_but_actions_in_order(void **state) {
    push("a");
    push("b");
    push("");
    push("c");
    UNTIL(world->call_count == 3);
    respond(2, true);
    respond(1, true);
    turns(10);
    assert_int_equal(world->ran_count, 0);
    respond(0, true);
    assert_int_equal(world->ran_count, 4);
    static const char *const order[] = {"a y", "b y", " ", "c y"};
    for (unsigned i = 0; i < COUNT_OF(order); i++)
        assert_string_equal(world->ran[i], order[i]);
    commit(0);
    UNTIL(delivered() == 4);
}

static void so_many_are_in_flight_and_no_more(void **state) {
    for (int i = 0; i < 25; i++)
        push("a");
    UNTIL(world->call_count == 10);
    turns(50);
    assert_int_equal(world->call_count, 10);
    world->run_result = MESSAGE_TAKEN; /* the rule waits for nothing */
    for (unsigned i = 0; i < 25; i++) {
        UNTIL(world->call_count > i);
        respond(i, true);
    }
    UNTIL(delivered() == 25);
    assert_int_equal(world->ran_count, 25);
}

static void a_function_that_does_not_answer(void **state) {
    push("ab");
    UNTIL(world->call_count == 2); /* after two seconds */
    respond(0, true);              /* too late */
    respond(1, true);
    assert_string_equal(world->ran[0], "ab ty");
    commit(0);
    UNTIL(delivered() == 1);
}

static void pass(uint64_t ms) {
    for (uint64_t until_ms = loop_now_ms(world->rig.loop) + ms;
         loop_now_ms(world->rig.loop) < until_ms;)
        turn();
}

static void a_rule_that_changes_meanwhile_is_asked_what_it_needs(void **state) {
    push("a");
    push("b");
    UNTIL(world->call_count == 2);
    respond(1, true); /* nothing is missing, but the other goes first */
    world->asks_more = true;
    respond(0, true);
    assert_int_equal(world->call_count, 3);
    respond(2, true);
    assert_string_equal(world->ran[0], "a yy");
    assert_int_equal(world->ran_count, 1);
    assert_int_equal(world->call_count, 4);
    respond(3, true);
    assert_string_equal(world->ran[1], "b yy");
}

static void to_wait_for_a_process_is_no_failure(void **state) {
    world->is_busy = true;
    push("a");
    push("b");
    UNTIL(world->call_count == 2);
    pass(2200);
    assert_int_equal(world->ran_count, 0);
    respond(0, true);
    assert_string_equal(world->ran[0], "a y");
    world->calls[1].begun(world->calls[1].data);
    UNTIL(world->ran_count == 2); /* after two seconds */
    assert_string_equal(world->ran[1], "b t");
}

/* Each call has its own two seconds. */
static void the_time_of_one_call_is_not_the_next_one_s(void **state) {
    push("ab");
    UNTIL(world->call_count == 1);
    world->is_busy = true;
    respond(0, true);
    assert_int_equal(world->call_count, 2);
    pass(2200);
    assert_int_equal(world->ran_count, 0);
    respond(1, true);
    assert_string_equal(world->ran[0], "ab yy");
}

static void processes_may_come_when_nobody_waits_any_more(void **state) {
    world->is_busy = true;
    push("a");
    push("b");
    UNTIL(world->call_count == 2);
    restart();
    UNTIL(world->call_count == 2);
    assert_int_equal(world->ran_count, 0);
}

static void a_function_with_too_much_to_do_is_waited_for(void **state) {
    world->invoke_result = ERR_FULL;
    push("a");
    push("b");
    UNTIL(world->open_calls == 2);
    pass(250);
    assert_int_equal(world->ran_count, 0);
    world->invoke_result = 0;
    UNTIL(world->call_count == 2);
    respond(0, true);
    respond(1, true);
    assert_string_equal(world->ran[0], "a y");
    assert_string_equal(world->ran[1], "b y");
    assert_int_equal(world->call_count, 2);
}

static void a_function_that_cannot_be_called(void **state) {
    world->invoke_result = ERR_NOT_FOUND;
    push("ab");
    UNTIL(world->ran_count == 1);
    assert_string_equal(world->ran[0], "ab nn");
    commit(0);
    UNTIL(delivered() == 1);
}

static void what_could_not_be_kept_comes_again_in_order(void **state) {
    world->run_result = ERR_NO_SPACE;
    push("a");
    push("b");
    UNTIL(world->call_count == 2);
    respond(1, true);
    respond(0, true);
    assert_int_equal(world->ran_count, 1);
    world->run_result = MESSAGE_STAGED;
    UNTIL(world->call_count == 4); /* from the evaluation on */
    respond(3, true);
    respond(2, true);
    assert_int_equal(world->ran_count, 3);
    assert_string_equal(world->ran[1], "a y");
    assert_string_equal(world->ran[2], "b y");
    commit(ERR_IO);
    UNTIL(world->call_count == 6);
    respond(4, true);
    respond(5, true);
    commit(0);
    UNTIL(delivered() == 2);
}

/* One turn's commit says nothing of what another turn pushed, nor of what has not run. */
static void each_waits_for_its_own_commit(void **state) {
    push("a");
    push("b");
    push("c");
    UNTIL(world->call_count == 3);
    respond(0, true);
    commit(0);
    respond(1, true);
    assert_string_equal(world->ran[1], "b y");
    uint64_t ticket = world->ticket++;
    respond(2, true);
    assert_string_equal(world->ran[2], "c y");
    commit_ticket(ticket, 0);
    commit(ERR_IO);
    UNTIL(world->call_count == 4);
    assert_int_equal(world->calls[3].function, 'c');
    respond(3, true);
    commit(0);
    UNTIL(delivered() == 3);
    assert_int_equal(world->ran_count, 4);
}

static void a_gate_without_room_is_waited_for(void **state) {
    world->is_full = true;
    push("");
    UNTIL(world->open_calls == 1);
    turns(20);
    assert_int_equal(world->ran_count, 0);
    world->is_full = false;
    LIST_EACH(link, &world->gate.listeners) {
        struct sink_gate_listener *listener = LIST_ITEM(link, struct sink_gate_listener, link);
        if (listener->on_room)
            listener->on_room(listener);
    }
    assert_int_equal(world->ran_count, 1);
}

static void a_rule_that_is_no_more_gives_up(void **state) {
    world->run_result = ERR_NOT_FOUND;
    push("");
    UNTIL(delivered() == 1);
    assert_int_equal(world->failed, 1);
}

static void while_weir_stops_nothing_fails(void **state) {
    world->invoke_result = ERR_CLOSED;
    push("a");
    push("b");
    UNTIL(world->invocations);
    turns(20);
    assert_int_equal(world->ran_count, 0);
    assert_int_equal(world->failed, 0);
    world->invoke_result = 0;
    restart();
    UNTIL(world->call_count == 2);
    turns(10);
    restart(); /* with calls under way, whose answers come later */
    UNTIL(world->call_count == 2);
    respond(0, true);
    respond(1, true);
    assert_int_equal(world->ran_count, 2);
    commit(0);
    UNTIL(delivered() == 2);
}

static void open_again(const bool *closed) {
    end_log(closed);
    world->call_count = world->ran_count = 0;
    world->invoke_result = 0;
    world->is_busy = false;
    open_log();
}

/* The call of the second is with nobody yet. It fails when functions stop, which is not its rule's
 * affair. */
static void a_stop_waits_for_the_calls_under_way_alone(void **state) {
    enum { GRACE_MS = 3600 * 1000 };
    bool closed;
    push("a");
    UNTIL(world->call_count == 1);
    respond(0, true);
    commit(0);
    UNTIL(delivered() == 1);
    push("b");
    UNTIL(world->call_count == 2);
    world->is_busy = true;
    push("c");
    push("d");
    turns(10);
    close_runner(GRACE_MS, &closed);
    world->invoke_result = ERR_CLOSED;
    respond(1, true);
    assert_int_equal(world->ran_count, 2);
    commit(0);
    open_again(&closed);
    assert_int_equal(delivered(), 2);

    UNTIL(world->call_count == 2); /* c and d, side by side */
    world->is_busy = true;
    push("ef");
    turns(10);
    close_runner(GRACE_MS, &closed);
    world->invoke_result = ERR_CLOSED;
    respond(1, true);
    turns(10);
    assert_false(closed);
    respond(0, true);
    assert_int_equal(world->ran_count, 2);
    commit(0);
    open_again(&closed);
    assert_int_equal(delivered(), 4);

    UNTIL(world->call_count == 1);
    close_runner(GRACE_MS, &closed);
    world->invoke_result = ERR_CLOSED;
    respond(0, true); /* The second function is not begun. */
    open_again(&closed);
    assert_int_equal(delivered(), 4);
    UNTIL(world->call_count == 1);
    respond(0, true);
    respond(1, true);
    assert_string_equal(world->ran[0], "ef yy");
    commit(0);
    UNTIL(delivered() == 5);
    assert_int_equal(world->failed, 0);
}

static void a_call_that_waited_when_functions_stopped_comes_again(void **state) {
    bool closed;
    world->is_busy = true;
    push("a");
    push("b");
    UNTIL(world->call_count);
    turns(10);
    close_runner(3600 * 1000, &closed);
    for (unsigned i = 0; i < world->call_count; i++)
        respond(i, false);
    open_again(&closed);
    assert_int_equal(world->ran_count, 0);
    UNTIL(world->call_count == 2);
    respond(0, true);
    respond(1, true);
    assert_int_equal(world->ran_count, 2);
    commit(0);
    UNTIL(delivered() == 2);
    assert_int_equal(world->failed, 0);
}

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(one_answer_after_the_other_and_then_the_actions),
        TEST(side_by_side_but_actions_in_order),
        TEST(so_many_are_in_flight_and_no_more),
        TEST(a_function_that_does_not_answer),
        TEST(a_rule_that_changes_meanwhile_is_asked_what_it_needs),
        TEST(to_wait_for_a_process_is_no_failure),
        TEST(the_time_of_one_call_is_not_the_next_one_s),
        TEST(processes_may_come_when_nobody_waits_any_more),
        TEST(a_function_with_too_much_to_do_is_waited_for),
        TEST(a_function_that_cannot_be_called),
        TEST(what_could_not_be_kept_comes_again_in_order),
        TEST(each_waits_for_its_own_commit),
        TEST(a_gate_without_room_is_waited_for),
        TEST(a_rule_that_is_no_more_gives_up),
        TEST(while_weir_stops_nothing_fails),
        TEST(a_stop_waits_for_the_calls_under_way_alone),
        TEST(a_call_that_waited_when_functions_stopped_comes_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
