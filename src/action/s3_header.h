/*
 * Headers of the objects that the action `s3` writes: what the store keeps with an object and gives
 * back (Amazon S3 API reference, PutObject), such as Cache-Control and x-amz-meta-*. AWS's own s3
 * action has none but the ACL.
 */
#ifndef ACTION_S3_HEADER_H
#define ACTION_S3_HEADER_H

#include "action/target.h"

struct s3_header {
    struct option_head head;
    const char *key, *value; /* the value may be a template */
};

extern const struct option s3_header_options[];

/* INVALID, at its place: too many, or one that an action cannot set. */
int s3_headers_check(const struct option_head *head, const struct option_items *headers,
                     struct err *err);

/* A parameter "header.KEY" for each. */
void s3_headers_templates(const struct option_items *headers, struct action_templates *templates);

/* Those of the record that are not empty, into room for BUCKET_HEADERS_MAX. INVALID: a value is no
 * header's. */
int s3_headers_read(const struct action_record *record, struct http_header *ret_headers,
                    size_t *ret_count, struct err *err);

#endif
