/*
 * AWS Signature Version 4 as a server checks it (IAM user guide, "Create a signed AWS API request";
 * S3 API reference, "Authenticating Requests"): the Authorization header or the query of a presigned
 * URL, the scope, the age, the payload's hash, the signature. Pure: the clock is a parameter.
 */
#ifndef AWS_SIGV4_VERIFY_H
#define AWS_SIGV4_VERIFY_H

#include "base/iam.h"
#include "base/option.h"
#include "http/http.h"
#include "http/sigv4.h"

struct aws_credential {
    struct option_head head;
    const char *access_key_id, *secret_access_key;
    const char *session_token;    /* NULL: a long-term key, used without a token */
    const char *user;             /* in ARNs of error messages; NULL: the access key id */
    const char *policy;           /* NULL: may do everything */
    const struct iam_policy *iam; /* what `policy` names; aws_credentials_bind() sets it */
};

extern const struct option aws_credential_options[];

struct aws_verifier {
    struct option_items credentials; /* struct aws_credential */
    struct str service;              /* "kinesis" */
    bool s3; /* paths as S3 has them, presigned payloads unsigned, 15 minutes */
    /* The last derived key; zeroed is valid. */
    struct aws_verifier_key {
        const struct aws_credential *credential;
        char scope[96];
        uint8_t bytes[SIGV4_KEY_BYTES];
    } key;
};

struct aws_refusal {
    const char *type; /* "InvalidSignatureException" */
    char text[512];
};

/* 0, and *ret_credential says who signed; or DENIED and `ret_refusal` says why. */
int aws_verify(struct aws_verifier *verifier, const struct http_request *request, uint64_t wall_ms,
               const struct aws_credential **ret_credential, struct aws_refusal *ret_refusal);

#endif
