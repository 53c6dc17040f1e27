/*
 * Starting. Between fork() and exec the child of a process with threads may call only what is safe
 * in a signal handler: everything that needs memory (path, arguments, environment) is made before.
 * The child reports a step that failed through a pipe that closes on exec: end of file in the
 * parent means that the program runs.
 *
 * Dying with Weir. PR_SET_PDEATHSIG is set in the child; if the parent was gone already, the
 * parent's pid has changed and the child ends by itself.
 *
 * Ending. The pidfd becomes readable when the child is a zombie. While it is, its pid and so its
 * process group cannot be taken by another, and whatever it left in the group is killed; then it is
 * reaped. on_exit waits for the end of both pipes, but not for ever: a grandchild that left the
 * group may hold them open.
 */
#include "io/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum { OUTPUT_GRACE_MS = 500 };

extern char **environ;

struct output {
    uv_pipe_t uv;
    struct process *process;
    struct buf line;
    bool is_stderr, opened;
};

struct process {
    struct loop *loop;
    pid_t pid;
    int pidfd;
    int status;
    bool exited;
    uv_poll_t exit_poll;
    struct output outputs[2];
    struct timer grace;
    int open_handles;
    void (*on_line)(void *data, bool is_stderr, const char *line, size_t len);
    void (*on_exit)(void *data, int status);
    void *data;
};

/* The child, between fork and exec. */

/* All that the child needs, made before the fork. */
struct launch {
    char *path;
    char **argv, **environment;
    const char *directory;
    rlim_t memory_bytes_max;
    pid_t parent;
    int null_fd, report_fd, output_fds[2]; /* output_fds: -1: discarded */
};

/* What the child sends through the report pipe when it could not become the program. */
struct report {
    int errno_value;
    char step[16];
};

static void fail_child(const struct launch *launch, const char *step) {
    struct report report = {.errno_value = errno};
    memcpy(report.step, step, strnlen(step, sizeof report.step - 1));
    ssize_t written = write(launch->report_fd, &report, sizeof report);
    (void)written; /* The parent then sees an end of file and an exit status. */
    _exit(127);
}

static void reset_signals(void) {
    for (int number = 1; number < NSIG; number++)
        if (number != SIGKILL && number != SIGSTOP)
            signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void connect_outputs(const struct launch *launch) {
    if (dup2(launch->null_fd, STDIN_FILENO) < 0)
        fail_child(launch, "stdin");
    for (int i = 0; i < 2; i++) {
        int fd = launch->output_fds[i] >= 0 ? launch->output_fds[i] : launch->null_fd;
        if (dup2(fd, i == 0 ? STDOUT_FILENO : STDERR_FILENO) < 0)
            fail_child(launch, "output");
    }
    close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC);
}

static void run_child(const struct launch *launch) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        fail_child(launch, "pdeathsig");
    if (getppid() != launch->parent)
        _exit(127);
    if (setpgid(0, 0) != 0)
        fail_child(launch, "setpgid");
    reset_signals();
    connect_outputs(launch);
    struct rlimit limit = {launch->memory_bytes_max, launch->memory_bytes_max};
    if (launch->memory_bytes_max && setrlimit(RLIMIT_AS, &limit) != 0)
        fail_child(launch, "memory limit");
    if (launch->directory && chdir(launch->directory) != 0)
        fail_child(launch, "directory");
    execve(launch->path, launch->argv, launch->environment);
    fail_child(launch, "exec");
}

/* Starting. */

