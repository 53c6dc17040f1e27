/* What a stream keeps: the words that producers, streams and consumers share. Views only; nothing
 * here owns bytes. */
#ifndef FLOW_RECORD_H
#define FLOW_RECORD_H

#include "base/str.h"

/* Bounds of Kinesis (API reference, PutRecord and UpdateMaxRecordSize): key 1..256 characters, data and
 * key together 1 MiB; data streams may be told to take more. */
enum {
    RECORD_KEY_BYTES_MAX = 1024,
    RECORD_BYTES_DEFAULT = 1024 * 1024,
    RECORD_BYTES_MAX = 10 * 1024 * 1024,
};

struct record {
    struct str partition_key; /* UTF-8, 1..RECORD_KEY_BYTES_MAX bytes */
    /* decimal, or empty: the MD5 of the partition key decides the shard */
    struct str explicit_hash_key;
    struct str data; /* any bytes */
};

#endif
