/*
 * The states:
 *
 *   WAITING     for something to be asked, or for room behind the gate
 *   APPLYING    a batch is on the pool
 *   COMMITTING  the answers are published, and what rules and stored sessions make of them is on its way to the
 *               disk: until then the facts keep the answers, so that they are published again if the
 *               process ends
 *   PAUSED      the facts or the log could not be written: `next` is tried again after PAUSE_MS. Answers that
 *               were committed before are not published again
 *
 * A log that cannot be read is tried again after PAUSE_MS as well, in WAITING: calls need not wait
 * for it.
 *
 * Two batches are never under way, so the longer a commit takes, the more the next one takes with it.
 *
 * When nothing has been asked for FORGET_MS a batch without requests removes the answers that are
 * kept: a crash much later shall not publish them again. The same ends a clean stop.
 *
 * Calls come before the log in a batch, so that neither waits for the other for longer than one.
 */
#include "things/shadow_runner.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "things/intake.h"
#include "things/shadow_batch.h"
#include "things/shadow_calls.h"

enum {
    SHARD = 0,
    CALLS_PER_BATCH = 128,
    RECORDS_PER_BATCH = 512,
    RECORD_BYTES_PER_BATCH = 1 << 20,
    PAUSE_MS = 1000,
    FORGET_MS = 1000,
    LOG_INTERVAL_MS = 10000,
};

enum state { WAITING, APPLYING, COMMITTING, PAUSED };

struct shadow_runner {
    struct things *things;
    struct things_surroundings around;
    struct stream_reader *reader; /* NULL: there is no log, or it cannot be read */
    uint64_t counter;             /* of the first record that is not applied */
    struct shadow_calls calls;
    enum state state;
    struct work work;
    struct shadow_batch batch;
    struct shadow_item items[CALLS_PER_BATCH + RECORDS_PER_BATCH];
    struct buf answers;   /* which are to be published */
    size_t told, safe;    /* so many bytes of them were published; are committed as well */
    bool is_tell_stopped; /* the disk did not take the next one */
    bool keeps_answers;   /* the facts do */
    bool forgets;         /* the next batch may be empty */
    bool read_failed;     /* the log: it is tried again */
    uint64_t first_ticket, last_ticket;
    bool commit_failed;
    struct sink_gate_listener listener;
    struct timer timer;
    void (*next)(struct shadow_runner *runner); /* when it fires */
    struct buf topic;
    struct log_limit limit;
    struct metric by_http, by_mqtt, rejected, batches, waiting, dropped;
    bool is_stopping;
    void (*stopped)(void *data);
    void *stopped_data;
};

static void begin(struct shadow_runner *runner);
static void publish(struct shadow_runner *runner);

static void complain(struct shadow_runner *runner, const char *what, const char *why) {
    unsigned missed;
    if (log_limit_pass(&runner->limit, LOG_INTERVAL_MS, &missed))
        log_error("things", "%s: %s (%u more like this)", what, why, missed);
}

/* ---- the end ---- */

static void on_timer_closed(struct timer *timer) {
    struct shadow_runner *runner = CONTAINER_OF(timer, struct shadow_runner, timer);
    struct metric *metrics[] = {&runner->by_http, &runner->by_mqtt, &runner->rejected,
                                &runner->batches, &runner->waiting, &runner->dropped};
    void (*stopped)(void *data) = runner->stopped;
    void *data = runner->stopped_data;
    for (size_t i = 0; i < COUNT_OF(metrics); i++)
        metric_done(metrics[i]);
    buf_done(&runner->answers);
    buf_done(&runner->topic);
    runner->things->runner = NULL;
    free(runner);
    stopped(data);
}

static void finish(struct shadow_runner *runner) {
    stream_reader_close(runner->reader);
    list_remove(&runner->listener.link);
    timer_close(&runner->timer, on_timer_closed);
}

/* ---- time ---- */

static void on_timer(struct timer *timer) {
    struct shadow_runner *runner = CONTAINER_OF(timer, struct shadow_runner, timer);
    runner->next(runner);
}

static void next_after(struct shadow_runner *runner, uint64_t delay_ms,
                       void (*next)(struct shadow_runner *runner)) {
    runner->next = next;
    timer_start(runner->around.loop, &runner->timer, delay_ms, 0, on_timer);
}

static void pause_before(struct shadow_runner *runner, void (*next)(struct shadow_runner *runner)) {
    runner->state = PAUSED;
    if (runner->is_stopping)
        finish(runner);
    else
        next_after(runner, PAUSE_MS, next);
}

