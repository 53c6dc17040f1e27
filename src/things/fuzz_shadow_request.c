/* A topic and a payload, with a NUL byte between them, as a client sends them: a request is read
 * back from its entry as it was. Then the same bytes as an entry, which what reads the log must
 * survive. */
#include <stdlib.h>

#include "base/mem.h"
#include "things/shadow_document.h"
#include "things/shadow_message.h"
#include "things/shadow_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const struct shadow_request *a, const struct shadow_request *b) {
    ASSERT(a->operation == b->operation && a->depth == b->depth && a->too_large == b->too_large);
    ASSERT(str_eq(a->thing, b->thing) && str_eq(a->shadow, b->shadow));
    ASSERT(str_eq(a->payload, b->payload));
}

static void write_and_read(const struct shadow_request *request) {
    struct shadow_request again;
    struct buf entry = {0};
    shadow_request_write(&entry, request);
    int code = shadow_request_read(buf_str(&entry), &again);
    ASSERT(!code);
    check_same(request, &again);
    buf_done(&entry);
}

static void ask(struct str topic, struct str payload) {
    struct shadow_request request;
    struct buf again = {0}, token = {0};
    struct err err;
    if (shadow_topic_read(topic, &request) == SHADOW_TOPIC_REQUEST) {
        shadow_topic_write(&again, &request, "");
        ASSERT(str_eq(buf_str(&again), topic));
        request.payload = payload;
        write_and_read(&request);
        if (!shadow_message_token(payload, &token, &err))
            ASSERT(buf_len(&token) <= SHADOW_TOKEN_BYTES_MAX + 2);
    }
    buf_done(&again);
    buf_done(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct shadow_request request;
    char *copy = xmemdup(data, size); /* Reading beyond the end is seen. */
    struct str payload, topic = str_cut(str_from(copy, size), '\0', &payload);
    ask(topic, payload);
    if (!shadow_request_read(str_from(copy, size), &request))
        write_and_read(&request);
    free(copy);
    return 0;
}
