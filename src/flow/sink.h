/*
 * How an earlier stage hands records to a later one without naming it, and how it learns that they
 * are safe.
 *
 * Each producing thread has one *gate* and, behind it, one *sink* per target it may push to. A push
 * copies the record into the thread's staging buffers and does nothing else. At the end of the loop
 * turn all that was staged is sealed under one ticket and sent to the log; when it is on disk (as
 * `sync` says), the gate tells its listeners: all tickets up to this one are committed. Tickets
 * grow by one per sealed batch and commit in order.
 *
 * Back-pressure: a producer asks sink_gate_has_room() before it takes the next message. While it
 * says no, the producer takes nothing (stops reading its sockets) until on_room. One message may
 * overrun the bound; none is dropped.
 *
 * Everything here belongs to the producing thread.
 */
#ifndef FLOW_SINK_H
#define FLOW_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "flow/record.h"

struct sink {
    /* 0: staged, it commits with the present ticket. TOO_LARGE, INVALID (key): nothing staged.
     * NO_SPACE, IO: the target cannot keep anything at present; nothing staged. NOT_FOUND: the
     * target was deleted. */
    int (*push)(struct sink *sink, const struct record *record);
    const char *name; /* of the target, for messages: "kinesis sensors" */
};

static inline int sink_push(struct sink *sink, const struct record *record) {
    return sink->push(sink, record);
}

struct sink_gate_listener {
    struct link link;
    /* The batch of `ticket` ended: status 0, or why it is not on disk (NO_SPACE, IO). Called once
     * per ticket, in order. */
    void (*on_commit)(struct sink_gate_listener *listener, uint64_t ticket, int status);
    /* There is room again. May be NULL. */
    void (*on_room)(struct sink_gate_listener *listener);
};

struct sink_gate {
    bool (*has_room)(struct sink_gate *gate);
    uint64_t (*ticket)(struct sink_gate *gate); /* under which the next push will commit */
    struct link listeners;                      /* struct sink_gate_listener */
};

static inline bool sink_gate_has_room(struct sink_gate *gate) {
    return gate->has_room(gate);
}

static inline uint64_t sink_gate_ticket(struct sink_gate *gate) {
    return gate->ticket(gate);
}

static inline void sink_gate_listen(struct sink_gate *gate, struct sink_gate_listener *listener) {
    list_push_back(&gate->listeners, &listener->link);
}

/*
 * Finds the sink of a target by kind and name for the thread it belongs to: SINK_STREAM for a
 * Kinesis stream, SINK_DELIVERY for a delivery stream, SINK_ACTION for an action's log. NULL if
 * there is none of that name. The sink lives as long as the resolver.
 */
enum sink_kind { SINK_STREAM, SINK_DELIVERY, SINK_ACTION };

struct sink_resolver {
    struct sink *(*find)(struct sink_resolver *resolver, enum sink_kind kind, struct str name);
};

#endif
