#include "action/bulk.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/test.h"

/* A store over real HTTP: it refuses a request as a whole if the bad number is in it. */

enum { ITEMS = 8, UNSENDABLE = 100 };

static struct store {
    struct loop *loop;
    struct http_server *server;
    struct http_client *client;
    struct bulk *bulk;
    struct action_item items[ITEMS];
    struct action_item *pointers[ITEMS];
    struct buf taken; /* bodies that were accepted */
    int bad, status;  /* -1: none; of good requests */
    unsigned requests;
    bool settled, closed;
} store;

static void turn(void) {
    uv_run(loop_uv(store.loop), UV_RUN_ONCE);
}

static void handle(struct http_request *request, void *data) {
    char line[16];
    store.requests++;
    snprintf(line, sizeof line, "<%d>", store.bad);
    char *body = str_dup(request->body);
    int status = strstr(body, line) ? 400 : store.status;
    if (status == 200)
        buf_add_str(&store.taken, request->body);
    free(body);
    http_respond(request, status, NULL, (struct str){0}, NULL, 0);
}

static int add(struct bulk *bulk, const struct action_item *item, struct buf *body,
               struct err *err) {
    if (item->counter == UNSENDABLE)
        return err_set(err, ERR_INVALID, "never");
    buf_printf(body, "<%d>", (int)item->counter);
    return 0;
}

static enum bulk_outcome answer(struct bulk *bulk, const struct http_answer *answer,
                                struct action_item *const *items, size_t count, struct buf *why) {
    buf_printf(why, "HTTP %d", answer->status);
    return answer->status == 200 ? BULK_TAKEN : answer->status == 400 ? BULK_REFUSED : BULK_LATER;
}

static void on_settled(struct action_target *target) {
    store.settled = true;
}

static int begin(void **state) {
    static const struct bulk_ops ops = {.add = add, .answer = answer};
    struct sockaddr_storage address = {0}, real;
    struct sockaddr_in *in = (struct sockaddr_in *)&address;
    struct err err;
    in->sin_family = AF_INET;
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    store = (struct store){.loop = loop_new(), .bad = -1, .status = 200};
    struct http_server_config config = {.address = &address, .handler = handle, .name = "test"};
    assert_int_equal(http_server_open(store.loop, &config, &real, &store.server, &err), 0);
    store.client = http_client_new(store.loop);
    const struct action_services services = {.client = store.client};
    char *url = xprintf("http://127.0.0.1:%d/", ntohs(((struct sockaddr_in *)&real)->sin_port));
    store.bulk = bulk_new(&services, &ops, NULL, url);
    store.bulk->target.settled = on_settled;
    for (int i = 0; i < ITEMS; i++) {
        store.items[i] =
            (struct action_item){.target = &store.bulk->target, .counter = (uint64_t)i};
        store.pointers[i] = &store.items[i];
    }
    return 0;
}

static void send_all(void) {
    store.bulk->target.unsettled = ITEMS;
    store.bulk->target.ops->send(&store.bulk->target, store.pointers, ITEMS);
    while (!store.settled)
        turn();
}

static void on_closed(void *data) {
    store.closed = true;
}

static int end(void **state) {
    store.bulk->target.ops->close(&store.bulk->target, on_closed, NULL);
    assert_true(store.closed);
    store.closed = false;
    http_server_close(store.server, on_closed, NULL);
    while (!store.closed)
        turn();
    store.closed = false;
    http_client_close(store.client, on_closed, NULL);
    while (!store.closed)
        turn();
    for (int i = 0; i < ITEMS; i++)
        free(store.items[i].why);
    buf_done(&store.taken);
    loop_free(store.loop);
    return 0;
}

static void assert_verdicts(enum action_verdict most, int other, enum action_verdict its) {
    for (int i = 0; i < ITEMS; i++)
        assert_int_equal(store.items[i].verdict, i == other ? its : most);
}

static void a_batch_is_one_request(void **state) {
    send_all();
    assert_int_equal(store.requests, 1);
    assert_verdicts(ACTION_OK, -1, ACTION_OK);
    assert_str(buf_str(&store.taken), "<0><1><2><3><4><5><6><7>");
}

static void the_one_that_is_refused_fails_alone_and_nothing_comes_twice(void **state) {
    for (store.bad = 0; store.bad < ITEMS; store.bad++) {
        buf_clear(&store.taken);
        store.settled = false;
        for (int i = 0; i < ITEMS; i++)
            store.items[i].is_settled = false;
        send_all();
        assert_verdicts(ACTION_OK, store.bad, ACTION_FAILED);
        assert_string_equal(store.items[store.bad].why, "HTTP 400");
        assert_int_equal(buf_len(&store.taken), 3 * (ITEMS - 1));
        free(store.items[store.bad].why);
        store.items[store.bad].why = NULL;
    }
}

static void a_store_that_is_busy_gets_all_of_it_later(void **state) {
    store.status = 503;
    send_all();
    assert_int_equal(store.requests, 1);
    assert_verdicts(ACTION_RETRY, -1, ACTION_RETRY);
    assert_string_equal(store.items[ITEMS - 1].why, "HTTP 503");
}

static void what_can_never_be_sent_is_left_out(void **state) {
    store.items[3].counter = UNSENDABLE;
    send_all();
    assert_verdicts(ACTION_OK, 3, ACTION_FAILED);
    assert_string_equal(store.items[3].why, "never");
    assert_str(buf_str(&store.taken), "<0><1><2><4><5><6><7>");
}

static void settings_become_headers_and_urls(void **state) {
    char *basic = bulk_basic("weir", "open sesame"), *url = bulk_url("http://a//", "/b?c");
    assert_string_equal(basic, "Basic d2VpcjpvcGVuIHNlc2FtZQ==");
    assert_string_equal(url, "http://a/b?c");
    free(basic);
    free(url);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_batch_is_one_request, begin, end),
        cmocka_unit_test_setup_teardown(the_one_that_is_refused_fails_alone_and_nothing_comes_twice,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_store_that_is_busy_gets_all_of_it_later, begin, end),
        cmocka_unit_test_setup_teardown(what_can_never_be_sent_is_left_out, begin, end),
        cmocka_unit_test(settings_become_headers_and_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
