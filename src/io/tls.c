/*
 * OpenSSL works on a BIO of our own: while a call runs it reads from the bytes that the caller
 * brought and writes into the caller's buffer. So nothing is copied between, and an idle connection
 * holds no buffer: OpenSSL releases its own (SSL_MODE_RELEASE_BUFFERS) and keeps at most the
 * beginning of a record that has not come whole.
 *
 * Contexts: a reload makes a new SSL_CTX and puts it in the place of the old one, which lives until
 * its last connection ends. Taking a reference and replacing exclude one another by the context's
 * mutex; it is held for one SSL_new() per connection, never for input or output.
 *
 * Resumption: by stateless tickets. Their keys belong to the SSL_CTX, so after a reload every
 * client makes a whole handshake, against the new client CA and with the new certificate. OpenSSL's
 * session cache, which would need a lock and a bound, is off.
 *
 * Renegotiation (TLS 1.2) and compression are off; TLS 1.2 is the least.
 */
#include "io/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    RECORD_BYTES = 16 * 1024, /* the plain text of one record at most, RFC 8446 section 5.1 */
    ALPN_BYTES_MAX = 255,
    ERROR_CHARS = 160,
};

struct tls_context {
    pthread_mutex_t lock; /* guards `ssl` */
    SSL_CTX *ssl;
    bool is_server, require_client_cert, accept_unknown_certs;
    char *cert_path, *key_path, *ca_path;
    unsigned char
        alpn[ALPN_BYTES_MAX]; /* each name with its length before it, RFC 7301 section 3.1 */
    unsigned alpn_len;
};

struct tls {
    SSL *ssl;
    const struct tls_context *context;
    const uint8_t *in; /* during a call: what was brought and not yet read */
    size_t in_len;
    struct buf *out; /* during a call: where records go */
    char *error;     /* NULL: none */
};

/* The BIO. */

static int bio_read(BIO *bio, char *at, size_t len, size_t *ret_len) {
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (tls->in_len == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    if (len > tls->in_len)
        len = tls->in_len;
    memcpy(at, tls->in, len);
    tls->in += len;
    tls->in_len -= len;
    *ret_len = len;
    return 1;
}

static int bio_write(BIO *bio, const char *at, size_t len, size_t *ret_len) {
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    buf_add(tls->out, at, len);
    *ret_len = len;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *data) {
    return command == BIO_CTRL_FLUSH; /* Everything else, 0: not supported. */
}

static BIO_METHOD *bio_method;

static void make_bio_method(void) {
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir");
    ASSERT(bio_method);
    BIO_meth_set_read_ex(bio_method, bio_read);
    BIO_meth_set_write_ex(bio_method, bio_write);
    BIO_meth_set_ctrl(bio_method, bio_control);
}

static BIO *new_bio(struct tls *tls) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_bio_method);
    BIO *bio = BIO_new(bio_method);
    ASSERT(bio);
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    return bio;
}

/* Contexts. */

/* The reason that OpenSSL gives, without its numbers. */
static const char *openssl_reason(void) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    return reason ? reason : "unknown reason";
}

/* A key that is encrypted is an error, not a question on the terminal. */
static int no_passphrase(char *at, int size, int writing, void *data) {
    return -1;
}

static int check_readable(const char *what, const char *path, struct err *err) {
    if (access(path, R_OK) != 0)
        return err_set_errno(err, errno, "%s %s", what, path);
    return 0;
}

static int use_certificate(const struct tls_context *context, SSL_CTX *ssl, struct err *err) {
    int failed = check_readable("certificate", context->cert_path, err);
    if (!failed)
        failed = check_readable("private key", context->key_path, err);
    if (failed)
        return failed;
    if (SSL_CTX_use_certificate_chain_file(ssl, context->cert_path) != 1)
        return err_set(err, ERR_INVALID, "certificate %s: %s", context->cert_path,
                       openssl_reason());
    if (SSL_CTX_use_PrivateKey_file(ssl, context->key_path, SSL_FILETYPE_PEM) != 1)
        return err_set(err, ERR_INVALID, "private key %s: %s", context->key_path, openssl_reason());
    return 0;
}

