/* Message digests of a text in UTF-8, as lower-case hexadecimal digits. OpenSSL's are fetched once
 * per thread. */
#include <openssl/evp.h>

#include "rule/evaluate.h"
#include "rule/function.h"
#include "rule/md2.h"

static struct value hexadecimal(struct evaluation *evaluation, const uint8_t *digest, size_t len) {
    static const char digits[] = "0123456789abcdef";
    char *text = rule_evaluation_alloc(evaluation, 2 * len);
    if (!text)
        return value_undefined();
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[digest[i] >> 4];
        text[2 * i + 1] = digits[digest[i] & 15];
    }
    return value_string(str_from(text, 2 * len));
}

/* Some steps for each block that is mixed. */
static bool spend_on(struct evaluation *evaluation, struct str text) {
    enum { BYTES_PER_STEP = 16 };
    return rule_evaluation_spend(evaluation, 1 + text.len / BYTES_PER_STEP);
}

static const char *const digest_names[CACHE_DIGESTS] = {"MD5",    "SHA1",   "SHA224",
                                                        "SHA256", "SHA384", "SHA512"};
enum digest { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA224, DIGEST_SHA256, DIGEST_SHA384, DIGEST_SHA512 };

/* What the system's policy does not let OpenSSL compute is Undefined. */
static struct value hash(struct evaluation *evaluation, const struct value *args,
                         enum digest which) {
    struct rule_cache *cache = evaluation->cache;
    struct str text;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len;
    if (!rule_function_str(evaluation, args[0], &text) || !spend_on(evaluation, text))
        return value_undefined();
    if (!cache->digest_context)
        cache->digest_context = EVP_MD_CTX_new();
    if (!cache->digests[which])
        cache->digests[which] = EVP_MD_fetch(NULL, digest_names[which], NULL);
    if (!cache->digests[which] ||
        !EVP_DigestInit_ex2(cache->digest_context, cache->digests[which], NULL) ||
        !EVP_DigestUpdate(cache->digest_context, text.at ? text.at : "", text.len) ||
        !EVP_DigestFinal_ex(cache->digest_context, digest, &len))
        return value_undefined();
    return hexadecimal(evaluation, digest, len);
}

struct value rule_function_md2(struct evaluation *evaluation, const struct value *args,
                               size_t count) {
    struct str text;
    uint8_t digest[MD2_BYTES];
    enum { STEPS_PER_BYTE = 4 };
    if (!rule_function_str(evaluation, args[0], &text) ||
        !rule_evaluation_spend(evaluation, STEPS_PER_BYTE * text.len))
        return value_undefined();
    md2(text, digest);
    return hexadecimal(evaluation, digest, sizeof digest);
}

#define HASH(name, which)                                                                          \
    struct value rule_function_##name(struct evaluation *evaluation, const struct value *args,     \
                                      size_t count) {                                              \
        return hash(evaluation, args, which);                                                      \
    }

HASH(md5, DIGEST_MD5)
HASH(sha1, DIGEST_SHA1)
HASH(sha224, DIGEST_SHA224)
HASH(sha256, DIGEST_SHA256)
HASH(sha384, DIGEST_SHA384)
HASH(sha512, DIGEST_SHA512)
