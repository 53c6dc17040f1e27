/* For tests of this folder: a log of an action with a writer, a runner's surroundings, and a kind whose
 * target does what the test says. */
#ifndef ACTION_WORLD_TEST_H
#define ACTION_WORLD_TEST_H

#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "action/runner.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metric.h"
#include "io/file.h"

enum { TEST_SECONDS_MAX = 60, TAKEN_MAX = 256 };

struct fake_settings {
    struct action_settings common;
    const char *name;
};

struct world {
    char directory[32];
    struct loop *loop;
    struct stream_log *log;
    struct facts *facts;
    struct stream_writer *writer;
    struct stream *stream;
    struct stream_checkpoint_writer *checkpoints;
    struct action_services services;
    struct timer tick;

    /* The target's script: what item N, by its payload, comes to; else `verdict`. */
    enum action_verdict verdict;
    int bad;         /* payload that comes to ACTION_FAILED, or -1 */
    int later;       /* payload that is retried `later_times` */
    int later_times; /* how often */
    bool is_silent;  /* nothing is settled */
    bool is_broken;  /* it cannot be opened */
    int taken[TAKEN_MAX];
    unsigned taken_count, sends, opened, closed_targets;
    const char *opened_name;

    /* The error action. */
    int fail_result;        /* also after ... */
    unsigned fail_refusals; /* ... so many refusals */
    int failed[TAKEN_MAX];
    unsigned failed_count;
    char why[256];

    struct fake_settings settings[2];
    struct conf confs[2];
    struct action_spec specs[2];
    unsigned references;
    struct action_runner *runner;
    bool drained, closed;
};

extern struct world *world;

static inline void turn(void) {
    uv_run(loop_uv(world->loop), UV_RUN_ONCE);
}

#define UNTIL(condition)                                                                           \
    while (!(condition))                                                                           \
    turn()

#endif
