/* A PROXY header, whole and byte by byte: both ways must agree, and nothing is asked for beyond it. */
#include "base/err.h"
#include "io/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct proxy_header whole, part;
    int code = proxy_read(data, size, &whole);
    int by_bytes = ERR_AGAIN;
    size_t have = 0;
    while (by_bytes == ERR_AGAIN && have < size)
        by_bytes = proxy_read(data, ++have, &part);
    if (size) {
        ASSERT(by_bytes == code);
        ASSERT(code != 0 || (have == whole.bytes && part.has_source == whole.has_source));
        ASSERT(code == 0 || code == ERR_AGAIN || whole.error);
    }
    ASSERT(whole.bytes <= PROXY_HEAD_BYTES + PROXY_BYTES_MAX);
    return 0;
}
