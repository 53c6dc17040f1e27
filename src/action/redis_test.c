/* Against a server of the test's own, which takes RESP arrays and answers with the lines that the
 * test names. What a real Redis makes of it is asked in tests/e2e/test_actions.py. */
#include "action/raw_server_test.h"
#include "action/target_rig_test.h"

#include "action/kinds.h"

enum { WORDS_MAX = 8, COMMANDS_MAX = 32 };

struct redis_rig {
    struct target_rig rig;
    struct raw_server server;
    const char *answers[COMMANDS_MAX]; /* per command but PING; NULL: the connection ends */
    unsigned answer_count, command_count;
    char *commands[COMMANDS_MAX]; /* words, with | between */
    bool is_ready, is_silent;
};

/* One array of bulk strings (RESP2) off the front of `in`; false: it is not whole yet. */
static bool take_command(struct str *in, struct buf *words) {
    struct str rest = *in, line = str_cut(rest, '\n', &rest);
    unsigned count = line.len ? (unsigned)atoi(line.at + 1) : 0;
    buf_clear(words);
    if (!line.len || line.at[0] != '*')
        return false;
    for (unsigned i = 0; i < count; i++) {
        line = str_cut(rest, '\n', &rest);
        size_t len = line.len ? (size_t)atoi(line.at + 1) : 0;
        if (!line.len || rest.len < len + 2)
            return false;
        buf_printf(words, "%s%.*s", i ? "|" : "", (int)len, rest.at);
        rest = str_skip(rest, len + 2);
    }
    *in = rest;
    return true;
}

static void answer_one(struct redis_rig *rig, struct raw_connection *connection,
                       const char *words) {
    if (strcmp(words, "PING") == 0) {
        tcp_write(&connection->tcp, "+PONG\r\n", 7);
        return;
    }
    assert_true(rig->command_count < COMMANDS_MAX);
    unsigned number = rig->command_count;
    rig->commands[rig->command_count++] = xstrdup(words);
    if (rig->is_silent)
        return;
    const char *answer = number < rig->answer_count ? rig->answers[number] : "+OK\r\n";
    if (answer)
        tcp_write(&connection->tcp, answer, strlen(answer));
    else
        tcp_close_after_flush(&connection->tcp);
}

static void on_bytes(struct raw_connection *connection) {
    struct redis_rig *rig = CONTAINER_OF(connection->server, struct redis_rig, server);
    struct buf words = {0}, left = {0};
    struct str in = buf_str(&connection->in);
    while (in.len && take_command(&in, &words))
        answer_one(rig, connection, buf_cstr(&words));
    buf_add_str(&left, in);
    buf_done(&connection->in);
    connection->in = left;
    buf_done(&words);
}

static void on_ready(struct action_target *target) {
    CONTAINER_OF((struct target_rig *)target->runner, struct redis_rig, rig)->is_ready = true;
}

static void begin(struct redis_rig *rig) {
    *rig = (struct redis_rig){.command_count = 0};
    rig_init(&rig->rig);
    raw_server_start(&rig->server, rig->rig.loop, on_bytes);
    char *text = xprintf("{'url':'redis://127.0.0.1:%u','command':['SET','k','@{payload}']}",
                         rig->server.port);
    rig_open(&rig->rig, &action_redis, text);
    free(text);
    rig->rig.target->ready = on_ready;
    for (unsigned i = 0; i < RIG_ITEMS; i++) {
        rig_param(&rig->rig, i, "word", "SET");
        rig_param(&rig->rig, i, "word", "k");
        rig_param(&rig->rig, i, "payload", "");
    }
}

static void await_ready(struct redis_rig *rig) {
    while (!rig->is_ready)
        rig_turn(&rig->rig);
    rig->is_ready = false;
}

static void end(struct redis_rig *rig) {
    rig_close(&rig->rig);
    raw_server_stop(&rig->server, rig->rig.loop);
    for (unsigned i = 0; i < rig->command_count; i++)
        free(rig->commands[i]);
    rig_done(&rig->rig);
}

static void say(struct redis_rig *rig, const char *answer) {
    rig->answers[rig->answer_count++] = answer;
}

static void it_waits_for_its_connection_and_tells_when_it_stands(void **state) {
    struct redis_rig rig;
    begin(&rig);
    rig_send_and_expect(&rig.rig, "rrrrr");
    rig_expect_why(&rig.rig, 0, "not connected yet");
    assert_int_equal(rig.command_count, 0);
    await_ready(&rig);
    rig.rig.items[0].record.payload = STR("{\"a\":1}");
    rig_send_and_expect(&rig.rig, "ooooo");
    assert_string_equal(rig.commands[0], "SET|k|{\"a\":1}");
    assert_string_equal(rig.commands[4], "SET|k|{}");
    end(&rig);
}

