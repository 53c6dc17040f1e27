/*
 * Child processes that die with Weir: forked with PR_SET_PDEATHSIG (SIGKILL), in a process group of
 * their own, their end seen through a pidfd on the loop. All calls from the thread that started the
 * child, which must live as long as the child does (the kernel sends the signal when that thread
 * ends).
 */
#ifndef IO_PROCESS_H
#define IO_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "base/err.h"
#include "io/loop.h"

struct process;

struct process_config {
    /* NULL-terminated; argv[0] is looked up in PATH if it has no slash, and if it is relative it is
     * meant from here, not from `directory`. */
    const char *const *argv;
    /* NULL-terminated "NAME=value", the whole of it; NULL: inherited */
    const char *const *environment;
    const char *directory; /* NULL: inherited */
    /* Whole lines of standard output and error, without the newline; a line longer than
     * PROCESS_LINE_BYTES_MAX comes in pieces. NULL: output is discarded. */
    void (*on_line)(void *data, bool is_stderr, const char *line, size_t len);
    /* It ended, and its output is read to the end (or, if a process that left the group holds it
     * open, half a second passed): `status` as waitpid gives it. Whatever it left in its process
     * group was killed. The process is freed behind this call. Never before process_start()
     * returns. */
    void (*on_exit)(void *data, int status);
    void *data;
    long memory_bytes_max; /* RLIMIT_AS; 0: none */
};

enum { PROCESS_LINE_BYTES_MAX = 16 * 1024 };

/* Starts it. If the program cannot be executed, that is reported here (NOT_FOUND, DENIED), not as
 * an exit. */
int process_start(struct loop *loop, const struct process_config *config,
                  struct process **ret_process, struct err *err);

pid_t process_pid(const struct process *process);

/* To the whole process group; nothing happens when it has ended. The end comes by on_exit. */
void process_signal(struct process *process, int signal_number);

/* Peak resident set in bytes so far (/proc/PID/status VmHWM), 0 if unknown. */
long process_memory_peak_bytes(const struct process *process);

/* "exit status 127", "signal: killed" */
enum { PROCESS_STATUS_CHARS = 48 };
void process_status_text(int status, char ret_text[PROCESS_STATUS_CHARS]);

#endif
