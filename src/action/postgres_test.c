/*
 * Against a server of its own, which speaks so much of PostgreSQL's protocol 3.0 ("Message Flow",
 * "Pipelining") that it can break off, or refuse, at a row of a batch that the test names. What a
 * real server makes of it is asked in tests/e2e/test_store_faults.py.
 */
#include "action/target_rig_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include "action/kinds.h"

enum { CONNECTIONS = 3, STARTUP = 196608 };

static struct server {
    int listener;
    unsigned port;
    pthread_t thread;
    struct {
        int cut_after;  /* rows, whose results it sends; -1: never */
        int refuse;     /* at this row, from 1, of the first batch; 0: none */
        char state[6];  /* SQLSTATE of that */
        bool is_silent; /* the results stay with it when it cuts */
    } script[CONNECTIONS];
    int committed; /* rows, by Sync */
} server;

static bool read_all(int fd, void *to, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t got = read(fd, (char *)to + done, size - done);
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

static void add_message(struct buf *out, char type, struct str body) {
    buf_add_u8(out, (uint8_t)type);
    buf_add_u32be(out, (uint32_t)body.len + 4);
    buf_add_str(out, body);
}

static void send_out(int fd, struct buf *out) {
    struct str bytes = buf_str(out);
    while (bytes.len) {
        ssize_t sent = send(fd, bytes.at, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        bytes = str_skip(bytes, (size_t)sent);
    }
    buf_clear(out);
}

/* The length and what it counts; the type has been read, if there is one. */
static bool skip_body(int fd) {
    uint8_t length[4], body[4096];
    if (!read_all(fd, length, sizeof length))
        return false;
    size_t size = ((size_t)length[2] << 8 | length[3]) - 4;
    return size <= sizeof body && read_all(fd, body, size);
}

static void add_error(struct buf *out, const char *state) {
    char body[64];
    int len =
        snprintf(body, sizeof body, "SERROR%cC%s%cMrefused by the test%c%c", 0, state, 0, 0, 0);
    add_message(out, 'E', str_from(body, (size_t)len));
}

static void serve(int fd, unsigned number) {
    struct buf out = {0};
    int rows = 0, refuse = server.script[number].refuse;
    bool has_failed = false, goes_on = skip_body(fd);
    add_message(&out, 'R', str_from("\0\0\0\0", 4));
    add_message(&out, 'Z', STR("I"));
    send_out(fd, &out);
    char type;
    while (goes_on && read_all(fd, &type, 1) && type != 'X' && skip_body(fd)) {
        if (type == 'S') {
            add_message(&out, 'Z', STR("I"));
            send_out(fd, &out);
            server.committed += has_failed ? 0 : rows;
            rows = 0;
            has_failed = false;
        } else if (!has_failed && type == 'E' && ++rows == refuse) {
            add_error(&out, server.script[number].state);
            has_failed = true;
            refuse = 0;
        } else if (!has_failed) {
            add_message(&out,
                        type == 'P'   ? '1'
                        : type == 'B' ? '2'
                        : type == 'D' ? 'n'
                                      : 'C',
                        type == 'E' ? str_from("INSERT 0 1", 11) : (struct str){0});
        }
        goes_on = rows != server.script[number].cut_after;
    }
    if (!server.script[number].is_silent)
        send_out(fd, &out);
    buf_done(&out);
    close(fd);
}

static void *run_server(void *data) {
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        int fd = accept(server.listener, NULL, NULL);
        if (fd < 0)
            break;
        serve(fd, i);
    }
    return NULL;
}

static void start_server(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server.listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server.listener, CONNECTIONS), 0);
    assert_int_equal(getsockname(server.listener, (struct sockaddr *)&address, &size), 0);
    server.port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server.thread, NULL, run_server, NULL), 0);
}

static void stop_server(void) {
    shutdown(server.listener, SHUT_RDWR);
    pthread_join(server.thread, NULL);
    close(server.listener);
}

