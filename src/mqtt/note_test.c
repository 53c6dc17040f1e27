#include "base/test.h"

#include "mqtt/note.h"

static struct buf out;

static int set_up(void **state) {
    out = (struct buf){0};
    return 0;
}

static int tear_down(void **state) {
    buf_done(&out);
    return 0;
}

static const struct publication publication = {.message = {.topic = {"a/b", 3},
                                                           .payload = {"payload", 7},
                                                           .properties = {"\x02\0\0\0\x05", 5},
                                                           .received_ms = 1234567},
                                               .expiry_at = 1};

static void write_message(void) {
    struct note_head head = {
        .type = NOTE_MESSAGE, .qos = 2, .flags = NOTE_RETAIN, .packet_id = 7, .id = 42};
    note_write_head(&out, &head);
    note_write_pending(&out, 5, 9, NOTE_SHARE_BYTES + 3);
    note_write_share(&out, STR("g/t"));
    note_write_message(&out, &publication);
}

static void a_message_comes_back(void **state) {
    struct note note;
    struct str key;
    write_message();
    assert_true(note_read(buf_str(&out), &note));
    assert_int_equal(note.head.id, 42);
    assert_int_equal(note.head.packet_id, 7);
    assert_int_equal(note.pending, 5);
    assert_int_equal(note.publisher, 9);
    assert_true(note_next_share(&note.shares, &key));
    assert_true(str_eq(key, STR("g/t")));
    assert_false(note_next_share(&note.shares, &key));
    const struct message *message = &note.publication.message;
    assert_true(str_eq(message->topic, STR("a/b")));
    assert_true(str_eq(message->payload, STR("payload")));
    assert_int_equal(message->properties.len, 5);
    assert_int_equal(message->received_ms, 1234567);
    assert_int_equal(message->qos, 2);
    assert_true(message->retain);
    assert_int_equal(note.publication.expiry_at, 1);
}

static void a_session_comes_back_with_its_will(void **state) {
    struct note note = {
        .head = {.type = NOTE_SESSION, .flags = NOTE_WILL, .qos = 1, .value = 60, .number = 3},
        .away_ms = 5,
        .will_due_ms = 6,
        .will_delay_s = 7,
        .client_id = STR("client"),
        .publication = publication};
    struct note back;
    note_write_session(&out, &note);
    assert_true(note_read(buf_str(&out), &back));
    assert_int_equal(back.head.value, 60);
    assert_int_equal(back.away_ms, 5);
    assert_int_equal(back.will_due_ms, 6);
    assert_int_equal(back.will_delay_s, 7);
    assert_true(str_eq(back.client_id, STR("client")));
    assert_true(str_eq(back.publication.message.payload, STR("payload")));
}

static void targets_come_back(void **state) {
    struct note_head head = {.type = NOTE_TARGETS, .id = 42};
    struct note_target one = {.number = 1, .qos = 1, .id_count = 2},
                       two = {.number = 2, .qos = 2, .retain = true, .share_bytes = 3};
    uint32_t ids[] = {7, 8};
    note_write_head(&out, &head);
    note_write_target(&out, &one, ids, (struct str){NULL, 0});
    note_write_target(&out, &two, NULL, STR("g/t"));
    struct note note;
    struct note_target target;
    struct str raw, share;
    assert_true(note_read(buf_str(&out), &note));
    assert_true(note_next_target(&note.targets, &target, &raw, &share));
    assert_int_equal(target.number, 1);
    assert_int_equal(raw.len, sizeof ids);
    assert_memory_equal(raw.at, ids, sizeof ids);
    assert_true(note_next_target(&note.targets, &target, &raw, &share));
    assert_true(target.retain);
    assert_true(str_eq(share, STR("g/t")));
    assert_false(note_next_target(&note.targets, &target, &raw, &share));
}

static void what_is_cut_short_is_no_note(void **state) {
    struct note note;
    write_message();
    size_t head_bytes = sizeof note.head, fixed_bytes = buf_len(&out) - strlen("payload");
    for (size_t len = 0; len < fixed_bytes; len++)
        assert_false(note_read(str_from(buf_at(&out), len), &note));
    assert_true(fixed_bytes > head_bytes);
    buf_at(&out)[0] = NOTE_TYPES;
    assert_false(note_read(buf_str(&out), &note));
}

static void tags_tell_shares_apart(void **state) {
    assert_int_equal(note_tag((struct str){NULL, 0}), 0);
    assert_true(note_tag(STR("g/t")) != 0);
    assert_true(note_tag(STR("g/t")) != note_tag(STR("h/t")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_message_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_session_comes_back_with_its_will, set_up, tear_down),
        cmocka_unit_test_setup_teardown(targets_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_cut_short_is_no_note, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tags_tell_shares_apart, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
