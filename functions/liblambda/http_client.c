/*
 * An exchange is one loop over a non-blocking socket: send while something is unsent, read whatever
 * is there. Both at once, because a server may refuse a large body (413) before it has read it and
 * then close; who only writes would see a reset and lose the reason.
 *
 * The connection is closed after an exchange unless the answer was whole, allowed another request,
 * and came after the last byte of the request.
 */
#include "http_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define READ_BYTES 16384

static enum lambda_http_error report(struct lambda_http_client *client,
                                     enum lambda_http_error error, const char *problem) {
    snprintf(client->problem, sizeof client->problem, "%s", problem);
    return error;
}

/* Cuts `host:port` or `[v6]:port`. */
static bool parse_authority(struct lambda_http_client *client, const char *authority) {
    const char *host = authority, *colon = strrchr(authority, ':');
    size_t host_size = colon ? (size_t)(colon - authority) : 0;
    if (host_size >= 2 && host[0] == '[' && colon[-1] == ']') {
        host++;
        host_size -= 2;
    } else if (memchr(host, ':', host_size)) {
        return false;
    }
    if (host_size == 0 || host_size >= sizeof client->host)
        return false;
    size_t port_size = strlen(colon + 1);
    if (port_size == 0 || port_size >= sizeof client->port ||
        strspn(colon + 1, "0123456789") != port_size || strpbrk(authority, " \t\r\n/"))
        return false;
    memcpy(client->host, host, host_size);
    client->host[host_size] = '\0';
    memcpy(client->port, colon + 1, port_size + 1);
    return true;
}

bool lambda_http_client_init(struct lambda_http_client *client, const char *authority) {
    *client = (struct lambda_http_client){.fd = -1, .authority = authority};
    return parse_authority(client, authority);
}

static void disconnect(struct lambda_http_client *client) {
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

void lambda_http_client_done(struct lambda_http_client *client) {
    disconnect(client);
    lambda_http_response_done(&client->response);
}

static int open_socket(const struct addrinfo *address) {
    const int on = 1;
    int fd = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
    if (fd < 0)
        return -1;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        close(fd);
        return -1;
    }
    /* Both only help: the answer leaves at once, and a host that vanished is noticed in the end. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    return fd;
}

/* Waits until the socket can be used. 0, or an errno value. */
static int await_connection(int fd) {
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    int error = 0, ready;
    socklen_t size = sizeof error;
    do
        ready = poll(&poll_fd, 1, LAMBDA_HTTP_CONNECT_TIMEOUT_MS);
    while (ready < 0 && errno == EINTR);
    if (ready < 0)
        return errno;
    if (ready == 0)
        return ETIMEDOUT;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

/* A connected socket, or -1 with *ret_errno. */
static int connect_address(const struct addrinfo *address, int *ret_errno) {
    int fd = open_socket(address), error = 0;
    if (fd < 0) {
        *ret_errno = errno;
        return -1;
    }
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0)
        error = errno == EINPROGRESS || errno == EINTR ? await_connection(fd) : errno;
    if (error == 0)
        return fd;
    *ret_errno = error;
    close(fd);
    return -1;
}

static enum lambda_http_error ensure_connection(struct lambda_http_client *client) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *addresses = NULL;
    int error = 0, rc;
    if (client->fd >= 0)
        return LAMBDA_HTTP_OK;
    rc = getaddrinfo(client->host, client->port, &hints, &addresses);
    if (rc != 0)
        return report(client, LAMBDA_HTTP_NO_CONNECTION, gai_strerror(rc));
    for (struct addrinfo *at = addresses; at && client->fd < 0; at = at->ai_next)
        client->fd = connect_address(at, &error);
    freeaddrinfo(addresses);
    if (client->fd < 0)
        return report(client, LAMBDA_HTTP_NO_CONNECTION, strerror(error));
    return LAMBDA_HTTP_OK;
}

