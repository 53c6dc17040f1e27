/*
 * The certificate authority of a data directory: `data`/devices/ca.key and ca.pem, made on first use. It
 * vouches for nothing by itself: a device is accepted because its certificate is registered. Its name
 * in the certificates, and the chain, are for people and for other brokers.
 *
 * Keys are written with O_EXCL and mode 0600 before the certificate beside them; a key without a
 * certificate, left by a crash, gets one at the next use.
 */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/devices.h"
#include "base/mem.h"
#include "base/random.h"
#include "io/file.h"
#include "io/tls.h"

enum { PEM_BYTES_MAX = 64 * 1024, SERIAL_BYTES = 16 };

/* As long as AWS's own: until 2049 and beyond nothing asks a device in the field to renew it. */
static const long valid_s = 25L * 365 * 24 * 3600;

struct pair {
    EVP_PKEY *key;
    X509 *cert;
};

static void pair_done(struct pair *pair) {
    EVP_PKEY_free(pair->key);
    X509_free(pair->cert);
}

/* ---- files ---- */

static int write_new(const char *path, BIO *bio, mode_t mode, struct err *err) {
    char *at;
    long len = BIO_get_mem_data(bio, &at);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return err_set(err, errno == EEXIST ? ERR_EXISTS : err_from_errno(errno), "%s: %s", path,
                       errno == EEXIST ? "is there already" : strerror(errno));
    bool done = write(fd, at, (size_t)len) == (ssize_t)len && fsync(fd) == 0;
    int code = done ? 0 : err_set_errno(err, errno, "%s", path);
    close(fd);
    return code;
}

static int write_key(const char *path, EVP_PKEY *key, struct err *err) {
    BIO *bio = BIO_new(BIO_s_mem());
    ASSERT(bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    int code = write_new(path, bio, 0600, err);
    BIO_free(bio);
    return code;
}

static int write_certificate(const char *path, X509 *cert, char *ret_fingerprint, struct err *err) {
    BIO *bio = BIO_new(BIO_s_mem());
    ASSERT(bio && PEM_write_bio_X509(bio, cert) == 1);
    char *at;
    long len = BIO_get_mem_data(bio, &at);
    if (ret_fingerprint) {
        int failed = tls_fingerprint(str_from(at, (size_t)len), ret_fingerprint);
        ASSERT(!failed);
    }
    int code = write_new(path, bio, 0644, err);
    BIO_free(bio);
    return code;
}

static BIO *read_bio(struct buf *text, const char *path, struct err *err) {
    if (file_read_all(path, PEM_BYTES_MAX, text, err))
        return NULL;
    BIO *bio = BIO_new_mem_buf(buf_at(text), (int)buf_len(text));
    ASSERT(bio);
    return bio;
}

static int read_key(const char *path, EVP_PKEY **ret_key, struct err *err) {
    struct buf text = {0};
    BIO *bio = read_bio(&text, path, err);
    *ret_key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    int code = *ret_key ? 0 : bio ? err_set(err, ERR_INVALID, "%s holds no key", path) : ERR_IO;
    BIO_free(bio);
    buf_done(&text);
    return code;
}

static int read_certificate(const char *path, X509 **ret_cert, struct err *err) {
    struct buf text = {0};
    BIO *bio = read_bio(&text, path, err);
    *ret_cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    int code = *ret_cert ? 0
               : bio     ? err_set(err, ERR_INVALID, "%s holds no certificate", path)
                         : ERR_IO;
    BIO_free(bio);
    buf_done(&text);
    return code;
}

/* ---- certificates ---- */

static void extend(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    ASSERT(extension && X509_add_ext(cert, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static void set_serial(X509 *cert) {
    uint8_t serial[SERIAL_BYTES];
    random_bytes(serial, sizeof serial);
    serial[0] &= 0x7f;
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    ASSERT(number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)));
    BN_free(number);
}

/* `issuer` NULL: an authority, signed by itself. */
static X509 *certify(EVP_PKEY *key, const char *name, const struct pair *issuer) {
    X509 *cert = X509_new();
    ASSERT(cert && X509_set_version(cert, X509_VERSION_3) == 1);
    set_serial(cert);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), valid_s);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), NID_commonName, MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    X509 *signer = issuer ? issuer->cert : cert;
    X509_set_issuer_name(cert, X509_get_subject_name(signer));
    extend(cert, signer, NID_subject_key_identifier, "hash");
    extend(cert, signer, NID_authority_key_identifier, "keyid:always");
    extend(cert, signer, NID_basic_constraints,
           issuer ? "critical,CA:FALSE" : "critical,CA:TRUE,pathlen:0");
    extend(cert, signer, NID_key_usage,
           issuer ? "critical,digitalSignature" : "critical,keyCertSign,cRLSign");
    if (issuer)
        extend(cert, signer, NID_ext_key_usage, "clientAuth");
    ASSERT(X509_sign(cert, issuer ? issuer->key : key, EVP_sha256()) > 0);
    return cert;
}

static EVP_PKEY *new_key(void) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    ASSERT(key);
    return key;
}

/* ---- the authority ---- */

static int open_key(const char *path, EVP_PKEY **ret_key, struct err *err) {
    if (access(path, F_OK) == 0)
        return read_key(path, ret_key, err);
    *ret_key = new_key();
    return write_key(path, *ret_key, err);
}

static int open_certificate(const char *path, struct pair *authority, struct err *err) {
    if (access(path, F_OK) == 0)
        return read_certificate(path, &authority->cert, err);
    authority->cert = certify(authority->key, "Weir devices", NULL);
    return write_certificate(path, authority->cert, NULL, err);
}

static int open_authority(const char *data, struct pair *ret, struct err *err) {
    char *directory = xprintf("%s/devices", data);
    char *key_path = xprintf("%s/ca.key", directory), *cert_path = xprintf("%s/ca.pem", directory);
    int code = file_make_directories(directory, err);
    if (!code)
        code = open_key(key_path, &ret->key, err);
    if (!code)
        code = open_certificate(cert_path, ret, err);
    if (!code && X509_check_private_key(ret->cert, ret->key) != 1)
        code = err_set(err, ERR_INVALID, "%s is not the key of %s", key_path, cert_path);
    ERR_clear_error();
    free(cert_path);
    free(key_path);
    free(directory);
    return code;
}

static int issue(const struct pair *authority, const char *directory, const char *name,
                 char ret_fingerprint[65], struct err *err) {
    char *key_path = xprintf("%s/%s.key", directory, name);
    char *cert_path = xprintf("%s/%s.pem", directory, name);
    struct pair device = {.key = new_key()};
    device.cert = certify(device.key, name, authority);
    int code = file_make_directories(directory, err);
    if (!code)
        code = write_key(key_path, device.key, err);
    if (!code && (code = write_certificate(cert_path, device.cert, ret_fingerprint, err)))
        unlink(key_path);
    pair_done(&device);
    free(cert_path);
    free(key_path);
    return code;
}

int authority_issue(const char *data, const char *directory, const char *name,
                    char ret_fingerprint[65], struct err *err) {
    struct pair authority = {0};
    int code = open_authority(data, &authority, err);
    if (!code)
        code = issue(&authority, directory, name, ret_fingerprint, err);
    pair_done(&authority);
    return code;
}
