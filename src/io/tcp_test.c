#include "io/test_scene.h"

#include <stdlib.h>

#include "io/file.h"
#include "io/test_certs.h"

static char directory[] = "/tmp/weir-tcp-XXXXXX";
static struct test_cert ca, server_cert;

/* The client trusts whom `ca_path` names; NULL: whom the system trusts. */
static void use_tls(struct scene *scene, const char *ca_path) {
    struct tls_server_config config = {.cert_path = server_cert.cert_path,
                                       .key_path = server_cert.key_path};
    assert_int_equal(tls_server_context(&config, &scene->server_tls, NULL), 0);
    assert_int_equal(tls_client_context(ca_path, NULL, NULL, &scene->client_tls, NULL), 0);
}

static void open_scene(struct scene *scene, bool tls) {
    *scene = (struct scene){0};
    if (tls)
        use_tls(scene, ca.cert_path);
    listen_here(scene);
    begin_to_connect(scene);
    assert_false(scene->client.connected);
    run_until(scene, &scene->client.connected);
    run_until(scene, &scene->server.tcp.connected);
}

/* Both ways. */

static void both_ends_hear_each_other(bool tls) {
    struct scene scene;
    open_scene(&scene, tls);
    write_text(&scene.client, "ping");
    run_until_received(&scene, &scene.server, 4);
    write_text(&scene.server, "pong!");
    run_until_received(&scene, &scene.client, 5);
    assert_received(&scene.server, "ping");
    assert_received(&scene.client, "pong!");
    /* Idle, neither holds a buffer. */
    run_some_turns(&scene);
    assert_null(scene.client.tcp.out.at);
    assert_null(scene.server.tcp.out.at);
    assert_true(sizeof(struct tcp) <= 512);
    tcp_close(&scene.client.tcp);
    assert_false(scene.client.closed);
    run_until(&scene, &scene.server.closed);
    assert_true(scene.client.closed);
    assert_int_equal(scene.client.reason, 0);
    assert_int_equal(scene.server.reason, ERR_CLOSED);
    assert_int_not_equal(scene.server.error_text[0], 0);
    close_scene(&scene);
}

static void plain_ends_hear_each_other(void **state) {
    both_ends_hear_each_other(false);
}

static void tls_ends_hear_each_other(void **state) {
    both_ends_hear_each_other(true);
}

static void what_is_written_in_one_turn_leaves_at_once(void **state) {
    struct scene scene;
    open_scene(&scene, false);
    for (int i = 0; i < 100; i++)
        write_text(&scene.client, "piece ");
    assert_int_equal(tcp_pending(&scene.client.tcp), 600);
    run_until_received(&scene, &scene.server, 600);
    assert_int_equal(scene.server.reads, 1);
    assert_int_equal(tcp_pending(&scene.client.tcp), 0);
    assert_null(scene.client.tcp.out.at);
    close_scene(&scene);
}

struct writing_hook {
    struct turn_hook hook;
    struct peer *peer;
};

static void write_in_hook(struct turn_hook *hook) {
    write_text(CONTAINER_OF(hook, struct writing_hook, hook)->peer, "from a hook");
    loop_hook_remove(hook);
}

/* The loop sleeps behind the hooks: what they wrote must not sleep with it. */
static void what_a_hook_writes_leaves_in_the_same_turn(void **state) {
    struct scene scene;
    open_scene(&scene, false);
    struct writing_hook hook = {{.run = write_in_hook}, &scene.client};
    loop_hook_add(scene.loop, &hook.hook);
    uv_run(loop_uv(scene.loop), UV_RUN_NOWAIT);
    assert_int_equal(tcp_pending(&scene.client.tcp), 0);
    assert_null(scene.client.tcp.out.at);
    run_until_received(&scene, &scene.server, 11);
    close_scene(&scene);
}

/* Back-pressure. */

enum { MUCH = 8 * 1024 * 1024 };

static uint8_t pattern(size_t i) {
    return (uint8_t)(i * 2654435761U >> 11);
}

