/*
 * One action's log on its way to the target. Belongs to the service loop; action_host owns it.
 */
#ifndef ACTION_RUNNER_H
#define ACTION_RUNNER_H

#include "action/target.h"

struct action_runner;

struct action_runner_config {
    struct loop *loop;
    const struct action_services *services;
    struct stream_checkpoint_writer *checkpoints;
    struct stream *stream;
    /* All that waited in the log was delivered and nothing comes any more (action_runner_drain). */
    void (*drained)(void *data);
    void *data;
};

/* Takes a reference on the spec's owner. What `config` points to outlives the runner. */
int action_runner_open(const struct action_runner_config *config, const struct action_spec *spec,
                       struct action_runner **ret_runner, struct err *err);

/* Goes on with these settings, at the latest when the present batch is settled; drains no more. */
void action_runner_update(struct action_runner *runner, const struct action_spec *spec);

/* No engine pushes any more. `drained` runs, never before this returns, when the log has been empty
 * for ACTION_DRAIN_MS: so long may what a worker had staged take to its commit. */
enum { ACTION_DRAIN_MS = 3000 };
void action_runner_drain(struct action_runner *runner);

/* Something it waits for may be there: its pause ends. */
void action_runner_hurry(struct action_runner *runner);

/* Nothing new is begun; a send under way may end within `grace_ms`. Then `closed`, never before this
 * returns; the runner is to be freed when its checkpoint may go (stream_checkpoint_writer). */
void action_runner_close(struct action_runner *runner, unsigned grace_ms,
                         void (*closed)(void *data), void *data);

/* Whether its checkpoint is not under way to the disk; what was noted is not written any more. */
bool action_runner_forget(struct action_runner *runner);

/* It is closed. NULL is fine. */
void action_runner_free(struct action_runner *runner);

#endif
