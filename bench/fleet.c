/*
 * How the generator stays cheaper than the servers that it measures:
 *
 *   - Each publisher owns one buffer of `batch` PUBLISH frames, encoded once. Sending a batch
 *     patches the packet ids (QoS 1) or the due times (rate) in place and is one send; a socket
 *     that takes only a part is continued from the same buffer, which is not touched before all of
 *     it has left.
 *   - A read takes up to 256 KiB; its PUBACKs are counted, not matched to messages: the server owes
 *     them in the order of the publishes (MQTT 5.0 section 4.6), so the next id is known, and any
 *     other id is an error.
 *   - The clock is read once per write and once per read.
 *
 * Ready list. A publisher that may write stands in it; each turn gives every one of them one batch.
 * It leaves when its socket is full (EPOLLOUT brings it back), its window is full (PUBACKs bring it
 * back) or it has sent its share.
 *
 * Bounds. With QoS 1 a connection has at most `window` messages without PUBACK; it writes when
 * `refill` places are free or the rest of its share fits. With subscribers the fleet has at most
 * `ahead` messages that are not received by all, so a server with finite queues has no reason to
 * drop: nobody writes while that bound is reached.
 *
 * Rate. Message k is due at start + k / rate. The thread spins, so that its own wake-up is not part
 * of the latency, and writes what has become due. The due time travels in the payload, as the first
 * 19 digits behind `{"due":`, offset by DUE_BASE so that the number keeps its width; the subscriber
 * subtracts it from the time of its read. A publisher that is blocked or out of window sends later,
 * and the delay counts.
 */
#include "fleet.h"
#include "handshake.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 256,
    SILENCE_MAX_MS = 10000,
    DUE_AT = 7, /* behind {"due": */
    DUE_DIGITS = 19,
};

static const uint64_t DUE_BASE = 1000000000000000000ull;

/* `count` messages of QoS 1 that left in one write. */
struct stamp {
    uint64_t sent_ns;
    uint32_t count;
};

struct conn {
    int fd;
    bool subscriber;
    bool write_armed;
    bool ready; /* stands in the fleet's ready list */
    struct wire_tail tail;
    /* Bytes on their way out: of `frames`, or for a subscriber of `acks`. */
    const uint8_t *out;
    size_t out_bytes;
    /* publisher */
    uint8_t *frames;
    size_t frame_bytes;
    size_t id_at;    /* within a frame */
    size_t due_at;   /* within a frame */
    uint32_t staged; /* frames of this turn, in rate mode */
    uint64_t left;   /* messages of its share that have not been sent */
    bool ping_owed;
    uint32_t unacked;
    uint16_t next_id, next_ack;
    struct stamp *stamps; /* ring of `window` */
    uint32_t stamp_first, stamp_count;
    /* subscriber */
    uint8_t *acks;
    size_t acks_bytes, acks_room;
};

struct fleet {
    const struct fleet_options *options;
    int epoll_fd;
    struct conn *conns; /* publishers first */
    uint32_t conn_count;
    struct conn **ready;
    uint32_t ready_count;
    uint8_t *read_buffer;
    struct fleet_counts counts;
    uint64_t run_left;      /* messages of this run that have not been sent */
    uint64_t pongs_awaited; /* PINGRESPs of this run that have not come */
    uint64_t run_start_ns, run_messages;
    uint64_t progress_ns; /* when something last arrived or was sent */
    uint64_t progress_sent;
    struct histogram puback_latency, delivery_latency;
};

uint64_t fleet_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* -- opening: one connection after the other -------------------------------- */

static void conn_open(struct fleet *f, struct conn *c, uint32_t index) {
    const struct fleet_options *o = f->options;
    char client_id[HANDSHAKE_ID_BYTES_MAX + 1];
    snprintf(client_id, sizeof client_id, "bench-%d-%u", (int)getpid(), index);
    c->fd = handshake_connect(o->port, client_id, o->v5);
    if (c->subscriber)
        handshake_subscribe(c->fd, o->filter, o->subscriber_qos, o->v5);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
}

