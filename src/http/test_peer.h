/* For tests: a peer with a blocking socket on the test's own thread, while the server runs on the
 * thread of its loop. */
#ifndef HTTP_TEST_PEER_H
#define HTTP_TEST_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/buf.h"
#include "http/http.h"

enum { PEER_TIMEOUT_S = 20 };

/* Until the loop's thread has counted so far. */
static inline void await(atomic_uint *count, unsigned wanted) {
    for (int i = 0; atomic_load(count) < wanted && i < PEER_TIMEOUT_S * 1000; i++)
        usleep(1000);
    assert_int_equal(atomic_load(count), wanted);
}

static inline int peer_connect(const struct sockaddr_storage *address) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    struct timeval timeout = {.tv_sec = PEER_TIMEOUT_S};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    assert_int_equal(connect(fd, (const struct sockaddr *)address, sizeof(struct sockaddr_in)), 0);
    return fd;
}

static inline void peer_send(int fd, struct str text) {
    while (text.len) {
        ssize_t sent = send(fd, text.at, text.len, MSG_NOSIGNAL);
        assert_true(sent > 0);
        text = str_skip(text, (size_t)sent);
    }
}

/* One more read; the count of bytes, 0 at the end (a reset counts as one). Fails the test when
 * nothing comes. */
static inline size_t peer_read(int fd, struct buf *text) {
    ssize_t got = recv(fd, buf_room(text, 64 * 1024), 64 * 1024, 0);
    if (got < 0)
        assert_int_equal(errno, ECONNRESET);
    got = got < 0 ? 0 : got;
    buf_added(text, (size_t)got);
    return (size_t)got;
}

static inline unsigned peer_count(const struct buf *text, const char *needle) {
    unsigned count = 0;
    struct str rest = buf_str(text);
    const char *at;
    while (rest.len && (at = memmem(rest.at, rest.len, needle, strlen(needle)))) {
        count++;
        rest = str_skip(rest, (size_t)(at - rest.at) + strlen(needle));
    }
    return count;
}

/* Reads until `needle` stands in the text. */
static inline void peer_read_until(int fd, struct buf *text, const char *needle) {
    while (!peer_count(text, needle)) {
        if (!peer_read(fd, text))
            fail_msg("the end came before \"%s\" in: %s", needle, buf_cstr(text));
    }
}

/* Reads to the end of the stream. */
static inline void peer_read_all(int fd, struct buf *text) {
    while (peer_read(fd, text))
        ;
}

#endif
