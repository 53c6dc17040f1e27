#include "action/destination_world_test.h"
#include "http/sigv4.h"

#define TOKEN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UUID  "6f1a3d02-58a5-4bd5-a9b5-d3f3b6a1f0c1"

static void be(struct destination *destination, enum destination_status status, int code) {
    struct err err;
    assert_int_equal(destination_set(destination, status, &err), code);
}

static void the_ways_of_the_picture(void **state) {
    struct destination_world world;
    world_begin(&world);
    struct destination *destination = world_add(&world, "/in");
    char first[DESTINATION_TOKEN_CHARS + 1];
    memcpy(first, destination->token, sizeof first);
    assert_int_equal(destination_status(destination), DESTINATION_IN_PROGRESS);
    be(destination, DESTINATION_ENABLED, ERR_REFUSED);
    be(destination, DESTINATION_DISABLED, ERR_REFUSED);
    be(destination, DESTINATION_IN_PROGRESS, 0);
    assert_string_not_equal(destination->token, first);
    assert_int_equal(action_destinations_confirm(world.destinations, str_of(first)), ERR_NOT_FOUND);
    unsigned changes = world.changes;
    assert_int_equal(action_destinations_confirm(world.destinations, str_of(destination->token)),
                     0);
    assert_int_equal(world.changes, changes + 1);
    assert_int_equal(destination_status(destination), DESTINATION_ENABLED);
    be(destination, DESTINATION_ERROR, ERR_REFUSED);
    be(destination, DESTINATION_DISABLED, 0);
    assert_int_equal(action_destinations_confirm(world.destinations, str_of(destination->token)),
                     0);
    assert_int_equal(destination_status(destination), DESTINATION_DISABLED);
    be(destination, DESTINATION_ENABLED, 0);
    be(destination, DESTINATION_IN_PROGRESS, 0);
    be(destination, DESTINATION_ENABLED, ERR_REFUSED);
    world_end(&world);
}

static void what_is_no_token(void **state) {
    struct destination_world world;
    world_begin(&world);
    struct destination *destination = world_add(&world, "/in");
    static const char *const texts[] = {"", "IN_PROGRESS", TOKEN};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_int_equal(action_destinations_confirm(world.destinations, str_of(texts[i])),
                         ERR_NOT_FOUND);
    assert_int_equal(
        action_destinations_confirm(world.destinations,
                                    str_from(destination->token, DESTINATION_TOKEN_CHARS - 1)),
        ERR_NOT_FOUND);
    world_end(&world);
}

static void put_value(struct destination_world *world, const char *url, const char *value) {
    char key[65];
    struct err err;
    sigv4_sha256_hex(str_of(url), key);
    if (facts_set(world->facts, "destination", str_from(key, 64), str_of(value), &err))
        fail_msg("%s", err.text);
}

#define TOKEN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define UUID  "6f1a3d02-58a5-4bd5-a9b5-d3f3b6a1f0c1"

/* Nobody answered for more than three days: its token is worth nothing, and its owner can be asked
 * anew. */
static void a_confirmation_has_its_time(void **state) {
    struct destination_world world;
    struct buf reason = {0};
    world_begin(&world);
    put_value(&world, "http://127.0.0.1:1/x",
              "IN_PROGRESS " TOKEN " " UUID
              " 1600000000000 1600000000000 1600000000000 http://127.0.0.1:1/x");
    world_close_book(&world);
    world_open_book(&world);
    struct destination *destination =
        destination_of_url(world.destinations, STR("http://127.0.0.1:1/x"));
    assert_int_equal(destination_status(destination), DESTINATION_ERROR);
    destination_reason(destination, &reason);
    assert_string_equal(buf_cstr(&reason),
                        "Confirmation timed out. Confirmation message sent on "
                        "2020-09-13T12:26:40.000Z; no response received from the endpoint.");
    assert_int_equal(action_destinations_confirm(world.destinations, STR(TOKEN)), ERR_NOT_FOUND);
    be(destination, DESTINATION_ENABLED, ERR_REFUSED);
    be(destination, DESTINATION_IN_PROGRESS, 0);
    assert_int_equal(destination_status(destination), DESTINATION_IN_PROGRESS);
    buf_done(&reason);
    world_end(&world);
}

static void they_outlive_a_restart(void **state) {
    struct destination_world world;
    world_begin(&world);
    struct buf arn = {0};
    struct destination *kept = world_add(&world, "/kept"), *deleted = world_add(&world, "/deleted");
    struct err err;
    destination_arn(kept, &arn);
    assert_int_equal(action_destinations_confirm(world.destinations, str_of(kept->token)), 0);
    assert_int_equal(destination_delete(deleted, &err), 0);
    put_value(&world, "a", "no such thing");
    put_value(&world, "b", "ENABLED " TOKEN " " UUID " 1 2 3 ftp://host/");
    put_value(&world, "c", "ERROR " TOKEN " " UUID " 1 2 3 http://host/");
    world_close_book(&world);
    world_open_book(&world);
    assert_int_equal(world.destinations->count, 1);
    kept = destination_of_arn(world.destinations, buf_str(&arn));
    assert_non_null(kept);
    assert_int_equal(destination_status(kept), DESTINATION_ENABLED);
    assert_true(kept->created_ms && kept->updated_ms >= kept->created_ms);
    assert_null(destination_of_arn(world.destinations, STR("arn:aws:iot:us-east-1")));
    buf_done(&arn);
    world_end(&world);
}

