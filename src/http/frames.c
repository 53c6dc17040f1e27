/*
 * wslay asks for bytes by a callback, as if it read a socket; here it is given those of the present
 * frames_feed() and then told that there are no more for now.
 *
 * Its own joining of messages is switched off: it keeps a list node and a block per fragment, so a
 * peer that sends fragments of one byte could make it hold fifty times what the bound says. The
 * fragments are joined in one buffer here, and the bound is checked when a frame begins: beyond it
 * the answer is close code 1009.
 */
#include "http/frames.h"

#include <stdlib.h>
#include <wslay/wslay.h>

#include "base/err.h"
#include "base/mem.h"

enum { MESSAGE_BYTES_KEPT = 4096 };

struct frames {
    wslay_event_context_ptr wslay;
    const struct frames_events *events;
    void *data;
    size_t message_bytes_max;
    struct buf message; /* fragments so far */
    bool in_control_frame, stopped, failed;
    const uint8_t *in; /* what the present frames_feed() has left */
    size_t in_len;
};

static ssize_t on_input_wanted(wslay_event_context_ptr wslay, uint8_t *at, size_t len, int flags,
                               void *data) {
    struct frames *frames = data;
    if (frames->stopped || !frames->in_len) {
        wslay_event_set_error(wslay, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    size_t taken = len < frames->in_len ? len : frames->in_len;
    memcpy(at, frames->in, taken);
    frames->in += taken;
    frames->in_len -= taken;
    return (ssize_t)taken;
}

static ssize_t on_output(wslay_event_context_ptr wslay, const uint8_t *at, size_t len, int flags,
                         void *data) {
    struct frames *frames = data;
    frames->events->on_output(frames->data, str_from(at, len));
    return (ssize_t)len;
}

static void on_frame(wslay_event_context_ptr wslay,
                     const struct wslay_event_on_frame_recv_start_arg *frame, void *data) {
    struct frames *frames = data;
    frames->in_control_frame = wslay_is_ctrl_frame(frame->opcode);
    if (frames->in_control_frame)
        return;
    if (frame->payload_length > frames->message_bytes_max - buf_len(&frames->message)) {
        wslay_event_shutdown_read(wslay);
        wslay_event_queue_close(wslay, WSLAY_CODE_MESSAGE_TOO_BIG, NULL, 0);
        frames->failed = true;
    }
}

static void on_piece(wslay_event_context_ptr wslay,
                     const struct wslay_event_on_frame_recv_chunk_arg *piece, void *data) {
    struct frames *frames = data;
    if (!frames->in_control_frame && !frames->failed)
        buf_add(&frames->message, piece->data, piece->data_length);
}

static void on_message(wslay_event_context_ptr wslay, const struct wslay_event_on_msg_recv_arg *arg,
                       void *data) {
    struct frames *frames = data;
    if (wslay_is_ctrl_frame(arg->opcode) || frames->failed)
        return;
    if (!frames_close_sent(frames))
        frames->events->on_message(frames->data, arg->opcode == WSLAY_TEXT_FRAME,
                                   buf_str(&frames->message));
    if (frames->message.cap > MESSAGE_BYTES_KEPT)
        buf_done(&frames->message);
    else
        buf_clear(&frames->message);
}

struct frames *frames_new(size_t message_bytes_max, const struct frames_events *events,
                          void *data) {
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_input_wanted,
        .send_callback = on_output,
        .on_frame_recv_start_callback = on_frame,
        .on_frame_recv_chunk_callback = on_piece,
        .on_msg_recv_callback = on_message,
    };
    struct frames *frames = xcalloc(1, sizeof *frames);
    frames->events = events;
    frames->data = data;
    frames->message_bytes_max = message_bytes_max;
    int failed = wslay_event_context_server_init(&frames->wslay, &callbacks, frames);
    ASSERT(!failed); /* It can only lack memory. */
    wslay_event_config_set_no_buffering(frames->wslay, 1);
    return frames;
}

void frames_free(struct frames *frames) {
    if (!frames)
        return;
    wslay_event_context_free(frames->wslay);
    buf_done(&frames->message);
    free(frames);
}

/* on_output() takes everything, so nothing stays queued in wslay. */
static void flush(struct frames *frames) {
    if (wslay_event_want_write(frames->wslay) && wslay_event_send(frames->wslay) != 0)
        frames->failed = true;
}

size_t frames_feed(struct frames *frames, const uint8_t *at, size_t len) {
    frames->in = at;
    frames->in_len = len;
    if (wslay_event_recv(frames->wslay) != 0)
        frames->failed = true;
    flush(frames);
    size_t left = frames_finished(frames) ? 0 : frames->in_len;
    frames->in = NULL;
    frames->in_len = 0;
    return len - left;
}

void frames_stop(struct frames *frames, bool stop) {
    frames->stopped = stop;
}

static void queue(struct frames *frames, enum wslay_opcode opcode, struct str payload) {
    struct wslay_event_msg message = {
        .opcode = (uint8_t)opcode,
        .msg = (const uint8_t *)payload.at,
        .msg_length = payload.len,
    };
    wslay_event_queue_msg(frames->wslay,
                          &message); /* It refuses what comes behind a close frame. */
    flush(frames);
}

void frames_send(struct frames *frames, bool is_text, struct str message) {
    queue(frames, is_text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, message);
}

void frames_ping(struct frames *frames) {
    queue(frames, WSLAY_PING, STR("weir"));
}

void frames_close(struct frames *frames, int code) {
    wslay_event_queue_close(frames->wslay, (uint16_t)code, NULL, 0);
    flush(frames);
}

bool frames_close_sent(const struct frames *frames) {
    return wslay_event_get_close_sent(frames->wslay);
}

bool frames_finished(const struct frames *frames) {
    return frames->failed || !wslay_event_get_read_enabled(frames->wslay);
}
