#include "mqtt/password_cache.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/random.h"
#include "mqtt/password.h"

void password_cache_init(struct password_cache *cache, size_t entries) {
    *cache = (struct password_cache){0};
    random_bytes(cache->key, sizeof cache->key);
    if (entries)
        cache->slot_count = 1;
    while (cache->slot_count < entries)
        cache->slot_count *= 2;
}

void password_cache_done(struct password_cache *cache) {
    password_cache_clear(cache);
    OPENSSL_cleanse(cache, sizeof *cache);
}

void password_cache_clear(struct password_cache *cache) {
    free(cache->slots);
    cache->slots = NULL;
}

static void add_part(struct buf *text, struct str part) {
    buf_add_u32be(text, (uint32_t)part.len);
    buf_add_str(text, part);
}

struct password_tag password_cache_tag(const struct password_cache *cache, struct str user,
                                       struct str secret, struct str password) {
    struct password_tag tag;
    struct buf text = {0};
    buf_room(&text, 12 + user.len + secret.len + password.len); /* Never moves: no copy stays. */
    add_part(&text, user);
    add_part(&text, secret);
    add_part(&text, password);
    password_hmac(cache->key, buf_str(&text), tag.bytes);
    OPENSSL_cleanse(buf_at(&text), buf_len(&text));
    buf_done(&text);
    return tag;
}

static struct password_tag *slot_of(const struct password_cache *cache,
                                    const struct password_tag *tag) {
    uint64_t number;
    memcpy(&number, tag->bytes, sizeof number);
    return &cache->slots[number & (cache->slot_count - 1)];
}

bool password_cache_has(const struct password_cache *cache, const struct password_tag *tag) {
    return cache->slots &&
           CRYPTO_memcmp(slot_of(cache, tag)->bytes, tag->bytes, PASSWORD_TAG_BYTES) == 0;
}

void password_cache_add(struct password_cache *cache, const struct password_tag *tag) {
    if (!cache->slot_count)
        return;
    if (!cache->slots)
        cache->slots = xcalloc(cache->slot_count, sizeof *cache->slots);
    *slot_of(cache, tag) = *tag;
}
