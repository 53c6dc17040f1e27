/* Counts in a private redis-server on a socket in a temporary directory. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "counter.h"
#include "test_event.h"

#define TIMEOUT_MS 20000

static struct redis {
    char folder[64];
    char path[96];
    pid_t pid;
    redisContext *client;
} redis;

static struct settings settings;
static struct test_event event;

static void start_redis(const char *password) {
    redis.pid = fork();
    assert_true(redis.pid >= 0);
    if (redis.pid == 0) {
        execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", redis.path, "--dir",
               redis.folder, "--save", "", "--loglevel", "warning", "--logfile", "/dev/null",
               "--requirepass", password, NULL);
        _exit(127);
    }
    for (int tries = 0; tries < 500; tries++) {
        redis.client = redisConnectUnix(redis.path);
        if (redis.client && !redis.client->err)
            break;
        redisFree(redis.client);
        redis.client = NULL;
        usleep(20000);
    }
    assert_non_null(redis.client);
    if (*password)
        freeReplyObject(redisCommand(redis.client, "AUTH %s", password));
}

static void stop_redis(void) {
    if (redis.client)
        redisFree(redis.client);
    redis.client = NULL;
    if (redis.pid > 0) {
        kill(redis.pid, SIGKILL);
        waitpid(redis.pid, NULL, 0);
    }
    redis.pid = 0;
    unlink(redis.path);
}

static int set_up(void **state) {
    strcpy(redis.folder, "/tmp/sensor-counter-XXXXXX");
    assert_non_null(mkdtemp(redis.folder));
    snprintf(redis.path, sizeof redis.path, "%s/redis.sock", redis.folder);
    char url[128];
    snprintf(url, sizeof url, "unix://%s", redis.path);
    settings = (struct settings){.latest_key = "sensorLatest",
                                 .count_key = "sensorCount",
                                 .shards_key = "sensorShards",
                                 .channel = "sensors"};
    assert_null(settings_parse_redis(&settings, url, NULL));
    start_redis("");
    return 0;
}

static int tear_down(void **state) {
    stop_redis();
    rmdir(redis.folder);
    return 0;
}

/* What a command answers, as text; "(nil)" for nil. Valid until the next call. */
static const char *ask(const char *command) {
    static char answer[512];
    redisReply *reply = redisCommand(redis.client, command);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_INTEGER)
        snprintf(answer, sizeof answer, "%lld", reply->integer);
    else
        snprintf(answer, sizeof answer, "%s", reply->str ? reply->str : "(nil)");
    freeReplyObject(reply);
    return answer;
}

/* Counts the event, which stays as it is: a batch is read out of a copy. */
static int count_event(struct counter *counter, size_t *ret_new_count) {
    static struct test_event copy;
    struct batch batch = {0};
    copy = event;
    assert_null(batch_read(&batch, copy.body, copy.size));
    int result = counter_count(counter, &batch, TIMEOUT_MS, ret_new_count);
    batch_done(&batch);
    return result;
}

/* Records `first` to `last` of shard s-0. */
static void make_event(int first, int last) {
    event_begin(&event);
    for (int i = first; i <= last; i++) {
        char sequence[16];
        snprintf(sequence, sizeof sequence, "%d", 1000 + i);
        event_add(&event, "s-0", sequence, "YQ==");
    }
}

static size_t count_range(struct counter *counter, int first, int last) {
    size_t new_count = 999;
    make_event(first, last);
    if (count_event(counter, &new_count) != 0)
        fail_msg("%s", counter->problem);
    return new_count;
}

static void counts_a_batch(void **state) {
    struct counter counter;
    size_t new_count;
    counter_init(&counter, &settings);
    event_begin(&event);
    event_add(&event, "s-0", "49590338271490256608559692538361571095921575989136588898", "YQ==");
    event_add(&event, "s-0", "49590338271490256608559692538361571095921575989136588899",
              "eyJ0IjoyMX0=");
    assert_int_equal(count_event(&counter, &new_count), 0);
    assert_int_equal(new_count, 2);
    assert_string_equal(ask("GET sensorLatest"), "{\"t\":21}");
    assert_string_equal(ask("GET sensorCount"), "2");
    assert_string_equal(ask("HGET sensorShards s-0"),
                        "49590338271490256608559692538361571095921575989136588899");
    counter_done(&counter);
}

