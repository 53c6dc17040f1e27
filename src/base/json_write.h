/* JSON out (RFC 8259). The reader is json.h. */
#ifndef BASE_JSON_WRITE_H
#define BASE_JSON_WRITE_H

#include "base/buf.h"
#include "base/str.h"

/*
 * A JSON string with its quotes, whatever the bytes are: controls are escaped, each byte that is
 * not part of valid UTF-8 becomes U+FFFD. "</" is written "<\/" so that the text may stand inside a
 * page.
 */
void json_write_string(struct buf *out, struct str s);

/* The same for what stands in no page: only what RFC 8259 section 7 demands is escaped, so "</" and the
 * control character 0x7f go out as they are. */
void json_write_plain_string(struct buf *out, struct str s);

/* `"key":` with a comma before it unless the buffer ends in '{' or '['. */
void json_write_key(struct buf *out, const char *key);

/* A member of an object: key, and a string, a whole number or a boolean. */
void json_write_text(struct buf *out, const char *key, struct str text);
void json_write_int(struct buf *out, const char *key, int64_t number);
void json_write_bool(struct buf *out, const char *key, bool value);

/* A comma unless the buffer ends in '{', '[' or ':' or is empty: before each item of a list. */
void json_write_comma(struct buf *out);

#endif
