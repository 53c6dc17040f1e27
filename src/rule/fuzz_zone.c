/* A file of time zone data: read and asked, also behind its last change. */
#include <stdlib.h>

#include "base/mem.h"
#include "rule/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena arena = {0};
    char *copy = xmemdup(data, size);
    const struct zone *zone = zone_read(&arena, STR("fuzz"), str_from(copy, size));
    for (int64_t seconds = -9000000000000; zone && seconds < 9000000000000;
         seconds += 123456789012) {
        struct zone_moment moment = zone_at(zone, seconds);
        zone_instant(zone, seconds + moment.offset_seconds);
    }
    arena_done(&arena);
    free(copy);
    return 0;
}
