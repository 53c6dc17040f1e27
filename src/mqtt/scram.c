/*
 * The proof (RFC 5802 section 3):
 *
 *      AuthMessage     = client-first-bare "," server-first "," client-final-without-proof
 *      ClientProof     = ClientKey XOR HMAC(StoredKey, AuthMessage)
 *      valid if          SHA-256(ClientProof XOR HMAC(StoredKey, AuthMessage)) = StoredKey
 *      ServerSignature = HMAC(ServerKey, AuthMessage)
 *
 * Nothing here is slow: the many rounds are the client's.
 */
#include "mqtt/scram.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/base64.h"
#include "base/mem.h"

struct scram {
    struct buf user;
    struct buf gs2;     /* "n,," */
    struct buf message; /* client-first-bare "," server-first */
    struct buf nonce;   /* the client's, then the server's behind it */
    struct password_secret secret;
    bool is_known;
};

/* ---- attributes: "x=value", divided by commas ---- */

static bool take_attribute(struct str *rest, char name, struct str *ret_value) {
    if (rest->len < 2 || rest->at[0] != name || rest->at[1] != '=')
        return false;
    *ret_value = str_skip(str_cut(*rest, ',', rest), 2);
    return true;
}

/* saslname: "=2C" stands for a comma, "=3D" for "=". */
static bool decode_name(struct str text, struct buf *out) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] != '=') {
            buf_add_u8(out, (uint8_t)text.at[i]);
            continue;
        }
        struct str code = str_from(text.at + i, text.len - i < 3 ? text.len - i : 3);
        if (!str_eq(code, STR("=2C")) && !str_eq(code, STR("=3D")))
            return false;
        buf_add_u8(out, code.at[1] == '2' ? ',' : '=');
        i += 2;
    }
    return buf_len(out) > 0;
}

static bool is_printable(struct str text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < 0x21 || text.at[i] > 0x7e)
            return false;
    return text.len > 0;
}

/* ---- client-first ---- */

/* "n,," or "y,,": no channel binding; "a=USER" between the commas only for the user itself. */
static bool take_gs2(struct scram *scram, struct str *rest, struct str *ret_authzid) {
    struct str whole = *rest;
    struct str flag = str_cut(*rest, ',', rest);
    if (!str_eq(flag, STR("n")) && !str_eq(flag, STR("y")))
        return false;
    struct str authzid = str_cut(*rest, ',', rest);
    *ret_authzid = str_starts(authzid, STR("a=")) ? str_skip(authzid, 2) : authzid;
    if (authzid.len && ret_authzid->len + 2 != authzid.len)
        return false;
    size_t bytes = whole.len - rest->len;
    if (rest->len == 0 || whole.at[bytes - 1] != ',')
        return false;
    buf_add(&scram->gs2, whole.at, bytes);
    return true;
}

static bool read_first(struct scram *scram, struct str text) {
    struct str authzid, name, nonce;
    if (text.len > SCRAM_MESSAGE_BYTES_MAX || !take_gs2(scram, &text, &authzid))
        return false;
    buf_add_str(&scram->message, text);
    if (!take_attribute(&text, 'n', &name) || !take_attribute(&text, 'r', &nonce))
        return false;
    if (authzid.len && !str_eq(authzid, name))
        return false;
    buf_add_str(&scram->nonce, nonce);
    return is_printable(nonce) && decode_name(name, &scram->user);
}

int scram_begin(struct str client_first, struct scram **ret_scram) {
    struct scram *scram = xcalloc(1, sizeof *scram);
    if (!read_first(scram, client_first)) {
        scram_free(scram);
        return ERR_INVALID;
    }
    *ret_scram = scram;
    return 0;
}

void scram_free(struct scram *scram) {
    if (!scram)
        return;
    buf_done(&scram->user);
    buf_done(&scram->gs2);
    buf_done(&scram->message);
    buf_done(&scram->nonce);
    OPENSSL_cleanse(scram, sizeof *scram);
    free(scram);
}

struct str scram_user(const struct scram *scram) {
    return buf_str(&scram->user);
}

/* ---- server-first ---- */

