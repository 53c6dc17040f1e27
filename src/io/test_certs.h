/*
 * Certificates for tests, made anew for each run in a directory under /tmp: a CA, certificates
 * signed by it, and their keys (P-256), valid for a day.
 */
#ifndef IO_TEST_CERTS_H
#define IO_TEST_CERTS_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "base/err.h"

struct test_cert {
    X509 *cert;
    EVP_PKEY *key;
    char cert_path[128], key_path[128];
};

static inline void test_cert_done(struct test_cert *cert) {
    X509_free(cert->cert);
    EVP_PKEY_free(cert->key);
}

static inline void test_cert_extend(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    ASSERT(extension && X509_add_ext(cert, extension, -1));
    X509_EXTENSION_free(extension);
}

static inline void test_cert_save(struct test_cert *cert, const char *directory, const char *name) {
    snprintf(cert->cert_path, sizeof cert->cert_path, "%s/%s.pem", directory, name);
    snprintf(cert->key_path, sizeof cert->key_path, "%s/%s.key", directory, name);
    FILE *file = fopen(cert->cert_path, "w");
    ASSERT(file && PEM_write_X509(file, cert->cert));
    fclose(file);
    file = fopen(cert->key_path, "w");
    ASSERT(file && PEM_write_PrivateKey(file, cert->key, NULL, NULL, 0, NULL, NULL));
    fclose(file);
}

/* `issuer` NULL: a CA, signed by itself. Valid for `valid_s` from now. `alt_names` as in
 * "DNS:localhost,IP:127.0.0.1", or NULL. */
static inline void test_cert_make_until(struct test_cert *ret_cert, struct test_cert *issuer,
                                        const char *directory, const char *name,
                                        const char *alt_names, long valid_s) {
    static long serial = 1;
    X509 *cert = X509_new();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    ASSERT(cert && key);
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), valid_s);
    X509_set_pubkey(cert, key);
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509 *signer = issuer ? issuer->cert : cert;
    X509_set_issuer_name(cert, X509_get_subject_name(signer));
    test_cert_extend(cert, signer, NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE");
    if (alt_names)
        test_cert_extend(cert, signer, NID_subject_alt_name, alt_names);
    ASSERT(X509_sign(cert, issuer ? issuer->key : key, EVP_sha256()));
    ret_cert->cert = cert;
    ret_cert->key = key;
    test_cert_save(ret_cert, directory, name);
}

static inline void test_cert_make(struct test_cert *ret_cert, struct test_cert *issuer,
                                  const char *directory, const char *name, const char *alt_names) {
    test_cert_make_until(ret_cert, issuer, directory, name, alt_names, 24L * 3600);
}

#endif
