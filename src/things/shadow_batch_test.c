#include "things/test_world.h"

#include "things/shadow_batch.h"

enum { ALL = (1 << SHADOW_ANSWERS) - 1 };

static struct shadow_item item(enum shadow_operation operation, const char *payload) {
    return (struct shadow_item){
        .request = {.operation = operation, .thing = STR("a"), .payload = str_of(payload)},
        .wanted = ALL};
}

/* Applies them; `told` gets "TOPIC PAYLOAD\n" of each answer, less what leads to the thing. */
static void apply(struct world *world, struct shadow_batch *batch, struct shadow_item *items,
                  size_t count, struct buf *told) {
    struct shadow_told answer;
    *batch = (struct shadow_batch){
        .things = world->things, .items = items, .count = count, .ms_max = 60000};
    shadow_batch_apply(batch);
    assert_int_equal(batch->status, 0);
    buf_clear(told);
    struct str rest = buf_str(&batch->answers);
    while (shadow_answers_next(&rest, &answer)) {
        assert_true(str_starts(answer.topic, STR("$aws/things/a/shadow/")));
        assert_true(answer.depth > 0);
        struct json json = {0};
        assert_int_equal(json_parse(&json, answer.payload), 0);
        json_done(&json);
        buf_add_str(told, str_skip(answer.topic, strlen("$aws/things/a/shadow/")));
        buf_add_u8(told, ' ');
        buf_add_str(told, answer.payload);
        buf_add_u8(told, '\n');
    }
    metric_add(&world->things->shadows.count, batch->count_added);
    metric_add(&world->things->bytes, batch->bytes_added);
}

static void done(struct shadow_batch *batch) {
    for (size_t i = 0; i < batch->count; i++)
        buf_done(&batch->items[i].output);
    buf_done(&batch->answers);
}

static bool tells(struct buf *told, const char *text) {
    return strstr(buf_cstr(told), text) != NULL;
}

/* Each request sees what those before it in the batch have done. */
static void a_batch_is_done_in_order(void **state) {
    struct world world;
    struct shadow_batch batch;
    struct buf told = {0};
    world_begin(&world);
    struct shadow_item items[] = {
        item(SHADOW_GET, ""),
        item(SHADOW_UPDATE, "{\"state\":{\"desired\":{\"a\":1}},\"clientToken\":\"t\"}"),
        item(SHADOW_UPDATE, "{\"state\":{\"reported\":{\"a\":1}},\"version\":1}"),
        item(SHADOW_UPDATE, "{\"state\":{},\"version\":1,\"clientToken\":\"u\"}"),
        item(SHADOW_GET, "{\"clientToken\":\"g\"}"),
        item(SHADOW_DELETE, "no JSON"),
        item(SHADOW_DELETE, "{\"clientToken\":\"d\"}"),
    };
    static const int codes[] = {ERR_NOT_FOUND, 0, 0, ERR_EXISTS, 0, 0, ERR_NOT_FOUND};
    apply(&world, &batch, items, COUNT_OF(items), &told);
    for (size_t i = 0; i < COUNT_OF(items); i++)
        assert_int_equal(items[i].code, codes[i]);
    assert_true(
        tells(&told, "get/rejected {\"code\":404,\"message\":\"No shadow exists with name: 'a'\""));
    assert_true(tells(&told, "update/accepted {\"state\":{\"desired\":{\"a\":1}},\"metadata\":"));
    assert_true(tells(&told, "update/documents {\"previous\":{\"state\":{},\"metadata\":{},"
                             "\"version\":0},\"current\":{\"state\":{\"desired\":{\"a\":1}},"));
    assert_true(
        tells(&told, "update/delta {\"version\":1,\"state\":{\"a\":1},\"metadata\":{\"a\":"));
    assert_false(tells(&told, "update/delta {\"version\":2"));
    assert_true(tells(&told, "update/documents {\"previous\":{\"state\":{\"desired\":{\"a\":1}},"));
    assert_true(tells(&told, "update/rejected {\"code\":409,\"message\":\"Version conflict\","));
    assert_true(tells(&told, "\"clientToken\":\"u\"}\nget/accepted {\"version\":2,"));
    assert_true(tells(&told, "\"clientToken\":\"g\"}\ndelete/accepted {\"version\":2,"));
    assert_true(tells(&told, "delete/rejected {\"code\":404,"));
    assert_true(tells(&told, "\"clientToken\":\"d\"}\n"));
    assert_int_equal(batch.count_added, 1);
    done(&batch);
    buf_done(&told);
    world_end(&world);
}