static void write_pattern(struct peer *peer, size_t len) {
    uint8_t *room = buf_room(tcp_out(&peer->tcp), len);
    for (size_t i = 0; i < len; i++)
        room[i] = pattern(i);
    buf_added(tcp_out(&peer->tcp), len);
}

static void assert_pattern(const struct peer *peer, size_t len) {
    assert_int_equal(buf_len(&peer->received), len);
    size_t wrong = 0;
    for (size_t i = 0; i < len; i++)
        wrong += buf_at(&peer->received)[i] != pattern(i);
    assert_int_equal(wrong, 0);
}

static void a_peer_that_does_not_read_makes_the_writer_full_until_it_reads(bool tls) {
    struct scene scene;
    open_scene(&scene, tls);
    tcp_read_stop(&scene.server.tcp);
    assert_false(tcp_is_full(&scene.client.tcp));
    write_pattern(&scene.client, MUCH);
    run_some_turns(&scene);
    assert_true(tcp_is_full(&scene.client.tcp));
    assert_int_equal(scene.client.drains, 0);
    assert_int_equal(scene.server.reads, 0);
    write_text(&scene.client, "and the end"); /* Gathers behind what is under way. */
    run_some_turns(&scene);
    tcp_read_start(&scene.server.tcp);
    run_until_received(&scene, &scene.server, MUCH + 11);
    assert_memory_equal(buf_at(&scene.server.received) + MUCH, "and the end", 11);
    scene.server.received.end -= 11;
    assert_pattern(&scene.server, MUCH);
    run_some_turns(&scene);
    assert_int_equal(scene.client.drains, 1);
    assert_int_equal(tcp_pending(&scene.client.tcp), 0);
    assert_null(scene.client.tcp.out.at);
    close_scene(&scene);
}

static void a_plain_writer_is_full_until_its_peer_reads(void **state) {
    a_peer_that_does_not_read_makes_the_writer_full_until_it_reads(false);
}

static void a_tls_writer_is_full_until_its_peer_reads(void **state) {
    a_peer_that_does_not_read_makes_the_writer_full_until_it_reads(true);
}

/* Full within a turn, but the kernel takes it all: who stopped must be told all the same. */
static void on_drain_comes_though_the_kernel_took_all_at_once(void **state) {
    struct scene scene;
    open_scene(&scene, false);
    int size = 4 * 1024 * 1024, fd;
    uv_fileno((uv_handle_t *)&scene.client.tcp.uv, &fd);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    write_pattern(&scene.client, TCP_HIGH_WATER + 1);
    assert_true(tcp_is_full(&scene.client.tcp));
    assert_int_equal(scene.client.drains, 0); /* Never from inside the call. */
    run_until_received(&scene, &scene.server, TCP_HIGH_WATER + 1);
    run_some_turns(&scene);
    assert_int_equal(scene.client.drains, 1);
    close_scene(&scene);
}

static int refills;

static void refill_on_drain(struct tcp *tcp) {
    if (refills-- > 0)
        write_pattern(peer_of(tcp), TCP_HIGH_WATER + 1);
}

static void what_on_drain_writes_is_sent_without_further_events(void **state) {
    struct scene scene;
    open_scene(&scene, false);
    struct tcp_events events = plain_events;
    events.on_drain = refill_on_drain;
    scene.client.tcp.events = &events;
    refills = 9;
    write_pattern(&scene.client, TCP_HIGH_WATER + 1);
    run_until_received(&scene, &scene.server, 10 * (TCP_HIGH_WATER + 1));
    close_scene(&scene);
}

static void stop_reading(struct peer *peer) {
    tcp_read_stop(&peer->tcp);
}

static void a_handler_may_stop_reading(void **state) {
    struct scene scene;
    open_scene(&scene, false);
    scene.server.on_data = stop_reading;
    write_text(&scene.client, "one");
    run_until_received(&scene, &scene.server, 3);
    write_text(&scene.client, "two");
    run_some_turns(&scene);
    assert_received(&scene.server, "one");
    tcp_read_start(&scene.server.tcp);
    tcp_read_start(&scene.server.tcp);
    run_until_received(&scene, &scene.server, 6);
    assert_received(&scene.server, "onetwo");
    close_scene(&scene);
}

