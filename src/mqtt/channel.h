/*
 * Channels between workers: what one of them has for another gathers in a batch that is posted at the end
 * of the turn, and comes home to be filled again. All that goes to one worker arrives in the order
 * in which it was sent.
 */
#ifndef MQTT_CHANNEL_H
#define MQTT_CHANNEL_H

#include "mqtt/interest.h"
#include "mqtt/kept.h"
#include "mqtt/publication.h"
#include "mqtt/share.h"

struct mqtt_worker;

enum { CHANNEL_BATCH_BYTES = 256 * 1024, CHANNEL_BATCHES_MAX = 8 };

struct batch;

struct channel {
    struct mqtt_worker *from;
    struct batch *filling, *spare;
    unsigned under_way;
    bool full; /* publishers are to wait */
};

/* Something that runs on another worker, in its place among all that is sent there. It belongs to
 * that worker from now on. */
struct call {
    void (*run)(struct mqtt_worker *worker, struct call *call);
};

/* Something that goes on when all other workers have applied what they were sent before. */
struct channel_wait {
    unsigned left;
    void (*done)(struct channel_wait *wait);
};

void channels_init(struct mqtt_worker *worker);
void channels_done(struct mqtt_worker *worker);

/* Posts what has gathered; at the end of each turn. */
void channels_flush(struct mqtt_worker *worker);

/* Posts those that have gathered enough; at the end of each publish(). */
void channels_post_full(struct mqtt_worker *worker);
bool channels_idle(const struct mqtt_worker *worker);

/* As the others; `message` is in the journal, and they write who waits for it. */
void channel_send_kept(struct mqtt_worker *worker, uint64_t workers, struct kept *message);
void channel_send_publication(struct mqtt_worker *worker, uint64_t workers,
                              const struct publication *publication);
void channel_send_retained(struct mqtt_worker *worker, struct kept *retained);

void channel_send_interest(struct mqtt_worker *worker, enum interest_change change,
                           struct str filter);

/* How many members of a share are here. */
void channel_send_share(struct mqtt_worker *worker, struct str key, struct share_count count);

/* A message for one member of a share on the worker `to`. */
void channel_send_shared(struct mqtt_worker *worker, unsigned to, struct str key,
                         const struct publication *publication, uint8_t hops);

/* To oneself: runs before this returns. */
void channel_send_call(struct mqtt_worker *worker, unsigned to, struct call *call);

/* False when there is nothing to wait for; otherwise `done` will run once. */
bool channel_wait(struct mqtt_worker *worker, struct channel_wait *wait,
                  void (*done)(struct channel_wait *wait));

#endif
