/*
 * Where objects go: a directory or an S3 store. One object at a time per bucket. Belongs to the
  loop of whoever opened it.
 */
#ifndef BUCKET_BUCKET_H
#define BUCKET_BUCKET_H

#include "base/err.h"
#include "base/option.h"
#include "http/http.h"
#include "io/loop.h"

struct bucket_s3_config {
    struct option_head head; /* head.conf NULL: not given */
    const char *endpoint;    /* http(s)://host[:port] */
    const char *region;      /* default us-east-1 */
    const char *bucket;      /* default: the bucket's name in the configuration */
    const char *access_key_id, *secret_access_key, *session_token;
    bool path_style; /* default true */
    const char *ca_path;
};

struct bucket_config {
    struct option_head head; /* head.name */
    const char *directory;   /* exactly one of directory and s3 */
    struct bucket_s3_config s3;
};

extern const struct option bucket_options[];

/* What the tables cannot see: names, endpoint. The error says the place. */
int bucket_check(const struct bucket_config *bucket, struct err *err);
bool bucket_is_s3(const struct bucket_config *bucket);

/*
 * A key may hold anything for S3; as a path below a directory it must stay there: no segment is
 * "." or "..", or longer than a file name may be. INVALID with a sentence otherwise.
 */
int bucket_path_check(struct str key, struct err *err);

enum { BUCKET_HEADERS_MAX = 20 };

struct bucket_object {
    struct str key;
    struct str body; /* both stay valid until `done`, or cancel */
    bool is_gzip;
    const char *sha256_hex, *md5_base64; /* if the bucket wants hashes */
    const char *content_type;            /* NULL: application/octet-stream; S3 only */
    const char *canned_acl;              /* "public-read", or NULL; S3 only */
    const struct http_header *headers;   /* more of them, at most BUCKET_HEADERS_MAX; S3 only */
    size_t header_count;
};

/* The two hashes of a body. */
enum { BUCKET_SHA256_CHARS = 65, BUCKET_MD5_CHARS = 25 };
void bucket_hash(struct str body, char ret_sha256_hex[BUCKET_SHA256_CHARS],
                 char ret_md5_base64[BUCKET_MD5_CHARS]);

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

enum { BUCKET_RETRY_MS_FIRST = 200, BUCKET_RETRY_MS_MAX = 30 * 1000, BUCKET_HOLD_MS = 60 * 1000 };

/*
 * The pause that a verdict asks for before attempt `attempt` (from 1: after the first failure). Of a
 * store that may be back soon: anything up to 200 ms, doubling to 30 s ("full jitter"), so that many
 * who wait for one store do not come at once. `random` decides.
 */
unsigned bucket_pause_ms(enum bucket_verdict verdict, unsigned attempt, uint64_t random);

/* By what the config, which was checked, says. All three outlive the bucket. */
struct bucket *bucket_open(struct loop *loop, struct http_client *client,
                           const struct bucket_config *config);
struct bucket *bucket_open_directory(struct loop *loop, const char *path);

/* The config was checked. `client` must outlive the bucket. */
struct bucket *bucket_open_s3(struct http_client *client, const struct bucket_config *config);

#endif
