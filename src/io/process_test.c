#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "io/file.h"
#include "io/process.h"

enum { LINES_MAX = 16 };

struct run {
    struct loop *loop;
    struct process *process;
    struct buf out[2]; /* all lines, each with a newline behind it */
    size_t lens[LINES_MAX];
    int lines, status;
    bool exited;
};

static void on_line(void *data, bool is_stderr, const char *line, size_t len) {
    struct run *run = data;
    assert_false(run->exited);
    if (run->lines < LINES_MAX)
        run->lens[run->lines] = len;
    run->lines++;
    buf_add(&run->out[is_stderr], line, len);
    buf_add_u8(&run->out[is_stderr], '\n');
}

static void on_exit_(void *data, int status) {
    struct run *run = data;
    assert_false(run->exited);
    run->exited = true;
    run->status = status;
}

static struct process_config shell(struct run *run, const char *const argv[]) {
    return (struct process_config){
        .argv = argv, .on_line = on_line, .on_exit = on_exit_, .data = run};
}

static void begin(struct run *run, const struct process_config *config) {
    struct err err = {0};
    *run = (struct run){.loop = loop_new()};
    if (process_start(run->loop, config, &run->process, &err) != 0)
        fail_msg("%s", err.text);
    assert_true(process_pid(run->process) > 0);
}

static void turn(struct run *run) {
    uv_run(loop_uv(run->loop), UV_RUN_NOWAIT);
    usleep(300);
}

static void await_exit(struct run *run) {
    uint64_t give_up_ns = clock_mono_ns() + 30 * 1000000000ULL;
    while (!run->exited) {
        assert_true(clock_mono_ns() < give_up_ns);
        turn(run);
    }
}

static void await_lines(struct run *run, int count) {
    uint64_t give_up_ns = clock_mono_ns() + 30 * 1000000000ULL;
    while (run->lines < count) {
        assert_true(clock_mono_ns() < give_up_ns);
        turn(run);
    }
}

static void end(struct run *run) {
    loop_free(run->loop);
    buf_done(&run->out[0]);
    buf_done(&run->out[1]);
}

/* Starts a shell with the script, waits for its end. */
static void run_script(struct run *run, const char *script) {
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct process_config config = shell(run, argv);
    begin(run, &config);
    await_exit(run);
}

static void lines_of_both_outputs_arrive_whole(void **state) {
    struct run run;
    run_script(
        &run,
        "echo one; printf 'two\\n\\nthr'; echo bad >&2; sleep 0.05; printf 'ee\\nfour'; exit 3");
    assert_string_equal(buf_cstr(&run.out[0]), "one\ntwo\n\nthree\nfour\n");
    assert_string_equal(buf_cstr(&run.out[1]), "bad\n");
    assert_true(WIFEXITED(run.status));
    assert_int_equal(WEXITSTATUS(run.status), 3);
    end(&run);
}

static void a_long_line_comes_in_pieces(void **state) {
    struct run run;
    run_script(&run, "head -c 40000 /dev/zero | tr '\\0' x; echo; echo short");
    assert_int_equal(run.lines, 4);
    assert_int_equal(run.lens[0], PROCESS_LINE_BYTES_MAX);
    assert_int_equal(run.lens[1], PROCESS_LINE_BYTES_MAX);
    assert_int_equal(run.lens[2], 40000 - 2 * PROCESS_LINE_BYTES_MAX);
    assert_int_equal(run.lens[3], 5);
    end(&run);
}

static void what_cannot_be_started_is_told_at_once(void **state) {
    char path[] = "/tmp/weir-process-XXXXXX";
    close(mkstemp(path)); /* Not executable. */
    struct {
        const char *program, *directory;
        int code;
    } cases[] = {
        {"/nonexistent/program", NULL, ERR_NOT_FOUND},
        {"no-such-program-in-path", NULL, ERR_NOT_FOUND},
        {path, NULL, ERR_DENIED},
        {"/tmp", NULL, ERR_DENIED},
        {"true", "/nonexistent", ERR_NOT_FOUND},
    };
    struct loop *loop = loop_new();
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *const argv[] = {cases[i].program, NULL};
        struct process_config config = shell(NULL, argv);
        config.directory = cases[i].directory;
        struct process *process = NULL;
        struct err err = {0};
        assert_int_equal(process_start(loop, &config, &process, &err), cases[i].code);
        assert_non_null(strstr(err.text, cases[i].program));
        assert_null(process);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* No zombie is left. */
        assert_int_equal(errno, ECHILD);
    }
    unlink(path);
    loop_free(loop);
}

