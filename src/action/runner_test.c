#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "action/log_rig_test.h"
#include "action/runner.h"
#include "base/log.h"
#include "base/mem.h"

/* The log of an action, a runner's surroundings, and a kind whose target does what the test says. */

enum { TEST_SECONDS_MAX = 60, TAKEN_MAX = 256 };

struct fake_settings {
    struct action_settings common;
    const char *name;
};

static struct world {
    struct log_rig rig;
    struct action_services services;

    /* The target's script: what item N, by its payload, comes to; else `verdict`. */
    enum action_verdict verdict;
    int bad;         /* payload that comes to ACTION_FAILED, or -1 */
    int later;       /* payload that is retried `later_times` */
    int later_times; /* how often */
    bool is_silent;  /* nothing is settled */
    bool is_broken;  /* it cannot be opened */
    int taken[TAKEN_MAX];
    unsigned taken_count, sends, opened, closed_targets;
    const char *opened_name;

    /* The error action. */
    int fail_result;        /* also after ... */
    unsigned fail_refusals; /* ... so many refusals */
    int failed[TAKEN_MAX];
    unsigned failed_count;
    char why[256];

    struct fake_settings settings[2];
    struct conf confs[2];
    struct action_spec specs[2];
    unsigned references;
    struct action_runner *runner;
    bool drained, closed;
} * world;

static void turn(void) {
    log_rig_turn(&world->rig);
}

#define UNTIL(condition)                                                                           \
    while (!(condition))                                                                           \
    turn()

/* ---- the target ---- */

struct fake {
    struct action_target target;
};

static int number_of(const struct action_item *item) {
    char text[16];
    snprintf(text, sizeof text, "%.*s", STR_ARG(item->record.payload));
    return atoi(text);
}

static enum action_verdict judge(int number) {
    if (number == world->bad)
        return ACTION_FAILED;
    if (number == world->later && world->later_times > 0) {
        world->later_times--;
        return ACTION_RETRY;
    }
    return world->verdict;
}

static void fake_send(struct action_target *target, struct action_item *const *items,
                      size_t count) {
    world->sends++;
    for (size_t i = 0; !world->is_silent && i < count; i++) {
        int number = number_of(items[i]);
        enum action_verdict verdict = judge(number);
        if (verdict == ACTION_OK)
            world->taken[world->taken_count++] = number;
        action_item_settle(items[i], verdict, "because of %d", number);
    }
}

static void fake_close(struct action_target *target, void (*closed)(void *data), void *data) {
    world->closed_targets++;
    free(CONTAINER_OF(target, struct fake, target));
    closed(data);
}

static const struct action_target_ops ops = {fake_send, fake_close};

static int fake_open(struct loop *loop, const struct action_services *services,
                     const void *settings, struct action_target **ret_target, struct err *err) {
    if (world->is_broken)
        return err_set(err, ERR_INVALID, "broken");
    struct fake *fake = xcalloc(1, sizeof *fake);
    fake->target.ops = &ops;
    world->opened++;
    world->opened_name = ((const struct fake_settings *)settings)->name;
    *ret_target = &fake->target;
    return 0;
}

static const struct action_target_kind kind = {
    .kind = {.name = "fake", .failed_action = "FakeAction"},
    .batch_items_max = 10,
    .batch_bytes_max = 100000,
    .open = fake_open,
};

/* ---- the world ---- */

static int fail_item(void *data, const struct action_failure *failure) {
    assert_string_equal(failure->failed_action, "FakeAction");
    assert_str(failure->resource, "there");
    snprintf(world->why, sizeof world->why, "%.*s", STR_ARG(failure->why));
    if (world->fail_refusals) {
        world->fail_refusals--;
        return ERR_NO_SPACE;
    }
    char text[16];
    snprintf(text, sizeof text, "%.*s", STR_ARG(failure->record->payload));
    world->failed[world->failed_count++] = atoi(text);
    return world->fail_result;
}

static void ref_spec(void *owner) {
    world->references++;
}

static void unref_spec(void *owner) {
    world->references--;
}

static void open_log(void) {
    log_rig_open(&world->rig);
    world->services = (struct action_services){.log = world->rig.log,
                                               .facts = world->rig.facts,
                                               .gate = stream_writer_gate(world->rig.writer),
                                               .fail = fail_item};
}

