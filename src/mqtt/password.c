/*
 * What stands in the configuration in place of a password, in the modular crypt format, each part in
 * base64:
 *
 *      $scram-sha-256$ITERATIONS$SALT$STORED_KEY$SERVER_KEY       RFC 5802 section 3, RFC 7677
 *      $pbkdf2-sha256$ITERATIONS$SALT$HASH                        RFC 8018 section 5.2
 *
 * Both come from the same slow function, PBKDF2 with HMAC-SHA-256 and 32 bytes of output. The first
 * form is what mqtt_password_hash() makes; it serves CONNECT with a password and SCRAM, and whoever
 * steals it cannot log in with it. The second serves CONNECT alone.
 */
#include "mqtt/password.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/base64.h"
#include "base/random.h"

enum { SALT_BYTES = 16 };

const char password_nobody[] =
    "$pbkdf2-sha256$100000$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

void password_hmac(const uint8_t key[PASSWORD_KEY_BYTES], struct str text,
                   uint8_t ret[PASSWORD_KEY_BYTES]) {
    const unsigned char *at = (const unsigned char *)(text.at ? text.at : "");
    unsigned char *done = HMAC(EVP_sha256(), key, PASSWORD_KEY_BYTES, at, text.len, ret, NULL);
    ASSERT(done);
}

void password_sha256(const void *at, size_t len, uint8_t ret[PASSWORD_KEY_BYTES]) {
    int done = EVP_Digest(at, len, ret, NULL, EVP_sha256(), NULL);
    ASSERT(done);
}

static void salt_password(struct str password, struct password_secret *secret) {
    int done = PKCS5_PBKDF2_HMAC(password.at ? password.at : "", (int)password.len, secret->salt,
                                 (int)secret->salt_bytes, (int)secret->iterations, EVP_sha256(),
                                 PASSWORD_KEY_BYTES, secret->salted);
    ASSERT(done);
}

/* From `salted`. */
static void make_keys(struct password_secret *secret) {
    uint8_t client_key[PASSWORD_KEY_BYTES];
    password_hmac(secret->salted, STR("Client Key"), client_key);
    password_sha256(client_key, sizeof client_key, secret->stored_key);
    password_hmac(secret->salted, STR("Server Key"), secret->server_key);
    OPENSSL_cleanse(client_key, sizeof client_key);
}

/* ---- as text ---- */

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

static bool read_key(struct str text, uint8_t *at) {
    size_t len;
    return read_base64(text, at, PASSWORD_KEY_BYTES, PASSWORD_KEY_BYTES, &len);
}

static int read_keys(struct str rest, struct password_secret *ret, struct err *err) {
    if (!ret->is_scram && !read_key(rest, ret->salted))
        return err_set(err, ERR_INVALID, "a password hash ends with %d bytes in base64",
                       PASSWORD_KEY_BYTES);
    if (!ret->is_scram)
        return 0;
    struct str stored_key = str_cut(rest, '$', &rest);
    if (!read_key(stored_key, ret->stored_key) || !read_key(rest, ret->server_key))
        return err_set(err, ERR_INVALID,
                       "a SCRAM verifier ends with two keys of %d bytes in base64",
                       PASSWORD_KEY_BYTES);
    return 0;
}

int password_read(const char *hash, struct password_secret *ret, struct err *err) {
    const struct str plain = STR("$pbkdf2-sha256$"), scram = STR("$scram-sha-256$");
    struct str rest = str_of(hash);
    *ret = (struct password_secret){.is_scram = str_starts(rest, scram)};
    if (!ret->is_scram && !str_starts(rest, plain))
        return err_set(err, ERR_INVALID,
                       "a password hash begins with $scram-sha-256$ or $pbkdf2-sha256$");
    rest = str_skip(rest, plain.len);
    struct str iterations = str_cut(rest, '$', &rest);
    uint64_t number;
    if (!str_to_u64(iterations, &number) || number < 1 || number > MQTT_PASSWORD_ITERATIONS_MAX)
        return err_set(err, ERR_INVALID,
                       "the iterations of a password hash are a number from 1 to %d",
                       MQTT_PASSWORD_ITERATIONS_MAX);
    ret->iterations = (uint32_t)number;
    struct str salt = str_cut(rest, '$', &rest);
    if (!read_base64(salt, ret->salt, 8, PASSWORD_SALT_BYTES_MAX, &ret->salt_bytes))
        return err_set(err, ERR_INVALID, "the salt of a password hash is 8 to %d bytes in base64",
                       PASSWORD_SALT_BYTES_MAX);
    return read_keys(rest, ret, err);
}

void mqtt_password_hash(struct str password, unsigned iterations,
                        char ret_hash[MQTT_PASSWORD_HASH_CHARS]) {
    struct password_secret made = {.iterations = iterations, .salt_bytes = SALT_BYTES};
    struct buf text = {0};
    ASSERT(iterations >= 1 && iterations <= MQTT_PASSWORD_ITERATIONS_MAX);
    random_bytes(made.salt, SALT_BYTES);
    salt_password(password, &made);
    make_keys(&made);
    buf_printf(&text, "$scram-sha-256$%u$", iterations);
    base64_write(&text, str_from(made.salt, SALT_BYTES));
    buf_add_u8(&text, '$');
    base64_write(&text, str_from(made.stored_key, PASSWORD_KEY_BYTES));
    buf_add_u8(&text, '$');
    base64_write(&text, str_from(made.server_key, PASSWORD_KEY_BYTES));
    ASSERT(buf_len(&text) < MQTT_PASSWORD_HASH_CHARS);
    memcpy(ret_hash, buf_cstr(&text), buf_len(&text) + 1);
    OPENSSL_cleanse(&made, sizeof made);
    buf_done(&text);
}

int mqtt_password_hash_check(const char *hash, struct err *err) {
    struct password_secret ignored;
    return password_read(hash, &ignored, err);
}

bool mqtt_password_verify(struct str password, const char *hash) {
    struct password_secret stored, made;
    if (password_read(hash, &stored, NULL))
        return false;
    made = stored;
    salt_password(password, &made);
    make_keys(&made);
    bool same = stored.is_scram
                    ? CRYPTO_memcmp(made.stored_key, stored.stored_key, PASSWORD_KEY_BYTES) == 0
                    : CRYPTO_memcmp(made.salted, stored.salted, PASSWORD_KEY_BYTES) == 0;
    OPENSSL_cleanse(&made, sizeof made);
    return same;
}