static void some_errors_pass_and_others_are_the_command_s_own(void **state) {
    static const char *const passing[] = {"LOADING",    "BUSY",   "READONLY",   "CLUSTERDOWN",
                                          "TRYAGAIN",   "OOM",    "MASTERDOWN", "MISCONF",
                                          "NOREPLICAS", "NOAUTH", "NOPERM",     "WRONGPASS"};
    struct redis_rig rig;
    char lines[RIG_ITEMS][40];
    for (size_t from = 0; from < COUNT_OF(passing); from++) {
        begin(&rig);
        await_ready(&rig);
        snprintf(lines[0], sizeof lines[0], "-%s and why\r\n", passing[from]);
        say(&rig, lines[0]);
        say(&rig, "-WRONGTYPE Operation against a key\r\n");
        snprintf(lines[1], sizeof lines[1], "-%sX and why\r\n", passing[from]);
        say(&rig, lines[1]);
        say(&rig, "-ERR LOADING\r\n");
        say(&rig, ":7\r\n");
        rig_send_and_expect(&rig.rig, "rfffo");
        rig_expect_why(&rig.rig, 0, passing[from]);
        rig_expect_why(&rig.rig, 1, "WRONGTYPE");
        end(&rig);
    }
}

/* Those behind the break may have been carried out, and come again; those before it do not. */
static void a_connection_that_breaks_leaves_open_what_was_not_answered(void **state) {
    struct redis_rig rig;
    begin(&rig);
    await_ready(&rig);
    say(&rig, "+OK\r\n");
    say(&rig, "$-1\r\n");
    say(&rig, NULL);
    rig_send_and_expect(&rig.rig, "oorrr");
    rig_expect_why(&rig.rig, 2, "the connection was lost");
    await_ready(&rig);
    rig_send_and_expect(&rig.rig, "ooooo");
    end(&rig);
}

static void what_is_no_answer_is_none(void **state) {
    struct redis_rig rig;
    begin(&rig);
    await_ready(&rig);
    say(&rig, "+OK\r\n");
    say(&rig, "HTTP/1.1 400 Bad Request\r\n");
    rig_send_and_expect(&rig.rig, "orrrr");
    end(&rig);
}

static void a_record_without_words_fails(void **state) {
    struct redis_rig rig;
    begin(&rig);
    await_ready(&rig);
    rig.rig.items[1].record.params = (struct action_params){0};
    rig_send_and_expect(&rig.rig, "ofooo");
    rig_expect_why(&rig.rig, 1, "holds no command");
    end(&rig);
}

static void it_closes_in_the_middle(void **state) {
    struct redis_rig rig;
    begin(&rig);
    await_ready(&rig);
    rig.is_silent = true;
    rig_send(&rig.rig);
    while (rig.command_count < RIG_ITEMS)
        rig_turn(&rig.rig);
    end(&rig);
    rig_expect(&rig.rig, "-----");
}

static void settings_that_cannot_be(void **state) {
    static const char *const commands[] = {"'subscribe','c'", "'MULTI'",      "'Exec'",
                                           "'BLPOP','k','0'", "'SELECT','1'", "'AUTH','p'"};
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        char *text = xprintf("{'command':[%s]}", commands[i]);
        rig_refuses(&action_redis, text, "none that a rule can give");
        free(text);
    }
    rig_refuses(&action_redis, "{'command':[]}", "its first word is the name of a command");
    rig_refuses(&action_redis, "{'command':['']}", "its first word is the name of a command");
    rig_refuses(&action_redis, "{'command':['${cmd}','k']}", "its first word");
    rig_refuses(&action_redis, "{'command':['@{payload}']}", "its first word");
    rig_refuses(&action_redis, "{'command':['SET'],'url':'http://h'}", "redis: url: ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_waits_for_its_connection_and_tells_when_it_stands),
        cmocka_unit_test(some_errors_pass_and_others_are_the_command_s_own),
        cmocka_unit_test(a_connection_that_breaks_leaves_open_what_was_not_answered),
        cmocka_unit_test(what_is_no_answer_is_none),
        cmocka_unit_test(a_record_without_words_fails),
        cmocka_unit_test(it_closes_in_the_middle),
        cmocka_unit_test(settings_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
