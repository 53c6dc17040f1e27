#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/frames.h"
#include "http/test_frames.h"

enum { MESSAGE_MAX = 1000 };

/* Messages are noted as "t:text;" or "b:bytes;". */
struct fixture {
    struct frames *frames;
    struct buf in, messages, out;
    bool stops;
};

static void on_message(void *data, bool is_text, struct str message) {
    struct fixture *fixture = data;
    buf_printf(&fixture->messages, "%s:%.*s;", is_text ? "t" : "b", STR_ARG(message));
    if (fixture->stops)
        frames_stop(fixture->frames, true);
}

static void on_output(void *data, struct str bytes) {
    buf_add_str(&((struct fixture *)data)->out, bytes);
}

static int begin(void **state) {
    static const struct frames_events events = {on_message, on_output};
    static struct fixture fixture;
    fixture = (struct fixture){0};
    fixture.frames = frames_new(MESSAGE_MAX, &events, &fixture);
    *state = &fixture;
    return 0;
}

static int end(void **state) {
    struct fixture *fixture = *state;
    frames_free(fixture->frames);
    buf_done(&fixture->in);
    buf_done(&fixture->messages);
    buf_done(&fixture->out);
    return 0;
}

static void feed(struct fixture *fixture, size_t step) {
    while (buf_len(&fixture->in)) {
        size_t len = buf_len(&fixture->in) < step ? buf_len(&fixture->in) : step;
        assert_int_equal(frames_feed(fixture->frames, buf_at(&fixture->in), len), len);
        buf_consume(&fixture->in, len);
    }
}

static void expect_output(struct fixture *fixture, const void *expected, size_t len) {
    assert_int_equal(buf_len(&fixture->out), len);
    if (len)
        assert_memory_equal(buf_at(&fixture->out), expected, len);
    buf_clear(&fixture->out);
}

static void fragments_are_joined_around_pings(void **state) {
    struct fixture *fixture = *state;
    for (size_t step = 1; step < 50; step++) {
        frame_add(&fixture->in, FRAME_TEXT, false, STR("on"));
        frame_add(&fixture->in, FRAME_PING, true, STR("?"));
        frame_add(&fixture->in, FRAME_MORE, false, STR(""));
        frame_add(&fixture->in, FRAME_MORE, true, STR("e"));
        frame_add(&fixture->in, FRAME_BINARY, true, STR("two"));
        frame_add(&fixture->in, FRAME_TEXT, true, STR(""));
        frame_add(&fixture->in, FRAME_PONG, true, STR("ignored"));
        feed(fixture, step);
        assert_string_equal(buf_cstr(&fixture->messages), "t:one;b:two;t:;");
        expect_output(fixture, "\x8a\x01?", 3);
        assert_false(frames_finished(fixture->frames));
        buf_clear(&fixture->messages);
    }
}

static void messages_are_sent_unmasked(void **state) {
    struct fixture *fixture = *state;
    frames_send(fixture->frames, true, STR("hi"));
    expect_output(fixture, "\x81\x02hi", 4);
    frames_send(fixture->frames, false, STR(""));
    expect_output(fixture, "\x82\x00", 2);
    frames_ping(fixture->frames);
    assert_int_equal(buf_at(&fixture->out)[0], 0x89);
}

static void expect_close(struct fixture *fixture, int code) {
    const uint8_t frame[] = {0x88, 2, (uint8_t)(code >> 8), (uint8_t)code};
    feed(fixture, 7);
    expect_output(fixture, frame, sizeof frame);
    assert_true(frames_finished(fixture->frames));
    assert_true(frames_close_sent(fixture->frames));
    assert_int_equal(buf_len(&fixture->messages), 0);
}

static void a_message_too_big_is_refused(void **state) {
    static const char text[MESSAGE_MAX + 1];
    struct fixture *fixture = *state;
    frame_add(&fixture->in, FRAME_BINARY, true, (struct str){text, sizeof text});
    expect_close(fixture, 1009);
}

static void fragments_too_big_together_are_refused(void **state) {
    static const char text[MESSAGE_MAX];
    struct fixture *fixture = *state;
    frame_add(&fixture->in, FRAME_BINARY, false, (struct str){text, sizeof text});
    frame_add(&fixture->in, FRAME_MORE, false, STR(""));
    frame_add(&fixture->in, FRAME_MORE, true, STR("x"));
    expect_close(fixture, 1009);
}

