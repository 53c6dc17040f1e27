#include "mqtt/identity.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/ref.h"
#include "io/file.h"
#include "io/tls.h"
#include "mqtt/password.h"

enum { PEM_BYTES_MAX = 64 * 1024, FINGERPRINT_CHARS = 64 };

/* ---- certificates of the configuration ---- */

/* As `openssl x509 -fingerprint -sha256` prints it, or without colons; in any case. */
static bool read_fingerprint(const char *text, char ret_fingerprint[FINGERPRINT_CHARS + 1]) {
    size_t len = 0;
    for (; *text; text++) {
        char c = (char)(*text >= 'A' && *text <= 'F' ? *text + ('a' - 'A') : *text);
        bool is_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (c == ':' && len && len % 2 == 0)
            continue;
        if (!is_digit || len == FINGERPRINT_CHARS)
            return false;
        ret_fingerprint[len++] = c;
    }
    ret_fingerprint[len] = '\0';
    return len == FINGERPRINT_CHARS;
}

static int read_pem(const char *path, char ret_fingerprint[FINGERPRINT_CHARS + 1],
                    struct err *err) {
    struct buf text = {0};
    int failed = file_read_all(path, PEM_BYTES_MAX, &text, err);
    if (!failed && tls_fingerprint(buf_str(&text), ret_fingerprint))
        failed = err_set(err, ERR_INVALID, "%s holds no certificate in PEM", path);
    buf_done(&text);
    return failed;
}

static int fingerprint_of(const struct mqtt_certificate_config *certificate,
                          char ret_fingerprint[FINGERPRINT_CHARS + 1], struct err *err) {
    struct err why = {0};
    int failed = 0;
    if (!certificate->fingerprint == !certificate->pem)
        failed = err_set(&why, ERR_INVALID, "a certificate has either fingerprint or pem");
    else if (certificate->pem)
        failed = read_pem(certificate->pem, ret_fingerprint, &why);
    else if (!read_fingerprint(certificate->fingerprint, ret_fingerprint))
        failed = err_set(&why, ERR_INVALID,
                         "a fingerprint is the SHA-256 of the certificate: 64 hexadecimal digits");
    if (!failed)
        return 0;
    const struct conf *at = certificate->head.conf;
    return at ? conf_error(at, err, failed, "%s", why.text) : err_set(err, failed, "%s", why.text);
}

/* ---- the set ---- */

static const char *keep(struct mqtt_identities *identities, const char *text) {
    return text ? arena_strdup(&identities->arena, str_of(text)) : NULL;
}

static void add_user(struct mqtt_identities *identities, const struct mqtt_user_config *config) {
    struct identity_user *user = arena_zalloc(&identities->arena, sizeof *user);
    user->name = keep(identities, config->head.name);
    user->secret = keep(identities, config->password_hash);
    user->policy = keep(identities, config->policy);
    map_put(&identities->users, str_of(user->name), user);
    struct password_secret secret;
    bool is_scram = password_read(user->secret, &secret, NULL) == 0 && secret.is_scram;
    if (is_scram && !identities->scram_iterations)
        identities->scram_iterations = secret.iterations;
}

static void add_certificate(struct mqtt_identities *identities, const char *fingerprint,
                            const char *policy, bool active) {
    struct identity_certificate *certificate =
        arena_zalloc(&identities->arena, sizeof *certificate);
    certificate->fingerprint = keep(identities, fingerprint);
    certificate->policy = keep(identities, policy);
    certificate->active = active;
    map_put(&identities->certificates, str_of(certificate->fingerprint), certificate);
}

static int add_certificates(struct mqtt_identities *identities, const struct mqtt_config *config,
                            struct err *err) {
    for (size_t i = 0; i < config->certificates.count; i++) {
        const struct mqtt_certificate_config *certificate =
            OPTION_AT(config->certificates, struct mqtt_certificate_config, i);
        char fingerprint[FINGERPRINT_CHARS + 1];
        int failed = fingerprint_of(certificate, fingerprint, err);
        if (failed)
            return failed;
        add_certificate(identities, fingerprint, certificate->policy, certificate->active);
    }
    return 0;
}

static struct mqtt_identities *new_with_users(const struct mqtt_config *config) {
    struct mqtt_identities *identities = xcalloc(1, sizeof *identities);
    atomic_init(&identities->references, 1);
    for (size_t i = 0; i < config->users.count; i++)
        add_user(identities, OPTION_AT(config->users, struct mqtt_user_config, i));
    if (!identities->scram_iterations)
        identities->scram_iterations = MQTT_PASSWORD_ITERATIONS;
    return identities;
}

struct mqtt_identities *mqtt_identities_of_users(const struct mqtt_config *config) {
    return new_with_users(config);
}

int mqtt_identities_new(const struct mqtt_config *config, const struct mqtt_device *devices,
                        size_t device_count, struct mqtt_identities **ret_identities,
                        struct err *err) {
    struct mqtt_identities *identities = new_with_users(config);
    for (size_t i = 0; i < device_count; i++)
        add_certificate(identities, devices[i].fingerprint, devices[i].policy, devices[i].active);
    int failed = add_certificates(identities, config, err);
    if (failed)
        mqtt_identities_unref(identities);
    else
        *ret_identities = identities;
    return failed;
}

struct mqtt_identities *identities_ref(struct mqtt_identities *identities) {
    ref_take(&identities->references);
    return identities;
}

void mqtt_identities_unref(struct mqtt_identities *identities) {
    if (!identities || !ref_drop(&identities->references))
        return;
    map_done(&identities->users);
    map_done(&identities->certificates);
    arena_done(&identities->arena);
    free(identities);
}

int identities_check(const struct mqtt_config *config, struct err *err) {
    struct mqtt_identities *identities = NULL;
    int failed = mqtt_identities_new(config, NULL, 0, &identities, err);
    mqtt_identities_unref(identities);
    return failed;
}
