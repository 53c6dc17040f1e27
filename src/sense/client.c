/*
 * One TCP connection at a time. States: waiting (timer runs) -> connecting -> handshake (CONNECT
 * sent) -> up. Whatever ends the connection leads back to waiting with a doubled delay (1 s to 30
 * s, half of it jitter); an accepted CONNECT sets the delay back. Incoming packets are at most four
 * bytes long (CONNACK, PUBACK, PINGRESP).
 */
#include "sense/client.h"

#include <stdlib.h>

#include "base/backoff.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    KEEP_ALIVE_S = 30,
    DELAY_MIN_MS = 1000,
    DELAY_MAX_MS = 30000,
    PACKET_CONNACK = 0x20,
    PACKET_PUBACK = 0x40,
    PACKET_PINGRESP = 0xd0,
};

struct inflight {
    struct link link;
    uint16_t packet_id;
    size_t len;
    uint8_t frame[]; /* the whole PUBLISH */
};

struct sense_client {
    struct loop *loop;
    struct sense_client_config config;
    struct tcp tcp;
    struct timer timer; /* reconnect while waiting, PINGREQ while up */
    struct link inflight;
    unsigned inflight_count;
    uint16_t next_packet_id;
    uint64_t acknowledged;
    unsigned failures; /* attempts in a row */
    uint8_t packet[8];
    size_t packet_len;
    bool open, up, closing, pinged;
    void (*closed)(void *data);
    void *closed_data;
};

static void connect_now(struct timer *timer);

static void add_field(struct buf *out, const char *text) {
    buf_add_u16be(out, (uint16_t)strlen(text));
    buf_add(out, text, strlen(text));
}

static void add_length(struct buf *out, size_t len) {
    do {
        buf_add_u8(out, (uint8_t)(len % 128 | (len > 127 ? 128 : 0)));
        len /= 128;
    } while (len);
}

/* MQTT 3.1.1 section 3.1: clean session, keep-alive, user name and password if given. */
static void send_connect(struct sense_client *client) {
    const struct sense_client_config *config = &client->config;
    struct buf body = {0};
    buf_add(&body, "\0\4MQTT\4", 7);
    buf_add_u8(&body, (uint8_t)(0x02 | (config->user ? 0x80 : 0) | (config->password ? 0x40 : 0)));
    buf_add_u16be(&body, KEEP_ALIVE_S);
    add_field(&body, config->client_id);
    if (config->user)
        add_field(&body, config->user);
    if (config->password)
        add_field(&body, config->password);
    struct buf *out = tcp_out(&client->tcp);
    buf_add_u8(out, 0x10);
    add_length(out, buf_len(&body));
    buf_add(out, buf_at(&body), buf_len(&body));
    buf_done(&body);
}

static void on_connect(struct tcp *tcp) {
    send_connect(CONTAINER_OF(tcp, struct sense_client, tcp));
}

static void on_ping(struct timer *timer) {
    struct sense_client *client = CONTAINER_OF(timer, struct sense_client, timer);
    if (client->pinged) {
        tcp_close(&client->tcp);
        return;
    }
    client->pinged = true;
    tcp_write(&client->tcp, "\xc0\0", 2);
}

static void on_connack(struct sense_client *client, uint8_t return_code) {
    if (return_code) {
        static const char *const reasons[] = {"",
                                              "protocol version not accepted",
                                              "client id rejected",
                                              "server unavailable",
                                              "bad user name or password",
                                              "not authorized"};
        const char *why = return_code < COUNT_OF(reasons) ? reasons[return_code] : "refused";
        if (return_code != 3)
            client->config.on_fatal(client->config.data, why);
        tcp_close(&client->tcp);
        return;
    }
    client->up = true;
    client->failures = 0;
    log_info("sense", "connected");
    LIST_EACH(item, &client->inflight) {
        struct inflight *message = LIST_ITEM(item, struct inflight, link);
        message->frame[0] |= 0x08;
        tcp_write(&client->tcp, message->frame, message->len);
    }
    timer_start(client->loop, &client->timer, KEEP_ALIVE_S * 500, KEEP_ALIVE_S * 500, on_ping);
}

static void on_puback(struct sense_client *client, uint16_t packet_id) {
    LIST_EACH(item, &client->inflight) {
        struct inflight *message = LIST_ITEM(item, struct inflight, link);
        if (message->packet_id != packet_id)
            continue;
        list_remove(&message->link);
        free(message);
        client->inflight_count--;
        client->acknowledged++;
        return;
    }
}

/* False: the server sent what no server sends to a publisher. */
static bool on_packet(struct sense_client *client) {
    const uint8_t *packet = client->packet;
    switch (packet[0]) {
    case PACKET_CONNACK:
        if (client->up || packet[1] != 2)
            return false;
        on_connack(client, packet[3]);
        return true;
    case PACKET_PUBACK:
        if (!client->up || packet[1] != 2)
            return false;
        on_puback(client, (uint16_t)(packet[2] << 8 | packet[3]));
        return true;
    case PACKET_PINGRESP:
        client->pinged = false;
        return packet[1] == 0;
    default:
        return false;
    }
}

