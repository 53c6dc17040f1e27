#include "things/test_world.h"

#include <sys/stat.h>

#include "base/log.h"
#include "io/file.h"
#include "things/shadow_batch.h"

/* The world's, and the log of requests with a writer whose gate is the real one. */
struct rig {
    struct world world;
    struct stream_log *log;
    struct stream_writer *writer;
    struct stream *stream;
    struct journal *journal;
};

static void open_rig(struct rig *rig, enum stream_sync sync) {
    struct world *world = &rig->world;
    struct err err;
    const struct stream_log_config config = {.directory = world->directory, .sync = sync};
    const struct stream_config requests = {
        .name = "shadows", .kind = STREAM_REQUESTS, .shard_count = 1};
    world_open_facts(world);
    world->loop = loop_new();
    if (stream_log_open(&config, &rig->log, &err) ||
        stream_open(rig->log, &requests, &rig->stream, &err))
        fail_msg("%s", err.text);
    rig->writer = stream_writer_new(rig->log, world->loop);
    rig->journal = stream_journal_new(rig->writer, rig->stream, world->loop);
    world->intake = things_intake_new(world->things, rig->journal, &world->publisher);
    world->gate = (struct sink_gate){.has_room = world_has_room, .ticket = world_ticket};
    list_init(&world->gate.listeners);
    world->publisher.publish = world_publish;
    world->ticket = 1;
}

static void begin_rig(struct rig *rig) {
    *rig = (struct rig){.world.directory = "/tmp/weir-shadows-XXXXXX"};
    assert_non_null(mkdtemp(rig->world.directory));
    open_rig(rig, STREAM_SYNC_ALWAYS);
}

static void commit_log(struct rig *rig) {
    while (!stream_writer_idle(rig->writer))
        world_turn(&rig->world);
}

static void close_rig(struct rig *rig) {
    struct world *world = &rig->world;
    commit_log(rig);
    if (world->things->runner)
        world_stop(world);
    things_intake_free(world->intake);
    stream_journal_free(rig->journal);
    stream_writer_free(rig->writer);
    loop_free(world->loop);
    stream_log_close(rig->log);
    things_close(world->things);
    facts_close(world->facts);
}

static void end_rig(struct rig *rig) {
    close_rig(rig);
    buf_done(&rig->world.answer.body);
    buf_done(&rig->world.published);
    file_remove_tree(rig->world.directory, NULL);
}

static void ask(struct rig *rig, const char *topic, const char *payload) {
    struct message_sink *sink = things_intake_sink(rig->world.intake);
    const struct message message = {.topic = str_of(topic), .payload = str_of(payload), .qos = 1};
    assert_int_equal(sink->push(sink, sink->route(sink, message.topic), &message), MESSAGE_STAGED);
}

static bool was_published(struct rig *rig, const char *text) {
    return strstr(buf_cstr(&rig->world.published), text) != NULL;
}

static void await(struct rig *rig, const char *text) {
    while (!was_published(rig, text))
        world_turn(&rig->world);
}

static unsigned count_published(struct rig *rig, const char *text) {
    unsigned count = 0;
    for (const char *at = buf_cstr(&rig->world.published); (at = strstr(at, text)); at++)
        count++;
    return count;
}

#define UPDATE "$aws/things/a/shadow/update"

static void tell_commit(struct rig *rig, uint64_t ticket, int status) {
    LIST_EACH(item, &rig->world.gate.listeners) {
        struct sink_gate_listener *listener = LIST_ITEM(item, struct sink_gate_listener, link);
        listener->on_commit(listener, ticket, status);
    }
}

static void requests_are_done_in_their_order(void **state) {
    struct rig rig;
    begin_rig(&rig);
    world_start(&rig.world, rig.stream);
    for (int i = 1; i <= 1000; i++) {
        char payload[80];
        snprintf(payload, sizeof payload, "{\"state\":{\"reported\":{\"n\":%d}},\"version\":%d}", i,
                 i - 1);
        ask(&rig, UPDATE, payload);
        while (i - count_published(&rig, UPDATE "/accepted ") >= THINGS_WAITING_PER_THING_MAX - 1)
            world_turn(&rig.world);
    }
    ask(&rig, "$aws/things/a/shadow/get", "");
    await(&rig, "shadow/get/accepted {\"version\":1000,\"state\":{\"reported\":{\"n\":1000}}");
    assert_int_equal(count_published(&rig, UPDATE "/accepted "), 1000);
    assert_false(was_published(&rig, "rejected"));
    end_rig(&rig);
}

