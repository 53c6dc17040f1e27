#include "rule/sql_test.h"

#define V1 RULE_VERSION_2015_10_08
#define V2 RULE_VERSION_2016_03_23

/* Computed with coreutils' *sum; md2 with RFC 1319's own program. */
static const struct expression_case cases[] = {
    {"md2(\"hello\")", "\"a9046c73e00331af68917d3804f70655\""},
    {"md5(\"hello\")", "\"5d41402abc4b2a76b9719d911017c592\""},
    {"md5(42)", "\"a1d0c6e83f027327d8461063f4ac58a6\""},
    {"md5('')", "\"d41d8cd98f00b204e9800998ecf8427e\""},
    {"sha1(\"abc\")", "\"a9993e364706816aba3e25717850c26c9cd0d89d\""},
    {"sha224(\"abc\")", "\"23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7\""},
    {"sha256(\"abc\")", "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\""},
    {"sha384(\"abc\")", "\"cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                        "8086072ba1e7cc2358baeca134c825a7\""},
    {"sha512(\"abc\")", "\"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f\""},
    {"sha1(true)", "\"5ffe533b830f08a0326348a9160afafc8ada44db\""},
    {"md5(null)", ""},
    {"sha256(missing)", ""},
    {"sha512('a', 'b')", ""},
    {"md2(null)", ""},
};

static void digests(void **state) {
    check_expressions(V1, "{}", cases, COUNT_OF(cases));
    check_expressions(V2, "{}", cases, COUNT_OF(cases));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(digests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
