/*
 * The connections of the load generator: publishers and subscribers of one server, driven by one
 * thread on one epoll.
 *
 * fleet_open() connects and subscribes; fleet_run() sends a number of messages, waits until the
 * server has done all that it owes for them, and may be called again and again; fleet_close() ends
 * the connections. Every failure (a refused connection, a broken packet, an acknowledgement out of
 * order, a server that falls silent) ends the program with a sentence on standard error and exit
 * code 1: a measurement with a flaw is none.
 */
#ifndef BENCH_FLEET_H
#define BENCH_FLEET_H

#include "histogram.h"
#include "wire.h"

struct fleet_options {
    uint16_t port; /* on 127.0.0.1 */
    bool v5;
    uint32_t publishers;
    uint32_t subscribers;
    const char *topic;  /* one %d takes the number of the publisher */
    const char *filter; /* of every subscriber; must match all topics */
    uint8_t qos;
    uint8_t subscriber_qos;
    uint32_t payload_bytes; /* at least FLEET_PAYLOAD_BYTES_MIN */
    uint32_t batch;         /* most frames in one write */
    uint32_t window;        /* most unacknowledged messages of a connection (QoS 1) */
    uint32_t refill;        /* free places of the window that are worth a write */
    uint32_t ahead; /* most messages that are sent and not yet received by all subscribers */
    double rate;    /* messages per second of all publishers together; 0: as fast as they go */
};

enum {
    FLEET_PAYLOAD_BYTES_MIN = 64,
    FLEET_PAYLOAD_BYTES_MAX = 64 * 1024,
    FLEET_TOPIC_BYTES_MAX = 256,
    FLEET_CONNECTIONS_MAX = 15000,
    FLEET_BATCH_MAX = 4096,
};

struct fleet_counts {
    uint64_t sent, acked, received;
};

struct fleet;

/* Connects everybody; `options` must live as long as the fleet. */
struct fleet *fleet_open(const struct fleet_options *options);

/*
 * Sends `messages` and waits for the acknowledgements (QoS 1), the deliveries (subscribers), or a
 * PINGRESP behind the last message of each connection (neither). Returns the nanoseconds from the
 * first write to the last of these.
 */
uint64_t fleet_run(struct fleet *fleet, uint64_t messages);

/* What has been counted since the fleet was opened, and the two latencies since fleet_forget(). */
const struct fleet_counts *fleet_counts(const struct fleet *fleet);
const struct histogram *fleet_puback_latency(const struct fleet *fleet);
const struct histogram *fleet_delivery_latency(const struct fleet *fleet);
void fleet_forget(struct fleet *fleet);

void fleet_close(struct fleet *fleet);

/* The monotonic clock. */
uint64_t fleet_now_ns(void);

#endif
