/*
 * The way of a batch, one at a time per action, so that the order of the log is kept:
 *
 *   GATHERING  the next records are read; if there are none, or the kind lets batches wait for more,
 *              later again
 *   SENDING    the target has the items that are not settled
 *   REFUSING   those that failed for good are handed to the rule's error action, one after the other
 *   COMMITTING what the error action pushed is on its way to the disk
 *   PAUSED     the target, the error action, the log or the target's configuration does not work: after
 *              the back-off the step is tried again
 *   SWITCHING  the target closes; one with other settings takes its place
 *   CLOSING    everything closes
 *
 * After each send the checkpoint moves to the first item that is not settled, and the log's segments
 * before it may go. Items are views into the reader's memory, which stays until the next read, so a
 * batch that is tried for hours costs no more than a moment's.
 *
 * What is not settled when the runner closes, or the process is killed, comes again at the next start.
 */
#include "action/runner.h"

#include <stdio.h>
#include <stdlib.h>

#include "action/batch.h"
#include "action/cursor.h"
#include "action/meter.h"
#include "action/refusals.h"
#include "base/backoff.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    PAUSE_MS_FIRST = 200,
    PAUSE_MS_MAX = 30 * 1000,
    METER_MS = 1000,
    LOG_INTERVAL_MS = 10 * 1000,
    TIMERS = 3,
};

enum state { GATHERING, SENDING, REFUSING, COMMITTING, PAUSED, SWITCHING, CLOSING };

#define TO(state) (1u << (state))
static const unsigned moves[] = {
    [GATHERING] = TO(SENDING) | TO(PAUSED) | TO(SWITCHING) | TO(CLOSING),
    [SENDING] = TO(GATHERING) | TO(REFUSING) | TO(PAUSED) | TO(CLOSING),
    [REFUSING] = TO(COMMITTING) | TO(PAUSED) | TO(GATHERING) | TO(CLOSING),
    [COMMITTING] = TO(GATHERING) | TO(REFUSING) | TO(PAUSED) | TO(CLOSING),
    [PAUSED] = TO(GATHERING) | TO(SENDING) | TO(REFUSING) | TO(SWITCHING) | TO(CLOSING),
    [SWITCHING] = TO(GATHERING) | TO(PAUSED) | TO(CLOSING),
    [CLOSING] = 0,
};

struct action_runner {
    struct action_runner_config config;
    const struct action_spec *spec;      /* a reference on its owner */
    const struct action_spec *next_spec; /* NULL: no other settings wait; else as above */
    struct action_cursor cursor;
    struct action_target *target; /* NULL: not open */
    enum state state;

    struct action_batch batch;
    bool has_lingered;
    unsigned failures; /* sends in a row of which nothing was taken */
    uint64_t ticket;   /* COMMITTING */

    struct timer timer, meter_timer, grace_timer;
    void (*next)(struct action_runner *runner);
    void (*paused)(struct action_runner *runner); /* what is tried again after the pause */
    struct sink_gate_listener listener;
    struct action_meter meter;
    struct action_refusals refusals;
    struct log_limit retry_limit, other_limit;

    bool is_draining;
    uint64_t draining_since_ms;
    unsigned open_parts; /* while closing */
    void (*closed)(void *data);
    void *closed_data;
};

static const struct action_target_kind *kind_of(const struct action_runner *runner) {
    return CONTAINER_OF(runner->spec->kind, struct action_target_kind, kind);
}

static const char *name_of(const struct action_runner *runner) {
    return stream_name(runner->config.stream);
}

static void move(struct action_runner *runner, enum state to) {
    ASSERT(moves[runner->state] & TO(to));
    runner->state = to;
}

/* ---- what comes next ---- */

static void on_timer(struct timer *timer) {
    struct action_runner *runner = CONTAINER_OF(timer, struct action_runner, timer);
    runner->next(runner);
}

static void next_after(struct action_runner *runner, uint64_t delay_ms,
                       void (*next)(struct action_runner *runner)) {
    runner->next = next;
    timer_start(runner->config.loop, &runner->timer, delay_ms, 0, on_timer);
}

static void pause_before(struct action_runner *runner, void (*next)(struct action_runner *runner)) {
    move(runner, PAUSED);
    runner->failures++;
    runner->paused = next;
    next_after(runner,
               backoff_spread_ms(backoff_ms(PAUSE_MS_FIRST, PAUSE_MS_MAX, runner->failures)), next);
}

