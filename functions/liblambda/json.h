/*
 * A JSON scanner over bytes that it may change, and the escaping of text into JSON. Internal to
 * liblambda.
 *
 * The cursor moves forward only. Its error is sticky: after the first byte that is not JSON every
 * call returns its empty value and changes nothing, so that a caller may look at `failed` once, at
 * the end. Strings are unescaped where they stand and get a NUL behind them, which overwrites the
 * closing quote at the latest; the bytes before the cursor are then no JSON any more.
 *
 * Accepted is what RFC 8259 accepts, nested at most LAMBDA_JSON_DEPTH_MAX deep, except that bytes
 * above 0x7f in strings are taken as they are. An unpaired surrogate becomes U+FFFD.
 */
#ifndef LAMBDA_JSON_H
#define LAMBDA_JSON_H

#include <stdbool.h>

#include "buf.h"
#include "lambda.h"

#define LAMBDA_JSON_DEPTH_MAX 64

struct lambda_json {
    char *at;
    char *end;
    bool failed;
};

/* The first byte of the next token, 0 at the end or after an error. */
char lambda_json_peek(struct lambda_json *json);

/* Takes one structural byte; anything else in its place is an error. */
bool lambda_json_take(struct lambda_json *json, char byte);

/*
 * Walks an object whose `{` was taken: true with the member's name, the cursor before its value,
 * which the caller must take or skip; false at the `}` (taken) and after an error. *first is true
 * at the first call and belongs to the walk.
 */
bool lambda_json_member(struct lambda_json *json, bool *first, struct lambda_bytes *ret_name);

/* Walks an array whose `[` was taken, in the same manner. */
bool lambda_json_element(struct lambda_json *json, bool *first);

bool lambda_json_string(struct lambda_json *json, struct lambda_bytes *ret_text);

/* The text of a number, as written; no NUL is set behind it. */
bool lambda_json_number(struct lambda_json *json, struct lambda_bytes *ret_text);

/* Passes over any one value and checks it. */
bool lambda_json_skip(struct lambda_json *json);

/* True if nothing but white space is left. */
bool lambda_json_at_end(struct lambda_json *json);

/* Appends the text as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD. */
void lambda_json_write_string(struct lambda_buf *buf, const char *text, size_t size);

#endif
