/* Two brokers, one after the other, on one journal: the first one is as good as killed. */
#include "mqtt/restore.h"
#include "mqtt/rewrite.h"
#include "mqtt/rig_journal.h"
#include "mqtt/stored.h"

static struct rig first, second, *rig;
static struct rig_journal journal, copy;
static struct peer a, b, c;

static int set_up(void **state) {
    rig = &first;
    rig_init(rig);
    rig_start(rig);
    rig_journal_begin(&journal, rig);
    peer_connect_311(&c, rig, "cc");
    return 0;
}

static int tear_down(void **state) {
    peer_done(&c);
    rig_done(rig);
    rig_journal_clear(&journal);
    rig_journal_clear(&copy);
    return 0;
}

static void copy_entries(void) {
    rig_journal_clear(&copy);
    for (size_t i = journal.first; i < journal.count; i++)
        buf_add_str(&copy.entries[copy.count++], buf_str(&journal.entries[i]));
}

/* What was written until now is all that is left. Peers other than `c` have been done with, or are
 * lost now. */
static void kill_and_start(struct peer *lost) {
    copy_entries();
    if (lost)
        peer_done(lost);
    peer_done(&c);
    rig_done(&first);
    rig_journal_clear(&journal);
    rig = &second;
    rig_init(rig);
    rig_start(rig);
    rig_journal_begin(&copy, rig);
    rig_restore(rig);
    peer_connect_311(&c, rig, "cc");
}

static void connect_as(struct peer *peer, const char *id, const char *connack) {
    char hex[64];
    peer_open(peer, rig);
    snprintf(hex, sizeof hex, "10 0e 0004'MQTT'04 00 0000 0002'%s'", id);
    peer_send(peer, hex);
    rig_sync(rig);
    if (connack)
        assert_received(peer, connack);
}

static void subscribe(struct peer *peer, const char *hex) {
    peer_send(peer, hex);
    rig_sync(rig);
    buf_clear(&peer->in);
}

#define SUBSCRIBE_T1 "82 06 0001 0001't' 01"
#define SUBSCRIBE_T2 "82 06 0001 0001't' 02"
#define NEW          "20 02 00 00"
#define PRESENT      "20 02 01 00"

static void what_waited_arrives(void **state) {
    connect_as(&a, "aa", NEW);
    subscribe(&a, SUBSCRIBE_T1);
    peer_done(&a);
    peer_send(&c, "32 06 0001't' 0001'x'"
                  "32 06 0001't' 0002'y'");
    rig_sync(rig);
    kill_and_start(NULL);
    connect_as(&a, "aa",
               PRESENT "32 06 0001't' 0001'x'"
                       "32 06 0001't' 0002'y'");
    peer_send(&a, "40 02 0001");
    peer_send(&c, "32 06 0001't' 0003'z'"); /* The subscription is there too. */
    rig_sync(rig);
    assert_received(&a, "32 06 0001't' 0003'z'");
    peer_done(&a);
}

static void what_was_acknowledged_does_not(void **state) {
    connect_as(&a, "aa", NEW);
    subscribe(&a, SUBSCRIBE_T1);
    peer_send(&c, "32 06 0001't' 0001'x'"
                  "32 06 0001't' 0002'y'");
    rig_sync(rig);
    peer_send(&a, "40 02 0001");
    rig_sync(rig);
    kill_and_start(&a);
    connect_as(&a, "aa", PRESENT "3a 06 0001't' 0002'y'");
    peer_done(&a);
}

static void qos_2_goes_on_where_it_was(void **state) {
    connect_as(&a, "aa", NEW);
    subscribe(&a, SUBSCRIBE_T2);
    peer_send(&c, "34 06 0001't' 0001'x'"
                  "34 06 0001't' 0002'y'"
                  "34 06 0001't' 0003'z'");
    rig_sync(rig);
    peer_send(&a, "50 02 0001"
                  "50 02 0002");
    rig_sync(rig);
    peer_send(&a, "70 02 0001");
    kill_and_start(&a);
    connect_as(&a, "aa",
               PRESENT "62 02 0002"
                       "3c 06 0001't' 0003'z'");
    peer_done(&a);
}