/* ---- the target ---- */

static void gather(struct action_runner *runner);
static void send_pending(struct action_runner *runner);
static void refuse(struct action_runner *runner);

static void log_other(struct action_runner *runner, const char *what, const char *why) {
    unsigned missed;
    if (log_limit_pass(&runner->other_limit, LOG_INTERVAL_MS, &missed))
        log_error("action", "%s: %s: %s (%u more like this)", name_of(runner), what, why, missed);
}

static void on_settled(struct action_target *target);
static void on_target_ready(struct action_target *target);

static bool open_target(struct action_runner *runner) {
    struct err err;
    if (runner->target)
        return true;
    int code = kind_of(runner)->open(runner->config.loop, runner->config.services,
                                     runner->spec->settings, &runner->target, &err);
    if (code) {
        runner->target = NULL;
        log_other(runner, "cannot begin", err.text);
        return false;
    }
    runner->target->settled = on_settled;
    runner->target->ready = on_target_ready;
    runner->target->runner = runner;
    runner->target->meter = &runner->meter;
    runner->target->spec = runner->spec;
    return true;
}

void action_runner_hurry(struct action_runner *runner) {
    if (runner->state == PAUSED && runner->paused == send_pending)
        next_after(runner, 0, send_pending);
}

static void on_target_ready(struct action_target *target) {
    action_runner_hurry(target->runner);
}

/* ---- other settings ---- */

static void shut(struct action_runner *runner);

static void resume(struct action_runner *runner) {
    if (runner->closed) {
        shut(runner);
        return;
    }
    move(runner, GATHERING);
    if (runner->batch.count)
        send_pending(runner);
    else
        gather(runner);
}

static void on_target_closed_to_switch(void *data) {
    struct action_runner *runner = data;
    runner->target = NULL;
    action_spec_unref(runner->spec);
    runner->spec = runner->next_spec;
    runner->next_spec = NULL;
    next_after(runner, 0, resume);
}

static void begin_switch(struct action_runner *runner) {
    move(runner, SWITCHING);
    if (runner->target)
        runner->target->ops->close(runner->target, on_target_closed_to_switch, runner);
    else
        on_target_closed_to_switch(runner);
}

void action_runner_update(struct action_runner *runner, const struct action_spec *spec) {
    runner->is_draining = false;
    action_spec_unref(runner->next_spec);
    runner->next_spec = NULL;
    if (conf_equal(runner->spec->conf, spec->conf))
        return;
    action_spec_ref(spec);
    runner->next_spec = spec;
    if (runner->state == GATHERING)
        next_after(runner, 0, gather);
    else if (runner->state == PAUSED)
        next_after(runner, 0, runner->paused);
}

/* ---- gathering ---- */

static void finish_batch(struct action_runner *runner) {
    action_cursor_note(&runner->cursor, &runner->batch);
    action_batch_clear(&runner->batch);
    runner->has_lingered = false;
    move(runner, GATHERING);
    next_after(runner, 0, gather);
}

static void take_batch(struct action_runner *runner, const struct stream_batch *batch) {
    action_batch_reserve(&runner->batch, kind_of(runner)->batch_items_max);
    for (size_t i = 0; i < batch->count; i++) {
        int code = action_batch_take(&runner->batch, &batch->records[i]);
        if (!code)
            continue;
        metric_add(&runner->meter.damaged, 1);
        log_other(runner, "a record of the log cannot be read and is passed over", err_text(code));
    }
    send_pending(runner);
}

/* Whether the batch is to wait for more; once per batch. */
static bool linger(struct action_runner *runner) {
    const struct action_target_kind *kind = kind_of(runner);
    uint64_t records, behind_ms;
    if (!kind->linger_ms || runner->has_lingered)
        return false;
    stream_reader_lag(runner->cursor.reader, &records, &behind_ms);
    unsigned ms = kind->linger_ms(runner->spec->settings);
    if (!ms || !records || records >= kind->batch_items_max)
        return false;
    runner->has_lingered = true;
    next_after(runner, ms, gather);
    return true;
}