/* As if there were none they would be asked again, and what their owners had confirmed be forgotten. */
static void what_cannot_be_read_is_an_error(void **state) {
    enum { READERS_MAX = 1024 };
    static struct facts_reader *readers[READERS_MAX];
    struct destination_world world;
    struct destinations *again = NULL;
    struct buf value = {0};
    struct err err = {0};
    size_t count = 0;
    world_begin(&world);
    world_add(&world, "/in");
    world_settle(&world, 1);
    do /* LMDB has so many places for readers, and no more. */
        readers[count] = facts_reader_new(world.facts);
    while (facts_reader_get(readers[count++], "t", STR("k"), &value) == ERR_NOT_FOUND &&
           count < READERS_MAX);
    assert_int_equal(action_destinations_open(world.loop, &world.services, &again, &err), ERR_FULL);
    assert_non_null(strstr(err.text, "the destinations in facts.mdb"));
    assert_null(again);
    while (count)
        facts_reader_free(readers[--count]);
    assert_int_equal(action_destinations_open(world.loop, &world.services, &again, &err), 0);
    assert_int_equal(again->count, 1);
    action_destinations_close(again);
    buf_done(&value);
    world_end(&world);
}

static void they_have_bounds(void **state) {
    struct destination_world world;
    struct destination *destination;
    struct err err;
    world_begin(&world);
    world_add(&world, "/in");
    char *url = xprintf("%s/in", world.base);
    assert_int_equal(destination_add(world.destinations, str_of(url), NULL, &destination, &err),
                     ERR_EXISTS);
    assert_int_equal(
        destination_add(world.destinations, STR("http://${topic()}/"), NULL, &destination, &err),
        ERR_INVALID);
    size_t real = world.destinations->count;
    world.destinations->count = DESTINATIONS_MAX;
    assert_int_equal(
        destination_add(world.destinations, STR("http://host/"), NULL, &destination, &err),
        ERR_FULL);
    world.destinations->count = real;
    free(url);
    world_end(&world);
}

static enum destination_pass check(struct destination_world *world, const char *url, bool may_ask) {
    char why[DESTINATION_WHY_CHARS] = "";
    enum destination_pass pass =
        destination_check(world->destinations, str_of(url), may_ask, NULL, why);
    assert_true((pass == DESTINATION_OPEN) == (why[0] == '\0'));
    return pass;
}

static void who_may_ask_waits_and_who_may_not_is_shut_out(void **state) {
    struct destination_world world;
    world_begin(&world);
    char *url = xprintf("%s/in", world.base);
    assert_int_equal(check(&world, url, false), DESTINATION_SHUT);
    assert_int_equal(world.destinations->count, 0);
    assert_int_equal(check(&world, url, true), DESTINATION_WAITS);
    assert_int_equal(check(&world, url, true), DESTINATION_WAITS);
    assert_int_equal(check(&world, url, false), DESTINATION_SHUT);
    world_settle(&world, 1);
    assert_int_equal(world.requests, 1); /* not once per message */
    assert_int_equal(check(&world, url, true), DESTINATION_WAITS);
    struct destination *destination = destination_of_url(world.destinations, str_of(url));
    assert_null(destination->call);
    destination->asked_ms -= DESTINATION_ASK_MS;
    assert_int_equal(check(&world, url, true), DESTINATION_WAITS);
    world_settle(&world, 2);
    assert_int_equal(action_destinations_confirm(world.destinations, str_of(destination->token)),
                     0);
    assert_int_equal(check(&world, url, true), DESTINATION_OPEN);
    assert_int_equal(check(&world, url, false), DESTINATION_OPEN);
    be(destination, DESTINATION_DISABLED, 0);
    assert_int_equal(check(&world, url, true), DESTINATION_SHUT);
    assert_int_equal(check(&world, url, false), DESTINATION_SHUT);
    free(url);
    world_end(&world);
}

static void why_nobody_can_be_asked_is_told(void **state) {
    struct destination_world world;
    char why[DESTINATION_WHY_CHARS];
    world_begin(&world);
    world.destinations->count = DESTINATIONS_MAX;
    assert_int_equal(
        destination_check(world.destinations, STR("http://127.0.0.1:1/"), true, NULL, why),
        DESTINATION_WAITS);
    assert_non_null(strstr(why, "destinations already"));
    world.destinations->count = 0;
    world_end(&world);
}

/* Those of the file do not fail because the owner was away for long, nor because Weir began anew. */
static void who_may_ask_asks_anew(void **state) {
    struct destination_world world;
    world_begin(&world);
    char *url = xprintf("%s/in", world.base);
    check(&world, url, true);
    world_settle(&world, 1);
    world_close_book(&world);
    world_open_book(&world);
    struct destination *destination = destination_of_url(world.destinations, str_of(url));
    assert_int_equal(check(&world, url, true), DESTINATION_WAITS);
    world_settle(&world, 2);
    destination->asked_ms = 1;
    assert_int_equal(destination_status(destination), DESTINATION_ERROR);
    assert_int_equal(check(&world, url, true), DESTINATION_WAITS);
    assert_int_equal(destination_status(destination), DESTINATION_IN_PROGRESS);
    world_settle(&world, 3);
    free(url);
    world_end(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ways_of_the_picture),
        cmocka_unit_test(what_is_no_token),
        cmocka_unit_test(a_confirmation_has_its_time),
        cmocka_unit_test(they_outlive_a_restart),
        cmocka_unit_test(what_cannot_be_read_is_an_error),
        cmocka_unit_test(they_have_bounds),
        cmocka_unit_test(who_may_ask_waits_and_who_may_not_is_shut_out),
        cmocka_unit_test(why_nobody_can_be_asked_is_told),
        cmocka_unit_test(who_may_ask_asks_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