static void wait(struct shadow_runner *runner) {
    runner->state = WAITING;
    begin(runner);
}

/* ---- gathering a batch ---- */

static bool is_wanted(struct shadow_runner *runner, const struct shadow_request *request,
                      enum shadow_answer answer) {
    struct message_publisher *publisher = runner->around.publisher;
    buf_clear(&runner->topic);
    shadow_topic_write(&runner->topic, request, shadow_answer_tails[answer]);
    return !publisher->is_wanted || publisher->is_wanted(publisher, buf_str(&runner->topic));
}

static void begin_batch(struct shadow_runner *runner) {
    runner->batch = (struct shadow_batch){.things = runner->things,
                                          .stream = runner->around.requests,
                                          .items = runner->items,
                                          .next_counter = runner->counter,
                                          .end_counter = runner->counter,
                                          .had_answers = runner->keeps_answers,
                                          .ms_max = SHADOW_BATCH_MS_MAX};
}

static struct shadow_item *add_item(struct shadow_runner *runner,
                                    const struct shadow_request *request) {
    struct shadow_item *item = &runner->items[runner->batch.count++];
    unsigned answers = request->operation == SHADOW_UPDATE ? SHADOW_ANSWERS : SHADOW_REJECTED + 1;
    *item = (struct shadow_item){.request = *request};
    for (unsigned i = 0; i < answers; i++)
        item->wanted |= (unsigned)is_wanted(runner, request, (enum shadow_answer)i) << i;
    return item;
}

static void take_calls(struct shadow_runner *runner) {
    struct shadow_call *asked;
    while (runner->batch.count < CALLS_PER_BATCH && (asked = shadow_calls_pop(&runner->calls)))
        add_item(runner, &asked->request)->call = asked->call;
}

static void take_records(struct shadow_runner *runner, const struct stream_batch *records) {
    for (size_t i = 0; i < records->count; i++) {
        const struct stream_record *record = &records->records[i];
        struct shadow_request request;
        if (shadow_request_read(record->data, &request)) {
            complain(runner, "requests/shadows", "a record is damaged and passed over");
            waiting_forget(&runner->things->waiting);
            continue;
        }
        add_item(runner, &request)->next_counter = record->counter + 1;
    }
}

static void take_log(struct shadow_runner *runner) {
    struct stream_reader *reader = runner->reader;
    struct stream_batch records;
    uint64_t behind_ms, waiting = 0;
    int code;
    if (!reader)
        return;
    /* The reader reports a damaged block and goes on behind it. */
    while ((code = stream_reader_next(reader, RECORDS_PER_BATCH, RECORD_BYTES_PER_BATCH,
                                      &records)) == ERR_CORRUPT)
        waiting_forget(&runner->things->waiting);
    if (!code)
        take_records(runner, &records);
    runner->read_failed = code && code != ERR_AGAIN;
    runner->batch.end_counter = stream_reader_counter(reader);
    if (runner->read_failed) {
        complain(runner, "requests/shadows cannot be read", err_text(code));
        stream_reader_seek(reader, runner->batch.end_counter); /* opens the file anew */
    }
    stream_reader_lag(reader, &waiting, &behind_ms);
    metric_set(&runner->waiting, (int64_t)waiting);
}

/* ---- a batch comes home ---- */

static void end_items(struct shadow_runner *runner) {
    struct shadow_batch *batch = &runner->batch;
    for (size_t i = batch->count; i > batch->done; i--)
        if (batch->items[i - 1].call)
            shadow_calls_put_back(&runner->calls, batch->items[i - 1].call);
    for (size_t i = 0; i < batch->done; i++) {
        struct shadow_item *item = &batch->items[i];
        metric_add(item->call ? &runner->by_http : &runner->by_mqtt, 1);
        metric_add(&runner->rejected, item->code != 0);
        if (item->call)
            shadow_call_end(item->call, item->code, item->err.text, buf_str(&item->output));
        buf_done(&item->output);
    }
}

/* Requests that are done wait no more; those of an earlier run were not counted. */
static void give_back(struct shadow_runner *runner) {
    const struct shadow_batch *batch = &runner->batch;
    for (size_t i = 0; i < batch->done; i++) {
        const struct shadow_item *item = &batch->items[i];
        if (!item->call && item->next_counter > runner->things->waits_from)
            waiting_give_back(&runner->things->waiting, item->request.thing);
    }
}

static void move_cursor(struct shadow_runner *runner, uint64_t counter) {
    if (!runner->reader)
        return;
    if (stream_reader_counter(runner->reader) != counter)
        stream_reader_seek(runner->reader, counter);
    if (runner->counter != counter)
        stream_release(runner->around.requests, SHARD, counter);
    runner->counter = counter;
}

