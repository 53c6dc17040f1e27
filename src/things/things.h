/*
 * Things and their shadows: AWS IoT's registry and Device Shadow service, as REST services on the api
 * listener, and what rules read of them (get_thing_shadow, get_registry_data).
 *
 *      /things, /things/{name}                       AWS IoT control plane, signed for "iot"
 *      /things/{name}/shadow, /api/things/shadow     AWS IoT data plane, signed for "iotdata"
 *
 * Everything is in the facts tables "thing" and "shadow" (docs/formats/facts.md) and nowhere else; a change
 * is on disk before it is answered. `struct things` and its services belong to the service loop. Rules read
 * on their own threads, each through a reader of its own, without a lock and without waiting: what a
 * change's answer has confirmed, the next message's rule sees.
 *
 * Bounds: THINGS_COUNT_MAX things, THINGS_SHADOWS_MAX shadows, THINGS_BYTES_MAX of both in the facts. What
 * passes them is refused (LimitExceededException; ThrottlingException for shadows). Metrics: weir_things_*.
 */
#ifndef THINGS_THINGS_H
#define THINGS_THINGS_H

#include "http/rest.h"
#include "io/facts.h"

enum {
    THINGS_COUNT_MAX = 100000,
    THINGS_SHADOWS_MAX = 100000, /* with those whose version is still remembered */
    THINGS_BYTES_MAX = 256 << 20,
    THINGS_NAME_CHARS_MAX = 128,
    THINGS_SHADOW_NAME_CHARS_MAX = 64,
};

struct things;

/* `region` and `account` are those of our ARNs. All three outlive the things. */
int things_open(struct facts *facts, const char *region, const char *account,
                struct things **ret_things, struct err *err);
void things_close(
    struct things *things); /* NULL is fine; no call is under way, no reader is left */

/* Live as long as `things`. */
enum { THINGS_SERVICES = 2 };
const struct rest_service *things_service(const struct things *things, unsigned index);

/* ---- for one other thread ---- */

struct things_reader;
struct things_reader *things_reader_new(const struct things *things);
void things_reader_free(struct things_reader *reader); /* NULL is fine */

/* Appends what GetThingShadow answers; `shadow` is empty for the classic one. NOT_FOUND; or as
 * facts_get(). */
int things_read_shadow(struct things_reader *reader, struct str thing, struct str shadow,
                       uint64_t now_ms, struct buf *document);

/* Appends what DescribeThing answers. Errors as above. */
int things_read_thing(struct things_reader *reader, struct str thing, struct buf *document);

#endif
