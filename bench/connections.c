/*
 * Opens many MQTT connections and does one thing with them at a time, as standard input says, one
 * word a line; each step answers with one line of JSON:
 *
 *      connect N        N more, 3.1.1 and clean, as fast as they go with WINDOW of them under way:
 *                       {"connected":N,"seconds":...}
 *      subscribe        each to `clients/NUMBER/commands`, of its own
 *      share            each to `all`, the same for all
 *      publish          one message to `all`; waits until every connection has it:
 *                       {"delivered":N,"seconds":...,"cut_off":0}
 *      close            ends all
 *
 * Every failure ends the program with a sentence on standard error and exit code 1. Source addresses
 * are in 127.0.0.0/8, one per PORTS_PER_ADDRESS connections and others for each process: an address
 * has only so many ports, and the kernel searches long for the last of them. With --ca FILE the
 * connections are TLS (OpenSSL, which this needs beside libc).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

enum { PORTS_PER_ADDRESS = 4000, WINDOW = 512, EVENTS = 256, PATIENCE_MS = 30000 };

/* What a connection waits for. */
enum waiting { FOR_SOCKET, FOR_TLS, FOR_CONNACK, FOR_SUBACK, FOR_MESSAGE, FOR_NOTHING };

struct client {
    SSL *ssl;
    int fd;
    uint32_t number;
    enum waiting waiting;
    uint8_t in[64];
    uint32_t in_bytes;
};

static struct client *clients;
static uint32_t client_count, done_count;
static struct sockaddr_in server = {.sin_family = AF_INET};
static SSL_CTX *tls;
static int poll_fd;

static void die(const char *what) {
    fprintf(stderr, "weir_connections: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- bytes ---- */

static void put(struct client *client, const void *at, size_t bytes) {
    long sent = client->ssl ? SSL_write(client->ssl, at, (int)bytes)
                            : send(client->fd, at, bytes, MSG_NOSIGNAL);
    if (sent != (long)bytes)
        die("a connection that takes no bytes");
}

static long get(struct client *client) {
    uint8_t *at = client->in + client->in_bytes;
    size_t room = sizeof client->in - client->in_bytes;
    if (!client->ssl)
        return recv(client->fd, at, room, 0);
    int got = SSL_read(client->ssl, at, (int)room);
    if (got > 0)
        return got;
    bool wants = SSL_get_error(client->ssl, got) == SSL_ERROR_WANT_READ;
    errno = wants ? EAGAIN : EPROTO;
    return wants ? -1 : 0;
}

static void say_connect(struct client *client) {
    uint8_t packet[64];
    char id[16];
    snprintf(id, sizeof id, "c%u", client->number);
    put(client, packet, wire_put_connect(packet, id, false));
    client->waiting = FOR_CONNACK;
}

static void say_subscribe(struct client *client, bool own) {
    uint8_t packet[96];
    char filter[48] = "all";
    if (own)
        snprintf(filter, sizeof filter, "clients/%u/commands", client->number);
    put(client, packet, wire_put_subscribe(packet, filter, 0, false));
    client->waiting = FOR_SUBACK;
}

/* ---- events ---- */

static void finish(struct client *client) {
    client->waiting = FOR_NOTHING;
    done_count++;
}

static void watch(struct client *client, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.u32 = client->number};
    if (epoll_ctl(poll_fd, operation, client->fd, &event) != 0)
        die("epoll");
}

static void take_frame(struct client *client, const struct wire_frame *frame) {
    static const uint8_t wanted[] = {[FOR_CONNACK] = WIRE_CONNACK,
                                     [FOR_SUBACK] = WIRE_SUBACK,
                                     [FOR_MESSAGE] = WIRE_PUBLISH,
                                     [FOR_NOTHING] = 0};
    bool refused = frame->head == WIRE_CONNACK && frame->body[1] != 0;
    if (frame->head != wanted[client->waiting] || refused) {
        fprintf(stderr, "weir_connections: packet 0x%02x where 0x%02x was wanted%s\n", frame->head,
                wanted[client->waiting], refused ? ", refused" : "");
        exit(1);
    }
    finish(client);
}

static void on_readable(struct client *client) {
    long got = get(client);
    if (got <= 0 && errno == EAGAIN && got != 0)
        return;
    if (got <= 0)
        die("a connection was cut off");
    client->in_bytes += (uint32_t)got;
    struct wire_frame frame;
    size_t taken = 0;
    while (wire_frame(client->in + taken, client->in_bytes - taken, &frame) == 1) {
        take_frame(client, &frame);
        taken += frame.bytes;
    }
    client->in_bytes -= (uint32_t)taken;
    memmove(client->in, client->in + taken, client->in_bytes);
}

static void on_tls(struct client *client) {
    int result = SSL_connect(client->ssl);
    if (result == 1)
        say_connect(client);
    else if (SSL_get_error(client->ssl, result) != SSL_ERROR_WANT_READ)
        die("TLS handshake");
}

static void on_connected(struct client *client) {
    int failed = 0;
    socklen_t size = sizeof failed;
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &failed, &size);
    errno = failed;
    if (failed)
        die("connect");
    watch(client, EPOLLIN, EPOLL_CTL_MOD);
    client->waiting = FOR_TLS;
    if (client->ssl)
        on_tls(client);
    else
        say_connect(client);
}

