#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "app/devices.h"
#include "base/mem.h"
#include "base/test.h"
#include "io/file.h"

static char directory[] = "/tmp/weir-authority-XXXXXX";
static struct err err;

static int set_up(void **state) {
    return mkdtemp(directory) ? 0 : -1;
}

static int tear_down(void **state) {
    return file_remove_tree(directory, NULL);
}

static X509 *load(const char *name) {
    char *path = xprintf("%s/%s", directory, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    X509 *cert = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    free(path);
    assert_non_null(cert);
    return cert;
}

static mode_t mode_of(const char *name) {
    struct stat status;
    char *path = xprintf("%s/%s", directory, name);
    assert_int_equal(stat(path, &status), 0);
    free(path);
    return status.st_mode & 0777;
}

static void a_device_gets_a_certificate_of_the_authority(void **state) {
    char fingerprint[65], other[65];
    char *out = xprintf("%s/out", directory);
    assert_int_equal(authority_issue(directory, out, "pump-1", fingerprint, &err), 0);
    assert_int_equal(mode_of("devices/ca.key"), 0600);
    assert_int_equal(mode_of("out/pump-1.key"), 0600);
    X509 *ca = load("devices/ca.pem"), *device = load("out/pump-1.pem");
    EVP_PKEY *key = X509_get0_pubkey(ca);
    assert_int_equal(X509_verify(ca, key), 1);
    assert_int_equal(X509_verify(device, key), 1);
    assert_int_equal(X509_check_purpose(device, X509_PURPOSE_SSL_CLIENT, 0), 1);
    assert_int_equal(X509_check_purpose(device, X509_PURPOSE_SSL_SERVER, 0), 0);
    assert_int_equal(X509_check_ca(device), 0);
    char name[64];
    X509_NAME_get_text_by_NID(X509_get_subject_name(device), NID_commonName, name, sizeof name);
    assert_string_equal(name, "pump-1");
    /* Nothing is overwritten, and the authority stays the same. */
    assert_int_equal(authority_issue(directory, out, "pump-1", other, &err), ERR_EXISTS);
    assert_int_equal(authority_issue(directory, out, "pump-2", other, &err), 0);
    assert_string_not_equal(fingerprint, other);
    X509 *second = load("out/pump-2.pem");
    assert_int_equal(X509_verify(second, key), 1);
    X509_free(second);
    X509_free(device);
    X509_free(ca);
    free(out);
}

static void a_key_left_by_a_crash_gets_its_certificate(void **state) {
    char fingerprint[65];
    char *path = xprintf("%s/devices/ca.pem", directory);
    assert_int_equal(remove(path), 0);
    assert_int_equal(authority_issue(directory, directory, "pump-3", fingerprint, &err), 0);
    X509 *ca = load("devices/ca.pem"), *device = load("pump-3.pem");
    assert_int_equal(X509_verify(device, X509_get0_pubkey(ca)), 1);
    X509_free(device);
    X509_free(ca);
    assert_int_equal(file_write_atomic(path, STR("no certificate"), &err), 0);
    assert_int_equal(authority_issue(directory, directory, "pump-4", fingerprint, &err),
                     ERR_INVALID);
    free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_gets_a_certificate_of_the_authority),
        cmocka_unit_test(a_key_left_by_a_crash_gets_its_certificate),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
