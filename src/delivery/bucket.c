#include "delivery/bucket.h"

unsigned bucket_retry_delay_ms(unsigned attempt, uint64_t random) {
    unsigned most = BUCKET_RETRY_MS_FIRST;
    while (--attempt && most < BUCKET_RETRY_MS_MAX)
        most *= 2;
    if (most > BUCKET_RETRY_MS_MAX)
        most = BUCKET_RETRY_MS_MAX;
    return (unsigned)(random % (most + 1));
}

unsigned bucket_pause_ms(enum bucket_verdict verdict, unsigned attempt, uint64_t random) {
    if (verdict == BUCKET_RETRY_NOW)
        return 0;
    return verdict == BUCKET_HOLD ? BUCKET_HOLD_MS : bucket_retry_delay_ms(attempt, random);
}
