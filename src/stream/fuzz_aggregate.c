/* The data of a record, as any producer may send it. Sums are made to fit, so that the message
 * behind them is read. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "stream/stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    static const uint8_t magic[4] = {0xf3, 0x89, 0x9a, 0xc2};
    uint8_t *data = malloc(len + 20);
    if (!data)
        return 0;
    memcpy(data, magic, 4);
    memcpy(data + 4, at, len);
    EVP_Digest(at, len, data + 4 + len, NULL, EVP_md5(), NULL);
    struct stream_aggregate aggregate;
    struct stream_user_record record;
    size_t count = 0;
    if (stream_aggregate_open(&aggregate, str_from(data, len + 20))) {
        size_t told = aggregate.count;
        while (stream_aggregate_next(&aggregate, &record))
            count++;
        ASSERT(count == told);
        stream_aggregate_close(&aggregate);
    }
    free(data);
    return 0;
}
