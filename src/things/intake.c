/* What a worker does with a message on a topic of a shadow: a request becomes an entry of the log. */
#include "things/intake.h"

#include <stdlib.h>

#include "base/mem.h"
#include "things/shadow_document.h"
#include "things/shadow_request.h"

struct things_intake {
    struct message_sink sink;
    struct journal *requests;
    struct buf entry;
    bool passes;
};

/* The topic says it all, and is read again by push(): a route only says which kind of topic it is. */
static const enum shadow_topic request_route = SHADOW_TOPIC_REQUEST;
static const enum shadow_topic reserved_route = SHADOW_TOPIC_RESERVED;

static const void *route(struct message_sink *sink, struct str topic) {
    struct shadow_request request;
    switch (shadow_topic_read(topic, &request)) {
    case SHADOW_TOPIC_REQUEST:
        return &request_route;
    case SHADOW_TOPIC_RESERVED:
        return &reserved_route;
    default:
        return NULL;
    }
}

static int append(struct things_intake *intake, const struct message *message) {
    struct shadow_request request;
    shadow_topic_read(message->topic, &request);
    request.depth = message->republish_depth;
    request.too_large = message->payload.len > SHADOW_REQUEST_BYTES_MAX;
    if (!request.too_large)
        request.payload = message->payload;
    buf_clear(&intake->entry);
    shadow_request_write(&intake->entry, &request);
    int code = intake->requests->append(intake->requests, buf_str(&intake->entry));
    return code ? code : MESSAGE_STAGED;
}

static int push(struct message_sink *sink, const void *of_topic, const struct message *message) {
    struct things_intake *intake = CONTAINER_OF(sink, struct things_intake, sink);
    if (of_topic == &reserved_route) {
        bool passes = intake->passes;
        intake->passes = false;
        return passes ? MESSAGE_TAKEN : ERR_DENIED;
    }
    return message->retain ? ERR_UNSUPPORTED : append(intake, message);
}

struct things_intake *things_intake_new(struct journal *requests) {
    struct things_intake *intake = xcalloc(1, sizeof *intake);
    intake->sink = (struct message_sink){.route = route, .push = push, .generation = 1};
    intake->requests = requests;
    return intake;
}

void things_intake_free(struct things_intake *intake) {
    if (!intake)
        return;
    buf_done(&intake->entry);
    free(intake);
}

struct message_sink *things_intake_sink(struct things_intake *intake) {
    return &intake->sink;
}

void things_intake_pass(struct things_intake *intake, bool passes) {
    intake->passes = passes;
}
