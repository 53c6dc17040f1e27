/*
 * The log of one function: the lines of its processes, and the host's own START, END and REPORT
 * around them (AWS Lambda developer guide, "Understanding the log output"). They become lines of
 * Weir's log, part "function", that begin with the function's name.
 *
 * Bounded: a function that talks without end gets FUNCTION_LOG_LINES_PER_S in the long run and
 * FUNCTION_LOG_BURST at once; the rest is counted and the count is told. The host's lines stop
 * first, when half of the burst is used up, so that what the function says survives longer; START,
 * END and REPORT of an invocation are written all or not at all.
 */
#ifndef FUNCTION_LOG_CAPTURE_H
#define FUNCTION_LOG_CAPTURE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/metric.h"

enum {
    FUNCTION_LOG_LINES_PER_S = 100,
    FUNCTION_LOG_BURST = 1000,
    FUNCTION_LOG_HOST_LINES = 3, /* START, END, REPORT */
};

struct function_log {
    const char *name; /* of the function; outlives this */
    uint64_t refilled_ns;
    unsigned tokens;
    struct log_limit told; /* when the count was written last */
    unsigned suppressed;   /* since then */
    struct metric suppressed_lines;
};

void function_log_init(struct function_log *log, const char *name);
void function_log_done(struct function_log *log);

/* A line of a process, without its newline. */
void function_log_line(struct function_log *log, struct str line);

/* Whether the host may write its lines about an invocation that begins. */
bool function_log_host_begin(struct function_log *log);

/* One of these lines. */
void function_log_host(struct function_log *log, struct str line);

/* Whether `lines` may pass at `now_ns` and leave `tokens_left`; counts them either way. */
bool function_log_admit(struct function_log *log, unsigned lines, unsigned tokens_left,
                        uint64_t now_ns);

struct function_report {
    const char *request_id;
    uint64_t duration_ns;
    uint64_t init_ns; /* 0: not the first invocation of its process */
    int64_t memory_bytes, memory_peak_bytes;
};

/* "REPORT RequestId: ...\tDuration: 3.01 ms\t...", without a newline; the tab at the end is AWS's. */
void function_log_report(struct buf *out, const struct function_report *report);

#endif
