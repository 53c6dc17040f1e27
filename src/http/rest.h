/*
 * Calls of a REST interface on an HTTP server: tables of methods and paths, the call under way, and
 * its end. Who may call, and what each answer carries beside its body, is the host's, who has the
 * server. Everything belongs to the server's loop.
 *
 * A path is written as in Smithy's http trait: "/rules/{name}/enable" has a label for one segment,
 * "/topics/{topic+}" a greedy one, always the last, for all that is left, slashes included. Labels
 * are never empty. The first route of the first service that matches is taken.
 */
#ifndef HTTP_REST_H
#define HTTP_REST_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/random.h"
#include "http/http.h"

enum { REST_LABELS_MAX = 4 };

struct rest_call;

/*
 * `run` ends the call by exactly one of the functions below, at once or later. The client may go
 * away meanwhile: then answering does nothing but end the call.
 */
struct rest_route {
    const char *method; /* "GET"; NULL ends a table */
    const char *path;
    void (*run)(struct rest_call *call);
    /* For policies: "iot:CreateTopicRule" and "rule/0", the tail of the ARN with the number of a
     * label for the label; "0" alone: the label is the ARN. NULL: all actions of the service must
     * be allowed; no resource. */
    const char *action, *resource;
};

struct rest_service {
    const char *signing_name; /* the service in the scope of SigV4, "iotdata"; several that clients
                                 use are separated by blanks */
    const struct rest_route *routes;
    void *data;
};

struct rest_match {
    const struct rest_service *service; /* NULL: no service has this path */
    const struct rest_route *route;     /* NULL: no such path, or not with this method */
    struct str labels[REST_LABELS_MAX]; /* as they stand in the path */
};

/* False unless there is a route. */
bool rest_find(const struct rest_service *const *services, size_t count, struct str method,
               struct str path, struct rest_match *ret_match);

/* What a host does for its calls. */
struct rest_host {
    /* Answers call->request, which is there; `error` is the type of an error or NULL. */
    void (*respond)(struct rest_call *call, int status, const char *content_type, const char *error,
                    struct str body);
    /* Or NULL. Whether the caller may do what the route does; false: it has failed the call. */
    bool (*is_allowed)(struct rest_call *call);
    /* The call has ended, and its memory goes. */
    void (*ended)(struct rest_call *call);
};

struct rest_call {
    /* NULL: the client is gone, and so are all views of the request */
    struct http_request *request;
    const struct rest_host *host;
    void *host_data;
    const struct rest_service *service;
    const struct rest_route *route;
    struct str labels[REST_LABELS_MAX]; /* percent-decoded, in `arena` */
    char id[UUID_CHARS];                /* of this request, for answers and logs */
    const char *caller;                 /* access key id of who signed; NULL: nobody was asked */
    struct arena arena;                 /* until the call ends */
    struct json json;                   /* of rest_read_json() */
    struct buf output;                  /* what the handler writes for rest_answer() */
    void *state;                        /* the handler's */
    /* While an answer goes on: the client is gone, `request` is NULL. rest_stream_end() is still owed. */
    void (*on_gone)(struct rest_call *call);
};

/* Takes the request. To be followed by rest_run() or an end. */
struct rest_call *rest_begin(struct http_request *request, const struct rest_match *match,
                             const struct rest_host *host, void *host_data);

/* Decodes the labels and runs the handler; an unknown path or method and a bad escape are answered
 * here. */
void rest_run(struct rest_call *call);

/* ---- ends ---- */

/* `output` as application/json; empty output: no body and no type. */
void rest_answer(struct rest_call *call, int status);

/* {"message": "...", "traceId": "..."}, as the REST services of AWS IoT tell it; `type` is
 * "InvalidRequestException" and the like. */
void rest_fail(struct rest_call *call, int status, const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* An answer that goes on for as long as there is something to say (http_respond_begin). */
void rest_stream_begin(struct rest_call *call, const char *content_type);
void rest_stream_write(struct rest_call *call, struct str bytes);
bool rest_stream_is_full(const struct rest_call *call); /* also when the client is gone */
void rest_stream_end(struct rest_call *call);

/* ---- what handlers ask of the request, which is there ---- */

/* Percent-decoded, in the call's arena; false if it is absent. */
bool rest_query(struct rest_call *call, const char *name, struct str *ret_value);

/* A number within bounds, `absent` if there is none. False, and the call has failed with 400. */
bool rest_query_number(struct rest_call *call, const char *name, uint64_t min, uint64_t max,
                       uint64_t absent, uint64_t *ret_number);

/* "true" or "false", `false` if there is none. False, and the call has failed with 400. */
bool rest_query_bool(struct rest_call *call, const char *name, bool *ret_value);

/* The body as a JSON object; valid until the call ends or the client is gone. False, and the call
 * has failed with 400. */
bool rest_read_json(struct rest_call *call, struct json_value *ret_root);

#endif
