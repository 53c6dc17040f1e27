/* Any bytes as the input of an operation: the first chooses it and the format, the rest is the body. */
#include <stdlib.h>
#include <string.h>

#include "aws/cbor.h"
#include "aws/kinesis.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned operation_count(void) {
    unsigned count = 0;
    while (kinesis_operations[count].name)
        count++;
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    const struct aws_operation *operation = &kinesis_operations[(data[0] >> 1) % operation_count()];
    char *copy = xmemdup(data + 1, size - 1); /* Reading beyond the end is seen. */
    struct json json = {0};
    struct buf text = {0}, message = {0};
    int status = data[0] & 1 ? cbor_read(&json, &text, str_from(copy, size - 1))
                             : json_parse(&json, str_from(copy, size - 1));
    if (status == 0) {
        const char *type = aws_input_check(json_root(&json), operation->input, &message);
        ASSERT(!type == !buf_len(&message));
    }
    json_done(&json);
    buf_done(&text);
    buf_done(&message);
    free(copy);
    return 0;
}
