/*
 * Things and their shadows: AWS IoT's registry and Device Shadow service, as REST services on the api
 * listener and by MQTT, and what rules read of them (get_thing_shadow, get_registry_data).
 *
 *      /things, /things/{name}                       AWS IoT control plane, signed for "iot"
 *      /things/{name}/shadow, /api/things/shadow     AWS IoT data plane, signed for "iotdata"
 *      $aws/things/NAME/shadow/...                   by MQTT, shadow_request.h
 *
 * Everything is in the facts tables "thing" and "shadow" (docs/formats/facts.md) and nowhere else;
 * a change is on disk before it is answered. `struct things` and its services belong to the service
 * loop. Rules read on their own threads, each through a reader of its own, without a lock and
 * without waiting: what a change's answer has confirmed, the next message's rule sees.
 *
 * A request by MQTT is appended to a log by the worker that has the publisher's connection (an
 * *intake*), so that its PUBACK covers it, and done by the service loop: exactly once, in the order
 * of the log. Its answers, and those that tell of changes by HTTP, are published there, at least
 * once.
 *
 * Bounds: THINGS_COUNT_MAX things, THINGS_SHADOWS_MAX shadows, THINGS_BYTES_MAX of both in the
 * facts. What passes them is refused (LimitExceededException; ThrottlingException for shadows).
 * THINGS_WAITING_PER_THING_MAX requests by MQTT of one thing that wait; beyond it they are answered
 * with 429 on .../rejected, and where nobody would hear that they are not acknowledged (0x97).
 * THINGS_REQUESTS_BYTES_MAX of requests that wait; beyond it they are not acknowledged either.
 * Metrics: weir_things_*.
 */
#ifndef THINGS_THINGS_H
#define THINGS_THINGS_H

#include "flow/journal.h"
#include "flow/message.h"
#include "http/rest.h"
#include "io/facts.h"
#include "stream/stream.h"

enum {
    THINGS_COUNT_MAX = 100000,
    THINGS_SHADOWS_MAX = 100000, /* with those whose version is still remembered */
    THINGS_BYTES_MAX = 256 << 20,
    THINGS_REQUESTS_BYTES_MAX = 256 << 20,
    THINGS_WAITING_PER_THING_MAX = 100,
    THINGS_NAME_CHARS_MAX = 128,
    THINGS_SHADOW_NAME_CHARS_MAX = 64,
};

struct things;

/* `region` and `account` are those of our ARNs. All three outlive the things. */
int things_open(struct facts *facts, const char *region, const char *account,
                struct things **ret_things, struct err *err);
void things_close(
    struct things *things); /* NULL is fine; no call is under way, no reader is left */

/* What changes of shadows need of other parts; all of it outlives them. */
struct things_intake;
struct things_surroundings {
    struct loop *loop;
    struct stream *requests; /* of STREAM_REQUESTS, with one shard; NULL: nothing comes by MQTT */
    struct sink_gate *gate;  /* through which the rules of this loop stage */
    struct message_publisher *publisher; /* of this loop */
    struct things_intake *intake;        /* the same */
};

/* From now on shadows can be changed; before, calls are answered 503. Both on the service loop, and
 * once. */
int things_start(struct things *things, const struct things_surroundings *around, struct err *err);

/* What is under way ends, what waits in the log stays for the next start; `stopped` may run before
 * this returns. The publisher must still work. */
void things_stop(struct things *things, void (*stopped)(void *data), void *data);

/* ---- for each thread that has clients ---- */

/* Of the thread, as the journal of the requests' stream and the publisher are. All intakes are made
 * before the first request and before things_start(). */
struct things_intake *things_intake_new(struct things *things, struct journal *requests,
                                        struct message_publisher *publisher);
void things_intake_free(struct things_intake *intake); /* NULL is fine */

/* For mqtt_worker_set_requests(); lives as long as the intake. */
struct message_sink *things_intake_sink(struct things_intake *intake);

/* ---- services ---- */

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
