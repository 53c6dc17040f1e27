/* The opening handshake of a WebSocket (RFC 6455 section 4.2), without a socket. */
#ifndef HTTP_UPGRADE_H
#define HTTP_UPGRADE_H

#include "http/reader.h"

/*
 * 0 if the request asks for a WebSocket that can be given; else the status to answer with, and
 * *ret_why as its text. `subprotocol` NULL: none; else it must be among those offered.
 */
int upgrade_check(const struct exchange *exchange, const char *subprotocol, const char **ret_why);

/* Appends the answer 101 to a request that was checked. `date` as answer_date_text() gives it. */
void upgrade_answer(const struct http_request *request, const char *subprotocol, const char *date,
                    struct buf *out);

#endif
