/* Any bytes as a CBOR request; what is read must be a tape whose entries stay inside each other. */
#include <stdlib.h>

#include "aws/cbor.h"
#include "base/err.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(struct json_value value, struct arena *arena) {
    const struct json_entry *entry = json_entry(value);
    double number;
    ASSERT(entry->next > value.index && entry->next <= value.json->count);
    if (json_type(value) == JSON_NUMBER)
        (void)json_double(value, &number);
    ASSERT(json_str(value, arena).len <= value.json->text.len);
    size_t count = 0;
    for (struct json_cursor cursor = json_each(value); json_next(&cursor); count++)
        walk(cursor.value, arena);
    ASSERT(count == json_count(value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *copy = xmemdup(data, size); /* Reading beyond the end is seen. */
    struct json json = {0};
    struct buf text = {0};
    struct arena arena = {0};
    if (cbor_read(&json, &text, str_from(copy, size)) == 0)
        walk(json_root(&json), &arena);
    arena_done(&arena);
    buf_done(&text);
    json_done(&json);
    free(copy);
    return 0;
}