static void on_read(struct tcp *tcp, const uint8_t *at, size_t len) {
    struct sense_client *client = CONTAINER_OF(tcp, struct sense_client, tcp);
    for (size_t i = 0; i < len; i++) {
        client->packet[client->packet_len++] = at[i];
        if (client->packet_len < 2 || client->packet_len < 2u + client->packet[1]) {
            if (client->packet_len == sizeof client->packet) {
                tcp_close(tcp);
                return;
            }
            continue;
        }
        client->packet_len = 0;
        if (!on_packet(client)) {
            log_warn("sense", "the server does not speak MQTT 3.1.1");
            tcp_close(tcp);
            return;
        }
    }
}

static void on_timer_closed(struct timer *timer) {
    struct sense_client *client = CONTAINER_OF(timer, struct sense_client, timer);
    for (struct link *item; (item = list_pop_front(&client->inflight));)
        free(LIST_ITEM(item, struct inflight, link));
    void (*closed)(void *data) = client->closed;
    void *data = client->closed_data;
    free(client);
    if (closed)
        closed(data);
}

static void on_close(struct tcp *tcp, int reason) {
    struct sense_client *client = CONTAINER_OF(tcp, struct sense_client, tcp);
    client->open = client->up = false;
    timer_stop(&client->timer);
    if (client->closing) {
        timer_close(&client->timer, on_timer_closed);
        return;
    }
    uint64_t wait_ms =
        backoff_spread_ms(backoff_ms(DELAY_MIN_MS, DELAY_MAX_MS, ++client->failures));
    log_warn("sense", "no connection (%s); trying again in %llu ms",
             tcp->error_text ? tcp->error_text : err_text(reason), (unsigned long long)wait_ms);
    timer_start(client->loop, &client->timer, wait_ms, 0, connect_now);
}

static const struct tcp_events events = {
    .on_read = on_read, .on_close = on_close, .on_connect = on_connect};

static void connect_now(struct timer *timer) {
    struct sense_client *client = CONTAINER_OF(timer, struct sense_client, timer);
    client->tcp = (struct tcp){.events = &events};
    client->open = true;
    client->pinged = false;
    client->packet_len = 0;
    tcp_connect(client->loop, &client->tcp, &client->config.address, client->config.tls,
                client->config.host);
}

struct sense_client *sense_client_new(struct loop *loop, const struct sense_client_config *config) {
    struct sense_client *client = xcalloc(1, sizeof *client);
    client->loop = loop;
    client->config = *config;
    client->next_packet_id = 1;
    list_init(&client->inflight);
    timer_start(loop, &client->timer, 0, 0, connect_now);
    return client;
}

void sense_client_close(struct sense_client *client, void (*closed)(void *data), void *data) {
    client->closing = true;
    client->closed = closed;
    client->closed_data = data;
    if (!client->open) {
        timer_close(&client->timer, on_timer_closed);
        return;
    }
    if (client->up) {
        tcp_write(&client->tcp, "\xe0\0", 2);
        tcp_close_after_flush(&client->tcp);
    } else {
        tcp_close(&client->tcp);
    }
}

static uint16_t take_packet_id(struct sense_client *client) {
    uint16_t id = client->next_packet_id;
    client->next_packet_id = id == UINT16_MAX ? 1 : (uint16_t)(id + 1);
    return id;
}

bool sense_client_publish(struct sense_client *client, struct str topic, struct str payload) {
    if (!client->up || client->closing || client->inflight_count == CLIENT_INFLIGHT_MAX)
        return false;
    struct buf frame = {0};
    uint16_t packet_id = take_packet_id(client);
    buf_add_u8(&frame, 0x32);
    add_length(&frame, topic.len + payload.len + 4);
    buf_add_u16be(&frame, (uint16_t)topic.len);
    buf_add_str(&frame, topic);
    buf_add_u16be(&frame, packet_id);
    buf_add_str(&frame, payload);
    struct inflight *message = xmalloc(sizeof *message + buf_len(&frame));
    *message = (struct inflight){.packet_id = packet_id, .len = buf_len(&frame)};
    memcpy(message->frame, buf_at(&frame), buf_len(&frame));
    buf_done(&frame);
    list_push_back(&client->inflight, &message->link);
    client->inflight_count++;
    tcp_write(&client->tcp, message->frame, message->len);
    return true;
}

uint64_t sense_client_acknowledged(const struct sense_client *client) {
    return client->acknowledged;
}

unsigned sense_client_inflight(const struct sense_client *client) {
    return client->inflight_count;
}