static void a_message_of_the_largest_size_arrives(void **state) {
    static char text[MESSAGE_MAX];
    memset(text, 'x', sizeof text);
    struct fixture *fixture = *state;
    frame_add(&fixture->in, FRAME_TEXT, false, (struct str){text, 1});
    frame_add(&fixture->in, FRAME_MORE, true, (struct str){text, sizeof text - 1});
    feed(fixture, 100);
    assert_int_equal(buf_len(&fixture->messages), sizeof text + 3);
}

static void text_that_is_no_utf8_is_refused(void **state) {
    struct fixture *fixture = *state;
    frame_add(&fixture->in, FRAME_TEXT, false, STR("a\xe2\x82"));
    frame_add(&fixture->in, FRAME_MORE, true, STR("x"));
    expect_close(fixture, 1007);
}

static void text_that_ends_inside_a_character_is_refused(void **state) {
    struct fixture *fixture = *state;
    frame_add(&fixture->in, FRAME_TEXT, true, STR("a\xe2\x82"));
    expect_close(fixture, 1007);
}

static void frames_without_a_mask_are_refused(void **state) {
    struct fixture *fixture = *state;
    buf_add(&fixture->in, "\x81\x02hi", 4);
    expect_close(fixture, 1002);
}

static void a_continuation_of_nothing_is_refused(void **state) {
    struct fixture *fixture = *state;
    frame_add(&fixture->in, FRAME_MORE, true, STR("x"));
    expect_close(fixture, 1002);
}

static void the_peers_close_is_answered(void **state) {
    struct fixture *fixture = *state;
    frame_add(&fixture->in, FRAME_CLOSE, true, STR("\x03\xe8"));
    frame_add(&fixture->in, FRAME_TEXT, true, STR("behind it"));
    expect_close(fixture, 1000);
}

static void after_our_close_only_the_peers_is_heard(void **state) {
    struct fixture *fixture = *state;
    frames_close(fixture->frames, 1001);
    expect_output(fixture, "\x88\x02\x03\xe9", 4);
    frames_send(fixture->frames, true, STR("no more"));
    frame_add(&fixture->in, FRAME_TEXT, true, STR("late"));
    frame_add(&fixture->in, FRAME_PING, true, STR(""));
    feed(fixture, 3);
    assert_false(frames_finished(fixture->frames));
    frame_add(&fixture->in, FRAME_CLOSE, true, STR(""));
    feed(fixture, 3);
    assert_true(frames_finished(fixture->frames));
    assert_int_equal(buf_len(&fixture->messages), 0);
    expect_output(fixture, NULL, 0);
}

static void stopped_it_leaves_what_is_beyond_its_own_buffer(void **state) {
    struct fixture *fixture = *state;
    static const char text[500];
    for (int i = 0; i < 100; i++)
        frame_add(&fixture->in, FRAME_TEXT, true, (struct str){text, sizeof text});
    fixture->stops = true;
    size_t taken = frames_feed(fixture->frames, buf_at(&fixture->in), buf_len(&fixture->in));
    assert_int_equal(taken, FRAMES_AHEAD_BYTES);
    assert_int_equal(frames_feed(fixture->frames, buf_at(&fixture->in), 1), 0);
    buf_consume(&fixture->in, taken);
    fixture->stops = false;
    frames_stop(fixture->frames, false);
    feed(fixture, 1000);
    assert_int_equal(buf_len(&fixture->messages), 100 * 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(fragments_are_joined_around_pings),
        TEST(messages_are_sent_unmasked),
        TEST(a_message_too_big_is_refused),
        TEST(fragments_too_big_together_are_refused),
        TEST(a_message_of_the_largest_size_arrives),
        TEST(text_that_is_no_utf8_is_refused),
        TEST(text_that_ends_inside_a_character_is_refused),
        TEST(frames_without_a_mask_are_refused),
        TEST(a_continuation_of_nothing_is_refused),
        TEST(the_peers_close_is_answered),
        TEST(after_our_close_only_the_peers_is_heard),
        TEST(stopped_it_leaves_what_is_beyond_its_own_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
