/* What the broker itself needs of passwords besides mqtt.h. */
#ifndef MQTT_PASSWORD_H
#define MQTT_PASSWORD_H

#include "base/err.h"
#include "base/str.h"
#include "mqtt/mqtt.h"

enum { PASSWORD_KEY_BYTES = 32, PASSWORD_SALT_BYTES_MAX = 64 };

/* What a password is checked against. With a salted password (SaltedPassword of RFC 5802 section 3)
 * one could log in by SCRAM; with the keys of SCRAM one can only verify. */
struct password_secret {
    bool is_scram; /* else only `salted` is set */
    uint32_t iterations;
    size_t salt_bytes;
    uint8_t salt[PASSWORD_SALT_BYTES_MAX];
    uint8_t salted[PASSWORD_KEY_BYTES];
    uint8_t stored_key[PASSWORD_KEY_BYTES], server_key[PASSWORD_KEY_BYTES];
};

int password_read(const char *hash, struct password_secret *ret, struct err *err);

void password_hmac(const uint8_t key[PASSWORD_KEY_BYTES], struct str text,
                   uint8_t ret[PASSWORD_KEY_BYTES]);
void password_sha256(const void *at, size_t len, uint8_t ret[PASSWORD_KEY_BYTES]);

/* A hash that no password matches, verified when the user does not exist. */
extern const char password_nobody[];

#endif