/* Looks where execvp() would: in the PATH of this process, not in that of the new environment. */
static char *find_in_path(const char *name) {
    struct str rest = str_of(getenv("PATH"));
    if (!rest.len)
        rest = STR("/usr/local/bin:/usr/bin:/bin");
    while (rest.len) {
        struct str directory = str_cut(rest, ':', &rest);
        if (!directory.len)
            directory = STR(".");
        char *path = xprintf("%.*s/%s", STR_ARG(directory), name);
        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

/* A relative path is meant from here, even if the child is to start in another directory. */
static char *find_program(const struct process_config *config) {
    const char *name = config->argv[0];
    char *path = strchr(name, '/') ? xstrdup(name) : find_in_path(name);
    if (!path || path[0] == '/' || !config->directory)
        return path;
    char *here = getcwd(NULL, 0);
    ASSERT(here);
    char *absolute = xprintf("%s/%s", here, path);
    free(here);
    free(path);
    return absolute;
}

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

struct pipes {
    int report[2], output[2][2]; /* [0] is read here, [1] written by the child; -1: none */
};

static void close_pipes(struct pipes *pipes) {
    for (int end = 0; end < 2; end++) {
        close_fd(&pipes->report[end]);
        close_fd(&pipes->output[0][end]);
        close_fd(&pipes->output[1][end]);
    }
}

static int open_pipes(bool with_output, struct pipes *ret_pipes, struct err *err) {
    struct pipes pipes = {{-1, -1}, {{-1, -1}, {-1, -1}}};
    if (pipe2(pipes.report, O_CLOEXEC) != 0 ||
        (with_output &&
         (pipe2(pipes.output[0], O_CLOEXEC) != 0 || pipe2(pipes.output[1], O_CLOEXEC) != 0))) {
        int errno_value = errno;
        close_pipes(&pipes);
        return err_set_errno(err, errno_value, "cannot make a pipe");
    }
    *ret_pipes = pipes;
    return 0;
}

/* Signals are blocked meanwhile, so that no handler of this process runs in the child. */
static pid_t fork_child(const struct launch *launch) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    int errno_value = errno;
    if (pid == 0)
        run_child(launch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = errno_value;
    return pid;
}

/* Waits until the child became the program (0) or reports why it could not. */
static int await_exec(int report_fd, pid_t pid, const char *program, struct err *err) {
    struct report report;
    ssize_t got;
    do
        got = read(report_fd, &report, sizeof report);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof report)
        return 0;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return err_set_errno(err, report.errno_value, "cannot start %s (%s)", program, report.step);
}

static int launch_child(struct launch *launch, struct pipes *pipes, const char *program,
                        pid_t *ret_pid, struct err *err) {
    launch->report_fd = pipes->report[1];
    launch->output_fds[0] = pipes->output[0][1];
    launch->output_fds[1] = pipes->output[1][1];
    launch->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (launch->null_fd < 0)
        return err_set_errno(err, errno, "cannot open /dev/null");
    pid_t pid = fork_child(launch);
    int errno_value = errno;
    close_fd(&launch->null_fd);
    close_fd(&pipes->report[1]);
    close_fd(&pipes->output[0][1]);
    close_fd(&pipes->output[1][1]);
    if (pid < 0)
        return err_set_errno(err, errno_value, "cannot fork for %s", program);
    int failed = await_exec(pipes->report[0], pid, program, err);
    if (!failed)
        *ret_pid = pid;
    return failed;
}

/* Output. */

static void tell_line(struct output *output, const uint8_t *at, size_t len) {
    struct process *process = output->process;
    process->on_line(process->data, output->is_stderr, (const char *)at, len);
}

static void tell_whole_lines(struct output *output) {
    struct buf *line = &output->line;
    const uint8_t *newline;
    while (buf_len(line) && (newline = memchr(buf_at(line), '\n', buf_len(line)))) {
        size_t len = (size_t)(newline - buf_at(line));
        tell_line(output, buf_at(line), len);
        buf_consume(line, len + 1);
    }
    if (buf_len(line) == PROCESS_LINE_BYTES_MAX) {
        tell_line(output, buf_at(line), buf_len(line));
        buf_clear(line);
    }
}

static void on_handle_closed(struct process *process);

static void on_output_closed(uv_handle_t *uv) {
    on_handle_closed(CONTAINER_OF(uv, struct output, uv)->process);
}

/* Over: it was reaped, and nothing more can come from it. */
static void finish_if_over(struct process *process);

static void close_output(struct output *output) {
    if (!output->opened)
        return;
    output->opened = false;
    if (buf_len(&output->line))
        tell_line(output, buf_at(&output->line), buf_len(&output->line));
    buf_done(&output->line);
    uv_close((uv_handle_t *)&output->uv, on_output_closed);
}

static void on_line_room_wanted(uv_handle_t *uv, size_t suggested, uv_buf_t *ret_room) {
    struct buf *line = &CONTAINER_OF(uv, struct output, uv)->line;
    size_t room = PROCESS_LINE_BYTES_MAX - buf_len(line);
    *ret_room = (uv_buf_t){.base = (char *)buf_room(line, room), .len = room};
}

static void on_output(uv_stream_t *uv, ssize_t len, const uv_buf_t *room) {
    struct output *output = CONTAINER_OF(uv, struct output, uv);
    if (len > 0) {
        buf_added(&output->line, (size_t)len);
        tell_whole_lines(output);
    } else if (len < 0) {
        close_output(output);
        finish_if_over(output->process);
    }
}

static void open_output(struct process *process, int index, int *fd) {
    struct output *output = &process->outputs[index];
    output->process = process;
    output->is_stderr = index == 1;
    if (*fd < 0)
        return;
    int failed = uv_pipe_init(loop_uv(process->loop), &output->uv, 0);
    failed |= uv_pipe_open(&output->uv, *fd);
    failed |= uv_read_start((uv_stream_t *)&output->uv, on_line_room_wanted, on_output);
    ASSERT(!failed);
    *fd = -1;
    output->opened = true;
    process->open_handles++;
}

/* Ending. */

static void on_grace_closed(struct timer *timer) {
    on_handle_closed(CONTAINER_OF(timer, struct process, grace));
}

static void on_handle_closed(struct process *process) {
    if (--process->open_handles > 0)
        return;
    process->on_exit(process->data, process->status);
    free(process);
}

static void finish_if_over(struct process *process) {
    if (process->exited && !process->outputs[0].opened && !process->outputs[1].opened)
        timer_close(&process->grace, on_grace_closed);
}

static void on_grace_over(struct timer *timer) {
    struct process *process = CONTAINER_OF(timer, struct process, grace);
    close_output(&process->outputs[0]);
    close_output(&process->outputs[1]);
    finish_if_over(process);
}

static void on_exit_poll_closed(uv_handle_t *uv) {
    on_handle_closed(CONTAINER_OF(uv, struct process, exit_poll));
}

static void on_exited(uv_poll_t *poll, int status, int events) {
    struct process *process = CONTAINER_OF(poll, struct process, exit_poll);
    kill(-process->pid, SIGKILL);
    pid_t reaped;
    do
        reaped = waitpid(process->pid, &process->status, 0);
    while (reaped < 0 && errno == EINTR);
    ASSERT(reaped == process->pid);
    process->exited = true;
    uv_close((uv_handle_t *)&process->exit_poll, on_exit_poll_closed);
    close_fd(&process->pidfd);
    timer_start(process->loop, &process->grace, OUTPUT_GRACE_MS, 0, on_grace_over);
    finish_if_over(process);
}

static void watch_exit(struct process *process) {
    int failed = uv_poll_init(loop_uv(process->loop), &process->exit_poll, process->pidfd);
    ASSERT(!failed);
    failed = uv_poll_start(&process->exit_poll, UV_READABLE, on_exited);
    ASSERT(!failed);
    process->open_handles += 2; /* It and the timer, which starts when the process ends. */
}

static struct process *new_process(struct loop *loop, const struct process_config *config,
                                   pid_t pid, int pidfd, struct pipes *pipes) {
    struct process *process = xcalloc(1, sizeof *process);
    process->loop = loop;
    process->pid = pid;
    process->pidfd = pidfd;
    process->on_line = config->on_line;
    process->on_exit = config->on_exit;
    process->data = config->data;
    open_output(process, 0, &pipes->output[0][0]);
    open_output(process, 1, &pipes->output[1][0]);
    watch_exit(process);
    return process;
}

/* Without a pidfd its end could not be seen: it must not run. */
static int open_pidfd(pid_t pid, int *ret_pidfd, struct err *err) {
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        int errno_value = errno;
        kill(-pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        return err_set_errno(err, errno_value, "cannot watch process %d", (int)pid);
    }
    *ret_pidfd = pidfd;
    return 0;
}

int process_start(struct loop *loop, const struct process_config *config,
                  struct process **ret_process, struct err *err) {
    ASSERT(config->argv && config->argv[0] && config->on_exit);
    struct launch launch = {
        .path = find_program(config),
        .argv = (char **)(uintptr_t)config->argv,
        .environment = config->environment ? (char **)(uintptr_t)config->environment : environ,
        .directory = config->directory,
        .memory_bytes_max = (rlim_t)config->memory_bytes_max,
        .parent = getpid(),
    };
    if (!launch.path)
        return err_set(err, ERR_NOT_FOUND, "cannot start %s: it is not in PATH", config->argv[0]);
    struct pipes pipes;
    pid_t pid = 0;
    int pidfd = -1;
    int failed = open_pipes(config->on_line != NULL, &pipes, err);
    if (!failed) {
        failed = launch_child(&launch, &pipes, config->argv[0], &pid, err);
        if (!failed)
            failed = open_pidfd(pid, &pidfd, err);
        if (!failed)
            *ret_process = new_process(loop, config, pid, pidfd, &pipes);
        close_pipes(&pipes);
    }
    free(launch.path);
    return failed;
}

/* A living process. */

pid_t process_pid(const struct process *process) {
    return process->pid;
}

void process_signal(struct process *process, int signal_number) {
    if (!process->exited)
        kill(-process->pid, signal_number);
}

long process_memory_peak_bytes(const struct process *process) {
    if (process->exited)
        return 0;
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", (int)process->pid);
    FILE *file = fopen(path, "re");
    long kib = 0;
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %ld kB", &kib) == 1)
            break;
    if (file)
        fclose(file);
    return kib * 1024;
}

void process_status_text(int status, char ret_text[PROCESS_STATUS_CHARS]) {
    if (WIFEXITED(status)) {
        snprintf(ret_text, PROCESS_STATUS_CHARS, "exit status %d", WEXITSTATUS(status));
    } else if (WIFSIGNALED(status)) {
        const char *description = sigdescr_np(WTERMSIG(status));
        char name[PROCESS_STATUS_CHARS - 24];
        snprintf(name, sizeof name, "%s", description ? description : "unknown");
        if (name[0] >= 'A' && name[0] <= 'Z')
            name[0] = (char)(name[0] - 'A' + 'a');
        snprintf(ret_text, PROCESS_STATUS_CHARS, "signal: %s", name);
    } else {
        snprintf(ret_text, PROCESS_STATUS_CHARS, "status %d", status);
    }
}
