/*
 * A producer's side of the log. Everything here runs on the producer's loop.
 *
 *      sink_push()    copies the record into the stage of (this writer, its shard): bounds, two
 *                     copies, no allocation, no clock but for the first push of a turn
 *      turn hook      seals all stages into one batch under the present ticket, sums the payloads,
 *                     posts it to the log thread
 *      on_home()      the batch comes back with its status: chunks to the pool, listeners hear of
 *                     the ticket
 *
 * The hook runs once per turn, after the callbacks of timers and sockets. A push that comes after
 * it in the same turn, from another hook, would wait until something wakes the loop; a timer that
 * is due at once, started by the first push of each turn and stopped by the hook, sees to it that
 * the loop does not sleep on staged records.
 *
 * Back-pressure: bytes staged and memory under way together are held against staging_bytes_max. What
 * is pushed beyond it is taken all the same (one message may overrun); producers ask has_room
 * before they take the next. on_room follows when half of the bound is free again.
 *
 * What is staged for other engines (engine.h, sinks.c) the hook posts to them under the same ticket.
 * A ticket's parts come home when they may; the ticket commits when all of them have, and in its
 * order.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "stream/writer.h"

enum { STAGING_BYTES_DEFAULT = 8 * 1024 * 1024 };

/* Runs only when the loop would have slept on staged records; the hook of the same turn seals them. */
static void on_nudge(struct timer *timer) {}

void writer_begin_turn(struct stream_writer *writer) {
    writer->turn_ms = clock_wall_ms();
    timer_start(writer->loop, &writer->nudge, 0, 0, on_nudge);
}

/* ---- to the log thread and home ---- */

static size_t used_bytes(const struct stream_writer *writer) {
    return writer->staged_bytes + writer->under_way_bytes;
}

static void tell_commit(struct stream_writer *writer, uint64_t ticket, int status) {
    LIST_EACH(item, &writer->gate.listeners) {
        struct sink_gate_listener *listener = LIST_ITEM(item, struct sink_gate_listener, link);
        listener->on_commit(listener, ticket, status);
    }
}

static void tell_room(struct stream_writer *writer) {
    if (!writer->was_full || used_bytes(writer) >= writer->bytes_max / 2)
        return;
    writer->was_full = false;
    LIST_EACH(item, &writer->gate.listeners) {
        struct sink_gate_listener *listener = LIST_ITEM(item, struct sink_gate_listener, link);
        if (listener->on_room)
            listener->on_room(listener);
    }
}

static void settle_sent(struct stream_receipt *receipt) {
    const struct engine_record *record = &receipt->sent->records[receipt->counter];
    receipt->sent = NULL;
    receipt->status = record->status;
    receipt->shard = record->shard;
    receipt->counter = record->counter;
    receipt->arrival_ms = record->arrival_ms;
}

/* Until now `counter` said which record of its chunk or batch it is. */
static void settle_receipt(struct stream_receipt *receipt) {
    if (receipt->sent) {
        settle_sent(receipt);
        return;
    }
    const struct chunk *chunk = receipt->chunk;
    receipt->chunk = NULL;
    receipt->status = chunk->status;
    struct segment_block block = {0};
    if (receipt->status == 0) {
        int status = segment_header_read(chunk->block, chunk->used, chunk->shard->seed, &block);
        ASSERT(status == 0);
    }
    receipt->counter += block.first_counter;
    receipt->arrival_ms = block.base_ms;
}

static void settle_receipts(struct stream_writer *writer, uint64_t ticket) {
    while (!list_empty(&writer->receipts)) {
        struct stream_receipt *receipt =
            LIST_ITEM(writer->receipts.next, struct stream_receipt, link);
        if (receipt->ticket != ticket)
            return;
        list_remove(&receipt->link);
        settle_receipt(receipt);
    }
}

static void free_sent(struct stream_writer *writer, struct batch *batch) {
    while (batch->sent) {
        struct engine_batch *sent = batch->sent;
        batch->sent = sent->next_sent;
        engine_batch_clear(sent);
        sent->next = writer->free_sent;
        writer->free_sent = sent;
    }
}

