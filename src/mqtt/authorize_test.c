/* What a denial does, per operation and protocol version, and that it is counted. */
#include "mqtt/rig_test.h"

#include "mqtt/authorize.h"
#include "mqtt/policy_rig.h"

static struct rig rig;
static struct peer a, b;
static struct arena arena;
static struct mqtt_listener_config listener;

static int set_up(void **state) {
    rig_init(&rig);
    listener = (struct mqtt_listener_config){.policy = "p"};
    return 0;
}

static int tear_down(void **state) {
    rig_done(&rig);
    arena_done(&arena);
    return 0;
}

static void start(const char *statements) {
    struct buf text = {0};
    buf_printf(&text, "{'p':{'statement':[%s]}}", statements);
    rig.config.policies = conf_from_text(&arena, buf_str(&text));
    buf_done(&text);
    rig_start(&rig);
}

static void open_with_policy(struct peer *peer) {
    peer_open(peer, &rig);
    peer->connection->listener = &listener;
}

#define CONNECT_311 "10 0e 0004'MQTT'04 02 0000 0002'aa'"
#define CONNECT_5   "10 0f 0004'MQTT'05 02 0000 00 0002'aa'"

static void connect_311(struct peer *peer) {
    open_with_policy(peer);
    peer_send(peer, CONNECT_311);
    assert_received(peer, "20 02 00 00");
}

static void connect_5(struct peer *peer) {
    open_with_policy(peer);
    peer_send(peer, CONNECT_5);
    assert_int_equal(buf_at(&peer->in)[3], 0);
    buf_clear(&peer->in);
}

static void assert_denied(int connect, int publish, int retain, int subscribe, int receive) {
    const struct worker_metrics *metrics = &rig.worker->metrics;
    assert_int_equal(metric_get(&metrics->denied_connect), connect);
    assert_int_equal(metric_get(&metrics->denied_publish), publish);
    assert_int_equal(metric_get(&metrics->denied_retain_publish), retain);
    assert_int_equal(metric_get(&metrics->denied_subscribe), subscribe);
    assert_int_equal(metric_get(&metrics->denied_receive), receive);
}

#define ALLOW(action, resource)                                                                    \
    "{'effect':'Allow','action':'iot:" action "','resource':'" resource "'}"
#define DENY(action, resource)                                                                     \
    "{'effect':'Deny','action':'iot:" action "','resource':'" resource "'}"
#define CONNECTS ALLOW("Connect", "*")

/* ---- CONNECT ---- */

static const struct connect_row {
    const char *statements, *connect, *answer;
    bool closed;
} connect_rows[] = {
    {ALLOW("Connect", "client/${iot:ClientId}"), CONNECT_311, "20 02 00 00", false},
    {ALLOW("Connect", "client/bb"), CONNECT_311, "20 02 00 05", true},
    {ALLOW("Connect", "client/bb"), CONNECT_5, "20 03 00 87 00", true},
    {ALLOW("Publish", "*"), CONNECT_311, "20 02 00 05", true},
    {"", CONNECT_5, "20 03 00 87 00", true},
    {CONNECTS "," DENY("Connect", "client/a*"), CONNECT_311, "20 02 00 05", true},
    /* A will, topic 't', not retained and retained. */
    {CONNECTS "," ALLOW("Publish", "topic/t"),
     "10 14 0004'MQTT'04 06 0000 0002'aa' 0001't' 0001'p'", "20 02 00 00", false},
    {CONNECTS "," ALLOW("Publish", "topic/x"),
     "10 14 0004'MQTT'04 06 0000 0002'aa' 0001't' 0001'p'", "20 02 00 05", true},
    {CONNECTS "," ALLOW("Publish", "topic/x"),
     "10 16 0004'MQTT'05 06 0000 00 0002'aa' 00 0001't' 0001'p'", "20 03 00 87 00", true},
    {CONNECTS "," ALLOW("Publish", "topic/t"),
     "10 14 0004'MQTT'04 26 0000 0002'aa' 0001't' 0001'p'", "20 02 00 05", true},
    {CONNECTS "," ALLOW("*Publish", "topic/t"),
     "10 14 0004'MQTT'04 26 0000 0002'aa' 0001't' 0001'p'", "20 02 00 00", false},
};

static void connects(void **state) {
    for (size_t i = 0; i < COUNT_OF(connect_rows); i++) {
        start(connect_rows[i].statements);
        open_with_policy(&a);
        peer_send(&a, connect_rows[i].connect);
        assert_received(&a, connect_rows[i].answer);
        assert_int_equal(a.closed, connect_rows[i].closed);
        assert_int_equal(metric_get(&rig.worker->metrics.refused_policy), connect_rows[i].closed);
        peer_send(&a, a.closed ? "" : "e0 00");
        peer_done(&a);
        tear_down(NULL);
        set_up(NULL);
    }
    start("");
}

