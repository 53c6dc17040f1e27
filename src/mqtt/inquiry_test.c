#include "mqtt/rig_test.h"

#include "mqtt/stored.h"

static unsigned answers;

static void on_done(struct mqtt_inquiry *inquiry) {
    answers++;
}

/* Asks and waits; the items stay in the inquiry. */
static void ask(struct rig *rig, struct mqtt_inquiry *inquiry) {
    unsigned before = answers;
    inquiry->done = on_done;
    mqtt_inquire(rig->worker, inquiry);
    assert_int_equal(answers, before);
    for (int i = 0; i < 100 && answers == before; i++)
        rig_turn(rig);
    assert_int_equal(answers, before + 1);
}

static bool holds(struct mqtt_inquiry *inquiry, const char *text) {
    if (strstr(buf_cstr(&inquiry->items), text))
        return true;
    print_error("no %s in %s\n", text, buf_cstr(&inquiry->items));
    return false;
}

/* The values of `"key":"..."` in the items, one after the other. */
static void expect(struct mqtt_inquiry *inquiry, const char *key, const char *expected) {
    struct buf names = {0};
    char *wanted = xprintf("\"%s\":\"", key);
    for (const char *at = buf_cstr(&inquiry->items); (at = strstr(at, wanted));) {
        at += strlen(wanted);
        buf_printf(&names, "%.*s ", (int)strcspn(at, "\""), at);
    }
    free(wanted);
    assert_string_equal(buf_cstr(&names), expected);
    buf_done(&names);
}

static void begin(struct rig *rig) {
    rig_init(rig);
    rig_start(rig);
}

static void clients_are_listed_in_pages(void **state) {
    struct rig rig;
    struct peer peers[5];
    static const char *const ids[] = {"c3", "a1", "c1", "c2", "b1"};
    begin(&rig);
    for (int i = 0; i < 5; i++)
        peer_connect_311(&peers[i], &rig, ids[i]);
    struct mqtt_inquiry first = {.question = MQTT_LIST_CLIENTS, .limit = 3};
    ask(&rig, &first);
    expect(&first, "client_id", "a1 b1 c1 ");
    assert_string_equal(buf_cstr(&first.next), "c1");
    struct mqtt_inquiry second = {
        .question = MQTT_LIST_CLIENTS, .limit = 3, .after = buf_str(&first.next)};
    ask(&rig, &second);
    expect(&second, "client_id", "c2 c3 ");
    assert_int_equal(buf_len(&second.next), 0);
    struct mqtt_inquiry prefix = {.question = MQTT_LIST_CLIENTS, .limit = 3, .text = STR("c")};
    ask(&rig, &prefix);
    expect(&prefix, "client_id", "c1 c2 c3 ");
    assert_int_equal(prefix.count, 3);
    mqtt_inquiry_done(&first);
    mqtt_inquiry_done(&second);
    mqtt_inquiry_done(&prefix);
    for (int i = 0; i < 5; i++)
        peer_done(&peers[i]);
    rig_done(&rig);
}

/* 3.1.1 without a clean session. */
static void connect_stored(struct peer *peer, struct rig *rig) {
    peer_open(peer, rig);
    peer_send(peer, "10 0e 0004'MQTT'04 00 0000 0002's1'");
    rig_turn(rig);
    buf_clear(&peer->in);
}

static void who_is_away_is_listed_too(void **state) {
    struct rig rig;
    struct peer peer, other;
    begin(&rig);
    connect_stored(&peer, &rig);
    peer_connect_311(&other, &rig, "t1");
    peer_done(&peer);
    struct mqtt_inquiry all = {.question = MQTT_LIST_CLIENTS, .limit = 10};
    ask(&rig, &all);
    assert_true(holds(&all, "{\"client_id\":\"s1\",\"connected\":false,\"ends_in_s\":6048"));
    assert_true(holds(&all, ",{\"client_id\":\"t1\",\"connected\":true,"
                            "\"protocol\":\"MQTT 3.1.1\",\"transport\":\"websocket\","
                            "\"address\":\"127.0.0.1:4242\""));
    struct mqtt_inquiry connected = {
        .question = MQTT_LIST_CLIENTS, .limit = 10, .connected_only = true};
    ask(&rig, &connected);
    expect(&connected, "client_id", "t1 ");
    mqtt_inquiry_done(&all);
    mqtt_inquiry_done(&connected);
    peer_done(&other);
    rig_done(&rig);
}

static void one_client_is_shown_whole(void **state) {
    struct rig rig;
    struct peer peer;
    begin(&rig);
    peer_connect_5(&peer, &rig, "c1");
    peer_send(&peer, "82 09 0001 00 0003'a/#'01");
    peer_send(&peer, "30 06 0003'a/b'00");
    struct mqtt_inquiry one = {.question = MQTT_SHOW_CLIENT, .text = STR("c1")};
    ask(&rig, &one);
    assert_int_equal(one.count, 1);
    assert_true(holds(&one, "\"protocol\":\"MQTT 5.0\""));
    assert_true(holds(&one, "\"messages_received\":1,\"payload_bytes_received\":0,"
                            "\"messages_sent\":1,"));
    assert_true(holds(&one, "\"filters\":[{\"filter\":\"a/#\",\"qos\":1,\"no_local\":false,"
                            "\"retain_as_published\":false}]}"));
    struct mqtt_inquiry nobody = {.question = MQTT_SHOW_CLIENT, .text = STR("c2")};
    ask(&rig, &nobody);
    assert_int_equal(nobody.count, 0);
    mqtt_inquiry_done(&one);
    mqtt_inquiry_done(&nobody);
    peer_done(&peer);
    rig_done(&rig);
}

