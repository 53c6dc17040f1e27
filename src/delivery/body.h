/*
 * The bytes of an object: gathered record by record, then packed on the pool (gzip, hashes), so
 * that the loop is not held up. The same records give the same bytes, today and after a crash.
 */
#ifndef DELIVERY_BODY_H
#define DELIVERY_BODY_H

#include "base/buf.h"
#include "delivery/delivery.h"
#include "flow/record.h"

/* A buffer is cut behind the record that fills it. */
enum { BODY_BYTES_MAX = DELIVERY_BUFFER_BYTES_MAX + RECORD_BYTES_MAX };

/* Zeroed is valid and empty. */
struct body {
    struct buf raw;
    struct buf packed; /* gzip */
    bool is_gzip, has_hashes;
    char sha256_hex[65];
    char md5_base64[25];
    struct work work;
    void (*ready)(struct body *body);
};

void body_add(struct body *body, struct str record);

/* The same; but `apart`, of a record that a producer library has packed, the data of those that it holds,
 * one behind the other. That is never more than the record itself. */
void body_take(struct body *body, struct str record, bool apart);

/* `ready` runs on the loop, not before this returns; until then the body belongs to the pool. The
 * raw bytes are gone when they were compressed. */
void body_pack(struct body *body, struct loop *loop, bool gzip, bool hashes,
               void (*ready)(struct body *body));

/* What is to be stored. */
struct str body_bytes(const struct body *body);

/* Empty again; gives the memory back. */
void body_done(struct body *body);

#endif