/* Who is refused takes nothing over. */
static void a_refused_client_leaves_the_other_alone(void **state) {
    start("");
    peer_connect_311(&a, &rig, "aa");
    open_with_policy(&b);
    peer_send(&b, CONNECT_311);
    assert_received(&b, "20 02 00 05");
    assert_denied(1, 0, 0, 0, 0);
    peer_send(&a, "c000");
    assert_received(&a, "d0 00");
    peer_done(&b);
    peer_done(&a);
}

static const char no_persistence[] =
    CONNECTS ",{'effect':'Deny','action':'iot:Connect','resource':'*','condition':{"
             "'ForAnyValue:StringEquals':{'iot:ConnectAttributes':['PersistentConnect']}}}";

static void persistent_sessions_can_be_denied(void **state) {
    static const struct {
        const char *connect;
        uint8_t code;
    } rows[] = {
        {CONNECT_311, 0},
        {"10 0e 0004'MQTT'04 00 0000 0002'aa'", 5}, /* not clean */
        {CONNECT_5, 0},
        {"10 0f 0004'MQTT'05 00 0000 00 0002'aa'", 0x87},             /* not clean */
        {"10 14 0004'MQTT'05 02 0000 05 11 0000003c 0002'aa'", 0x87}, /* clean, but stays */
        {"10 14 0004'MQTT'05 02 0000 05 11 00000000 0002'aa'", 0},
    };
    start(no_persistence);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        open_with_policy(&a);
        peer_send(&a, rows[i].connect);
        assert_true(buf_len(&a.in) >= 4);
        assert_int_equal(buf_at(&a.in)[3], rows[i].code);
        peer_done(&a);
    }
}

static void who_has_no_policy_may_do_everything(void **state) {
    start("");
    listener.policy = NULL;
    connect_5(&a);
    assert_null(a.connection->authority);
    peer_send(&a, "82 07 0001 00 0001'#' 00 31 06 0003'a/b' 00");
    assert_received(&a, "90 04 0001 00 00  30 06 0003'a/b' 00");
    peer_send(&a, "31 06 0003'a/b' 00"); /* gone again */
    peer_done(&a);
    assert_denied(0, 0, 0, 0, 0);
}

static const char *policy_after_reload(const char *users_policy, enum principal_kind kind) {
    struct mqtt_user_config user = {.head.name = "u", .password_hash = "", .policy = users_policy};
    struct mqtt_config config = {.users = {&user, 1}};
    struct mqtt_identities *identities = mqtt_identities_of_users(&config);
    peer_set_principal(&a, kind, STR("u"));
    mqtt_worker_set_identities(rig.worker, identities);
    mqtt_identities_unref(identities);
    return a.connection->authority ? a.connection->authority->policy_name : NULL;
}

/* The user's own policy; without a user the listener's; a user without one may do everything. */
static void the_user_counts_before_the_listener(void **state) {
    start(CONNECTS);
    connect_311(&a);
    assert_string_equal(policy_after_reload("q", PRINCIPAL_USER), "q");
    assert_null(policy_after_reload(NULL, PRINCIPAL_USER));
    assert_string_equal(policy_after_reload("q", PRINCIPAL_NONE), "p");
    peer_done(&a);
}

/* ---- PUBLISH ---- */

static const char publishes_ok[] = CONNECTS "," ALLOW("Publish", "topic/ok");

static void a_denied_publish_closes_311(void **state) {
    static const char *const packets[] = {"30 04 0002'no'", "32 06 0002'no' 0001",
                                          "34 06 0002'no' 0001"};
    start(publishes_ok);
    for (int i = 0; i < 3; i++) {
        connect_311(&a);
        peer_send(&a, "32 06 0002'ok' 0007");
        assert_received(&a, "40 02 0007");
        peer_send(&a, packets[i]);
        assert_received(&a, "");
        assert_true(a.closed);
        peer_done(&a);
        assert_denied(0, i + 1, 0, 0, 0);
        assert_int_equal(metric_get(&rig.worker->metrics.closed_policy), i + 1);
    }
}

static void a_denied_publish_in_5(void **state) {
    start(publishes_ok);
    connect_5(&a);
    peer_send(&a, "32 07 0002'no' 0001 00");
    assert_received(&a, "40 03 0001 87");
    peer_send(&a, "34 07 0002'no' 0002 00");
    assert_received(&a, "50 03 0002 87");
    peer_send(&a, "32 07 0002'ok' 0003 00");
    assert_received(&a, "40 02 0003");
    assert_false(a.closed);
    peer_send(&a, "30 05 0002'no' 00");
    assert_received(&a, "e0 01 87");
    assert_true(a.closed);
    peer_done(&a);
    assert_denied(0, 3, 0, 0, 0);
}

