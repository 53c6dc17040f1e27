/* Arbitrary bytes as what a WebSocket client sends, in pieces whose size the first byte chooses. */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/utf8.h"
#include "http/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

enum { MESSAGE_BYTES_MAX = 4096 };

struct peer {
    struct frames *frames;
    size_t output_bytes;
};

static void on_message(void *data, bool is_text, struct str message) {
    struct peer *peer = data;
    ASSERT(message.len <= MESSAGE_BYTES_MAX);
    ASSERT(!is_text || utf8_valid(message));
    if (message.len == 3)
        frames_close(peer->frames, 1000);
    frames_send(peer->frames, is_text, message);
}

static void on_output(void *data, struct str bytes) {
    ((struct peer *)data)->output_bytes += bytes.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len) {
    static const struct frames_events events = {on_message, on_output};
    if (!len)
        return 0;
    struct peer peer = {0};
    peer.frames = frames_new(MESSAGE_BYTES_MAX, &events, &peer);
    size_t step = 1 + at[0];
    at++;
    len--;
    while (len && !frames_finished(peer.frames)) {
        size_t piece = len < step ? len : step;
        size_t taken = frames_feed(peer.frames, at, piece);
        ASSERT(taken == piece);
        at += taken;
        len -= taken;
    }
    frames_free(peer.frames);
    return 0;
}
