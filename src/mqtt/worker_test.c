/* Three workers on threads of their own, and clients over TCP on loopback. */
#include "mqtt/rig_test.h"

#include <arpa/inet.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { WORKERS = 3 };

/* Each worker listens on a port of its own, so that the tests choose where a client goes. */
static struct site {
    struct loop_thread thread;
    struct mqtt_worker *worker;
    struct sockaddr_storage address;
    unsigned index;
} sites[WORKERS];

static struct arena arena;
static struct mqtt_config config;
static struct mqtt_listener_config listener;
static struct mqtt *mqtt;
static sem_t stopped;

static void make_worker(void *data) {
    struct site *site = data;
    site->worker = mqtt_worker_new(mqtt, site->index, site->thread.loop);
}

static void listen_worker(void *data) {
    struct site *site = data;
    struct err err;
    assert_int_equal(tcp_address("127.0.0.1:0", &site->address, &err), 0);
    assert_int_equal(mqtt_worker_listen(site->worker, &listener, &site->address, NULL, &err), 0);
}

static void on_stopped(void *data) {
    sem_post(&stopped);
}

static void stop_worker(void *data) {
    mqtt_worker_stop(((struct site *)data)->worker, on_stopped, NULL);
}

static void free_worker(void *data) {
    mqtt_worker_free(((struct site *)data)->worker);
}

static void each_worker(void (*run)(void *site)) {
    for (unsigned i = 0; i < WORKERS; i++)
        loop_call(sites[i].thread.loop, run, &sites[i]);
}

static void start_all(void) {
    mqtt = mqtt_new(&config, WORKERS);
    sem_init(&stopped, 0, 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        sites[i] = (struct site){.index = i};
        loop_thread_start(&sites[i].thread, "worker");
    }
    each_worker(make_worker);
    each_worker(listen_worker);
}

static int set_up(void **state) {
    struct err err;
    log_setup(LOG_ERROR, LOG_TEXT);
    assert_int_equal(option_load(&arena, mqtt_options, NULL, &config, &err), 0);
    listener = (struct mqtt_listener_config){.bind = "127.0.0.1:0"};
    start_all();
    return 0;
}

static void stop_all(void) {
    each_worker(stop_worker);
    for (unsigned i = 0; i < WORKERS; i++)
        sem_wait(&stopped);
    each_worker(free_worker);
    mqtt_free(mqtt);
    mqtt = NULL;
    for (unsigned i = 0; i < WORKERS; i++)
        loop_thread_stop(&sites[i].thread);
    sem_destroy(&stopped);
}

static int tear_down(void **state) {
    if (mqtt)
        stop_all();
    arena_done(&arena);
    return 0;
}

/* ---- clients ---- */

static int dial(unsigned worker) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval patience = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(
        connect(fd, (struct sockaddr *)&sites[worker].address, sizeof(struct sockaddr_in)), 0);
    return fd;
}

static void say(int fd, const char *hex) {
    struct buf bytes = {0};
    hex_parse(&bytes, hex);
    assert_int_equal(send(fd, buf_at(&bytes), buf_len(&bytes), MSG_NOSIGNAL), buf_len(&bytes));
    buf_done(&bytes);
}

static void hear(int fd, const char *hex) {
    struct buf wanted = {0};
    uint8_t got[512];
    hex_parse(&wanted, hex);
    ssize_t len = recv(fd, got, buf_len(&wanted), MSG_WAITALL);
    if (len != (ssize_t)buf_len(&wanted) || memcmp(got, buf_at(&wanted), (size_t)len) != 0) {
        print_bytes("wanted  ", buf_str(&wanted));
        print_bytes("received", str_from(got, len > 0 ? (size_t)len : 0));
        fail();
    }
    buf_done(&wanted);
}

static void hear_end(int fd) {
    uint8_t byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
}

static int join_5(unsigned worker, const char *id) {
    char hex[64];
    int fd = dial(worker);
    snprintf(hex, sizeof hex, "10 0f 0004'MQTT'05 02 0000 00 0002'%.2s'", id);
    say(fd, hex);
    hear(fd, CONNACK_5);
    return fd;
}

/* ---- */

