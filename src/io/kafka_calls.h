/*
 * librdkafka, loaded when the first stream or action asks for it, so that a program without Kafka
 * does not carry it (and its fourteen libraries) in memory. Types and constants come from its
 * header; each function is called through the table: kafka.poll(...) is rd_kafka_poll(...).
 */
#ifndef IO_KAFKA_CALLS_H
#define IO_KAFKA_CALLS_H

#include <librdkafka/rdkafka.h>

#include "base/err.h"

#define KAFKA_CALLS(X)                                                                             \
    X(conf_new)                                                                                    \
    X(conf_destroy)                                                                                \
    X(conf_set)                                                                                    \
    X(conf_set_opaque)                                                                             \
    X(conf_set_dr_msg_cb)                                                                          \
    X(conf_set_log_cb)                                                                             \
    X(conf_set_rebalance_cb)                                                                       \
    X(conf_set_offset_commit_cb)                                                                   \
    X(new)                                                                                         \
    X(destroy)                                                                                     \
    X(poll)                                                                                        \
    X(purge)                                                                                       \
    X(fatal_error)                                                                                 \
    X(err2str)                                                                                     \
    X(last_error)                                                                                  \
    X(topic_new)                                                                                   \
    X(topic_destroy)                                                                               \
    X(metadata)                                                                                    \
    X(metadata_destroy)                                                                            \
    X(producev)                                                                                    \
    X(headers_new)                                                                                 \
    X(header_add)                                                                                  \
    X(headers_destroy)                                                                             \
    X(offsets_for_times)                                                                           \
    X(topic_partition_list_new)                                                                    \
    X(topic_partition_list_add)                                                                    \
    X(topic_partition_list_destroy)                                                                \
    X(consume_start_queue)                                                                         \
    X(consume_stop)                                                                                \
    X(consume_batch_queue)                                                                         \
    X(seek)                                                                                        \
    X(queue_new)                                                                                   \
    X(queue_destroy)                                                                               \
    X(queue_get_main)                                                                              \
    X(queue_get_consumer)                                                                          \
    X(queue_cb_event_enable)                                                                       \
    X(queue_length)                                                                                \
    X(message_destroy)                                                                             \
    X(message_timestamp)                                                                           \
    X(poll_set_consumer)                                                                           \
    X(consumer_poll)                                                                               \
    X(consumer_close)                                                                              \
    X(subscribe)                                                                                   \
    X(incremental_assign)                                                                          \
    X(incremental_unassign)                                                                        \
    X(pause_partitions)                                                                            \
    X(commit)                                                                                      \
    X(committed)

struct kafka_calls {
#define X(name) __typeof__(rd_kafka_##name) *name;
    KAFKA_CALLS(X)
#undef X
};

extern struct kafka_calls kafka;

/* NOT_FOUND: there is no librdkafka 2 on this machine. [main; once it runs: service] */
int kafka_calls_load(struct err *err);

#endif
