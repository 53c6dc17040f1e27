/* For tests: a thread that writes numbered records into the stream "s" as fast as the gate lets it. */
#ifndef STREAM_TEST_PRODUCER_H
#define STREAM_TEST_PRODUCER_H

#include "base/test.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "io/loop.h"
#include "stream/stream.h"

enum { PRODUCER_PUSHES_PER_TURN = 200 };

struct producer {
    struct loop_thread thread;
    struct stream_log *log;
    struct stream_writer *writer;
    struct sink *sink;
    struct sink_gate_listener listener;
    unsigned number, pushed, count, keys;
    struct timer timer;
    _Atomic bool done; /* all are committed */
};

/* Record i is "NUMBER i" with the key i % keys. */
static inline void producer_push(struct producer *producer) {
    char key[32], data[64];
    snprintf(key, sizeof key, "%u", producer->pushed % producer->keys);
    snprintf(data, sizeof data, "%u %u", producer->number, producer->pushed);
    struct record record = {.partition_key = str_of(key), .data = str_of(data)};
    assert_int_equal(sink_push(producer->sink, &record), 0);
    producer->pushed++;
}

static inline void producer_on_timer(struct timer *timer) {
    struct producer *producer = CONTAINER_OF(timer, struct producer, timer);
    struct sink_gate *gate = stream_writer_gate(producer->writer);
    for (int i = 0; i < PRODUCER_PUSHES_PER_TURN && producer->pushed < producer->count &&
                    sink_gate_has_room(gate);
         i++)
        producer_push(producer);
}

static inline void producer_on_commit(struct sink_gate_listener *listener, uint64_t ticket,
                                      int status) {
    struct producer *producer = CONTAINER_OF(listener, struct producer, listener);
    assert_int_equal(status, 0);
    if (producer->pushed == producer->count && stream_writer_idle(producer->writer))
        atomic_store(&producer->done, true);
}

static inline void producer_begin(void *data) {
    struct producer *producer = data;
    producer->writer = stream_writer_new(producer->log, producer->thread.loop);
    struct sink_resolver *resolver = stream_writer_resolver(producer->writer);
    producer->sink = resolver->find(resolver, SINK_STREAM, STR("s"));
    producer->listener.on_commit = producer_on_commit;
    sink_gate_listen(stream_writer_gate(producer->writer), &producer->listener);
    timer_start(producer->thread.loop, &producer->timer, 0, 1, producer_on_timer);
}

static inline void producer_end(void *data) {
    struct producer *producer = data;
    timer_close(&producer->timer, NULL);
    stream_writer_free(producer->writer);
}

static inline void producer_start(struct producer *producer, struct stream_log *log,
                                  unsigned number, unsigned count, unsigned keys) {
    *producer = (struct producer){.log = log, .number = number, .count = count, .keys = keys};
    loop_thread_start(&producer->thread, "producer");
    loop_call(producer->thread.loop, producer_begin, producer);
}

/* When all are committed. */
static inline void producer_stop(struct producer *producer) {
    while (!atomic_load(&producer->done))
        usleep(1000);
    loop_call(producer->thread.loop, producer_end, producer);
    loop_thread_stop(&producer->thread);
}

#endif
