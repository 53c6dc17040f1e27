/*
 * AWS Signature Version 4 (IAM user guide, "Create a signed AWS API request"; S3 API reference,
 * "Signature calculations"): the canonical request, the string to sign, the signature, for outgoing
 * requests. Pure: no clock, no I/O. The derived key is cached by the caller if it wants to.
 */
#ifndef HTTP_SIGV4_H
#define HTTP_SIGV4_H

#include "base/buf.h"
#include "http/http.h"

struct sigv4_request {
    struct str method;
    struct str path;  /* raw, as it stands in the request line, encoded; without query */
    struct str query; /* raw, without '?' */
    /* those to be signed: host and all x-amz-* at least; any order and case */
    const struct http_header *headers;
    size_t header_count;
    struct str payload_hash; /* 64 hex digits, or UNSIGNED-PAYLOAD */
    struct str region, service;
    struct str amz_date; /* 20260923T061500Z */
    bool s3;             /* no second encoding and no normalisation of the path */
};

enum { SIGV4_SIGNATURE_CHARS = 65 };

void sigv4_sha256_hex(struct str bytes, char ret_hex[65]);

/* Appends the canonical request (for tests and error messages). */
void sigv4_canonical_request(struct buf *out, const struct sigv4_request *request);

void sigv4_signature(const struct sigv4_request *request, struct str secret_access_key,
                     char ret_signature[SIGV4_SIGNATURE_CHARS]);

/*
 * The same in two steps, for a caller that keeps the derived key: it holds for one secret, day
 * ("20260923"), region and service. The key is as secret as the secret is.
 */
enum { SIGV4_KEY_BYTES = 32 };
void sigv4_signing_key(struct str secret_access_key, struct str day, struct str region,
                       struct str service, uint8_t ret_key[SIGV4_KEY_BYTES]);
void sigv4_sign(const struct sigv4_request *request, const uint8_t key[SIGV4_KEY_BYTES],
                char ret_signature[SIGV4_SIGNATURE_CHARS]);

/* Appends the value of the Authorization header. */
void sigv4_authorization(struct buf *out, const struct sigv4_request *request,
                         struct str access_key_id, struct str secret_access_key);

/* "20260923T061500Z" of a wall time. */
enum { SIGV4_DATE_CHARS = 17 };
void sigv4_date(uint64_t wall_ms, char ret_text[SIGV4_DATE_CHARS]);

#endif
