#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/config.h"
#include "base/buf.h"
#include "base/mem.h"

static const char whole[] =
    "data: ./d\n"
    "workers: 3\n"
    "log: { level: warn, format: json }\n"
    "sync: 10ms\n"
    "mqtt: { listeners: [ { bind: \"127.0.0.1:0\" } ] }\n"
    "api: { auth: sigv4 }\n"
    "credentials: [ { access_key_id: A, secret_access_key: s } ]\n"
    "streams: { sensors: { shard_count: 4, retention_period: 7d } }\n"
    "buckets: { b: { directory: ./b } }\n"
    "delivery_streams: { sensors: { bucket: b } }\n"
    "functions: { f: { command: [./f] } }\n"
    "event_source_mappings: [ { stream: sensors, function: f, starting_position: LATEST } ]\n"
    "rules: { r: { sql: \"SELECT * FROM 'a'\", actions: [ { kinesis: { stream_name: sensors } } ] "
    "} }\n";

static int read_text(const char *text, struct config **ret_config, struct err *err) {
    char path[] = "/tmp/weir-config-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    int code = config_read(path, ret_config, err);
    unlink(path);
    return code;
}

static void a_whole_file_is_read(void **state) {
    struct config *config = NULL;
    struct err err = {0};
    if (read_text(whole, &config, &err))
        fail_msg("%s", err.text);
    assert_int_equal(config->workers, 3);
    assert_int_equal(config->log.level, LOG_WARN);
    assert_int_equal(config->log.format, LOG_JSON);
    assert_int_equal(config->sync, STREAM_SYNC_INTERVAL);
    assert_int_equal(config->sync_interval_ms, 10);
    assert_int_equal(config_find_stream(config, "sensors")->shard_count, 4);
    assert_int_equal(config_find_stream(config, "sensors")->retention_ms, 7 * 86400000LL);
    assert_string_equal(config_find_bucket(config, "b")->directory, "./b");
    assert_string_equal(config_find_delivery(config, "sensors")->bucket, "b");
    assert_null(config_find_stream(config, "other"));
    assert_string_equal(config->api.bind, "127.0.0.1:4566");
    assert_int_equal(config->api.auth, AWS_AUTH_SIGV4);
    assert_int_equal(config->credentials.count, 1);
    config_free(config);
}

static void an_empty_file_is_a_broker_on_loopback(void **state) {
    struct config *config = NULL;
    struct err err = {0};
    if (read_text("", &config, &err))
        fail_msg("%s", err.text);
    assert_string_equal(config->data, "./data");
    assert_int_equal(config->sync, STREAM_SYNC_ALWAYS);
    assert_true(config->workers >= 1);
    config_free(config);
}

/* The text with one line replaced, and what the error must hold. */
static const struct {
    const char *replaced, *by, *expected;
} broken[] = {
    {"stream: sensors,", "stream: sensor,", ":12:36: there is no stream \"sensor\""},
    {"function: f,", "function: g,", "there is no function \"g\""},
    {"bucket: b ", "bucket: c ", "there is no bucket \"c\""},
    {"stream_name: sensors", "stream_name: other", "other"},
    {"sync: 10ms", "sync: 10 ms", ":4:7: sync: always, none or an interval"},
    {"streams: { sensors:", "streams: { 'sen sors':", "stream name \"sen sors\""},
    {"SELECT *", "SELEKT *", "sql 1:1"},
    {"workers: 3\n", "web: { public_url: weir.example.org }\n",
     ":2:20: web: public_url: https://host or http://host is wanted"},
    {"workers: 3\n", "web: { public_url: \"https://weir.example.org/\" }\n",
     "without a slash at the end"},
    {"workers: 3\n", "web: { public_url: \"https:///x\" }\n", "web: public_url: https://host"},
    {"workers: 3\n", "web: { public_url: \"https://a/?x\" }\n", "web: public_url: https://host"},
    {"workers: 3", "workers: 3000", ":2:10: workers: 3000 is out of range (0 to 256)"},
    {"{ auth: sigv4 }", "{ bind: \"0.0.0.0:1\", auth: open }", ":6:14: api: a listener beyond"},
    {"credentials: [ { access_key_id: A, secret_access_key: s } ]", "credentials: []",
     "api: sigv4 needs at least one key"},
    {"shard_count: 4", "shard_count: 4, kafka: { brokers: [a] }",
     ":8:36: shard_count is decided by the Kafka topic"},
    {"shard_count: 4", "compression: zstd, kafka: { brokers: [a] }",
     "compression is decided by the Kafka topic"},
    {"shard_count: 4", "compression: lz4", "compression"},
    {"shard_count: 4", "compression: zstd, compression_level: 10", "compression_level"},
    {"shard_count: 4", "kafka: {}", "brokers is missing here"},
    {"shard_count: 4", "kafka: { brokers: [a], properties: { acks: \"1\" } }",
     "Weir itself sets acks"},
    {"shard_count: 4",
     "kafka: { brokers: [a] }, kinesis: { access_key_id: a, secret_access_key: b }",
     "either of kafka or of kinesis"},
    {"shard_count: 4", "kinesis: { endpoint: nowhere, access_key_id: a, secret_access_key: b }",
     "http(s)://host[:port] is wanted"},
    {"{ bucket: b }", "{ bucket: b, kafka: { brokers: [a] } }", "needs a group"},
    {"secret_access_key: s }", "secret_access_key: s, policy: p }",
     "there is no policy \"p\" under policies"},
};

static void what_does_not_fit_together_is_refused_with_its_place(void **state) {
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        const char *at = strstr(whole, broken[i].replaced);
        assert_non_null(at);
        struct buf text = {0};
        buf_add(&text, whole, (size_t)(at - whole));
        buf_printf(&text, "%s%s", broken[i].by, at + strlen(broken[i].replaced));
        struct config *config = NULL;
        struct err err = {0};
        assert_true(read_text(buf_cstr(&text), &config, &err) < 0);
        if (!strstr(err.text, broken[i].expected))
            fail_msg("\"%s\" does not say \"%s\"", err.text, broken[i].expected);
        buf_done(&text);
    }
}

static void a_missing_file_is_named(void **state) {
    struct config *config = NULL;
    struct err err = {0};
    assert_int_equal(config_read("/nonexistent/weir.yaml", &config, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nonexistent/weir.yaml"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_file_is_read),
        cmocka_unit_test(an_empty_file_is_a_broker_on_loopback),
        cmocka_unit_test(what_does_not_fit_together_is_refused_with_its_place),
        cmocka_unit_test(a_missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
