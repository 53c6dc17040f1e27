#include "web/test_fixture.h"

#include "base/metric_rig.h"

enum { BIG_BYTES = 256 * 1024, BIG_CHANGES = 120 };

static int begin(void **state) {
    struct fixture *fixture = *state = fixture_begin();
    loop_call(fixture->thread.loop, fixture_open_web, fixture);
    assert_int_equal(fixture->code, 0);
    return 0;
}

static int end(void **state) {
    fixture_end(*state);
    return 0;
}

static void await_metric(const char *name, int64_t wanted) {
    for (int i = 0; metric_shown(name) != wanted && i < PEER_TIMEOUT_S * 1000; i++)
        usleep(1000);
    assert_int_equal(metric_shown(name), wanted);
}

static void a_new_page_gets_the_whole_state_at_once(void **state) {
    struct fixture *fixture = *state;
    struct peer_ws empty = peer_ws_open(fixture);
    assert_string_equal(peer_ws_next(&empty), "{\"latest\":null,\"count\":\"0\",\"updated\":null}");
    peer_ws_close(&empty);
    fixture_set(fixture, "sensorLatest", STR("{\"t\":1}"));
    fixture_set(fixture, "sensorCount", STR("9007199254740993"));
    struct peer_ws ws = peer_ws_open(fixture);
    const char *message = peer_ws_next(&ws);
    assert_non_null(strstr(message, "\"latest\":\"{\\\"t\\\":1}\""));
    assert_non_null(strstr(message, "\"count\":\"9007199254740993\""));
    peer_ws_close(&ws);
}

static void what_stood_there_before_has_no_time(void **state) {
    struct fixture *fixture = *state;
    fixture_set(fixture, "sensorCount", STR("5"));
    struct peer_ws ws = peer_ws_open(fixture);
    assert_string_equal(peer_ws_next(&ws), "{\"latest\":null,\"count\":\"5\",\"updated\":null}");
    peer_ws_close(&ws);
}

static void every_page_hears_of_a_change_and_when(void **state) {
    struct fixture *fixture = *state;
    struct peer_ws a = peer_ws_open(fixture), b = peer_ws_open(fixture);
    peer_ws_next(&a);
    peer_ws_next(&b);
    fixture_change(fixture, STR("one"), 1);
    const char *message = peer_ws_until(&a, "\"latest\":\"one\",\"count\":\"1\",\"updated\":\"20");
    assert_string_equal(peer_ws_until(&b, "\"count\":\"1\""), message);
    peer_ws_close(&a);
    peer_ws_close(&b);
    await_metric("weir_web_pages", 0);
}

static void the_same_again_is_news_too(void **state) {
    struct fixture *fixture = *state;
    struct peer_ws ws = peer_ws_open(fixture);
    peer_ws_next(&ws);
    fixture_change(fixture, STR("same"), 1);
    char *first = xstrdup(peer_ws_until(&ws, "\"count\":\"1\""));
    freeReplyObject(redisCommand(fixture->redis, "PUBLISH sensors x"));
    assert_string_not_equal(peer_ws_next(&ws), first);
    free(first);
    peer_ws_close(&ws);
}

static void many_changes_make_few_messages(void **state) {
    struct fixture *fixture = *state;
    struct peer_ws ws = peer_ws_open(fixture);
    peer_ws_next(&ws);
    for (unsigned i = 1; i <= 2000; i++)
        redisAppendCommand(fixture->redis, "SET sensorCount %u", i);
    for (unsigned i = 1; i <= 2000; i++)
        redisAppendCommand(fixture->redis, "PUBLISH sensors x");
    for (unsigned i = 1; i <= 4000; i++) {
        void *reply;
        assert_int_equal(redisGetReply(fixture->redis, &reply), REDIS_OK);
        freeReplyObject(reply);
    }
    peer_ws_until(&ws, "\"count\":\"2000\"");
    assert_true(ws.count < 500);
    peer_ws_close(&ws);
}

