/* base64 (RFC 4648 section 4, padded) and lower-case hexadecimal. */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>

#include "base/buf.h"

void base64_write(struct buf *out, struct str bytes);

/* Appends the decoded bytes; false (and nothing appended) if the text is not padded base64. */
bool base64_read(struct buf *out, struct str text);

void hex_write(struct buf *out, struct str bytes);

#endif
