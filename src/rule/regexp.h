/*
 * Regular expressions (PCRE2, in the dialect of Java as far as both agree: AWS names none). A compiled
 * pattern is immutable and may be shared by threads; what a search works in belongs to one.
 *
 * A search is bounded: the length of the text, steps back by a limit that falls with the
 * length of the text. Past a bound it is REGEXP_TOO_MUCH, whatever it might have found.
 */
#ifndef RULE_REGEXP_H
#define RULE_REGEXP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

enum {
    REGEXP_PATTERN_BYTES_MAX = 1024,
    REGEXP_TEXT_BYTES_MAX = 4096,
    REGEXP_INTERPRETED_BYTES_MAX = 1024, /* of the text, where the pattern is no machine code */
};

struct regexp;
struct regexp_room;

void regexp_room_free(struct regexp_room *room);

/* NULL if it is no pattern. To machine code, if it is `constant`. */
const struct regexp *regexp_compile(struct arena *arena, struct str pattern, bool constant);

enum regexp_result { REGEXP_FOUND, REGEXP_NOT_FOUND, REGEXP_TOO_MUCH, REGEXP_NOT_TEXT };

struct regexp_match {
    size_t begin, end;
};

/* The first match that begins at `from` or behind it. *room is made when it is NULL. `again`: the same
 * text has been searched just before. Not text: no UTF-8. */
enum regexp_result regexp_search(struct regexp_room **room, const struct regexp *regexp,
                                 struct str text, size_t from, bool again,
                                 struct regexp_match *ret_match);

/* What it may cost at worst to look for a match at so many places of a text of which so many bytes are
 * left, in steps of evaluation. */
size_t regexp_cost(const struct regexp *regexp, size_t begins, size_t bytes);

/* Whether $1, ${name} and \x in a replacement name groups that the pattern has. */
bool regexp_replacement_valid(const struct regexp *regexp, struct str replacement);

/* Appends the replacement for the last match that was found. */
void regexp_replacement_add(struct buf *out, struct regexp_room *room, const struct regexp *regexp,
                            struct str text, struct str replacement);

#endif
