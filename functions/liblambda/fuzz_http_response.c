/* Any bytes as an HTTP answer: whole and byte by byte must end in the same way. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "http_response.h"

static enum lambda_http_step feed(struct lambda_http_response *response, const char *bytes,
                                  size_t size, size_t piece) {
    enum lambda_http_step step = LAMBDA_HTTP_MORE;
    lambda_http_response_begin(response);
    for (size_t at = 0; at < size && step == LAMBDA_HTTP_MORE; at += piece) {
        size_t used, given = size - at < piece ? size - at : piece;
        step = lambda_http_response_feed(response, bytes + at, given, &used);
        LAMBDA_ASSERT(used == given || step != LAMBDA_HTTP_MORE);
    }
    return step == LAMBDA_HTTP_MORE ? lambda_http_response_end(response) : step;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct lambda_http_response whole = {0}, pieces = {0};
    enum lambda_http_step step = feed(&whole, (const char *)bytes, size, size ? size : 1);
    LAMBDA_ASSERT(feed(&pieces, (const char *)bytes, size, 1) == step);
    if (step == LAMBDA_HTTP_DONE) {
        LAMBDA_ASSERT(whole.status >= 200 && whole.status == pieces.status);
        LAMBDA_ASSERT(whole.body.size == pieces.body.size);
        LAMBDA_ASSERT(whole.body.size == 0 ||
                      memcmp(whole.body.data, pieces.body.data, whole.body.size) == 0);
        lambda_http_response_header(&whole, "Lambda-Runtime-Aws-Request-Id");
    } else {
        LAMBDA_ASSERT(whole.problem && !whole.keep_alive);
    }
    lambda_http_response_done(&whole);
    lambda_http_response_done(&pieces);
    return 0;
}
