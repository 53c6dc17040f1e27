#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/file.h"
#include "io/process.h"
#include "state/supervisor.h"

enum { TEST_SECONDS_MAX = 60 };

struct fixture {
    struct loop *loop;
    char *root, *directory;
    struct state_supervisor *supervisor;
    unsigned ready_count, wanted;
    bool closed, has_left_over_ended;
};

static int begin(void **state) {
    struct fixture *fixture = *state = xcalloc(1, sizeof *fixture);
    char root[] = "/tmp/weir-test-XXXXXX";
    alarm(TEST_SECONDS_MAX);
    fixture->loop = loop_new();
    fixture->root = xstrdup(mkdtemp(root));
    fixture->directory = xprintf("%s/redis", fixture->root);
    return 0;
}

static int end(void **state) {
    struct fixture *fixture = *state;
    loop_free(fixture->loop);
    file_remove_tree(fixture->root, NULL);
    free(fixture->root);
    free(fixture->directory);
    free(fixture);
    return 0;
}

static void on_ready(void *data) {
    struct fixture *fixture = data;
    if (++fixture->ready_count == fixture->wanted)
        loop_stop(fixture->loop);
}

static void on_closed(void *data) {
    struct fixture *fixture = data;
    fixture->closed = true;
    loop_stop(fixture->loop);
}

static int open_with(struct fixture *fixture, const char *program, struct err *err) {
    const struct state_supervisor_config config = {
        .program = program, .directory = fixture->directory, .on_ready = on_ready, .data = fixture};
    return state_supervisor_open(fixture->loop, &config, &fixture->supervisor, err);
}

static void open_ready(struct fixture *fixture) {
    struct err err;
    fixture->ready_count = 0;
    fixture->wanted = 1;
    if (open_with(fixture, "redis-server", &err))
        fail_msg("%s", err.text);
    loop_run(fixture->loop);
}

static void close_it(struct fixture *fixture) {
    fixture->closed = false;
    state_supervisor_close(fixture->supervisor, on_closed, fixture);
    assert_false(fixture->closed);
    loop_run(fixture->loop);
    assert_true(fixture->closed);
}

/* One command of at most three words, blocking; the caller frees the reply. */
static redisReply *ask(struct fixture *fixture, const char *format, const char *a, const char *b) {
    redisContext *redis = redisConnectUnix(state_supervisor_socket(fixture->supervisor));
    assert_int_equal(redis->err, 0);
    redisReply *reply = redisCommand(redis, format, a, b);
    assert_non_null(reply);
    redisFree(redis);
    return reply;
}

static void check_setting(struct fixture *fixture, const char *name, const char *value) {
    redisReply *reply = ask(fixture, "CONFIG GET %s", name, NULL);
    assert_int_equal(reply->elements, 2);
    assert_string_equal(reply->element[1]->str, value);
    freeReplyObject(reply);
}

static pid_t server_pid(struct fixture *fixture) {
    struct buf text = {0};
    uint64_t pid = 0;
    char *path = xprintf("%s/redis.pid", fixture->directory);
    assert_int_equal(file_read_all(path, 64, &text, NULL), 0);
    assert_true(str_to_u64(str_trim(buf_str(&text)), &pid));
    buf_done(&text);
    free(path);
    return (pid_t)pid;
}

