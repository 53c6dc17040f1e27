#include "action/refusals.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/test.h"

enum { ITEMS = 4 };

struct scene {
    struct action_services services;
    struct action_target_kind kind;
    struct action_spec spec;
    struct action_refusals refusals;
    struct action_batch batch;
    struct action_meter meter;
    struct buf params, bytes;

    int result;         /* of the error action; also after ... */
    unsigned accepts;   /* ... so many failures that it took */
    size_t told[ITEMS]; /* how many messages were in each document */
    unsigned told_count;
    char why[ITEMS]; /* the first letter of each reason */
};

static int on_fail(void *data, const struct action_failure *failure) {
    struct scene *scene = data;
    if (scene->result < 0 && !scene->accepts)
        return scene->result;
    if (scene->accepts)
        scene->accepts--;
    assert_str(failure->rule, "r");
    assert_string_equal(failure->failed_action, "FakeAction");
    assert_str(failure->resource, "there");
    scene->why[scene->told_count] = failure->why.at[0];
    scene->told[scene->told_count++] = failure->batch ? failure->batch_count : 1;
    return scene->result < 0 ? MESSAGE_STAGED : scene->result;
}

static void take_items(struct scene *scene, bool has_original) {
    action_param_write(&scene->params, STR("where"), STR("there"));
    struct action_record record = {.params = {buf_str(&scene->params), 1},
                                   .topic = STR("t"),
                                   .payload = STR("p"),
                                   .original = STR("p"),
                                   .has_original = has_original};
    action_record_write(&scene->bytes, &record);
    action_batch_reserve(&scene->batch, ITEMS);
    for (unsigned i = 0; i < ITEMS; i++) {
        struct stream_record in_log = {.counter = i, .data = buf_str(&scene->bytes)};
        assert_int_equal(action_batch_take(&scene->batch, &in_log), 0);
    }
}

static int begin(void **state) {
    struct scene *scene = xcalloc(1, sizeof *scene);
    scene->services = (struct action_services){.fail = on_fail, .data = scene};
    scene->kind.kind.failed_action = "FakeAction";
    scene->spec = (struct action_spec){.kind = &scene->kind.kind, .rule = STR("r")};
    scene->refusals = (struct action_refusals){.services = &scene->services, .name = "r-1-fake"};
    scene->result = MESSAGE_STAGED;
    *state = scene;
    return 0;
}

static int end(void **state) {
    struct scene *scene = *state;
    action_batch_done(&scene->batch);
    buf_done(&scene->params);
    buf_done(&scene->bytes);
    free(scene);
    return 0;
}

static void refuse(struct scene *scene, unsigned i, const char *why, uint64_t request) {
    struct action_batch_item *item = &scene->batch.items[i];
    item->state = ITEM_REFUSED;
    item->item.request = request;
    item->item.why = xstrdup(why);
}

static int hand_over(struct scene *scene) {
    return action_refusals_hand_over(&scene->refusals, &scene->spec, &scene->batch, &scene->meter);
}

/* One letter per item: p(ending), r(efused), s(taged), d(one). */
static void expect_states(const struct scene *scene, const char *states) {
    char seen[ITEMS + 1] = "";
    for (unsigned i = 0; i < ITEMS; i++)
        seen[i] = "prsd"[scene->batch.items[i].state];
    assert_string_equal(seen, states);
}

static void what_is_refused_is_told_in_order(void **state) {
    struct scene *scene = *state;
    take_items(scene, true);
    refuse(scene, 0, "a", 0);
    refuse(scene, 2, "b", 0);
    assert_true(hand_over(scene) >= 0);
    assert_string_equal(scene->why, "ab");
    expect_states(scene, "spsp");
    assert_int_equal(metric_get(&scene->meter.failure), 2);
}

static void nothing_to_wait_for_is_done(void **state) {
    struct scene *scene = *state;
    take_items(scene, true);
    scene->result = MESSAGE_TAKEN;
    refuse(scene, 3, "a", 0);
    assert_true(hand_over(scene) >= 0);
    expect_states(scene, "pppd");
}

static void one_request_is_told_at_once(void **state) {
    struct scene *scene = *state;
    take_items(scene, true);
    refuse(scene, 0, "a", 7);
    refuse(scene, 1, "b", 0);
    refuse(scene, 3, "a", 7);
    assert_true(hand_over(scene) >= 0);
    assert_int_equal(scene->told_count, 2);
    assert_int_equal(scene->told[0], 2);
    assert_int_equal(scene->told[1], 1);
    expect_states(scene, "ssps");
    assert_int_equal(metric_get(&scene->meter.failure), 3);
}

static void what_cannot_be_kept_waits_with_those_behind_it(void **state) {
    struct scene *scene = *state;
    take_items(scene, true);
    for (unsigned i = 0; i < ITEMS; i++)
        refuse(scene, i, "a", 0);
    scene->result = ERR_NO_SPACE;
    scene->accepts = 1;
    assert_int_equal(hand_over(scene), ERR_NO_SPACE);
    expect_states(scene, "srrr");
    assert_int_equal(metric_get(&scene->meter.failure), 1);
    scene->result = MESSAGE_STAGED;
    assert_true(hand_over(scene) >= 0);
    expect_states(scene, "ssss");
    assert_int_equal(scene->told_count, 4);
}

/* The rule has no error action, for which the record would have kept the message. */
static void without_an_error_action_it_is_dropped(void **state) {
    struct scene *scene = *state;
    take_items(scene, false);
    refuse(scene, 1, "a", 0);
    assert_true(hand_over(scene) >= 0);
    assert_int_equal(scene->told_count, 0);
    expect_states(scene, "pdpp");
    assert_int_equal(metric_get(&scene->meter.failure), 1);
}

int main(void) {
    log_setup((enum log_level)(LOG_ERROR + 1), LOG_TEXT);
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(what_is_refused_is_told_in_order),
        TEST(nothing_to_wait_for_is_done),
        TEST(one_request_is_told_at_once),
        TEST(what_cannot_be_kept_waits_with_those_behind_it),
        TEST(without_an_error_action_it_is_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