static void a_message_without_its_targets_finds_them(void **state) {
    connect_as(&a, "aa", NEW);
    subscribe(&a, SUBSCRIBE_T2);
    peer_done(&a);
    rig_sync(rig);
    size_t count = journal.count;
    peer_send(&c, "34 06 0001't' 0001'x'");
    assert_int_equal(journal.count, count + 2);
    buf_done(&journal.entries[--journal.count]); /* TARGETS were not written any more. */
    kill_and_start(NULL);
    connect_as(&a, "aa", PRESENT);
    rig_sync(rig);
    assert_received(&a, "34 06 0001't' 0001'x'");
    peer_done(&a);
}

static void identifiers_of_a_publisher_stay_taken(void **state) {
    connect_as(&a, "aa", NEW);
    subscribe(&a, SUBSCRIBE_T1);
    peer_send(&a, "34 06 0001't' 0002'x'");
    rig_sync(rig);
    kill_and_start(&a);
    connect_as(&a, "aa", PRESENT "3a 06 0001't' 0001'x'");
    peer_send(&a, "3c 06 0001't' 0002'x'"); /* It is not a new one. */
    rig_sync(rig);
    assert_received(&a, "50 02 0002");
    peer_send(&a, "62 02 0002");
    rig_sync(rig);
    assert_received(&a, "70 02 0002");
    peer_done(&a);
}

static void a_session_that_ended_is_gone(void **state) {
    connect_as(&a, "aa", NEW);
    subscribe(&a, SUBSCRIBE_T1);
    peer_done(&a);
    peer_open(&a, rig);
    peer_send(&a, "10 0e 0004'MQTT'04 02 0000 0002'aa'"); /* A clean one. */
    assert_received(&a, "");
    rig_sync(rig);
    assert_received(&a, NEW);
    kill_and_start(&a);
    assert_int_equal(metric_get(&rig->worker->metrics.sessions), 0);
}

static void retained_messages_are_there(void **state) {
    peer_send(&c, "33 06 0001'r' 0001'x'"
                  "33 06 0001's' 0002'x'");
    peer_send(&c, "33 06 0001'r' 0003'y'"
                  "33 05 0001's' 0004");
    rig_sync(rig);
    kill_and_start(NULL);
    peer_send(&c, "82 06 0001 0001'#' 01");
    assert_received(&c, "90 03 0001 01"
                        "33 06 0001'r' 0001'y'");
    assert_int_equal(rig->worker->retained.count, 1);
}

static void a_retained_message_that_a_session_waits_for_arrives(void **state) {
    peer_send(&c, "33 06 0001'r' 0001'x'");
    rig_sync(rig);
    connect_as(&a, "aa", NEW);
    peer_send(&a, "82 06 0001 0001'r' 01");
    rig_sync(rig);
    assert_received(&a, "90 03 0001 01"
                        "33 06 0001'r' 0001'x'");
    kill_and_start(&a);
    connect_as(&a, "aa", PRESENT "3b 06 0001'r' 0001'x'");
    peer_done(&a);
}

/* 5.0, with an expiry, and a will if `delay_s` is not 0. */
static void connect_5(unsigned expiry_s, unsigned delay_s) {
    char hex[160];
    peer_open(&a, rig);
    if (delay_s)
        snprintf(hex, sizeof hex,
                 "10 20 0004'MQTT'05 0c 0000 05 11 %08x 0002'aa' 05 18 %08x 0001't' 0001'w'",
                 expiry_s, delay_s);
    else
        snprintf(hex, sizeof hex, "10 14 0004'MQTT'05 00 0000 05 11 %08x 0002'aa'", expiry_s);
    peer_send(&a, hex);
    rig_sync(rig);
    assert_true(buf_len(&a.in) > 0);
}

static void time_goes_on_while_the_process_is_down(void **state) {
    connect_5(60, 30);
    peer_done(&a);
    struct stored *stored = stored_find(rig->worker, STR("aa"))->stored;
    stored->away_ms -= 20 * 1000;
    stored->will_at_s -= 20;
    journal_session(rig->worker, stored->session);
    kill_and_start(NULL);
    stored = stored_find(rig->worker, STR("aa"))->stored;
    uint32_t now_s = rig->worker->wheel.now_s;
    assert_in_range(stored->ends_at_s - now_s, 38, 41);
    assert_in_range(stored->will_at_s - now_s, 8, 12);
    assert_true(str_eq(stored->will->publication.message.payload, STR("w")));
}

