/*
 * One keep-alive connection to the Runtime API. Internal to liblambda.
 *
 * The client connects when it has to and keeps the connection from one request to the next; one
 * that the peer has closed in between is replaced. It never repeats a request: only the caller
 * knows whether that does harm.
 */
#ifndef LAMBDA_HTTP_CLIENT_H
#define LAMBDA_HTTP_CLIENT_H

#include "http_response.h"

#define LAMBDA_HTTP_CONNECT_TIMEOUT_MS 3000

enum lambda_http_error {
    LAMBDA_HTTP_OK = 0,
    LAMBDA_HTTP_NO_CONNECTION = -1, /* nobody listens there */
    LAMBDA_HTTP_LOST = -2,          /* the connection broke before the answer was whole */
    LAMBDA_HTTP_PROTOCOL = -3,      /* the peer does not speak HTTP/1 as we need it */
    LAMBDA_HTTP_STOPPED = -4,       /* stop_fd became readable */
};

struct lambda_http_client {
    char host[256];
    char port[6];
    const char *authority; /* borrowed: host:port as the caller gave it */
    int fd;                /* -1: not connected */
    char problem[160];     /* why the last exchange failed, for a log line */
    struct lambda_http_response response;
};

struct lambda_http_request {
    struct lambda_buf head; /* request line and fields with the empty line */
    const char *body;       /* borrowed */
    size_t body_size;
};

/*
 * Takes `host:port` or `[v6]:port`. The text must outlive the client. False if it is neither; the
 * client is then valid, and of no use.
 */
bool lambda_http_client_init(struct lambda_http_client *client, const char *authority);

void lambda_http_client_done(struct lambda_http_client *client);

/*
 * Sends the request and reads the whole answer into client->response, without a time-out once
 * connected. Blocks; ends early when stop_fd (if not -1) becomes readable. An answer that comes
 * before the request is out, such as 413, ends the sending.
 */
enum lambda_http_error lambda_http_client_exchange(struct lambda_http_client *client,
                                                   const struct lambda_http_request *request,
                                                   int stop_fd);

/* Writes the head: method, path, Host, Content-Length for a body, User-Agent. Ends without the
 * empty line, which lambda_http_request_seal() adds after further fields. */
void lambda_http_request_begin(struct lambda_http_request *request,
                               const struct lambda_http_client *client, const char *method,
                               const char *path);

/* Adds a field. Control bytes in the value become `_`: they could end the line. */
void lambda_http_request_field(struct lambda_http_request *request, const char *name,
                               const char *value);

/* Sets the body (borrowed until the exchange is over) and closes the head. */
void lambda_http_request_seal(struct lambda_http_request *request, const char *body,
                              size_t body_size);

void lambda_http_request_done(struct lambda_http_request *request);

#endif
