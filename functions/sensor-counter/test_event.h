/* Builds Kinesis events for the tests: records are added one by one. */
#ifndef SENSOR_COUNTER_TEST_EVENT_H
#define SENSOR_COUNTER_TEST_EVENT_H

#include <stdio.h>
#include <string.h>

struct test_event {
    char body[65536];
    size_t size;
};

static inline void event_begin(struct test_event *event) {
    event->size = (size_t)sprintf(event->body, "{\"Records\":[]}");
}

/* The data comes as base64 text. */
static inline void event_add(struct test_event *event, const char *shard, const char *sequence,
                             const char *base64) {
    event->size -= 2;
    event->size += (size_t)snprintf(
        event->body + event->size, sizeof event->body - event->size,
        "%s{\"eventID\":\"%s:%s\",\"kinesis\":{\"data\":\"%s\",\"partitionKey\":\"k\","
        "\"sequenceNumber\":\"%s\"}}]}",
        event->body[event->size - 1] == '[' ? "" : ",", shard, sequence, base64, sequence);
}

#endif