static void messages_cross_workers(void **state) {
    int a = join_5(0, "aa"), b = join_5(1, "bb");
    say(a, "82 09 0001 00 0003't/+' 01");
    hear(a, "90 04 0001 00 01");
    /* The SUBACK promised it: the other worker knows. */
    say(b, "32 0e 0003't/1' 0001 05 02 0000003c 'x'");
    hear(b, "40 02 0001");
    hear(a, "32 0e 0003't/1' 0001 05 02 0000003c 'x'");
    say(a, "a2 08 0002 00 0003't/+' c000");
    hear(a, "b0 04 0002 00 00 d0 00");
    say(b, "32 09 0003't/1' 0002 00 'y'");
    hear(b, "40 02 0002");
    say(a, "c000");
    hear(a, "d0 00");
    close(a);
    close(b);
}

static void retained_messages_are_everywhere(void **state) {
    int a = join_5(0, "aa"), b = join_5(1, "bb");
    for (int i = 0; i < 50; i++) {
        say(b, "33 09 0003't/1' 0001 00 'x'");
        hear(b, "40 02 0001");
        say(a, "82 09 0001 00 0003't/1' 00");
        hear(a, "90 04 0001 00 00 31 07 0003't/1' 00 'x'");
        say(a, "a2 08 0002 00 0003't/1'");
        hear(a, "b0 04 0002 00 00");
        say(b, "33 08 0003't/1' 0001 00");
        hear(b, "40 02 0001");
        say(a, "82 09 0001 00 0003't/1' 00 c000");
        hear(a, "90 04 0001 00 00 d0 00");
        say(a, "a2 08 0002 00 0003't/1'");
        hear(a, "b0 04 0002 00 00");
    }
    close(a);
    close(b);
}

static int member(unsigned worker, const char *id) {
    int fd = join_5(worker, id);
    say(fd, "82 10 0001 00 000a'$share/g/t' 01");
    hear(fd, "90 04 0001 00 01");
    return fd;
}

/* [MQTT-4.8.2-4]: each message goes to one member, and all get as many, wherever they are. */
static void shares_span_workers(void **state) {
    int members[3] = {member(0, "m0"), member(0, "m1"), member(1, "m2")};
    int c = join_5(1, "cc");
    for (unsigned i = 0; i < 30; i++) {
        say(c, "30 05 0001't' 00 'x'");
    }
    say(c, "c000");
    hear(c, "d000");
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned n = 0; n < 10; n++)
            hear(members[i], "30 05 0001't' 00 'x'");
        say(members[i], "c000");
        hear(members[i], "d000");
    }
    for (unsigned i = 0; i < 3; i++)
        close(members[i]);
    close(c);
}

/* What the last member on a worker leaves behind reaches a member on another one. */
static void shares_hand_over_between_workers(void **state) {
    int a = member(0, "aa"), c = join_5(1, "cc");
    say(c, "32 07 0001't' 0001 00 'x' 32 07 0001't' 0002 00 'y'");
    hear(c, "40 02 0001 40 02 0002");
    hear(a, "32 07 0001't' 0001 00 'x' 32 07 0001't' 0002 00 'y'");
    int b = member(1, "bb");
    say(a, "40 02 0001 e0 00");
    hear_end(a);
    hear(b, "32 07 0001't' 0001 00 'y'");
    close(b);
    close(c);
}

static void a_client_id_is_taken_over_across_workers(void **state) {
    int a = join_5(0, "aa");
    for (unsigned i = 1; i <= 20; i++) {
        int next = join_5(i % WORKERS, "aa");
        hear(a, "e0 01 8e");
        hear_end(a);
        a = next;
    }
    say(a, "c000");
    hear(a, "d0 00");
    close(a);
}

struct sender {
    int fd;
    unsigned count;
};

static void *run_sender(void *data) {
    struct sender *sender = data;
    for (unsigned i = 1; i <= sender->count; i++) {
        char hex[64];
        snprintf(hex, sizeof hex, "32 0d 0004'load' %04x 00 %08x", 1u, i);
        struct buf bytes = {0};
        hex_parse(&bytes, hex);
        send(sender->fd, buf_at(&bytes), buf_len(&bytes), MSG_NOSIGNAL);
        buf_done(&bytes);
        if (i % 100 == 0) {
            uint8_t acks[400];
            recv(sender->fd, acks, sizeof acks, MSG_WAITALL);
        }
    }
    return NULL;
}

