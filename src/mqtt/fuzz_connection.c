/*
 * The state machine: a script of steps, each one byte for what, one for how much, then bytes. Four
 * clients on one worker or two, a gate that fills and commits, time that passes, transports that come
 * and go. Clients send raw bytes, or packets from a small stock that soon leads into sessions that are
 * stored, moved and resumed, shares, QoS 2, aliases and full queues.
 *
 * Nothing may crash, leak, or stay behind when all is stopped; and all that the broker writes must be
 * whole packets of a server, in an order that a server may send them in.
 *
 *      what    bit 0 and 6: the client   bits 1-3: the step   bits 4, 5: how   bit 7: from the stock
 *      the size of the input chooses what happens when a queue is full, and the number of workers
 */
#include "base/wire.h"
#include "mqtt/crowd.h"
#include "mqtt/rig.h"
#include "mqtt/stored.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PEERS = 4, WORKERS_MAX = 2, SETTLING_TURNS = 200 };

/* What one client has been told so far. */
struct heard {
    uint8_t version; /* of its first CONNECT from the stock, 0: raw bytes */
    bool connected, ended;
    uint16_t aliases; /* bit per alias that the broker has given */
};

struct fuzz {
    struct rig rig;
    struct peer peers[PEERS];
    struct heard heard[PEERS];
    struct mqtt_worker *workers[WORKERS_MAX];
    unsigned worker_count;
    bool other_stopped;
};

/* ---- what the broker writes ---- */

static void hear_publish(struct heard *heard, const struct packet *packet) {
    struct packet_publish in;
    struct wire wire = wire_over(packet->body.at, packet->body.len);
    struct str topic = wire_bytes(&wire, wire_u16be(&wire));
    ASSERT(!wire.failed && (packet->flags >> 1 & 3) != 3);
    ASSERT((packet->flags & 6) || !(packet->flags & 8)); /* [MQTT-3.3.1-2] */
    if (heard->version != PACKET_VERSION_5) {
        ASSERT(topic.len && packet_read_publish(packet, PACKET_VERSION_3_1_1, &in) == 0);
        return;
    }
    if (packet->flags & 6)
        ASSERT(wire_u16be(&wire) != 0);
    uint32_t length = wire_u8(&wire); /* Properties are short here, and an alias stands first. */
    uint16_t alias = length && wire_u8(&wire) == PROPERTY_TOPIC_ALIAS ? wire_u16be(&wire) : 0;
    ASSERT(topic.len || (alias && heard->aliases >> alias & 1));
    ASSERT(alias <= 2);
    heard->aliases |= (uint16_t)(alias ? 1u << alias : 0);
}

static void hear_packet(struct heard *heard, const struct packet *packet) {
    static const uint32_t from_servers =
        1u << PACKET_CONNACK | 1u << PACKET_PUBLISH | 1u << PACKET_PUBACK | 1u << PACKET_PUBREC |
        1u << PACKET_PUBREL | 1u << PACKET_PUBCOMP | 1u << PACKET_SUBACK | 1u << PACKET_UNSUBACK |
        1u << PACKET_PINGRESP | 1u << PACKET_DISCONNECT | 1u << PACKET_AUTH;
    ASSERT(from_servers >> packet->type & 1);
    ASSERT(!heard->ended); /* [MQTT-3.14.4-1] */
    ASSERT((packet->type == PACKET_CONNACK) == !heard->connected || packet->type == PACKET_AUTH);
    if (packet->type == PACKET_CONNACK) {
        heard->connected = true;
        heard->ended = packet->body.at[1] != 0;
    }
    heard->ended |= packet->type == PACKET_DISCONNECT;
    if (packet->type == PACKET_PUBLISH && heard->version)
        hear_publish(heard, packet);
}

static void hear(struct fuzz *fuzz, unsigned index) {
    struct buf *in = &fuzz->peers[index].in;
    struct packet packet;
    while (buf_len(in)) {
        ASSERT(packet_find(buf_at(in), buf_len(in), SIZE_MAX, &packet) == 0);
        hear_packet(&fuzz->heard[index], &packet);
        buf_consume(in, packet.bytes);
    }
}

/* ---- packets from the stock ---- */

static const char *const connects[] = {
    "10 0e 0004'MQTT'04 02 0000 0002'aa'",                /* 3.1.1, clean */
    "10 0e 0004'MQTT'04 00 0000 0002'aa'",                /* kept */
    "10 0e 0004'MQTT'04 00 0001 0002'bb'",                /* with a keep alive */
    "10 10 0006'MQIsdp'03 00 0000 0002'aa'",              /* 3.1 */
    "10 0f 0004'MQTT'05 02 0000 00 0002'cc'",             /* 5.0, clean */
    "10 14 0004'MQTT'05 00 0000 05 11 00000003 0002'aa'", /* kept for three seconds */
    "10 1a 0004'MQTT'05 00 0000 0b 11 0000ffff 21 0001 22 0002 0002'bb'", /* one in flight, aliases */
    "10 1b 0004'MQTT'05 04 0000 05 11 00000009 0002'cc' 00 0001't' 0001'w'", /* a will */
    "10 20 0004'MQTT'05 2c 0000 05 11 00000009 0002'aa' 05 18 00000002 0001't' 0001'w'", /* delayed */
    "10 12 0004'MQTT'05 02 0000 03 22 0002 0002'dd'",
};