static void keeps_any_bytes(void **state) {
    struct counter counter;
    size_t new_count;
    counter_init(&counter, &settings);
    event_begin(&event);
    event_add(&event, "s-0", "1", "AP+AYQ0K");
    assert_int_equal(count_event(&counter, &new_count), 0);
    redisReply *reply = redisCommand(redis.client, "GET sensorLatest");
    assert_int_equal(reply->len, 6);
    assert_memory_equal(reply->str,
                        "\0\xff\x80"
                        "a\r\n",
                        6);
    freeReplyObject(reply);
    event_begin(&event);
    event_add(&event, "s-0", "2", "");
    assert_int_equal(count_event(&counter, &new_count), 0);
    assert_string_equal(ask("STRLEN sensorLatest"), "0");
    counter_done(&counter);
}

static void publishes_once_per_batch(void **state) {
    struct counter counter;
    redisReply *reply;
    redisContext *listener = redisConnectUnixWithTimeout(redis.path, (struct timeval){.tv_sec = 5});
    counter_init(&counter, &settings);
    freeReplyObject(redisCommand(listener, "SUBSCRIBE sensors end"));
    assert_int_equal(redisGetReply(listener, (void **)&reply), REDIS_OK);
    freeReplyObject(reply);
    count_range(&counter, 1, 5);
    count_range(&counter, 1, 5);
    ask("PUBLISH end end");
    assert_int_equal(redisGetReply(listener, (void **)&reply), REDIS_OK);
    assert_string_equal(reply->element[1]->str, "sensors");
    assert_string_equal(reply->element[2]->str, "updated");
    freeReplyObject(reply);
    assert_int_equal(redisGetReply(listener, (void **)&reply), REDIS_OK);
    assert_string_equal(reply->element[1]->str, "end");
    freeReplyObject(reply);
    redisFree(listener);
    counter_done(&counter);
}

static void counts_each_record_once(void **state) {
    struct counter counter;
    counter_init(&counter, &settings);
    assert_int_equal(count_range(&counter, 1, 4), 4);
    assert_int_equal(count_range(&counter, 1, 4), 0);
    assert_int_equal(count_range(&counter, 3, 6), 2);
    assert_int_equal(count_range(&counter, 2, 5), 0);
    assert_string_equal(ask("GET sensorCount"), "6");
    assert_string_equal(ask("HGET sensorShards s-0"), "1006");
    counter_done(&counter);
}

static void another_environment_goes_on_where_one_stopped(void **state) {
    struct counter one, other;
    counter_init(&one, &settings);
    counter_init(&other, &settings);
    assert_int_equal(count_range(&one, 1, 4), 4);
    assert_int_equal(count_range(&other, 2, 5), 1);
    assert_int_equal(count_range(&one, 5, 7), 2);
    assert_string_equal(ask("GET sensorCount"), "7");
    counter_done(&one);
    counter_done(&other);
}

/* Four processes deliver the same overlapping batches as fast as they can. */
static void environments_that_race_count_once(void **state) {
    pid_t pids[4];
    int status;
    for (int i = 0; i < 4; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            struct counter counter;
            size_t new_count;
            int failures = 0;
            counter_init(&counter, &settings);
            for (int first = 1; first <= 300; first += 3) {
                make_event(first, first + 9);
                while (count_event(&counter, &new_count) != 0 && ++failures < 1000)
                    continue;
            }
            counter_done(&counter);
            _exit(failures < 1000 ? 0 : 1);
        }
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_string_equal(ask("GET sensorCount"), "307");
    assert_string_equal(ask("HGET sensorShards s-0"), "1307");
}

static void a_dead_connection_is_replaced(void **state) {
    struct counter counter;
    counter_init(&counter, &settings);
    assert_int_equal(count_range(&counter, 1, 2), 2);
    ask("CLIENT KILL TYPE normal SKIPME yes");
    assert_int_equal(count_range(&counter, 2, 3), 1);
    stop_redis();
    start_redis("");
    assert_int_equal(count_range(&counter, 4, 4), 1);
    assert_string_equal(ask("GET sensorCount"), "1");
    counter_done(&counter);
}

static void expect_problem(struct counter *counter, const char *expected) {
    size_t new_count;
    assert_int_equal(count_event(counter, &new_count), -1);
    if (!strstr(counter->problem, expected) || !strstr(counter->problem, redis.path))
        fail_msg("%s is not told by: %s", expected, counter->problem);
    assert_null(counter->redis);
}