/* Ends. */

static void close_in_handler(struct peer *peer) {
    write_text(peer, "never sent");
    tcp_close(&peer->tcp);
    tcp_close(&peer->tcp);
    assert_false(peer->closed);
    write_text(peer, "nor this");
    tcp_close_after_flush(&peer->tcp);
    tcp_read_start(&peer->tcp);
}

static void a_handler_may_close(bool tls) {
    struct scene scene;
    open_scene(&scene, tls);
    scene.server.on_data = close_in_handler;
    write_text(&scene.client, "go");
    run_until(&scene, &scene.client.closed);
    run_until(&scene, &scene.server.closed);
    assert_int_equal(scene.server.reads, 1);
    assert_int_equal(scene.server.reason, 0);
    assert_int_equal(scene.client.reason, ERR_CLOSED);
    assert_int_equal(scene.client.reads, 0);
    close_scene(&scene);
}

static void a_plain_handler_may_close(void **state) {
    a_handler_may_close(false);
}

static void a_tls_handler_may_close(void **state) {
    a_handler_may_close(true);
}

static void close_the_other(struct peer *peer) {
    write_text(peer->other, "gathered");
    tcp_close(&peer->other->tcp);
}

static void a_handler_may_close_another_connection_that_has_output(void **state) {
    struct scene scene;
    open_scene(&scene, false);
    scene.server.other = &scene.client;
    scene.server.on_data = close_the_other;
    write_text(&scene.client, "go");
    run_until(&scene, &scene.client.closed);
    close_scene(&scene);
}

static void answer_and_close(struct peer *peer) {
    write_pattern(peer, MUCH);
    tcp_close_after_flush(&peer->tcp);
    write_text(peer, "not sent any more");
    assert_false(peer->closed);
}

/* The client goes on sending, so that bytes wait unread in the server's socket when it closes. */
static void all_output_arrives_before_the_end(bool tls) {
    struct scene scene;
    open_scene(&scene, tls);
    scene.server.on_data = answer_and_close;
    tcp_read_stop(&scene.client.tcp);
    write_pattern(&scene.client, 3 * 1024 * 1024);
    run_some_turns(&scene);
    tcp_read_start(&scene.client.tcp);
    run_until_received(&scene, &scene.client, MUCH);
    assert_pattern(&scene.client, MUCH);
    run_until(&scene, &scene.client.closed);
    run_until(&scene, &scene.server.closed);
    assert_int_equal(scene.client.reason, ERR_CLOSED);
    assert_int_equal(scene.server.reason, 0);
    assert_int_equal(scene.server.reads, 1);
    assert_pattern(&scene.client, MUCH);
    close_scene(&scene);
}

static void all_plain_output_arrives_before_the_end(void **state) {
    all_output_arrives_before_the_end(false);
}

static void all_tls_output_arrives_before_the_end(void **state) {
    all_output_arrives_before_the_end(true);
}

static void a_peer_that_never_reads_cannot_hold_a_closing_connection(void **state) {
    struct scene scene;
    open_scene(&scene, false);
    tcp_read_stop(&scene.client.tcp);
    write_pattern(&scene.server, MUCH);
    tcp_close_after_flush(&scene.server.tcp);
    run_until(&scene, &scene.server.closed);
    assert_int_equal(scene.server.reason, 0);
    close_scene(&scene);
}

static void a_peer_that_never_ends_cannot_hold_a_closing_connection(void **state) {
    struct scene scene = {0};
    listen_here(&scene);
    int fd = raw_client(&scene);
    write_text(&scene.server, "bye");
    tcp_close_after_flush(&scene.server.tcp);
    run_until(&scene, &scene.server.closed);
    char text[4];
    assert_int_equal(recv(fd, text, sizeof text, 0), 3);
    assert_int_equal(recv(fd, text, sizeof text, 0), 0);
    close(fd);
    close_scene(&scene);
}

