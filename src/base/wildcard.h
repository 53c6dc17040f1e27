/*
 * Patterns with '*' (any characters, none too, '/' and ':' too) and '?' (one character), as policies have
 * them (IAM User Guide, "IAM JSON policy elements: Resource"). A pattern is compiled to a *code*:
 * the same text with the wildcards as bytes that UTF-8 never has, so that whoever compiles may put
 * literal '*' and '?' there as well.
 */
#ifndef BASE_WILDCARD_H
#define BASE_WILDCARD_H

#include "base/arena.h"

enum { WILDCARD_ANY = 0xff, WILDCARD_ONE = 0xfe };

/* Every '*' and '?' of the text is a wildcard. The code lives in `arena`. */
struct str wildcard_compile(struct arena *arena, struct str text);

/* Whether the code takes all of the text. */
bool wildcard_matches(struct str code, struct str text);

#endif