static void the_environment_and_directory_are_those_given(void **state) {
    struct run run;
    const char *const argv[] = {
        "/bin/sh", "-c",
        "pwd; /usr/bin/env | grep -v -e ^PWD= -e ^_= -e ^SHLVL= -e ^OLDPWD= | sort", NULL};
    const char *const environment[] = {"ALPHA=1", "BETA=two words", NULL};
    struct process_config config = shell(&run, argv);
    config.environment = environment;
    config.directory = "/";
    begin(&run, &config);
    await_exit(&run);
    assert_string_equal(buf_cstr(&run.out[0]), "/\nALPHA=1\nBETA=two words\n");
    end(&run);
}

static void a_relative_program_is_found_from_here(void **state) {
    char directory[] = "/tmp/weir-process-XXXXXX", before[4096], path[64];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/tool", directory);
    assert_int_equal(file_write_atomic(path, STR("#!/bin/sh\npwd\n"), NULL), 0);
    assert_int_equal(chmod(path, 0700), 0);
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(directory), 0);
    struct run run;
    const char *const argv[] = {"./tool", NULL};
    struct process_config config = shell(&run, argv);
    config.directory = "/";
    begin(&run, &config);
    await_exit(&run);
    assert_string_equal(buf_cstr(&run.out[0]), "/\n");
    assert_int_equal(chdir(before), 0);
    end(&run);
    file_remove_tree(directory, NULL);
}

/* Descriptors without close-on-exec, an ignored SIGPIPE and blocked signals of this process stay
 * here. */
static void the_child_inherits_neither_descriptors_nor_signals(void **state) {
    int leaking = open("/dev/null", O_RDONLY);
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    struct run run;
    run_script(
        &run,
        "ls /proc/self/fd | wc -l; grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\t\\n'; "
        "readlink /proc/self/fd/0");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(leaking);
    assert_string_equal(buf_cstr(&run.out[0]),
                        "4\nSigBlk:0000000000000000SigIgn:0000000000000000/dev/null\n");
    end(&run);
}

static void output_is_discarded_when_nobody_listens(void **state) {
    struct run run;
    const char *const argv[] = {
        "sh", "-c", "echo x; [ $(readlink /proc/$$/fd/1) = /dev/null ] && exit 7", NULL};
    struct process_config config = shell(&run, argv);
    config.on_line = NULL;
    begin(&run, &config);
    await_exit(&run);
    assert_int_equal(WEXITSTATUS(run.status), 7);
    end(&run);
}

static bool is_alive(pid_t pid) {
    char path[64];
    struct buf content = {0};
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    bool alive = file_read_all(path, 4096, &content, NULL) == 0;
    if (alive) {
        const char *state_ = strrchr(buf_cstr(&content), ')');
        alive = state_ && state_[2] != 'Z' && state_[2] != 'X';
    }
    buf_done(&content);
    return alive;
}

static void await_death(pid_t pid) {
    for (int i = 0; i < 5000 && is_alive(pid); i++)
        usleep(1000);
    assert_false(is_alive(pid));
}

static void a_signal_reaches_the_whole_group(void **state) {
    struct run run;
    const char *const argv[] = {"sh", "-c", "sleep 1000 & echo $!; wait", NULL};
    struct process_config config = shell(&run, argv);
    begin(&run, &config);
    await_lines(&run, 1);
    pid_t grandchild = atoi(buf_cstr(&run.out[0]));
    assert_true(is_alive(grandchild));
    assert_true(process_memory_peak_bytes(run.process) > 0);
    process_signal(run.process, SIGTERM);
    await_exit(&run);
    assert_true(WIFSIGNALED(run.status));
    assert_int_equal(WTERMSIG(run.status), SIGTERM);
    await_death(grandchild);
    end(&run);
}

