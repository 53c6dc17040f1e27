/*
 * What functions of the dialect keep between messages on one thread: patterns and time zones that
 * come with the message (those written out in the rule are made with its plan), the hash functions,
 * and the memory that a search in a text works in.
 *
 * Of each kind at most CACHE_ENTRIES prepared texts; a new one takes the place of another. Zeroed is
 * valid.
 */
#ifndef RULE_CACHE_H
#define RULE_CACHE_H

#include <openssl/evp.h>

#include "base/arena.h"
#include "base/str.h"

enum { CACHE_ENTRIES = 32, CACHE_TEXT_BYTES_MAX = 1024, CACHE_DIGESTS = 6 };

/* What functions need of a text. */
enum cache_kind {
    CACHE_NOTHING,
    CACHE_REGEXP,       /* struct regexp */
    CACHE_JODA_PATTERN, /* struct joda_pattern */
    CACHE_JDK_PATTERN,  /* struct jdk_pattern */
    CACHE_ZONE,         /* struct zone */
    CACHE_KINDS
};

/* Makes it in `arena`; NULL if the text is of no use. Depends on the text alone. `constant`: it stands
 * in the rule, so that it is worth some work. */
const void *rule_cache_make(enum cache_kind kind, struct arena *arena, struct str text,
                            bool constant);

struct cache_entry {
    bool used;
    struct arena arena; /* of the text and of what was made */
    struct str text;
    const void *made;
};

struct regexp_room;

struct rule_cache {
    struct cache_entry entries[CACHE_KINDS][CACHE_ENTRIES];
    EVP_MD *digests[CACHE_DIGESTS];
    EVP_MD_CTX *digest_context;
    struct regexp_room *regexp_room;
};

void rule_cache_done(struct rule_cache *cache);

/* The same, made before or now, which *ret_made tells. NULL also for texts longer than
 * CACHE_TEXT_BYTES_MAX. Valid until the next call for the same kind. */
const void *rule_cache_get(struct rule_cache *cache, enum cache_kind kind, struct str text,
                           bool *ret_made);

#endif