static int use_ca(const struct tls_context *context, SSL_CTX *ssl, struct err *err) {
    int failed = check_readable("CA certificate", context->ca_path, err);
    if (failed)
        return failed;
    if (SSL_CTX_load_verify_file(ssl, context->ca_path) != 1)
        return err_set(err, ERR_INVALID, "CA certificate %s: %s", context->ca_path,
                       openssl_reason());
    if (context->is_server) /* The names tell a client which of its certificates to send. */
        SSL_CTX_set_client_CA_list(ssl, SSL_load_client_CA_file(context->ca_path));
    return 0;
}

static int choose_alpn(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_len,
                       const unsigned char *offered, unsigned offered_len, void *data) {
    const struct tls_context *context = data;
    unsigned char *name;
    int found = SSL_select_next_proto(&name, ret_len, context->alpn, context->alpn_len, offered,
                                      offered_len);
    if (found != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol, RFC 7301 section 3.2 */
    *ret_name = name;
    return SSL_TLSEXT_ERR_OK;
}

static bool is_valid_today(X509 *cert) {
    return X509_cmp_current_time(X509_get0_notBefore(cert)) < 0 &&
           X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}

/* With accept_unknown_certs. What the CA says of the chain stays as the verify result, which
 * tls_peer() looks at; it is part of a session that is resumed, too. */
static int verify_and_go_on(X509_STORE_CTX *store, void *data) {
    const struct tls_context *context = data;
    if (context->ca_path)
        X509_verify_cert(store);
    else
        X509_STORE_CTX_set_error(store, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
    if (is_valid_today(X509_STORE_CTX_get0_cert(store)))
        return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_HAS_EXPIRED);
    return 0;
}

static void set_verification(struct tls_context *context, SSL_CTX *ssl) {
    int verify = SSL_VERIFY_NONE;
    if (!context->is_server || context->ca_path || context->accept_unknown_certs)
        verify = SSL_VERIFY_PEER;
    if (context->require_client_cert)
        verify |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ssl, verify, NULL);
    if (context->accept_unknown_certs)
        SSL_CTX_set_cert_verify_callback(ssl, verify_and_go_on, context);
}

static void set_options(struct tls_context *context, SSL_CTX *ssl) {
    static const unsigned char session_context[] = "weir";
    SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ssl, 1); /* A client that comes again gets its next one then. */
    SSL_CTX_set_session_id_context(ssl, session_context, sizeof session_context - 1);
    if (context->alpn_len)
        SSL_CTX_set_alpn_select_cb(ssl, choose_alpn, context);
    set_verification(context, ssl);
}

static int load(struct tls_context *context, SSL_CTX **ret_ssl, struct err *err) {
    ERR_clear_error();
    SSL_CTX *ssl = SSL_CTX_new(context->is_server ? TLS_server_method() : TLS_client_method());
    ASSERT(ssl);
    set_options(context, ssl);
    int failed = 0;
    if (context->cert_path)
        failed = use_certificate(context, ssl, err);
    if (!failed && context->ca_path)
        failed = use_ca(context, ssl, err);
    else if (!failed && !context->is_server && SSL_CTX_set_default_verify_paths(ssl) != 1)
        failed = err_set(err, ERR_IO, "the system's CA certificates: %s", openssl_reason());
    ERR_clear_error();
    if (failed)
        SSL_CTX_free(ssl);
    else
        *ret_ssl = ssl;
    return failed;
}

static int add_alpn(struct tls_context *context, const char *const *names, struct err *err) {
    for (; names && *names; names++) {
        size_t len = strlen(*names);
        if (len == 0 || context->alpn_len + 1 + len > ALPN_BYTES_MAX)
            return err_set(err, ERR_TOO_LARGE, "ALPN: at most %d bytes of names, and none empty",
                           ALPN_BYTES_MAX);
        context->alpn[context->alpn_len] = (unsigned char)len;
        memcpy(context->alpn + context->alpn_len + 1, *names, len);
        context->alpn_len += 1 + (unsigned)len;
    }
    return 0;
}

static struct tls_context *new_context(const char *ca_path, const char *cert_path,
                                       const char *key_path) {
    struct tls_context *context = xcalloc(1, sizeof *context);
    int failed = pthread_mutex_init(&context->lock, NULL);
    ASSERT(!failed);
    context->ca_path = xstrdup_or_null(ca_path);
    context->cert_path = xstrdup_or_null(cert_path);
    context->key_path = xstrdup_or_null(key_path);
    return context;
}