static void a_slow_page_gets_the_newest_state_only(void **state) {
    struct fixture *fixture = *state;
    struct peer_ws fast = peer_ws_open(fixture);
    struct peer_ws slow = peer_ws_open_fd(peer_connect(fixture, 64 * 1024));
    int64_t skipped = metric_shown("weir_web_skipped_total");
    struct str big = {xcalloc(1, BIG_BYTES), BIG_BYTES};
    memset((char *)big.at, 'x', BIG_BYTES);
    char needle[32] = "";
    for (unsigned i = 1; i <= BIG_CHANGES; i++) {
        snprintf(needle, sizeof needle, "\"count\":\"%u\"", i);
        fixture_change(fixture, big, i);
        peer_ws_until(&fast, needle);
    }
    assert_true(metric_shown("weir_web_skipped_total") > skipped);
    peer_ws_until(&slow, needle);
    assert_true(slow.count < BIG_CHANGES / 2);
    free((char *)big.at);
    peer_ws_close(&slow);
    peer_ws_close(&fast);
}

static void pages_are_bounded(void **state) {
    struct fixture *fixture = *state;
    struct peer_ws pages[3];
    for (int i = 0; i < 3; i++) {
        pages[i] = peer_ws_open(fixture);
        peer_ws_next(&pages[i]);
    }
    assert_int_equal(metric_shown("weir_web_pages"), 3);
    struct buf answer = {0};
    int fd = peer_connect(fixture, 0);
    peer_send(fd, STR("GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                      "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
    peer_read_until(fd, &answer, "\r\n\r\n");
    assert_memory_equal(buf_cstr(&answer), "HTTP/1.1 503", 12);
    close(fd);
    buf_done(&answer);
    assert_int_equal(metric_shown("weir_web_pages_refused_total"), 1);
    peer_ws_close(&pages[0]);
    await_metric("weir_web_pages", 2);
    pages[0] = peer_ws_open(fixture);
    peer_ws_next(&pages[0]);
    for (int i = 0; i < 3; i++)
        peer_ws_close(&pages[i]);
}

/* Until it is there and has loaded its data. */
static redisContext *reconnect(const char *path) {
    for (int i = 0; i < PEER_TIMEOUT_S * 1000; i++) {
        redisContext *redis = redisConnectUnix(path);
        redisReply *reply = redis->err ? NULL : redisCommand(redis, "PING");
        bool is_up = reply && reply->type == REDIS_REPLY_STATUS;
        if (reply)
            freeReplyObject(reply);
        if (is_up)
            return redis;
        redisFree(redis);
        usleep(1000);
    }
    fail_msg("Redis did not come back");
    return NULL;
}

static void a_page_outlives_a_redis_that_is_killed(void **state) {
    struct fixture *fixture = *state;
    struct peer_ws ws = peer_ws_open(fixture);
    peer_ws_next(&ws);
    fixture_change(fixture, STR("before"), 1);
    peer_ws_until(&ws, "\"count\":\"1\"");
    redisReply *reply = redisCommand(fixture->redis, "SHUTDOWN NOSAVE");
    assert_null(reply);
    redisFree(fixture->redis);
    fixture->redis = reconnect(state_url_host(fixture->state) + 7);
    fixture_change(fixture, STR("after"), 2);
    peer_ws_until(&ws, "\"latest\":\"after\",\"count\":\"2\"");
    peer_ws_close(&ws);
}

static void closing_says_goodbye(void **state) {
    struct fixture *fixture = *state;
    struct peer_ws ws = peer_ws_open(fixture);
    peer_ws_next(&ws);
    loop_call(fixture->thread.loop, fixture_close_web, fixture);
    fixture->web = NULL;
    assert_int_equal(peer_ws_read(&ws), 8);
    assert_memory_equal(buf_cstr(&ws.message), "\x03\xe9", 2); /* 1001 */
    peer_ws_close(&ws);
    for (int i = 0; !fixture->is_closed && i < PEER_TIMEOUT_S * 1000; i++)
        usleep(1000);
    assert_true(fixture->is_closed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_page_gets_the_whole_state_at_once, begin, end),
        cmocka_unit_test_setup_teardown(what_stood_there_before_has_no_time, begin, end),
        cmocka_unit_test_setup_teardown(every_page_hears_of_a_change_and_when, begin, end),
        cmocka_unit_test_setup_teardown(the_same_again_is_news_too, begin, end),
        cmocka_unit_test_setup_teardown(many_changes_make_few_messages, begin, end),
        cmocka_unit_test_setup_teardown(a_slow_page_gets_the_newest_state_only, begin, end),
        cmocka_unit_test_setup_teardown(pages_are_bounded, begin, end),
        cmocka_unit_test_setup_teardown(a_page_outlives_a_redis_that_is_killed, begin, end),
        cmocka_unit_test_setup_teardown(closing_says_goodbye, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
