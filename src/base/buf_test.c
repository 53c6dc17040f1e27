#include "base/test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/wire.h"

static void appends_and_consumes_like_a_queue(void **state) {
    struct buf buf = {0};
    uint8_t next_in = 0, next_out = 0;
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i < round % 37; i++)
            buf_add_u8(&buf, next_in++);
        size_t take = buf_len(&buf) / 2 + (round % 5 == 0 && buf_len(&buf) % 2);
        for (size_t i = 0; i < take; i++)
            assert_int_equal(buf_at(&buf)[i], next_out++);
        buf_consume(&buf, take);
    }
    assert_true(buf.cap < 1024);
    buf_done(&buf);
}

static void numbers_are_big_endian(void **state) {
    struct buf buf = {0};
    buf_add_u16be(&buf, 0x0102);
    buf_add_u32be(&buf, 0x03040506);
    assert_memory_equal(buf_at(&buf), "\1\2\3\4\5\6", 6);
    struct wire wire = wire_over(buf_at(&buf), buf_len(&buf));
    assert_int_equal(wire_u16be(&wire), 0x0102);
    assert_int_equal(wire_u32be(&wire), 0x03040506);
    assert_true(wire_finished(&wire));
    buf_done(&buf);
}

static void prints_beyond_its_capacity(void **state) {
    struct buf buf = {0};
    buf_printf(&buf, "%0500d|%s", 7, "end");
    assert_int_equal(buf_len(&buf), 504);
    assert_string_equal(buf_cstr(&buf) + 499, "7|end");
    buf_done(&buf);
}

static void a_cursor_stays_failed_after_reading_too_far(void **state) {
    struct wire wire = wire_over("\1\2\3", 3);
    assert_int_equal(wire_u16be(&wire), 0x0102);
    assert_int_equal(wire_u16be(&wire), 0);
    assert_true(wire.failed);
    assert_int_equal(wire_u8(&wire), 0);
    assert_int_equal(wire_bytes(&wire, 0).len, 0);
    assert_false(wire_finished(&wire));
}

static void an_arena_gives_aligned_memory_and_counts_it(void **state) {
    struct arena arena = {0};
    for (size_t size = 1; size < 10000; size = size * 3 + 1) {
        void *at = arena_zalloc(&arena, size);
        assert_int_equal((uintptr_t)at % _Alignof(max_align_t), 0);
        memset(at, 0xaa, size);
    }
    assert_true(arena.used_bytes > 9000);
    arena_reset(&arena);
    assert_int_equal(arena.used_bytes, 0);
    assert_string_equal(arena_strdup(&arena, STR("kept")), "kept");
    arena_done(&arena);
}

static void note(void *data) {
    unsigned *order = data;
    *order = *order * 10 + 1;
}

static void note_other(void *data) {
    unsigned *order = data;
    *order = *order * 10 + 2;
}

static void what_is_deferred_runs_once_the_last_one_first(void **state) {
    struct arena arena = {0};
    unsigned order = 0;
    arena_defer(&arena, note, &order);
    arena_defer(&arena, note_other, &order);
    arena_reset(&arena);
    assert_int_equal(order, 21);
    arena_defer(&arena, note, &order);
    arena_done(&arena);
    assert_int_equal(order, 211);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_consumes_like_a_queue),
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(prints_beyond_its_capacity),
        cmocka_unit_test(a_cursor_stays_failed_after_reading_too_far),
        cmocka_unit_test(an_arena_gives_aligned_memory_and_counts_it),
        cmocka_unit_test(what_is_deferred_runs_once_the_last_one_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
