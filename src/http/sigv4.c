/*
 * Signature Version 4 (IAM user guide, "Create a signed AWS API request"). What is signed is a text
 * of three lines that names the day, the scope and the hash of the canonical request:
 *
 *     METHOD \n path \n query \n {name:value \n}... \n names;joined \n payload hash
 *
 * Both sides must arrive at the same bytes although clients, proxies and servers write a request in
 * different ways, so each line has a normal form:
 *
 *   path     S3: every segment decoded once and encoded again. Others: dot segments and empty
 *            segments removed, then the path *as it was sent* is encoded once more, so that %3A
 *            becomes %253A.
 *   query    decoded, encoded, sorted by name and then by value; without X-Amz-Signature, which is
 *            the result itself.
 *   headers  names in lower case, sorted; values trimmed, inner runs of blanks made one; repeated
 *            headers joined by a comma in order of arrival.
 *
 * The key is derived from the secret by four HMACs over day, region, service and a constant; it
 * holds for that day.
 */
#include "http/sigv4.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/mem.h"

/* ---- hashes: fetching an algorithm takes a lock and a search in OpenSSL 3, so each thread does it
 * once ---- */

struct algorithms {
    EVP_MD *sha256;
    EVP_MD_CTX *digest;
    EVP_MAC *hmac;
    EVP_MAC_CTX *mac;
};

static pthread_key_t algorithms_key;
static pthread_once_t algorithms_once = PTHREAD_ONCE_INIT;

static void algorithms_free(void *data) {
    struct algorithms *algorithms = data;
    EVP_MAC_CTX_free(algorithms->mac);
    EVP_MAC_free(algorithms->hmac);
    EVP_MD_CTX_free(algorithms->digest);
    EVP_MD_free(algorithms->sha256);
    free(algorithms);
}

static void algorithms_make_key(void) {
    int failed = pthread_key_create(&algorithms_key, algorithms_free);
    ASSERT(!failed);
}

static struct algorithms *algorithms_new(void) {
    struct algorithms *algorithms = xcalloc(1, sizeof *algorithms);
    algorithms->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    algorithms->digest = EVP_MD_CTX_new();
    algorithms->hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    ASSERT(algorithms->sha256 && algorithms->digest && algorithms->hmac);
    algorithms->mac = EVP_MAC_CTX_new(algorithms->hmac);
    char name[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
        OSSL_PARAM_construct_end(),
    };
    int fine = algorithms->mac && EVP_MAC_CTX_set_params(algorithms->mac, parameters);
    ASSERT(fine);
    return algorithms;
}

static struct algorithms *algorithms_of_thread(void) {
    pthread_once(&algorithms_once, algorithms_make_key);
    struct algorithms *algorithms = pthread_getspecific(algorithms_key);
    if (!algorithms) {
        algorithms = algorithms_new();
        pthread_setspecific(algorithms_key, algorithms);
    }
    return algorithms;
}

static void sha256(struct str bytes, uint8_t ret_hash[32]) {
    struct algorithms *algorithms = algorithms_of_thread();
    int fine = EVP_DigestInit_ex2(algorithms->digest, algorithms->sha256, NULL) &&
               EVP_DigestUpdate(algorithms->digest, bytes.at, bytes.len) &&
               EVP_DigestFinal_ex(algorithms->digest, ret_hash, NULL);
    ASSERT(fine);
}

static void hmac_sha256(const uint8_t *key, size_t key_len, struct str bytes, uint8_t ret_mac[32]) {
    EVP_MAC_CTX *mac = algorithms_of_thread()->mac;
    size_t len = 0;
    int fine = EVP_MAC_init(mac, key, key_len, NULL) &&
               EVP_MAC_update(mac, (const uint8_t *)bytes.at, bytes.len) &&
               EVP_MAC_final(mac, ret_mac, &len, 32);
    ASSERT(fine && len == 32);
}

static void hex(const uint8_t bytes[32], char ret_hex[65]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 32; i++) {
        ret_hex[2 * i] = digits[bytes[i] >> 4];
        ret_hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    ret_hex[64] = '\0';
}

void sigv4_sha256_hex(struct str bytes, char ret_hex[65]) {
    uint8_t hash[32];
    sha256(bytes, hash);
    hex(hash, ret_hex);
}

/* ---- line 2: the path ---- */

/* Encodes what is there once more after dropping ".", ".." and empty segments; a slash at the end
 * stays. */
