/*
 * Exactly-once objects across crashes: a child process delivers and ends without closing anything,
 * at each step and at any moment; then the next start finishes the work.
 */
#include "delivery/test_pipeline.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/random.h"
#include "delivery/intent.h"

enum { KILLS = 25 };

static struct pipeline pipeline;

static int set_up(void **state) {
    pipeline_init(&pipeline);
    return 0;
}

static int tear_down(void **state) {
    pipeline_done(&pipeline);
    return 0;
}

/* ---- the child: this program, started anew in one of these roles ---- */

enum { CRASH_STATUS = 7 };

static void gather_ten(void);
static void record_intent(void);
static void deliver_for_ever(void);

static const struct role {
    const char *name;
    void (*play)(void);
} roles[] = {{"gather", gather_ten}, {"intend", record_intent}, {"deliver", deliver_for_ever}, {0}};

static int ready_pipe[2];

/* Arguments: role, root, buffer_interval_ms, compression, deaggregate, the end of the pipe to write
 * to. */
static pid_t start_child(const char *role) {
    char interval[24], compression[8], ready[8];
    snprintf(interval, sizeof interval, "%lld", (long long)pipeline.config.buffer_interval_ms);
    snprintf(compression, sizeof compression, "%d", pipeline.config.compression);
    snprintf(ready, sizeof ready, "%d", ready_pipe[1]);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        execl("/proc/self/exe", "crash_test", role, pipeline.root, interval, compression,
              pipeline.config.deaggregate ? "1" : "0", ready, (char *)NULL);
        _exit(1);
    }
    return child;
}

/* Ends as a crash does: no close, no flush. */
static _Noreturn void be_child(char **arguments) {
    pipeline_init_at(&pipeline, arguments[2]);
    pipeline.config.buffer_interval_ms = atoll(arguments[3]);
    pipeline.config.compression = atoi(arguments[4]);
    pipeline.config.deaggregate = atoi(arguments[5]);
    ready_pipe[1] = atoi(arguments[6]);
    for (const struct role *role = roles; role->name; role++) {
        if (strcmp(role->name, arguments[1]) == 0) {
            role->play();
            _exit(CRASH_STATUS);
        }
    }
    _exit(1);
}

static void run_and_crash(const char *role) {
    int status;
    pid_t child = start_child(role);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == CRASH_STATUS);
}

static void deliver_all(void) {
    assert_true(run_until(&pipeline, is_delivered));
}

static bool has_intent(struct pipeline *self) {
    struct intent intent;
    if (intent_get(self->facts, "sensors", &intent) != 0)
        return false;
    intent_done(&intent);
    return true;
}

static void read_intent_key(char *path, size_t size) {
    struct intent intent;
    assert_int_equal(intent_get(pipeline.facts, "sensors", &intent), 0);
    snprintf(path, size, "%s/%s", pipeline.bucket_path, buf_cstr(&intent.key));
    intent_done(&intent);
}

/* ---- before the intent ---- */

static void gather_ten(void) {
    pipeline_open(&pipeline);
    push_and_commit(&pipeline, 10);
    run_for_ms(&pipeline, 20);
}

static void a_crash_while_gathering_loses_nothing(void **state) {
    run_and_crash("gather");
    pipeline_open(&pipeline);
    assert_int_equal(pipeline.pushed, 10);
    push_and_commit(&pipeline, 6);
    deliver_all();
    assert_exactly_once(&pipeline, 0, 16);
    assert_int_equal(object_count, 1);
    pipeline_close(&pipeline, 1000);
}

/* ---- between intent and object ---- */

static void record_intent(void) {
    pipeline_open(&pipeline);
    push_and_commit(&pipeline, 20);
    assert_true(run_until(&pipeline, has_intent));
}

static void crash_behind_the_intent(void) {
    assert_int_equal(file_write_atomic(pipeline.bucket_path, STR("in the way\n"), NULL), 0);
    run_and_crash("intend");
    assert_int_equal(unlink(pipeline.bucket_path), 0);
}

static void a_crash_behind_the_intent_gives_the_object_it_names(void **state) {
    char path[256];
    crash_behind_the_intent();
    open_stream(&pipeline);
    read_intent_key(path, sizeof path);
    pipeline.config.prefix = "elsewhere/"; /* For the objects to come. */
    pipeline.config.buffer_interval_ms = 0;
    assert_int_equal(open_delivery(&pipeline, NULL), 0);
    deliver_all();
    assert_exactly_once(&pipeline, 0, 20);
    assert_int_equal(object_count, 2);
    assert_string_equal(objects[0].path, path);
    assert_int_equal(objects[0].end, 16);
    assert_non_null(strstr(objects[1].path, "/elsewhere/"));
    pipeline_close(&pipeline, 1000);
}