/* The log ends behind what the runner has applied, whenever it is stopped. */
static void nothing_is_applied_twice(void **state) {
    enum { ROUNDS = 5, ASKED = 40 };
    struct rig rig;
    begin_rig(&rig);
    for (int round = 0; round < ROUNDS; round++) {
        world_start(&rig.world, rig.stream);
        for (int i = 0; i < ASKED; i++)
            ask(&rig, UPDATE, "{\"state\":{\"reported\":{\"n\":1}}}");
        for (int i = 0; i < round; i++)
            world_turn(&rig.world);
        close_rig(&rig);
        open_rig(&rig, STREAM_SYNC_ALWAYS);
    }
    world_start(&rig.world, rig.stream);
    ask(&rig, "$aws/things/a/shadow/get", "");
    await(&rig, "get/accepted {\"version\":200,");
    assert_int_equal(count_published(&rig, UPDATE "/accepted "), ROUNDS * ASKED);
    end_rig(&rig);
}

/* The next batch waits until what was published is on disk; if it is not, all of it is published
 * again. */
static void answers_are_committed_before_the_next_batch(void **state) {
    struct rig rig;
    begin_rig(&rig);
    world_start(&rig.world, rig.stream);
    rig.world.publish_result = MESSAGE_STAGED;
    rig.world.ticket = 7;
    ask(&rig, UPDATE, "{\"state\":{\"desired\":{\"n\":1}}}");
    await(&rig, UPDATE "/delta ");
    ask(&rig, UPDATE, "{\"state\":{\"desired\":{\"n\":2}}}");
    commit_log(&rig);
    tell_commit(&rig, 6, 0);
    for (int i = 0; i < 3; i++)
        uv_run(loop_uv(rig.world.loop), UV_RUN_NOWAIT);
    assert_int_equal(count_published(&rig, UPDATE "/accepted "), 1);
    tell_commit(&rig, 7, ERR_IO);
    while (count_published(&rig, UPDATE "/delta ") < 2)
        world_turn(&rig.world);
    assert_false(was_published(&rig, "\"version\":2"));
    tell_commit(&rig, 7, 0);
    await(&rig, UPDATE "/delta {\"version\":2,");
    tell_commit(&rig, 7, 0);
    end_rig(&rig);
}

static void answers_of_a_run_that_was_killed_come_again(void **state) {
    struct rig rig;
    begin_rig(&rig);
    struct shadow_item item = {.request = {.operation = SHADOW_GET, .thing = STR("a")},
                               .wanted = 1 << SHADOW_REJECTED};
    struct shadow_batch batch = {.things = rig.world.things, .items = &item, .count = 1};
    shadow_batch_apply(&batch);
    assert_int_equal(batch.status, 0);
    buf_done(&batch.answers);
    world_start(&rig.world, rig.stream);
    await(&rig, "$aws/things/a/shadow/get/rejected {\"code\":404,");
    world_stop(&rig.world);
    struct buf kept = {0};
    assert_int_equal(shadow_answers_load(rig.world.facts, &kept), 0);
    assert_int_equal(buf_len(&kept), 0); /* A clean stop leaves none. */
    end_rig(&rig);
}

static void answers_are_forgotten_after_a_while(void **state) {
    struct rig rig;
    begin_rig(&rig);
    world_start(&rig.world, rig.stream);
    ask(&rig, "$aws/things/a/shadow/get", "");
    await(&rig, "get/rejected ");
    struct buf kept = {0};
    do {
        world_turn(&rig.world);
        buf_clear(&kept);
        assert_int_equal(shadow_answers_load(rig.world.facts, &kept), 0);
    } while (buf_len(&kept));
    assert_int_equal(count_published(&rig, "get/rejected "), 1);
    buf_done(&kept);
    end_rig(&rig);
}

