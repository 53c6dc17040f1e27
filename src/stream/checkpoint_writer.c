/* Checkpoints of many consumers, written together (stream.h). */
#include "stream/log.h"

#include <stdlib.h>

struct entry {
    struct stream_checkpoint *checkpoint;
    uint64_t counter;
};

struct stream_checkpoint_writer {
    struct loop *loop;
    struct facts *facts;
    struct link changed;
    struct timer timer;
    struct work work;
    struct entry *entries; /* under way: what the pool thread reads */
    size_t count;
    bool is_writing, is_closing, is_last;
    int failed; /* of the write under way */
    struct err err;
    struct log_limit limit;
    void (*closed)(void *data);
    void *data;
};

struct stream_checkpoint_writer *stream_checkpoint_writer_new(struct loop *loop,
                                                              struct facts *facts) {
    struct stream_checkpoint_writer *writer = xcalloc(1, sizeof *writer);
    writer->loop = loop;
    writer->facts = facts;
    list_init(&writer->changed);
    return writer;
}

/* ---- on a pool thread ---- */

/* Names and streams do not change while a checkpoint lives; counters are copies. */
static void write_entries(struct work *work) {
    struct stream_checkpoint_writer *writer =
        CONTAINER_OF(work, struct stream_checkpoint_writer, work);
    struct facts_write *write;
    writer->failed = facts_begin(writer->facts, &write, &writer->err);
    if (writer->failed)
        return;
    for (size_t i = 0; i < writer->count; i++) {
        const struct stream_checkpoint *checkpoint = writer->entries[i].checkpoint;
        stream_checkpoint_put(write, checkpoint->stream, checkpoint->shard, checkpoint->name,
                              writer->entries[i].counter);
    }
    writer->failed = facts_commit(write, &writer->err);
}

/* ---- on the loop ---- */

static void take_changed(struct stream_checkpoint_writer *writer) {
    size_t count = 0;
    for (struct link *link = writer->changed.next; link != &writer->changed; link = link->next)
        count++;
    writer->entries = xcalloc(count, sizeof *writer->entries);
    writer->count = count;
    for (size_t i = 0; i < count; i++) {
        struct link *first = list_pop_front(&writer->changed);
        struct stream_checkpoint *checkpoint = LIST_ITEM(first, struct stream_checkpoint, link);
        writer->entries[i] = (struct entry){checkpoint, checkpoint->counter};
    }
}

static void on_timer_closed(struct timer *timer) {
    struct stream_checkpoint_writer *writer =
        CONTAINER_OF(timer, struct stream_checkpoint_writer, timer);
    void (*closed)(void *data) = writer->closed;
    void *data = writer->data;
    free(writer);
    closed(data);
}

static void on_timer(struct timer *timer);

static void note_again(struct stream_checkpoint_writer *writer) {
    unsigned missed;
    if (log_limit_pass(&writer->limit, 10000, &missed))
        log_error("stream", "checkpoints are not written: %s (%u more like this)", writer->err.text,
                  missed);
    for (size_t i = 0; i < writer->count; i++) {
        struct stream_checkpoint *checkpoint = writer->entries[i].checkpoint;
        if (!list_linked(&checkpoint->link))
            list_push_back(&writer->changed, &checkpoint->link);
    }
}

static void on_written(struct work *work) {
    struct stream_checkpoint_writer *writer =
        CONTAINER_OF(work, struct stream_checkpoint_writer, work);
    writer->is_writing = false;
    if (writer->failed)
        note_again(writer);
    free(writer->entries);
    writer->entries = NULL;
    if (writer->is_last)
        timer_close(&writer->timer, on_timer_closed);
    else if (writer->is_closing)
        timer_start(writer->loop, &writer->timer, 0, 0, on_timer);
    else if (!list_empty(&writer->changed))
        timer_start(writer->loop, &writer->timer,
                    writer->failed ? STREAM_CHECKPOINT_RETRY_MS : STREAM_CHECKPOINT_MS, 0,
                    on_timer);
}

static void on_timer(struct timer *timer) {
    struct stream_checkpoint_writer *writer =
        CONTAINER_OF(timer, struct stream_checkpoint_writer, timer);
    writer->is_last = writer->is_closing;
    if (list_empty(&writer->changed)) {
        if (writer->is_last)
            timer_close(timer, on_timer_closed);
        return;
    }
    take_changed(writer);
    writer->is_writing = true;
    loop_work(writer->loop, &writer->work, write_entries, on_written);
}

void stream_checkpoint_set(struct stream_checkpoint_writer *writer,
                           struct stream_checkpoint *checkpoint, uint64_t counter) {
    checkpoint->counter = counter;
    if (checkpoint->member) {
        stream_member_commit(checkpoint->member, checkpoint->shard, counter);
        return;
    }
    if (!list_linked(&checkpoint->link))
        list_push_back(&writer->changed, &checkpoint->link);
    if (!writer->is_writing && !timer_running(&writer->timer))
        timer_start(writer->loop, &writer->timer, STREAM_CHECKPOINT_MS, 0, on_timer);
}

bool stream_checkpoint_forget(struct stream_checkpoint_writer *writer,
                              struct stream_checkpoint *checkpoint) {
    for (size_t i = 0; writer->is_writing && i < writer->count; i++)
        if (writer->entries[i].checkpoint == checkpoint)
            return false;
    list_remove(&checkpoint->link);
    return true;
}

void stream_checkpoint_writer_close(struct stream_checkpoint_writer *writer,
                                    void (*closed)(void *data), void *data) {
    ASSERT(!writer->is_closing);
    writer->is_closing = true;
    writer->closed = closed;
    writer->data = data;
    if (!writer->is_writing)
        timer_start(writer->loop, &writer->timer, 0, 0, on_timer);
}
