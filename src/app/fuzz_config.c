/* Configuration files: any bytes are read or refused with a place, never more. */

#include "app/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    struct config *config = NULL;
    struct err err = {0};
    if (config_read_text("f.yaml", str_from(at, len), &config, &err) == 0)
        config_free(config);
    else
        ASSERT(err.text[0]);
    return 0;
}