static const char *const requests_5[] = {
    "82 07 0001 00 0001't' 01",
    "82 07 0001 00 0001'#' 02",
    "82 0b 0001 02 0b 07 0003't/#' 0e", /* an identifier, No Local, as published, QoS 2 */
    "82 07 0001 00 0001't' 15",         /* if new */
    "82 0f 0001 00 0009'$share/g/t' 01",
    "82 0f 0001 00 0009'$share/g/#' 02",
    "a2 06 0002 00 0001't'",
    "a2 0e 0002 00 0009'$share/g/t'",
    "30 05 0001't' 00 'x'",
    "31 05 0001't' 00 'r'",
    "31 04 0001't' 00",
    "32 07 0001't' 0003 00 'x'",
    "33 09 0003't/u' 0004 00 'x'",
    "34 07 0001't' 0005 00 'x'",
    "3c 07 0001't' 0005 00 'x'",
    "32 0c 0001't' 0006 05 02 00000001 'x'", /* expires */
    "32 0e 0006'rule/1' 0007 02 01 01 'xy'",
    "34 0c 0006'rule/1' 0008 00 'x'",
    "30 08 0001't' 03 23 0001 'x'",
    "30 07 0000 03 23 0001 'x'",
    "62 02 0005",
    "62 02 0008",
    "c0 00",
    "e0 00",
    "e0 01 04",
    "e0 07 00 05 11 00000001",
};

static const char *const requests_3[] = {
    "82 06 0001 0001't' 01",
    "82 06 0001 0001'#' 02",
    "82 0e 0001 0009'$share/g/t' 01",
    "a2 05 0002 0001't'",
    "a2 0d 0002 0009'$share/g/t'",
    "30 04 0001't' 'x'",
    "31 04 0001't' 'r'",
    "31 03 0001't'",
    "32 06 0001't' 0003 'x'",
    "34 06 0001't' 0005 'x'",
    "3c 06 0001't' 0005 'x'",
    "32 0b 0006'rule/1' 0007 'x'",
    "34 0b 0006'rule/1' 0008 'x'",
    "62 02 0005",
    "62 02 0008",
    "c0 00",
    "e0 00",
};

#define PICK(list, n) ((list)[(n) % (sizeof(list) / sizeof *(list))])

/* The first byte of a connection chooses its CONNECT; each further one a request, or (top bits set) an
 * answer to one of the first sixteen identifiers. */
static void send_stock(struct fuzz *fuzz, unsigned index, const uint8_t *at, size_t len) {
    static const char *const answers[] = {"40 02 00%02x", "50 02 00%02x", "70 02 00%02x",
                                          "62 02 00%02x"};
    struct heard *heard = &fuzz->heard[index];
    struct peer *peer = &fuzz->peers[index];
    for (const uint8_t *end = at + len; at < end && !peer->closed; at++) {
        char answer[16];
        const char *text = answer;
        if (!heard->version) {
            unsigned n = *at % (sizeof connects / sizeof *connects);
            text = connects[n];
            heard->version = n < 4 ? PACKET_VERSION_3_1_1 : PACKET_VERSION_5;
        } else if (*at >= 0xc0) {
            snprintf(answer, sizeof answer, answers[*at >> 4 & 3], (*at & 15) + 1u);
        } else {
            text =
                heard->version == PACKET_VERSION_5 ? PICK(requests_5, *at) : PICK(requests_3, *at);
        }
        peer_send(peer, text);
        hear(fuzz, index);
    }
}

/* ---- steps ---- */

static void open_peer(struct fuzz *fuzz, unsigned index) {
    fuzz->heard[index] = (struct heard){0};
    struct mqtt_worker *first = fuzz->rig.worker;
    fuzz->rig.worker = fuzz->workers[index % fuzz->worker_count];
    peer_open(&fuzz->peers[index], &fuzz->rig);
    fuzz->rig.worker = first;
}

static void say(struct fuzz *fuzz, unsigned index, uint8_t what, const uint8_t *at, size_t len) {
    struct peer *peer = &fuzz->peers[index];
    if (what & 0x80) {
        send_stock(fuzz, index, at, len);
        return;
    }
    if (fuzz->heard[index].version) /* Its stream is known to be sound. */
        return;
    peer->byte_by_byte = what >> 4 & 1;
    peer_feed(peer, at, len);
}

static void pass_time(struct fuzz *fuzz, struct peer *peer, uint8_t what, size_t seconds) {
    for (size_t i = 0; i <= seconds; i++)
        for (unsigned n = 0; n < fuzz->worker_count; n++) {
            wheel_tick(fuzz->workers[n]);
            stored_tick(fuzz->workers[n]);
            crowd_tick(fuzz->workers[n]);
        }
    peer->pending = what & 16 ? 4 << 20 : 0;
    if (!peer->closed)
        mqtt_connection_drained(peer->connection);
    rig_turn(&fuzz->rig);
}

