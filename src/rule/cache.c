#include "rule/cache.h"

#include "rule/regexp.h"
#include "rule/time_format.h"
#include "rule/time_parse.h"
#include "rule/zone.h"

const void *rule_cache_make(enum cache_kind kind, struct arena *arena, struct str text,
                            bool constant) {
    switch (kind) {
    case CACHE_REGEXP:
        return regexp_compile(arena, text, constant);
    case CACHE_JODA_PATTERN:
        return joda_compile(arena, text);
    case CACHE_JDK_PATTERN:
        return jdk_compile(arena, text);
    case CACHE_ZONE:
        return zone_find(arena, text);
    default:
        return NULL;
    }
}

void rule_cache_done(struct rule_cache *cache) {
    for (size_t kind = 0; kind < CACHE_KINDS; kind++)
        for (size_t i = 0; i < CACHE_ENTRIES; i++)
            arena_done(&cache->entries[kind][i].arena);
    for (size_t i = 0; i < CACHE_DIGESTS; i++)
        EVP_MD_free(cache->digests[i]);
    EVP_MD_CTX_free(cache->digest_context);
    regexp_room_free(cache->regexp_room);
    *cache = (struct rule_cache){0};
}

const void *rule_cache_get(struct rule_cache *cache, enum cache_kind kind, struct str text,
                           bool *ret_made) {
    *ret_made = false;
    if (text.len > CACHE_TEXT_BYTES_MAX)
        return NULL;
    struct cache_entry *entry = &cache->entries[kind][str_hash(text) % CACHE_ENTRIES];
    if (!entry->used || !str_eq(entry->text, text)) {
        arena_done(&entry->arena);
        entry->used = true;
        entry->text = str_from(arena_strdup(&entry->arena, text), text.len);
        entry->made = rule_cache_make(kind, &entry->arena, entry->text, false);
        *ret_made = true;
    }
    return entry->made;
}