/* The acknowledgement of a denied message does not overtake. */
static void denials_keep_their_order(void **state) {
    start(CONNECTS "," ALLOW("Publish", "topic/rule/*"));
    rig.rules_result = MESSAGE_STAGED;
    connect_5(&a);
    peer_send(&a, "32 0b 0006'rule/x' 0001 00  32 07 0002'no' 0002 00");
    assert_received(&a, "");
    rig_commit(&rig, rig.ticket, 0);
    assert_received(&a, "40 02 0001  40 03 0002 87");
    assert_int_equal(rig.rules_count, 1);
    peer_done(&a);
}

static void retaining_needs_both(void **state) {
    start(CONNECTS "," ALLOW("Publish", "topic/a*") "," ALLOW("RetainPublish", "topic/?b"));
    connect_5(&a);
    peer_send(&a, "33 07 0002'ab' 0001 00");
    assert_received(&a, "40 02 0001");
    peer_send(&a, "33 07 0002'aa' 0002 00");
    assert_received(&a, "40 03 0002 87");
    assert_denied(0, 0, 1, 0, 0);
    peer_send(&a, "33 07 0002'bb' 0003 00");
    assert_received(&a, "40 03 0003 87");
    assert_denied(0, 1, 1, 0, 0);
    peer_send(&a, "32 07 0002'aa' 0004 00");
    assert_received(&a, "40 02 0004");
    peer_done(&a);
}

static void an_alias_is_its_topic(void **state) {
    start(publishes_ok);
    connect_5(&a);
    peer_send(&a, "32 0a 0002'no' 0001 03 23 0001  32 08 0000 0002 03 23 0001");
    assert_received(&a, "40 03 0001 87  40 03 0002 87");
    peer_send(&a, "32 0a 0002'ok' 0001 03 23 0001  32 08 0000 0002 03 23 0001");
    assert_received(&a, "40 02 0001  40 02 0002");
    peer_done(&a);
}

static void denied_topics_get_no_route(void **state) {
    start(publishes_ok);
    connect_5(&a);
    peer_send(&a, "32 07 0002'n1' 0001 00  32 07 0002'n2' 0002 00  32 07 0002'ok' 0003 00");
    assert_received(&a, "40 03 0001 87  40 03 0002 87  40 02 0003");
    assert_int_equal(rig.worker->routes.map.count, 1);
    peer_done(&a);
}

/* ---- SUBSCRIBE ---- */

static void filters_are_allowed_one_by_one(void **state) {
    start(CONNECTS "," ALLOW("Subscribe", "topicfilter/a/*") "," DENY("Subscribe", "*/secret"));
    connect_311(&a);
    peer_send(&a, "82 1d 0001 0003'a/#' 00 0003'b/#' 01 0001'#' 02 0008'a/secret' 00");
    assert_received(&a, "90 06 0001 00 80 80 80");
    assert_int_equal(a.connection->session->subscription_count, 1);
    peer_done(&a);
    assert_denied(0, 0, 0, 3, 0);
    connect_5(&a);
    peer_send(&a, "82 0f 0001 00 0003'a/#' 00 0003'b/#' 01");
    assert_received(&a, "90 05 0001 00 00 87");
    peer_done(&a);
}

static void shares_are_their_filters(void **state) {
    start(CONNECTS "," ALLOW("Subscribe", "topicfilter/a") "," DENY(
        "Subscribe", "topicfilter/${$}share/x/*") "," ALLOW("Subscribe", "topicfilter/$share/y/c"));
    connect_5(&a);
    peer_send(&a, "82 10 0001 00 000a'$share/g/a' 00"); /* by its filter */
    assert_received(&a, "90 04 0001 00 00");
    peer_send(&a, "82 10 0001 00 000a'$share/g/b' 00"); /* by neither */
    assert_received(&a, "90 04 0001 00 87");
    peer_send(&a, "82 10 0001 00 000a'$share/x/a' 00"); /* denied by its text */
    assert_received(&a, "90 04 0001 00 87");
    peer_send(&a, "82 10 0001 00 000a'$share/y/c' 00"); /* by its text */
    assert_received(&a, "90 04 0001 00 00");
    peer_done(&a);
    assert_denied(0, 0, 0, 2, 0);
}

/* ---- delivery ---- */

#define RECEIVES                                                                                   \
    CONNECTS "," ALLOW("Subscribe", "*") "," ALLOW("Receive", "topic/a/*") "," DENY("Receive",     \
                                                                                    "*/secret")