/* ---- between object and commit ---- */

static void copy_file(const char *from, const char *to) {
    char from_path[128], to_path[128];
    struct buf content = {0};
    snprintf(from_path, sizeof from_path, "%s/%s", pipeline.root, from);
    snprintf(to_path, sizeof to_path, "%s/%s", pipeline.root, to);
    assert_int_equal(file_read_all(from_path, 1 << 26, &content, NULL), 0);
    assert_int_equal(file_write_atomic(to_path, buf_str(&content), NULL), 0);
    buf_done(&content);
}

static bool has_no_intent(struct pipeline *self) {
    return !has_intent(self);
}

static void deliver_once(void) {
    pipeline_open(&pipeline);
    assert_true(run_until(&pipeline, has_no_intent));
    assert_int_equal(checkpoint_of(&pipeline), 16);
    pipeline_close(&pipeline, 1000);
}

/* The facts as they were before the commit: the object is there, and nobody has noted it. */
static void repeat_without_the_commit(void) {
    struct buf first = {0}, second = {0};
    char path[200];
    crash_behind_the_intent();
    copy_file("facts.mdb", "facts.before");
    deliver_once();
    scan(&pipeline);
    assert_int_equal(object_count, 1);
    memcpy(path, objects[0].path, sizeof path);
    assert_int_equal(file_read_all(path, 1 << 20, &first, NULL), 0);

    copy_file("facts.before", "facts.mdb");
    deliver_once();
    scan(&pipeline);
    assert_int_equal(object_count, 1);
    assert_string_equal(objects[0].path, path);
    assert_int_equal(file_read_all(path, 1 << 20, &second, NULL), 0);
    assert_true(str_eq(buf_str(&first), buf_str(&second)));
    buf_done(&first);
    buf_done(&second);
}

static void a_crash_before_the_commit_writes_the_same_object_again(void **state) {
    repeat_without_the_commit();
}

static void and_so_it_is_with_compression(void **state) {
    pipeline.config.compression = DELIVERY_GZIP;
    repeat_without_the_commit();
}

/* ---- at any moment ---- */

static bool push_more(struct pipeline *self) {
    if (self->config.deaggregate)
        push_packed(self, 3);
    else
        push(self, 3);
    return false;
}

static void deliver_for_ever(void) {
    pipeline_open(&pipeline);
    push_more(&pipeline);
    assert_true(run_until(&pipeline, is_committed));
    assert_int_equal(write(ready_pipe[1], "r", 1), 1);
    run_until(&pipeline, push_more);
}

static void kill_at_a_random_moment(void) {
    pid_t child = start_child("deliver");
    char ready;
    assert_int_equal(read(ready_pipe[0], &ready, 1), 1);
    usleep((useconds_t)(random_u64() % 60000));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void deliver_through_kills(uint64_t lines_per_record) {
    pipeline.config.buffer_interval_ms = 4;
    assert_int_equal(pipe(ready_pipe), 0);
    for (int i = 0; i < KILLS; i++)
        kill_at_a_random_moment();
    close(ready_pipe[0]);
    close(ready_pipe[1]);
    pipeline_open(&pipeline);
    assert_true(pipeline.pushed >= KILLS);
    deliver_all();
    assert_exactly_once(&pipeline, 0, pipeline.pushed * lines_per_record);
    pipeline_close(&pipeline, 1000);
}

static void whatever_the_moment_each_record_is_in_one_object(void **state) {
    deliver_through_kills(1);
}

static void whatever_the_moment_each_packed_record_is_in_one_object(void **state) {
    pipeline.config.deaggregate = true;
    deliver_through_kills(PACKED_RECORDS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **arguments) {
    if (argc == 7)
        be_child(arguments);
    const struct CMUnitTest tests[] = {
        TEST(a_crash_while_gathering_loses_nothing),
        TEST(a_crash_behind_the_intent_gives_the_object_it_names),
        TEST(a_crash_before_the_commit_writes_the_same_object_again),
        TEST(and_so_it_is_with_compression),
        TEST(whatever_the_moment_each_record_is_in_one_object),
        TEST(whatever_the_moment_each_packed_record_is_in_one_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
