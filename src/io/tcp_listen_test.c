#include "io/test_scene.h"

#include <fcntl.h>
#include <sys/resource.h>

static void addresses_are_read_and_written(void **state) {
    struct {
        const char *text, *canonical; /* canonical NULL: invalid */
        bool loopback;
    } cases[] = {
        {"127.0.0.1:1883", "127.0.0.1:1883", true},
        {"127.200.0.9:1", "127.200.0.9:1", true},
        {"0.0.0.0:8883", "0.0.0.0:8883", false},
        {"192.168.1.2:65535", "192.168.1.2:65535", false},
        {"localhost:80", "127.0.0.1:80", true},
        {"[::1]:0", "[::1]:0", true},
        {"[::ffff:127.0.0.1]:5", "[::ffff:127.0.0.1]:5", true},
        {"[::]:443", "[::]:443", false},
        {"[2001:db8::7]:443", "[2001:db8::7]:443", false},
        {"::1:80", NULL, false},
        {"127.0.0.1", NULL, false},
        {"127.0.0.1:", NULL, false},
        {"127.0.0.1:65536", NULL, false},
        {"127.0.0.1:-1", NULL, false},
        {"127.0.0.1:80x", NULL, false},
        {"example.com:80", NULL, false},
        {"[127.0.0.1]:80", NULL, false},
        {"[::1:80", NULL, false},
        {"[]:80", NULL, false},
        {":80", NULL, false},
        {"", NULL, false},
        {"1111111111111111111111111111111111111111111111111111111111111:1", NULL, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct sockaddr_storage address = {0};
        struct err err = {0};
        char text[TCP_ADDRESS_CHARS];
        int failed = tcp_address(cases[i].text, &address, &err);
        assert_int_equal(failed, cases[i].canonical ? 0 : ERR_INVALID);
        if (failed) {
            assert_non_null(strstr(err.text, cases[i].text));
            continue;
        }
        tcp_address_text(&address, text);
        assert_string_equal(text, cases[i].canonical);
        assert_int_equal(tcp_address_is_loopback(&address), cases[i].loopback);
    }
}

static void a_refused_arrival_is_closed(void **state) {
    struct scene scene = {0};
    listen_here(&scene);
    scene.refuse = true;
    begin_to_connect(&scene);
    run_until(&scene, &scene.client.closed);
    assert_int_equal(scene.arrivals, 1);
    assert_int_equal(scene.client.reason, ERR_CLOSED);
    close_scene(&scene);
}

static void a_listener_may_be_closed_when_a_connection_arrives(void **state) {
    struct scene scene = {0};
    listen_here(&scene);
    scene.close_listener_on_arrival = true;
    begin_to_connect(&scene);
    run_until(&scene, &scene.client.connected);
    write_text(&scene.client, "still here");
    run_until_received(&scene, &scene.server, 10);
    tcp_listener_close(NULL);
    close_scene(&scene);
}

static void several_listeners_share_a_port(void **state) {
    struct scene scene = {0};
    listen_here(&scene);
    struct tcp_listener *second = NULL;
    struct sockaddr_storage same = scene.address;
    assert_int_not_equal(((struct sockaddr_in *)&same)->sin_port, 0);
    assert_int_equal(tcp_listen(scene.loop, &same, NULL, on_accept, &scene, &second, NULL), 0);
    tcp_listener_close(scene.listener);
    scene.listener = second;
    begin_to_connect(&scene);
    run_until(&scene, &scene.client.connected);
    close_scene(&scene);
}

static void a_port_that_is_taken_is_told(void **state) {
    struct scene scene = {0};
    listen_here(&scene);
    tcp_listener_close(scene.listener);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)&scene.address, &size);
    struct err err = {0};
    char text[TCP_ADDRESS_CHARS];
    tcp_address_text(&scene.address, text);
    scene.listener = NULL;
    assert_int_not_equal(
        tcp_listen(scene.loop, &scene.address, NULL, on_accept, &scene, &scene.listener, &err), 0);
    assert_non_null(strstr(err.text, text));
    close(fd);
    close_scene(&scene);
}

static void without_descriptors_connections_wait(void **state) {
    struct scene scene = {0};
    struct rlimit before, low;
    listen_here(&scene);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    getrlimit(RLIMIT_NOFILE, &before);
    low = (struct rlimit){(rlim_t)fd + 1, before.rlim_max}; /* All numbers below are taken, too. */
    int holes[16], hole_count = 0;
    while ((holes[hole_count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) < fd)
        hole_count++;
    close(holes[hole_count]);
    setrlimit(RLIMIT_NOFILE, &low);
    assert_int_equal(connect(fd, (struct sockaddr *)&scene.address, sizeof(struct sockaddr_in)), 0);
    run_some_turns(&scene);
    run_some_turns(&scene);
    assert_int_equal(scene.arrivals, 0);
    setrlimit(RLIMIT_NOFILE, &before);
    run_until(&scene, &scene.server.tcp.connected);
    assert_int_equal(scene.arrivals, 1);
    while (hole_count > 0)
        close(holes[--hole_count]);
    close(fd);
    close_scene(&scene);
}

static struct tcp *refuse(void *data, const struct sockaddr_storage *peer) {
    return NULL;
}

static void an_address_that_is_taken_is_noticed_before_it_is_shared(void **state) {
    struct loop *own = loop_new();
    struct sockaddr_storage address;
    struct tcp_listener *listener;
    struct err err = {0};
    assert_int_equal(tcp_address("127.0.0.1:0", &address, &err), 0);
    assert_int_equal(tcp_address_probe(&address, &err), 0);
    assert_int_equal(tcp_listen(own, &address, NULL, refuse, NULL, &listener, &err), 0);
    assert_int_equal(tcp_address_probe(&address, &err), ERR_EXISTS);
    assert_non_null(strstr(err.text, "another program listens there"));
    tcp_listener_close(listener);
    loop_free(own);
    assert_int_equal(tcp_address_probe(&address, &err), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written),
        cmocka_unit_test(a_refused_arrival_is_closed),
        cmocka_unit_test(a_listener_may_be_closed_when_a_connection_arrives),
        cmocka_unit_test(several_listeners_share_a_port),
        cmocka_unit_test(a_port_that_is_taken_is_told),
        cmocka_unit_test(without_descriptors_connections_wait),
        cmocka_unit_test(an_address_that_is_taken_is_noticed_before_it_is_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