static void step(struct fuzz *fuzz, uint8_t what, const uint8_t *at, size_t len) {
    struct rig *rig = &fuzz->rig;
    unsigned index = (what & 1u) | (what >> 5 & 2u);
    struct peer *peer = &fuzz->peers[index];
    switch (what >> 1 & 7) {
    case 0:
    case 1:
        say(fuzz, index, what, at, len);
        break;
    case 2:
        rig->rules_result = what & 16 ? MESSAGE_STAGED : what & 32 ? ERR_NO_SPACE : MESSAGE_TAKEN;
        break;
    case 3:
        rig_commit(rig, rig->ticket++, what & 16 ? ERR_IO : 0);
        break;
    case 4:
        rig->full = true;
        break;
    case 5:
        rig_make_room(rig);
        break;
    case 6:
        pass_time(fuzz, peer, what, len);
        break;
    case 7:
        mqtt_connection_detach(peer->connection);
        buf_done(&peer->in);
        open_peer(fuzz, index);
    }
}

/* ---- beginning and end ---- */

static void begin(struct fuzz *fuzz, size_t size) {
    struct rig *rig = &fuzz->rig;
    rig_init(rig);
    rig->config.inflight_max = 3;
    rig->config.retained_max = 3;
    rig->config.subscriptions_max = 4;
    rig->config.packet_bytes_max = 4096;
    rig->config.sessions_max = 2;
    rig->config.queue_max = 4;
    rig->config.clean_queue_max = 4;
    rig->config.topic_alias_max = 2;
    rig->config.queue_full = size % 2 ? MQTT_QUEUE_REFUSE : MQTT_QUEUE_DROP_OLDEST;
    fuzz->worker_count = size & 2 ? 2 : 1;
    rig->loop = loop_new();
    rig->mqtt = mqtt_new(&rig->config, fuzz->worker_count);
    for (unsigned i = 0; i < fuzz->worker_count; i++) {
        fuzz->workers[i] = mqtt_worker_new(rig->mqtt, i, rig->loop);
        mqtt_worker_set_rules(fuzz->workers[i], &rig->rules, &rig->gate);
    }
    rig->worker = fuzz->workers[0];
    for (unsigned i = 0; i < PEERS; i++)
        open_peer(fuzz, i);
}

static void check_nothing_is_left(const struct mqtt_worker *worker) {
    ASSERT(worker->clients.count == 0);
    ASSERT(worker->subscriptions.node_count == 0 && worker->shares.by_key.count == 0);
    ASSERT(metric_get(&worker->metrics.connections) == 0);
    ASSERT(metric_get(&worker->metrics.parked) == 0);
    ASSERT(metric_get(&worker->metrics.crowded) == 0);
}

static void on_other_stopped(void *data) {
    *(bool *)data = true;
}

static void end(struct fuzz *fuzz) {
    struct rig *rig = &fuzz->rig;
    for (unsigned i = 0; i < PEERS; i++)
        peer_done(&fuzz->peers[i]);
    rig_commit(rig, rig->ticket++, 0);
    for (unsigned i = 0; i < SETTLING_TURNS && (fuzz->worker_count > 1 || i < 2); i++)
        rig_turn(rig);
    ASSERT(atomic_load(&rig->mqtt->claims_under_way) == 0);
    for (unsigned i = 0; i < fuzz->worker_count; i++)
        stored_end_all(fuzz->workers[i]);
    for (unsigned i = 0; i < SETTLING_TURNS && fuzz->worker_count > 1; i++)
        rig_turn(rig);
    for (unsigned i = 0; i < fuzz->worker_count; i++)
        check_nothing_is_left(fuzz->workers[i]);
    ASSERT(atomic_load(&rig->mqtt->queued_bytes) == 0);
    ASSERT(atomic_load(&rig->mqtt->session_count) == 0 && atomic_load(&rig->mqtt->crowded) == 0);
    if (fuzz->worker_count > 1) {
        mqtt_worker_stop(fuzz->workers[1], on_other_stopped, &fuzz->other_stopped);
        mqtt_worker_stop(rig->worker, rig_on_stopped, rig);
        for (unsigned i = 0; i < 1000 && !(fuzz->other_stopped && rig->stopped); i++)
            rig_turn(rig);
        ASSERT(fuzz->other_stopped);
        mqtt_worker_free(fuzz->workers[1]);
    }
    rig_done(rig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz fuzz = {.worker_count = 1};
    log_setup(LOG_ERROR, LOG_TEXT);
    begin(&fuzz, size);
    while (size >= 2) {
        size_t len = data[1] < size - 2 ? data[1] : size - 2;
        step(&fuzz, data[0], data + 2, len);
        for (unsigned i = 0; i < PEERS; i++)
            hear(&fuzz, i);
        data += 2 + len;
        size -= 2 + len;
    }
    end(&fuzz);
    return 0;
}
