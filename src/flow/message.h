/*
 * An MQTT application message in passing, and the interface between the broker and what stands
 * behind it (the rules) in both directions. Views only: valid during the call they are passed to.
 */
#ifndef FLOW_MESSAGE_H
#define FLOW_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct message {
    struct str topic;
    struct str payload;
    struct str properties; /* MQTT 5 PUBLISH properties to pass on, as on the wire without their
                              length; may be empty */
    struct str client_id;  /* of the publisher; empty when not published by MQTT */
    struct str principal;  /* user name or certificate fingerprint; may be empty */
    struct str source_ip;  /* text; may be empty */
    uint64_t received_ms;  /* wall clock */
    uint8_t qos;
    bool retain;
    uint8_t republish_depth; /* how many rules it has come through */
};

/* What message_sink.push() returns besides negative codes. */
enum {
    MESSAGE_TAKEN = 0,  /* nothing to wait for */
    MESSAGE_STAGED = 1, /* acknowledge only when the gate's present ticket has committed */
};

/*
 * Takes the messages that the broker has accepted; one instance per worker thread, implemented by
 * the rule engine.
 */
struct message_sink {
    /* What is to be done with messages of this topic: an opaque value that the caller may cache
     * until `generation` changes; NULL: nothing. `topic` is valid and without wildcards. */
    const void *(*route)(struct message_sink *sink, struct str topic);
    /* MESSAGE_TAKEN, MESSAGE_STAGED, or a negative code: the message cannot be kept and must not be
     * acknowledged (NO_SPACE, IO). A rule that fails for the message alone (bad JSON, empty key) is
     * no error here: it is counted. */
    int (*push)(struct message_sink *sink, const void *route, const struct message *message);
    uint64_t generation;
    /* What push() would return for every message of this topic, if that is negative; else 0. NULL: always 0. */
    int (*check)(struct message_sink *sink, struct str topic, bool retain);
};

/*
 * The way back: publishes into the broker on this thread, from rules (republish), APIs, lifecycle
 * events. Implemented by the broker, one instance per worker thread. Runs rules on the message too;
 * returns as message_sink.push().
 */
struct message_publisher {
    int (*publish)(struct message_publisher *publisher, const struct message *message);
    /* Whether a subscriber or a rule would get a message of this topic at present. May be NULL. */
    bool (*is_wanted)(struct message_publisher *publisher, struct str topic);
};

#endif
