/* Any bytes as JSON: what parses must be walked, unescaped and found again without reading beyond
 * the text. */
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth) {
    if (!truth)
        abort();
}

static void walk(struct json_value value, struct arena *arena, struct buf *scratch) {
    int64_t integer;
    double number;
    size_t count = 0;
    json_int(value, &integer);
    json_double(value, &number);
    if (json_type(value) == JSON_STRING) {
        buf_clear(scratch);
        require(json_str_add(value, scratch));
        require(str_eq(buf_str(scratch), json_str(value, arena)));
        require(json_str_eq(value, buf_str(scratch)));
    }
    for (struct json_cursor cursor = json_each(value); json_next(&cursor); count++) {
        if (json_type(value) == JSON_OBJECT && count < 8)
            require(json_type(json_member(value, json_str(cursor.key, arena))) != JSON_ABSENT);
        walk(cursor.value, arena, scratch);
    }
    require(count == json_count(value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct json json = {0};
    struct arena arena = {0};
    struct buf scratch = {0};
    /* A block of its own size, without a NUL behind it. */
    char *copy = size ? xmemdup(data, size) : NULL;
    if (json_parse(&json, str_from(copy, size)) == 0)
        walk(json_root(&json), &arena, &scratch);
    else
        require(json.error_at <= size && json.error_text);
    json_done(&json);
    arena_done(&arena);
    buf_done(&scratch);
    free(copy);
    return 0;
}
