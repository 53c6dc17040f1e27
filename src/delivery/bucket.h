/*
 * Where objects go: a directory or an S3 store. One object at a time per bucket. Belongs to the
 * delivery's loop.
 */
#ifndef DELIVERY_BUCKET_H
#define DELIVERY_BUCKET_H

#include "base/err.h"
#include "delivery/delivery.h"

struct bucket_object {
    struct str key;
    struct str body; /* both stay valid until `done`, or cancel */
    bool is_gzip;
    const char *sha256_hex, *md5_base64; /* if the bucket wants hashes */
};

enum bucket_verdict {
    BUCKET_SAFE,      /* on disk, or acknowledged by the store */
    BUCKET_RETRY,     /* again after a pause that grows */
    BUCKET_RETRY_NOW, /* something was corrected (clock, region): again at once */
    BUCKET_HOLD,      /* until someone changes something: again once a minute */
};

struct bucket_result {
    enum bucket_verdict verdict;
    const char *code; /* one of a fixed list of words, static, for the metric */
    char text[512];   /* what is wrong and what would be right */
};

struct bucket;

struct bucket_ops {
    bool wants_hashes;
    /* `done` runs exactly once, never before this returns, unless cancelled. */
    void (*put)(struct bucket *bucket, const struct bucket_object *object);
    /* True: `done` will not run. False: it cannot be stopped any more, `done` runs. */
    bool (*cancel)(struct bucket *bucket);
    /* Nothing is under way. */
    void (*free)(struct bucket *bucket);
};

struct bucket {
    const struct bucket_ops *ops;
    void (*done)(void *data, const struct bucket_result *result);
    void *data;
};

/*
 * The pause before attempt `attempt` (from 1: after the first failure): anything up to 200 ms,
 * doubling to 30 s ("full jitter"), so that many who wait for one store do not come at once.
 * `random` decides.
 */
enum { BUCKET_RETRY_MS_FIRST = 200, BUCKET_RETRY_MS_MAX = 30 * 1000, BUCKET_HOLD_MS = 60 * 1000 };
unsigned bucket_retry_delay_ms(unsigned attempt, uint64_t random);

/* The pause that a verdict asks for. */
unsigned bucket_pause_ms(enum bucket_verdict verdict, unsigned attempt, uint64_t random);

struct bucket *directory_open(struct loop *loop, const char *path);

/* The config was checked. `client` must outlive the bucket. */
struct bucket *s3_open(struct http_client *client, const struct delivery_bucket_config *config);

#endif