/*
 * Two publishers on the other worker; the subscriber gets all in order, and acknowledges so that
 * nothing is dropped.
 */
static void a_flood_crosses_in_order(void **state) {
    enum { COUNT = 5000 };
    int a = join_5(0, "aa");
    struct sender senders[2] = {{join_5(1, "s0"), COUNT}, {join_5(1, "s1"), COUNT}};
    pthread_t threads[2];
    say(a, "82 0a 0001 00 0004'load' 00");
    hear(a, "90 04 0001 00 00");
    for (unsigned i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, run_sender, &senders[i]);
    unsigned last = 0, sum = 0, seen[COUNT + 1] = {0};
    for (unsigned i = 0; i < 2 * COUNT; i++) {
        uint8_t got[13];
        assert_int_equal(recv(a, got, sizeof got, MSG_WAITALL), sizeof got);
        assert_memory_equal(got, "\x30\x0b\0\x04load\0", 9);
        unsigned number =
            (unsigned)got[9] << 24 | (unsigned)got[10] << 16 | (unsigned)got[11] << 8 | got[12];
        assert_in_range(number, 1, COUNT);
        seen[number]++;
        /* The second time that a number comes, all before it have come twice. */
        if (seen[number] == 2) {
            assert_int_equal(number, last + 1);
            last = number;
        }
        sum++;
    }
    assert_int_equal(sum, 2 * COUNT);
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        close(senders[i].fd);
    }
    close(a);
}

/* ---- sessions that move ---- */

static int join_session(unsigned worker, unsigned clean, bool present) {
    int fd = dial(worker);
    say(fd, clean ? "10 14 0004'MQTT'05 02 0000 05 11 0000003c 0002'aa'"
                  : "10 14 0004'MQTT'05 00 0000 05 11 0000003c 0002'aa'");
    hear(fd, present ? "20 10 01 00 0d 21 0400 27 00200000 22 0010 2a 01" : CONNACK_5);
    return fd;
}

/* [MQTT-3.1.2-5], [MQTT-4.4.0-1]: subscriptions, what waits and what is in flight come along. */
static void a_session_follows_its_client(void **state) {
    int a = join_session(0, 1, false), c = join_5(1, "cc");
    say(a, "82 07 0001 00 0001't' 02 82 10 0002 00 000a'$share/g/u' 01");
    hear(a, "90 04 0001 00 02 90 04 0002 00 01");
    say(c, "32 07 0001't' 0001 00 '1' 34 07 0001't' 0002 00 '2'");
    hear(c, "40 02 0001 50 02 0002");
    hear(a, "32 07 0001't' 0001 00 '1' 34 07 0001't' 0002 00 '2'");
    say(a, "50 02 0002");
    hear(a, "62 02 0002");
    say(a, "34 07 0001'x' 0009 00 '-'");
    hear(a, "50 02 0009");
    for (unsigned i = 1; i <= 20; i++) {
        close(a);
        say(c, "32 07 0001'u' 0003 00 '3'");
        hear(c, "40 02 0003");
        a = join_session(i % WORKERS, 0, true);
        hear(a, "3a 07 0001't' 0001 00 '1' 62 02 0002");
        char hex[64];
        snprintf(hex, sizeof hex, "32 07 0001'u' %04x 00 '3'", i + 2);
        hear(a, hex);
        snprintf(hex, sizeof hex, "40 02 %04x", i + 2);
        say(a, hex);
        say(a, "3c 07 0001'x' 0009 00 '-' c000"); /* known on the new worker, too */
        hear(a, "50 02 0009 d000");
    }
    close(a);
    a = join_session(1, 1, false); /* a clean start, wherever it was */
    say(c, "30 05 0001't' 00 'x'");
    say(a, "c000");
    hear(a, "d000");
    close(a);
    close(c);
}

struct publisher {
    int fd;
    unsigned count;
    char topic; /* 'p' and this digit */
};

/* QoS 1, one after the other. */
static void *run_publisher(void *data) {
    struct publisher *publisher = data;
    for (unsigned i = 1; i <= publisher->count; i++) {
        char hex[64];
        snprintf(hex, sizeof hex, "32 0b 0002'p%c' 0001 00 %08x", publisher->topic, i);
        say(publisher->fd, hex);
        hear(publisher->fd, "40 02 0001");
    }
    return NULL;
}