static void what_was_over_meanwhile_ends_at_the_start(void **state) {
    connect_as(&b, "bb", NEW);
    subscribe(&b, SUBSCRIBE_T1);
    peer_done(&b);
    connect_5(60, 30);
    peer_done(&a);
    struct stored *stored = stored_find(rig->worker, STR("aa"))->stored;
    stored->away_ms -= 61 * 1000;
    journal_session(rig->worker, stored->session);
    kill_and_start(NULL);
    assert_null(stored_find(rig->worker, STR("aa")));
    connect_as(&b, "bb", PRESENT "32 06 0001't' 0001'w'");
    peer_done(&b);
}

#define SUBSCRIBE_SHARE "82 0f 0001 000a'$share/g/t' 01"

static void what_a_member_left_goes_to_another(void **state) {
    connect_as(&a, "aa", NEW);
    subscribe(&a, SUBSCRIBE_SHARE);
    peer_send(&c, "32 06 0001't' 0001'x'");
    rig_sync(rig);
    assert_received(&a, "32 06 0001't' 0001'x'");
    connect_as(&b, "bb", NEW);
    subscribe(&b, SUBSCRIBE_SHARE);
    peer_done(&b);
    rig_sync(rig);
    journal_end(rig->worker, stored_find(rig->worker, STR("aa"))); /* And nothing more. */
    kill_and_start(&a);
    connect_as(&b, "bb", PRESENT "32 06 0001't' 0001'x'");
    peer_done(&b);
}

static void pass(unsigned ticks) {
    for (unsigned i = 0; i < ticks; i++) {
        rewrite_tick(rig->worker);
        rig_sync(rig);
    }
}

/* All that is true stands in what was written last. */
static void the_journal_is_rewritten(void **state) {
    connect_as(&a, "aa", NEW);
    subscribe(&a, SUBSCRIBE_T2);
    subscribe(&a, "82 06 0002 0001'r' 01");
    peer_send(&c, "34 06 0001't' 0001'x'"
                  "34 06 0001't' 0002'y'"
                  "33 06 0001'r' 0003'k'");
    rig_sync(rig);
    peer_send(&a, "50 02 0001"
                  "34 06 0001'u' 0009'p'");
    rig_sync(rig);
    peer_done(&a);
    peer_send(&c, "32 06 0001't' 0004'z'");
    rig_sync(rig);
    size_t count = journal.count;
    rig->mqtt->journal_bytes = rig->config.journal_bytes_min + 1;
    pass(4);
    assert_int_equal(journal.first, count);
    assert_false(rig->mqtt->rewriting);
    kill_and_start(NULL);
    connect_as(&a, "aa",
               PRESENT "62 02 0001"
                       "3c 06 0001't' 0002'y'"
                       "3a 06 0001'r' 0003'k'"
                       "32 06 0001't' 0004'z'");
    peer_send(&a, "3c 06 0001'u' 0009'p'");
    rig_sync(rig);
    assert_received(&a, "50 02 0009");
    assert_int_equal(rig->worker->retained.count, 1);
    peer_done(&a);
}

static void a_note_larger_than_an_entry_is_put_together(void **state) {
    enum { PAYLOAD = 1200000 };
    connect_as(&a, "aa", NEW);
    subscribe(&a, SUBSCRIBE_T1);
    peer_done(&a);
    struct buf packet = {0};
    hex_parse(&packet, "32 85 9f 49 0001't' 0001");
    memset(buf_room(&packet, PAYLOAD), 'x', PAYLOAD);
    buf_added(&packet, PAYLOAD);
    peer_feed(&c, buf_at(&packet), buf_len(&packet));
    rig_sync(rig);
    assert_received(&c, "40 02 0001");
    kill_and_start(NULL);
    connect_as(&a, "aa", NULL);
    assert_int_equal(buf_len(&a.in), 4 + buf_len(&packet));
    assert_memory_equal(buf_at(&a.in) + 4, buf_at(&packet), buf_len(&packet));
    buf_done(&packet);
    peer_done(&a);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_waited_arrives),
        TEST(what_was_acknowledged_does_not),
        TEST(qos_2_goes_on_where_it_was),
        TEST(a_message_without_its_targets_finds_them),
        TEST(identifiers_of_a_publisher_stay_taken),
        TEST(a_session_that_ended_is_gone),
        TEST(retained_messages_are_there),
        TEST(a_retained_message_that_a_session_waits_for_arrives),
        TEST(time_goes_on_while_the_process_is_down),
        TEST(what_was_over_meanwhile_ends_at_the_start),
        TEST(what_a_member_left_goes_to_another),
        TEST(the_journal_is_rewritten),
        TEST(a_note_larger_than_an_entry_is_put_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