static void a_redis_that_is_down_is_told(void **state) {
    struct counter counter;
    counter_init(&counter, &settings);
    count_range(&counter, 1, 2);
    stop_redis();
    make_event(3, 4);
    expect_problem(&counter, "No such file");
    start_redis("");
    assert_int_equal(count_range(&counter, 3, 4), 2);
    counter_done(&counter);
}

static void a_redis_that_hangs_is_told_in_time(void **state) {
    struct counter counter;
    counter_init(&counter, &settings);
    count_range(&counter, 1, 2);
    kill(redis.pid, SIGSTOP);
    make_event(3, 4);
    expect_problem(&counter, "no answer in time");
    kill(redis.pid, SIGCONT);
    assert_int_equal(count_range(&counter, 3, 4), 2);
    assert_string_equal(ask("GET sensorCount"), "4");
    counter_done(&counter);
}

static void what_cannot_be_counted_changes_nothing(void **state) {
    struct counter counter;
    counter_init(&counter, &settings);
    make_event(1, 2);
    ask("SET sensorCount many");
    expect_problem(&counter, "sensorCount is not a number");
    ask("SET sensorCount 99999999999999999999");
    expect_problem(&counter, "sensorCount is not a number");
    ask("DEL sensorCount");
    ask("LPUSH sensorCount 1");
    expect_problem(&counter, "WRONGTYPE");
    ask("DEL sensorCount");
    ask("SET sensorShards 1");
    expect_problem(&counter, "WRONGTYPE");
    ask("DEL sensorShards");
    ask("HSET sensorShards s-0 x");
    expect_problem(&counter, "no sequence number for s-0");
    assert_string_equal(ask("EXISTS sensorLatest sensorCount"), "0");
    ask("DEL sensorShards");
    assert_int_equal(count_range(&counter, 1, 2), 2);
    counter_done(&counter);
}

static void a_refused_transaction_changes_nothing(void **state) {
    struct counter counter;
    counter_init(&counter, &settings);
    make_event(1, 2);
    ask("CONFIG SET maxmemory 1");
    expect_problem(&counter, "OOM");
    ask("CONFIG SET maxmemory 0");
    assert_string_equal(ask("EXISTS sensorLatest sensorCount sensorShards"), "0");
    assert_int_equal(count_range(&counter, 1, 2), 2);
    counter_done(&counter);
}

static void uses_the_keys_it_is_told(void **state) {
    struct counter counter;
    counter_init(&counter, &settings);
    settings.latest_key = "my latest";
    settings.count_key = "my count";
    settings.shards_key = "my shards";
    assert_int_equal(count_range(&counter, 1, 2), 2);
    assert_string_equal(ask("DBSIZE"), "3");
    redisReply *reply = redisCommand(redis.client, "GET %s", "my count");
    assert_string_equal(reply->str, "2");
    freeReplyObject(reply);
    counter_done(&counter);
}

static void knows_passwords_and_databases(void **state) {
    struct counter counter;
    stop_redis();
    start_redis("a secret");
    counter_init(&counter, &settings);
    make_event(1, 2);
    expect_problem(&counter, "NOAUTH");
    strcpy(settings.password, "wrong");
    expect_problem(&counter, "AUTH");
    assert_null(strstr(counter.problem, "wrong "));
    strcpy(settings.password, "a secret");
    settings.database = 3;
    assert_int_equal(count_range(&counter, 1, 2), 2);
    assert_string_equal(ask("DBSIZE"), "0");
    ask("SELECT 3");
    assert_string_equal(ask("GET sensorCount"), "2");
    counter_done(&counter);
}

#define REDIS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        REDIS_TEST(counts_a_batch),
        REDIS_TEST(keeps_any_bytes),
        REDIS_TEST(publishes_once_per_batch),
        REDIS_TEST(counts_each_record_once),
        REDIS_TEST(another_environment_goes_on_where_one_stopped),
        REDIS_TEST(environments_that_race_count_once),
        REDIS_TEST(a_dead_connection_is_replaced),
        REDIS_TEST(a_redis_that_is_down_is_told),
        REDIS_TEST(a_redis_that_hangs_is_told_in_time),
        REDIS_TEST(what_cannot_be_counted_changes_nothing),
        REDIS_TEST(a_refused_transaction_changes_nothing),
        REDIS_TEST(uses_the_keys_it_is_told),
        REDIS_TEST(knows_passwords_and_databases),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