/* Acknowledges what comes for a while and counts what is new; each publisher's messages come in
 * their order without a gap. False when `last` are complete. */
static bool receive_some(int fd, unsigned packets, unsigned last[3], unsigned count) {
    for (unsigned i = 0; i < packets; i++) {
        uint8_t got[13];
        if (last[0] == count && last[1] == count && last[2] == count)
            return false;
        assert_int_equal(recv(fd, got, sizeof got, MSG_WAITALL), sizeof got);
        assert_int_equal(got[0] & 0xf7, 0x32);
        unsigned number =
            (unsigned)got[9] << 24 | (unsigned)got[10] << 16 | (unsigned)got[11] << 8 | got[12];
        unsigned *mine = &last[got[5] - '0'];
        if (got[0] & 8) {
            assert_true(number <= *mine + 1);
        } else {
            assert_int_equal(number, *mine + 1);
        }
        *mine = number > *mine ? number : *mine;
        uint8_t ack[4] = {0x40, 2, got[6], got[7]};
        assert_int_equal(send(fd, ack, sizeof ack, MSG_NOSIGNAL), sizeof ack);
    }
    return true;
}

/* Publishers on every worker go on while the session moves from one to the next. */
static void nothing_is_lost_while_a_session_moves(void **state) {
    enum { COUNT = 3000 };
    struct publisher publishers[3];
    pthread_t threads[3];
    unsigned last[3] = {0};
    int a = join_session(0, 1, false);
    say(a, "82 09 0001 00 0003'p0/' 01"); /* another filter, to have two */
    hear(a, "90 04 0001 00 01");
    say(a, "82 07 0002 00 0001'+' 01");
    hear(a, "90 04 0002 00 01");
    for (unsigned i = 0; i < 3; i++) {
        char id[3] = {'q', (char)('0' + i), 0};
        publishers[i] = (struct publisher){join_5(i, id), COUNT, (char)('0' + i)};
        pthread_create(&threads[i], NULL, run_publisher, &publishers[i]);
    }
    for (unsigned round = 1; receive_some(a, 200, last, COUNT); round++) {
        if (round % 3 == 0) /* Else the new connection takes over from this one. */
            close(a);
        int next = join_session(round * 2 % WORKERS, 0, true);
        if (round % 3)
            close(a);
        a = next;
    }
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        close(publishers[i].fd);
        assert_int_equal(last[i], COUNT);
    }
    close(a);
}

/* One client id on all workers at once: in the end one connection has it, and the session. */
static void many_claims_at_once_are_granted_in_turn(void **state) {
    enum { CLAIMS = 30 };
    int fds[CLAIMS];
    int a = join_session(0, 1, false);
    say(a, "82 07 0001 00 0001't' 01");
    hear(a, "90 04 0001 00 01");
    for (unsigned i = 0; i < CLAIMS; i++) {
        fds[i] = dial(i % WORKERS);
        say(fds[i], "10 14 0004'MQTT'05 00 0000 05 11 0000003c 0002'aa'");
    }
    for (unsigned i = 0; i < CLAIMS; i++)
        hear(fds[i], "20 10 01 00 0d 21 0400 27 00200000 22 0010 2a 01");
    unsigned open = 0;
    for (unsigned i = 0; i < CLAIMS; i++) {
        uint8_t end[3];
        struct timeval moment = {.tv_usec = 200000};
        setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment);
        bool taken_over = recv(fds[i], end, sizeof end, MSG_WAITALL) == 3;
        if (taken_over)
            assert_memory_equal(end, "\xe0\x01\x8e", 3);
        open += !taken_over;
        if (taken_over)
            continue;
        int c = join_5(0, "cc");
        say(c, "30 05 0001't' 00 'x'");
        hear(fds[i], "30 05 0001't' 00 'x'");
        close(c);
    }
    assert_int_equal(open, 1);
    for (unsigned i = 0; i < CLAIMS; i++)
        close(fds[i]);
    close(a);
}

/* ---- back-pressure ---- */

static sem_t held_up, go_on;

static void hold_up(struct task *task) {
    sem_post(&held_up);
    sem_wait(&go_on);
}

