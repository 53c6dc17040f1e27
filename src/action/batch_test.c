#include "action/batch.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/test.h"

enum { ITEMS = 4, ARRIVAL_MS = 1000 };

struct rig {
    struct action_batch batch;
    struct action_target target;
    struct action_settings settings;
    struct buf bytes;
};

/* Four items with the counters 10 to 13; item i came at ARRIVAL_MS + i. */
static int begin(void **state) {
    struct rig *rig = xcalloc(1, sizeof *rig);
    struct action_record record = {.topic = STR("t"), .payload = STR("p")};
    rig->settings.retry_attempts_max = -1;
    action_record_write(&rig->bytes, &record);
    action_batch_reserve(&rig->batch, ITEMS);
    for (unsigned i = 0; i < ITEMS; i++) {
        struct stream_record in_log = {
            .counter = 10 + i, .arrival_ms = ARRIVAL_MS + i, .data = buf_str(&rig->bytes)};
        assert_int_equal(action_batch_take(&rig->batch, &in_log), 0);
    }
    *state = rig;
    return 0;
}

static int end(void **state) {
    struct rig *rig = *state;
    action_batch_done(&rig->batch);
    buf_done(&rig->bytes);
    free(rig);
    return 0;
}

/* As a target does, whose send has ended. */
static void send_all(struct rig *rig, const enum action_verdict *verdicts, size_t count) {
    assert_int_equal(action_batch_collect(&rig->batch, &rig->target), count);
    for (size_t i = 0; i < count; i++) {
        struct action_item *item = rig->batch.pending[i];
        assert_ptr_equal(item->target, &rig->target);
        free(item->why);
        item->verdict = verdicts[i];
        item->why = verdicts[i] == ACTION_OK ? NULL : xstrdup("no");
    }
}

static struct action_tally send_and_review(struct rig *rig, const enum action_verdict *verdicts,
                                           size_t count, uint64_t now_ms) {
    send_all(rig, verdicts, count);
    return action_batch_review(&rig->batch, &rig->settings, now_ms);
}

static void a_verdict_says_what_an_item_waits_for(void **state) {
    static const enum action_verdict verdicts[] = {ACTION_OK, ACTION_FAILED, ACTION_RETRY,
                                                   ACTION_POSTPONED};
    struct rig *rig = *state;
    struct action_tally tally = send_and_review(rig, verdicts, ITEMS, 0);
    assert_int_equal(tally.taken, 1);
    assert_int_equal(tally.failed, 1);
    assert_int_equal(tally.retried, 1);
    assert_int_equal(rig->batch.items[0].state, ITEM_DONE);
    assert_int_equal(rig->batch.items[1].state, ITEM_REFUSED);
    assert_int_equal(rig->batch.items[2].state, ITEM_PENDING);
    assert_int_equal(rig->batch.items[3].state, ITEM_PENDING);
    assert_int_equal(rig->batch.items[2].item.attempts, 1);
    assert_int_equal(rig->batch.items[3].item.attempts, 0);
}

static void what_is_done_is_not_sent_again(void **state) {
    static const enum action_verdict first[] = {ACTION_RETRY, ACTION_OK, ACTION_OK, ACTION_RETRY},
                                     second[] = {ACTION_OK, ACTION_OK};
    struct rig *rig = *state;
    send_and_review(rig, first, ITEMS, 0);
    assert_int_equal(action_batch_counter(&rig->batch, 14), 10);
    send_and_review(rig, second, 2, 0);
    assert_int_equal(action_batch_counter(&rig->batch, 14), 14);
    assert_null(action_batch_first(&rig->batch, ITEM_PENDING));
}

static void attempts_and_age_have_bounds(void **state) {
    static const enum action_verdict verdicts[] = {ACTION_RETRY, ACTION_RETRY, ACTION_RETRY,
                                                   ACTION_RETRY};
    struct rig *rig = *state;
    rig->settings.record_age_ms_max = 100;
    send_and_review(rig, verdicts, ITEMS, ARRIVAL_MS + 101);
    assert_int_equal(rig->batch.items[0].state, ITEM_REFUSED);
    assert_string_equal(rig->batch.items[0].item.why, "maximum_record_age is passed: no");
    assert_int_equal(rig->batch.items[1].state, ITEM_PENDING);
    rig->settings.retry_attempts_max = 1;
    send_and_review(rig, verdicts, ITEMS - 1, 0);
    assert_int_equal(rig->batch.items[1].state, ITEM_REFUSED);
    assert_string_equal(rig->batch.items[1].item.why, "maximum_retry_attempts is reached: no");
}

static void the_error_action_s_commit_decides(void **state) {
    struct rig *rig = *state;
    rig->batch.items[0].state = rig->batch.items[1].state = ITEM_STAGED;
    action_batch_commit(&rig->batch, ERR_IO);
    assert_ptr_equal(action_batch_first(&rig->batch, ITEM_REFUSED), &rig->batch.items[0]);
    rig->batch.items[0].state = rig->batch.items[1].state = ITEM_STAGED;
    action_batch_commit(&rig->batch, 0);
    assert_int_equal(action_batch_counter(&rig->batch, 14), 12);
}