static void add_normal_path(struct buf *out, struct str path) {
    struct buf kept = {0};
    struct str rest = path;
    bool slash_at_end = path.len && path.at[path.len - 1] == '/';
    while (rest.len) {
        struct str segment = str_cut(rest, '/', &rest);
        bool up = str_eq(segment, STR("..")), here = segment.len == 0 || str_eq(segment, STR("."));
        if (up || here) {
            while (up && buf_len(&kept) && buf_at(&kept)[buf_len(&kept) - 1] != '/')
                kept.end--;
            if (up && buf_len(&kept))
                kept.end--;
            slash_at_end |= !rest.len && segment.len;
            continue;
        }
        buf_add_u8(&kept, '/');
        buf_add_str(&kept, segment);
    }
    if (slash_at_end || !buf_len(&kept))
        buf_add_u8(&kept, '/');
    http_percent_encode(out, buf_str(&kept), true);
    buf_done(&kept);
}

static void add_s3_path(struct buf *out, struct str path) {
    struct buf decoded = {0};
    bool fine = http_percent_decode(path, &decoded);
    http_percent_encode(out, fine ? buf_str(&decoded) : path, true);
    buf_done(&decoded);
}

static void add_path(struct buf *out, const struct sigv4_request *request) {
    if (!request->path.len)
        buf_add_u8(out, '/');
    else if (request->s3)
        add_s3_path(out, request->path);
    else
        add_normal_path(out, request->path);
}

/* ---- line 3: the query ---- */

struct pair {
    struct str name, value;
    size_t order; /* of arrival: keeps the sort stable */
};

static int pair_compare(const void *a, const void *b) {
    const struct pair *left = a, *right = b;
    int order = str_compare(left->name, right->name);
    return order ? order : str_compare(left->value, right->value);
}

static struct str normal_word(struct arena *arena, struct str text) {
    struct buf decoded = {0}, encoded = {0};
    bool fine = http_percent_decode(text, &decoded);
    http_percent_encode(&encoded, fine ? buf_str(&decoded) : text, false);
    struct str normal = {arena_strdup(arena, buf_str(&encoded)), buf_len(&encoded)};
    buf_done(&decoded);
    buf_done(&encoded);
    return normal;
}

static size_t count_of(struct str text, char c) {
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.at[i] == c;
    return count;
}

static void add_query(struct buf *out, struct str query) {
    struct arena arena = {0};
    struct pair *pairs = arena_alloc(&arena, (count_of(query, '&') + 1) * sizeof *pairs);
    size_t count = 0;
    for (struct str rest = query; rest.len;) {
        struct str value, name = str_cut(str_cut(rest, '&', &rest), '=', &value);
        if ((!name.len && !value.len) || str_eq(name, STR("X-Amz-Signature")))
            continue;
        pairs[count++] = (struct pair){normal_word(&arena, name), normal_word(&arena, value), 0};
    }
    qsort(pairs, count, sizeof *pairs, pair_compare);
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s%.*s=%.*s", i ? "&" : "", STR_ARG(pairs[i].name),
                   STR_ARG(pairs[i].value));
    arena_done(&arena);
}

/* ---- lines 4 and 5: the headers ---- */

static int header_compare(const void *a, const void *b) {
    const struct pair *left = a, *right = b;
    int order = str_compare(left->name, right->name);
    return order ? order : (left->order > right->order) - (left->order < right->order);
}

static struct str lower_case(struct arena *arena, struct str text) {
    char *copy = arena_strdup(arena, text);
    for (size_t i = 0; i < text.len; i++)
        if (copy[i] >= 'A' && copy[i] <= 'Z')
            copy[i] += 'a' - 'A';
    return (struct str){copy, text.len};
}

static struct pair *sorted_headers(struct arena *arena, const struct sigv4_request *request) {
    struct pair *headers = arena_alloc(arena, (request->header_count + 1) * sizeof *headers);
    for (size_t i = 0; i < request->header_count; i++)
        headers[i] = (struct pair){lower_case(arena, request->headers[i].name),
                                   str_trim(request->headers[i].value), i};
    qsort(headers, request->header_count, sizeof *headers, header_compare);
    return headers;
}

static void add_header_value(struct buf *out, struct str value) {
    for (size_t i = 0; i < value.len; i++) {
        bool blank = value.at[i] == ' ' || value.at[i] == '\t';
        if (blank && (value.at[i - 1] == ' ' || value.at[i - 1] == '\t'))
            continue;
        buf_add_u8(out, blank ? ' ' : (uint8_t)value.at[i]);
    }
}

static bool is_repeated(const struct pair *headers, size_t i) {
    return i > 0 && str_eq(headers[i].name, headers[i - 1].name);
}