static void what_may_not_be_received_is_left_out(void **state) {
    start(RECEIVES);
    connect_5(&a);
    peer_send(&a, "82 07 0001 00 0001'#' 01");
    assert_received(&a, "90 04 0001 00 01");
    peer_connect_5(&b, &rig, "bb");
    for (int i = 0; i < 2; i++) {
        peer_send(&b, "30 06 0003'a/1' 00  30 04 0001'b' 00  32 0d 0008'a/secret' 0001 00");
        assert_received(&b, "40 02 0001");
        assert_received(&a, "30 06 0003'a/1' 00");
    }
    assert_false(a.closed);
    assert_denied(0, 0, 0, 0, 4);
    peer_done(&b);
    peer_done(&a);
}

static void retained_messages_too(void **state) {
    start(RECEIVES);
    peer_connect_5(&b, &rig, "bb");
    peer_send(&b, "31 07 0003'a/1' 00'x'  31 05 0001'b' 00'x'  31 0c 0008'a/secret' 00'x'");
    connect_5(&a);
    peer_send(&a, "82 07 0001 00 0001'#' 01");
    assert_received(&a, "90 04 0001 00 01  31 07 0003'a/1' 00'x'");
    assert_denied(0, 0, 0, 0, 2);
    peer_done(&b);
    peer_done(&a);
}

static void shared_messages_too(void **state) {
    start(RECEIVES);
    connect_5(&a);
    peer_send(&a, "82 10 0001 00 000a'$share/g/#' 01");
    assert_received(&a, "90 04 0001 00 01");
    peer_connect_5(&b, &rig, "bb");
    peer_send(&b, "30 06 0003'a/1' 00  30 04 0001'b' 00");
    assert_received(&a, "30 06 0003'a/1' 00");
    assert_denied(0, 0, 0, 0, 1);
    peer_done(&b);
    peer_done(&a);
}

/* ---- what is remembered ---- */

static void replace(const char *text) {
    struct mqtt_config config = {.policies = conf_from_text(&arena, str_of(text))};
    struct mqtt_policies *policies = mqtt_policies_new(&config);
    mqtt_worker_set_policies(rig.worker, policies);
    mqtt_policies_unref(policies);
}

static void replaced_policies_count_at_once(void **state) {
    start(publishes_ok);
    connect_5(&a);
    for (int i = 0; i < 2; i++) {
        peer_send(&a, "32 07 0002'ok' 0001 00");
        assert_received(&a, "40 02 0001");
    }
    replace("{'p':{'statement':[" ALLOW("Publish", "topic/no") "]}}");
    peer_send(&a, "32 07 0002'ok' 0001 00  32 07 0002'no' 0002 00");
    assert_received(&a, "40 03 0001 87  40 02 0002");
    replace("{'q':{'statement':[" ALLOW("*", "*") "]}}"); /* Its policy is gone. */
    peer_send(&a, "32 07 0002'ok' 0001 00  32 07 0002'no' 0002 00");
    assert_received(&a, "40 03 0001 87  40 03 0002 87");
    peer_done(&a);
}

/* More topics than slots, twice over, and routes that are freed in between. */
static void decisions_are_right_for_many_topics(void **state) {
    start(CONNECTS "," ALLOW("Publish", "topic/?a"));
    connect_5(&a);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 4 * AUTHORITY_DECISIONS; i++) {
            bool allowed = i % 3 == 0;
            char hex[80];
            snprintf(hex, sizeof hex, "32 07 0002'%c%c' %04x 00", '0' + (int)i, allowed ? 'a' : 'b',
                     i + 1);
            peer_send(&a, hex);
            snprintf(hex, sizeof hex, allowed ? "40 02 %04x" : "40 03 %04x 87", i + 1);
            assert_received(&a, hex);
        }
        routes_done(&rig.worker->routes);
        rig.worker->routes.epoch = round + 1;
    }
    peer_done(&a);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(connects),
        TEST(a_refused_client_leaves_the_other_alone),
        TEST(persistent_sessions_can_be_denied),
        TEST(who_has_no_policy_may_do_everything),
        TEST(the_user_counts_before_the_listener),
        TEST(a_denied_publish_closes_311),
        TEST(a_denied_publish_in_5),
        TEST(denials_keep_their_order),
        TEST(retaining_needs_both),
        TEST(an_alias_is_its_topic),
        TEST(denied_topics_get_no_route),
        TEST(filters_are_allowed_one_by_one),
        TEST(shares_are_their_filters),
        TEST(what_may_not_be_received_is_left_out),
        TEST(retained_messages_too),
        TEST(shared_messages_too),
        TEST(replaced_policies_count_at_once),
        TEST(decisions_are_right_for_many_topics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
