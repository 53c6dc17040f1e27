/*
 * The private redis-server: made from a configuration that Weir writes, started, watched, restarted
 * with back-off, stopped. Belongs to its loop's thread; callbacks there, never from inside open or
 * close.
 */
#ifndef STATE_SUPERVISOR_H
#define STATE_SUPERVISOR_H

#include "base/err.h"
#include "io/loop.h"

struct state_supervisor;

struct state_supervisor_config {
    const char *program;   /* looked up in PATH if it has no slash */
    const char *directory; /* made with mode 0700 */
    /* It says that it accepts connections; after each start. */
    void (*on_ready)(void *data);
    void *data;
};

/* Starts it and does not wait. An error when the program cannot be executed or the directory not be
 * written. The texts of `config` are copied. */
int state_supervisor_open(struct loop *loop, const struct state_supervisor_config *config,
                          struct state_supervisor **ret_supervisor, struct err *err);

/* The absolute path of its socket; owned by the supervisor. */
const char *state_supervisor_socket(const struct state_supervisor *supervisor);

/* SIGTERM, after some seconds SIGKILL; then `closed` and the memory is gone. */
void state_supervisor_close(struct state_supervisor *supervisor, void (*closed)(void *data),
                            void *data);

#endif
