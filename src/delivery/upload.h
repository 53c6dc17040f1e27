/*
 * One object at a time on its way into the bucket: the body is packed on the pool and then given to the
 * bucket, attempt after attempt, until it is safe there. Embedded in its delivery stream; belongs to
 * its loop.
 */
#ifndef DELIVERY_UPLOAD_H
#define DELIVERY_UPLOAD_H

#include "base/log.h"
#include "delivery/body.h"
#include "delivery/meter.h"

/* The owner sets the first part, fills `body`, and zeroes the rest. */
struct upload {
    struct loop *loop;
    struct bucket *bucket; /* owned */
    struct meter *meter;
    const char *name; /* of the delivery stream */
    /* False: it was to be the last attempt, and it failed or was given up. Nothing is under way then. */
    void (*ended)(struct upload *upload, bool is_safe);

    struct body body; /* empty again after upload_clear() */
    struct str key;
    unsigned attempts; /* that failed to write the present object */
    bool is_packing;   /* the pool has the body */
    bool is_putting;   /* the bucket has the object */
    bool is_last;      /* it is not waited for a bucket that does not work */
    bool is_given_up;
    struct timer timer; /* runs: the pause after a failed attempt */
    struct log_limit failure_limit;
};

/* Takes over the bucket's `done`. */
void upload_init(struct upload *upload);

/* Writes the body under `key`, which stays until the end. `ended` runs once, never before this
 * returns. */
void upload_begin(struct upload *upload, struct str key, bool gzip);

/* Whether an attempt has failed and the next one waits for its time. */
bool upload_is_waiting(const struct upload *upload);

/* From now on what does not work is not tried again. */
void upload_hurry(struct upload *upload);

/* True: nothing is under way any more, and `ended` does not run. False: it runs when the pool or
 * the bucket is done; if the bucket is, the object may be safe after all. */
bool upload_give_up(struct upload *upload);

/* The object's memory goes. Nothing is under way. */
void upload_clear(struct upload *upload);

/* Nothing is under way, and the timer is closed, which is the owner's part. */
void upload_done(struct upload *upload);

#endif
