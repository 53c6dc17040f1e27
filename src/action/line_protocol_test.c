#include "action/line_protocol.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/test.h"

enum { RECEIVED_MS = 1700000000123, COUNTER = 42 };

struct param {
    const char *name, *value;
};

/* The line, or the error's text. */
static const char *line_of(struct buf *out, const struct param *params, const char *payload,
                           enum line_time_unit unit) {
    struct buf bytes = {0};
    struct action_record record = {.payload = str_of(payload), .received_ms = RECEIVED_MS};
    struct err err = {0};
    for (; params->name; params++, record.params.count++)
        action_param_write(&bytes, str_of(params->name), str_of(params->value));
    record.params.bytes = buf_str(&bytes);
    buf_clear(out);
    buf_add_str(out, STR("> "));
    if (line_protocol_write(out, &record, unit, COUNTER, &err))
        buf_printf(out, "%s", err.text);
    buf_done(&bytes);
    return buf_cstr(out);
}

static void test_lines(void **state) {
    static const struct {
        struct param params[7];
        const char *payload;
        enum line_time_unit unit;
        const char *line;
    } rows[] = {
        {{{"measurement", "m"}}, "{\"t\":21.5}", LINE_TIME_MS, "m t=21.5 1700000000123042000\n"},
        {{{"measurement", "m"}},
         "{\"a\":true,\"b\":null,\"c\":\"x \\\"y\\\"\",\"d\":{\"e\":1,\"f\":{\"g\":2}},\"h\":[1, "
         "2]}",
         LINE_TIME_MS,
         "m a=true,c=\"x \\\"y\\\"\",d.e=1,d.f.g=2,h=\"[1, 2]\" 1700000000123042000\n"},
        {{{"measurement", "a b,c=d"}, {"tag.k 1", "v=1, 2"}, {"tag.empty", ""}, {"field.f g", "1"}},
         "",
         LINE_TIME_MS,
         "a\\ b\\,c=d,k\\ 1=v\\=1\\,\\ 2 f\\ g=1 1700000000123042000\n"},
        {{{"measurement", "m"},
          {"field.i", "23i"},
          {"field.n", "-1e3"},
          {"field.b", "false"},
          {"field.s", "12 V"},
          {"field.none", ""}},
         "",
         LINE_TIME_MS,
         "m i=23i,n=-1e3,b=false,s=\"12 V\" 1700000000123042000\n"},
        {{{"measurement", "m"}, {"field.f", "1"}, {"timestamp", "1700000000"}},
         "",
         LINE_TIME_S,
         "m f=1 1700000000000000000\n"},
        {{{"measurement", "m"}},
         "[{\"t\":1,\"timestamp\":1700000000},{\"t\":2,\"timestamp\":\"late\"}]",
         LINE_TIME_S,
         "m t=1 1700000000000000000\nm t=2,timestamp=\"late\" 1700000000123042001\n"},
        {{{"measurement", "m"}, {"field.f", "1"}, {"timestamp", "-5"}},
         "",
         LINE_TIME_NS,
         "m f=1 -5\n"},
        {{{"measurement", "m\\"}, {"field.f", "\\"}},
         "",
         LINE_TIME_MS,
         "m f=\"\\\\\" 1700000000123042000\n"},
    };
    struct buf out = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_string_equal(line_of(&out, rows[i].params, rows[i].payload, rows[i].unit) + 2,
                            rows[i].line);
    buf_done(&out);
}

static void test_what_is_no_point(void **state) {
    static const struct {
        struct param params[4];
        const char *payload, *why;
    } rows[] = {
        {{{"measurement", ""}, {"field.f", "1"}}, "", "measurement is empty"},
        {{{"measurement", "a\nb"}, {"field.f", "1"}}, "", "a line break in \"a\nb\""},
        {{{"measurement", "m"}, {"tag.t", "a\r"}, {"field.f", "1"}}, "", "a line break in \"a\r\""},
        {{{"measurement", "m"}},
         "21.5",
         "the payload is no JSON object and the action names no fields"},
        {{{"measurement", "m"}}, "{}", "no field has a value"},
        {{{"measurement", "m"}}, "[{\"t\":1},{}]", "no field has a value"},
        {{{"measurement", "m"}, {"field.f", ""}}, "{\"t\":1}", "no field has a value"},
        {{{"measurement", "m"}, {"field.f", "1"}, {"timestamp", "1.5"}},
         "",
         "timestamp \"1.5\" is no whole number"},
        {{{"measurement", "m"}, {"field.f", "1"}, {"timestamp", "1700000000123"}},
         "",
         "timestamp 1700000000123 is beyond what nanoseconds can say; is timestamp_unit right?"},
    };
    struct buf out = {0};
    for (size_t i = 0; i < COUNT_OF(rows); i++) /* nothing is appended but what stood there */
        assert_string_equal(line_of(&out, rows[i].params, rows[i].payload, LINE_TIME_S) + 2,
                            rows[i].why);
    buf_done(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_what_is_no_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