static void finish_ticket(struct stream_writer *writer, struct batch *batch) {
    uint64_t ticket = batch->ticket;
    int status = batch->status ? batch->status : batch->sent_status;
    list_remove(&batch->in_flight);
    writer->under_way_bytes -= batch->bytes;
    writer->batches_under_way--;
    settle_receipts(writer, ticket);
    free_sent(writer, batch);
    batch_empty(batch, &writer->pool);
    batch->next = writer->free_batches;
    writer->free_batches = batch;
    metric_set(&writer->staging_bytes, (int64_t)used_bytes(writer));
    tell_commit(writer, ticket, status);
    tell_room(writer);
}

/* A part of the ticket is home. */
static void part_home(struct stream_writer *writer, struct batch *batch) {
    batch->parts--;
    while (!list_empty(&writer->in_flight)) {
        struct batch *first = LIST_ITEM(writer->in_flight.next, struct batch, in_flight);
        if (first->parts)
            return;
        finish_ticket(writer, first);
    }
}

static void on_home(struct task *task) {
    struct batch *batch = CONTAINER_OF(task, struct batch, task);
    part_home(batch->owner, batch);
}

/* On the log thread. */
static void post_home(struct batch *batch) {
    struct stream_writer *writer = batch->owner;
    batch->task.run = on_home;
    loop_post(writer->loop, &batch->task);
}

/* On the log thread. */
static void on_log(struct task *task) {
    struct batch *batch = CONTAINER_OF(task, struct batch, task);
    struct stream_writer *writer = batch->owner;
    log_submit(writer->log, batch);
}

static void on_sent_home(struct task *task) {
    struct engine_batch *sent = CONTAINER_OF(task, struct engine_batch, task);
    struct batch *batch = sent->ticket;
    if (sent->status)
        batch->sent_status = sent->status;
    part_home(batch->owner, batch);
}

/* On the engine's thread. */
static void post_sent_home(struct engine_batch *sent) {
    struct stream_writer *writer = sent->owner;
    sent->task.run = on_sent_home;
    loop_post(writer->loop, &sent->task);
}

/* On the engine's thread. */
static void on_engine(struct task *task) {
    struct engine_batch *sent = CONTAINER_OF(task, struct engine_batch, task);
    sent->engine->ops->submit(sent->engine, sent);
}

static void send_to_engines(struct stream_writer *writer, struct batch *batch) {
    LIST_EACH(item, &writer->sending) {
        struct engine_batch *sent = LIST_ITEM(item, struct engine_batch, staged);
        list_remove(item);
        sent->ticket = batch;
        sent->left = sent->count;
        sent->home = post_sent_home;
        sent->task.run = on_engine;
        sent->next_sent = batch->sent;
        batch->sent = sent;
        batch->parts++;
        batch->bytes += engine_batch_memory(sent);
        loop_post(sent->engine->loop, &sent->task);
    }
    for (struct stream_sink *sink = writer->sinks; sink; sink = sink->next)
        sink->sending = NULL;
}

static struct batch *take_batch(struct stream_writer *writer) {
    struct batch *batch = writer->free_batches;
    if (batch)
        writer->free_batches = batch->next;
    else
        batch = xmalloc(sizeof *batch);
    batch_init(batch);
    batch->task.run = on_log;
    batch->home = post_home;
    batch->owner = writer;
    batch->producer = &writer->producer;
    batch->ticket = writer->ticket++;
    return batch;
}