static void without_on_end_the_output_is_sent_and_the_connection_closes(void **state) {
    struct scene scene = {0};
    listen_here(&scene);
    int fd = raw_client(&scene);
    assert_int_equal(send(fd, "x", 1, 0), 1);
    run_until_received(&scene, &scene.server, 1);
    write_text(&scene.server, "reply");
    shutdown(fd, SHUT_WR);
    run_until(&scene, &scene.server.closed);
    assert_int_equal(scene.server.reason, ERR_CLOSED);
    assert_string_equal(scene.server.error_text, "closed by the peer");
    char text[8];
    assert_int_equal(recv(fd, text, sizeof text, MSG_WAITALL), 5);
    close(fd);
    close_scene(&scene);
}

static void with_on_end_the_owner_goes_on_writing(void **state) {
    struct scene scene = {0};
    listen_here(&scene);
    scene.server_events.on_end = on_end;
    int fd = raw_client(&scene);
    shutdown(fd, SHUT_WR);
    run_until(&scene, &scene.server.ended);
    run_some_turns(&scene);
    assert_false(scene.server.closed);
    write_text(&scene.server, "late reply");
    tcp_read_start(&scene.server.tcp);
    run_some_turns(&scene);
    char text[16];
    assert_int_equal(recv(fd, text, sizeof text, 0), 10);
    write_text(&scene.server, "last");
    tcp_close_after_flush(&scene.server.tcp);
    run_until(&scene, &scene.server.closed);
    assert_int_equal(scene.server.reason, 0);
    assert_int_equal(recv(fd, text, sizeof text, MSG_WAITALL), 4);
    close(fd);
    close_scene(&scene);
}

/* The peer closes with a reply unread, which resets the connection, but what it sent before counts. */
static void what_a_peer_sent_before_it_went_is_read_though_writing_fails(void **state) {
    struct scene scene = {0};
    listen_here(&scene);
    int fd = raw_client(&scene);
    tcp_read_stop(&scene.server.tcp);
    write_text(&scene.server, "unread");
    run_some_turns(&scene);
    assert_int_equal(send(fd, "last words", 10, 0), 10);
    close(fd);
    for (int i = 0; i < 5; i++) {
        write_text(&scene.server, "to nobody");
        run_some_turns(&scene);
    }
    assert_false(scene.server.closed);
    assert_int_equal(tcp_pending(&scene.server.tcp), 0);
    tcp_read_start(&scene.server.tcp);
    run_until(&scene, &scene.server.closed);
    assert_received(&scene.server, "last words");
    assert_int_equal(scene.server.reason, ERR_CLOSED);
    close_scene(&scene);
}

static void a_reset_is_told_as_closed(void **state) {
    struct scene scene = {0};
    listen_here(&scene);
    int fd = raw_client(&scene);
    struct linger at_once = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
    run_until(&scene, &scene.server.closed);
    assert_int_equal(scene.server.reason, ERR_CLOSED);
    close_scene(&scene);
}

/* Connecting. */

static void a_refused_connection_is_told_by_on_close(void **state) {
    struct scene scene = {0};
    listen_here(&scene);
    tcp_listener_close(scene.listener);
    scene.listener = NULL;
    begin_to_connect(&scene);
    assert_false(scene.client.closed);
    write_text(&scene.client, "never sent");
    run_until(&scene, &scene.client.closed);
    assert_false(scene.client.connected);
    assert_int_equal(scene.client.reason, ERR_REFUSED);
    assert_string_equal(scene.client.error_text, "connection refused");
    close_scene(&scene);
}

static void a_connection_may_be_closed_while_it_is_made(void **state) {
    struct scene scene = {0};
    listen_here(&scene);
    begin_to_connect(&scene);
    tcp_close_after_flush(&scene.client.tcp);
    run_until(&scene, &scene.client.closed);
    assert_false(scene.client.connected);
    assert_int_equal(scene.client.reason, 0);
    close_scene(&scene);
}

static void what_is_written_before_the_connection_stands_is_sent_then(bool tls) {
    struct scene scene = {0};
    if (tls)
        use_tls(&scene, ca.cert_path);
    listen_here(&scene);
    begin_to_connect(&scene);
    write_text(&scene.client, "early");
    assert_int_equal(tcp_pending(&scene.client.tcp), 5);
    run_until_received(&scene, &scene.server, 5);
    assert_received(&scene.server, "early");
    close_scene(&scene);
}

