/*
 * Files, all in the directory of the private Redis (mode 0700: who may enter it may talk to Redis):
 *
 *     redis.conf      written by Weir, at each start as it must be
 *     redis.pid       written by redis-server
 *     redis.sock      its socket; it removes a left-over one itself
 *     appendonlydir/  its append-only file
 *
 * A socket's path has at most 107 bytes. When that of the data folder is longer, the socket (and
 * nothing else) lies in a fresh directory of mode 0700 in $XDG_RUNTIME_DIR, else in /tmp, that is
 * removed at the end. A symbolic link would not help the server, which binds the path that it gets.
 *
 * Why `appendfsync always`. An event source mapping moves its checkpoint, on disk, when the
 * function has succeeded, and the function has counted in Redis by then. With `everysec` a power
 * cut could take back a count whose records the checkpoint has left behind for ever; written before
 * each reply, the count is never behind the checkpoint. It is cheap: Redis syncs once per turn of
 * its loop, not once per command, and a function sends one batch in one turn.
 *
 * No snapshots (`save ""`): the append-only file is the data, and is rewritten when it has doubled.
 *
 *     WAITING --timer--> RUNNING --exit--> WAITING (back-off 100 ms .. 10 s)
 *        |                  +--close--> STOPPING --exit--> gone
 *        +-- a left-over redis-server still works here: look again in 20 ms
 *
 * Left-over. The child dies with Weir (PR_SET_PDEATHSIG), also when Weir is killed, but it may need
 * a moment, and two servers must never append to one file. So before each start the process of
 * redis.pid must be gone; it is known for ours by its working directory. One that does not go
 * within some seconds is killed. Two Weirs on one data folder are kept apart by the lock that app
 * holds.
 */
#include "state/supervisor.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "io/file.h"
#include "io/process.h"

enum {
    BACKOFF_MS_MIN = 100,
    BACKOFF_MS_MAX = 10 * 1000,
    STABLE_MS = 10 * 1000, /* ran so long: the next back-off begins anew */
    LEFT_OVER_LOOK_MS = 20,
    LEFT_OVER_MS_MAX = 5 * 1000,
    STOP_MS_MAX = 5 * 1000,
    LAST_WORDS_CHARS = 200,
    SOCKET_PATH_BYTES_MAX = sizeof((struct sockaddr_un *)NULL)->sun_path - 1,
};

enum phase { WAITING, RUNNING, STOPPING };

struct state_supervisor {
    struct loop *loop;
    char *program, *directory, *socket, *conf_path;
    char *socket_directory; /* NULL: the socket lies in `directory` */
    void (*on_ready)(void *data);
    void *data;
    enum phase phase;
    struct process *process; /* while it lives */
    struct timer timer;      /* the next start, or the limit of the stop */
    unsigned failures;       /* starts in a row that did not last */
    uint64_t started_ms;
    uint64_t left_over_until_ms; /* 0: nothing is left over */
    bool is_ready;
    char last_words[LAST_WORDS_CHARS]; /* why it ended, usually */
    struct metric restarts;
    void (*closed)(void *data);
    void *closed_data;
};

/* ---- files ---- */

/* As redis.conf wants a text that may hold blanks. */
static void add_quoted(struct buf *out, const char *name, const char *value) {
    buf_printf(out, "%s \"", name);
    for (const char *c = value; *c; c++) {
        if ((unsigned char)*c < 0x20)
            buf_printf(out, "\\x%02x", (unsigned char)*c);
        else if (*c == '"' || *c == '\\')
            buf_printf(out, "\\%c", *c);
        else
            buf_add_u8(out, (uint8_t)*c);
    }
    buf_add(out, "\"\n", 2);
}

