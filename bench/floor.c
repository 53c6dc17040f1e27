/*
 * The floor: the least that a server of this kind can do, as the measure that every server is held
 * against.
 *
 * One thread, one epoll, one read per readable connection and wake-up ("turn"). The packets of a
 * read are walked in place; nothing is allocated, looked up or copied unless an option asks for it.
 * What the turn produced leaves at its end:
 *
 *   1. --log FILE: the payloads of all PUBLISHes of the turn go to FILE with one write;
 *   2. --sync: one fdatasync of FILE;
 *   3. the replies: one send per connection that has earned any (PUBACKs of a read lie side by
 *      side);
 *   4. --forward: one send per subscriber with all that the turn brought for it.
 *
 * Step 3 never precedes 1 and 2, so a PUBACK means what it means in Weir. Sessions, wills, retained
 * messages, QoS 2, keep alive and permissions do not exist: their absence is the point. A filter is
 * a topic, or a prefix that ends in '#'; a connection has one filter, and its next SUBSCRIBE
 * replaces it.
 *
 * Forwarding encodes a message once for each group of subscribers that asked for the same filter,
 * QoS and protocol level. The group has one counter of packet ids: a connection belongs to one
 * group, so its ids are unique all the same, and the same bytes serve every member.
 *
 * What grows: the turn's payloads and a group's messages are written early at TURN_BYTES_MAX; a
 * connection that leaves more than UNSENT_BYTES_MAX unread is closed; connections are bounded by
 * the file limit. A packet that is malformed, longer than WIRE_READ_BYTES_MAX or not spoken here
 * closes its connection.
 *
 * Prints `ready PORT`, and at SIGTERM one JSON object with what it has counted.
 */
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 256,
    LISTEN_BACKLOG = 1024,
    TURN_BYTES_MAX = 8 * 1024 * 1024,
    UNSENT_BYTES_MAX = 64 * 1024 * 1024,
    FILTER_BYTES_MAX = 256,
    PROTOCOL_LEVEL_AT = 6,
    PROTOCOL_LEVEL_5 = 5,
};

/* Bytes that are filled during a turn and emptied at its end. */
struct bytes {
    uint8_t *data;
    size_t bytes;
    size_t room;
};

struct conn {
    int fd;
    bool v5;
    bool gone; /* closed at the end of the turn, when nobody holds a pointer to it any more */
    bool write_armed;
    struct wire_tail tail;
    struct bytes replies; /* of this turn */
    struct bytes unsent;  /* what the socket did not take */
    struct group *group;
    struct conn *next; /* of the group's members */
    struct conn *older, *newer;
};

/* Subscribers that get the same bytes. */
struct group {
    char filter[FILTER_BYTES_MAX]; /* without the '#' */
    size_t filter_bytes;
    bool prefix;
    bool v5;
    uint8_t qos;
    uint16_t next_id;
    struct conn *members;
    struct bytes out; /* of this turn */
    uint64_t out_messages;
    struct group *next;
};

struct counts {
    uint64_t connects, publishes, acks, deliveries, subscriber_acks, reads, turns, syncs;
    uint64_t logged_bytes;
};

struct server {
    int epoll_fd, listen_fd, signal_fd;
    int log_fd; /* -1: no log */
    bool sync;
    bool forward;
    bool stop;
    uint8_t *read_buffer;
    struct bytes log;
    struct group *groups;
    struct conn *newest;
    struct conn *turn[EVENTS_MAX]; /* the connections that this turn has touched */
    int turn_conns;
    struct counts counts;
};

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint8_t *bytes_room(struct bytes *b, size_t more) {
    if (b->bytes + more > b->room) {
        b->room = 2 * (b->bytes + more);
        b->data = wire_alloc(b->data, b->room);
    }
    return b->data + b->bytes;
}

static void bytes_add(struct bytes *b, const void *data, size_t more) {
    memcpy(bytes_room(b, more), data, more);
    b->bytes += more;
}

/* -- sending ------------------------------------------------------------- */

static void arm(struct server *s, struct conn *c, bool write) {
    if (c->write_armed == write)
        return;
    struct epoll_event event = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, c->fd, &event) < 0)
        die("epoll_ctl");
    c->write_armed = write;
}

/* Returns how many bytes the socket took; a dead socket takes all, its end is heard by the next
 * read. */
