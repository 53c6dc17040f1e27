/*
 * What workers tell each other. Between each pair of workers, in each direction, runs one ordered
 * stream of entries: messages that the other has subscribers for, retained messages, interests won
 * and lost, members of shares, client ids claimed and sessions that move (claim.c). Entries gather
 * in a batch; at the end of the turn the batch travels as one task, is applied there, and travels
 * home, which tells the sender that all in it has been applied.
 *
 *      entry    struct entry, then topic (or filter, or client id), properties, payload, share
 *
 * Bounds: CHANNEL_BATCHES_MAX batches are under way per channel. When as many are and the one being
 * filled holds CHANNEL_BATCH_BYTES, the channel is full, and the worker takes no PUBLISH until one
 * comes home (worker_has_room()). What is not a client's message (interests, wills, republished
 * messages) may overrun the bound.
 *
 * Why a SUBACK can promise: it waits until its interest's batch is home from every worker
 * (channel_wait). A worker that applies an interest first posts what it has gathered for the
 * subscriber's worker, so a retained message that it published before it knew of the interest
 * arrives there before the batch is home, and is found when the subscriber then looks up the
 * retained ones.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "mqtt/broker.h"

enum entry_kind {
    ENTRY_PUBLICATION,
    ENTRY_RETAINED,
    ENTRY_KEPT,
    ENTRY_INTEREST,
    ENTRY_SHARE,
    ENTRY_SHARED,
    ENTRY_CALL,
    ENTRY_WAIT
};

enum { SPARE_BYTES_MAX = 2 * CHANNEL_BATCH_BYTES };

struct entry {
    uint8_t kind, qos, hops;
    bool retain;
    int32_t expiry_at;
    uint32_t topic_bytes, properties_bytes, payload_bytes, share_bytes;
    uint32_t change; /* enum interest_change */
    uint64_t number; /* received_ms of a publication */
    struct share_count count;
    void *pointer; /* struct kept with a reference; struct channel_wait; struct call */
};

struct batch {
    struct task task;
    struct channel *channel; /* the sender's; not to be touched at the other end */
    struct mqtt_worker *from, *to;
    struct buf bytes;
    bool has_waits, has_interests;
};

static void on_arrival(struct task *task);
static void on_home(struct task *task);

void channels_init(struct mqtt_worker *worker) {
    unsigned count = worker->mqtt->worker_count;
    worker->channels = xcalloc(count, sizeof *worker->channels);
    for (unsigned i = 0; i < count; i++)
        worker->channels[i].from = worker;
}

static void batch_free(struct batch *batch) {
    if (batch)
        buf_done(&batch->bytes);
    free(batch);
}

void channels_done(struct mqtt_worker *worker) {
    for (unsigned i = 0; i < worker->mqtt->worker_count; i++) {
        struct channel *channel = &worker->channels[i];
        ASSERT(channel->under_way == 0 && !channel->filling);
        batch_free(channel->spare);
    }
    free(worker->channels);
}

bool channels_idle(const struct mqtt_worker *worker) {
    for (unsigned i = 0; i < worker->mqtt->worker_count; i++)
        if (worker->channels[i].under_way || worker->channels[i].filling)
            return false;
    return true;
}

/* ---- sending ---- */

/* What was written into the journal so far comes before what the other one will write. */
static void post(struct channel *channel) {
    struct batch *batch = channel->filling;
    if (!batch || channel->under_way == CHANNEL_BATCHES_MAX)
        return;
    journal_seal(channel->from);
    channel->filling = NULL;
    channel->under_way++;
    batch->task.run = on_arrival;
    loop_post(batch->to->loop, &batch->task);
}

static void update_full(struct channel *channel) {
    bool heavy = channel->filling && buf_len(&channel->filling->bytes) >= CHANNEL_BATCH_BYTES;
    bool full = heavy && channel->under_way == CHANNEL_BATCHES_MAX;
    channel->from->channels_full += (unsigned)full - (unsigned)channel->full;
    channel->full = full;
}

static struct batch *filling(struct channel *channel) {
    if (channel->filling)
        return channel->filling;
    channel->filling = channel->spare ? channel->spare : xcalloc(1, sizeof *channel->filling);
    channel->spare = NULL;
    channel->filling->channel = channel;
    channel->filling->from = channel->from;
    channel->filling->to = channel->from->mqtt->workers[channel - channel->from->channels];
    return channel->filling;
}

static void append(struct mqtt_worker *worker, unsigned to, const struct entry *entry,
                   struct str topic, struct str properties, struct str payload, struct str share) {
    struct channel *channel = &worker->channels[to];
    struct batch *batch = filling(channel);
    buf_add(&batch->bytes, entry, sizeof *entry);
    buf_add_str(&batch->bytes, topic);
    buf_add_str(&batch->bytes, properties);
    buf_add_str(&batch->bytes, payload);
    buf_add_str(&batch->bytes, share);
    batch->has_waits |= entry->kind == ENTRY_WAIT;
    batch->has_interests |= entry->kind == ENTRY_INTEREST;
    bool heavy = buf_len(&batch->bytes) >= CHANNEL_BATCH_BYTES;
    if (heavy && worker->publish_depth == 0)
        post(channel);
    worker->posts_late |= heavy && worker->publish_depth;
    update_full(channel);
}

