#include "base/test.h"

#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/metric_rig.h"
#include "io/file.h"
#include "state/state.h"

enum { TEST_SECONDS_MAX = 60 };

struct fixture {
    struct loop *loop;
    char *root;
    struct state *state;
    struct timer poll;
    bool (*is_reached)(struct fixture *fixture);
    /* What came back. */
    unsigned connections, messages, answers;
    bool ok;
    char *first, *second;
    bool closed;
};

static int begin(void **state) {
    struct fixture *fixture = *state = xcalloc(1, sizeof *fixture);
    char root[] = "/tmp/weir-test-XXXXXX";
    alarm(TEST_SECONDS_MAX);
    fixture->loop = loop_new();
    fixture->root = xstrdup(mkdtemp(root));
    return 0;
}

static int end(void **state) {
    struct fixture *fixture = *state;
    timer_close(&fixture->poll, NULL);
    loop_free(fixture->loop);
    file_remove_tree(fixture->root, NULL);
    free(fixture->root);
    free(fixture->first);
    free(fixture->second);
    free(fixture);
    return 0;
}

static void on_poll(struct timer *timer) {
    struct fixture *fixture = CONTAINER_OF(timer, struct fixture, poll);
    if (fixture->is_reached(fixture))
        loop_stop(fixture->loop);
}

static void run_until(struct fixture *fixture, bool (*is_reached)(struct fixture *fixture)) {
    fixture->is_reached = is_reached;
    timer_start(fixture->loop, &fixture->poll, 0, 2, on_poll);
    loop_run(fixture->loop);
    timer_stop(&fixture->poll);
}

static void on_changed(void *data, bool is_message) {
    struct fixture *fixture = data;
    fixture->messages += is_message;
    fixture->connections += !is_message;
}

static void on_values(void *data, bool ok, struct str first, struct str second) {
    struct fixture *fixture = data;
    free(fixture->first);
    free(fixture->second);
    fixture->answers++;
    fixture->ok = ok;
    fixture->first = first.at ? str_dup(first) : NULL;
    fixture->second = second.at ? str_dup(second) : NULL;
}

static void on_closed(void *data) {
    struct fixture *fixture = data;
    fixture->closed = true;
}

static bool is_closed(struct fixture *fixture) {
    return fixture->closed;
}

static bool is_connected_once(struct fixture *fixture) {
    return fixture->connections == 1 && state_ready(fixture->state);
}

static bool is_connected_twice(struct fixture *fixture) {
    return fixture->connections == 2 && state_ready(fixture->state);
}

static bool is_lost(struct fixture *fixture) {
    return !state_ready(fixture->state);
}

static bool has_message(struct fixture *fixture) {
    return fixture->messages == 1;
}

static bool has_answer(struct fixture *fixture) {
    return fixture->answers == 1;
}

static void open_by(struct fixture *fixture, const char *url) {
    const struct state_config config = {.url = url};
    struct err err;
    if (state_open(fixture->loop, &config, fixture->root, &fixture->state, &err))
        fail_msg("%s", err.text);
    assert_false(state_ready(fixture->state));
}

static void open_subscribed(struct fixture *fixture) {
    open_by(fixture, NULL);
    state_subscribe(fixture->state, "sensors", on_changed, fixture);
    run_until(fixture, is_connected_once);
}

static void close_it(struct fixture *fixture) {
    fixture->closed = false;
    state_close(fixture->state, on_closed, fixture);
    assert_false(fixture->closed);
    run_until(fixture, is_closed);
}

static void get(struct fixture *fixture, const char *first, const char *second) {
    fixture->answers = 0;
    state_get2(fixture->state, first, second, on_values, fixture);
    run_until(fixture, has_answer);
}

static redisContext *connect_beside(struct fixture *fixture) {
    const char *url = state_url_host(fixture->state);
    assert_memory_equal(url, "unix://", 7);
    redisContext *redis = redisConnectUnix(url + 7);
    assert_int_equal(redis->err, 0);
    return redis;
}

static void ask(struct fixture *fixture, const char *command) {
    redisContext *redis = connect_beside(fixture);
    redisReply *reply = redisCommand(redis, command);
    assert_non_null(reply);
    assert_int_not_equal(reply->type, REDIS_REPLY_ERROR);
    freeReplyObject(reply);
    redisFree(redis);
}

