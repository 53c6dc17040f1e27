#include "action/cursor.h"

#include "action/log_rig_test.h"
#include "base/log.h"

enum { SECONDS_MAX = 60 };

struct scene {
    struct log_rig rig;
    struct action_cursor cursor;
    struct action_batch batch;
};

static void on_ready(struct stream_reader *reader, void *data) {}

static void open_cursor(struct scene *scene) {
    struct err err;
    scene->cursor =
        (struct action_cursor){.stream = scene->rig.stream, .checkpoints = scene->rig.checkpoints};
    assert_int_equal(
        action_cursor_open(&scene->cursor, scene->rig.loop, scene->rig.facts, on_ready, NULL, &err),
        0);
}

static int begin(void **state) {
    alarm(SECONDS_MAX);
    struct scene *scene = xcalloc(1, sizeof *scene);
    log_rig_begin(&scene->rig, "r-1-fake");
    log_rig_open(&scene->rig);
    open_cursor(scene);
    *state = scene;
    return 0;
}

static void close_cursor(struct scene *scene) {
    action_cursor_close(&scene->cursor);
    action_batch_done(&scene->batch);
    scene->batch = (struct action_batch){0};
    log_rig_close_checkpoints(&scene->rig);
    log_rig_close(&scene->rig);
}

static int end(void **state) {
    struct scene *scene = *state;
    close_cursor(scene);
    log_rig_end(&scene->rig);
    free(scene);
    return 0;
}

static void restart(struct scene *scene) {
    close_cursor(scene);
    log_rig_open(&scene->rig);
    open_cursor(scene);
}

static void push(struct scene *scene, unsigned count) {
    struct action_record record = {.topic = STR("t"), .payload = STR("p")};
    struct buf bytes = {0};
    action_record_write(&bytes, &record);
    while (count--)
        log_rig_push(&scene->rig, buf_str(&bytes));
    buf_done(&bytes);
    while (!stream_writer_idle(scene->rig.writer))
        log_rig_turn(&scene->rig);
}

/* Fills the batch with the next records, all of them PENDING. */
static void take(struct scene *scene, unsigned count) {
    struct stream_batch batch;
    int code;
    action_batch_clear(&scene->batch);
    action_batch_reserve(&scene->batch, count);
    while ((code = stream_reader_next(scene->cursor.reader, count, 100000, &batch)) == ERR_AGAIN)
        log_rig_turn(&scene->rig);
    assert_int_equal(code, 0);
    assert_int_equal(batch.count, count);
    for (size_t i = 0; i < batch.count; i++)
        assert_int_equal(action_batch_take(&scene->batch, &batch.records[i]), 0);
}

static uint64_t next_counter(const struct scene *scene) {
    return stream_reader_counter(scene->cursor.reader);
}

static void it_goes_on_behind_what_is_done(void **state) {
    struct scene *scene = *state;
    push(scene, 5);
    take(scene, 4);
    scene->batch.items[0].state = scene->batch.items[1].state = ITEM_DONE;
    scene->batch.items[3].state = ITEM_DONE; /* the one before it is not */
    action_cursor_note(&scene->cursor, &scene->batch);
    restart(scene);
    assert_int_equal(next_counter(scene), 2);
    take(scene, 3);
    for (size_t i = 0; i < 3; i++)
        scene->batch.items[i].state = ITEM_DONE;
    action_cursor_note(&scene->cursor, &scene->batch);
    restart(scene);
    assert_int_equal(next_counter(scene), 5);
}

static void without_a_checkpoint_it_begins_at_the_first_record(void **state) {
    struct scene *scene = *state;
    push(scene, 2);
    take(scene, 2);
    action_cursor_note(&scene->cursor, &scene->batch); /* nothing is done */
    restart(scene);
    assert_int_equal(next_counter(scene), 0);
}

/* As after a power failure, which has cost the log's end and not the checkpoint. */
static void a_checkpoint_behind_the_log_s_end_comes_back_to_it(void **state) {
    struct scene *scene = *state;
    struct stream_checkpoint ahead = {
        .stream = scene->rig.stream, .shard = ACTION_SHARD, .name = action_consumer};
    push(scene, 2);
    stream_checkpoint_set(scene->rig.checkpoints, &ahead, 7);
    restart(scene);
    assert_int_equal(next_counter(scene), 2);
    assert_int_equal(scene->cursor.checkpoint.counter, 2);
    restart(scene); /* with the checkpoint that stands now */
    push(scene, 1);
    take(scene, 1);
    assert_int_equal(scene->batch.items[0].item.counter, 2);
}

static void the_gauges_count_what_is_not_done(void **state) {
    struct scene *scene = *state;
    struct action_meter meter = {0};
    push(scene, 5);
    take(scene, 3);
    scene->batch.items[0].state = ITEM_DONE;
    action_cursor_show(&scene->cursor, &scene->batch, &meter);
    assert_int_equal(metric_get(&meter.lag_records), 4);
}

static void what_is_forgotten_is_not_written(void **state) {
    struct scene *scene = *state;
    push(scene, 1);
    take(scene, 1);
    scene->batch.items[0].state = ITEM_DONE;
    action_cursor_note(&scene->cursor, &scene->batch);
    assert_true(action_cursor_forget(&scene->cursor));
    restart(scene);
    assert_int_equal(next_counter(scene), 0);
}

int main(void) {
    log_setup((enum log_level)(LOG_ERROR + 1), LOG_TEXT);
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(it_goes_on_behind_what_is_done),
        TEST(without_a_checkpoint_it_begins_at_the_first_record),
        TEST(a_checkpoint_behind_the_log_s_end_comes_back_to_it),
        TEST(the_gauges_count_what_is_not_done),
        TEST(what_is_forgotten_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
