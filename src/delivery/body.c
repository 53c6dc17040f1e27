/*
 * gzip (RFC 1952): one member, no name, time 0, so that nothing but the records decides the bytes.
 * libdeflate compresses whole buffers only; the bound of a buffer (BODY_BYTES_MAX) makes that
 * possible. Level 6: readings in JSON shrink to 15.2 % at 65 MB/s; level 4 gives 16.3 % at 107 MB/s,
 * level 9 14.5 % at 9 MB/s.
 */
#include "delivery/body.h"

#include <libdeflate.h>
#include <stdlib.h>

#include "base/mem.h"
#include "bucket/bucket.h"

enum { GZIP_LEVEL = 6 };

void body_add(struct body *body, struct str record) {
    ASSERT(buf_len(&body->raw) + record.len <= BODY_BYTES_MAX);
    buf_add_str(&body->raw, record);
}

static void compress(struct body *body) {
    struct libdeflate_compressor *compressor = libdeflate_alloc_compressor(GZIP_LEVEL);
    ASSERT(compressor);
    size_t len = buf_len(&body->raw);
    size_t room = libdeflate_gzip_compress_bound(compressor, len);
    size_t packed = libdeflate_gzip_compress(compressor, buf_at(&body->raw), len,
                                             buf_room(&body->packed, room), room);
    ASSERT(packed > 0);
    buf_added(&body->packed, packed);
    libdeflate_free_compressor(compressor);
    buf_done(&body->raw);
}

static void pack(struct work *work) {
    struct body *body = CONTAINER_OF(work, struct body, work);
    if (body->is_gzip)
        compress(body);
    if (body->has_hashes)
        bucket_hash(body_bytes(body), body->sha256_hex, body->md5_base64);
}

static void on_packed(struct work *work) {
    struct body *body = CONTAINER_OF(work, struct body, work);
    body->ready(body);
}

void body_pack(struct body *body, struct loop *loop, bool gzip, bool hashes,
               void (*ready)(struct body *body)) {
    body->is_gzip = gzip;
    body->has_hashes = hashes;
    body->ready = ready;
    loop_work(loop, &body->work, pack, on_packed);
}

struct str body_bytes(const struct body *body) {
    return buf_str(body->is_gzip ? &body->packed : &body->raw);
}

void body_done(struct body *body) {
    buf_done(&body->raw);
    buf_done(&body->packed);
    body->is_gzip = body->has_hashes = false;
}
