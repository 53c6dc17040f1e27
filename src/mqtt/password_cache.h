/*
 * Passwords that were found right a while ago, so that a client that comes again need not cost a
 * slow hash. What is kept is a keyed hash of name, secret of the configuration and password, under a
 * random key that never leaves the process: it serves no one elsewhere. Belongs to one thread.
 *
 * Bounded: a new entry takes the place of whichever had the same slot. Only right passwords are kept.
 */
#ifndef MQTT_PASSWORD_CACHE_H
#define MQTT_PASSWORD_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum { PASSWORD_TAG_BYTES = 32 };

struct password_tag {
    uint8_t bytes[PASSWORD_TAG_BYTES];
};

/* Zeroed is valid and keeps nothing. */
struct password_cache {
    uint8_t key[PASSWORD_TAG_BYTES];
    struct password_tag *slots; /* made by the first entry; an unused one is zero */
    size_t slot_count;          /* a power of two, or 0 */
};

/* For up to `entries` passwords, rounded up to a power of two. */
void password_cache_init(struct password_cache *cache, size_t entries);
void password_cache_done(struct password_cache *cache);

/* Forgets all. */
void password_cache_clear(struct password_cache *cache);

struct password_tag password_cache_tag(const struct password_cache *cache, struct str user,
                                       struct str secret, struct str password);
bool password_cache_has(const struct password_cache *cache, const struct password_tag *tag);
void password_cache_add(struct password_cache *cache, const struct password_tag *tag);

#endif
