#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/file.h"
#include "sense/sensors.h"

static char root[] = "/tmp/weir-sensors-XXXXXX";
static struct buf seen;

static void put(const char *path, const char *text) {
    char *full = xprintf("%s%s", root, path);
    assert_int_equal(file_write_atomic(full, str_of(text), NULL), 0);
    free(full);
}

static void on_reading(void *data, struct str name, struct str json) {
    buf_printf(&seen, "%.*s %.*s\n", STR_ARG(name), STR_ARG(json));
}

static const char *read_round(struct sensors *sensors, uint64_t wall_ms) {
    buf_clear(&seen);
    sensors_read(sensors, wall_ms, on_reading, NULL);
    return buf_cstr(&seen);
}

static void levels_are_read_at_once_and_rates_from_the_second_round(void **state) {
    put("/proc/loadavg", "0.50 0.25 0.10 1/100 42\n");
    put("/proc/meminfo", "MemTotal: 2048 kB\nMemFree: 1 kB\nMemAvailable: 1024 kB\n");
    put("/proc/stat", "cpu 100 0 100 800 0 0 0 0 0 0\ncpu0 1 1 1 1\n");
    put("/proc/net/dev",
        "Inter-| Receive\n face |bytes\n  eth0: 1000 1 0 0 0 0 0 0 500 1 0 0 0 0 0 0\n");
    put("/sys/class/thermal/thermal_zone0/temp", "41500\n");
    put("/sys/class/thermal/cooling_device0/temp", "1\n");
    struct sensors *sensors = sensors_new(root);
    const char *text = read_round(sensors, 1000);
    assert_non_null(
        strstr(text, "load {\"sensor\":\"load\",\"load1\":0.50,\"load5\":0.25,\"load15\":0.10,"
                     "\"timestamp\":1000}\n"));
    assert_non_null(
        strstr(text, "memory {\"sensor\":\"memory\",\"total_mib\":2.0,\"available_mib\":1.0,"));
    assert_non_null(
        strstr(text, "thermal_zone0 {\"sensor\":\"thermal_zone0\",\"temperature\":41.5,"));
    assert_null(strstr(text, "cooling"));
    assert_null(strstr(text, "cpu "));
    assert_null(strstr(text, "net-"));
    put("/proc/stat", "cpu 150 0 150 900 0 0 0 0 0 0\n");
    put("/proc/net/dev", "  eth0: 3000 1 0 0 0 0 0 0 600 1 0 0 0 0 0 0\n");
    text = read_round(sensors, 3000);
    assert_non_null(strstr(text, "cpu {\"sensor\":\"cpu\",\"utilization\":50.0,"));
    assert_non_null(strstr(text, "net-eth0 {\"sensor\":\"net-eth0\",\"received_bytes_per_s\":1000,"
                                 "\"sent_bytes_per_s\":50,"));
    sensors_free(sensors);
}

static void a_counter_that_went_back_gives_no_rate(void **state) {
    struct sensors *sensors = sensors_new(root);
    read_round(sensors, 1000);
    put("/proc/net/dev", "  eth0: 10 1 0 0 0 0 0 0 10 1 0 0 0 0 0 0\n");
    assert_null(strstr(read_round(sensors, 2000), "net-eth0"));
    sensors_free(sensors);
}

static void what_the_host_does_not_have_is_left_out(void **state) {
    struct sensors *sensors = sensors_new("/nonexistent");
    assert_string_equal(read_round(sensors, 1000), "");
    sensors_free(sensors);
}

static int set_up(void **state) {
    return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state) {
    buf_done(&seen);
    return file_remove_tree(root, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_read_at_once_and_rates_from_the_second_round),
        cmocka_unit_test(a_counter_that_went_back_gives_no_rate),
        cmocka_unit_test(what_the_host_does_not_have_is_left_out),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