static void subscriptions_are_listed_by_client_and_filter(void **state) {
    struct rig rig;
    struct peer one, two;
    begin(&rig);
    peer_connect_311(&one, &rig, "c1");
    peer_connect_311(&two, &rig, "c2");
    peer_send(&two, "82 06 0001 0001'z'00");
    peer_send(&one, "82 17 0001 0001'y'00 0001'x'01 000a'$share/g/f'00");
    buf_clear(&one.in);
    struct mqtt_inquiry page = {.question = MQTT_LIST_SUBSCRIPTIONS, .limit = 2};
    ask(&rig, &page);
    expect(&page, "filter", "$share/g/f x ");
    struct mqtt_inquiry next = {
        .question = MQTT_LIST_SUBSCRIPTIONS, .limit = 2, .after = buf_str(&page.next)};
    ask(&rig, &next);
    expect(&next, "client_id", "c1 c2 ");
    expect(&next, "filter", "y z ");
    assert_int_equal(buf_len(&next.next), 0);
    struct mqtt_inquiry of_one = {
        .question = MQTT_LIST_SUBSCRIPTIONS, .limit = 10, .text = STR("c2")};
    ask(&rig, &of_one);
    expect(&of_one, "filter", "z ");
    mqtt_inquiry_done(&page);
    mqtt_inquiry_done(&next);
    mqtt_inquiry_done(&of_one);
    peer_done(&one);
    peer_done(&two);
    rig_done(&rig);
}

static void retained_messages_are_listed_and_shown(void **state) {
    struct rig rig;
    struct peer peer;
    begin(&rig);
    peer_connect_5(&peer, &rig, "c1");
    peer_send(&peer, "31 08 0003'b/c'00'21'");
    peer_send(&peer, "31 15 0003'a/b' 0e 0300 04'text' 26 0001'k'0001'v' 'x'");
    buf_clear(&peer.in);
    peer_send(&peer, "31 17 0003'a/b' 10 0300 04'text' 26 0001'k'0003'v\"w' ff");
    peer_send(&peer, "31 08 0004'$a/b'00'3'");
    struct mqtt_inquiry all = {.question = MQTT_LIST_RETAINED, .limit = 10};
    ask(&rig, &all);
    expect(&all, "topic", "$a/b a/b b/c ");
    struct mqtt_inquiry some = {.question = MQTT_LIST_RETAINED, .limit = 10, .text = STR("+/b")};
    ask(&rig, &some);
    expect(&some, "topic", "a/b ");
    struct mqtt_inquiry one = {.question = MQTT_SHOW_RETAINED, .text = STR("a/b")};
    ask(&rig, &one);
    assert_true(holds(&one, "\"content_type\":\"text\",\"user_properties\":[{\"k\":\"v\\\"w\"}],"
                            "\"payload_base64\":\"/w==\"}"));
    struct mqtt_inquiry none = {.question = MQTT_SHOW_RETAINED, .text = STR("a")};
    ask(&rig, &none);
    assert_int_equal(none.count, 0);
    mqtt_inquiry_done(&all);
    mqtt_inquiry_done(&some);
    mqtt_inquiry_done(&one);
    mqtt_inquiry_done(&none);
    peer_done(&peer);
    rig_done(&rig);
}

static size_t end_client(struct rig *rig, bool end_session, const char *expected) {
    struct mqtt_inquiry end = {
        .question = MQTT_END_CLIENT, .text = STR("s1"), .end_session = end_session};
    ask(rig, &end);
    assert_string_equal(buf_cstr(&end.items), expected);
    mqtt_inquiry_done(&end);
    return end.count;
}

static void a_client_is_told_why_its_connection_ends(void **state) {
    struct rig rig;
    struct peer peer;
    begin(&rig);
    peer_connect_5(&peer, &rig, "s1");
    end_client(&rig, false, "{\"client_id\":\"s1\",\"was_connected\":true,\"session_ended\":true}");
    assert_received(&peer, "e0 01 98");
    assert_true(peer.closed);
    peer_done(&peer);
    end_client(&rig, false, "");
    rig_done(&rig);
}

static void a_session_stays_unless_it_is_to_end(void **state) {
    struct rig rig;
    struct peer peer;
    begin(&rig);
    connect_stored(&peer, &rig);
    end_client(&rig, false,
               "{\"client_id\":\"s1\",\"was_connected\":true,\"session_ended\":false}");
    peer_done(&peer);
    assert_non_null(stored_find(rig.worker, STR("s1")));
    end_client(&rig, false, ""); /* It is away already. */
    end_client(&rig, true, "{\"client_id\":\"s1\",\"was_connected\":false,\"session_ended\":true}");
    assert_null(stored_find(rig.worker, STR("s1")));
    connect_stored(&peer, &rig);
    end_client(&rig, true, "{\"client_id\":\"s1\",\"was_connected\":true,\"session_ended\":true}");
    assert_null(stored_find(rig.worker, STR("s1")));
    peer_done(&peer);
    rig_done(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_are_listed_in_pages),
        cmocka_unit_test(who_is_away_is_listed_too),
        cmocka_unit_test(one_client_is_shown_whole),
        cmocka_unit_test(subscriptions_are_listed_by_client_and_filter),
        cmocka_unit_test(retained_messages_are_listed_and_shown),
        cmocka_unit_test(a_client_is_told_why_its_connection_ends),
        cmocka_unit_test(a_session_stays_unless_it_is_to_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
