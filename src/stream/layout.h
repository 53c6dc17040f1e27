/*
 * Which shards a stream has at one time: never changed once it is made, so that every thread may
 * hold one for as long as it likes. A split, a merge or a removal makes a new one.
 */
#ifndef STREAM_LAYOUT_H
#define STREAM_LAYOUT_H

#include <stdatomic.h>

#include "stream/meta.h"
#include "stream/shard.h"

struct layout {
    _Atomic unsigned refs;
    struct meta meta;
    struct shard **shards; /* meta.shard_count, by number; NULL: gone. They live as long as the
                              stream. */
    struct shard_map map;  /* the open ones */
};

/* Takes `meta`; shards of `before` (may be NULL) that are not gone keep their place, the others are
 * NULL until the maker sets them. One reference. */
struct layout *layout_new(struct meta *meta, const struct layout *before);

struct layout *layout_ref(struct layout *layout);
void layout_unref(struct layout *layout); /* NULL is fine */

/* NULL: there is none of that number (any more). */
static inline struct shard *layout_shard(const struct layout *layout, unsigned number) {
    return number < layout->meta.shard_count ? layout->shards[number] : NULL;
}

/* As stream_shard_for(). */
int layout_shard_for(const struct layout *layout, const struct record *record, unsigned *ret_shard);

#endif
