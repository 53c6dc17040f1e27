#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "delivery/upload.h"

/* A bucket that does what the test says, when it says so. */
struct rig {
    struct bucket bucket;
    struct loop *loop;
    struct timer tick; /* so that no turn waits for long */
    struct meter meter;
    struct upload upload;
    unsigned puts, frees;
    char key[16], text[64];
    bool can_cancel;
    bool has_ended, is_safe;
};

static struct rig *rig;

static void fake_put(struct bucket *bucket, const struct bucket_object *object) {
    rig->puts++;
    snprintf(rig->key, sizeof rig->key, "%.*s", STR_ARG(object->key));
    snprintf(rig->text, sizeof rig->text, "%.*s", object->is_gzip ? 0 : (int)object->body.len,
             object->body.at);
}

static bool fake_cancel(struct bucket *bucket) {
    return rig->can_cancel;
}

static void fake_free(struct bucket *bucket) {
    rig->frees++;
}

static const struct bucket_ops plain = {.put = fake_put, .cancel = fake_cancel, .free = fake_free};
static const struct bucket_ops hashing = {
    .put = fake_put, .cancel = fake_cancel, .free = fake_free, .wants_hashes = true};

static void answer(enum bucket_verdict verdict) {
    struct bucket_result result = {.verdict = verdict, .code = "SlowDown", .text = "slow down"};
    rig->bucket.done(rig->bucket.data, &result);
}

static void on_ended(struct upload *upload, bool is_safe) {
    assert_false(rig->has_ended);
    rig->has_ended = true;
    rig->is_safe = is_safe;
}

static void on_tick(struct timer *timer) {}

static int begin(void **state) {
    rig = xcalloc(1, sizeof *rig);
    log_setup(LOG_ERROR + 1, LOG_TEXT);
    rig->loop = loop_new();
    timer_start(rig->loop, &rig->tick, 0, 2, on_tick);
    rig->bucket.ops = &plain;
    rig->can_cancel = true;
    meter_init(&rig->meter, "s");
    rig->upload = (struct upload){.loop = rig->loop,
                                  .bucket = &rig->bucket,
                                  .meter = &rig->meter,
                                  .name = "s",
                                  .ended = on_ended};
    upload_init(&rig->upload);
    body_add(&rig->upload.body, STR("records"));
    return 0;
}

static int end(void **state) {
    upload_done(&rig->upload);
    assert_int_equal(rig->frees, 1);
    timer_close(&rig->upload.timer, NULL);
    timer_close(&rig->tick, NULL);
    loop_free(rig->loop);
    meter_done(&rig->meter);
    free(rig);
    return 0;
}

static void wait_for_puts(unsigned puts) {
    while (rig->puts < puts)
        uv_run(loop_uv(rig->loop), UV_RUN_ONCE);
}

static void a_body_goes_to_the_bucket_as_it_is(void **state) {
    upload_begin(&rig->upload, STR("key"), false);
    assert_int_equal(rig->puts, 1);
    assert_string_equal(rig->key, "key");
    assert_string_equal(rig->text, "records");
    assert_false(rig->has_ended);
    answer(BUCKET_SAFE);
    assert_true(rig->has_ended && rig->is_safe);
}

static void it_is_packed_and_hashed_first(void **state) {
    rig->bucket.ops = &hashing;
    upload_begin(&rig->upload, STR("key"), true);
    assert_int_equal(rig->puts, 0);
    wait_for_puts(1);
    assert_true(rig->upload.body.is_gzip);
    assert_int_equal(strlen(rig->upload.body.sha256_hex), 64);
    answer(BUCKET_SAFE);
    assert_true(rig->is_safe);
}

static void what_fails_is_tried_again_until_it_is_safe(void **state) {
    upload_begin(&rig->upload, STR("key"), false);
    for (unsigned i = 1; i < 4; i++) {
        answer(i == 2 ? BUCKET_RETRY_NOW : BUCKET_RETRY);
        assert_true(upload_is_waiting(&rig->upload));
        wait_for_puts(i + 1);
        assert_false(upload_is_waiting(&rig->upload));
    }
    answer(BUCKET_SAFE);
    assert_true(rig->is_safe);
}

static void in_a_hurry_only_what_was_corrected_is_tried_again(void **state) {
    upload_begin(&rig->upload, STR("key"), false);
    upload_hurry(&rig->upload);
    answer(BUCKET_RETRY_NOW);
    assert_false(rig->has_ended);
    wait_for_puts(2);
    answer(BUCKET_RETRY);
    assert_true(rig->has_ended && !rig->is_safe);
}

static void an_attempt_that_can_be_cancelled_is_given_up_at_once(void **state) {
    upload_begin(&rig->upload, STR("key"), false);
    assert_true(upload_give_up(&rig->upload));
    assert_false(rig->has_ended);
}

static void a_pause_is_given_up_at_once(void **state) {
    upload_begin(&rig->upload, STR("key"), false);
    answer(BUCKET_HOLD);
    assert_true(upload_give_up(&rig->upload));
    assert_false(upload_is_waiting(&rig->upload));
    assert_int_equal(rig->puts, 1);
}

static void one_that_cannot_be_cancelled_comes_to_its_end(void **state) {
    rig->can_cancel = false;
    upload_begin(&rig->upload, STR("key"), false);
    assert_false(upload_give_up(&rig->upload));
    answer(BUCKET_RETRY_NOW);
    assert_true(rig->has_ended && !rig->is_safe);
    assert_int_equal(rig->puts, 1);
}

static void what_the_pool_has_is_not_put_after_that(void **state) {
    upload_begin(&rig->upload, STR("key"), true);
    assert_false(upload_give_up(&rig->upload));
    while (!rig->has_ended)
        uv_run(loop_uv(rig->loop), UV_RUN_ONCE);
    assert_false(rig->is_safe);
    assert_int_equal(rig->puts, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_body_goes_to_the_bucket_as_it_is),
        TEST(it_is_packed_and_hashed_first),
        TEST(what_fails_is_tried_again_until_it_is_safe),
        TEST(in_a_hurry_only_what_was_corrected_is_tried_again),
        TEST(an_attempt_that_can_be_cancelled_is_given_up_at_once),
        TEST(a_pause_is_given_up_at_once),
        TEST(one_that_cannot_be_cancelled_comes_to_its_end),
        TEST(what_the_pool_has_is_not_put_after_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