/* Drops a kept connection that the peer has closed, or on which it said what nobody asked for. */
static void drop_stale(struct lambda_http_client *client) {
    char byte;
    if (client->fd < 0)
        return;
    ssize_t size = recv(client->fd, &byte, 1, MSG_PEEK);
    if (size >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        disconnect(client);
}

/* Sends what is left from *sent on. False with errno set when the connection broke. */
static bool send_some(int fd, const struct lambda_http_request *request, size_t *sent) {
    size_t head_size = request->head.size;
    struct iovec parts[2];
    struct msghdr message = {.msg_iov = parts};
    if (*sent < head_size)
        parts[message.msg_iovlen++] = (struct iovec){request->head.data + *sent, head_size - *sent};
    size_t body_sent = *sent > head_size ? *sent - head_size : 0;
    if (body_sent < request->body_size)
        parts[message.msg_iovlen++] =
            (struct iovec){(char *)request->body + body_sent, request->body_size - body_sent};
    ssize_t size = sendmsg(fd, &message, MSG_NOSIGNAL);
    if (size >= 0)
        *sent += (size_t)size;
    return size >= 0 || errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Reads once. *ret_left is true if bytes followed the answer. A reset counts as a close. */
static enum lambda_http_step read_some(struct lambda_http_client *client, bool *ret_left) {
    char bytes[READ_BYTES];
    size_t used;
    ssize_t size = recv(client->fd, bytes, sizeof bytes, 0);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return LAMBDA_HTTP_MORE;
    if (size <= 0)
        return lambda_http_response_end(&client->response);
    enum lambda_http_step step =
        lambda_http_response_feed(&client->response, bytes, (size_t)size, &used);
    *ret_left = used < (size_t)size;
    return step;
}

static enum lambda_http_error wait_ready(struct lambda_http_client *client, bool sending,
                                         int stop_fd, short *ret_events) {
    struct pollfd poll_fds[2] = {
        {.fd = client->fd, .events = (short)(sending ? POLLIN | POLLOUT : POLLIN)},
        {.fd = stop_fd, .events = POLLIN},
    };
    *ret_events = 0;
    if (poll(poll_fds, 2, -1) < 0)
        return errno == EINTR ? LAMBDA_HTTP_OK : report(client, LAMBDA_HTTP_LOST, strerror(errno));
    if (poll_fds[1].revents != 0)
        return report(client, LAMBDA_HTTP_STOPPED, "stopped");
    *ret_events = poll_fds[0].revents;
    return LAMBDA_HTTP_OK;
}

/*
 * What a broken answer means: bytes that are no HTTP will not get better by asking again, a
 * connection that closed might.
 */
static enum lambda_http_error report_broken(struct lambda_http_client *client) {
    return report(client, client->response.closed ? LAMBDA_HTTP_LOST : LAMBDA_HTTP_PROTOCOL,
                  client->response.problem);
}

static enum lambda_http_error talk(struct lambda_http_client *client,
                                   const struct lambda_http_request *request, int stop_fd,
                                   bool *ret_keep) {
    size_t size = request->head.size + request->body_size, sent = 0;
    enum lambda_http_step step = LAMBDA_HTTP_MORE;
    bool left = false, can_send = true;
    while (step == LAMBDA_HTTP_MORE) {
        short events;
        enum lambda_http_error error =
            wait_ready(client, can_send && sent < size, stop_fd, &events);
        if (error != LAMBDA_HTTP_OK)
            return error;
        if (events & (POLLIN | POLLHUP | POLLERR))
            step = read_some(client, &left);
        else if (events & POLLOUT)
            can_send = send_some(client->fd, request, &sent);
    }
    *ret_keep = client->response.keep_alive && !left && sent == size;
    return step == LAMBDA_HTTP_DONE ? LAMBDA_HTTP_OK : report_broken(client);
}

enum lambda_http_error lambda_http_client_exchange(struct lambda_http_client *client,
                                                   const struct lambda_http_request *request,
                                                   int stop_fd) {
    bool keep = false;
    drop_stale(client);
    lambda_http_response_begin(&client->response);
    enum lambda_http_error error = ensure_connection(client);
    if (error == LAMBDA_HTTP_OK)
        error = talk(client, request, stop_fd, &keep);
    if (!keep)
        disconnect(client);
    return error;
}

void lambda_http_request_begin(struct lambda_http_request *request,
                               const struct lambda_http_client *client, const char *method,
                               const char *path) {
    lambda_buf_clear(&request->head);
    lambda_buf_format(&request->head, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path,
                      client->authority);
    lambda_http_request_field(request, "User-Agent", "liblambda/1");
    request->body = NULL;
    request->body_size = 0;
}

void lambda_http_request_field(struct lambda_http_request *request, const char *name,
                               const char *value) {
    lambda_buf_format(&request->head, "%s: ", name);
    for (; *value; value++) {
        bool control = (unsigned char)*value < ' ' || *value == 0x7f;
        lambda_buf_append_byte(&request->head, control ? '_' : *value);
    }
    lambda_buf_append(&request->head, "\r\n", 2);
}

void lambda_http_request_seal(struct lambda_http_request *request, const char *body,
                              size_t body_size) {
    if (body)
        lambda_buf_format(&request->head, "Content-Length: %zu\r\n", body_size);
    lambda_buf_append(&request->head, "\r\n", 2);
    request->body = body;
    request->body_size = body ? body_size : 0;
}

void lambda_http_request_done(struct lambda_http_request *request) {
    lambda_buf_done(&request->head);
    *request = (struct lambda_http_request){0};
}
