/*
 * Checkpoints: how far a consumer has come in a shard. The key in the table "checkpoint" is
 *
 *      streams/NAME/CREATED/SHARD/CONSUMER        deliveries/NAME/CREATED/SHARD/CONSUMER
 *      actions/NAME/CREATED/SHARD/CONSUMER
 *
 * with the stream's creation time, so that a stream that was deleted and made again starts anew;
 * the value is the counter of the next record, 8 bytes, little-endian.
 */
#include <inttypes.h>
#include <string.h>

#include "stream/log.h"

static const char table[] = "checkpoint";

static void write_key(struct buf *key, const struct stream *stream, unsigned shard,
                      const char *name) {
    buf_printf(key, "%s/%s/%" PRIu64 "/%u/%s", stream_kind_directories[stream->config.kind],
               stream->name, stream->created_s, shard, name);
}

int stream_checkpoint_get(struct facts *facts, const struct stream *stream, unsigned shard,
                          const char *name, uint64_t *ret_counter) {
    struct buf key = {0}, value = {0};
    write_key(&key, stream, shard, name);
    int status = facts_get(facts, table, buf_str(&key), &value);
    if (status == 0 && buf_len(&value) != sizeof *ret_counter)
        status = ERR_CORRUPT;
    if (status == 0)
        memcpy(ret_counter, buf_at(&value), sizeof *ret_counter);
    buf_done(&key);
    buf_done(&value);
    return status;
}

int stream_checkpoint_put(struct facts_write *write, const struct stream *stream, unsigned shard,
                          const char *name, uint64_t counter) {
    struct buf key = {0};
    write_key(&key, stream, shard, name);
    int status = facts_put(write, table, buf_str(&key), str_from(&counter, sizeof counter));
    buf_done(&key);
    return status;
}

int stream_checkpoint_delete(struct facts_write *write, const struct stream *stream, unsigned shard,
                             const char *name) {
    struct buf key = {0};
    write_key(&key, stream, shard, name);
    int status = facts_delete(write, table, buf_str(&key));
    buf_done(&key);
    return status;
}
