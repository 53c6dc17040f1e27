/* Logs and runners over a real log and real facts, with a kind whose target takes all that it is
 * given, unless the test says that it is down. */
#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "action/action.h"
#include "action/target.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/file.h"

enum { TEST_SECONDS_MAX = 100, NAMES = 2 };

static struct world {
    char directory[40];
    struct loop *loop;
    struct stream_log *log;
    struct facts *facts;
    struct stream_writer *writer;
    struct action_services services;
    struct action_host *host;
    struct timer tick;
    bool is_down; /* the targets */
    unsigned taken, open_targets;
    uint64_t last_counter;

    struct action_settings settings;
    struct conf conf;
    struct action_spec specs[NAMES];
    const struct action_spec *lists[NAMES];
} * world;

/* ---- the kind ---- */

static void fake_send(struct action_target *target, struct action_item *const *items,
                      size_t count) {
    for (size_t i = 0; i < count; i++) {
        world->taken += !world->is_down;
        world->last_counter = items[i]->counter;
        action_item_settle(items[i], world->is_down ? ACTION_POSTPONED : ACTION_OK, "down");
    }
}

static void fake_close(struct action_target *target, void (*closed)(void *data), void *data) {
    world->open_targets--;
    free(target);
    closed(data);
}

static int fake_open(struct loop *loop, const struct action_services *services,
                     const void *settings, struct action_target **ret_target, struct err *err) {
    static const struct action_target_ops ops = {fake_send, fake_close};
    struct action_target *target = xcalloc(1, sizeof *target);
    target->ops = &ops;
    world->open_targets++;
    *ret_target = target;
    return 0;
}

static const struct action_target_kind kind = {
    .kind = {.name = "fake", .failed_action = "FakeAction"},
    .batch_items_max = 10,
    .batch_bytes_max = 100000,
    .open = fake_open,
};

/* ---- the world ---- */

static void no_reference(void *owner) {}

static int fail_item(void *data, const struct action_failure *failure) {
    return MESSAGE_TAKEN;
}

static void on_tick(struct timer *timer) {}

static struct action_specs specs_of(size_t count) {
    return (struct action_specs){world->lists, count};
}

static void open_world(size_t count) {
    const struct stream_log_config log = {.directory = world->directory,
                                          .segment_bytes_max = 100000};
    const struct action_specs specs = specs_of(count);
    struct err err;
    world->loop = loop_new();
    world->tick = (struct timer){0};
    timer_start(world->loop, &world->tick, 0, 2, on_tick);
    if (stream_log_open(&log, &world->log, &err) ||
        facts_open(world->directory, 1 << 20, &world->facts, &err) ||
        action_logs_open(world->log, &specs, STREAM_CORRUPTED_SKIP, &err))
        fail_msg("%s", err.text);
    world->writer = stream_writer_new(world->log, world->loop);
    world->services = (struct action_services){.log = world->log,
                                               .facts = world->facts,
                                               .gate = stream_writer_gate(world->writer),
                                               .fail = fail_item};
    if (action_host_open(world->loop, &world->services, &specs, &world->host, &err))
        fail_msg("%s", err.text);
}

static void turn(void) {
    uv_run(loop_uv(world->loop), UV_RUN_ONCE);
}

#define UNTIL(condition)                                                                           \
    while (!(condition))                                                                           \
    turn()

static void set_flag(void *data) {
    *(bool *)data = true;
}

static void close_host(void) {
    bool closed = false;
    action_host_close(world->host, 0, set_flag, &closed);
    UNTIL(closed);
    assert_int_equal(world->open_targets, 0);
}

static void close_rest(void) {
    UNTIL(stream_writer_idle(world->writer));
    stream_writer_free(world->writer);
    timer_close(&world->tick, NULL);
    loop_free(world->loop);
    stream_log_close(world->log);
    facts_close(world->facts);
}

static void restart(size_t count) {
    close_host();
    close_rest();
    open_world(count);
}

