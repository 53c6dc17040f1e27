/* What server.c shares with the rest of the API: answers to requests that are no call, and the life
 * of calls. */
#ifndef AWS_SERVER_H
#define AWS_SERVER_H

#include "aws/call.h"

void aws_respond(struct aws *aws, struct http_request *request, int status,
                 const char *content_type, struct str body);
void aws_respond_error(struct aws *aws, struct http_request *request, bool cbor, int status,
                       const char *type, struct str message);

/* A part (call, job, subscription) that the end of the server waits for. */
void aws_part_begin(struct aws *aws);
void aws_part_end(struct aws *aws);

#endif
