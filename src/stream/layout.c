#include "stream/layout.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/ref.h"

struct layout *layout_new(struct meta *meta, const struct layout *before) {
    struct layout *layout = xcalloc(1, sizeof *layout);
    atomic_init(&layout->refs, 1);
    layout->meta = *meta;
    *meta = (struct meta){0};
    meta_map(&layout->meta, &layout->map);
    layout->shards = xcalloc(layout->meta.shard_count, sizeof(struct shard *));
    for (unsigned i = 0; before && i < before->meta.shard_count; i++)
        if (layout->meta.shards[i].state != META_GONE)
            layout->shards[i] = before->shards[i];
    return layout;
}

struct layout *layout_ref(struct layout *layout) {
    ref_take(&layout->refs);
    return layout;
}

void layout_unref(struct layout *layout) {
    if (!layout || !ref_drop(&layout->refs))
        return;
    meta_done(&layout->meta);
    free(layout->map.ranges);
    free(layout->shards);
    free(layout);
}

int layout_shard_for(const struct layout *layout, const struct record *record,
                     unsigned *ret_shard) {
    hash_key key = 0;
    if (record->explicit_hash_key.len) {
        if (!hash_key_parse(record->explicit_hash_key, &key))
            return ERR_INVALID;
    } else if (layout->map.count > 1) {
        key = hash_key_of(record->partition_key);
    }
    *ret_shard = shard_map_find(&layout->map, key);
    return 0;
}
