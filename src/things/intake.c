/*
 * What a worker does with a message on a topic of a shadow: a request becomes an entry of the log.
 *
 * If too many of its thing wait (waiting.h) it does not. It is answered there and then, as one that was done and
 * rejected, so that its PUBACK is as any other; if nobody would hear the answer, the PUBACK has to say it. So nothing
 * is acknowledged that is neither done nor answered.
 */
#include "things/intake.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "things/shadow_batch.h"
#include "things/shadow_document.h"
#include "things/shadow_message.h"
#include "things/shadow_request.h"

struct things_intake {
    struct message_sink sink;
    struct things *things;
    struct journal *requests;
    struct message_publisher *publisher;
    struct sink_gate_listener listener;
    struct buf entry;
    struct metric throttled;
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

/* ---- too many ---- */

static void write_throttled(const struct shadow_request *request, struct buf *out) {
    struct buf token = {0};
    struct err ignored;
    if (request->payload.len)
        shadow_message_token(request->payload, &token, &ignored);
    shadow_message_rejected(shadow_error_number(ERR_FULL),
                            STR("Too many requests on shadows of this thing wait"),
                            clock_wall_ms() / 1000, buf_str(&token), out);
    buf_done(&token);
}

/* A rule may answer the answer with a request, so this may be called by what it calls. */
static int tell_throttled(struct things_intake *intake, const struct shadow_request *request,
                          struct str topic) {
    struct buf payload = {0};
    write_throttled(request, &payload);
    const struct message answer = {.topic = topic,
                                   .payload = buf_str(&payload),
                                   .qos = 1,
                                   .republish_depth = (uint8_t)(request->depth + 1)};
    int result = things_intake_publish(intake, &answer);
    buf_done(&payload);
    return result < 0 && result != ERR_NO_SPACE && result != ERR_IO ? ERR_FULL : result;
}

static int throttle(struct things_intake *intake, const struct shadow_request *request) {
    struct message_publisher *publisher = intake->publisher;
    struct buf topic = {0};
    metric_add(&intake->throttled, 1);
    shadow_topic_write(&topic, request, shadow_answer_tails[SHADOW_REJECTED]);
    bool heard = !publisher->is_wanted || publisher->is_wanted(publisher, buf_str(&topic));
    int result = heard ? tell_throttled(intake, request, buf_str(&topic)) : ERR_FULL;
    buf_done(&topic);
    return result;
}

/* ---- requests ---- */

static struct shadow_request request_of(const struct message *message) {
    struct shadow_request request;
    shadow_topic_read(message->topic, &request);
    request.depth = message->republish_depth;
    request.too_large = message->payload.len > SHADOW_REQUEST_BYTES_MAX;
    if (!request.too_large)
        request.payload = message->payload;
    return request;
}

static int append(struct things_intake *intake, const struct message *message) {
    struct shadow_request request = request_of(message);
    if (!waiting_take(&intake->things->waiting, request.thing))
        return throttle(intake, &request);
    buf_clear(&intake->entry);
    shadow_request_write(&intake->entry, &request);
    int code = intake->requests->append(intake->requests, buf_str(&intake->entry));
    if (code)
        waiting_give_back(&intake->things->waiting, request.thing);
    return code ? code : MESSAGE_STAGED;
}

/* What was staged, and counted, is not in the log. */
static void on_commit(struct sink_gate_listener *listener, uint64_t ticket, int status) {
    struct things_intake *intake = CONTAINER_OF(listener, struct things_intake, listener);
    if (status)
        waiting_forget(&intake->things->waiting);
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

/* Nothing is retained below a shadow, and on a reserved topic nobody publishes at all. */
static int check(struct message_sink *sink, struct str topic, bool retain) {
    const enum shadow_topic *kind = route(sink, topic);
    if (kind && *kind == SHADOW_TOPIC_RESERVED)
        return ERR_DENIED;
    return kind && retain ? ERR_UNSUPPORTED : 0;
}

struct things_intake *things_intake_new(struct things *things, struct journal *requests,
                                        struct message_publisher *publisher) {
    struct things_intake *intake = xcalloc(1, sizeof *intake);
    intake->sink =
        (struct message_sink){.route = route, .push = push, .generation = 1, .check = check};
    intake->things = things;
    intake->requests = requests;
    intake->publisher = publisher;
    intake->listener.on_commit = on_commit;
    sink_gate_listen(requests->gate, &intake->listener);
    things->waits_from = requests->end(requests);
    metric_init(&intake->throttled, METRIC_COUNTER, "weir_things_shadow_throttled_total",
                "Requests by MQTT that were refused since too many of their thing waited", NULL);
    return intake;
}

void things_intake_free(struct things_intake *intake) {
    if (!intake)
        return;
    list_remove(&intake->listener.link);
    metric_done(&intake->throttled);
    buf_done(&intake->entry);
    free(intake);
}

struct message_sink *things_intake_sink(struct things_intake *intake) {
    return &intake->sink;
}

int things_intake_publish(struct things_intake *intake, const struct message *answer) {
    intake->passes = true;
    int result = intake->publisher->publish(intake->publisher, answer);
    intake->passes = false;
    return result;
}
