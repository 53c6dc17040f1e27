/*
 * CBOR in (RFC 8949), as the Java SDK writes it for Kinesis. The result is a tape of base/json.h, so
 * that everything behind it (validation, handlers) reads JSON and CBOR alike.
 */
#ifndef AWS_CBOR_H
#define AWS_CBOR_H

#include "base/json.h"

/* On the tape a byte string is a JSON_STRING with this flag in `info`: its bytes are the blob itself,
 * not base64. (JSON_FRACTIONAL belongs to numbers; strings have it free.) */
enum { CBOR_BYTES = JSON_FRACTIONAL };

static inline bool cbor_is_bytes(struct json_value value) {
    return json_type(value) == JSON_STRING && (json_entry(value)->info & CBOR_BYTES);
}

/*
 * Reads one item, which must be all there is. `text` becomes what the tape looks into: a copy of the
 * bytes, with numbers written out in decimal and joined strings behind it. INVALID: no CBOR, or
 * something that a request cannot hold (maps with keys that are no text, undefined values, tags other
 * than 1). TOO_LARGE: deeper than JSON_DEPTH_MAX or longer than JSON_BYTES_MAX. A time (tag 1,
 * milliseconds) becomes a number of seconds, as JSON has it.
 */
int cbor_read(struct json *json, struct buf *text, struct str bytes);

#endif
