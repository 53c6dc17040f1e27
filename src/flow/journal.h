/*
 * A journal: entries of bytes that one part of the program writes down as things happen, in one order
 * for all its threads, and reads once at its start to know again what it knew. The broker keeps its
 * sessions in one; what stands behind it the broker does not know.
 *
 * Each thread has a `struct journal` of its own; all stand before the same entries. An entry commits
 * with the present ticket of the thread's gate (flow/sink.h). If a thread seals and then causes
 * another one to append, by whatever message, the first one's entries come before the second one's.
 * A crash leaves a prefix of that order which holds every entry whose ticket was reported.
 */
#ifndef FLOW_JOURNAL_H
#define FLOW_JOURNAL_H

#include "base/err.h"
#include "flow/sink.h"

enum { JOURNAL_ENTRY_BYTES_MAX = 512 * 1024 };

struct journal {
    struct sink_gate *gate;

    /* Copies the entry. 0; TOO_LARGE; NO_SPACE, IO: nothing can be kept at present. */
    int (*append)(struct journal *journal, struct str entry);

    /* What was appended is on its way from now on. */
    void (*seal)(struct journal *journal);

    /* Calls `each` with all entries in their order, `wall_ms` being when each was appended, until
     * one returns an error. Blocks; at the start, before anything is appended. Damaged places are
     * passed over. */
    int (*replay)(struct journal *journal,
                  int (*each)(void *data, struct str entry, uint64_t wall_ms), void *data,
                  struct err *err);

    /* The position behind the last entry that is committed. */
    uint64_t (*end)(struct journal *journal);

    /* Entries before `position` are not needed any more. */
    void (*release)(struct journal *journal, uint64_t position);
};

#endif
