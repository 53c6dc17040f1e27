/*
 * How far a runner is in its action's log: a reader, and the checkpoint that lets it go on there after a
 * restart. Belongs to its runner and its loop.
 */
#ifndef ACTION_CURSOR_H
#define ACTION_CURSOR_H

#include "action/batch.h"
#include "action/meter.h"
#include "stream/stream.h"

enum { ACTION_SHARD = 0 }; /* the only one of an action's log */

/* The consumer's name of all actions' checkpoints. */
extern const char action_consumer[];

/* The first two are the owner's to fill in, and outlive it. */
struct action_cursor {
    struct stream *stream;
    struct stream_checkpoint_writer *checkpoints;
    struct stream_reader *reader; /* NULL: not open */
    struct stream_checkpoint checkpoint;
};

/* Reads on from the checkpoint; from the first record if there is none, from the log's end if that is
 * before the checkpoint. `on_ready` as stream_reader_open() says. */
int action_cursor_open(struct action_cursor *cursor, struct loop *loop, struct facts *facts,
                       void (*on_ready)(struct stream_reader *reader, void *data), void *data,
                       struct err *err);

/* Everything before the first item of `batch` that is not done is done: the checkpoint moves there,
 * and the log's segments before it may go. */
void action_cursor_note(struct action_cursor *cursor, const struct action_batch *batch);

/* Sets the gauges: what is not read yet, and what of `batch` is not done. */
void action_cursor_show(const struct action_cursor *cursor, const struct action_batch *batch,
                        struct action_meter *meter);

/* Reads no more; what was noted is still written. */
void action_cursor_close(struct action_cursor *cursor);

/* Whether the checkpoint is not under way to the disk; what was noted is not written any more. */
bool action_cursor_forget(struct action_cursor *cursor);

#endif