/* Nothing more is committed. What a worker had staged when the engines were changed may still come. */
static void on_tip(struct action_runner *runner) {
    runner->has_lingered = false;
    if (!runner->is_draining)
        return;
    uint64_t quiet_ms = loop_now_ms(runner->config.loop) - runner->draining_since_ms;
    if (quiet_ms < ACTION_DRAIN_MS)
        next_after(runner, ACTION_DRAIN_MS - quiet_ms, gather);
    else
        runner->config.drained(runner->config.data);
}

static void gather(struct action_runner *runner) {
    struct stream_batch batch;
    if (runner->state == PAUSED)
        move(runner, GATHERING);
    if (runner->next_spec) {
        begin_switch(runner);
        return;
    }
    if (linger(runner))
        return;
    const struct action_target_kind *kind = kind_of(runner);
    uint64_t counter = stream_reader_counter(runner->cursor.reader);
    int code = stream_reader_next(runner->cursor.reader, kind->batch_items_max,
                                  kind->batch_bytes_max, &batch);
    if (code == 0) {
        take_batch(runner, &batch);
    } else if (code == ERR_AGAIN) {
        on_tip(runner);
    } else if (code == ERR_CORRUPT && stream_reader_counter(runner->cursor.reader) != counter) {
        action_cursor_note(&runner->cursor, &runner->batch);
        next_after(runner, 0, gather);
    } else if (code != ERR_CLOSED) {
        log_other(runner, "its log cannot be read", err_text(code));
        pause_before(runner, gather);
    }
}

static void on_ready(struct stream_reader *reader, void *data) {
    struct action_runner *runner = data;
    if (runner->state == GATHERING && !timer_running(&runner->timer))
        next_after(runner, 0, gather);
}

void action_runner_drain(struct action_runner *runner) {
    if (runner->is_draining)
        return;
    runner->is_draining = true;
    runner->draining_since_ms = loop_now_ms(runner->config.loop);
    if (runner->state == GATHERING)
        next_after(runner, 0, gather);
}

/* ---- sending ---- */

static void send_pending(struct action_runner *runner) {
    if (runner->next_spec) {
        begin_switch(runner);
        return;
    }
    if (!open_target(runner)) {
        if (runner->state == PAUSED)
            move(runner, GATHERING);
        pause_before(runner, send_pending);
        return;
    }
    size_t count = action_batch_collect(&runner->batch, runner->target);
    move(runner, SENDING);
    if (!count) {
        finish_batch(runner);
        return;
    }
    runner->target->unsettled = count;
    runner->target->ops->send(runner->target, runner->batch.pending, count);
}

static void review(struct action_runner *runner);

static void on_settled(struct action_target *target) {
    next_after(target->runner, 0, review);
}

/* Nothing waits for the error action. */
static void go_on(struct action_runner *runner) {
    const struct action_batch_item *waiting = action_batch_first(&runner->batch, ITEM_PENDING);
    unsigned missed;
    if (!waiting) {
        finish_batch(runner);
        return;
    }
    action_cursor_note(&runner->cursor, &runner->batch);
    if (log_limit_pass(&runner->retry_limit, LOG_INTERVAL_MS, &missed))
        log_warn("action", "%s: messages wait: %s (%u more like this)", name_of(runner),
                 waiting->item.why, missed);
    pause_before(runner, send_pending);
}

static void review(struct action_runner *runner) {
    struct action_tally tally =
        action_batch_review(&runner->batch, runner->spec->settings, clock_wall_ms());
    metric_add(&runner->meter.success, tally.taken);
    metric_add(&runner->meter.retries, tally.retried);
    if (tally.taken || tally.failed)
        runner->failures = 0;
    if (runner->closed) {
        action_cursor_note(&runner->cursor, &runner->batch);
        shut(runner);
    } else if (action_batch_first(&runner->batch, ITEM_REFUSED)) {
        refuse(runner);
    } else {
        go_on(runner);
    }
}

/* ---- the error action ---- */

static void refuse(struct action_runner *runner) {
    move(runner, REFUSING);
    int result =
        action_refusals_hand_over(&runner->refusals, runner->spec, &runner->batch, &runner->meter);
    if (action_batch_first(&runner->batch, ITEM_STAGED)) {
        runner->ticket = sink_gate_ticket(runner->config.services->gate);
        move(runner, COMMITTING);
    } else if (result < 0) {
        pause_before(runner, refuse);
    } else {
        go_on(runner);
    }
}