static void what_the_disk_does_not_take_is_published_later(void **state) {
    struct rig rig;
    begin_rig(&rig);
    world_start(&rig.world, rig.stream);
    rig.world.publish_result = ERR_NO_SPACE;
    ask(&rig, "$aws/things/a/shadow/get", "");
    await(&rig, "get/rejected ");
    rig.world.publish_result = MESSAGE_TAKEN;
    while (count_published(&rig, "get/rejected ") < 2)
        world_turn(&rig.world);
    rig.world.publish_result = ERR_FULL; /* of this message alone */
    ask(&rig, UPDATE, "{\"state\":{}}");
    ask(&rig, UPDATE, "x");
    await(&rig, "update/rejected ");
    end_rig(&rig);
}

/* A disk that takes so many messages more. */
static unsigned disk_room;

static int publish_while_room(struct message_publisher *publisher, const struct message *message) {
    if (!disk_room)
        return ERR_NO_SPACE;
    disk_room--;
    return world_publish(publisher, message);
}

static void await_commit(struct rig *rig, unsigned count, uint64_t ticket, int status) {
    while (count_published(rig, "/shadow/update/") < count)
        world_turn(&rig->world);
    for (int i = 0; i < 3;
         i++) /* The answers are published in one turn; then the disk has no room. */
        uv_run(loop_uv(rig->world.loop), UV_RUN_NOWAIT);
    assert_int_equal(count_published(rig, "/shadow/update/"), count);
    tell_commit(rig, ticket, status);
}

/* What was committed is not published again, while the rest waits for the disk. */
static void answers_go_on_where_the_disk_was_full(void **state) {
    struct rig rig;
    begin_rig(&rig);
    log_setup((enum log_level)(LOG_ERROR + 1), LOG_TEXT);
    world_start(&rig.world, rig.stream);
    rig.world.publisher.publish = publish_while_room;
    rig.world.publish_result = MESSAGE_STAGED;
    rig.world.ticket = 7;
    disk_room = 1;
    ask(&rig, UPDATE, "{\"state\":{\"desired\":{\"n\":1}}}");
    await_commit(&rig, 1, 7, 0);
    rig.world.ticket = 8;
    disk_room = 1;
    await_commit(&rig, 2, 8, ERR_IO); /* That one comes again, */
    rig.world.ticket = 9;
    disk_room = 2;
    await_commit(&rig, 4, 9, 0); /* with the third. */
    ask(&rig, "$aws/things/a/shadow/get", "");
    disk_room = 1;
    await(&rig, "get/accepted {\"version\":1,");
    tell_commit(&rig, 9, 0);
    assert_int_equal(count_published(&rig, UPDATE "/accepted "), 1);
    assert_int_equal(count_published(&rig, UPDATE "/documents "), 2);
    assert_int_equal(count_published(&rig, UPDATE "/delta "), 1);
    log_setup(LOG_INFO, LOG_TEXT);
    end_rig(&rig);
}

/* A power cut may leave facts that are younger than the log. */
static void a_cursor_beyond_the_log_moves_back(void **state) {
    struct rig rig;
    struct err err;
    begin_rig(&rig);
    assert_int_equal(shadow_cursor_set(rig.world.facts, rig.stream, 1000, &err), 0);
    world_start(&rig.world, rig.stream);
    ask(&rig, UPDATE, "{\"state\":{}}");
    await(&rig, UPDATE "/accepted ");
    world_stop(&rig.world);
    uint64_t counter;
    assert_int_equal(shadow_cursor_get(rig.world.facts, rig.stream, &counter), 0);
    assert_int_equal(counter, 1);
    end_rig(&rig);
}

/* Puts a directory, which nobody can read as a file, in the place of the log's segment, and the
 * segment back. */
static void hide_segment(struct rig *rig, bool hidden) {
    char path[128], aside[160];
    snprintf(path, sizeof path, "%s/requests/shadows/shardId-000000000000/00000000000000000000.seg",
             rig->world.directory);
    snprintf(aside, sizeof aside, "%s/aside", rig->world.directory);
    assert_int_equal(hidden ? rename(path, aside) : rmdir(path), 0);
    assert_int_equal(hidden ? mkdir(path, 0700) : rename(aside, path), 0);
}

/* Nothing is published that would wake the reader. */
static void a_log_that_cannot_be_read_is_read_later(void **state) {
    struct rig rig;
    begin_rig(&rig);
    ask(&rig, "$aws/things/a/shadow/get", "");
    commit_log(&rig);
    hide_segment(&rig, true);
    log_setup((enum log_level)(LOG_ERROR + 1), LOG_TEXT);
    world_start(&rig.world, rig.stream);
    for (int i = 0; i < 10; i++)
        uv_run(loop_uv(rig.world.loop), UV_RUN_NOWAIT);
    assert_false(was_published(&rig, "get/"));
    hide_segment(&rig, false);
    await(&rig, "get/rejected ");
    end_rig(&rig);
}

