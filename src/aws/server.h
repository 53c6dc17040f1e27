/* What server.c shares with the rest of the API: answers to requests that are no call, and the life
 * of calls. */
#ifndef AWS_SERVER_H
#define AWS_SERVER_H

#include "aws/call.h"

void aws_respond(struct aws *aws, struct http_request *request, int status,
                 const char *content_type, struct str body);
void aws_respond_error(struct aws *aws, struct http_request *request, bool cbor, int status,
                       const char *type, struct str message);

/* The content type of AWS JSON 1.1 or AWS CBOR 1.1. */
const char *aws_content_type(bool cbor);

/* 200, and a body that comes in chunks. */
void aws_respond_begin(struct aws *aws, struct http_request *request, const char *content_type);

/* x-amzn-RequestId is `id`, x-amzn-ErrorType is `error` unless that is NULL. */
void aws_respond_as(struct aws *aws, struct http_request *request, struct str id, int status,
                    const char *content_type, const char *error, struct str body);

/* A request that rest_find() found a place for, or whose path is nobody's. */
void aws_rest_run(struct aws *aws, struct http_request *request);

/* Whether the request goes by its path: Kinesis and its like go by X-Amz-Target. */
bool aws_is_rest(const struct http_request *request);

/* A part (call, job, subscription) that the end of the server waits for. */
void aws_part_begin(struct aws *aws);
void aws_part_end(struct aws *aws);

#endif