static void make_spec(unsigned i, const char *name) {
    world->settings[i] = (struct fake_settings){
        .common = {.backlog_bytes_max = 1 << 20, .retry_attempts_max = -1}, .name = name};
    world->confs[i] = (struct conf){.type = CONF_SCALAR, .text = name};
    world->specs[i] = (struct action_spec){.kind = &kind.kind,
                                           .settings = &world->settings[i],
                                           .conf = &world->confs[i],
                                           .log = "r-1-fake",
                                           .rule = STR("r"),
                                           .has_error_action = true,
                                           .ref = ref_spec,
                                           .unref = unref_spec};
}

static int begin(void **state) {
    alarm(TEST_SECONDS_MAX);
    world = xcalloc(1, sizeof *world);
    log_rig_begin(&world->rig, "r-1-fake");
    world->bad = world->later = -1;
    make_spec(0, "one");
    make_spec(1, "two");
    open_log();
    return 0;
}

static void open_runner(void) {
    struct err err;
    struct action_runner_config config = {.loop = world->rig.loop,
                                          .services = &world->services,
                                          .checkpoints = world->rig.checkpoints,
                                          .stream = world->rig.stream,
                                          .drained = log_rig_set_flag,
                                          .data = &world->drained};
    assert_int_equal(action_runner_open(&config, &world->specs[0], &world->runner, &err), 0);
}

static void close_runner(unsigned grace_ms) {
    bool closed = false;
    action_runner_close(world->runner, grace_ms, log_rig_set_flag, &closed);
    assert_false(closed);
    UNTIL(closed);
    log_rig_close_checkpoints(&world->rig);
    action_runner_free(world->runner);
    world->runner = NULL;
    assert_int_equal(world->references, 0);
}

static int end(void **state) {
    close_runner(0);
    log_rig_close(&world->rig);
    log_rig_end(&world->rig);
    free(world);
    return 0;
}

static void restart(void) {
    close_runner(0);
    log_rig_close(&world->rig);
    open_log();
    open_runner();
}

static void push(int from, int to) {
    for (int i = from; i < to; i++) {
        struct buf params = {0}, bytes = {0};
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        action_param_write(&params, STR("where"), STR("there"));
        struct action_record action = {.params = {buf_str(&params), 1},
                                       .payload = str_of(text),
                                       .topic = STR("t"),
                                       .original = str_of(text),
                                       .has_original = true};
        action_record_write(&bytes, &action);
        log_rig_push(&world->rig, buf_str(&bytes));
        buf_done(&params);
        buf_done(&bytes);
    }
}

static void assert_taken(const int *expected, unsigned count) {
    assert_int_equal(world->taken_count, count);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(world->taken[i], expected ? expected[i] : (int)i);
}

/* ---- tests ---- */

static void everything_is_given_in_order_and_once(void **state) {
    open_runner();
    push(0, 35);
    UNTIL(world->taken_count == 35);
    assert_taken(NULL, 35);
    assert_true(world->sends >= 4); /* ten at a time */
    restart();
    push(35, 36);
    UNTIL(world->taken_count == 36);
    assert_taken(NULL, 36);
}

static void what_is_not_taken_is_given_again_alone(void **state) {
    static const int order[] = {0, 1, 3, 4, 2, 5};
    world->later = 2;
    world->later_times = 2;
    push(0, 5);
    open_runner();
    UNTIL(world->taken_count == 5);
    push(5, 6);
    UNTIL(world->taken_count == 6);
    assert_taken(order, 6);
    assert_int_equal(world->later_times, 0);
}

static void a_target_that_is_down_is_a_cursor_that_stands_still(void **state) {
    world->verdict = ACTION_POSTPONED;
    push(0, 25);
    open_runner();
    UNTIL(world->sends == 2);
    restart();
    world->verdict = ACTION_OK;
    UNTIL(world->taken_count == 25);
    assert_taken(NULL, 25);
    assert_int_equal(world->failed_count, 0);
}

static void a_target_that_cannot_be_opened_is_tried_again(void **state) {
    world->is_broken = true;
    push(0, 3);
    open_runner();
    for (int i = 0; i < 20; i++)
        turn();
    world->is_broken = false;
    UNTIL(world->taken_count == 3);
}

