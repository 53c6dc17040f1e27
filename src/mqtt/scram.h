/*
 * The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding: messages in,
 * messages out, no connection. Belongs to one thread.
 *
 *      client-first  n,,n=USER,r=NONCE                           scram_begin()
 *      server-first  r=NONCE SERVER_NONCE,s=SALT,i=ITERATIONS    scram_challenge()
 *      client-final  c=biws,r=NONCE SERVER_NONCE,p=PROOF         scram_finish()
 *      server-final  v=SIGNATURE
 *
 * User names are compared as they come, without SASLprep: for ASCII that is the same.
 */
#ifndef MQTT_SCRAM_H
#define MQTT_SCRAM_H

#include "base/buf.h"
#include "mqtt/password.h"

#define SCRAM_METHOD "SCRAM-SHA-256"

enum { SCRAM_MESSAGE_BYTES_MAX = 4096, SCRAM_NONCE_BYTES = 18 };

struct scram;

/* Reads client-first. ERR_INVALID if it is none, asks for channel binding, or would act for another
 * user. */
int scram_begin(struct str client_first, struct scram **ret_scram);
void scram_free(struct scram *scram); /* NULL is fine */

struct str scram_user(const struct scram *scram);

/* What somebody without a verifier is shown. */
struct scram_pretence {
    uint8_t key[PASSWORD_KEY_BYTES]; /* secret: the salt is made from it and the name */
    uint32_t iterations;             /* those of others */
};

/*
 * Appends server-first. `secret` is that of the user; NULL if there is none, or one that is not for
 * SCRAM: then the exchange goes on all the same, and fails at its end. `nonce` is random and new.
 */
void scram_challenge(struct scram *scram, const struct password_secret *secret,
                     const struct scram_pretence *pretence, const uint8_t nonce[SCRAM_NONCE_BYTES],
                     struct buf *server_first);

/* Reads client-final; appends server-final. ERR_DENIED: the proof is wrong. ERR_INVALID: the message
 * is. */
int scram_finish(struct scram *scram, struct str client_final, struct buf *server_final);

#endif
