#include "base/test.h"

#include "bucket/s3_address.h"

static void endpoints_are_read(void **state) {
    static const struct {
        const char *text, *authority;
        bool is_tls;
    } rows[] = {
        {"http://127.0.0.1:9000", "127.0.0.1:9000", false},
        {"https://s3.eu-central-1.amazonaws.com", "s3.eu-central-1.amazonaws.com", true},
        {"https://store.example/", "store.example", true},
        {"https://store.example:443", "store.example", true},
        {"http://store.example:80/", "store.example", false},
        {"http://store.example:443", "store.example:443", false},
        {"http://[::1]:9000", "[::1]:9000", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct s3_endpoint endpoint;
        assert_int_equal(s3_endpoint_parse(str_of(rows[i].text), &endpoint, NULL), 0);
        assert_str(endpoint.authority, rows[i].authority);
        assert_int_equal(endpoint.is_tls, rows[i].is_tls);
    }
}

static void wrong_endpoints_are_refused_with_a_reason(void **state) {
    static const struct {
        const char *text, *reason;
    } rows[] = {
        {"store.example", "http://"},
        {"ftp://store.example", "http://"},
        {"http://", "no host"},
        {"http://:9000", "no host"},
        {"http://a b", "goes on with \" b\""},
        {"http://host:0", "\":0\""},
        {"http://host:65536", "\":65536\""},
        {"http://host:90x", "\":90x\""},
        {"http://host/path", "\"/path\""},
        {"http://host?x=1", "\"?x=1\""},
        {"http://id:secret@host", "access_key_id"},
        {"http://[::1", "no host"},
        {"http://[]:1", "no host"},
        {"http://[g]:1", "no host"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct s3_endpoint endpoint;
        struct err err = {0};
        assert_int_equal(s3_endpoint_parse(str_of(rows[i].text), &endpoint, &err), ERR_INVALID);
        if (!strstr(err.text, rows[i].reason))
            fail_msg("%s: \"%s\" does not say %s", rows[i].text, err.text, rows[i].reason);
    }
}

static void regions_are_plain_words(void **state) {
    assert_true(s3_region_valid(STR("eu-central-1")));
    assert_true(s3_region_valid(STR("garage")));
    assert_false(s3_region_valid(STR("")));
    assert_false(s3_region_valid(STR("EU")));
    assert_false(s3_region_valid(STR("a/b")));
    assert_false(s3_region_valid(STR("evil.example")));
    assert_false(s3_region_valid(STR("012345678901234567890123456789012")));
}

static void assert_address(bool path_style, const char *host, const char *path) {
    struct buf out = {0};
    s3_address_host(&out, STR("store:9000"), STR("archive"), path_style);
    assert_str(buf_str(&out), host);
    buf_clear(&out);
    s3_address_path(&out, STR("archive"), STR("raw/dt=1 2+3/~é"), path_style);
    assert_str(buf_str(&out), path);
    buf_done(&out);
}

static void both_styles_address_the_same_object(void **state) {
    assert_address(true, "store:9000", "/archive/raw/dt%3D1%202%2B3/~%C3%A9");
    assert_address(false, "archive.store:9000", "/raw/dt%3D1%202%2B3/~%C3%A9");
}

static void only_hosts_of_aws_follow_the_region(void **state) {
    static const struct {
        const char *authority, *expected;
    } rows[] = {
        {"s3.us-east-1.amazonaws.com", "s3.eu-west-3.amazonaws.com"},
        {"s3.amazonaws.com", "s3.eu-west-3.amazonaws.com"},
        {"s3-us-west-2.amazonaws.com", "s3.eu-west-3.amazonaws.com"},
        {"store.example:9000", "store.example:9000"},
        {"s3.amazonaws.com.evil.example", "s3.amazonaws.com.evil.example"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf out = {0};
        s3_address_for_region(&out, str_of(rows[i].authority), STR("eu-west-3"));
        assert_str(buf_str(&out), rows[i].expected);
        buf_done(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_are_read),
        cmocka_unit_test(wrong_endpoints_are_refused_with_a_reason),
        cmocka_unit_test(regions_are_plain_words),
        cmocka_unit_test(both_styles_address_the_same_object),
        cmocka_unit_test(only_hosts_of_aws_follow_the_region),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
