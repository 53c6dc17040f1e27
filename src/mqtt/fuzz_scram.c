/* An exchange of SCRAM: client-first up to the first NUL, client-final behind it. */
#include "mqtt/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct scram_pretence pretence;
    static const uint8_t nonce[SCRAM_NONCE_BYTES];
    struct password_secret secret = {.is_scram = true, .iterations = 1, .salt_bytes = 8};
    struct str final, first = str_cut(str_from(data, size), '\0', &final);
    struct scram *scram;
    struct buf out = {0};
    if (scram_begin(first, &scram) == 0) {
        ASSERT(scram_user(scram).len);
        scram_challenge(scram, &secret, &pretence, nonce, &out);
        int code =
            scram_finish(scram, final, &out); /* The proof of zero keys is known to nobody. */
        ASSERT(code == ERR_INVALID || code == ERR_DENIED);
        scram_free(scram);
    }
    buf_done(&out);
    return 0;
}