static size_t send_some(struct conn *c, const uint8_t *data, size_t bytes) {
    ssize_t n = send(c->fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0)
        return (size_t)n;
    return errno == EAGAIN || errno == EINTR ? 0 : bytes;
}

static void conn_send(struct server *s, struct conn *c, const uint8_t *data, size_t bytes) {
    size_t sent = c->unsent.bytes ? 0 : send_some(c, data, bytes);
    if (sent == bytes)
        return;
    if (c->unsent.bytes + bytes - sent > UNSENT_BYTES_MAX) {
        shutdown(c->fd, SHUT_RDWR);
        return;
    }
    bytes_add(&c->unsent, data + sent, bytes - sent);
    arm(s, c, true);
}

static void on_writable(struct server *s, struct conn *c) {
    size_t sent = send_some(c, c->unsent.data, c->unsent.bytes);
    c->unsent.bytes -= sent;
    memmove(c->unsent.data, c->unsent.data + sent, c->unsent.bytes);
    if (!c->unsent.bytes)
        arm(s, c, false);
}

/* -- forwarding ---------------------------------------------------------- */

static void group_flush(struct server *s, struct group *g) {
    for (struct conn *c = g->members; c && g->out.bytes; c = c->next) {
        conn_send(s, c, g->out.data, g->out.bytes);
        s->counts.deliveries += g->out_messages;
    }
    g->out.bytes = 0;
    g->out_messages = 0;
}

static bool group_wants(const struct group *g, const struct wire_publish *p) {
    if (g->prefix ? p->topic_bytes < g->filter_bytes : p->topic_bytes != g->filter_bytes)
        return false;
    return g->members && memcmp(p->topic, g->filter, g->filter_bytes) == 0;
}

static void group_add(struct server *s, struct group *g, const struct wire_publish *p) {
    size_t bytes_max = WIRE_HEAD_BYTES_MAX + 16 + p->topic_bytes + (size_t)p->payload_bytes;
    if (g->out.bytes + bytes_max > TURN_BYTES_MAX)
        group_flush(s, g);
    struct wire_publish copy = *p;
    copy.qos = p->qos < g->qos ? p->qos : g->qos;
    if (copy.qos) {
        copy.id = g->next_id;
        g->next_id = g->next_id == WIRE_ID_MAX ? 1 : g->next_id + 1;
    }
    g->out.bytes += wire_put_publish(bytes_room(&g->out, bytes_max), &copy, g->v5, NULL);
    g->out_messages++;
}

static void forward(struct server *s, const struct wire_publish *p) {
    for (struct group *g = s->groups; g; g = g->next)
        if (group_wants(g, p))
            group_add(s, g, p);
}

static void group_leave(struct conn *c) {
    if (!c->group)
        return;
    struct conn **at = &c->group->members;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    c->group = NULL;
}

static void group_join(struct server *s, struct conn *c, const char *filter, size_t bytes,
                       uint8_t qos) {
    bool prefix = bytes && filter[bytes - 1] == '#';
    bytes -= prefix;
    struct group *g = s->groups;
    while (g && !(g->filter_bytes == bytes && g->prefix == prefix && g->v5 == c->v5 &&
                  g->qos == qos && memcmp(g->filter, filter, bytes) == 0))
        g = g->next;
    if (!g) {
        g = wire_alloc(NULL, sizeof *g);
        *g = (struct group){.filter_bytes = bytes, .prefix = prefix, .v5 = c->v5, .qos = qos};
        memcpy(g->filter, filter, bytes);
        g->next_id = 1;
        g->next = s->groups;
        s->groups = g;
    }
    group_leave(c);
    c->group = g;
    c->next = g->members;
    g->members = c;
}

/* -- packets: each returns 0, or -1 to close the connection --------------- */

static int on_connect(struct server *s, struct conn *c, const struct wire_frame *f) {
    if (f->body_bytes <= PROTOCOL_LEVEL_AT)
        return -1;
    c->v5 = f->body[PROTOCOL_LEVEL_AT] == PROTOCOL_LEVEL_5;
    /* Flags, reason code, and for level 5 no properties. */
    uint8_t *at = bytes_room(&c->replies, 8);
    size_t n = wire_put_head(at, WIRE_CONNACK, c->v5 ? 3 : 2);
    memset(at + n, 0, 3);
    c->replies.bytes += n + (c->v5 ? 3 : 2);
    s->counts.connects++;
    return 0;
}

