/* One shard of a delivery stream: what share.c asks of delivery.c. */
#ifndef DELIVERY_SHARE_H
#define DELIVERY_SHARE_H

#include "delivery/delivery.h"

/* As delivery_open(); goes on at `counter`, with what `note` says was about to be written. */
struct delivery_shard_config {
    struct loop *loop;
    struct http_client *client;
    const struct delivery_config *config;
    const struct bucket_config *bucket;
    struct stream *stream;
    struct facts *facts;          /* NULL: the group keeps what it would hold */
    struct stream_member *member; /* NULL: the facts do, and the three below say nothing */
    unsigned shard;
    uint64_t counter;
    struct str note;
};
int delivery_shard_open(const struct delivery_shard_config *config, struct delivery **ret_delivery,
                        struct err *err);

#endif
