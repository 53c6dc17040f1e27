/* Any bytes as a stored intent; what decodes encodes to the same bytes. The checksum is made good
 * first, or else nothing behind it would be reached. */
#include "base/crc.h"
#include "delivery/intent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_to_decode(struct str value) {
    struct intent intent;
    if (intent_decode(value, &intent) != 0)
        return;
    struct buf again = {0};
    intent_encode(&again, &intent);
    ASSERT(str_eq(buf_str(&again), value));
    buf_done(&again);
    intent_done(&intent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buf value = {0};
    uint32_t crc = crc32c(0, data, size);
    try_to_decode(str_from(data, size));
    buf_add(&value, data, size);
    buf_add(&value, &crc, sizeof crc);
    try_to_decode(buf_str(&value));
    buf_done(&value);
    return 0;
}
