#include "handshake.h"
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { TIMEOUT_S = 10, ANSWER_BYTES_MAX = 127 };

void fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static void send_all(int fd, const uint8_t *data, size_t bytes) {
    if (send(fd, data, bytes, MSG_NOSIGNAL) != (ssize_t)bytes)
        fail("the server does not take the handshake: %s", strerror(errno));
}

static void receive_all(int fd, uint8_t *data, size_t bytes) {
    if (bytes && recv(fd, data, bytes, MSG_WAITALL) != (ssize_t)bytes)
        fail("the server does not answer the handshake");
}

/* Receives the body of one short packet of the given type. Returns its length, which is at least 2.
 */
static uint8_t receive_answer(int fd, uint8_t type, uint8_t *body) {
    uint8_t head[2];
    receive_all(fd, head, sizeof head);
    if (head[0] != type || head[1] > ANSWER_BYTES_MAX || head[1] < 2)
        fail("the server answered the handshake with packet 0x%02x", head[0]);
    receive_all(fd, body, head[1]);
    return head[1];
}

static int dial(uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval timeout = {.tv_sec = TIMEOUT_S};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        fail("connect to port %u: %s", port, strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

int handshake_connect(uint16_t port, const char *client_id, bool v5) {
    uint8_t packet[32 + HANDSHAKE_ID_BYTES_MAX];
    uint8_t answer[ANSWER_BYTES_MAX];
    int fd = dial(port);
    send_all(fd, packet, wire_put_connect(packet, client_id, v5));
    receive_answer(fd, WIRE_CONNACK, answer);
    if (answer[1])
        fail("the server refused a connection with code 0x%02x", answer[1]);
    return fd;
}

void handshake_subscribe(int fd, const char *filter, uint8_t qos, bool v5) {
    uint8_t packet[16 + HANDSHAKE_FILTER_BYTES_MAX];
    uint8_t answer[ANSWER_BYTES_MAX];
    if (strlen(filter) > HANDSHAKE_FILTER_BYTES_MAX)
        fail("the filter is longer than %d bytes", HANDSHAKE_FILTER_BYTES_MAX);
    send_all(fd, packet, wire_put_subscribe(packet, filter, qos, v5));
    uint8_t code = answer[receive_answer(fd, WIRE_SUBACK, answer) - 1];
    if (code != qos)
        fail("the server answered the subscription with code 0x%02x", code);
}