/* Nothing was changed: who asked by HTTP is told, what is in the log comes again. */
static void fail_batch(struct shadow_runner *runner) {
    struct shadow_batch *batch = &runner->batch;
    complain(runner, "shadows cannot be written", batch->err.text);
    for (size_t i = 0; i < batch->count; i++) {
        struct shadow_item *item = &batch->items[i];
        if (item->call)
            shadow_call_end(item->call, batch->status, batch->err.text, STR(""));
        buf_done(&item->output);
    }
    buf_done(&batch->answers);
    move_cursor(runner, runner->counter);
    pause_before(runner, wait);
}

static void on_applied(struct work *work) {
    struct shadow_runner *runner = CONTAINER_OF(work, struct shadow_runner, work);
    struct shadow_batch *batch = &runner->batch;
    if (batch->status) {
        fail_batch(runner);
        return;
    }
    metric_add(&runner->batches, 1);
    metric_add(&runner->things->shadows.count, batch->count_added);
    metric_add(&runner->things->bytes, batch->bytes_added);
    runner->keeps_answers = buf_len(&batch->answers) > 0;
    buf_done(&runner->answers);
    runner->answers = batch->answers;
    runner->told = runner->safe = 0;
    give_back(runner);
    move_cursor(runner, batch->next_counter);
    end_items(runner);
    publish(runner);
}

static void apply(struct work *work) {
    shadow_batch_apply(&CONTAINER_OF(work, struct shadow_runner, work)->batch);
}

/* ---- the next batch ---- */

static void forget(struct shadow_runner *runner) {
    runner->forgets = true;
    begin(runner);
}

static void begin(struct shadow_runner *runner) {
    bool is_stopping = runner->is_stopping;
    if (runner->state != WAITING || (!is_stopping && !sink_gate_has_room(runner->around.gate)))
        return;
    begin_batch(runner);
    if (!is_stopping) {
        take_calls(runner);
        take_log(runner);
    }
    bool is_empty = runner->batch.end_counter == runner->counter && runner->batch.count == 0;
    bool may_forget = runner->keeps_answers && (runner->forgets || is_stopping);
    runner->forgets = false;
    if (is_empty && !may_forget) {
        if (is_stopping)
            finish(runner);
        else if (runner->read_failed)
            next_after(runner, PAUSE_MS, begin);
        else if (runner->keeps_answers && !timer_running(&runner->timer))
            next_after(runner, FORGET_MS, forget);
        return;
    }
    timer_stop(&runner->timer);
    runner->state = APPLYING;
    loop_work(runner->around.loop, &runner->work, apply, on_applied);
}

/* ---- answers ---- */

/* What comes of the disk is tried again, from this one on; what only this message meets is dropped. */
static bool publish_one(struct shadow_runner *runner, const struct shadow_told *told) {
    const struct message message = {
        .topic = told->topic, .payload = told->payload, .qos = 1, .republish_depth = told->depth};
    uint64_t ticket = sink_gate_ticket(runner->around.gate);
    int result = things_intake_publish(runner->around.intake, &message);
    if (result == ERR_NO_SPACE || result == ERR_IO) {
        complain(runner, "an answer cannot be published", err_text(result));
        return false;
    }
    metric_add(&runner->dropped, result < 0);
    if (result == MESSAGE_STAGED)
        runner->last_ticket = ticket;
    return true;
}

/* Whether they were committed is known; those that are not come again, no other. */
static void review(struct shadow_runner *runner) {
    if (runner->commit_failed)
        runner->told = runner->safe;
    else
        runner->safe = runner->told;
    if (runner->commit_failed || runner->is_tell_stopped)
        pause_before(runner, publish);
    else
        wait(runner);
}

static void publish(struct shadow_runner *runner) {
    struct str answers = buf_str(&runner->answers), rest = str_skip(answers, runner->told);
    struct shadow_told told;
    runner->first_ticket = sink_gate_ticket(runner->around.gate);
    runner->last_ticket = 0;
    runner->commit_failed = runner->is_tell_stopped = false;
    while (!runner->is_tell_stopped && shadow_answers_next(&rest, &told)) {
        runner->is_tell_stopped = !publish_one(runner, &told);
        if (!runner->is_tell_stopped)
            runner->told = answers.len - rest.len;
    }
    if (runner->last_ticket)
        runner->state = COMMITTING;
    else
        review(runner);
}

