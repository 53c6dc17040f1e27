#include "base/test.h"

#include "aws/output.h"
#include "base/base64.h"

static void write_sample(struct aws_output *output) {
    aws_map_begin(output);
    aws_member_string(output, "Name", STR("a\"b"));
    aws_key(output, "Items");
    aws_list_begin(output);
    aws_int(output, 1);
    aws_int(output, -2);
    aws_blob(output, STR("hello"));
    aws_list_end(output);
    aws_member_bool(output, "More", false);
    aws_member_time(output, "At", 1704067200123);
    aws_key(output, "Tags");
    aws_map_begin(output);
    aws_key(output, "k");
    aws_string(output, STR("v"));
    aws_map_end(output);
    aws_map_end(output);
}

static void json_is_as_aws_writes_it(void **state) {
    struct aws_output output = {0};
    write_sample(&output);
    assert_str(buf_str(&output.buf),
               "{\"Name\":\"a\\\"b\",\"Items\":[1,-2,\"aGVsbG8=\"],\"More\":false,"
               "\"At\":1704067200.123,\"Tags\":{\"k\":\"v\"}}");
    aws_output_done(&output);
}

static void cbor_is_as_aws_reads_it(void **state) {
    struct aws_output output = {.cbor = true};
    struct buf hex = {0};
    write_sample(&output);
    hex_write(&hex, buf_str(&output.buf));
    assert_str(buf_str(&hex), "bf" /* map */
                              "644e616d65"
                              "63612262"
                              "654974656d73"
                              "9f"
                              "01"
                              "21"
                              "4568656c6c6f"
                              "ff"
                              "644d6f7265"
                              "f4"
                              "624174"
                              "c11b0000018cc251f47b"
                              "6454616773"
                              "bf"
                              "616b"
                              "6176"
                              "ff"
                              "ff");
    buf_done(&hex);
    aws_output_done(&output);
}

static void assert_number(int64_t value, const char *expected) {
    struct aws_output output = {.cbor = true};
    struct buf hex = {0};
    aws_int(&output, value);
    hex_write(&hex, buf_str(&output.buf));
    assert_str(buf_str(&hex), expected);
    buf_done(&hex);
    aws_output_done(&output);
}

/* RFC 8949 appendix A. */
static void numbers_take_the_shortest_form(void **state) {
    assert_number(23, "17");
    assert_number(24, "1818");
    assert_number(1000, "1903e8");
    assert_number(1000000, "1a000f4240");
    assert_number(1000000000000, "1b000000e8d4a51000");
    assert_number(-1000, "3903e7");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_as_aws_writes_it),
        cmocka_unit_test(cbor_is_as_aws_reads_it),
        cmocka_unit_test(numbers_take_the_shortest_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