static void begin(struct target_rig *rig, unsigned port) {
    char *text = xprintf("{'connection':'host=127.0.0.1 port=%u user=weir dbname=weir "
                         "sslmode=disable gssencmode=disable','table':'s.t','columns':{'n':'${n}',"
                         "'whole':'@{payload}'}}",
                         port);
    rig_begin(rig, &action_postgres, text);
    free(text);
    for (unsigned i = 0; i < RIG_ITEMS; i++) {
        rig_param(rig, i, "value", "1");
        rig_param(rig, i, "payload", "");
    }
}

static void begin_with_server(struct target_rig *rig) {
    start_server();
    begin(rig, server.port);
}

static void end_with_server(struct target_rig *rig) {
    rig_end(rig);
    stop_server();
}

static void reset(void) {
    server = (struct server){0};
    for (unsigned i = 0; i < CONNECTIONS; i++)
        server.script[i].cut_after = -1;
}

/* What the server said of single rows before it broke off is worth nothing: the transaction was open. */
static void a_batch_that_breaks_off_is_taken_in_no_part(void **state) {
    struct target_rig rig;
    reset();
    server.script[0].cut_after = 3;
    server.script[1].cut_after = 5;
    server.script[1].is_silent = true;
    begin_with_server(&rig);
    for (unsigned i = 0; i < 2; i++) {
        rig_deliver(&rig, "rrrrr");
    }
    rig_deliver(&rig, "ooooo");
    end_with_server(&rig);
    assert_int_equal(server.committed, RIG_ITEMS);
}

static void a_row_that_never_fits_fails_alone(void **state) {
    struct target_rig rig;
    reset();
    server.script[0].refuse = 2;
    strcpy(server.script[0].state, "23505");
    begin_with_server(&rig);
    rig_deliver(&rig, "ofooo");
    rig_expect_why(&rig, 1, "refused by the test");
    end_with_server(&rig);
    assert_int_equal(server.committed, RIG_ITEMS - 1);
}

static void what_a_person_has_to_mend_is_waited_for(void **state) {
    struct target_rig rig;
    reset();
    server.script[0].refuse = 1;
    strcpy(server.script[0].state, "42P01");
    begin_with_server(&rig);
    rig_deliver(&rig, "rrrrr");
    rig_deliver(&rig, "ooooo");
    end_with_server(&rig);
}

static void rows_that_cannot_be_sent_hold_up_no_others(void **state) {
    struct target_rig rig;
    reset();
    begin_with_server(&rig);
    rig.items[0].record.payload = str_from("a\0b", 3);
    rig_param(&rig, 4, "value", "one too many");
    rig_deliver(&rig, "fooof");
    rig_expect_why(&rig, 0, "a zero byte");
    rig_expect_why(&rig, 4, "made for other columns");
    end_with_server(&rig);
    assert_int_equal(server.committed, RIG_ITEMS - 2);
}

static void nobody_is_there(void **state) {
    struct target_rig rig;
    begin(&rig, 1);
    rig_deliver(&rig, "rrrrr");
    rig_expect_why(&rig, 0, "refused");
    rig_send(&rig); /* and it closes while it connects */
    rig_end(&rig);
    rig_expect(&rig, "-----");
}

static void settings_that_cannot_be(void **state) {
    rig_refuses(&action_postgres, "{'table':'t','columns':{'n':'1'}}", "connection");
    rig_refuses(&action_postgres, "{'connection':'host','table':'t','columns':{'n':'1'}}",
                "connection: missing \"=\"");
    rig_refuses(&action_postgres, "{'connection':'host=h','table':'t','columns':{}}",
                "columns: there must be 1 to 64");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_that_breaks_off_is_taken_in_no_part),
        cmocka_unit_test(a_row_that_never_fits_fails_alone),
        cmocka_unit_test(what_a_person_has_to_mend_is_waited_for),
        cmocka_unit_test(rows_that_cannot_be_sent_hold_up_no_others),
        cmocka_unit_test(nobody_is_there),
        cmocka_unit_test(settings_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