static void after_commit(struct action_runner *runner) {
    if (action_batch_first(&runner->batch, ITEM_REFUSED))
        pause_before(runner, refuse);
    else
        go_on(runner);
}

static void on_commit(struct sink_gate_listener *listener, uint64_t ticket, int status) {
    struct action_runner *runner = CONTAINER_OF(listener, struct action_runner, listener);
    if (runner->state != COMMITTING || ticket != runner->ticket)
        return;
    action_batch_commit(&runner->batch, status);
    next_after(runner, 0, after_commit);
}

/* ---- metrics ---- */

static void on_meter(struct timer *timer) {
    struct action_runner *runner = CONTAINER_OF(timer, struct action_runner, meter_timer);
    action_cursor_show(&runner->cursor, &runner->batch, &runner->meter);
}

/* ---- opening ---- */

int action_runner_open(const struct action_runner_config *config, const struct action_spec *spec,
                       struct action_runner **ret_runner, struct err *err) {
    struct action_runner *runner = xcalloc(1, sizeof *runner);
    runner->config = *config;
    runner->spec = spec;
    runner->refusals =
        (struct action_refusals){.services = config->services, .name = stream_name(config->stream)};
    runner->cursor =
        (struct action_cursor){.stream = config->stream, .checkpoints = config->checkpoints};
    int code = action_cursor_open(&runner->cursor, config->loop, config->services->facts, on_ready,
                                  runner, err);
    if (code) {
        free(runner);
        return code;
    }
    action_spec_ref(spec);
    action_meter_init(&runner->meter, spec);
    runner->listener.on_commit = on_commit;
    sink_gate_listen(config->services->gate, &runner->listener);
    timer_start(config->loop, &runner->meter_timer, 0, METER_MS, on_meter);
    next_after(runner, 0, gather);
    *ret_runner = runner;
    return 0;
}

/* ---- closing ---- */

static void on_part_closed(void *data) {
    struct action_runner *runner = data;
    if (--runner->open_parts == 0)
        runner->closed(runner->closed_data);
}

static void on_timer_closed(struct timer *timer) {
    on_part_closed(CONTAINER_OF(timer, struct action_runner, timer));
}

static void on_meter_closed(struct timer *timer) {
    on_part_closed(CONTAINER_OF(timer, struct action_runner, meter_timer));
}

static void on_grace_closed(struct timer *timer) {
    on_part_closed(CONTAINER_OF(timer, struct action_runner, grace_timer));
}

/* The meter's timer was started, so it ends in a later turn, and `closed` with it. */
static void on_target_closed(void *data) {
    struct action_runner *runner = data;
    runner->target = NULL;
    action_cursor_close(&runner->cursor);
    runner->open_parts = TIMERS;
    timer_close(&runner->meter_timer, on_meter_closed);
    timer_close(&runner->timer, on_timer_closed);
    timer_close(&runner->grace_timer, on_grace_closed);
}

/* The target may look at the items until it is closed. */
static void shut(struct action_runner *runner) {
    move(runner, CLOSING);
    list_remove(&runner->listener.link);
    timer_stop(&runner->timer);
    if (runner->target)
        runner->target->ops->close(runner->target, on_target_closed, runner);
    else
        on_target_closed(runner);
}

static void on_grace_over(struct timer *timer) {
    struct action_runner *runner = CONTAINER_OF(timer, struct action_runner, grace_timer);
    if (runner->state == SENDING)
        shut(runner);
}

void action_runner_close(struct action_runner *runner, unsigned grace_ms,
                         void (*closed)(void *data), void *data) {
    ASSERT(!runner->closed);
    runner->closed = closed;
    runner->closed_data = data;
    if (runner->state == SWITCHING)
        return; /* it ends behind that */
    if (runner->target)
        runner->target->is_stopping = true;
    if (runner->state == SENDING && grace_ms)
        timer_start(runner->config.loop, &runner->grace_timer, grace_ms, 0, on_grace_over);
    else
        shut(runner);
}

bool action_runner_forget(struct action_runner *runner) {
    return action_cursor_forget(&runner->cursor);
}

void action_runner_free(struct action_runner *runner) {
    if (!runner)
        return;
    action_batch_done(&runner->batch);
    action_meter_done(&runner->meter);
    action_spec_unref(runner->spec);
    action_spec_unref(runner->next_spec);
    free(runner);
}