void tls_context_free(struct tls_context *context) {
    if (!context)
        return;
    SSL_CTX_free(context->ssl);
    pthread_mutex_destroy(&context->lock);
    free(context->ca_path);
    free(context->cert_path);
    free(context->key_path);
    free(context);
}

int tls_server_context(const struct tls_server_config *config, struct tls_context **ret_context,
                       struct err *err) {
    if (!config->cert_path || !config->key_path)
        return err_set(err, ERR_INVALID, "a TLS server needs a certificate and its private key");
    if (config->require_client_cert && !config->client_ca_path && !config->accept_unknown_certs)
        return err_set(err, ERR_INVALID,
                       "client certificates can be required only with a client CA");
    struct tls_context *context =
        new_context(config->client_ca_path, config->cert_path, config->key_path);
    context->is_server = true;
    context->require_client_cert = config->require_client_cert;
    context->accept_unknown_certs = config->accept_unknown_certs;
    int failed = add_alpn(context, config->alpn, err);
    if (!failed)
        failed = load(context, &context->ssl, err);
    if (failed)
        tls_context_free(context);
    else
        *ret_context = context;
    return failed;
}

int tls_client_context(const char *ca_path, const char *cert_path, const char *key_path,
                       struct tls_context **ret_context, struct err *err) {
    if (!cert_path != !key_path)
        return err_set(err, ERR_INVALID, "a client certificate and its private key come together");
    struct tls_context *context = new_context(ca_path, cert_path, key_path);
    int failed = load(context, &context->ssl, err);
    if (failed)
        tls_context_free(context);
    else
        *ret_context = context;
    return failed;
}

int tls_context_reload(struct tls_context *context, struct err *err) {
    SSL_CTX *fresh;
    int failed = load(context, &fresh, err);
    if (failed)
        return failed;
    pthread_mutex_lock(&context->lock);
    SSL_CTX *old = context->ssl;
    context->ssl = fresh;
    pthread_mutex_unlock(&context->lock);
    SSL_CTX_free(old);
    return 0;
}

/* Connections. */

static struct tls *new_connection(struct tls_context *context) {
    struct tls *tls = xcalloc(1, sizeof *tls);
    tls->context = context;
    pthread_mutex_lock(&context->lock);
    tls->ssl = SSL_new(context->ssl);
    pthread_mutex_unlock(&context->lock);
    ASSERT(tls->ssl);
    BIO *bio = new_bio(tls);
    SSL_set_bio(tls->ssl, bio, bio);
    return tls;
}

struct tls *tls_new_server(struct tls_context *context) {
    ASSERT(context->is_server);
    struct tls *tls = new_connection(context);
    SSL_set_accept_state(tls->ssl);
    return tls;
}

static bool is_ip_address(const char *host) {
    struct in6_addr address;
    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

struct tls *tls_new_client(struct tls_context *context, const char *host) {
    ASSERT(!context->is_server && host);
    struct tls *tls = new_connection(context);
    int done;
    if (is_ip_address(host))
        done = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), host);
    else
        done = SSL_set1_host(tls->ssl, host) && SSL_set_tlsext_host_name(tls->ssl, host);
    ASSERT(done == 1);
    SSL_set_connect_state(tls->ssl);
    return tls;
}

void tls_free(struct tls *tls) {
    if (!tls)
        return;
    SSL_free(tls->ssl);
    free(tls->error);
    free(tls);
}

static void call_begins(struct tls *tls, const uint8_t *in, size_t in_len, struct buf *out) {
    ERR_clear_error();
    tls->in = in;
    tls->in_len = in_len;
    tls->out = out;
}

static void call_ends(struct tls *tls) {
    ERR_clear_error();
    tls->in = NULL;
    tls->in_len = 0;
    tls->out = NULL;
}

static int note_error(struct tls *tls, int code, const char *text, const char *more) {
    free(tls->error);
    tls->error = xmalloc(ERROR_CHARS);
    snprintf(tls->error, ERROR_CHARS, "%s%s%s", text, more ? ": " : "", more ? more : "");
    return code;
}

