/*
 * A message that the broker keeps: because it is retained, or because a session waits for it or has
 * not acknowledged it. It is immutable and counted, so any number of sessions and workers share one
 * copy.
 */
#ifndef MQTT_KEPT_H
#define MQTT_KEPT_H

#include <stdatomic.h>
#include <stddef.h>

#include "mqtt/publication.h"

struct kept {
    _Atomic uint32_t refs;
    _Atomic uint32_t generation; /* of the journal in which it was written last, see rewrite.c */
    uint64_t version;            /* of a retained message, else 0 */
    /* Views into `bytes`. The publisher's names are left out, but for the client id of a retained
     * message: No Local asks for it. */
    struct publication publication;
    size_t size; /* of memory */
    char bytes[];
};

/* A copy with one reference. */
struct kept *kept_new(const struct publication *publication, uint64_t version);
void kept_ref(struct kept *kept);
void kept_unref(struct kept *kept); /* NULL is fine */

/* False when it has expired, else the seconds that are left of its interval (0 if it has none). */
bool kept_expiry_left(const struct kept *kept, uint64_t now_ms, uint32_t *ret_left_s);

#endif