#define EACH_OTHER(worker, i)                                                                      \
    (unsigned i = 0; i < (worker)->mqtt->worker_count; i++) if (i != (worker)->index)

static const struct str nothing = {NULL, 0};

static struct entry entry_for(const struct publication *publication) {
    const struct message *message = &publication->message;
    return (struct entry){
        .kind = ENTRY_PUBLICATION,
        .qos = message->qos,
        .retain = message->retain,
        .expiry_at = publication->expiry_at,
        .topic_bytes = (uint32_t)message->topic.len,
        .properties_bytes = (uint32_t)message->properties.len,
        .payload_bytes = (uint32_t)message->payload.len,
        .number = message->received_ms,
    };
}

void channel_send_publication(struct mqtt_worker *worker, uint64_t workers,
                              const struct publication *publication) {
    const struct message *message = &publication->message;
    struct entry entry = entry_for(publication);
    for (; workers; workers &= workers - 1)
        append(worker, (unsigned)__builtin_ctzll(workers), &entry, message->topic,
               message->properties, message->payload, nothing);
}

static void append_kept(struct mqtt_worker *worker, unsigned to, struct entry *entry,
                        struct kept *message, struct str share) {
    entry->pointer = message;
    entry->share_bytes = (uint32_t)share.len;
    kept_ref(message);
    append(worker, to, entry, nothing, nothing, nothing, share);
}

void channel_send_kept(struct mqtt_worker *worker, uint64_t workers, struct kept *message) {
    struct entry entry = {.kind = ENTRY_KEPT};
    for (; workers; workers &= workers - 1)
        append_kept(worker, (unsigned)__builtin_ctzll(workers), &entry, message, nothing);
}

void channel_send_shared(struct mqtt_worker *worker, unsigned to, struct str key,
                         const struct publication *publication, uint8_t hops) {
    const struct message *message = &publication->message;
    if (publication->kept) {
        struct entry entry = {.kind = ENTRY_SHARED, .hops = hops};
        append_kept(worker, to, &entry, publication->kept, key);
        return;
    }
    struct entry entry = entry_for(publication);
    entry.kind = ENTRY_SHARED;
    entry.hops = hops;
    entry.share_bytes = (uint32_t)key.len;
    append(worker, to, &entry, message->topic, message->properties, message->payload, key);
}

void channel_send_share(struct mqtt_worker *worker, struct str key, struct share_count count) {
    struct entry entry = {.kind = ENTRY_SHARE, .count = count, .topic_bytes = (uint32_t)key.len};
    for
        EACH_OTHER(worker, i)
    append(worker, i, &entry, key, nothing, nothing, nothing);
}

void channel_send_retained(struct mqtt_worker *worker, struct kept *retained) {
    struct entry entry = {.kind = ENTRY_RETAINED, .pointer = retained};
    for
        EACH_OTHER(worker, i) {
            kept_ref(retained);
            append(worker, i, &entry, nothing, nothing, nothing, nothing);
        }
}

void channel_send_interest(struct mqtt_worker *worker, enum interest_change change,
                           struct str filter) {
    struct entry entry = {
        .kind = ENTRY_INTEREST, .change = change, .topic_bytes = (uint32_t)filter.len};
    for
        EACH_OTHER(worker, i)
    append(worker, i, &entry, filter, nothing, nothing, nothing);
}

void channel_send_call(struct mqtt_worker *worker, unsigned to, struct call *call) {
    struct entry entry = {.kind = ENTRY_CALL, .pointer = call};
    if (to == worker->index)
        call->run(worker, call);
    else
        append(worker, to, &entry, nothing, nothing, nothing, nothing);
}

bool channel_wait(struct mqtt_worker *worker, struct channel_wait *wait,
                  void (*done)(struct channel_wait *wait)) {
    struct entry entry = {.kind = ENTRY_WAIT, .pointer = wait};
    *wait = (struct channel_wait){.done = done};
    for
        EACH_OTHER(worker, i) {
            wait->left++;
            append(worker, i, &entry, nothing, nothing, nothing, nothing);
        }
    return wait->left > 0;
}

void channels_post_full(struct mqtt_worker *worker) {
    worker->posts_late = false;
    for
        EACH_OTHER(worker, i) {
            const struct batch *batch = worker->channels[i].filling;
            if (!batch || buf_len(&batch->bytes) < CHANNEL_BATCH_BYTES)
                continue;
            post(&worker->channels[i]);
            update_full(&worker->channels[i]);
        }
}

