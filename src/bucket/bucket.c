#include "bucket/bucket.h"

#include <openssl/evp.h>

#include "base/backoff.h"
#include "base/base64.h"
#include "http/sigv4.h"

enum { MD5_BYTES = 16 };

void bucket_hash(struct str body, char ret_sha256_hex[BUCKET_SHA256_CHARS],
                 char ret_md5_base64[BUCKET_MD5_CHARS]) {
    uint8_t md5[MD5_BYTES];
    unsigned md5_len = 0;
    sigv4_sha256_hex(body, ret_sha256_hex);
    int good = EVP_Digest(body.at, body.len, md5, &md5_len, EVP_md5(), NULL);
    ASSERT(good && md5_len == MD5_BYTES);
    struct buf text = {0};
    base64_write(&text, str_from(md5, MD5_BYTES));
    ASSERT(buf_len(&text) == BUCKET_MD5_CHARS - 1);
    memcpy(ret_md5_base64, buf_cstr(&text), BUCKET_MD5_CHARS);
    buf_done(&text);
}

struct bucket *bucket_open(struct loop *loop, struct http_client *client,
                           const struct bucket_config *config) {
    return bucket_is_s3(config) ? bucket_open_s3(client, config)
                                : bucket_open_directory(loop, config->directory);
}

static unsigned retry_delay_ms(unsigned attempt, uint64_t random) {
    return (unsigned)(random %
                      (backoff_ms(BUCKET_RETRY_MS_FIRST, BUCKET_RETRY_MS_MAX, attempt) + 1));
}

unsigned bucket_pause_ms(enum bucket_verdict verdict, unsigned attempt, uint64_t random) {
    if (verdict == BUCKET_RETRY_NOW)
        return 0;
    return verdict == BUCKET_HOLD ? BUCKET_HOLD_MS : retry_delay_ms(attempt, random);
}