static void pretend(struct scram *scram, const struct scram_pretence *pretence) {
    enum { SALT_BYTES = 16 };
    password_hmac(pretence->key, scram_user(scram), scram->secret.salt);
    scram->secret.salt_bytes = SALT_BYTES;
    scram->secret.iterations = pretence->iterations;
}

void scram_challenge(struct scram *scram, const struct password_secret *secret,
                     const struct scram_pretence *pretence, const uint8_t nonce[SCRAM_NONCE_BYTES],
                     struct buf *server_first) {
    scram->is_known = secret && secret->is_scram;
    if (scram->is_known)
        scram->secret = *secret;
    else
        pretend(scram, pretence);
    base64_write(&scram->nonce, str_from(nonce, SCRAM_NONCE_BYTES));
    struct buf text = {0};
    buf_printf(&text, "r=%.*s,s=", STR_ARG(buf_str(&scram->nonce)));
    base64_write(&text, str_from(scram->secret.salt, scram->secret.salt_bytes));
    buf_printf(&text, ",i=%u", scram->secret.iterations);
    buf_add_u8(&scram->message, ',');
    buf_add_str(&scram->message, buf_str(&text));
    buf_add_str(server_first, buf_str(&text));
    buf_done(&text);
}

/* ---- client-final ---- */

static bool is_binding(const struct scram *scram, struct str value) {
    struct buf bytes = {0};
    bool same = base64_read(&bytes, value) && str_eq(buf_str(&bytes), buf_str(&scram->gs2));
    buf_done(&bytes);
    return same;
}

static bool read_proof(struct str text, uint8_t ret_proof[PASSWORD_KEY_BYTES]) {
    struct buf bytes = {0};
    bool whole = base64_read(&bytes, text) && buf_len(&bytes) == PASSWORD_KEY_BYTES;
    if (whole)
        memcpy(ret_proof, buf_at(&bytes), PASSWORD_KEY_BYTES);
    buf_done(&bytes);
    return whole;
}

/* The proof is the last attribute; extensions before it are not known, and are passed over. */
static bool read_final(const struct scram *scram, struct str text, struct str *ret_without_proof,
                       uint8_t ret_proof[PASSWORD_KEY_BYTES]) {
    struct str rest = text, binding, nonce, last = {NULL, 0};
    if (text.len > SCRAM_MESSAGE_BYTES_MAX || !take_attribute(&rest, 'c', &binding) ||
        !take_attribute(&rest, 'r', &nonce))
        return false;
    while (rest.len)
        last = str_cut(rest, ',', &rest);
    if (!str_starts(last, STR("p=")) || last.at + last.len != text.at + text.len)
        return false;
    *ret_without_proof = str_from(text.at, (size_t)(last.at - text.at) - 1);
    return is_binding(scram, binding) && str_eq(nonce, buf_str(&scram->nonce)) &&
           read_proof(str_skip(last, 2), ret_proof);
}

static bool is_proven(const struct scram *scram, const uint8_t proof[PASSWORD_KEY_BYTES]) {
    uint8_t key[PASSWORD_KEY_BYTES], stored_key[PASSWORD_KEY_BYTES];
    password_hmac(scram->secret.stored_key, buf_str(&scram->message), key);
    for (int i = 0; i < PASSWORD_KEY_BYTES; i++)
        key[i] ^= proof[i];
    password_sha256(key, sizeof key, stored_key);
    bool same = CRYPTO_memcmp(stored_key, scram->secret.stored_key, PASSWORD_KEY_BYTES) == 0;
    return same && scram->is_known;
}

int scram_finish(struct scram *scram, struct str client_final, struct buf *server_final) {
    struct str without_proof;
    uint8_t proof[PASSWORD_KEY_BYTES], signature[PASSWORD_KEY_BYTES];
    if (!read_final(scram, client_final, &without_proof, proof))
        return ERR_INVALID;
    buf_add_u8(&scram->message, ',');
    buf_add_str(&scram->message, without_proof);
    if (!is_proven(scram, proof))
        return ERR_DENIED;
    password_hmac(scram->secret.server_key, buf_str(&scram->message), signature);
    buf_add_str(server_final, STR("v="));
    base64_write(server_final, str_from(signature, sizeof signature));
    return 0;
}