static void add_conf(struct buf *out, const struct state_supervisor *supervisor) {
    char *pid_path = xprintf("%s/redis.pid", supervisor->directory);
    buf_add_str(out, STR("# Written by Weir at each start.\nport 0\n"));
    add_quoted(out, "unixsocket", supervisor->socket);
    buf_add_str(out, STR("unixsocketperm 700\nprotected-mode yes\ndaemonize no\n"));
    add_quoted(out, "dir", supervisor->directory);
    add_quoted(out, "pidfile", pid_path);
    buf_add_str(out, STR("appendonly yes\nappendfsync always\nsave \"\"\n"
                         "loglevel notice\nlogfile \"\"\n"));
    free(pid_path);
}

/* Only when it differs, so that an ordinary start waits for no disk. */
static int write_conf(const struct state_supervisor *supervisor, struct err *err) {
    struct buf wanted = {0}, there = {0};
    add_conf(&wanted, supervisor);
    int code = 0;
    if (file_read_all(supervisor->conf_path, 64 * 1024, &there, NULL) ||
        !str_eq(buf_str(&wanted), buf_str(&there)))
        code = file_write_atomic(supervisor->conf_path, buf_str(&wanted), err);
    buf_done(&wanted);
    buf_done(&there);
    return code;
}

static int make_directory(struct state_supervisor *supervisor, const char *path, struct err *err) {
    int code = file_make_directories(path, err);
    if (code)
        return code;
    supervisor->directory = realpath(path, NULL);
    if (!supervisor->directory || chmod(supervisor->directory, 0700) != 0)
        return err_set_errno(err, errno, "%s", path);
    return 0;
}

static int make_socket_directory(struct state_supervisor *supervisor, struct err *err) {
    const char *parent = getenv("XDG_RUNTIME_DIR");
    if (!parent || parent[0] != '/' || strlen(parent) > SOCKET_PATH_BYTES_MAX / 2)
        parent = "/tmp";
    char *path = xprintf("%s/weir-XXXXXX", parent);
    if (!mkdtemp(path)) {
        int code =
            err_set_errno(err, errno, "cannot make a directory for the socket in %s", parent);
        free(path);
        return code;
    }
    supervisor->socket_directory = path;
    return 0;
}

static int place_socket(struct state_supervisor *supervisor, struct err *err) {
    supervisor->socket = xprintf("%s/redis.sock", supervisor->directory);
    if (strlen(supervisor->socket) <= SOCKET_PATH_BYTES_MAX)
        return 0;
    int code = make_socket_directory(supervisor, err);
    if (code)
        return code;
    free(supervisor->socket);
    supervisor->socket = xprintf("%s/redis.sock", supervisor->socket_directory);
    return 0;
}

static pid_t read_pid(const struct state_supervisor *supervisor) {
    struct buf text = {0};
    uint64_t pid = 0;
    char *path = xprintf("%s/redis.pid", supervisor->directory);
    if (!file_read_all(path, 64, &text, NULL) && !str_to_u64(str_trim(buf_str(&text)), &pid))
        pid = 0;
    free(path);
    buf_done(&text);
    return pid > 1 && pid < INT_MAX ? (pid_t)pid : 0;
}

/* The living process of redis.pid if it works in our directory, else 0. */
static pid_t find_left_over(const struct state_supervisor *supervisor) {
    char link[64], target[PATH_MAX];
    pid_t pid = read_pid(supervisor);
    if (!pid)
        return 0;
    snprintf(link, sizeof link, "/proc/%d/cwd", (int)pid);
    ssize_t len = readlink(link, target, sizeof target);
    if (len < 0 || !str_eq(str_from(target, (size_t)len), str_of(supervisor->directory)))
        return 0;
    return pid;
}

/* ---- its output ---- */

/* "1234:M 23 Nov 2026 06:15:00.123 * Ready to accept connections": what stands behind the sign, and
 * the sign, from '.' (debug) to '#' (warning). */