static void kill_server(struct fixture *fixture) {
    struct buf text = {0};
    uint64_t pid = 0;
    char *path = xprintf("%s/redis/redis.pid", fixture->root);
    assert_int_equal(file_read_all(path, 64, &text, NULL), 0);
    assert_true(str_to_u64(str_trim(buf_str(&text)), &pid));
    assert_int_equal(kill((pid_t)pid, SIGKILL), 0);
    buf_done(&text);
    free(path);
}

static void values_and_messages_arrive(void **state) {
    struct fixture *fixture = *state;
    open_subscribed(fixture);
    assert_string_equal(state_url_port(fixture->state), "0");
    get(fixture, "sensorLatest", "sensorCount");
    assert_true(fixture->ok);
    assert_null(fixture->first);
    assert_null(fixture->second);
    ask(fixture, "MSET sensorLatest hello sensorCount 7");
    ask(fixture, "PUBLISH sensors x");
    run_until(fixture, has_message);
    get(fixture, "sensorLatest", "sensorCount");
    assert_true(fixture->ok);
    assert_string_equal(fixture->first, "hello");
    assert_string_equal(fixture->second, "7");
    assert_int_equal(fixture->connections, 1);
    close_it(fixture);
}

static void an_empty_value_is_not_an_absent_one(void **state) {
    struct fixture *fixture = *state;
    open_subscribed(fixture);
    redisContext *redis = connect_beside(fixture);
    freeReplyObject(redisCommand(redis, "SET empty %s", ""));
    redisFree(redis);
    ask(fixture, "LPUSH list x");
    get(fixture, "empty", "list");
    assert_true(fixture->ok);
    assert_string_equal(fixture->first, "");
    assert_null(fixture->second);
    close_it(fixture);
}

static void it_comes_back_when_redis_is_killed(void **state) {
    struct fixture *fixture = *state;
    open_subscribed(fixture);
    assert_int_equal(metric_shown("weir_state_up"), 1);
    ask(fixture, "INCR sensorCount");
    kill_server(fixture);
    run_until(fixture, is_lost);
    assert_int_equal(metric_shown("weir_state_up"), 0);
    get(fixture, "a", "b");
    assert_false(fixture->ok);
    run_until(fixture, is_connected_twice);
    get(fixture, "sensorLatest", "sensorCount");
    assert_true(fixture->ok);
    assert_string_equal(fixture->second, "1");
    ask(fixture, "PUBLISH sensors x");
    run_until(fixture, has_message);
    assert_int_equal(metric_shown("weir_redis_restarts_total"), 1);
    assert_int_equal(metric_shown("weir_state_reconnects_total"), 2);
    close_it(fixture);
}

static void a_get_under_way_is_answered_when_redis_goes(void **state) {
    struct fixture *fixture = *state;
    open_subscribed(fixture);
    kill_server(fixture);
    get(fixture, "a", "b");
    assert_false(fixture->ok);
    close_it(fixture);
}

static void gets_are_bounded(void **state) {
    struct fixture *fixture = *state;
    open_subscribed(fixture);
    for (int i = 0; i < STATE_GETS_MAX; i++)
        state_get2(fixture->state, "a", "b", on_values, fixture);
    assert_int_equal(fixture->answers, 0);
    state_get2(fixture->state, "a", "b", on_values, fixture);
    assert_int_equal(fixture->answers, 1);
    assert_false(fixture->ok);
    close_it(fixture);
    assert_int_equal(fixture->answers, STATE_GETS_MAX + 1);
}

static void who_is_forgotten_hears_nothing(void **state) {
    struct fixture *fixture = *state;
    unsigned other = 0;
    open_subscribed(fixture);
    state_subscribe(fixture->state, "sensors-too", on_changed, fixture);
    state_get2(fixture->state, "a", "b", on_values, &other);
    state_forget(fixture->state, &other);
    state_get2(fixture->state, "a", "b", on_values, fixture);
    run_until(fixture, has_answer);
    assert_int_equal(fixture->messages, 0);
    state_forget(fixture->state, fixture);
    ask(fixture, "PUBLISH sensors x");
    ask(fixture, "PUBLISH sensors-too x");
    get(fixture, "a", "b");
    get(fixture, "a", "b");
    assert_int_equal(fixture->messages, 0);
    close_it(fixture);
}