static void errors_have_the_numbers_of_http(void **state) {
    static const struct {
        const char *payload, *told;
    } cases[] = {
        {"", "{\"code\":400,\"message\":\"Invalid JSON\""},
        {"{}", "{\"code\":400,\"message\":\"Missing required node: state\""},
        {"{\"state\":1}", "{\"code\":400,\"message\":\"State node must be an object\""},
        {"{\"state\":{\"desired\":1}}", "\"Desired node must be an object\""},
        {"{\"state\":{},\"version\":\"1\"}", "\"Invalid version\""},
        {"{\"state\":{},\"clientToken\":1}", "\"Invalid clientToken\""},
        {"{\"state\":{\"desired\":{\"a\":\"\xff\"}}}", "{\"code\":415,"},
    };
    struct world world;
    struct buf told = {0};
    world_begin(&world);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct shadow_batch batch;
        struct shadow_item items[] = {item(SHADOW_UPDATE, cases[i].payload)};
        apply(&world, &batch, items, 1, &told);
        if (!tells(&told, cases[i].told))
            fail_msg("%s: %s", cases[i].payload, buf_cstr(&told));
        done(&batch);
    }
    struct shadow_batch batch;
    struct shadow_item items[] = {item(SHADOW_UPDATE, ""), item(SHADOW_GET, "x")};
    items[0].request.too_large = true;
    apply(&world, &batch, items, 2, &told);
    assert_true(tells(&told, "update/rejected {\"code\":413,"));
    assert_true(tells(&told, "get/rejected {\"code\":400,\"message\":\"Invalid JSON\","));
    done(&batch);
    buf_done(&told);
    world_end(&world);
}

static void what_nobody_wants_is_not_made(void **state) {
    struct world world;
    struct shadow_batch batch;
    struct buf told = {0};
    world_begin(&world);
    struct shadow_item items[] = {item(SHADOW_UPDATE, "{\"state\":{\"desired\":{\"a\":1}}}"),
                                  item(SHADOW_UPDATE, "x"), item(SHADOW_GET, "")};
    items[0].wanted = 1 << SHADOW_DELTA;
    items[1].wanted = items[2].wanted = 0;
    apply(&world, &batch, items, COUNT_OF(items), &told);
    assert_true(str_starts(buf_str(&told), STR("update/delta ")));
    assert_int_equal(strchr(buf_cstr(&told), '\n') - buf_cstr(&told), buf_len(&told) - 1);
    done(&batch);
    buf_done(&told);
    world_end(&world);
}

/* Of a call there is an answer, and its errors are told to nobody else. */
static void calls_are_answered(void **state) {
    struct world world;
    struct shadow_batch batch;
    struct buf told = {0};
    struct rest_call call;
    world_begin(&world);
    struct shadow_item items[] = {item(SHADOW_UPDATE, "{\"state\":{}}"), item(SHADOW_UPDATE, "x"),
                                  item(SHADOW_DELETE, "")};
    for (size_t i = 0; i < COUNT_OF(items); i++)
        items[i].call = &call;
    apply(&world, &batch, items, COUNT_OF(items), &told);
    assert_true(str_starts(buf_str(&items[0].output), STR("{\"state\":{},")));
    assert_int_equal(items[1].code, ERR_INVALID);
    assert_true(str_starts(buf_str(&items[2].output), STR("{\"version\":1,")));
    assert_true(tells(&told, "update/accepted"));
    assert_true(tells(&told, "delete/accepted"));
    assert_false(tells(&told, "rejected"));
    done(&batch);
    buf_done(&told);
    world_end(&world);
}

static void answers_stay_until_the_next_batch(void **state) {
    struct world world;
    struct shadow_batch batch;
    struct buf told = {0}, kept = {0};
    world_begin(&world);
    struct shadow_item items[] = {item(SHADOW_UPDATE, "{\"state\":{}}")};
    apply(&world, &batch, items, 1, &told);
    assert_int_equal(shadow_answers_load(world.facts, &kept), 0);
    assert_true(str_eq(buf_str(&kept), buf_str(&batch.answers)));
    done(&batch);
    batch = (struct shadow_batch){.things = world.things, .had_answers = true};
    shadow_batch_apply(&batch);
    assert_int_equal(batch.status, 0);
    buf_clear(&kept);
    assert_int_equal(shadow_answers_load(world.facts, &kept), 0);
    assert_int_equal(buf_len(&kept), 0);
    buf_done(&told);
    buf_done(&kept);
    world_end(&world);
}

