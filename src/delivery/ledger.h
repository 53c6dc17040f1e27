/*
 * Where one shard of a delivery stream notes what it is about to write and how far it has come: the
 * facts of this node, or, if nodes share the stream, the group, as a note beside the committed
 * position, where the next owner of the shard finds it.
 */
#ifndef DELIVERY_LEDGER_H
#define DELIVERY_LEDGER_H

#include "delivery/intent.h"

struct ledger {
    struct facts *facts;          /* NULL: the group */
    struct stream_member *member; /* NULL: the facts */
    struct stream *stream;
    const char *name;
    unsigned shard;
    /* The group's answer; status 0: it is safe. */
    void (*done)(void *data, int status);
    void *data;
};

/* 0: it is safe. AGAIN: `done` tells later. */
int ledger_record(struct ledger *ledger, const struct intent *intent, struct err *err);

/* The object is there: the position moves behind it, and the intent goes, at once. As above. */
int ledger_commit(struct ledger *ledger, const struct intent *intent, struct err *err);

/* `done` does not run any more; what was begun may be safe or not. */
void ledger_forget(struct ledger *ledger);

/* What was about to be written when the shard's last owner ended, from `counter` on, where it had
 * come to; `note` is the group's. NOT_FOUND: nothing. */
int ledger_unfinished(struct ledger *ledger, struct str note, uint64_t counter,
                      struct intent *ret_intent, struct err *err);

/* The note of a group as an intent. NOT_FOUND: it is empty. CORRUPT. */
int ledger_read_note(struct str note, struct intent *ret_intent);

#endif