static void what_was_written_outlives_the_state(void **state) {
    struct fixture *fixture = *state;
    open_subscribed(fixture);
    ask(fixture, "SET sensorLatest kept");
    close_it(fixture);
    fixture->connections = 0;
    open_subscribed(fixture);
    get(fixture, "sensorLatest", "sensorCount");
    assert_string_equal(fixture->first, "kept");
    close_it(fixture);
}

/* The private server of one state is the Redis by URL of another. */
static void a_redis_by_url_is_reached_and_authenticated(void **state) {
    struct fixture *fixture = *state;
    struct fixture other = {.loop = fixture->loop, .root = fixture->root};
    open_subscribed(fixture);
    redisContext *redis = connect_beside(fixture);
    unsigned port = 20000 + (unsigned)getpid() % 20000;
    redisReply *reply;
    do {
        reply = redisCommand(redis, "CONFIG SET port %u", ++port);
        bool is_taken = reply->type == REDIS_REPLY_ERROR;
        freeReplyObject(reply);
        if (!is_taken)
            break;
    } while (true);
    freeReplyObject(redisCommand(redis, "ACL SETUSER ann on >p@ss ~* &* +@all"));
    freeReplyObject(redisCommand(redis, "SELECT 3"));
    freeReplyObject(redisCommand(redis, "SET key in-three"));
    redisFree(redis);
    char *url = xprintf("redis://ann:p%%40ss@localhost:%u/3", port);
    char *text = xprintf("%u", port);
    open_by(&other, url);
    assert_string_equal(state_url_host(other.state), url);
    assert_string_equal(state_url_port(other.state), text);
    state_subscribe(other.state, "sensors", on_changed, &other);
    run_until(&other, is_connected_once);
    get(&other, "key", "none");
    assert_string_equal(other.first, "in-three");
    close_it(&other);
    timer_close(&other.poll, NULL);
    free(other.first);
    free(other.second);
    free(url);
    free(text);
    close_it(fixture);
}

static void a_redis_that_is_not_there_is_not_waited_for(void **state) {
    struct fixture *fixture = *state;
    open_by(fixture, "redis://127.0.0.1:1");
    assert_string_equal(state_url_host(fixture->state), "127.0.0.1");
    assert_string_equal(state_url_port(fixture->state), "1");
    get(fixture, "a", "b");
    assert_false(fixture->ok);
    close_it(fixture);
}

static void what_cannot_be_opened_is_an_error(void **state) {
    struct fixture *fixture = *state;
    struct err err;
    const struct state_config bad_url = {.url = "http://u:s3cret@h"};
    const struct state_config no_server = {.redis_server = "no-such-redis-server"};
    assert_int_equal(state_open(fixture->loop, &bad_url, fixture->root, &fixture->state, &err),
                     ERR_INVALID);
    assert_null(strstr(err.text, "s3cret"));
    assert_int_equal(state_open(fixture->loop, &no_server, fixture->root, &fixture->state, &err),
                     ERR_NOT_FOUND);
    assert_null(fixture->state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_and_messages_arrive, begin, end),
        cmocka_unit_test_setup_teardown(an_empty_value_is_not_an_absent_one, begin, end),
        cmocka_unit_test_setup_teardown(it_comes_back_when_redis_is_killed, begin, end),
        cmocka_unit_test_setup_teardown(a_get_under_way_is_answered_when_redis_goes, begin, end),
        cmocka_unit_test_setup_teardown(gets_are_bounded, begin, end),
        cmocka_unit_test_setup_teardown(who_is_forgotten_hears_nothing, begin, end),
        cmocka_unit_test_setup_teardown(what_was_written_outlives_the_state, begin, end),
        cmocka_unit_test_setup_teardown(a_redis_by_url_is_reached_and_authenticated, begin, end),
        cmocka_unit_test_setup_teardown(a_redis_that_is_not_there_is_not_waited_for, begin, end),
        cmocka_unit_test_setup_teardown(what_cannot_be_opened_is_an_error, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
