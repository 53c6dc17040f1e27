/* PBKDF2 with HMAC-SHA-256 (RFC 8018 section 5.2), 16 bytes of salt, 32 bytes of hash, in the
 * modular crypt format. */
#include "mqtt/password.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "base/base64.h"
#include "base/random.h"
#include "mqtt/mqtt.h"

enum { SALT_BYTES = 16, SALT_BYTES_MAX = 64, HASH_BYTES = 32 };

const char password_nobody[] =
    "$pbkdf2-sha256$100000$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

struct parsed {
    uint64_t iterations;
    uint8_t salt[SALT_BYTES_MAX], hash[HASH_BYTES];
    size_t salt_bytes;
};

static void derive(struct str password, const struct parsed *parsed, uint8_t ret_hash[HASH_BYTES]) {
    int ok = PKCS5_PBKDF2_HMAC(password.at ? password.at : "", (int)password.len, parsed->salt,
                               (int)parsed->salt_bytes, (int)parsed->iterations, EVP_sha256(),
                               HASH_BYTES, ret_hash);
    ASSERT(ok);
}

static bool read_base64(struct str text, uint8_t *at, size_t least, size_t most, size_t *ret_len) {
    struct buf bytes = {0};
    bool ok = base64_read(&bytes, text) && buf_len(&bytes) >= least && buf_len(&bytes) <= most;
    if (ok) {
        memcpy(at, buf_at(&bytes), buf_len(&bytes));
        *ret_len = buf_len(&bytes);
    }
    buf_done(&bytes);
    return ok;
}

static int parse(const char *text, struct parsed *ret, struct err *err) {
    struct str rest = str_of(text);
    size_t hash_bytes;
    *ret = (struct parsed){0};
    if (!str_starts(rest, STR("$pbkdf2-sha256$")))
        return err_set(err, ERR_INVALID, "a password hash begins with $pbkdf2-sha256$");
    rest = str_skip(rest, strlen("$pbkdf2-sha256$"));
    struct str iterations = str_cut(rest, '$', &rest);
    if (!str_to_u64(iterations, &ret->iterations) || ret->iterations < 1 ||
        ret->iterations > MQTT_PASSWORD_ITERATIONS_MAX)
        return err_set(err, ERR_INVALID,
                       "the iterations of a password hash are a number from 1 to %d",
                       MQTT_PASSWORD_ITERATIONS_MAX);
    struct str salt = str_cut(rest, '$', &rest);
    if (!read_base64(salt, ret->salt, 8, SALT_BYTES_MAX, &ret->salt_bytes))
        return err_set(err, ERR_INVALID, "the salt of a password hash is 8 to %d bytes in base64",
                       SALT_BYTES_MAX);
    if (!read_base64(rest, ret->hash, HASH_BYTES, HASH_BYTES, &hash_bytes))
        return err_set(err, ERR_INVALID, "a password hash ends with %d bytes in base64",
                       HASH_BYTES);
    return 0;
}

void mqtt_password_hash(struct str password, unsigned iterations,
                        char ret_hash[MQTT_PASSWORD_HASH_CHARS]) {
    struct parsed made = {.iterations = iterations, .salt_bytes = SALT_BYTES};
    struct buf text = {0};
    ASSERT(iterations >= 1 && iterations <= MQTT_PASSWORD_ITERATIONS_MAX);
    random_bytes(made.salt, SALT_BYTES);
    derive(password, &made, made.hash);
    buf_printf(&text, "$pbkdf2-sha256$%u$", iterations);
    base64_write(&text, str_from(made.salt, SALT_BYTES));
    buf_add_u8(&text, '$');
    base64_write(&text, str_from(made.hash, HASH_BYTES));
    ASSERT(buf_len(&text) < MQTT_PASSWORD_HASH_CHARS);
    memcpy(ret_hash, buf_cstr(&text), buf_len(&text) + 1);
    buf_done(&text);
}

int mqtt_password_hash_check(const char *hash, struct err *err) {
    struct parsed ignored;
    return parse(hash, &ignored, err);
}

bool mqtt_password_verify(struct str password, const char *hash) {
    struct parsed stored;
    uint8_t made[HASH_BYTES];
    if (parse(hash, &stored, NULL))
        return false;
    derive(password, &stored, made);
    return CRYPTO_memcmp(made, stored.hash, HASH_BYTES) == 0;
}