static struct str cut_prefix(struct str line, char *ret_sign) {
    struct str rest = line, word = {0};
    for (int i = 0; i < 6 && rest.len; i++)
        word = str_cut(rest, ' ', &rest);
    bool is_redis = word.len == 1 && strchr(".-*#", word.at[0]);
    *ret_sign = is_redis ? word.at[0] : '#';
    return is_redis ? rest : line;
}

/* Redis marks greetings as warnings while it starts and stops; they matter only if it then ends. */
static void on_line(void *data, bool is_stderr, const char *line, size_t len) {
    struct state_supervisor *supervisor = data;
    char sign;
    struct str text = cut_prefix(str_from(line, len), &sign);
    bool is_ready = memmem(text.at, text.len, "eady to accept connections", 26) != NULL;
    bool is_warning = sign == '#' && supervisor->is_ready && supervisor->phase == RUNNING;
    if (text.len && sign == '#')
        snprintf(supervisor->last_words, sizeof supervisor->last_words, "%.*s", STR_ARG(text));
    if (is_warning)
        log_warn("redis", "%.*s", STR_ARG(text));
    else
        log_debug("redis", "%.*s", STR_ARG(text));
    if (is_ready && !supervisor->is_ready) {
        supervisor->is_ready = true;
        if (supervisor->phase == RUNNING)
            supervisor->on_ready(supervisor->data);
    }
}

/* ---- start, exit, start again ---- */

static void on_start_due(struct timer *timer);
static void finish(struct state_supervisor *supervisor);

static void wait_for_start(struct state_supervisor *supervisor, unsigned delay_ms) {
    supervisor->phase = WAITING;
    timer_start(supervisor->loop, &supervisor->timer, delay_ms, 0, on_start_due);
}

static unsigned next_backoff_ms(struct state_supervisor *supervisor) {
    uint64_t lived_ms = loop_now_ms(supervisor->loop) - supervisor->started_ms;
    if (lived_ms >= STABLE_MS)
        supervisor->failures = 0;
    return (unsigned)backoff_ms(BACKOFF_MS_MIN, BACKOFF_MS_MAX, ++supervisor->failures);
}

static void on_exit_(void *data, int status) {
    struct state_supervisor *supervisor = data;
    supervisor->process = NULL;
    if (supervisor->phase == STOPPING) {
        finish(supervisor);
        return;
    }
    char how[PROCESS_STATUS_CHARS];
    process_status_text(status, how);
    if (WIFSIGNALED(status))
        supervisor->last_words[0] = 0;
    unsigned delay_ms = next_backoff_ms(supervisor);
    log_warn("redis", "redis-server ended (%s%s%s); it is started again in %u ms", how,
             supervisor->last_words[0] ? ": " : "", supervisor->last_words, delay_ms);
    metric_add(&supervisor->restarts, 1);
    wait_for_start(supervisor, delay_ms);
}

static int start(struct state_supervisor *supervisor, struct err *err) {
    const char *const argv[] = {supervisor->program, supervisor->conf_path, NULL};
    const struct process_config config = {
        .argv = argv, .on_line = on_line, .on_exit = on_exit_, .data = supervisor};
    int code = process_start(supervisor->loop, &config, &supervisor->process, err);
    if (code)
        return code;
    supervisor->phase = RUNNING;
    supervisor->is_ready = false;
    supervisor->last_words[0] = 0;
    supervisor->started_ms = loop_now_ms(supervisor->loop);
    log_debug("redis", "redis-server started, pid %d, socket %s",
              (int)process_pid(supervisor->process), supervisor->socket);
    return 0;
}