static void log_flush(struct server *s) {
    size_t at = 0;
    while (at < s->log.bytes) {
        ssize_t n = write(s->log_fd, s->log.data + at, s->log.bytes - at);
        if (n < 0)
            die("write to the log");
        at += (size_t)n;
    }
    s->counts.logged_bytes += s->log.bytes;
    s->log.bytes = 0;
}

static int on_publish(struct server *s, struct conn *c, const struct wire_frame *f) {
    struct wire_publish p;
    if (wire_publish(f, c->v5, &p) < 0 || p.qos == 2)
        return -1;
    s->counts.publishes++;
    if (p.qos) {
        wire_put_puback(bytes_room(&c->replies, WIRE_PUBACK_BYTES), p.id);
        c->replies.bytes += WIRE_PUBACK_BYTES;
        s->counts.acks++;
    }
    if (s->log_fd >= 0) {
        if (s->log.bytes + p.payload_bytes > TURN_BYTES_MAX)
            log_flush(s);
        bytes_add(&s->log, p.payload, p.payload_bytes);
    }
    if (s->forward)
        forward(s, &p);
    return 0;
}

/* One filter a packet: id, for level 5 properties (assumed empty), filter, options (MQTT 5.0
 * section 3.8). */
static int on_subscribe(struct server *s, struct conn *c, const struct wire_frame *f) {
    size_t at = c->v5 ? 3 : 2;
    if (f->body_bytes < at + 2 || (c->v5 && f->body[2] != 0))
        return -1;
    size_t filter_bytes = wire_get_u16(f->body + at);
    if (f->body_bytes != at + 2 + filter_bytes + 1 || filter_bytes > FILTER_BYTES_MAX)
        return -1;
    uint8_t qos = f->body[f->body_bytes - 1] & 3;
    qos = qos > 1 ? 1 : qos;
    group_join(s, c, (const char *)f->body + at + 2, filter_bytes, qos);
    uint8_t suback[6] = {WIRE_SUBACK, c->v5 ? 4 : 3, f->body[0], f->body[1], 0, 0};
    suback[c->v5 ? 5 : 4] = qos;
    bytes_add(&c->replies, suback, c->v5 ? 6 : 5);
    return 0;
}

static int on_frame(struct server *s, struct conn *c, const struct wire_frame *f) {
    static const uint8_t pingresp[] = {WIRE_PINGRESP, 0};
    switch (f->head & 0xf0) {
    case WIRE_PUBLISH:
        return on_publish(s, c, f);
    case WIRE_PUBACK:
        s->counts.subscriber_acks++;
        return 0;
    case WIRE_PINGREQ:
        bytes_add(&c->replies, pingresp, sizeof pingresp);
        return 0;
    case WIRE_CONNECT:
        return on_connect(s, c, f);
    case WIRE_SUBSCRIBE & 0xf0:
        return on_subscribe(s, c, f);
    default: /* DISCONNECT, and what is not spoken here */
        return -1;
    }
}

/* -- connections --------------------------------------------------------- */

static void on_readable(struct server *s, struct conn *c) {
    long n = wire_read(c->fd, &c->tail, s->read_buffer);
    const uint8_t *at = s->read_buffer;
    const uint8_t *end = at + (n > 0 ? n : 0);
    struct wire_frame frame;
    int found = n < 0 ? -1 : 0;
    s->counts.reads++;
    while (at < end && (found = wire_frame(at, (size_t)(end - at), &frame)) == 1) {
        at += frame.bytes;
        if (on_frame(s, c, &frame) < 0) {
            found = -1;
            break;
        }
    }
    if (found < 0)
        c->gone = true;
    else if (n > 0)
        wire_tail_keep(&c->tail, at, (size_t)(end - at));
}

static void on_accept(struct server *s) {
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct conn *c = wire_alloc(NULL, sizeof *c);
    *c = (struct conn){.fd = fd, .older = s->newest};
    if (s->newest)
        s->newest->newer = c;
    s->newest = c;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        die("epoll_ctl");
}

static void conn_free(struct server *s, struct conn *c) {
    *(c->newer ? &c->newer->older : &s->newest) = c->older;
    if (c->older)
        c->older->newer = c->newer;
    group_leave(c);
    close(c->fd);
    wire_tail_done(&c->tail);
    free(c->replies.data);
    free(c->unsent.data);
    free(c);
}

/* -- turns --------------------------------------------------------------- */

