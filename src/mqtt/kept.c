#include "mqtt/kept.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/ref.h"

static struct str append(char **at, struct str s) {
    char *begin = *at;
    if (s.len)
        memcpy(begin, s.at, s.len);
    *at += s.len;
    return str_from(begin, s.len);
}

struct kept *kept_new(const struct publication *publication, uint64_t version) {
    const struct message *message = &publication->message;
    struct str publisher = version ? message->client_id : (struct str){NULL, 0};
    size_t bytes =
        message->topic.len + message->properties.len + message->payload.len + publisher.len;
    struct kept *kept = xmalloc(sizeof *kept + bytes);
    char *at = kept->bytes;
    atomic_init(&kept->refs, 1);
    atomic_init(&kept->generation, 0);
    kept->version = version;
    kept->size = sizeof *kept + bytes;
    kept->publication = (struct publication){
        .message =
            {
                .topic = append(&at, message->topic),
                .properties = append(&at, message->properties),
                .payload = append(&at, message->payload),
                .client_id = append(&at, publisher),
                .received_ms = message->received_ms,
                .qos = message->qos,
                .retain = message->retain,
            },
        .expiry_at = publication->expiry_at,
        .id = publication->id,
        .kept = kept,
    };
    return kept;
}

void kept_ref(struct kept *kept) {
    ref_take(&kept->refs);
}

void kept_unref(struct kept *kept) {
    if (kept && ref_drop(&kept->refs))
        free(kept);
}

bool kept_expiry_left(const struct kept *kept, uint64_t now_ms, uint32_t *ret_left_s) {
    const struct publication *publication = &kept->publication;
    *ret_left_s = 0;
    return publication->expiry_at < 0 ||
           publication_expiry_left(publication_expiry_s(publication),
                                   publication->message.received_ms, now_ms, ret_left_s);
}