static void what_is_refused_goes_to_the_error_action(void **state) {
    world->bad = 1;
    push(0, 3);
    open_runner();
    UNTIL(world->taken_count == 2 && world->failed_count == 1);
    assert_int_equal(world->failed[0], 1);
    assert_string_equal(world->why, "because of 1");
    push(3, 4);
    UNTIL(world->taken_count == 3);
}

static void an_error_action_that_is_full_is_waited_for(void **state) {
    world->bad = 0;
    world->fail_refusals = 2;
    push(0, 2);
    open_runner();
    UNTIL(world->failed_count == 1);
    push(2, 3);
    UNTIL(world->taken_count == 2);
    assert_int_equal(world->failed_count, 1);
}

/* The error action's record is staged; the gate commits it with what the turn pushed. */
static void the_cursor_waits_for_the_error_action_s_commit(void **state) {
    world->bad = 0;
    world->fail_result = MESSAGE_STAGED;
    push(0, 1);
    open_runner();
    UNTIL(world->failed_count == 1);
    for (int i = 0; i < 50; i++)
        turn();
    assert_int_equal(world->failed_count, 1);
    restart(); /* nothing was committed under that ticket, so it comes again */
    UNTIL(world->failed_count == 2);
    push(1, 2); /* a commit */
    UNTIL(world->taken_count == 1);
}

static void bounds_of_retries(void **state) {
    world->settings[0].common.retry_attempts_max = 1;
    world->later = 0;
    world->later_times = 100;
    push(0, 2);
    open_runner();
    UNTIL(world->failed_count == 1);
    assert_string_equal(world->why, "maximum_retry_attempts is reached: because of 0");
    assert_int_equal(world->later_times, 98);
}

static void other_settings_take_over_between_batches(void **state) {
    world->verdict = ACTION_RETRY;
    push(0, 5);
    open_runner();
    UNTIL(world->sends == 1);
    assert_string_equal(world->opened_name, "one");
    action_runner_update(world->runner, &world->specs[0]);
    assert_int_equal(world->references, 1);
    action_runner_update(world->runner, &world->specs[1]);
    world->verdict = ACTION_OK;
    UNTIL(world->taken_count == 5);
    assert_string_equal(world->opened_name, "two");
    assert_int_equal(world->closed_targets, 1);
    assert_int_equal(world->references, 1);
    action_runner_update(world->runner, &world->specs[0]);
    UNTIL(world->closed_targets == 2);
    push(5, 6);
    UNTIL(world->taken_count == 6);
}

static void a_log_that_nobody_pushes_into_drains(void **state) {
    world->verdict = ACTION_RETRY;
    push(0, 5);
    open_runner();
    UNTIL(world->sends == 1);
    action_runner_drain(world->runner);
    world->verdict = ACTION_OK;
    UNTIL(world->drained);
    assert_int_equal(world->taken_count, 5);
}

static void a_send_under_way_ends_with_the_grace(void **state) {
    world->is_silent = true;
    push(0, 2);
    open_runner();
    UNTIL(world->sends == 1);
    close_runner(20);
    log_rig_close(&world->rig);
    world->is_silent = false;
    open_log();
    open_runner();
    UNTIL(world->taken_count == 2);
    assert_taken(NULL, 2);
}

static void a_record_that_cannot_be_read_is_passed_over(void **state) {
    log_rig_push(&world->rig, STR("no such record"));
    push(0, 1);
    open_runner();
    UNTIL(world->taken_count == 1);
}

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(everything_is_given_in_order_and_once),
        TEST(what_is_not_taken_is_given_again_alone),
        TEST(a_target_that_is_down_is_a_cursor_that_stands_still),
        TEST(a_target_that_cannot_be_opened_is_tried_again),
        TEST(what_is_refused_goes_to_the_error_action),
        TEST(an_error_action_that_is_full_is_waited_for),
        TEST(the_cursor_waits_for_the_error_action_s_commit),
        TEST(bounds_of_retries),
        TEST(other_settings_take_over_between_batches),
        TEST(a_log_that_nobody_pushes_into_drains),
        TEST(a_send_under_way_ends_with_the_grace),
        TEST(a_record_that_cannot_be_read_is_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
