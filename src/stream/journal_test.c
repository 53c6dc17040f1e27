#include "stream/world_test.h"

#include <unistd.h>

#include "base/buf.h"
#include "flow/journal.h"

static struct world world;
static struct stream *stream;
static struct journal *journal;

static void open_journal(void) {
    struct err err = {0};
    struct stream_config config = {.name = "mqtt", .kind = STREAM_SESSIONS, .shard_count = 1};
    if (stream_open(world.log, &config, &stream, &err))
        fail_msg("%s", err.text);
    turn(&world); /* The writer hears of the stream. */
    journal = stream_journal_new(world.writer, stream, world.loop);
}

static int set_up(void **state) {
    open_world(&world);
    open_journal();
    return 0;
}

static int tear_down(void **state) {
    stream_journal_free(journal);
    close_world(&world);
    return 0;
}

static void append(const char *text) {
    assert_int_equal(journal->append(journal, str_of(text)), 0);
}

static int gather(void *data, struct str entry, uint64_t wall_ms) {
    assert_true(wall_ms > 0);
    buf_add_str(data, entry);
    buf_add_u8(data, ' ');
    return 0;
}

static void assert_replays(const char *expected) {
    struct buf all = {0};
    struct err err;
    assert_int_equal(journal->replay(journal, gather, &all, &err), 0);
    assert_string_equal(buf_cstr(&all), expected);
    buf_done(&all);
}

static void entries_come_back_in_order(void **state) {
    assert_replays("");
    append("one");
    append("two");
    run_until_idle(&world);
    assert_int_equal(journal->end(journal), 2);
    append("three");
    run_until_idle(&world);
    assert_replays("one two three ");
    stream_journal_free(journal);
    open_again(&world);
    open_journal();
    assert_replays("one two three ");
}

static void sealing_ends_the_ticket(void **state) {
    uint64_t first = sink_gate_ticket(journal->gate);
    append("one");
    journal->seal(journal);
    assert_int_equal(sink_gate_ticket(journal->gate), first + 1);
    journal->seal(journal); /* Nothing is staged. */
    assert_int_equal(sink_gate_ticket(journal->gate), first + 1);
    run_until_idle(&world);
    assert_replays("one ");
}

static int stop_at_once(void *data, struct str entry, uint64_t wall_ms) {
    return ERR_CORRUPT;
}

static void who_reads_may_stop(void **state) {
    struct err err;
    append("one");
    run_until_idle(&world);
    assert_int_equal(journal->replay(journal, stop_at_once, NULL, &err), ERR_CORRUPT);
}

static void what_is_released_goes_by_segments(void **state) {
    char *entry = xmalloc(60001);
    memset(entry, 'x', 60000);
    entry[60000] = '\0';
    for (int i = 0; i < 6; i++) {
        append(entry);
        run_until_idle(&world);
    }
    free(entry);
    append("last");
    run_until_idle(&world);
    journal->release(journal, journal->end(journal) - 1);
    struct stream_shard_info info = {0};
    while (info.first_counter == 0) {
        usleep(1000);
        stream_shard_get(stream, 0, &info);
    }
    assert_true(info.first_counter < journal->end(journal));
}

static void no_api_lists_it(void **state) {
    assert_null(stream_find(world.log, STREAM_DATA, STR("mqtt")));
    assert_int_equal(journal->append(journal, (struct str){"", JOURNAL_ENTRY_BYTES_MAX + 1}),
                     ERR_TOO_LARGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entries_come_back_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sealing_ends_the_ticket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_reads_may_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_released_goes_by_segments, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_api_lists_it, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
