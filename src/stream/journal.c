/* flow's journal over a stream of one shard: entries are records without a key, positions are
 * counters. */
#include <stdlib.h>

#include "base/mem.h"
#include "flow/journal.h"
#include "stream/log.h"

struct stream_journal {
    struct journal journal;
    struct stream_writer *writer;
    struct stream *stream;
    struct loop *loop;
    struct sink *sink;
};

enum { REPLAY_RECORDS = 4096, REPLAY_BYTES = 4 * 1024 * 1024 };

static struct stream_journal *of(struct journal *journal) {
    return CONTAINER_OF(journal, struct stream_journal, journal);
}

static int on_append(struct journal *journal, struct str entry) {
    struct record record = {.data = entry};
    if (entry.len > JOURNAL_ENTRY_BYTES_MAX)
        return ERR_TOO_LARGE;
    return sink_push(of(journal)->sink, &record);
}

static void on_seal(struct journal *journal) {
    stream_writer_seal(of(journal)->writer);
}

static int give(const struct stream_batch *batch,
                int (*each)(void *data, struct str entry, uint64_t wall_ms), void *data) {
    int status = 0;
    for (size_t i = 0; !status && i < batch->count; i++)
        status = each(data, batch->records[i].data, batch->records[i].arrival_ms);
    return status;
}

/* It is closed before the loop could tell it anything. */
static void on_ready(struct stream_reader *reader, void *data) {}

static int on_replay(struct journal *journal,
                     int (*each)(void *data, struct str entry, uint64_t wall_ms), void *data,
                     struct err *err) {
    struct stream_journal *self = of(journal);
    struct stream_position oldest = {.from = STREAM_TRIM_HORIZON};
    struct stream_reader *reader;
    int status =
        stream_reader_open(self->stream, 0, self->loop, &oldest, on_ready, NULL, &reader, err);
    if (status)
        return status;
    int read = 0;
    while (!status && (!read || read == ERR_CORRUPT)) {
        struct stream_batch batch;
        read = stream_reader_next(reader, REPLAY_RECORDS, REPLAY_BYTES, &batch);
        if (!read)
            status = give(&batch, each, data);
    }
    stream_reader_close(reader);
    if (!status && read != ERR_AGAIN)
        status = read;
    return status ? err_set(err, status, "stream %s: %s", self->stream->name, err_text(status)) : 0;
}

static uint64_t on_end(struct journal *journal) {
    struct stream_shard_info info;
    stream_shard_get(of(journal)->stream, 0, &info);
    return info.next_counter;
}

static void on_release(struct journal *journal, uint64_t position) {
    stream_release(of(journal)->stream, 0, position);
}

struct journal *stream_journal_new(struct stream_writer *writer, struct stream *stream,
                                   struct loop *loop) {
    ASSERT(stream->config.kind == STREAM_SESSIONS || stream->config.kind == STREAM_REQUESTS);
    ASSERT(stream->config.shard_count == 1);
    struct stream_journal *self = xcalloc(1, sizeof *self);
    *self = (struct stream_journal){.journal = {.gate = stream_writer_gate(writer),
                                                .append = on_append,
                                                .seal = on_seal,
                                                .replay = on_replay,
                                                .end = on_end,
                                                .release = on_release},
                                    .writer = writer,
                                    .stream = stream,
                                    .loop = loop,
                                    .sink = stream_writer_sink(writer, stream)};
    return &self->journal;
}

void stream_journal_free(struct journal *journal) {
    if (journal)
        free(of(journal));
}
