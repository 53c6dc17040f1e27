/*
 * A delivery stream that several nodes share: its buffer is a Kafka topic, and each shard is delivered
 * by the node that the group has given it to, as if it were a delivery stream of its own.
 *
 * Exactly-once objects hold across nodes. The intent (range, key, checksum) is committed to the group
 * together with the position that it begins at, before the first byte of the object is written; the
 * position moves behind the range, and the intent goes, in one commit. Whoever gets the shard next
 * finds one of the two states. If it finds the intent, it writes the same key and the same bytes again,
 * which overwrites what the last owner may have written, or may still be writing. A node that has lost
 * the shard without knowing has its commits refused, and so begins no object that another knows
 * nothing of.
 */
#include "delivery/share.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"

enum { RETRY_MS = 1000 };

struct part {
    struct delivery_share *share;
    unsigned shard;
    struct delivery *delivery; /* NULL: another node's */
    bool closing;
    bool wanted; /* gained; waits for the last one's end, or for the next attempt to open it */
    uint64_t counter;
    struct buf note;
};

struct delivery_share {
    struct delivery_shard_config config; /* without what a part has of its own */
    struct stream_member *member;
    struct part *parts;
    unsigned count;
    struct timer retry;
    bool is_closing;
    unsigned open; /* parts, the timer, and the closer */
    void (*closed)(void *data);
    void *data;
};

static void on_retry(struct timer *timer);

static void open_part(struct part *part) {
    struct delivery_share *share = part->share;
    struct delivery_shard_config config = share->config;
    struct err err;
    config.member = share->member;
    config.shard = part->shard;
    config.counter = part->counter;
    config.note = buf_str(&part->note);
    int code = delivery_shard_open(&config, &part->delivery, &err);
    part->wanted = code != 0;
    if (!code)
        return;
    log_error("delivery", "%s: shard %u: %s", config.config->head.name, part->shard, err.text);
    timer_start(config.loop, &share->retry, RETRY_MS, 0, on_retry);
}

static void on_retry(struct timer *timer) {
    struct delivery_share *share = CONTAINER_OF(timer, struct delivery_share, retry);
    for (unsigned i = 0; i < share->count && !share->is_closing; i++)
        if (share->parts[i].wanted && !share->parts[i].delivery)
            open_part(&share->parts[i]);
}

static void on_gained(void *data, unsigned shard, bool known, uint64_t counter, struct str note) {
    struct delivery_share *share = data;
    struct part *part = &share->parts[shard];
    struct stream_shard_info info;
    if (share->is_closing)
        return;
    stream_shard_get(share->config.stream, shard, &info);
    part->counter = known ? counter : info.first_counter;
    buf_clear(&part->note);
    buf_add_str(&part->note, note);
    part->wanted = true;
    if (!part->delivery)
        open_part(part);
}

static void one_closed(struct delivery_share *share) {
    if (--share->open)
        return;
    stream_member_leave(share->member);
    void (*closed)(void *data) = share->closed;
    void *data = share->data;
    for (unsigned i = 0; i < share->count; i++)
        buf_done(&share->parts[i].note);
    free(share->parts);
    free(share);
    closed(data);
}

static void on_part_closed(void *data) {
    struct part *part = data;
    struct delivery_share *share = part->share;
    part->delivery = NULL;
    part->closing = false;
    if (share->is_closing)
        one_closed(share);
    else if (part->wanted)
        open_part(part);
}

/* What is being written may still be finished: the next owner writes the same. */
static void on_lost(void *data, unsigned shard) {
    struct delivery_share *share = data;
    struct part *part = &share->parts[shard];
    part->wanted = false;
    if (!part->delivery || part->closing)
        return;
    part->closing = true;
    delivery_close(part->delivery, 0, on_part_closed, part);
}

/* ---- life ---- */

static void set_parts(struct delivery_share *share) {
    share->count = stream_shard_count(share->config.stream);
    share->parts = xcalloc(share->count, sizeof *share->parts);
    for (unsigned i = 0; i < share->count; i++)
        share->parts[i] = (struct part){.share = share, .shard = i};
}

int delivery_share_open(struct loop *loop, struct http_client *client,
                        const struct delivery_config *config, const struct bucket_config *bucket,
                        struct stream *stream, struct delivery_share **ret_share, struct err *err) {
    const struct stream_member_events events = {.on_gained = on_gained, .on_lost = on_lost};
    struct delivery_share *share = xcalloc(1, sizeof *share);
    share->config = (struct delivery_shard_config){
        .loop = loop, .client = client, .config = config, .bucket = bucket, .stream = stream};
    set_parts(share);
    char *name = xprintf("delivery/%s", config->head.name);
    int code = stream_member_join(stream, name, loop, &events, share, &share->member, err);
    free(name);
    if (code) {
        free(share->parts);
        free(share);
        return code;
    }
    *ret_share = share;
    return 0;
}

static void on_retry_closed(struct timer *timer) {
    one_closed(CONTAINER_OF(timer, struct delivery_share, retry));
}

static void close_parts(struct delivery_share *share, unsigned grace_ms) {
    for (unsigned i = 0; i < share->count; i++) {
        struct part *part = &share->parts[i];
        if (!part->delivery)
            continue;
        share->open++;
        if (!part->closing)
            delivery_close(part->delivery, grace_ms, on_part_closed, part);
        part->closing = true;
    }
}

void delivery_share_close(struct delivery_share *share, unsigned grace_ms,
                          void (*closed)(void *data), void *data) {
    ASSERT(!share->is_closing);
    share->is_closing = true;
    share->closed = closed;
    share->data = data;
    share->open = 1;
    close_parts(share, grace_ms);
    timer_start(share->config.loop, &share->retry, 0, 0, on_retry); /* `closed` comes later */
    timer_close(&share->retry, on_retry_closed);
}
