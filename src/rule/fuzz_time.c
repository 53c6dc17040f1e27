/* A pattern, a NUL byte, and a text: read by it as Java would; and the pattern as one of Joda-Time,
 * used to write what was read. */
#include <stdlib.h>

#include "base/mem.h"
#include "rule/time_format.h"
#include "rule/time_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena = {0};
    struct buf out = {0};
    struct jdk_parsed parsed;
    struct str text, letters = str_cut(str_from(data, size), '\0', &text);
    int64_t epoch_ms = 1700000000123;
    /* Blocks of their own, so that reading behind an end is seen. */
    char *letters_copy = xmemdup(letters.at, letters.len), *text_copy = xmemdup(text.at, text.len);
    letters.at = letters_copy;
    text.at = text_copy;
    const struct jdk_pattern *jdk = jdk_compile(&arena, letters);
    if (jdk && jdk_parse(jdk, text, &parsed))
        jdk_resolve(&parsed, &zone_utc, &epoch_ms);
    const struct joda_pattern *joda = joda_compile(&arena, letters);
    if (joda)
        joda_format(&out, joda, &zone_utc, epoch_ms);
    free(letters_copy);
    free(text_copy);
    buf_done(&out);
    arena_done(&arena);
    return 0;
}