/* A reading as a device would send it, filled up to the wanted size. */
static void fill_payload(char *payload, uint32_t bytes) {
    int n = snprintf(payload, bytes, "{\"due\":%" PRIu64 ",\"temp\":21.5,\"note\":\"", DUE_BASE);
    memset(payload + n, 'x', bytes - (uint32_t)n - 2);
    memcpy(payload + bytes - 2, "\"}", 2);
}

/* Writes the publisher's topic; returns its length. */
static uint16_t make_topic(const char *pattern, uint32_t index, char *topic) {
    const char *number = strstr(pattern, "%d");
    int before = number ? (int)(number - pattern) : (int)strlen(pattern);
    int bytes = snprintf(topic, FLEET_TOPIC_BYTES_MAX + 1, "%.*s", before, pattern);
    if (number && bytes <= FLEET_TOPIC_BYTES_MAX)
        bytes += snprintf(topic + bytes, (size_t)(FLEET_TOPIC_BYTES_MAX + 1 - bytes), "%u%s", index,
                          number + 2);
    if (bytes > FLEET_TOPIC_BYTES_MAX)
        fail("the topic is longer than %d bytes", FLEET_TOPIC_BYTES_MAX);
    return (uint16_t)bytes;
}

static void publisher_init(struct fleet *f, struct conn *c, uint32_t index) {
    const struct fleet_options *o = f->options;
    char topic[FLEET_TOPIC_BYTES_MAX + 1];
    char *payload = wire_alloc(NULL, o->payload_bytes);
    struct wire_publish publish = {
        .topic = (const uint8_t *)topic,
        .topic_bytes = make_topic(o->topic, index, topic),
        .payload = (const uint8_t *)payload,
        .payload_bytes = o->payload_bytes,
        .qos = o->qos,
    };
    fill_payload(payload, o->payload_bytes);
    c->frames = wire_alloc(NULL, o->batch * (32 + publish.topic_bytes + (size_t)o->payload_bytes));
    c->frame_bytes = wire_put_publish(c->frames, &publish, o->v5, &c->id_at);
    c->due_at = c->frame_bytes - o->payload_bytes + DUE_AT;
    for (uint32_t i = 1; i < o->batch; i++)
        memcpy(c->frames + i * c->frame_bytes, c->frames, c->frame_bytes);
    c->next_id = c->next_ack = 1;
    if (o->qos)
        c->stamps = wire_alloc(NULL, o->window * sizeof *c->stamps);
    free(payload);
}

struct fleet *fleet_open(const struct fleet_options *options) {
    struct fleet *f = wire_alloc(NULL, sizeof *f);
    *f = (struct fleet){.options = options};
    f->conn_count = options->publishers + options->subscribers;
    f->conns = wire_alloc(NULL, f->conn_count * sizeof *f->conns);
    f->ready = wire_alloc(NULL, options->publishers * sizeof(struct conn *));
    f->read_buffer = wire_alloc(NULL, WIRE_READ_BYTES_MAX);
    f->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; i < f->conn_count; i++) {
        struct conn *c = &f->conns[i];
        *c = (struct conn){.subscriber = i >= options->publishers};
        if (!c->subscriber)
            publisher_init(f, c, i);
        conn_open(f, c, i);
    }
    return f;
}

void fleet_close(struct fleet *f) {
    static const uint8_t disconnect[] = {WIRE_DISCONNECT, 0};
    for (uint32_t i = 0; i < f->conn_count; i++) {
        struct conn *c = &f->conns[i];
        send(c->fd, disconnect, sizeof disconnect, MSG_DONTWAIT | MSG_NOSIGNAL);
        close(c->fd);
        wire_tail_done(&c->tail);
        free(c->frames);
        free(c->stamps);
        free(c->acks);
    }
    close(f->epoll_fd);
    free(f->conns);
    free(f->ready);
    free(f->read_buffer);
    free(f);
}

/* -- writing ------------------------------------------------------------- */

static void arm(struct fleet *f, struct conn *c, bool write) {
    if (c->write_armed == write)
        return;
    struct epoll_event event = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(f->epoll_fd, EPOLL_CTL_MOD, c->fd, &event) < 0)
        fail("epoll_ctl: %s", strerror(errno));
    c->write_armed = write;
}