static void *run_flood(void *data) {
    static uint8_t packet[8 + 10000] = {0x30, 0x95, 0x4e, 0, 4, 'l', 'o', 'a'};
    struct sender *sender = data;
    packet[8] = 'd';
    for (unsigned i = 0; i < sender->count; i++) {
        size_t sent = 0;
        while (sent < sizeof packet)
            sent += (size_t)send(sender->fd, packet + sent, sizeof packet - sent, MSG_NOSIGNAL);
    }
    return NULL;
}

static int64_t parked(void) {
    return metric_get(&sites[1].worker->metrics.parked);
}

/*
 * While the subscriber's worker stands still, the publisher is parked; nothing that it sent is
 * lost.
 */
static void a_worker_that_stands_still_parks_publishers(void **state) {
    enum { COUNT = 3000 };
    config.out_bytes_max = 64 << 20;
    sem_init(&held_up, 0, 0);
    sem_init(&go_on, 0, 0);
    int a = join_5(0, "aa");
    int b = dial(1);
    say(b, "10 0e 0004'MQTT'04 02 0000 0002'bb'");
    hear(b, "20 02 00 00");
    say(a, "82 0a 0001 00 0004'load' 00");
    hear(a, "90 04 0001 00 00");
    struct task task = {.run = hold_up};
    loop_post(sites[0].thread.loop, &task);
    sem_wait(&held_up);
    struct sender sender = {b, COUNT};
    pthread_t thread;
    pthread_create(&thread, NULL, run_flood, &sender);
    for (int i = 0; i < 20000 && !parked(); i++)
        usleep(1000);
    assert_int_equal(parked(), 1);
    sem_post(&go_on);
    size_t got = 0, wanted = (size_t)COUNT * (8 + 10000 + 1);
    static uint8_t bytes[65536];
    while (got < wanted) {
        ssize_t len = recv(a, bytes, sizeof bytes, 0);
        assert_true(len > 0);
        got += (size_t)len;
    }
    assert_int_equal(got, wanted);
    pthread_join(thread, NULL);
    say(b, "c000");
    hear(b, "d0 00");
    assert_int_equal(parked(), 0);
    close(a);
    close(b);
    sem_destroy(&held_up);
    sem_destroy(&go_on);
}

static void clients_are_told_when_the_broker_stops(void **state) {
    int a = join_5(0, "aa"), b = join_5(1, "bb"), silent = dial(1);
    say(a, "82 09 0001 00 0003't/+' 01");
    hear(a, "90 04 0001 00 01");
    stop_all();
    hear(a, "e0 01 8b");
    hear_end(a);
    hear(b, "e0 01 8b");
    hear_end(b);
    hear_end(silent);
}

static void users_need_their_password(void **state) {
    stop_all();
    char hash[MQTT_PASSWORD_HASH_CHARS];
    mqtt_password_hash(STR("pw"), 100, hash);
    struct mqtt_user_config user = {.head.name = "joe", .password_hash = hash};
    config.users = (struct option_items){&user, 1};
    start_all();
    int fd = dial(0);
    say(fd, "10 18 0004'MQTT'05 c2 0000 00 0002'aa' 0003'joe' 0002'pw' c000");
    hear(fd, CONNACK_5 "d0 00");
    close(fd);
    fd = dial(0);
    say(fd, "10 18 0004'MQTT'05 c2 0000 00 0002'aa' 0003'joe' 0002'no'");
    hear(fd, "20 03 00 86 00");
    hear_end(fd);
    fd = dial(1);
    say(fd, "10 17 0004'MQTT'04 c2 0000 0002'aa' 0003'jim' 0002'pw'");
    hear(fd, "20 02 00 04");
    hear_end(fd);
    fd = dial(1);
    say(fd, "10 0f 0004'MQTT'05 02 0000 00 0002'aa'");
    hear(fd, "20 03 00 87 00");
    hear_end(fd);
    stop_all();
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(messages_cross_workers),
        TEST(retained_messages_are_everywhere),
        TEST(shares_span_workers),
        TEST(shares_hand_over_between_workers),
        TEST(a_client_id_is_taken_over_across_workers),
        TEST(a_flood_crosses_in_order),
        TEST(a_session_follows_its_client),
        TEST(nothing_is_lost_while_a_session_moves),
        TEST(many_claims_at_once_are_granted_in_turn),
        TEST(a_worker_that_stands_still_parks_publishers),
        TEST(clients_are_told_when_the_broker_stops),
        TEST(users_need_their_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
