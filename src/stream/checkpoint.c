/*
 * Checkpoints: how far a consumer has come in a shard. The key in the table "checkpoint" is
 *
 *      streams/NAME/CREATED/SHARD/CONSUMER        deliveries/NAME/CREATED/SHARD/CONSUMER
 *      actions/NAME/CREATED/SHARD/CONSUMER               requests/NAME/CREATED/SHARD/CONSUMER
 *
 * with the stream's creation time, so that a stream that was deleted and made again starts anew;
 * the value is the counter of the next record, 8 bytes, little-endian. CONSUMER is "mapping/ID" and
 * "delivery/NAME" of those inside, "consumer/NAME" of the cursors that people and programs give a
 * name to.
 *
 * LMDB is for several processes, so `weir stream read --consumer` moves its cursor here, whether a Weir
 * runs on the directory or not.
 */
#include <inttypes.h>
#include <string.h>

#include "stream/log.h"

static const char table[] = "checkpoint";

static const char consumer_prefix[] = "consumer/";

static void write_key(struct buf *key, enum stream_kind kind, const char *stream,
                      uint64_t created_s, unsigned shard, const char *name) {
    buf_printf(key, "%s/%s/%" PRIu64 "/%u/%s", stream_kind_directories[kind], stream, created_s,
               shard, name);
}

static int get(struct facts *facts, struct str key, uint64_t *ret_counter) {
    struct buf value = {0};
    int status = facts_get(facts, table, key, &value);
    if (status == 0 && buf_len(&value) != sizeof *ret_counter)
        status = ERR_CORRUPT;
    if (status == 0)
        memcpy(ret_counter, buf_at(&value), sizeof *ret_counter);
    buf_done(&value);
    return status;
}

int stream_checkpoint_get(struct facts *facts, const struct stream *stream, unsigned shard,
                          const char *name, uint64_t *ret_counter) {
    struct buf key = {0};
    write_key(&key, stream->config.kind, stream->name, stream->created_s, shard, name);
    int status = get(facts, buf_str(&key), ret_counter);
    buf_done(&key);
    return status;
}

int stream_checkpoint_put(struct facts_write *write, const struct stream *stream, unsigned shard,
                          const char *name, uint64_t counter) {
    struct buf key = {0};
    write_key(&key, stream->config.kind, stream->name, stream->created_s, shard, name);
    int status = facts_put(write, table, buf_str(&key), str_from(&counter, sizeof counter));
    buf_done(&key);
    return status;
}

int stream_checkpoint_delete(struct facts_write *write, const struct stream *stream, unsigned shard,
                             const char *name) {
    struct buf key = {0};
    write_key(&key, stream->config.kind, stream->name, stream->created_s, shard, name);
    int status = facts_delete(write, table, buf_str(&key));
    buf_done(&key);
    return status;
}

/* ---- named consumers ---- */

bool stream_consumer_name_valid(const char *name) {
    size_t len = strlen(name);
    for (const char *c = name; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              strchr("_.-", *c)))
            return false;
    return len >= 1 && len <= STREAM_CONSUMER_CHARS_MAX;
}

static void write_consumer_key(struct buf *key, const struct stream_consumer *consumer) {
    buf_printf(key, "streams/%.*s/%" PRIu64 "/%u/%s%.*s", STR_ARG(consumer->stream),
               consumer->created_s, consumer->shard, consumer_prefix, STR_ARG(consumer->name));
}

int stream_consumer_get(struct facts *facts, struct stream_consumer *consumer) {
    struct buf key = {0};
    write_consumer_key(&key, consumer);
    int status = get(facts, buf_str(&key), &consumer->counter);
    buf_done(&key);
    return status;
}

int stream_consumer_put(struct facts_write *write, const struct stream_consumer *consumer) {
    struct buf key = {0};
    write_consumer_key(&key, consumer);
    int status = facts_put(write, table, buf_str(&key),
                           str_from(&consumer->counter, sizeof consumer->counter));
    buf_done(&key);
    return status;
}

int stream_consumer_remove(struct facts_write *write, const struct stream_consumer *consumer) {
    struct buf key = {0};
    write_consumer_key(&key, consumer);
    int status = facts_delete(write, table, buf_str(&key));
    buf_done(&key);
    return status;
}

struct listing {
    bool (*each)(void *data, const struct stream_consumer *consumer);
    void *data;
};

/* STREAM/CREATED/SHARD/consumer/NAME; the checkpoints of others are passed over. */
static bool on_key(void *data, struct str key, struct str value) {
    const struct listing *listing = data;
    struct stream_consumer consumer = {0};
    struct str rest = str_skip(key, strlen("streams/"));
    uint64_t shard;
    consumer.stream = str_cut(rest, '/', &rest);
    bool fits = str_to_u64(str_cut(rest, '/', &rest), &consumer.created_s);
    fits = fits && str_to_u64(str_cut(rest, '/', &rest), &shard);
    if (!fits || !str_starts(rest, str_of(consumer_prefix)) || value.len != sizeof consumer.counter)
        return true;
    consumer.shard = (unsigned)shard;
    consumer.name = str_skip(rest, strlen(consumer_prefix));
    memcpy(&consumer.counter, value.at, sizeof consumer.counter);
    return listing->each(listing->data, &consumer);
}

int stream_consumer_each(struct facts *facts,
                         bool (*each)(void *data, const struct stream_consumer *consumer),
                         void *data) {
    struct listing listing = {each, data};
    return facts_each(facts, table, STR("streams/"), on_key, &listing);
}
