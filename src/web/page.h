/* The files of the page, embedded in the program. */
#ifndef WEB_PAGE_H
#define WEB_PAGE_H

#include <stdbool.h>

#include "http/http.h"

/* Whether the path is that of one of the page's files. */
bool web_page_has(struct str path);

/* Answers a GET or HEAD for such a path. */
void web_page_respond(struct http_request *request);

/* Whether a client that sends this Accept-Encoding takes gzip (RFC 9110 section 12.5.3). */
bool web_page_takes_gzip(struct str accept_encoding);

/* Whether an If-None-Match names this entity tag, given without quotes (RFC 9110 section 13.1.2). */
bool web_page_matches(struct str if_none_match, const char *tag);

/* http_respond() with the headers that every answer of this listener carries. */
void web_respond(struct http_request *request, int status, const char *content_type,
                 struct str body, const struct http_header *extra, size_t extra_count);

#endif
