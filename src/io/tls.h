/*
 * TLS 1.2 and 1.3 with OpenSSL, over memory: tcp.c feeds it what came from the socket and sends
 * what it gives. A context belongs to whoever made it and must outlive its connections; contexts
 * may be used by several threads' connections at once (OpenSSL counts references atomically), a
 * connection by one.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct tls_context;
struct tls;

struct tls_server_config {
    const char *cert_path, *key_path; /* PEM; the certificate may be followed by its chain */
    const char *client_ca_path;       /* NULL: client certificates are not asked for */
    bool require_client_cert;
    const char *const *alpn; /* NULL-terminated, in order of preference, or NULL */
    /* Clients are asked for a certificate, and one that no CA vouches for is let through all the
     * same, if it is valid today: the owner decides by tls_peer(), whose `verified` is false then. */
    bool accept_unknown_certs;
};

int tls_server_context(const struct tls_server_config *config, struct tls_context **ret_context,
                       struct err *err);

/* Reads the files again; connections that exist keep what they have. On failure the old stay. */
int tls_context_reload(struct tls_context *context, struct err *err);

/* For connecting: verifies against the system's store, or `ca_path` if given. */
int tls_client_context(const char *ca_path, const char *cert_path, const char *key_path,
                       struct tls_context **ret_context, struct err *err);

void tls_context_free(struct tls_context *context);

struct tls *tls_new_server(struct tls_context *context);
struct tls *tls_new_client(struct tls_context *context, const char *host);
void tls_free(struct tls *tls);

/*
 * Bytes from the network in, in pieces of any size; plain text is appended to `plain`, what must go
 * to the network to `cipher`. 0, or a negative code when the connection must end (send `cipher`
 * first: it holds the alert); tls_error() tells why. ERR_CLOSED: the peer's close_notify, an
 * orderly end. ERR_DENIED: its certificate was not accepted. `plain` may have grown all the same.
 */
int tls_feed(struct tls *tls, const uint8_t *at, size_t len, struct buf *plain, struct buf *cipher);

/* Plain text in, records out. Only after tls_established(). */
int tls_seal(struct tls *tls, const uint8_t *at, size_t len, struct buf *cipher);

/* The client's first flight. */
int tls_start(struct tls *tls, struct buf *cipher);

/* The close_notify alert. */
void tls_finish(struct tls *tls, struct buf *cipher);

bool tls_established(const struct tls *tls);
const char *tls_error(const struct tls *tls); /* static or owned by `tls` */

/* The peer's certificate. It holds the private key in any case. */
struct tls_peer {
    char common_name[65]; /* empty if it has more than 64 bytes, or a NUL */
    char fingerprint[65]; /* hexadecimal SHA-256 of its DER */
    bool verified;        /* by the CA; false only with accept_unknown_certs */
};

/* False if there is none. */
bool tls_peer(const struct tls *tls, struct tls_peer *ret);

/* Hexadecimal SHA-256 of the DER of the first certificate of a PEM text, as in struct tls_peer;
 * ERR_INVALID if there is none. */
int tls_fingerprint(struct str pem, char ret_fingerprint[65]);

#endif
