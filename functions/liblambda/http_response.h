/*
 * An HTTP/1.1 answer, parsed as its bytes arrive (RFC 9112). Internal to liblambda.
 *
 * Owned by one connection and used again for each answer; pointers into it are valid until the next
 * lambda_http_response_begin(). A zeroed response is valid and must begin before it is fed.
 *
 * Bounds: a head of LAMBDA_HTTP_HEAD_BYTES_MAX with LAMBDA_HTTP_HEADERS_MAX fields, a body of
 * LAMBDA_HTTP_BODY_BYTES_MAX. Whatever passes them is broken, as is what is not HTTP/1.
 */
#ifndef LAMBDA_HTTP_RESPONSE_H
#define LAMBDA_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"

#define LAMBDA_HTTP_HEAD_BYTES_MAX ((size_t)64 << 10)
#define LAMBDA_HTTP_BODY_BYTES_MAX ((size_t)32 << 20)
#define LAMBDA_HTTP_HEADERS_MAX    64

enum lambda_http_step {
    LAMBDA_HTTP_BROKEN = -1, /* no HTTP/1 answer; `problem` says why; the connection is of no use */
    LAMBDA_HTTP_MORE = 0,
    LAMBDA_HTTP_DONE = 1,
};

struct lambda_http_header {
    const char *name;
    const char *value; /* without the white space around it */
};

struct lambda_http_response {
    int state;
    int status;
    bool keep_alive; /* the connection may carry another request */
    bool closed;     /* broken only because the connection ended */
    const char *problem;
    struct lambda_buf head;
    size_t line_start; /* of the line that is being read, in head */
    struct lambda_http_header headers[LAMBDA_HTTP_HEADERS_MAX];
    size_t header_count;
    struct lambda_buf body;
    uint64_t body_left; /* of the body, or of the chunk */
    size_t chunk_line_size;
    bool chunk_extension; /* its digits are over */
    size_t trailer_size;
    size_t trailer_line_size;
};

void lambda_http_response_done(struct lambda_http_response *response);

/* Makes it ready for the next answer. Keeps its memory. */
void lambda_http_response_begin(struct lambda_http_response *response);

/*
 * Takes the next bytes. ret_used is how many belong to this answer; it is less than size only when
 * the answer is done, and what follows it was never asked for.
 */
enum lambda_http_step lambda_http_response_feed(struct lambda_http_response *response,
                                                const char *bytes, size_t size, size_t *ret_used);

/* The peer has closed: done if the body was to end with the connection, else broken. */
enum lambda_http_step lambda_http_response_end(struct lambda_http_response *response);

/* The first field of that name, in any case, or NULL. Valid once the answer is done. */
const char *lambda_http_response_header(const struct lambda_http_response *response,
                                        const char *name);

#endif
