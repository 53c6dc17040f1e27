/*
 * Inside of a writer: what its two files share. sinks.c puts records into stages, writer.c takes the
 * stages of a turn to the log thread and hears of their commit. All of it belongs to the producer's
 * loop, except for what is marked [log].
 */
#ifndef STREAM_WRITER_H
#define STREAM_WRITER_H

#include "stream/log.h"

struct stream_sink {
    struct sink sink;
    struct stream_writer *writer;
    struct stream *stream;
    struct layout *layout; /* NULL: the stream is deleted */
    struct stage *stages;  /* one per shard; NULL until the sink is asked for */
    struct stage *only;    /* of the stream's only shard, if it has no other */
    struct shard_cache *cache;
    struct engine_batch *sending; /* of this turn; NULL: nothing is staged for the engine */
    struct stream_sink *next;
    bool handed_out; /* somebody has the sink, and keeps it */
    char *label;
};

struct stream_writer {
    struct stream_log *log;
    struct loop *loop;
    struct sink_gate gate;
    struct sink_resolver resolver;
    struct turn_hook hook;
    struct timer nudge;
    struct stream_sink *sinks; /* those of deleted streams too */
    struct map by_name[STREAM_KINDS];
    struct link receipts; /* in the order of their tickets */

    struct log_producer producer; /* [log] */
    unsigned news_under_way;      /* [log] */
    unsigned news_left;           /* once it is freed: how many are still to come */
    bool freed, nudge_closed;

    struct link staged;    /* stages with content */
    struct link sending;   /* struct engine_batch with content */
    struct link in_flight; /* struct batch, in the order of their tickets */
    uint64_t ticket;       /* of the next batch */
    uint64_t turn_ms;      /* wall clock of this turn's records; 0: nothing is staged */
    size_t staged_bytes, under_way_bytes, bytes_max;
    size_t batches_under_way;
    bool was_full;
    struct chunk_pool pool;
    struct batch *free_batches;
    struct engine_batch *free_sent;
    struct metric staging_bytes, full;
};

/* Before the first push of a turn, whose records all get the present time. */
void writer_begin_turn(struct stream_writer *writer);

/* Hears of all streams, now and from now on; sets the resolver. */
void writer_sinks_attach(struct stream_writer *writer);

/* No news come after those that are under way. */
void writer_sinks_detach(struct stream_writer *writer);

void writer_sinks_done(struct stream_writer *writer);

/* Frees the writer when nothing can come for it any more. */
void writer_free_when_closed(struct stream_writer *writer);

#endif
