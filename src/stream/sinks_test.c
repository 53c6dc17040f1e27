/* Sinks while the streams behind them change. */
#include "stream/log.h"

#include "stream/world_test.h"

enum { KEYS = 64 };

struct pusher {
    struct world *world;
    struct sink *sink;
    uv_idle_t idle;
    unsigned pushed;
};

/* Before the loop looks for news: when they come, something is staged for the layout that goes. */
static void on_idle(uv_idle_t *idle) {
    struct pusher *pusher = idle->data;
    char key[8];
    snprintf(key, sizeof key, "%u", pusher->pushed % KEYS);
    assert_int_equal(push(pusher->sink, key, "data"), 0);
    pusher->pushed++;
}

static void start(struct pusher *pusher, struct world *world, const char *stream) {
    *pusher = (struct pusher){.world = world, .sink = find(world, stream)};
    uv_idle_init(loop_uv(world->loop), &pusher->idle);
    pusher->idle.data = pusher;
    uv_idle_start(&pusher->idle, on_idle);
}

static void stop(struct pusher *pusher) {
    uv_close((uv_handle_t *)&pusher->idle, NULL);
    run_until_idle(pusher->world);
}

static uint64_t count_records(struct stream *stream) {
    uint64_t count = 0;
    for (unsigned i = 0; i < stream_shard_count(stream); i++) {
        struct stream_shard_info info = {0};
        stream_shard_get(stream, i, &info);
        count += info.next_counter - info.first_counter;
    }
    return count;
}

static void what_is_staged_when_shards_change_is_not_lost(void **state) {
    struct world world;
    struct pusher pusher;
    open_world(&world);
    struct stream *stream = create(&world, "s", 1);
    start(&pusher, &world, "s");
    split(&world, stream, 0, KEY_HALF);
    split(&world, stream, 1, KEY_HALF / 2);
    merge(&world, stream, 3, 4);
    stop(&pusher);
    assert_true(pusher.pushed > 0);
    assert_int_equal(count_records(stream), pusher.pushed);
    close_world(&world);
}

/* It had been handed out before, so whoever pushes holds on to it. */
static void a_sink_stays_good_over_changes(void **state) {
    struct world world;
    open_world(&world);
    struct stream *stream = create(&world, "s", 1);
    struct sink *sink = find(&world, "s");
    split(&world, stream, 0, KEY_HALF);
    for (unsigned i = 0; i < KEYS; i++) {
        char key[8];
        snprintf(key, sizeof key, "%u", i);
        assert_int_equal(push(sink, key, "data"), 0);
    }
    run_until_idle(&world);
    for (unsigned shard = 1; shard < 3; shard++) {
        struct stream_shard_info info;
        stream_shard_get(stream, shard, &info);
        assert_int_not_equal(info.next_counter - info.first_counter, 0);
    }
    assert_int_equal(count_records(stream), KEYS);
    assert_ptr_equal(find(&world, "s"), sink);
    close_world(&world);
}

struct look {
    const struct stream *stream;
    bool is_leaving;
};

static void look_at(void *data) {
    struct look *look = data;
    look->is_leaving = look->stream->leaving;
}

/* Its writer hears no news of that any more. */
static void a_writer_that_comes_while_a_stream_goes_does_not_know_it(void **state) {
    struct world world;
    struct outcome outcome = {0};
    open_world(&world);
    struct stream *going = create(&world, "going", 1);
    create(&world, "staying", 1);
    assert_int_equal(stream_delete(going, world.loop, on_done, &outcome), 0);
    struct look look = {.stream = going};
    while (!look.is_leaving)
        loop_call(world.log->thread.loop, look_at, &look);
    struct stream_writer *late = stream_writer_new(world.log, world.loop);
    struct sink_resolver *resolver = stream_writer_resolver(late);
    assert_null(resolver->find(resolver, SINK_STREAM, STR("going")));
    assert_non_null(resolver->find(resolver, SINK_STREAM, STR("staying")));
    wait_for(&world, &outcome);
    assert_null(resolver->find(resolver, SINK_STREAM, STR("going")));
    stream_writer_free(late);
    close_world(&world);
}

int main(void) {
    log_setup(LOG_ERROR, LOG_TEXT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_staged_when_shards_change_is_not_lost),
        cmocka_unit_test(a_sink_stays_good_over_changes),
        cmocka_unit_test(a_writer_that_comes_while_a_stream_goes_does_not_know_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