/* Sends what is on its way out. Returns true if all of it has left; otherwise EPOLLOUT will tell
 * when to go on. */
static bool flush(struct fleet *f, struct conn *c) {
    ssize_t n = send(c->fd, c->out, c->out_bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        fail("the server closed a connection: %s", strerror(errno));
    if (n > 0) {
        c->out += n;
        c->out_bytes -= (size_t)n;
    }
    arm(f, c, c->out_bytes > 0);
    return c->out_bytes == 0;
}

static void make_ready(struct fleet *f, struct conn *c) {
    if (c->ready || c->subscriber || c->out_bytes || (!c->left && !c->ping_owed))
        return;
    c->ready = true;
    f->ready[f->ready_count++] = c;
}

static bool has_subscribers(const struct fleet *f) {
    return f->options->subscribers > 0;
}

/* How many messages may leave before the slowest bound of the fleet as a whole is reached. */
static uint64_t ahead_room(const struct fleet *f) {
    if (!has_subscribers(f))
        return UINT64_MAX;
    uint64_t behind = f->counts.sent - f->counts.received / f->options->subscribers;
    return behind < f->options->ahead ? f->options->ahead - behind : 0;
}

/* How many frames this publisher should write now: 0 if it has to wait for PUBACKs. */
static uint32_t frames_wanted(const struct fleet_options *o, const struct conn *c) {
    uint64_t wanted = c->left < o->batch ? c->left : o->batch;
    if (!o->qos)
        return (uint32_t)wanted;
    uint32_t room = o->window - c->unacked;
    if (room < wanted)
        return room >= o->refill ? room : 0;
    return (uint32_t)wanted;
}

static void patch_ids(struct conn *c, uint32_t frames) {
    uint8_t *at = c->frames + c->id_at;
    for (uint32_t i = 0; i < frames; i++, at += c->frame_bytes) {
        wire_put_u16(at, c->next_id);
        c->next_id = c->next_id == WIRE_ID_MAX ? 1 : c->next_id + 1;
    }
}

/* Sends the first frames of the buffer. Returns flush(). */
static bool send_frames(struct fleet *f, struct conn *c, uint32_t frames) {
    if (f->options->qos) {
        uint32_t window = f->options->window;
        patch_ids(c, frames);
        c->stamps[(c->stamp_first + c->stamp_count++) % window] =
            (struct stamp){fleet_now_ns(), frames};
        c->unacked += frames;
    }
    c->out = c->frames;
    c->out_bytes = frames * c->frame_bytes;
    c->left -= frames;
    f->run_left -= frames;
    f->counts.sent += frames;
    return flush(f, c);
}

static void send_ping(struct fleet *f, struct conn *c) {
    static const uint8_t pingreq[] = {WIRE_PINGREQ, 0};
    c->ping_owed = false;
    c->out = pingreq;
    c->out_bytes = sizeof pingreq;
    flush(f, c);
}

/* Gives one publisher its batch. Returns true if it may go on in the next turn. */
static bool serve(struct fleet *f, struct conn *c) {
    if (c->out_bytes)
        return false;
    if (!c->left) {
        if (c->ping_owed)
            send_ping(f, c);
        return false;
    }
    uint64_t room = ahead_room(f);
    uint32_t frames = frames_wanted(f->options, c);
    if (!frames)
        return false;
    if (!send_frames(f, c, room < frames ? (uint32_t)room : frames))
        return false;
    return c->left || c->ping_owed;
}

static void serve_ready(struct fleet *f) {
    uint32_t kept = 0;
    uint32_t count = f->ready_count;
    if (ahead_room(f) == 0)
        return;
    for (uint32_t i = 0; i < count; i++) {
        struct conn *c = f->ready[i];
        if (ahead_room(f) == 0 || serve(f, c))
            f->ready[kept++] = c;
        else
            c->ready = false;
    }
    f->ready_count = kept;
}

/* -- writing at a rate ---------------------------------------------------- */

static void patch_due(struct conn *c, uint64_t due_ns) {
    uint8_t *at = c->frames + c->staged * c->frame_bytes + c->due_at;
    uint64_t value = DUE_BASE + due_ns;
    for (int i = DUE_DIGITS - 1; i >= 0; i--, value /= 10)
        at[i] = (uint8_t)('0' + value % 10);
}

static uint64_t due_ns(const struct fleet *f, uint64_t message) {
    return f->run_start_ns + (uint64_t)((double)message * 1e9 / f->options->rate);
}

static bool may_stage(const struct fleet *f, const struct conn *c, uint64_t staged) {
    const struct fleet_options *o = f->options;
    if (c->out_bytes || c->staged == o->batch || ahead_room(f) <= staged)
        return false;
    return !o->qos || c->unacked + c->staged < o->window;
}

/* Writes what has become due, to the publishers by turns; stops at the first that cannot take its
 * message. */
static void serve_due(struct fleet *f) {
    uint32_t publishers = f->options->publishers;
    uint64_t first = f->run_messages - f->run_left;
    uint64_t next = first;
    uint64_t now = fleet_now_ns();
    while (next < f->run_messages && due_ns(f, next) <= now) {
        struct conn *c = &f->conns[next % publishers];
        if (!may_stage(f, c, next - first))
            break;
        patch_due(c, due_ns(f, next));
        c->staged++;
        next++;
    }
    for (uint64_t i = first; i < next && i < first + publishers; i++) {
        struct conn *c = &f->conns[i % publishers];
        uint32_t staged = c->staged;
        c->staged = 0;
        send_frames(f, c, staged);
    }
}

/* -- reading ------------------------------------------------------------- */

/* The oldest write of the connection has one message less to wait for. */
static void on_ack(struct fleet *f, struct conn *c, const struct wire_frame *frame, uint64_t now) {
    if (frame->body_bytes < 2 || !c->unacked || wire_get_u16(frame->body) != c->next_ack)
        fail("a PUBACK came that is not the next one");
    if (frame->body_bytes > 2 && frame->body[2] >= 0x80)
        fail("the server refused a message with code 0x%02x", frame->body[2]);
    c->next_ack = c->next_ack == WIRE_ID_MAX ? 1 : c->next_ack + 1;
    c->unacked--;
    f->counts.acked++;
    struct stamp *stamp = &c->stamps[c->stamp_first];
    histogram_add(&f->puback_latency, now - stamp->sent_ns, 1);
    if (--stamp->count == 0) {
        c->stamp_first = (c->stamp_first + 1) % f->options->window;
        c->stamp_count--;
    }
}

static uint64_t read_due_ns(const uint8_t *payload) {
    uint64_t value = 0;
    for (int i = 0; i < DUE_DIGITS; i++)
        value = value * 10 + (uint64_t)(payload[DUE_AT + i] - '0');
    return value - DUE_BASE;
}

/* Appends to what is on its way out; `ahead` bounds how much that can be. */
static void add_ack(struct conn *c, uint16_t id) {
    if (!c->out_bytes)
        c->acks_bytes = 0;
    if (c->acks_bytes + WIRE_PUBACK_BYTES > c->acks_room) {
        c->acks_room = 2 * c->acks_room + 4096;
        c->acks = wire_alloc(c->acks, c->acks_room);
    }
    wire_put_puback(c->acks + c->acks_bytes, id);
    c->acks_bytes += WIRE_PUBACK_BYTES;
    c->out_bytes += WIRE_PUBACK_BYTES;
    c->out = c->acks + c->acks_bytes - c->out_bytes;
}

static void on_delivery(struct fleet *f, struct conn *c, const struct wire_frame *frame,
                        uint64_t now) {
    struct wire_publish publish;
    if (!c->subscriber || wire_publish(frame, f->options->v5, &publish) < 0 ||
        publish.payload_bytes != f->options->payload_bytes)
        fail("a PUBLISH came that nobody has sent");
    f->counts.received++;
    if (publish.qos)
        add_ack(c, publish.id);
    if (f->options->rate > 0)
        histogram_add(&f->delivery_latency, now - read_due_ns(publish.payload), 1);
}

static void on_frame(struct fleet *f, struct conn *c, const struct wire_frame *frame,
                     uint64_t now) {
    switch (frame->head & 0xf0) {
    case WIRE_PUBACK:
        on_ack(f, c, frame, now);
        break;
    case WIRE_PUBLISH:
        on_delivery(f, c, frame, now);
        break;
    case WIRE_PINGRESP:
        f->pongs_awaited--;
        break;
    default:
        fail("the server sent packet 0x%02x", frame->head);
    }
}

static void on_readable(struct fleet *f, struct conn *c) {
    long n = wire_read(c->fd, &c->tail, f->read_buffer);
    if (n < 0)
        fail("the server closed a connection");
    if (n == 0)
        return;
    uint64_t now = f->progress_ns = fleet_now_ns();
    const uint8_t *at = f->read_buffer;
    const uint8_t *end = at + n;
    struct wire_frame frame;
    int found;
    while ((found = wire_frame(at, (size_t)(end - at), &frame)) == 1) {
        on_frame(f, c, &frame, now);
        at += frame.bytes;
    }
    if (found < 0)
        fail("the server sent a malformed packet");
    wire_tail_keep(&c->tail, at, (size_t)(end - at));
    /* The acknowledgements of a read leave in one write. */
    if (c->subscriber && c->out_bytes && !c->write_armed)
        flush(f, c);
    make_ready(f, c);
}

static void on_writable(struct fleet *f, struct conn *c) {
    if (flush(f, c))
        make_ready(f, c);
}

/* -- a run ---------------------------------------------------------------- */

static bool run_done(const struct fleet *f) {
    if (f->run_left || f->pongs_awaited)
        return false;
    if (f->options->qos && f->counts.acked < f->counts.sent)
        return false;
    return f->counts.received == f->counts.sent * f->options->subscribers;
}

static void check_silence(struct fleet *f) {
    uint64_t now = fleet_now_ns();
    if (f->progress_sent != f->counts.sent) {
        f->progress_sent = f->counts.sent;
        f->progress_ns = now;
    }
    if (now - f->progress_ns < SILENCE_MAX_MS * 1000000ull)
        return;
    fail("the server has been silent for %d s: %" PRIu64 " sent, %" PRIu64 " acknowledged, %" PRIu64
         " received",
         SILENCE_MAX_MS / 1000, f->counts.sent, f->counts.acked, f->counts.received);
}

static void poll_events(struct fleet *f, int timeout_ms) {
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(f->epoll_fd, events, EVENTS_MAX, timeout_ms);
    for (int i = 0; i < n; i++) {
        struct conn *c = events[i].data.ptr;
        if (events[i].events & EPOLLOUT)
            on_writable(f, c);
        if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            on_readable(f, c);
    }
    if (n == 0)
        check_silence(f);
}

/* Shares the messages out; the first connections take the remainder. */
static void run_start(struct fleet *f, uint64_t messages) {
    uint32_t publishers = f->options->publishers;
    bool ping = !f->options->qos && !has_subscribers(f);
    f->run_left = f->run_messages = messages;
    f->run_start_ns = f->progress_ns = fleet_now_ns();
    for (uint32_t i = 0; i < publishers; i++) {
        struct conn *c = &f->conns[i];
        c->left = messages / publishers + (i < messages % publishers);
        c->ping_owed = ping;
        f->pongs_awaited += ping;
        make_ready(f, c);
    }
}

uint64_t fleet_run(struct fleet *f, uint64_t messages) {
    bool paced = f->options->rate > 0;
    run_start(f, messages);
    while (!run_done(f)) {
        bool may_block = !paced && (!f->ready_count || ahead_room(f) == 0);
        poll_events(f, may_block ? SILENCE_MAX_MS : 0);
        if (paced && f->run_left)
            serve_due(f);
        else
            serve_ready(f);
    }
    return fleet_now_ns() - f->run_start_ns;
}

const struct fleet_counts *fleet_counts(const struct fleet *f) {
    return &f->counts;
}

const struct histogram *fleet_puback_latency(const struct fleet *f) {
    return &f->puback_latency;
}

const struct histogram *fleet_delivery_latency(const struct fleet *f) {
    return &f->delivery_latency;
}

void fleet_forget(struct fleet *f) {
    memset(&f->puback_latency, 0, sizeof f->puback_latency);
    memset(&f->delivery_latency, 0, sizeof f->delivery_latency);
}
