/*
 * What an S3 store answers, and what follows from it (S3 API reference, "Error responses").
 * Pure.
 */
#ifndef BUCKET_S3_ERROR_H
#define BUCKET_S3_ERROR_H

#include "base/str.h"
#include "bucket/bucket.h"

/* The elements of an <Error> document, unescaped and cut to these sizes; empty when absent. */
struct s3_error {
    char code[64];
    char message[256];
    char region[33];
    char request_id[64];
};

/* Reads <Error><Code>...; false (and all empty) if the text is no such document. Looks at the first
 * S3_ERROR_BYTES_MAX bytes only. */
enum { S3_ERROR_BYTES_MAX = 64 * 1024 };
bool s3_error_read(struct str text, struct s3_error *ret_error);

/* What is to be done about it. */
enum s3_action {
    S3_RETRY,      /* with growing pauses */
    S3_FIX_CLOCK,  /* take the server's time and sign again */
    S3_FIX_REGION, /* take the region that the answer names and sign again */
    S3_HOLD,       /* nothing helps but a person: keep the data, try once a minute */
};

struct s3_case {
    const char *code; /* "NoSuchBucket", "503", "Other" */
    enum s3_action action;
    const char *advice; /* for S3_HOLD: what would be right; else NULL */
};

/* By the error's code if it is a known one, else by the status. Static. */
const struct s3_case *s3_error_case(int status, struct str code);

#endif