static void turn(void) {
    struct epoll_event events[EVENTS];
    int count = epoll_wait(poll_fd, events, EVENTS, PATIENCE_MS);
    if (count <= 0)
        die("the server has been silent for too long");
    for (int i = 0; i < count; i++) {
        struct client *client = &clients[events[i].data.u32];
        if (client->waiting == FOR_SOCKET)
            on_connected(client);
        else if (client->waiting == FOR_TLS)
            on_tls(client);
        else
            on_readable(client);
    }
}

/* ---- steps ---- */

static void begin(struct client *client, uint32_t number) {
    *client = (struct client){.number = number};
    client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in source = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f010001u + number / PORTS_PER_ADDRESS)};
    int on = 1;
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    if (client->fd < 0 || bind(client->fd, (struct sockaddr *)&source, sizeof source) != 0)
        die("socket");
    if (connect(client->fd, (struct sockaddr *)&server, sizeof server) != 0 && errno != EINPROGRESS)
        die("connect");
    watch(client, EPOLLOUT, EPOLL_CTL_ADD);
    if (!tls)
        return;
    client->ssl = SSL_new(tls);
    SSL_set_fd(client->ssl, client->fd);
    SSL_set_tlsext_host_name(client->ssl, "localhost");
}

static double connect_more(uint32_t count) {
    uint32_t first = client_count, end = client_count + count;
    clients = wire_alloc(clients, end * sizeof *clients);
    double begun = now_s();
    for (done_count = 0; done_count < count; turn())
        while (client_count < end && client_count - first - done_count < WINDOW) {
            begin(&clients[client_count], client_count);
            client_count++;
        }
    return now_s() - begun;
}

static double subscribe_all(bool own) {
    double begun = now_s();
    uint32_t next = 0;
    for (done_count = 0; done_count < client_count; turn())
        while (next < client_count && next - done_count < WINDOW)
            say_subscribe(&clients[next++], own);
    return now_s() - begun;
}

/* The first connection publishes. */
static double publish_to_all(void) {
    uint8_t packet[64];
    struct wire_publish publish = {.topic = (const uint8_t *)"all",
                                   .topic_bytes = 3,
                                   .payload = (const uint8_t *)"to everybody",
                                   .payload_bytes = 12};
    for (uint32_t i = 0; i < client_count; i++)
        clients[i].waiting = FOR_MESSAGE;
    double begun = now_s();
    put(&clients[0], packet, wire_put_publish(packet, &publish, false, NULL));
    for (done_count = 0; done_count < client_count;)
        turn();
    return now_s() - begun;
}

static void close_all(void) {
    for (uint32_t i = 0; i < client_count; i++) {
        SSL_free(clients[i].ssl);
        close(clients[i].fd);
    }
    client_count = 0;
}

static void report(const char *what, double seconds) {
    printf("{\"step\":\"%s\",\"connections\":%u,\"count\":%u,\"seconds\":%.6f}\n", what,
           client_count, done_count, seconds);
    fflush(stdout);
}

static void run_steps(void) {
    char line[64];
    unsigned count;
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "connect %u", &count) == 1) {
            report("connect", connect_more(count));
        } else if (strcmp(line, "subscribe") == 0 || strcmp(line, "share") == 0) {
            report(line, subscribe_all(line[1] == 'u'));
        } else if (strcmp(line, "publish") == 0) {
            report(line, publish_to_all());
        } else {
            close_all();
            report("close", 0);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 2 && argc != 3) {
        fputs("usage: weir_connections PORT [CA_FILE]\n", stderr);
        return 64;
    }
    wire_raise_file_limit();
    server.sin_port = htons((uint16_t)atoi(argv[1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (argc == 3) {
        tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_load_verify_file(tls, argv[2]);
        SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
        SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    }
    run_steps();
    return 0;
}