static int begin(void **state) {
    static const char *const logs[NAMES] = {"r-1-fake", "r-2-fake"};
    alarm(TEST_SECONDS_MAX);
    world = xcalloc(1, sizeof *world);
    strcpy(world->directory, "/tmp/weir-host-XXXXXX");
    assert_non_null(mkdtemp(world->directory));
    world->settings =
        (struct action_settings){.backlog_bytes_max = 1 << 20, .retry_attempts_max = -1};
    world->conf = (struct conf){.type = CONF_SCALAR, .text = "one"};
    for (unsigned i = 0; i < NAMES; i++) {
        world->specs[i] = (struct action_spec){.kind = &kind.kind,
                                               .settings = &world->settings,
                                               .conf = &world->conf,
                                               .log = logs[i],
                                               .rule = STR("r"),
                                               .ref = no_reference,
                                               .unref = no_reference};
        world->lists[i] = &world->specs[i];
    }
    open_world(0);
    return 0;
}

static int end(void **state) {
    close_host();
    close_rest();
    file_remove_tree(world->directory, NULL);
    free(world);
    return 0;
}

/* ---- what a test does ---- */

static struct sink *sink_of(const char *log) {
    struct sink_resolver *resolver = stream_writer_resolver(world->writer);
    return resolver->find(resolver, SINK_ACTION, str_of(log));
}

static void push(const char *log, unsigned count) {
    struct sink *sink = sink_of(log);
    assert_non_null(sink);
    for (unsigned i = 0; i < count; i++) {
        struct buf bytes = {0};
        const struct action_record action = {.payload = STR("x"), .topic = STR("t")};
        action_record_write(&bytes, &action);
        const struct record record = {.partition_key = STR("0"), .data = buf_str(&bytes)};
        assert_int_equal(sink_push(sink, &record), 0);
        buf_done(&bytes);
    }
    UNTIL(stream_writer_idle(world->writer));
}

struct preparation {
    struct action_specs specs;
    bool is_done;
    int status;
};

static void on_prepared(void *data, int status) {
    struct preparation *preparation = data;
    assert_false(preparation->is_done);
    preparation->is_done = true;
    preparation->status = status;
}

static void begin_prepare(struct preparation *preparation, size_t count) {
    *preparation = (struct preparation){.specs = specs_of(count)};
    action_host_prepare(world->host, &preparation->specs, on_prepared, preparation);
    assert_false(preparation->is_done);
}

static void prepare(struct preparation *preparation, size_t count) {
    begin_prepare(preparation, count);
    UNTIL(preparation->is_done);
    assert_int_equal(preparation->status, 0);
}

static void change_to(size_t count) {
    struct preparation preparation;
    prepare(&preparation, count);
    action_host_apply(world->host, &preparation.specs);
}

static void count_one(void *data, struct stream *stream) {
    ++*(unsigned *)data;
}

static unsigned count_logs(void) {
    unsigned count = 0;
    stream_each_kind(world->log, STREAM_ACTION, count_one, &count);
    return count;
}

/* ---- tests ---- */

static void a_new_action_has_a_log_before_anything_is_pushed_into_it(void **state) {
    struct preparation preparation;
    assert_null(sink_of("r-1-fake"));
    prepare(&preparation, 2);
    UNTIL(sink_of("r-1-fake") && sink_of("r-2-fake"));
    push("r-1-fake", 3);
    assert_int_equal(world->taken, 0); /* the engines of all workers come first */
    action_host_apply(world->host, &preparation.specs);
    UNTIL(world->taken == 3);
    push("r-2-fake", 2);
    UNTIL(world->taken == 5);
}

static void what_comes_to_nothing_leaves_no_log(void **state) {
    struct preparation preparation;
    prepare(&preparation, 2);
    assert_int_equal(count_logs(), 2);
    action_host_give_up(world->host, &preparation.specs);
    UNTIL(count_logs() == 0);
}

