/* `weir stream verify DIR`: says what is wrong with the streams on disk, one line per fault with file
 * and offset, and how far it has come when it takes long. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/command.h"
#include "base/clock.h"
#include "stream/stream.h"

enum { PROGRESS_MS = 1000 };

struct verification {
    uint64_t told_ms; /* monotonic */
    bool terminal, line_open;
};

/* A line that is written over is ended before anything else is said. */
static void end_line(struct verification *verification) {
    if (verification->line_open)
        fputc('\n', stderr);
    verification->line_open = false;
}

static void on_fault(void *data, const char *path, int64_t offset, const char *what) {
    end_line(data);
    if (offset < 0)
        printf("%s: %s\n", path, what);
    else
        printf("%s: byte %" PRId64 ": %s\n", path, offset, what);
    fflush(stdout);
}

static void on_progress(void *data, const char *path, const struct stream_verify_counts *counts) {
    struct verification *verification = data;
    uint64_t now_ms = clock_mono_ns() / 1000000;
    if (now_ms < verification->told_ms + PROGRESS_MS)
        return;
    verification->told_ms = now_ms;
    uint64_t all = counts->bytes_all ? counts->bytes_all : 1;
    fprintf(stderr,
            "%s%3" PRIu64 " %% of %" PRIu64 " MiB, %" PRIu64 " records, %" PRIu64 " faults%s",
            verification->terminal ? "\r" : "", counts->bytes * 100 / all, all >> 20,
            counts->records, counts->faults, verification->terminal ? "" : "\n");
    verification->line_open = verification->terminal;
}

int command_stream_verify(const char *directory) {
    struct verification verification = {.told_ms = clock_mono_ns() / 1000000,
                                        .terminal = isatty(STDERR_FILENO)};
    const struct stream_verify_watch watch = {on_fault, on_progress, &verification};
    struct stream_verify_counts counts;
    struct err err;
    int code = stream_verify(directory, &watch, &counts, &err);
    end_line(&verification);
    if (code) {
        fprintf(stderr, "weir stream: %s\n", err.text);
        return 2;
    }
    printf("%" PRIu64 " streams, %" PRIu64 " shards, %" PRIu64 " segments, %" PRIu64
           " blocks, %" PRIu64 " records, %" PRIu64 " bytes: %" PRIu64 " faults\n",
           counts.streams, counts.shards, counts.segments, counts.blocks, counts.records,
           counts.bytes, counts.faults);
    return counts.faults ? 1 : 0;
}
