/*
 * The AWS-compatible endpoints: Kinesis Data Streams over the streams of stream/stream.h, on one
 * listener, HTTP/1.1 and HTTP/2, AWS JSON 1.1 and CBOR 1.1 (docs/kinesis-api.md). Everything belongs
 * to the loop that aws_open() was called on, which is the service loop of the streams.
 *
 * All streams are open when aws_open() is called: those of the configuration file, which cannot be
 * deleted through the API, and those that were made through it. What the API keeps of them beside
 * their records (tags, consumers, flags) is in the facts table "kinesis".
 */
#ifndef AWS_AWS_H
#define AWS_AWS_H

#include "aws/limits.h"
#include "aws/sigv4_verify.h"
#include "base/option.h"
#include "http/rest.h"
#include "io/facts.h"
#include "io/loop.h"
#include "stream/stream.h"

enum aws_auth { AWS_AUTH_OPEN, AWS_AUTH_SIGV4 };

struct aws_tls_config {
    struct option_head head; /* head.conf NULL: plain */
    const char *cert, *key;
};

struct aws_config {
    struct option_head head; /* head.conf NULL: no api listener */
    const char *bind;
    int auth; /* enum aws_auth */
    struct aws_tls_config tls;
    bool plaintext;               /* needed beyond loopback without tls (design law 8) */
    const char *region, *account; /* of the ARNs */
    struct aws_limits_config limits;
};

extern const struct option aws_options[];

/* What the tables cannot say: open only on loopback; sigv4 needs keys, each once. */
int aws_config_check(const struct aws_config *config, const struct option_items *credentials,
                     struct err *err);

/* Gives each credential the policy that it names. INVALID: there is none. */
int aws_credentials_bind(struct option_items *credentials, const struct iam_policies *policies,
                         struct err *err);

struct aws;

enum { AWS_REST_SERVICES_MAX = 8 };

struct aws_services {
    struct stream_log *log;
    struct stream_writer *writer; /* of this loop */
    struct facts *facts;
    const struct option_items *credentials; /* struct aws_credential; copied views */
    /* Whether the configuration file has this stream. */
    bool (*is_configured)(void *data, struct str stream);
    void *data;
    /* What answers on the same listener by path, each request signed for the service's own name;
     * must outlive the aws. */
    const struct rest_service *rest[AWS_REST_SERVICES_MAX];
    size_t rest_count;
};

/* `config` and what it points to must outlive the aws; `services` is copied. [owner] */
int aws_open(struct loop *loop, const struct aws_config *config,
             const struct aws_services *services, struct sockaddr_storage *ret_address,
             struct aws **ret_aws, struct err *err);

/* Reads the certificate and its key again; on failure the old ones stay. */
int aws_reload(struct aws *aws, struct err *err);

/* Closes every connection, waits for what is being committed, then `closed` and the memory is gone. */
void aws_close(struct aws *aws, void (*closed)(void *data), void *data);

#endif