static void changes_by_http_are_told(void **state) {
    struct rig rig;
    begin_rig(&rig);
    world_start(&rig.world, rig.stream);
    assert_int_equal(world_ask(&rig.world, "POST /things/a/shadow",
                               "{\"state\":{\"desired\":{\"n\":1}},\"clientToken\":\"t\"}"),
                     200);
    await(&rig, UPDATE "/delta {\"version\":1,\"state\":{\"n\":1},");
    assert_true(was_published(&rig, UPDATE "/accepted {\"state\":{\"desired\":{\"n\":1}},"));
    assert_true(was_published(&rig, UPDATE "/documents {\"previous\":"));
    assert_int_equal(count_published(&rig, "\"clientToken\":\"t\"}\n"), 3);
    assert_int_equal(world_ask(&rig.world, "POST /things/a/shadow", "x"), 400);
    assert_int_equal(world_ask(&rig.world, "DELETE /things/a/shadow", ""), 200);
    await(&rig, "$aws/things/a/shadow/delete/accepted {\"version\":1,");
    assert_false(was_published(&rig, "rejected"));
    end_rig(&rig);
}

/* As many as may wait, and one more. */
static void ask_too_much(struct rig *rig) {
    unsigned throttled = count_published(rig, "{\"code\":429,");
    struct message_sink *sink = things_intake_sink(rig->world.intake);
    const struct message more = {.topic = STR(UPDATE), .payload = STR("{\"state\":{}}"), .qos = 1};
    for (unsigned i = 0; i < THINGS_WAITING_PER_THING_MAX; i++)
        ask(rig, UPDATE, "{\"state\":{}}");
    assert_int_equal(sink->push(sink, sink->route(sink, more.topic), &more), MESSAGE_TAKEN);
    assert_int_equal(count_published(rig, "{\"code\":429,"), throttled + 1);
}

/* Those that an earlier run has left are not counted, so they give no place back. */
static void a_thing_may_be_asked_so_much_at_once(void **state) {
    enum { MAX = THINGS_WAITING_PER_THING_MAX };
    struct rig rig;
    begin_rig(&rig);
    ask_too_much(&rig);
    close_rig(&rig);
    open_rig(&rig, STREAM_SYNC_ALWAYS);
    world_start(&rig.world, rig.stream);
    ask_too_much(&rig);
    for (unsigned round = 2; round < 4; round++) {
        while (count_published(&rig, UPDATE "/accepted ") < round * MAX)
            world_turn(&rig.world);
        ask_too_much(&rig);
    }
    end_rig(&rig);
}

static void a_stopped_one_refuses_calls(void **state) {
    struct rig rig;
    begin_rig(&rig);
    assert_int_equal(world_ask(&rig.world, "POST /things/a/shadow", "{\"state\":{}}"), 503);
    world_start(&rig.world, rig.stream);
    assert_int_equal(world_ask(&rig.world, "POST /things/a/shadow", "{\"state\":{}}"), 200);
    world_stop(&rig.world);
    assert_int_equal(world_ask(&rig.world, "POST /things/a/shadow", "{\"state\":{}}"), 503);
    assert_int_equal(world_ask(&rig.world, "GET /things/a/shadow", ""), 200);
    end_rig(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_done_in_their_order),
        cmocka_unit_test(nothing_is_applied_twice),
        cmocka_unit_test(answers_are_committed_before_the_next_batch),
        cmocka_unit_test(answers_of_a_run_that_was_killed_come_again),
        cmocka_unit_test(answers_are_forgotten_after_a_while),
        cmocka_unit_test(what_the_disk_does_not_take_is_published_later),
        cmocka_unit_test(answers_go_on_where_the_disk_was_full),
        cmocka_unit_test(a_cursor_beyond_the_log_moves_back),
        cmocka_unit_test(a_log_that_cannot_be_read_is_read_later),
        cmocka_unit_test(changes_by_http_are_told),
        cmocka_unit_test(a_thing_may_be_asked_so_much_at_once),
        cmocka_unit_test(a_stopped_one_refuses_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
