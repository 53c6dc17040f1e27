/*
 * Checkpoints of all mappings, written together: one transaction, and so one fsync, for everything
 * that changed in the last FUNCTION_CHECKPOINT_MS, on libuv's pool so that no loop waits for the
 * disk. A crash loses at most that much progress, and the records come again. A write that fails is
 * repeated every FUNCTION_CHECKPOINT_RETRY_MS; nothing is lost meanwhile but the progress.
 */
#ifndef FUNCTION_CHECKPOINT_H
#define FUNCTION_CHECKPOINT_H

#include "base/list.h"
#include "base/log.h"
#include "function/function.h"

enum { FUNCTION_CHECKPOINT_MS = 100, FUNCTION_CHECKPOINT_RETRY_MS = 1000 };

/* Embedded in whoever reads the shard, who keeps it until the writer is closed. */
struct function_checkpoint {
    struct link link; /* in the writer's list of changed ones */
    const struct stream *stream;
    unsigned shard;
    const char *name; /* "mapping/STREAM/FUNCTION" */
    uint64_t counter; /* of the next record to be read */
    struct stream_member *member; /* not NULL: nodes share the stream, and it is kept there */
};

struct function_checkpoint_writer;

struct function_checkpoint_writer *function_checkpoint_writer_new(struct loop *loop,
                                                                  struct facts *facts);

/* Notes the progress; it is on disk some time later. */
void function_checkpoint_set(struct function_checkpoint_writer *writer,
                             struct function_checkpoint *checkpoint, uint64_t counter);

/* Writes what has changed (tried once), then `closed`, and the memory is gone. `closed` never runs
 * before this returns. */
void function_checkpoint_writer_close(struct function_checkpoint_writer *writer,
                                      void (*closed)(void *data), void *data);

#endif
