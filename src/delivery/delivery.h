/*
 * Delivery streams, as Amazon Data Firehose has them: records gather in a durable buffer (a stream
 * of kind STREAM_DELIVERY) until buffer_size or buffer_interval is reached and then become one
 * object in a bucket.
 *
 * Exactly-once objects (design law 6): the range of records and the object's key are recorded as an
 * *intent* in LMDB before the first byte is written; after a crash the same intent gives the same
 * key and the same bytes, so a repeated write overwrites itself. Only when the object is safe do
 * checkpoint and intent change, in one transaction.
 *
 * Belongs to the service loop. A bucket that is down is a cursor that stands still, shown as lag.
 */
#ifndef DELIVERY_DELIVERY_H
#define DELIVERY_DELIVERY_H

#include "base/err.h"
#include "base/option.h"
#include "bucket/bucket.h"
#include "http/http.h"
#include "io/facts.h"
#include "io/loop.h"
#include "stream/stream.h"

enum delivery_compression { DELIVERY_UNCOMPRESSED, DELIVERY_GZIP };

enum { DELIVERY_BUFFER_BYTES_MAX = 128 * 1024 * 1024 };

struct delivery_config {
    struct option_head head; /* head.name: 1..64 of [a-zA-Z0-9_.-] */
    const char *bucket;      /* a name of `buckets` */
    const char *prefix;      /* reference 2.3; default "": yyyy/MM/dd/HH/ */
    const char *error_output_prefix;
    const char *file_extension;
    int64_t buffer_size_bytes;  /* key buffer_size: 1 KiB .. 128 MiB, default 5 MiB */
    int64_t buffer_interval_ms; /* key buffer_interval: 0 .. 900 s, default 300 s */
    int compression;            /* key compression: delivery_compression() reads it */
    int format;                 /* "json", the only one: records as they are */
    int64_t backlog_bytes_max;  /* key backlog_size: what may wait on disk while the bucket is down;
                                   default 10 GiB */
    struct stream_kafka_config kafka; /* the buffer is this topic, which needs a group */
};

extern const struct option delivery_options[];

enum delivery_compression delivery_compression(const struct delivery_config *config);

/* What the tables cannot see: prefix expressions, names, endpoint. The error says the place. Called
 * by delivery_open() too. */
int delivery_config_check(const struct delivery_config *config, struct err *err);

struct delivery;

/*
 * Starts delivering from `stream` (opened by the caller with stream_config kind STREAM_DELIVERY,
 * one shard, bytes_max = backlog_bytes_max). Finishes what an intent left by a crash says first.
 * Configs must outlive the delivery.
 */
int delivery_open(struct loop *loop, struct facts *facts, struct http_client *client,
                  const struct delivery_config *config, const struct bucket_config *bucket,
                  struct stream *stream, struct delivery **ret_delivery, struct err *err);

/* The same for a stream that nodes share (stream_is_shared): this node delivers the shards that it is
 * given (share.c). */
struct delivery_share;
int delivery_share_open(struct loop *loop, struct http_client *client,
                        const struct delivery_config *config, const struct bucket_config *bucket,
                        struct stream *stream, struct delivery_share **ret_share, struct err *err);
void delivery_share_close(struct delivery_share *share, unsigned grace_ms,
                          void (*closed)(void *data), void *data);

/*
 * Stops: an object that is being written is finished if that takes no longer than `grace_ms` (else
 * its intent stays and the next start finishes it); what waits in the buffer stays there. Then
 * `closed`, and the memory is gone.
 */
void delivery_close(struct delivery *delivery, unsigned grace_ms, void (*closed)(void *data),
                    void *data);

#endif
