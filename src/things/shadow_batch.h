/*
 * Requests on shadows, applied together: one transaction of the facts, and so one sync, for all
 * that waited. The same transaction moves the cursor of the log that the requests by MQTT came
 * from, so each of them is applied exactly once, whenever the process ends; and it keeps the
 * answers that are to be published, until the next one, so that each is published at least once.
 *
 * shadow_batch_apply() blocks and runs on a thread of the pool, one at a time.
 */
#ifndef THINGS_SHADOW_BATCH_H
#define THINGS_SHADOW_BATCH_H

#include "stream/stream.h"
#include "things/shadow_request.h"
#include "things/store.h"

/* Answers of one batch: beyond this what is left waits for the next. One request may overrun it. */
enum { SHADOW_ANSWERS_BYTES_MAX = 4 << 20 };

/* As well when the requests have taken so long: other loops wait for LMDB's writer lock meanwhile,
 * and what takes microseconds mostly takes milliseconds with documents made for it. */
enum { SHADOW_BATCH_MS_MAX = 25 };

/* What somebody would hear of the request; the topics' tails are shadow_answer_tails. */
enum shadow_answer { SHADOW_ACCEPTED, SHADOW_REJECTED, SHADOW_DOCUMENTS, SHADOW_DELTA };
enum { SHADOW_ANSWERS = 4 };
extern const char *const shadow_answer_tails[SHADOW_ANSWERS];

struct shadow_item {
    struct shadow_request request;
    unsigned wanted;        /* bit per enum shadow_answer */
    struct rest_call *call; /* which is not touched here; NULL: it came by MQTT */
    uint64_t next_counter;  /* by MQTT: of the log's next record */
    int code;               /* what it came to: 0, or as `err` says */
    struct err err;
    struct buf output; /* of a call: the document that is answered */
};

struct shadow_batch {
    struct things *things;
    const struct stream *stream; /* the log; NULL: there is none */
    struct shadow_item *items;
    size_t count;
    uint64_t next_counter; /* in: before the first item; out: behind what was applied */
    uint64_t end_counter;  /* behind the last item */
    bool had_answers;      /* answers of an earlier batch are kept */
    uint64_t ms_max;       /* 0: one request */

    size_t done; /* items that were applied; the others did not fit */
    struct buf answers;
    int64_t count_added, bytes_added; /* to what is counted of shadows, if it succeeds */
    int status;                       /* nothing was changed if it is not 0 */
    struct err err;
};

void shadow_batch_apply(struct shadow_batch *batch);

/* An error of an item as HTTP's number. */
unsigned shadow_error_number(int code);

/* ---- answers that are kept ---- */

/* Appends them; nothing if there are none. */
int shadow_answers_load(struct facts *facts, struct buf *ret_answers);

struct shadow_told {
    uint8_t depth;
    struct str topic, payload;
};

/* Takes the first off `rest`; false: there is none (that can be read). */
bool shadow_answers_next(struct str *rest, struct shadow_told *ret_told);

/* How far the log has been applied: NOT_FOUND at first. */
int shadow_cursor_get(struct facts *facts, const struct stream *stream, uint64_t *ret_counter);
int shadow_cursor_set(struct facts *facts, const struct stream *stream, uint64_t counter,
                      struct err *err);

#endif