static void a_log_that_others_hold_stays(void **state) {
    struct preparation first, second;
    prepare(&first, 2);
    prepare(&second, 1);
    action_host_give_up(world->host, &first.specs);
    UNTIL(count_logs() == 1);
    UNTIL(sink_of("r-1-fake"));
    push("r-1-fake", 1);
    action_host_apply(world->host, &second.specs);
    UNTIL(world->taken == 1);
}

/* It may be asked for again while it is being deleted. */
static void a_log_that_goes_is_made_anew(void **state) {
    struct preparation first, second;
    prepare(&first, 1);
    action_host_give_up(world->host, &first.specs);
    prepare(&second, 1);
    action_host_apply(world->host, &second.specs);
    UNTIL(sink_of("r-1-fake"));
    push("r-1-fake", 2);
    UNTIL(world->taken == 2);
}

static void an_action_that_is_no_more_delivers_what_waits_and_goes(void **state) {
    change_to(1);
    UNTIL(sink_of("r-1-fake"));
    world->is_down = true;
    push("r-1-fake", 4);
    change_to(0);
    for (int i = 0; i < 50; i++)
        turn();
    assert_int_equal(count_logs(), 1);
    world->is_down = false;
    UNTIL(world->taken == 4);
    UNTIL(count_logs() == 0);
    UNTIL(!sink_of("r-1-fake"));
    /* Its checkpoint went with it: the log of the same name begins at its beginning. */
    change_to(1);
    UNTIL(sink_of("r-1-fake"));
    push("r-1-fake", 3);
    UNTIL(world->taken == 7);
    assert_int_equal(world->last_counter, 2);
}

static void one_that_comes_back_goes_on(void **state) {
    change_to(1);
    UNTIL(sink_of("r-1-fake"));
    world->is_down = true;
    push("r-1-fake", 4);
    change_to(0);
    change_to(1);
    world->is_down = false;
    push("r-1-fake", 1);
    UNTIL(world->taken == 5);
    assert_int_equal(count_logs(), 1);
}

static void what_waits_for_no_action_stays_until_one_has_it(void **state) {
    change_to(2);
    UNTIL(sink_of("r-1-fake") && sink_of("r-2-fake"));
    world->is_down = true;
    push("r-1-fake", 4);
    restart(0);
    UNTIL(count_logs() == 1); /* the empty one goes */
    assert_non_null(sink_of("r-1-fake"));
    world->is_down = false;
    for (int i = 0; i < 50; i++)
        turn();
    assert_int_equal(world->taken, 0);
    restart(1);
    UNTIL(world->taken == 4);
}

static void a_log_that_cannot_be_made_is_told(void **state) {
    struct preparation preparation;
    world->specs[1].log = "no/name/of/a/stream";
    begin_prepare(&preparation, 2);
    UNTIL(preparation.is_done);
    assert_int_not_equal(preparation.status, 0);
    action_host_give_up(world->host, &preparation.specs);
    UNTIL(count_logs() == 0);
    change_to(1);
    UNTIL(sink_of("r-1-fake"));
    push("r-1-fake", 1);
    UNTIL(world->taken == 1);
}

static void who_prepares_while_it_closes_is_told(void **state) {
    struct preparation preparation;
    bool closed = false;
    begin_prepare(&preparation, 2);
    action_host_close(world->host, 0, set_flag, &closed);
    UNTIL(closed);
    assert_true(preparation.is_done);
    assert_int_equal(preparation.status, ERR_CLOSED);
    close_rest();
    open_world(0);
}

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_new_action_has_a_log_before_anything_is_pushed_into_it),
        TEST(what_comes_to_nothing_leaves_no_log),
        TEST(a_log_that_others_hold_stays),
        TEST(a_log_that_goes_is_made_anew),
        TEST(an_action_that_is_no_more_delivers_what_waits_and_goes),
        TEST(one_that_comes_back_goes_on),
        TEST(what_waits_for_no_action_stays_until_one_has_it),
        TEST(a_log_that_cannot_be_made_is_told),
        TEST(who_prepares_while_it_closes_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