static void on_turn_end(struct turn_hook *hook) {
    struct stream_writer *writer = CONTAINER_OF(hook, struct stream_writer, hook);
    if (writer->turn_ms == 0)
        return;
    struct batch *batch = take_batch(writer);
    LIST_EACH(item, &writer->staged) {
        stage_seal(LIST_ITEM(item, struct stage, dirty), batch);
        list_remove(item);
    }
    batch->parts = batch->chunks ? 1 : 0;
    bool to_log = batch->chunks;
    if (!list_empty(&writer->sending))
        send_to_engines(writer, batch);
    list_push_back(&writer->in_flight, &batch->in_flight);
    timer_stop(&writer->nudge);
    writer->turn_ms = 0;
    writer->staged_bytes = 0;
    writer->under_way_bytes += batch->bytes;
    writer->batches_under_way++;
    metric_set(&writer->staging_bytes, (int64_t)used_bytes(writer));
    if (to_log)
        loop_post(writer->log->thread.loop, &batch->task);
}

void stream_writer_seal(struct stream_writer *writer) {
    on_turn_end(&writer->hook);
}

/* ---- gate ---- */

static bool has_room(struct sink_gate *gate) {
    struct stream_writer *writer = CONTAINER_OF(gate, struct stream_writer, gate);
    if (used_bytes(writer) < writer->bytes_max)
        return true;
    if (!writer->was_full)
        metric_add(&writer->full, 1);
    writer->was_full = true;
    return false;
}

static uint64_t present_ticket(struct sink_gate *gate) {
    return CONTAINER_OF(gate, struct stream_writer, gate)->ticket;
}
struct sink_gate *stream_writer_gate(struct stream_writer *writer) {
    return &writer->gate;
}

struct sink_resolver *stream_writer_resolver(struct stream_writer *writer) {
    return &writer->resolver;
}

/* ---- life ---- */

struct stream_writer *stream_writer_new(struct stream_log *log, struct loop *loop) {
    struct stream_writer *writer = xcalloc(1, sizeof *writer);
    writer->log = log;
    writer->loop = loop;
    writer->gate.has_room = has_room;
    writer->gate.ticket = present_ticket;
    list_init(&writer->gate.listeners);
    writer->hook.run = on_turn_end;
    list_init(&writer->staged);
    list_init(&writer->sending);
    list_init(&writer->in_flight);
    list_init(&writer->receipts);
    writer->ticket = 1;
    int64_t bytes_max = log->config.staging_bytes_max;
    writer->bytes_max = bytes_max > 0 ? (size_t)bytes_max : STAGING_BYTES_DEFAULT;
    writer->pool.free_bytes_max = writer->bytes_max;
    metric_init(&writer->staging_bytes, METRIC_GAUGE, "weir_stream_staging_bytes",
                "Memory of what producers have staged and is not yet committed.", NULL);
    metric_init(&writer->full, METRIC_COUNTER, "weir_stream_staging_full_total",
                "Times that a producer had to wait for commits.", NULL);
    loop_hook_add(loop, &writer->hook);
    writer_sinks_attach(writer);
    return writer;
}

bool stream_writer_idle(const struct stream_writer *writer) {
    return writer->turn_ms == 0 && writer->batches_under_way == 0;
}

void writer_free_when_closed(struct stream_writer *writer) {
    if (writer->nudge_closed && writer->news_left == 0)
        free(writer);
}

static void on_nudge_closed(struct timer *timer) {
    struct stream_writer *writer = CONTAINER_OF(timer, struct stream_writer, nudge);
    writer->nudge_closed = true;
    writer_free_when_closed(writer);
}

void stream_writer_free(struct stream_writer *writer) {
    if (!writer)
        return;
    ASSERT(stream_writer_idle(writer));
    writer->freed = true;
    writer_sinks_detach(writer);
    loop_hook_remove(&writer->hook);
    writer_sinks_done(writer);
    chunk_pool_done(&writer->pool);
    while (writer->free_batches) {
        struct batch *batch = writer->free_batches;
        writer->free_batches = batch->next;
        free(batch);
    }
    while (writer->free_sent) {
        struct engine_batch *sent = writer->free_sent;
        writer->free_sent = sent->next;
        engine_batch_free(sent);
    }
    metric_done(&writer->staging_bytes);
    metric_done(&writer->full);
    timer_close(&writer->nudge, on_nudge_closed);
}
