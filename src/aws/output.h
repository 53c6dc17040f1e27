/*
 * An answer's body, in the format in which the request came: AWS JSON 1.1 or AWS CBOR 1.1
 * (content types application/x-amz-json-1.1 and application/x-amz-cbor-1.1). A handler writes maps,
 * lists and values in order and never knows which of the two it is.
 *
 *                   JSON                       CBOR
 *     map, list     {} []                      indefinite length, BF..FF 9F..FF
 *     blob          base64                     byte string
 *     time          seconds with 3 decimals    tag 1, integer milliseconds
 *
 * Strings become valid UTF-8 on the way (a CBOR text string must be): each bad byte is U+FFFD in
 * JSON; what a handler writes as a string is checked text or its own.
 */
#ifndef AWS_OUTPUT_H
#define AWS_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Zeroed is valid: JSON, empty. */
struct aws_output {
    struct buf buf;
    bool cbor;
};

void aws_output_done(struct aws_output *output);

void aws_map_begin(struct aws_output *output);
void aws_map_end(struct aws_output *output);
void aws_list_begin(struct aws_output *output);
void aws_list_end(struct aws_output *output);

/* The name of a member; its value follows. */
void aws_key(struct aws_output *output, const char *name);

void aws_string(struct aws_output *output, struct str text);
void aws_int(struct aws_output *output, int64_t value);
void aws_bool(struct aws_output *output, bool value);
void aws_blob(struct aws_output *output, struct str bytes);
void aws_time(struct aws_output *output, uint64_t wall_ms);

/* Key and value at once, the usual case. */
void aws_member_string(struct aws_output *output, const char *name, struct str text);
void aws_member_int(struct aws_output *output, const char *name, int64_t value);
void aws_member_bool(struct aws_output *output, const char *name, bool value);
void aws_member_time(struct aws_output *output, const char *name, uint64_t wall_ms);

#endif
