#include "base/test.h"

#include <stdlib.h>

#include "aws/cbor.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

struct reading {
    struct json json;
    struct buf text;
};

static struct buf bytes_of(const char *hex) {
    struct buf bytes = {0};
    for (; *hex; hex += 2) {
        char digits[3] = {hex[0], hex[1], '\0'};
        buf_add_u8(&bytes, (uint8_t)strtoul(digits, NULL, 16));
    }
    return bytes;
}

static int read_hex(struct reading *reading, const char *hex) {
    struct buf bytes = bytes_of(hex);
    int status = cbor_read(&reading->json, &reading->text, buf_str(&bytes));
    buf_done(&bytes);
    return status;
}

static void reading_done(struct reading *reading) {
    json_done(&reading->json);
    buf_done(&reading->text);
}

static void the_java_encoders_put_record_is_read(void **state) {
    struct reading reading = {0};
    struct arena arena = {0};
    assert_int_equal(
        read_hex(&reading, "bf6a53747265616d4e616d6562733164446174614568656c6c6f6c506172746974696f"
                           "6e4b65796170ff"),
        0);
    struct json_value root = json_root(&reading.json);
    struct json_value data = json_member(root, STR("Data"));
    assert_int_equal(json_count(root), 3);
    assert_str(json_str(json_member(root, STR("StreamName")), &arena), "s1");
    assert_str(json_str(json_member(root, STR("PartitionKey")), &arena), "p");
    assert_str(json_str(data, &arena), "hello");
    assert_true(cbor_is_bytes(data));
    assert_false(cbor_is_bytes(json_member(root, STR("StreamName"))));
    arena_done(&arena);
    reading_done(&reading);
}

static void a_time_counts_milliseconds(void **state) {
    struct reading reading = {0};
    double seconds;
    assert_int_equal(read_hex(&reading, "c11b0000018cc251f47b"), 0);
    assert_true(json_double(json_root(&reading.json), &seconds));
    assert_true(seconds > 1704067200.1229 && seconds < 1704067200.1231);
    reading_done(&reading);
}

/* RFC 8949 appendix A. */
static void numbers_of_all_kinds(void **state) {
    static const struct {
        const char *hex;
        double value;
    } cases[] = {
        {"00", 0},
        {"17", 23},
        {"1818", 24},
        {"1903e8", 1000},
        {"20", -1},
        {"3903e7", -1000},
        {"f93c00", 1},
        {"f97bff", 65504},
        {"f90001", 5.960464477539063e-8},
        {"fa47c35000", 1e5},
        {"fbc010666666666666", -4.1},
    };
    struct reading reading = {0};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        double value;
        assert_int_equal(read_hex(&reading, cases[i].hex), 0);
        assert_true(json_double(json_root(&reading.json), &value));
        assert_true(value == cases[i].value);
    }
    int64_t least;
    assert_int_equal(read_hex(&reading, "3b7fffffffffffffff"), 0);
    assert_true(json_int(json_root(&reading.json), &least));
    assert_true(least == INT64_MIN);
    reading_done(&reading);
}

static void lists_maps_and_pieces_of_both_lengths(void **state) {
    struct reading reading = {0};
    struct arena arena = {0};
    /* {"a": [1, [_ true, null]], "b": (_ "st", "rea", "ming")} */
    assert_int_equal(read_hex(&reading, "a2"
                                        "6161"
                                        "8201"
                                        "9ff5f6ff"
                                        "6162"
                                        "7f"
                                        "627374"
                                        "63726561"
                                        "646d696e67"
                                        "ff"),
                     0);
    struct json_value root = json_root(&reading.json);
    struct json_value list = json_member(root, STR("a"));
    assert_int_equal(json_count(list), 2);
    assert_int_equal(json_count(json_item(list, 1)), 2);
    assert_int_equal(json_type(json_item(json_item(list, 1), 0)), JSON_TRUE);
    assert_int_equal(json_type(json_item(json_item(list, 1), 1)), JSON_NULL);
    assert_str(json_str(json_member(root, STR("b")), &arena), "streaming");
    arena_done(&arena);
    reading_done(&reading);
}

static void what_is_no_cbor_is_refused(void **state) {
    static const char *const bad[] = {
        "",
        "18",
        "1c",
        "ff",
        "5f",
        "61",
        "62ff",
        "61ff",
        "a1",
        "a101",
        "a10102",
        "8201",
        "9f01",
        "bf6161ff",
        "c001",
        "c16161",
        "f7",
        "f97c00",
        "f97e00",
        "0000",
        "7f4161ff",
        "7f7fffff",
        "1f",
        "c1",
        "5fbfffff",
        "df01",
        "fb7ff000",
        "9bffffffffffffffff00",
        "5bffffffffffffffff00",
    };
    struct reading reading = {0};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (read_hex(&reading, bad[i]) != ERR_INVALID)
            fail_msg("%s was read", bad[i]);
    reading_done(&reading);
}

static void depth_is_bounded(void **state) {
    struct reading reading = {0};
    struct buf nested = {0};
    for (int i = 0; i < 100000; i++)
        buf_add_u8(&nested, 0x81);
    assert_int_equal(cbor_read(&reading.json, &reading.text, buf_str(&nested)), ERR_TOO_LARGE);
    buf_done(&nested);
    reading_done(&reading);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_java_encoders_put_record_is_read),
        cmocka_unit_test(a_time_counts_milliseconds),
        cmocka_unit_test(numbers_of_all_kinds),
        cmocka_unit_test(lists_maps_and_pieces_of_both_lengths),
        cmocka_unit_test(what_is_no_cbor_is_refused),
        cmocka_unit_test(depth_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
