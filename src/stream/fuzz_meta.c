/* Arbitrary bytes as stream.meta: refused, or written out again they give the same text. */
#include "stream/meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    struct meta meta, again;
    struct err err;
    if (meta_parse(str_from(data, len), &meta, &err))
        return 0;
    struct buf text = {0}, second = {0};
    meta_write(&meta, &text);
    int status = meta_parse(buf_str(&text), &again, &err);
    ASSERT(status == 0);
    meta_write(&again, &second);
    ASSERT(str_eq(buf_str(&text), buf_str(&second)));
    buf_done(&text);
    buf_done(&second);
    meta_done(&meta);
    meta_done(&again);
    return 0;
}