/* Whether the start must wait for a left-over server; looks again later if so. */
static bool wait_for_left_over(struct state_supervisor *supervisor) {
    pid_t pid = find_left_over(supervisor);
    uint64_t now_ms = loop_now_ms(supervisor->loop);
    if (!pid) {
        supervisor->left_over_until_ms = 0;
        return false;
    }
    if (!supervisor->left_over_until_ms) {
        log_info("redis", "waiting for the end of a left-over redis-server, pid %d", (int)pid);
        supervisor->left_over_until_ms = now_ms + LEFT_OVER_MS_MAX;
        kill(pid, SIGTERM);
    } else if (now_ms >= supervisor->left_over_until_ms) {
        log_warn("redis", "killing a left-over redis-server that does not end, pid %d", (int)pid);
        supervisor->left_over_until_ms = now_ms + LEFT_OVER_MS_MAX;
        kill(pid, SIGKILL);
    }
    wait_for_start(supervisor, LEFT_OVER_LOOK_MS);
    return true;
}

static void on_start_due(struct timer *timer) {
    struct state_supervisor *supervisor = CONTAINER_OF(timer, struct state_supervisor, timer);
    struct err err;
    if (wait_for_left_over(supervisor) || !start(supervisor, &err))
        return;
    unsigned delay_ms = next_backoff_ms(supervisor);
    log_warn("redis", "%s; tried again in %u ms", err.text, delay_ms);
    wait_for_start(supervisor, delay_ms);
}

/* ---- life ---- */

static void free_supervisor(struct state_supervisor *supervisor) {
    if (supervisor->socket_directory) {
        unlink(supervisor->socket);
        rmdir(supervisor->socket_directory);
    }
    metric_done(&supervisor->restarts);
    free(supervisor->program);
    free(supervisor->directory);
    free(supervisor->socket);
    free(supervisor->socket_directory);
    free(supervisor->conf_path);
    free(supervisor);
}

int state_supervisor_open(struct loop *loop, const struct state_supervisor_config *config,
                          struct state_supervisor **ret_supervisor, struct err *err) {
    struct state_supervisor *supervisor = xcalloc(1, sizeof *supervisor);
    supervisor->loop = loop;
    supervisor->program = xstrdup(config->program);
    supervisor->on_ready = config->on_ready;
    supervisor->data = config->data;
    int code = make_directory(supervisor, config->directory, err);
    if (!code)
        code = place_socket(supervisor, err);
    if (!code) {
        supervisor->conf_path = xprintf("%s/redis.conf", supervisor->directory);
        code = write_conf(supervisor, err);
    }
    if (!code && !wait_for_left_over(supervisor))
        code = start(supervisor, err);
    if (code) {
        free_supervisor(supervisor);
        return err_wrap(err, "the private Redis");
    }
    metric_init(&supervisor->restarts, METRIC_COUNTER, "weir_redis_restarts_total",
                "Times that the private redis-server ended and was started again.", NULL);
    *ret_supervisor = supervisor;
    return 0;
}

const char *state_supervisor_socket(const struct state_supervisor *supervisor) {
    return supervisor->socket;
}

static void on_timer_closed(struct timer *timer) {
    struct state_supervisor *supervisor = CONTAINER_OF(timer, struct state_supervisor, timer);
    void (*closed)(void *data) = supervisor->closed;
    void *data = supervisor->closed_data;
    free_supervisor(supervisor);
    closed(data);
}

static void finish(struct state_supervisor *supervisor) {
    timer_close(&supervisor->timer, on_timer_closed);
}

static void on_stop_late(struct timer *timer) {
    struct state_supervisor *supervisor = CONTAINER_OF(timer, struct state_supervisor, timer);
    log_warn("redis", "redis-server does not end; killing it");
    process_signal(supervisor->process, SIGKILL);
}

void state_supervisor_close(struct state_supervisor *supervisor, void (*closed)(void *data),
                            void *data) {
    supervisor->phase = STOPPING;
    supervisor->closed = closed;
    supervisor->closed_data = data;
    if (!supervisor->process) {
        finish(supervisor);
        return;
    }
    process_signal(supervisor->process, SIGTERM);
    timer_start(supervisor->loop, &supervisor->timer, STOP_MS_MAX, 0, on_stop_late);
}