/* What became of a step that gave `result`: 0 when it only wants more input. */
static int outcome(struct tls *tls, int result) {
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_ZERO_RETURN:
        return note_error(tls, ERR_CLOSED, "closed by the peer", NULL);
    default: {
        long verified = SSL_get_verify_result(tls->ssl);
        char text[ERROR_CHARS];
        snprintf(text, sizeof text, "TLS: %s", openssl_reason());
        if (verified == X509_V_OK || SSL_is_init_finished(tls->ssl))
            return note_error(tls, ERR_INVALID, text, NULL);
        return note_error(tls, ERR_DENIED, text, X509_verify_cert_error_string(verified));
    }
    }
}

static int handshake(struct tls *tls) {
    if (SSL_is_init_finished(tls->ssl))
        return 0;
    int result = SSL_do_handshake(tls->ssl);
    return result == 1 ? 0 : outcome(tls, result);
}

static int read_records(struct tls *tls, struct buf *plain) {
    for (;;) {
        int len = SSL_read(tls->ssl, buf_room(plain, RECORD_BYTES), RECORD_BYTES);
        if (len <= 0)
            return outcome(tls, len);
        buf_added(plain, (size_t)len);
    }
}

int tls_feed(struct tls *tls, const uint8_t *at, size_t len, struct buf *plain,
             struct buf *cipher) {
    call_begins(tls, at, len, cipher);
    int failed = handshake(tls);
    if (!failed && SSL_is_init_finished(tls->ssl))
        failed = read_records(tls, plain);
    call_ends(tls);
    return failed;
}

int tls_seal(struct tls *tls, const uint8_t *at, size_t len, struct buf *cipher) {
    ASSERT(tls_established(tls));
    int failed = 0;
    call_begins(tls, NULL, 0, cipher);
    while (len && !failed) {
        int piece = len > INT_MAX ? INT_MAX : (int)len;
        int sealed = SSL_write(tls->ssl, at, piece);
        if (sealed > 0) {
            at += sealed;
            len -= (size_t)sealed;
        } else {
            failed = outcome(tls, sealed);
            ASSERT(failed); /* There is always room, and nothing is renegotiated: it never wants to
                               wait. */
        }
    }
    call_ends(tls);
    return failed;
}

int tls_start(struct tls *tls, struct buf *cipher) {
    call_begins(tls, NULL, 0, cipher);
    int failed = handshake(tls);
    call_ends(tls);
    return failed;
}

void tls_finish(struct tls *tls, struct buf *cipher) {
    if (!SSL_is_init_finished(tls->ssl))
        return;
    call_begins(tls, NULL, 0, cipher);
    SSL_shutdown(tls->ssl);
    call_ends(tls);
}

bool tls_established(const struct tls *tls) {
    return SSL_is_init_finished(tls->ssl);
}

const char *tls_error(const struct tls *tls) {
    return tls->error ? tls->error : "no error";
}

/* Certificates. */

static bool write_fingerprint(const X509 *cert, char ret_fingerprint[65]) {
    unsigned char digest[32];
    unsigned size = sizeof digest;
    if (X509_digest(cert, EVP_sha256(), digest, &size) != 1 || size != sizeof digest)
        return false;
    for (unsigned i = 0; i < size; i++)
        snprintf(ret_fingerprint + 2 * i, 3, "%02x", digest[i]);
    return true;
}

bool tls_peer(const struct tls *tls, struct tls_peer *ret) {
    const X509 *cert = SSL_get0_peer_certificate(tls->ssl);
    if (!cert || !write_fingerprint(cert, ret->fingerprint))
        return false;
    ret->verified = SSL_get_verify_result(tls->ssl) == X509_V_OK;
    X509_NAME *subject = X509_get_subject_name(cert);
    int len = X509_NAME_get_text_by_NID(subject, NID_commonName, ret->common_name,
                                        sizeof ret->common_name);
    /* Policies are about names: one that is cut here, or holds a NUL, would pass for another. */
    int whole = X509_NAME_get_text_by_NID(subject, NID_commonName, NULL, 0);
    if (len < 0 || len != whole || strlen(ret->common_name) != (size_t)len)
        ret->common_name[0] = '\0';
    return true;
}

int tls_fingerprint(struct str pem, char ret_fingerprint[65]) {
    BIO *bio = BIO_new_mem_buf(pem.at, pem.len > INT_MAX ? INT_MAX : (int)pem.len);
    X509 *cert = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
    bool done = cert && write_fingerprint(cert, ret_fingerprint);
    X509_free(cert);
    BIO_free(bio);
    ERR_clear_error();
    return done ? 0 : ERR_INVALID;
}