/* Documents of 8 KB whose metadata is as large as it can be: the batch ends before its answers are
 * too many. */
static void answers_have_a_bound(void **state) {
    enum { ITEMS = 64 };
    struct world world;
    struct shadow_batch batch;
    struct buf told = {0}, payload = {0};
    struct shadow_item *items = xcalloc(ITEMS, sizeof *items);
    world_begin(&world);
    buf_add_str(&payload, STR("{\"state\":{\"desired\":{\"a\":[1"));
    for (int i = 0; i < 4000; i++)
        buf_add_str(&payload, STR(",1"));
    buf_add_str(&payload, STR("]}}}"));
    for (size_t i = 0; i < ITEMS; i++) {
        items[i] = item(SHADOW_UPDATE, buf_cstr(&payload));
        items[i].next_counter = i + 1;
    }
    apply(&world, &batch, items, ITEMS, &told);
    assert_true(batch.done > 0 && batch.done < ITEMS);
    assert_int_equal(batch.next_counter, batch.done);
    assert_true(buf_len(&batch.answers) >= SHADOW_ANSWERS_BYTES_MAX);
    assert_true(buf_len(&batch.answers) < SHADOW_ANSWERS_BYTES_MAX + (1 << 20));
    done(&batch);
    free(items);
    buf_done(&told);
    buf_done(&payload);
    world_end(&world);
}

/* One is always done, so that what takes long does not stand in the way for ever. */
static void a_batch_whose_time_is_over_leaves_the_rest(void **state) {
    struct world world;
    world_begin(&world);
    struct shadow_item items[] = {item(SHADOW_UPDATE, "{\"state\":{}}"),
                                  item(SHADOW_UPDATE, "{\"state\":{}}")};
    items[0].next_counter = 7;
    items[1].next_counter = 8;
    struct shadow_batch batch = {
        .things = world.things, .items = items, .count = 2, .end_counter = 8};
    shadow_batch_apply(&batch);
    assert_int_equal(batch.status, 0);
    assert_int_equal(batch.done, 1);
    assert_int_equal(batch.next_counter, 7);
    done(&batch);
    world_end(&world);
}

/* The shadow that needs the room was itself deleted long ago: it is counted once. */
static void a_shadow_made_anew_in_the_last_room_is_counted_once(void **state) {
    struct world world;
    struct shadow_batch batch;
    struct buf told = {0}, payload = {0};
    struct err err;
    world_begin(&world);
    struct arena arena = {0};
    struct str key = things_shadow_key(&arena, STR("a"), (struct str){0});
    struct str old = STR("{\"version\":3,\"deleted\":1}");
    assert_int_equal(
        things_put(world.things, &world.things->shadows, key, (struct str){0}, old, &err), 0);
    int64_t others = THINGS_BYTES_MAX - metric_get(&world.things->bytes);
    metric_add(&world.things->bytes, others);
    buf_add_str(&payload, STR("{\"state\":{\"desired\":{\"a\":\"0123456789\"}}}"));
    struct shadow_item items[] = {item(SHADOW_UPDATE, buf_cstr(&payload))};
    apply(&world, &batch, items, 1, &told);
    assert_int_equal(items[0].code, ERR_FULL);
    assert_int_equal(metric_get(&world.things->shadows.count), 1);
    assert_int_equal(metric_get(&world.things->bytes), THINGS_BYTES_MAX);
    done(&batch);
    metric_add(&world.things->bytes, -others);
    buf_done(&told);
    buf_done(&payload);
    arena_done(&arena);
    world_end(&world);
}

/* ---- room ---- */

static struct shadow_item named(const char *shadow, const char *payload) {
    struct shadow_item made = item(SHADOW_UPDATE, payload);
    made.request.shadow = str_of(shadow);
    made.wanted = 0;
    return made;
}

