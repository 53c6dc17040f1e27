/* Any bytes as the body of a store's answer. */
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "bucket/s3_error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text, size_t size) {
    ASSERT(memchr(text, '\0', size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = xmemdup(data, size); /* Reading beyond the end is seen. */
    struct s3_error error;
    bool is_error = s3_error_read(str_from(copy, size), &error);
    check(error.code, sizeof error.code);
    check(error.message, sizeof error.message);
    check(error.region, sizeof error.region);
    check(error.request_id, sizeof error.request_id);
    ASSERT(is_error || !error.code[0]);
    ASSERT(s3_error_case(size ? data[0] * 4 : 0, str_of(error.code))->code);
    free(copy);
    return 0;
}
