/*
 * A scripted HTTP server for the tests: the test says what is awaited and what is answered, line by
 * line, and fails when a peer does not come or speak within HOST_PATIENCE_MS.
 */
#ifndef LAMBDA_TEST_HOST_H
#define LAMBDA_TEST_HOST_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define HOST_PATIENCE_MS   10000
#define HOST_REQUEST_BYTES 65536

struct host {
    int listen_fd;
    int fd; /* the accepted connection, -1 without one */
    char authority[32];
    char request[HOST_REQUEST_BYTES];
    const char *body; /* of the last request, in `request` */
};

static inline void host_init(struct host *host) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    memset(host, 0, sizeof *host);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    host->fd = -1;
    host->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(host->listen_fd >= 0);
    assert_int_equal(bind(host->listen_fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(host->listen_fd, 8), 0);
    assert_int_equal(getsockname(host->listen_fd, (struct sockaddr *)&address, &size), 0);
    snprintf(host->authority, sizeof host->authority, "127.0.0.1:%d", ntohs(address.sin_port));
}

static inline void host_hang_up(struct host *host) {
    if (host->fd >= 0)
        close(host->fd);
    host->fd = -1;
}

static inline void host_done(struct host *host) {
    host_hang_up(host);
    close(host->listen_fd);
}

static inline void host_await(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, HOST_PATIENCE_MS), 1);
}

static inline void host_accept(struct host *host) {
    host_hang_up(host);
    host_await(host->listen_fd);
    host->fd = accept(host->listen_fd, NULL, NULL);
    assert_true(host->fd >= 0);
}

/* True once the request in the buffer is whole; sets the body. */
static inline bool host_request_whole(struct host *host, size_t size) {
    char *end = strstr(host->request, "\r\n\r\n");
    char *length = strstr(host->request, "Content-Length: ");
    if (!end)
        return false;
    host->body = end + 4;
    size_t body_size = length && length < end ? (size_t)atoi(length + 16) : 0;
    return size >= (size_t)(host->body - host->request) + body_size;
}

/* Reads one request and checks its first line: method and path. */
static inline void host_expect(struct host *host, const char *method, const char *path) {
    size_t size = 0;
    char line[512];
    host->request[0] = '\0';
    do {
        host_await(host->fd);
        ssize_t got = recv(host->fd, host->request + size, HOST_REQUEST_BYTES - 1 - size, 0);
        assert_true(got > 0);
        size += (size_t)got;
        host->request[size] = '\0';
    } while (!host_request_whole(host, size));
    snprintf(line, sizeof line, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, host->authority);
    if (strncmp(host->request, line, strlen(line)) != 0)
        fail_msg("expected %s, got %s", line, host->request);
}

static inline void host_send(struct host *host, const char *bytes, size_t size) {
    assert_int_equal(send(host->fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

static inline void host_say(struct host *host, const char *text) {
    host_send(host, text, strlen(text));
}

#define HOST_ACCEPTED "HTTP/1.1 202 Accepted\r\nContent-Length: 16\r\n\r\n{\"status\":\"OK\"}\n"

#endif
