/*
 * Where an S3 store is reached and how an object there is addressed (S3 user guide, "Virtual
 * hosting of buckets"): path style http://host/bucket/key, virtual host style
 * http://bucket.host/key. Pure.
 */
#ifndef BUCKET_S3_ADDRESS_H
#define BUCKET_S3_ADDRESS_H

#include "base/buf.h"
#include "base/err.h"

struct s3_endpoint {
    bool is_tls;
    /* host[:port] as the Host header says it: without the scheme's own port */
    struct str authority;
};

/* Views into `text`. INVALID says what stands wrong. */
int s3_endpoint_parse(struct str text, struct s3_endpoint *ret_endpoint, struct err *err);

/* 1 to 32 small letters, digits and '-': it becomes part of signatures and of AWS's host names. */
bool s3_region_valid(struct str region);

/* Appends host[:port] of the object's URL, and its path, percent-encoded as S3 signs it. */
void s3_address_host(struct buf *out, struct str authority, struct str bucket, bool path_style);
void s3_address_path(struct buf *out, struct str bucket, struct str key, bool path_style);

/*
 * AWS has one host per region: appends the authority that serves `region` if `authority` is one of
 * AWS's S3 hosts; otherwise the authority as it is, because other stores have one host.
 */
void s3_address_for_region(struct buf *out, struct str authority, struct str region);

#endif
