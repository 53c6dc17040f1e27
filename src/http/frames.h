/*
 * WebSocket frames (RFC 6455 section 5) of the server's side, without any socket: wslay with bytes
 * in and bytes out. Pings are answered, a close frame is answered, text is checked to be UTF-8.
 */
#ifndef HTTP_FRAMES_H
#define HTTP_FRAMES_H

#include <stdbool.h>

#include "base/buf.h"

struct frames;

struct frames_events {
    /* A whole message, its fragments joined. Valid during the call. */
    void (*on_message)(void *data, bool is_text, struct str message);
    /* Bytes for the peer. */
    void (*on_output)(void *data, struct str bytes);
};

struct frames *frames_new(size_t message_bytes_max, const struct frames_events *events, void *data);
void frames_free(struct frames *frames);

/* Reads on; returns how many bytes were taken: all of them unless it is stopped. */
size_t frames_feed(struct frames *frames, const uint8_t *at, size_t len);

/* Stopped, feeding takes nothing more. Messages of up to FRAMES_AHEAD_BYTES that were taken already
 * still come. */
enum { FRAMES_AHEAD_BYTES = 4096 };
void frames_stop(struct frames *frames, bool stop);

/* These do nothing once a close frame was sent. */
void frames_send(struct frames *frames, bool is_text, struct str message);
void frames_ping(struct frames *frames);
void frames_close(struct frames *frames, int code);

/* A close frame was sent, by frames_close() or as the answer to the peer's, or to a violation of
 * the protocol. */
bool frames_close_sent(const struct frames *frames);

/* Nothing more will be read: both sides have closed, or the peer violated the protocol. */
bool frames_finished(const struct frames *frames);

#endif