static void what_a_child_leaves_in_its_group_is_killed(void **state) {
    struct run run;
    run_script(&run, "sleep 1000 & echo $!");
    await_death(atoi(buf_cstr(&run.out[0])));
    assert_int_equal(WEXITSTATUS(run.status), 0);
    end(&run);
}

static void a_grandchild_that_left_the_group_cannot_hold_the_end(void **state) {
    struct run run;
    run_script(&run, "setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.3; exit 5");
    pid_t stray = atoi(buf_cstr(&run.out[0]));
    assert_int_equal(WEXITSTATUS(run.status), 5);
    assert_true(stray > 0 && is_alive(stray));
    kill(stray, SIGKILL);
    end(&run);
}

static void memory_is_limited(void **state) {
    struct run run;
    const char *const argv[] = {"sh", "-c", "ulimit -v", NULL};
    struct process_config config = shell(&run, argv);
    config.memory_bytes_max = 512L << 20;
    begin(&run, &config);
    await_exit(&run);
    assert_string_equal(buf_cstr(&run.out[0]), "524288\n");
    end(&run);
}

static void many_children_at_once_all_end(void **state) {
    enum { CHILDREN = 20 };
    static struct run runs[CHILDREN];
    struct loop *loop = loop_new();
    for (int i = 0; i < CHILDREN; i++) {
        char script[32];
        snprintf(script, sizeof script, "echo %d; exit %d", i, i);
        const char *const argv[] = {"sh", "-c", script, NULL};
        struct process_config config = shell(&runs[i], argv);
        runs[i] = (struct run){.loop = loop};
        assert_int_equal(process_start(loop, &config, &runs[i].process, NULL), 0);
    }
    for (int i = 0; i < CHILDREN; i++) {
        char text[8];
        await_exit(&runs[i]);
        assert_int_equal(WEXITSTATUS(runs[i].status), i);
        snprintf(text, sizeof text, "%d\n", i);
        assert_string_equal(buf_cstr(&runs[i].out[0]), text);
        buf_done(&runs[i].out[0]);
    }
    loop_free(loop);
}

/* A process between: it starts a child and is killed; the child must go with it. */
static void children_die_with_the_process_that_started_them(void **state) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t between = fork();
    assert_true(between >= 0);
    if (between == 0) {
        struct run run = {.loop = loop_new()};
        const char *const argv[] = {"sleep", "1000", NULL};
        struct process_config config = shell(&run, argv);
        pid_t child = process_start(run.loop, &config, &run.process, NULL) == 0
                          ? process_pid(run.process)
                          : 0;
        _exit(write(ends[1], &child, sizeof child) == sizeof child ? (pause(), 0) : 1);
    }
    pid_t child = 0;
    assert_int_equal(read(ends[0], &child, sizeof child), sizeof child);
    assert_true(child > 0 && is_alive(child));
    kill(between, SIGKILL);
    assert_int_equal(waitpid(between, NULL, 0), between);
    await_death(child);
    close(ends[0]);
    close(ends[1]);
}

static void a_status_is_told_in_words(void **state) {
    char text[PROCESS_STATUS_CHARS];
    process_status_text(127 << 8, text);
    assert_string_equal(text, "exit status 127");
    process_status_text(SIGKILL, text);
    assert_string_equal(text, "signal: killed");
    process_status_text(SIGSEGV | 0x80, text);
    assert_string_equal(text, "signal: segmentation fault");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_both_outputs_arrive_whole),
        cmocka_unit_test(a_long_line_comes_in_pieces),
        cmocka_unit_test(what_cannot_be_started_is_told_at_once),
        cmocka_unit_test(the_environment_and_directory_are_those_given),
        cmocka_unit_test(a_relative_program_is_found_from_here),
        cmocka_unit_test(the_child_inherits_neither_descriptors_nor_signals),
        cmocka_unit_test(output_is_discarded_when_nobody_listens),
        cmocka_unit_test(a_signal_reaches_the_whole_group),
        cmocka_unit_test(what_a_child_leaves_in_its_group_is_killed),
        cmocka_unit_test(a_grandchild_that_left_the_group_cannot_hold_the_end),
        cmocka_unit_test(memory_is_limited),
        cmocka_unit_test(many_children_at_once_all_end),
        cmocka_unit_test(children_die_with_the_process_that_started_them),
        cmocka_unit_test(a_status_is_told_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