static void it_runs_privately_and_durably(void **state) {
    struct fixture *fixture = *state;
    struct stat info;
    open_ready(fixture);
    check_setting(fixture, "port", "0");
    check_setting(fixture, "appendonly", "yes");
    check_setting(fixture, "appendfsync", "always");
    check_setting(fixture, "save", "");
    check_setting(fixture, "dir", fixture->directory);
    assert_int_equal(stat(fixture->directory, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(stat(state_supervisor_socket(fixture->supervisor), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    close_it(fixture);
}

static void a_killed_server_is_started_again_with_its_data(void **state) {
    struct fixture *fixture = *state;
    open_ready(fixture);
    pid_t first = server_pid(fixture);
    freeReplyObject(ask(fixture, "SET %s %s", "key", "kept"));
    assert_int_equal(kill(first, SIGKILL), 0);
    fixture->wanted = 2;
    loop_run(fixture->loop);
    assert_int_not_equal(server_pid(fixture), first);
    redisReply *reply = ask(fixture, "GET %s", "key", NULL);
    assert_int_equal(reply->type, REDIS_REPLY_STRING);
    assert_string_equal(reply->str, "kept");
    freeReplyObject(reply);
    close_it(fixture);
}

static void closing_ends_the_server(void **state) {
    struct fixture *fixture = *state;
    open_ready(fixture);
    pid_t pid = server_pid(fixture);
    close_it(fixture);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void closing_while_it_starts_ends_the_server(void **state) {
    struct fixture *fixture = *state;
    struct err err;
    assert_int_equal(open_with(fixture, "redis-server", &err), 0);
    close_it(fixture);
    assert_int_equal(fixture->ready_count, 0);
}

static void a_server_that_does_not_stop_is_killed(void **state) {
    struct fixture *fixture = *state;
    open_ready(fixture);
    pid_t pid = server_pid(fixture);
    assert_int_equal(kill(pid, SIGSTOP), 0);
    close_it(fixture);
    assert_int_equal(kill(pid, 0), -1);
}

static void a_program_that_is_missing_is_an_error(void **state) {
    struct fixture *fixture = *state;
    struct err err;
    assert_int_equal(open_with(fixture, "no-such-redis-server", &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "no-such-redis-server"));
}

static void a_program_that_ends_at_once_is_tried_again(void **state) {
    struct fixture *fixture = *state;
    struct err err;
    char *script = xprintf("%s/server", fixture->root), *tries = xprintf("%s/tries", fixture->root);
    struct buf text = {0};
    buf_printf(&text,
               "#!/bin/sh\necho x >>%s\n[ $(wc -l <%s) -lt 3 ] && exit 1\n"
               "exec redis-server \"$@\"\n",
               tries, tries);
    assert_int_equal(file_write_atomic(script, buf_str(&text), NULL), 0);
    assert_int_equal(chmod(script, 0755), 0);
    fixture->wanted = 1;
    assert_int_equal(open_with(fixture, script, &err), 0);
    loop_run(fixture->loop);
    assert_int_equal(fixture->ready_count, 1);
    close_it(fixture);
    buf_clear(&text);
    assert_int_equal(file_read_all(tries, 100, &text, NULL), 0);
    assert_str(buf_str(&text), "x\nx\nx\n");
    buf_done(&text);
    free(script);
    free(tries);
}

static void a_long_path_gets_its_socket_elsewhere(void **state) {
    struct fixture *fixture = *state;
    struct stat info;
    char *directory = xprintf("%s/%0100d/redis", fixture->root, 0);
    free(fixture->directory);
    fixture->directory = directory;
    open_ready(fixture);
    char *path = xstrdup(state_supervisor_socket(fixture->supervisor));
    assert_true(strlen(path) <= 107);
    check_setting(fixture, "dir", directory);
    close_it(fixture);
    *strrchr(path, '/') = 0;
    assert_int_equal(stat(path, &info), -1);
    free(path);
}

static void on_line(void *data, bool is_stderr, const char *line, size_t len) {
    if (memmem(line, len, "eady to accept", 14))
        loop_stop(((struct fixture *)data)->loop);
}

static void on_exit_(void *data, int status) {
    ((struct fixture *)data)->has_left_over_ended = true;
}

/* A server that another Weir has left in the directory. */
static struct process *start_left_over(struct fixture *fixture, const char *conf) {
    struct process *process;
    struct err err;
    const char *const argv[] = {"redis-server", conf, NULL};
    const struct process_config config = {
        .argv = argv, .on_line = on_line, .on_exit = on_exit_, .data = fixture};
    if (process_start(fixture->loop, &config, &process, &err))
        fail_msg("%s", err.text);
    loop_run(fixture->loop);
    return process;
}

static void two_servers_never_share_a_directory(void **state) {
    struct fixture *fixture = *state;
    struct err err;
    open_ready(fixture);
    freeReplyObject(ask(fixture, "SET %s %s", "key", "kept"));
    close_it(fixture);
    char *conf = xprintf("%s/redis.conf", fixture->directory);
    pid_t left_over = process_pid(start_left_over(fixture, conf));
    free(conf);
    fixture->ready_count = 0;
    fixture->wanted = 1;
    assert_int_equal(open_with(fixture, "redis-server", &err), 0);
    loop_run(fixture->loop);
    assert_true(fixture->has_left_over_ended);
    assert_int_not_equal(server_pid(fixture), left_over);
    close_it(fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_runs_privately_and_durably, begin, end),
        cmocka_unit_test_setup_teardown(a_killed_server_is_started_again_with_its_data, begin, end),
        cmocka_unit_test_setup_teardown(closing_ends_the_server, begin, end),
        cmocka_unit_test_setup_teardown(closing_while_it_starts_ends_the_server, begin, end),
        cmocka_unit_test_setup_teardown(a_server_that_does_not_stop_is_killed, begin, end),
        cmocka_unit_test_setup_teardown(a_program_that_is_missing_is_an_error, begin, end),
        cmocka_unit_test_setup_teardown(a_program_that_ends_at_once_is_tried_again, begin, end),
        cmocka_unit_test_setup_teardown(a_long_path_gets_its_socket_elsewhere, begin, end),
        cmocka_unit_test_setup_teardown(two_servers_never_share_a_directory, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
