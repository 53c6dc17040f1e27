/*
 * The names of objects (Amazon Data Firehose developer guide, "Configure Amazon S3 object name
 * format" and "Custom prefixes for Amazon S3 objects").
 *
 *   key = prefix, evaluated | NAME-1-yyyy-MM-dd-HH-mm-ss-UUID | extension
 *
 * The instant in prefix and name is the arrival of the oldest record in the object, in UTC. A key
 * is made once per object (it holds random parts) and kept in the intent.
 */
#ifndef DELIVERY_OBJECT_KEY_H
#define DELIVERY_OBJECT_KEY_H

#include "delivery/delivery.h"

enum {
    OBJECT_KEY_BYTES_MAX = 1024,   /* S3 API reference, PutObject */
    OBJECT_PREFIX_BYTES_MAX = 512, /* evaluated */
};

/* Whether prefix, error_output_prefix and file_extension are what Firehose would take. The error
 * stands at the key that is wrong. */
int object_key_check(const struct delivery_config *config, struct err *err);

/* Appends a new key. The config was checked. */
void object_key_make(struct buf *out, const struct delivery_config *config, uint64_t instant_ms);

#endif