static void add_headers(struct buf *out, const struct pair *headers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (is_repeated(headers, i)) {
            buf_add_u8(out, ',');
        } else {
            buf_printf(out, "%s%.*s:", i ? "\n" : "", STR_ARG(headers[i].name));
        }
        add_header_value(out, headers[i].value);
    }
    buf_add(out, "\n\n", count ? 2 : 1);
}

static void add_signed_names(struct buf *out, const struct pair *headers, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!is_repeated(headers, i))
            buf_printf(out, "%s%.*s", i ? ";" : "", STR_ARG(headers[i].name));
}

/* ---- the whole ---- */

void sigv4_canonical_request(struct buf *out, const struct sigv4_request *request) {
    struct arena arena = {0};
    const struct pair *headers = sorted_headers(&arena, request);
    buf_add_str(out, request->method);
    buf_add_u8(out, '\n');
    add_path(out, request);
    buf_add_u8(out, '\n');
    add_query(out, request->query);
    buf_add_u8(out, '\n');
    add_headers(out, headers, request->header_count);
    add_signed_names(out, headers, request->header_count);
    buf_add_u8(out, '\n');
    buf_add_str(out, request->payload_hash);
    arena_done(&arena);
}

static struct str day_of(const struct sigv4_request *request) {
    return (struct str){request->amz_date.at,
                        request->amz_date.len < 8 ? request->amz_date.len : 8};
}

static void add_scope(struct buf *out, const struct sigv4_request *request) {
    buf_printf(out, "%.*s/%.*s/%.*s/aws4_request", STR_ARG(day_of(request)),
               STR_ARG(request->region), STR_ARG(request->service));
}

void sigv4_signing_key(struct str secret_access_key, struct str day, struct str region,
                       struct str service, uint8_t ret_key[SIGV4_KEY_BYTES]) {
    struct buf first = {0};
    buf_add_str(&first, STR("AWS4"));
    buf_add_str(&first, secret_access_key);
    uint8_t key[SIGV4_KEY_BYTES];
    hmac_sha256(buf_at(&first), buf_len(&first), day, key);
    hmac_sha256(key, sizeof key, region, key);
    hmac_sha256(key, sizeof key, service, key);
    hmac_sha256(key, sizeof key, STR("aws4_request"), ret_key);
    OPENSSL_cleanse(first.at, first.cap);
    OPENSSL_cleanse(key, sizeof key);
    buf_done(&first);
}

void sigv4_sign(const struct sigv4_request *request, const uint8_t key[SIGV4_KEY_BYTES],
                char ret_signature[SIGV4_SIGNATURE_CHARS]) {
    struct buf text = {0};
    sigv4_canonical_request(&text, request);
    char hash[65];
    sigv4_sha256_hex(buf_str(&text), hash);
    buf_clear(&text);
    buf_printf(&text, "AWS4-HMAC-SHA256\n%.*s\n", STR_ARG(request->amz_date));
    add_scope(&text, request);
    buf_printf(&text, "\n%s", hash);
    uint8_t mac[32];
    hmac_sha256(key, SIGV4_KEY_BYTES, buf_str(&text), mac);
    hex(mac, ret_signature);
    buf_done(&text);
}

void sigv4_signature(const struct sigv4_request *request, struct str secret_access_key,
                     char ret_signature[SIGV4_SIGNATURE_CHARS]) {
    uint8_t key[SIGV4_KEY_BYTES];
    sigv4_signing_key(secret_access_key, day_of(request), request->region, request->service, key);
    sigv4_sign(request, key, ret_signature);
    OPENSSL_cleanse(key, sizeof key);
}

void sigv4_authorization(struct buf *out, const struct sigv4_request *request,
                         struct str access_key_id, struct str secret_access_key) {
    char signature[SIGV4_SIGNATURE_CHARS];
    sigv4_signature(request, secret_access_key, signature);
    struct arena arena = {0};
    buf_printf(out, "AWS4-HMAC-SHA256 Credential=%.*s/", STR_ARG(access_key_id));
    add_scope(out, request);
    buf_add_str(out, STR(", SignedHeaders="));
    add_signed_names(out, sorted_headers(&arena, request), request->header_count);
    buf_printf(out, ", Signature=%s", signature);
    arena_done(&arena);
}

void sigv4_date(uint64_t wall_ms, char ret_text[SIGV4_DATE_CHARS]) {
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t len = strftime(ret_text, SIGV4_DATE_CHARS, "%Y%m%dT%H%M%SZ", &tm);
    ASSERT(len == SIGV4_DATE_CHARS - 1);
}