static void on_event(struct server *s, const struct epoll_event *event) {
    if (event->data.ptr == &s->listen_fd) {
        on_accept(s);
        return;
    }
    if (event->data.ptr == &s->signal_fd) {
        s->stop = true;
        return;
    }
    struct conn *c = event->data.ptr;
    s->turn[s->turn_conns++] = c; /* once a turn: epoll reports a descriptor in one event */
    if (event->events & EPOLLOUT)
        on_writable(s, c);
    if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        on_readable(s, c);
}

static void turn_end(struct server *s) {
    bool logged = s->log.bytes > 0;
    log_flush(s);
    if (logged && s->sync) {
        if (fdatasync(s->log_fd) < 0)
            die("fdatasync");
        s->counts.syncs++;
    }
    for (int i = 0; i < s->turn_conns; i++) {
        struct conn *c = s->turn[i];
        if (c->replies.bytes)
            conn_send(s, c, c->replies.data, c->replies.bytes);
        c->replies.bytes = 0;
    }
    for (struct group *g = s->groups; g; g = g->next)
        group_flush(s, g);
    for (int i = 0; i < s->turn_conns; i++)
        if (s->turn[i]->gone)
            conn_free(s, s->turn[i]);
    s->turn_conns = 0;
    s->counts.turns++;
}

static void server_run(struct server *s) {
    struct epoll_event events[EVENTS_MAX];
    while (!s->stop) {
        int n = epoll_wait(s->epoll_fd, events, EVENTS_MAX, -1);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++)
            on_event(s, &events[i]);
        turn_end(s);
    }
}

/* -- start --------------------------------------------------------------- */

static void watch(struct server *s, int *fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = fd};
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, *fd, &event) < 0)
        die("epoll_ctl");
}

static uint16_t server_listen(struct server *s, uint16_t port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t address_bytes = sizeof address;
    int on = 1;
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(s->listen_fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(s->listen_fd, LISTEN_BACKLOG) < 0 ||
        getsockname(s->listen_fd, (struct sockaddr *)&address, &address_bytes) < 0)
        die("listen");
    return ntohs(address.sin_port);
}

static void server_init(struct server *s) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    s->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->signal_fd < 0 || s->epoll_fd < 0)
        die("epoll");
    s->read_buffer = wire_alloc(NULL, WIRE_READ_BYTES_MAX);
}

static void server_done(struct server *s) {
    while (s->newest)
        conn_free(s, s->newest);
    while (s->groups) {
        struct group *g = s->groups;
        s->groups = g->next;
        free(g->out.data);
        free(g);
    }
    free(s->log.data);
    free(s->read_buffer);
}

static void print_counts(const struct counts *c) {
    printf("{\"connects\": %" PRIu64 ", \"publishes\": %" PRIu64 ", \"acks\": %" PRIu64
           ", \"deliveries\": %" PRIu64 ", \"subscriber_acks\": %" PRIu64 ", \"reads\": %" PRIu64
           ", \"turns\": %" PRIu64 ", \"syncs\": %" PRIu64 ", \"logged_bytes\": %" PRIu64 "}\n",
           c->connects, c->publishes, c->acks, c->deliveries, c->subscriber_acks, c->reads,
           c->turns, c->syncs, c->logged_bytes);
}

static void usage(void) {
    fputs("usage: weir_floor [--port PORT] [--log FILE [--sync]] [--forward]\n", stderr);
    exit(2);
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"log", required_argument, NULL, 'l'},
        {"sync", no_argument, NULL, 's'},
        {"forward", no_argument, NULL, 'f'},
        {NULL, 0, NULL, 0},
    };
    static struct server s = {.log_fd = -1};
    uint16_t port = 0;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o == 'p')
            port = (uint16_t)atoi(optarg);
        else if (o == 'l')
            s.log_fd = open(optarg, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
        else if (o == 's')
            s.sync = true;
        else if (o == 'f')
            s.forward = true;
        else
            usage();
        if (o == 'l' && s.log_fd < 0)
            die(optarg);
    }
    if (optind != argc || (s.sync && s.log_fd < 0))
        usage();
    wire_raise_file_limit();
    server_init(&s);
    port = server_listen(&s, port);
    watch(&s, &s.listen_fd);
    watch(&s, &s.signal_fd);
    printf("ready %u\n", port);
    fflush(stdout);
    server_run(&s);
    print_counts(&s.counts);
    server_done(&s);
    return 0;
}