void channels_flush(struct mqtt_worker *worker) {
    for
        EACH_OTHER(worker, i) {
            post(&worker->channels[i]);
            update_full(&worker->channels[i]);
        }
}

/* ---- at the other end ---- */

/* Takes one entry off; the views look into the batch. */
static struct entry next_entry(struct str *rest, struct message *ret, struct str *ret_share) {
    struct entry entry;
    memcpy(&entry, rest->at, sizeof entry);
    *rest = str_skip(*rest, sizeof entry);
    *ret = (struct message){.topic = str_from(rest->at, entry.topic_bytes),
                            .qos = entry.qos,
                            .retain = entry.retain,
                            .received_ms = entry.number};
    *rest = str_skip(*rest, entry.topic_bytes);
    ret->properties = str_from(rest->at, entry.properties_bytes);
    *rest = str_skip(*rest, entry.properties_bytes);
    ret->payload = str_from(rest->at, entry.payload_bytes);
    *rest = str_skip(*rest, entry.payload_bytes);
    *ret_share = str_from(rest->at, entry.share_bytes);
    *rest = str_skip(*rest, entry.share_bytes);
    return entry;
}

static void apply_publication(struct mqtt_worker *worker, unsigned from, const struct entry *entry,
                              const struct message *message) {
    struct publication publication = {.message = *message, .expiry_at = entry->expiry_at};
    const struct route *route = route_find(worker, message->topic);
    if (route && route->target_count)
        deliver(worker, route, &publication, NULL, from);
}

static void apply_kept(struct mqtt_worker *worker, unsigned from, struct kept *message) {
    const struct route *route = route_find(worker, message->publication.message.topic);
    deliver(worker, route, &message->publication, NULL, from);
    kept_unref(message);
}

static void run_call(struct mqtt_worker *worker, struct call *call) {
    call->run(worker, call);
}

static void apply_shared(struct mqtt_worker *worker, const struct entry *entry,
                         const struct message *message, struct str key) {
    struct kept *kept = entry->pointer;
    struct publication publication = {.message = *message, .expiry_at = entry->expiry_at};
    share_arrive(worker, key, kept ? &kept->publication : &publication, entry->hops);
    kept_unref(kept);
}

static void apply(struct mqtt_worker *worker, unsigned from, const struct entry *entry,
                  const struct message *message, struct str share) {
    switch ((enum entry_kind)entry->kind) {
    case ENTRY_PUBLICATION:
        apply_publication(worker, from, entry, message);
        break;
    case ENTRY_RETAINED:
        publish_keep(worker, entry->pointer);
        kept_unref(entry->pointer);
        break;
    case ENTRY_KEPT:
        apply_kept(worker, from, entry->pointer);
        break;
    case ENTRY_INTEREST:
        interest_apply(worker, from, (enum interest_change)entry->change, message->topic);
        break;
    case ENTRY_SHARE:
        share_apply(worker, from, message->topic, entry->count);
        break;
    case ENTRY_SHARED:
        apply_shared(worker, entry, message, share);
        break;
    case ENTRY_CALL:
        run_call(worker, entry->pointer);
        break;
    case ENTRY_WAIT:
        break;
    }
}

static void on_arrival(struct task *task) {
    struct batch *batch = CONTAINER_OF(task, struct batch, task);
    struct mqtt_worker *worker = batch->to, *from = batch->from;
    worker->wall_ms = clock_wall_ms();
    for (struct str rest = buf_str(&batch->bytes); rest.len;) {
        struct message message;
        struct str share;
        struct entry entry = next_entry(&rest, &message, &share);
        apply(worker, from->index, &entry, &message, share);
    }
    if (batch->has_interests)
        post(&worker->channels[from->index]);
    batch->task.run = on_home;
    loop_post(from->loop, &batch->task);
}

/* ---- home again ---- */

static void end_waits(const struct batch *batch) {
    for (struct str rest = buf_str(&batch->bytes); rest.len;) {
        struct message message;
        struct str share;
        struct entry entry = next_entry(&rest, &message, &share);
        struct channel_wait *wait = entry.pointer;
        if (entry.kind == ENTRY_WAIT && --wait->left == 0)
            wait->done(wait);
    }
}

static void reuse(struct channel *channel, struct batch *batch) {
    if (channel->spare || batch->bytes.cap > SPARE_BYTES_MAX) {
        batch_free(batch);
        return;
    }
    buf_clear(&batch->bytes);
    batch->has_waits = batch->has_interests = false;
    channel->spare = batch;
}

static void on_home(struct task *task) {
    struct batch *batch = CONTAINER_OF(task, struct batch, task);
    struct channel *channel = batch->channel;
    struct mqtt_worker *worker = channel->from;
    channel->under_way--;
    if (batch->has_waits)
        end_waits(batch);
    reuse(channel, batch);
    bool was_full = channel->full;
    if (was_full)
        post(channel);
    update_full(channel);
    if (was_full && !channel->full)
        worker_unpark(worker);
}
