/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>

#include "base/str.h"

bool utf8_valid(struct str s);

/* Length in bytes of the valid sequence at the beginning of `s` (1..4), 0 if there is none. */
size_t utf8_sequence(struct str s);

#endif
