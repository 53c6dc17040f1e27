/*
 * Following a rule (`weir rule trace`): one answer of the api listener that goes on, a JSON object
 * per line.
 *
 * Each lane has a follower in its rule engine. A line that it makes travels to the service's loop as a
 * task, is written to the client there, and comes home to be freed. At most TRACE_LINES_MAX lines
 * of a lane are under way, and none is written while the client does not read; what is left out is
 * counted and told: {"missed":N}. The way of the messages themselves never waits.
 *
 *      begin    attach to every lane
 *      end      client gone, or `count` lines written: detach everywhere; when all lines are home, the answer ends
 *
 * From the service's loop.
 */
#ifndef APP_TRACE_H
#define APP_TRACE_H

#include "app/lane.h"
#include "http/rest.h"

enum { TRACE_LINES_MAX = 256, TRACES_MAX = 16 };

struct traces {
    struct lane *lanes;
    unsigned lane_count;
    struct loop *loop; /* the service's */
    unsigned count;
};

/* Answers the call: at once with an error if TRACES_MAX go on already. `count` 0: without end. */
void trace_begin(struct traces *traces, struct rest_call *call, struct str rule, uint64_t count);

#endif
