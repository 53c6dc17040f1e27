/*
 * What a client asks of a shadow by MQTT (AWS IoT Core Developer Guide, "Device Shadow MQTT topics"):
 *
 *      $aws/things/THING/shadow/OPERATION                    of the classic shadow
 *      $aws/things/THING/shadow/name/SHADOW/OPERATION        of a named one
 *
 * OPERATION is get, update or delete; the answers are told on topics one level below it. A request
 * waits in a log (docs/formats/shadow-requests.md) until it is done. Nothing here knows of logs or
 * documents.
 */
#ifndef THINGS_SHADOW_REQUEST_H
#define THINGS_SHADOW_REQUEST_H

#include "base/buf.h"
#include "base/err.h"

enum shadow_operation { SHADOW_GET, SHADOW_UPDATE, SHADOW_DELETE };

/* Views only. */
struct shadow_request {
    enum shadow_operation operation;
    uint8_t depth;     /* how many rules the message had come through */
    bool too_large;    /* the payload was, and is left out */
    struct str thing;  /* a valid name */
    struct str shadow; /* the same, or empty: the classic one */
    struct str payload;
};

enum shadow_topic {
    SHADOW_TOPIC_OTHER,    /* not below a thing's shadow */
    SHADOW_TOPIC_REQUEST,  /* asks something */
    SHADOW_TOPIC_RESERVED, /* only the answers are published there, or nothing is */
};

/* `ret_request` gets operation and names of a request. */
enum shadow_topic shadow_topic_read(struct str topic, struct shadow_request *ret_request);

/* Appends the topic of an answer; `tail` is "/accepted" and the like. */
void shadow_topic_write(struct buf *out, const struct shadow_request *request, const char *tail);

void shadow_request_write(struct buf *out, const struct shadow_request *request);

/* CORRUPT. The views point into `entry`. */
int shadow_request_read(struct str entry, struct shadow_request *ret_request);

#endif