/* As it was deleted long ago. */
static void put_forgotten(struct world *world, const char *shadow) {
    struct arena arena = {0};
    struct err err;
    struct str key = things_shadow_key(&arena, STR("a"), str_of(shadow));
    assert_int_equal(things_put(world->things, &world->things->shadows, key, (struct str){0},
                                STR("{\"version\":3,\"deleted\":1}"), &err),
                     0);
    arena_done(&arena);
}

struct sum {
    int64_t count, bytes;
};

static bool add_up(void *data, struct str key, struct str value) {
    struct sum *sum = data;
    sum->count++;
    sum->bytes += things_room_of(key, value);
    return true;
}

/* What is counted is what is there. */
static void assert_counted(struct world *world, int64_t count) {
    struct sum sum = {0};
    assert_int_equal(facts_each(world->facts, "shadow", (struct str){0}, add_up, &sum), 0);
    assert_int_equal(sum.count, count);
    assert_int_equal(metric_get(&world->things->shadows.count), count);
    assert_int_equal(metric_get(&world->things->bytes), sum.bytes);
}

static void codes(struct world *world, struct shadow_item *items, size_t count, const int *codes) {
    struct shadow_batch batch;
    struct buf told = {0};
    apply(world, &batch, items, count, &told);
    for (size_t i = 0; i < count; i++)
        if (items[i].code != codes[i])
            fail_msg("%.*s %s", STR_ARG(items[i].request.shadow), items[i].err.text);
    done(&batch);
    buf_done(&told);
}

/* One of them is made anew in the very batch that needs the room, and stays. */
static void only_what_is_still_forgotten_makes_room(void **state) {
    static const int good[2] = {0};
    struct world world;
    world_begin(&world);
    struct shadow_item first[] = {named("live", "{\"state\":{}}")};
    codes(&world, first, 1, good);
    put_forgotten(&world, "anew");
    put_forgotten(&world, "gone");
    world.things->shadows.count_max = 3;
    struct shadow_item items[] = {named("anew", "{\"state\":{\"desired\":{\"a\":1}}}"),
                                  named("more", "{\"state\":{}}")};
    codes(&world, items, 2, good);
    assert_counted(&world, 3);
    struct shadow_item look[] = {named("live", ""), named("anew", "")};
    look[0].request.operation = look[1].request.operation = SHADOW_GET;
    codes(&world, look, 2, good);
    world_end(&world);
}

static void bounds_hold_within_a_batch(void **state) {
    static const int second[] = {0, ERR_FULL};
    struct world world;
    world_begin(&world);
    world.things->shadows.count_max = 1;
    struct shadow_item items[] = {named("b", "{\"state\":{}}"), named("c", "{\"state\":{}}")};
    codes(&world, items, 2, second);
    assert_counted(&world, 1);
    /* It was looked for room a moment ago. */
    world.things->shadows.count_max = 2;
    put_forgotten(&world, "gone");
    struct shadow_item again[] = {named("c", "{\"state\":{}}")};
    codes(&world, again, 1, &second[1]);
    world.things->swept_s = 0;
    codes(&world, again, 1, &second[0]);
    assert_counted(&world, 2);
    world_end(&world);
}

static void cut_answers_are_not_read(void **state) {
    struct world world;
    struct shadow_batch batch;
    struct shadow_told answer;
    struct buf told = {0};
    world_begin(&world);
    struct shadow_item items[] = {item(SHADOW_GET, "")};
    apply(&world, &batch, items, 1, &told);
    for (size_t cut = 1; cut <= buf_len(&batch.answers); cut++) {
        struct str rest = str_from(buf_at(&batch.answers), buf_len(&batch.answers) - cut);
        assert_false(shadow_answers_next(&rest, &answer));
    }
    done(&batch);
    buf_done(&told);
    world_end(&world);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_is_done_in_order),
        cmocka_unit_test(errors_have_the_numbers_of_http),
        cmocka_unit_test(what_nobody_wants_is_not_made),
        cmocka_unit_test(calls_are_answered),
        cmocka_unit_test(answers_stay_until_the_next_batch),
        cmocka_unit_test(answers_have_a_bound),
        cmocka_unit_test(a_batch_whose_time_is_over_leaves_the_rest),
        cmocka_unit_test(a_shadow_made_anew_in_the_last_room_is_counted_once),
        cmocka_unit_test(only_what_is_still_forgotten_makes_room),
        cmocka_unit_test(bounds_hold_within_a_batch),
        cmocka_unit_test(cut_answers_are_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