/* What was refused is done when the error action has it on disk. */
static void the_cursor_stays_before_what_is_not_done(void **state) {
    static const enum action_item_state states[] = {ITEM_PENDING, ITEM_REFUSED, ITEM_STAGED};
    struct rig *rig = *state;
    for (unsigned i = 0; i < ITEMS; i++)
        rig->batch.items[i].state = ITEM_DONE;
    for (unsigned i = 0; i < COUNT_OF(states); i++) {
        rig->batch.items[1].state = states[i];
        assert_int_equal(action_batch_counter(&rig->batch, 14), 11);
    }
    rig->batch.items[1].state = ITEM_DONE;
    assert_int_equal(action_batch_counter(&rig->batch, 14), 14);
}

static void what_waits_is_counted_from_the_oldest_on(void **state) {
    struct rig *rig = *state;
    uint64_t arrival_ms = 0;
    rig->batch.items[0].state = ITEM_DONE;
    assert_int_equal(action_batch_waiting(&rig->batch, &arrival_ms), ITEMS - 1);
    assert_int_equal(arrival_ms, ARRIVAL_MS + 1);
    action_batch_clear(&rig->batch);
    arrival_ms = 7;
    assert_int_equal(action_batch_waiting(&rig->batch, &arrival_ms), 0);
    assert_int_equal(arrival_ms, 7);
}

/* Items 0, 1 and 3 went in one request; 1 is refused for another reason. */
static void what_is_refused_in_one_request_shares_a_document(void **state) {
    static const enum action_verdict verdicts[] = {ACTION_FAILED, ACTION_FAILED, ACTION_FAILED,
                                                   ACTION_FAILED};
    struct rig *rig = *state;
    struct action_batch_item *found[ITEMS], *items = rig->batch.items;
    send_all(rig, verdicts, ITEMS);
    items[0].item.request = items[1].item.request = items[3].item.request = 11;
    items[1].item.why[0] = 'N';
    action_batch_review(&rig->batch, &rig->settings, 0);
    assert_int_equal(action_batch_refused(&rig->batch, &items[0], found), 2);
    assert_ptr_equal(found[0], &items[0]);
    assert_ptr_equal(found[1], &items[3]);
    assert_int_equal(action_batch_refused(&rig->batch, &items[1], found), 1);
    assert_int_equal(action_batch_refused(&rig->batch, &items[2], found), 1);
    assert_ptr_equal(found[0], &items[2]);
    items[3].item.record.original.len = 600 * 1024;
    assert_int_equal(action_batch_refused(&rig->batch, &items[0], found), 1);
    assert_int_equal(action_batch_refused(&rig->batch, &items[3], found), 1);
}

/* One that was handed over before is not told again with its neighbours. */
static void only_what_is_refused_is_told(void **state) {
    static const enum action_verdict verdicts[] = {ACTION_FAILED, ACTION_FAILED, ACTION_FAILED,
                                                   ACTION_FAILED};
    struct rig *rig = *state;
    struct action_batch_item *found[ITEMS], *items = rig->batch.items;
    send_all(rig, verdicts, ITEMS);
    for (unsigned i = 0; i < ITEMS; i++)
        items[i].item.request = 11;
    action_batch_review(&rig->batch, &rig->settings, 0);
    items[1].state = ITEM_DONE;
    items[2].state = ITEM_STAGED;
    assert_int_equal(action_batch_refused(&rig->batch, &items[0], found), 2);
    assert_ptr_equal(found[1], &items[3]);
}

/* What a target noted of an earlier send is not true of the next. */
static void a_send_begins_without_what_was_noted(void **state) {
    static const enum action_verdict verdicts[] = {ACTION_RETRY, ACTION_RETRY, ACTION_RETRY,
                                                   ACTION_RETRY};
    struct rig *rig = *state;
    struct action_item *item = &rig->batch.items[0].item;
    send_all(rig, verdicts, ITEMS);
    item->request = 11;
    item->scratch = rig;
    item->is_settled = true;
    action_batch_review(&rig->batch, &rig->settings, 0);
    assert_int_equal(action_batch_collect(&rig->batch, &rig->target), ITEMS);
    assert_int_equal(item->request, 0);
    assert_null(item->scratch);
    assert_false(item->is_settled);
}

static void a_record_that_cannot_be_read_is_done(void **state) {
    struct rig *rig = *state;
    struct stream_record broken = {.counter = 14, .data = STR("no such record")};
    action_batch_clear(&rig->batch);
    assert_int_equal(action_batch_take(&rig->batch, &broken), ERR_CORRUPT);
    assert_int_equal(action_batch_collect(&rig->batch, &rig->target), 0);
    assert_int_equal(action_batch_counter(&rig->batch, 15), 15);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_verdict_says_what_an_item_waits_for),
        TEST(what_is_done_is_not_sent_again),
        TEST(attempts_and_age_have_bounds),
        TEST(the_error_action_s_commit_decides),
        TEST(the_cursor_stays_before_what_is_not_done),
        TEST(what_waits_is_counted_from_the_oldest_on),
        TEST(what_is_refused_in_one_request_shares_a_document),
        TEST(only_what_is_refused_is_told),
        TEST(a_send_begins_without_what_was_noted),
        TEST(a_record_that_cannot_be_read_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
