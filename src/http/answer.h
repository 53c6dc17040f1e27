/* Writes the head of an answer. No socket, no state but the cached date. */
#ifndef HTTP_ANSWER_H
#define HTTP_ANSWER_H

#include "base/buf.h"
#include "http/http.h"

enum { ANSWER_DATE_CHARS = 30 };

/* The Date header's text changes once per second; zeroed is valid. */
struct answer_date {
    uint64_t second;
    char text[ANSWER_DATE_CHARS];
};

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 section 5.6.7) */
const char *answer_date_text(struct answer_date *date, uint64_t wall_ms);

struct answer_head {
    int status;
    const char *date;
    const char *content_type; /* NULL: none */
    size_t body_bytes;
    const struct http_header *extra;
    size_t extra_count;
    bool keep_alive, is_http_1_0;
    bool is_streamed; /* the length is not known: chunked, or with HTTP/1.0 up to the end */
};

/* Appends the head with the empty line behind it. */
void answer_write_head(struct buf *out, const struct answer_head *head);

/* Whether answers of this status have a body at all (RFC 9110 section 6.4.1). */
bool answer_has_body(int status);

#endif