static void early_plain_output_is_sent(void **state) {
    what_is_written_before_the_connection_stands_is_sent_then(false);
}

static void early_tls_output_is_sent(void **state) {
    what_is_written_before_the_connection_stands_is_sent_then(true);
}

static void a_server_with_a_foreign_certificate_is_denied(void **state) {
    struct scene scene = {0};
    use_tls(&scene, NULL);
    listen_here(&scene);
    begin_to_connect(&scene);
    run_until(&scene, &scene.client.closed);
    run_until(&scene, &scene.server.closed);
    assert_false(scene.client.connected);
    assert_int_equal(scene.client.reason, ERR_DENIED);
    assert_int_equal(scene.server.reason, ERR_INVALID); /* The client's alert. */
    assert_non_null(strstr(scene.server.error_text, "unknown ca"));
    close_scene(&scene);
}

static void a_peer_that_ends_in_the_handshake_is_closed(void **state) {
    struct scene scene = {0};
    use_tls(&scene, NULL);
    listen_here(&scene);
    scene.server_events.on_end = on_end;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&scene.address, sizeof(struct sockaddr_in)), 0);
    assert_int_equal(send(fd, "\26\3\1", 3, 0), 3);
    close(fd);
    run_until(&scene, &scene.server.closed);
    assert_false(scene.server.ended);
    assert_int_equal(scene.server.reason, ERR_CLOSED);
    close_scene(&scene);
}

static int make_certs(void **state) {
    if (!mkdtemp(directory))
        return -1;
    test_cert_make(&ca, NULL, directory, "ca", NULL);
    test_cert_make(&server_cert, &ca, directory, "server", "DNS:localhost,IP:127.0.0.1");
    return 0;
}

static int remove_certs(void **state) {
    test_cert_done(&ca);
    test_cert_done(&server_cert);
    return file_remove_tree(directory, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_ends_hear_each_other),
        cmocka_unit_test(tls_ends_hear_each_other),
        cmocka_unit_test(what_is_written_in_one_turn_leaves_at_once),
        cmocka_unit_test(what_a_hook_writes_leaves_in_the_same_turn),
        cmocka_unit_test(a_plain_writer_is_full_until_its_peer_reads),
        cmocka_unit_test(a_tls_writer_is_full_until_its_peer_reads),
        cmocka_unit_test(on_drain_comes_though_the_kernel_took_all_at_once),
        cmocka_unit_test(what_on_drain_writes_is_sent_without_further_events),
        cmocka_unit_test(a_handler_may_stop_reading),
        cmocka_unit_test(a_plain_handler_may_close),
        cmocka_unit_test(a_tls_handler_may_close),
        cmocka_unit_test(a_handler_may_close_another_connection_that_has_output),
        cmocka_unit_test(all_plain_output_arrives_before_the_end),
        cmocka_unit_test(all_tls_output_arrives_before_the_end),
        cmocka_unit_test(a_peer_that_never_reads_cannot_hold_a_closing_connection),
        cmocka_unit_test(a_peer_that_never_ends_cannot_hold_a_closing_connection),
        cmocka_unit_test(without_on_end_the_output_is_sent_and_the_connection_closes),
        cmocka_unit_test(with_on_end_the_owner_goes_on_writing),
        cmocka_unit_test(what_a_peer_sent_before_it_went_is_read_though_writing_fails),
        cmocka_unit_test(a_reset_is_told_as_closed),
        cmocka_unit_test(a_refused_connection_is_told_by_on_close),
        cmocka_unit_test(a_connection_may_be_closed_while_it_is_made),
        cmocka_unit_test(early_plain_output_is_sent),
        cmocka_unit_test(early_tls_output_is_sent),
        cmocka_unit_test(a_server_with_a_foreign_certificate_is_denied),
        cmocka_unit_test(a_peer_that_ends_in_the_handshake_is_closed),
    };
    return cmocka_run_group_tests(tests, make_certs, remove_certs);
}
