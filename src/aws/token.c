/*
 * A token is base64 of
 *
 *     bytes  what
 *         8  00..01, as those of Kinesis begin
 *         1  kind
 *         8  when it was made, milliseconds, big-endian
 *         n  payload
 *        16  HMAC-SHA256 over all before, cut
 *
 * The payload of an iterator: creation time of the stream 8, shard 4, counter 8, name.
 */
#include "aws/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/base64.h"
#include "base/err.h"

enum {
    VERSION_BYTES = 8,
    KIND_AT = 8,
    MADE_AT = 9,
    HEAD_BYTES = 17,
    MAC_BYTES = 16,
    ITERATOR_HEAD_BYTES = 20,
    TEXT_CHARS_MAX = 512,
};

static const uint8_t version[VERSION_BYTES] = {0, 0, 0, 0, 0, 0, 0, 1};

static void add_u64(struct buf *out, uint64_t value) {
    buf_add_u32be(out, (uint32_t)(value >> 32));
    buf_add_u32be(out, (uint32_t)value);
}

static uint64_t get_be(const uint8_t *at, unsigned bytes) {
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | at[i];
    return value;
}

static void mac_of(const uint8_t key[TOKEN_KEY_BYTES], struct str bytes, uint8_t ret_mac[32]) {
    unsigned len = 0;
    bool fine = HMAC(EVP_sha256(), key, TOKEN_KEY_BYTES, (const uint8_t *)bytes.at, bytes.len,
                     ret_mac, &len);
    ASSERT(fine && len == 32);
}

void aws_token_write(struct buf *out, const uint8_t key[TOKEN_KEY_BYTES], enum token_kind kind,
                     struct str payload, uint64_t wall_ms) {
    ASSERT(payload.len <= TOKEN_PAYLOAD_BYTES_MAX);
    struct buf bytes = {0};
    uint8_t mac[32];
    buf_add(&bytes, version, sizeof version);
    buf_add_u8(&bytes, (uint8_t)kind);
    add_u64(&bytes, wall_ms);
    buf_add_str(&bytes, payload);
    mac_of(key, buf_str(&bytes), mac);
    buf_add(&bytes, mac, MAC_BYTES);
    base64_write(out, buf_str(&bytes));
    buf_done(&bytes);
}

static int check(struct str bytes, const uint8_t key[TOKEN_KEY_BYTES], enum token_kind kind) {
    uint8_t mac[32];
    if (bytes.len < HEAD_BYTES + MAC_BYTES)
        return ERR_INVALID;
    mac_of(key, str_from(bytes.at, bytes.len - MAC_BYTES), mac);
    if (CRYPTO_memcmp(mac, bytes.at + bytes.len - MAC_BYTES, MAC_BYTES) != 0)
        return ERR_INVALID;
    return memcmp(bytes.at, version, sizeof version) == 0 && bytes.at[KIND_AT] == (char)kind
               ? 0
               : ERR_INVALID;
}

int aws_token_read(struct str text, const uint8_t key[TOKEN_KEY_BYTES], enum token_kind kind,
                   uint64_t wall_ms, struct buf *ret_payload, uint64_t *ret_made_ms) {
    struct buf bytes = {0};
    if (text.len > TEXT_CHARS_MAX || !base64_read(&bytes, text)) {
        buf_done(&bytes);
        return ERR_INVALID;
    }
    struct str whole = buf_str(&bytes);
    int status = check(whole, key, kind);
    if (!status) {
        *ret_made_ms = get_be((const uint8_t *)whole.at + MADE_AT, 8);
        buf_add(ret_payload, whole.at + HEAD_BYTES, whole.len - HEAD_BYTES - MAC_BYTES);
        if (wall_ms > *ret_made_ms && wall_ms - *ret_made_ms > TOKEN_LIFE_MS)
            status = ERR_TIMEOUT;
    }
    buf_done(&bytes);
    return status;
}

void aws_iterator_write(struct buf *out, const uint8_t key[TOKEN_KEY_BYTES],
                        const struct aws_iterator *iterator, uint64_t wall_ms) {
    struct buf payload = {0};
    add_u64(&payload, iterator->stream_created_s);
    buf_add_u32be(&payload, iterator->shard);
    add_u64(&payload, iterator->counter);
    buf_add_str(&payload, iterator->stream);
    aws_token_write(out, key, TOKEN_ITERATOR, buf_str(&payload), wall_ms);
    buf_done(&payload);
}

int aws_iterator_read(struct str text, const uint8_t key[TOKEN_KEY_BYTES], uint64_t wall_ms,
                      struct buf *room, struct aws_iterator *ret_iterator, uint64_t *ret_made_ms) {
    buf_clear(room);
    int status = aws_token_read(text, key, TOKEN_ITERATOR, wall_ms, room, ret_made_ms);
    if (status)
        return status;
    const uint8_t *at = buf_at(room);
    if (buf_len(room) <= ITERATOR_HEAD_BYTES)
        return ERR_INVALID;
    *ret_iterator = (struct aws_iterator){.stream_created_s = get_be(at, 8),
                                          .shard = (uint32_t)get_be(at + 8, 4),
                                          .counter = get_be(at + 12, 8),
                                          .stream = str_skip(buf_str(room), ITERATOR_HEAD_BYTES)};
    return 0;
}
