/* The answer of a function: any bytes. */
#include "function/batch_response.h"

#include "base/err.h"

static bool on_item(void *data, struct str identifier) {
    size_t *count = data;
    ASSERT(identifier.len > 0);
    (*count)++;
    return identifier.at[0] != '!';
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    static struct json json;
    size_t count = 0;
    int status = function_batch_response_parse(&json, str_from(at, len), on_item, &count);
    ASSERT(status == 0 || status == ERR_INVALID);
    return 0;
}