static void on_commit(struct sink_gate_listener *listener, uint64_t ticket, int status) {
    struct shadow_runner *runner = CONTAINER_OF(listener, struct shadow_runner, listener);
    if (runner->state != COMMITTING || ticket < runner->first_ticket)
        return;
    runner->commit_failed |= status != 0;
    if (ticket >= runner->last_ticket)
        review(runner);
}

void shadow_runner_ask(struct things *things, struct rest_call *call,
                       enum shadow_operation operation, struct str thing, struct str shadow) {
    struct shadow_runner *runner = things->runner;
    struct shadow_calls *calls = runner ? &runner->calls : NULL;
    if (shadow_calls_add(calls, call, operation, thing, shadow))
        begin(runner);
}

static void on_room(struct sink_gate_listener *listener) {
    begin(CONTAINER_OF(listener, struct shadow_runner, listener));
}

static void on_ready(struct stream_reader *reader, void *data) {
    begin(data);
}

/* ---- life ---- */

static void init_metrics(struct shadow_runner *runner) {
    static const char requests[] = "weir_things_shadow_requests_total",
                      requests_help[] = "Requests on shadows that were done";
    metric_init(&runner->by_http, METRIC_COUNTER, requests, requests_help, "by=\"http\"");
    metric_init(&runner->by_mqtt, METRIC_COUNTER, requests, requests_help, "by=\"mqtt\"");
    metric_init(&runner->rejected, METRIC_COUNTER, "weir_things_shadow_rejected_total",
                "Requests on shadows that were rejected", NULL);
    metric_init(&runner->batches, METRIC_COUNTER, "weir_things_shadow_commits_total",
                "Commits of the facts for shadows", NULL);
    metric_init(&runner->waiting, METRIC_GAUGE, "weir_things_shadow_waiting",
                "Requests by MQTT that wait in their log", NULL);
    metric_init(&runner->dropped, METRIC_COUNTER, "weir_things_shadow_answers_dropped_total",
                "Answers that the broker refused", NULL);
}

/* After a power cut a log that is not synced may end before what was applied of it. */
static int find_cursor(struct shadow_runner *runner, struct err *err) {
    struct stream *stream = runner->around.requests;
    struct facts *facts = runner->things->facts;
    struct stream_shard_info info;
    int code = shadow_cursor_get(facts, stream, &runner->counter);
    if (code && code != ERR_NOT_FOUND)
        return err_set(err, code, "the checkpoint of requests/shadows: %s", err_text(code));
    stream_shard_get(stream, SHARD, &info);
    if (runner->counter <= info.next_counter)
        return 0;
    runner->counter = info.next_counter;
    return shadow_cursor_set(facts, stream, runner->counter, err);
}

static int open_log(struct shadow_runner *runner, struct err *err) {
    int code = find_cursor(runner, err);
    const struct stream_position from = {.from = STREAM_AT_COUNTER, .counter = runner->counter};
    return code ? code
                : stream_reader_open(runner->around.requests, SHARD, runner->around.loop, &from,
                                     on_ready, runner, &runner->reader, err);
}

static int load_answers(struct shadow_runner *runner, struct err *err) {
    int code = shadow_answers_load(runner->things->facts, &runner->answers);
    runner->keeps_answers = buf_len(&runner->answers) > 0;
    return code ? err_set(err, code, "the answers in facts.mdb: %s", err_text(code)) : 0;
}

static void ignore(void *data) {}

int things_start(struct things *things, const struct things_surroundings *around, struct err *err) {
    struct shadow_runner *runner = xcalloc(1, sizeof *runner);
    runner->things = things;
    runner->around = *around;
    shadow_calls_init(&runner->calls);
    init_metrics(runner);
    runner->listener.on_commit = on_commit;
    runner->listener.on_room = on_room;
    sink_gate_listen(around->gate, &runner->listener);
    int code = load_answers(runner, err);
    if (!code && around->requests)
        code = open_log(runner, err);
    things->runner = runner;
    runner->state = PAUSED;
    if (code)
        things_stop(things, ignore, NULL);
    else
        next_after(runner, 0, publish);
    return code;
}

void things_stop(struct things *things, void (*stopped)(void *data), void *data) {
    struct shadow_runner *runner = things->runner;
    if (!runner) {
        stopped(data);
        return;
    }
    ASSERT(!runner->is_stopping);
    runner->is_stopping = true;
    runner->stopped = stopped;
    runner->stopped_data = data;
    shadow_calls_close(&runner->calls);
    if (runner->state == PAUSED)
        finish(runner);
    else
        begin(runner);
}
