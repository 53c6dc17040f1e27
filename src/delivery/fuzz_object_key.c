/* Any text as a prefix: what passes the check gives keys that stay below a directory. */
#include <stdlib.h>

#include "delivery/object_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *prefix = str_dup(str_from(data, size));
    struct delivery_config config = {.head.name = "s",
                                     .prefix = prefix,
                                     .error_output_prefix = "!{firehose:error-output-type}/"};
    if (object_key_check(&config, NULL) == 0) {
        struct buf key = {0};
        object_key_make(&key, &config, size ? data[0] * 86400000ULL * 200 : 0);
        ASSERT(bucket_path_check(buf_str(&key), NULL) == 0);
        ASSERT(buf_len(&key) <= OBJECT_KEY_BYTES_MAX);
        buf_done(&key);
    }
    free(prefix);
    return 0;
}
