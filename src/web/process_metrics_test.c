#include "base/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "web/process_metrics.h"

static double value_of(const char *name) {
    struct buf out = {0};
    web_process_metrics_show(&out);
    char *line = xprintf("\n%s ", name);
    const char *at = strstr(buf_cstr(&out), line);
    if (!at)
        fail_msg("%s is not there", name);
    double value = atof(at + strlen(line));
    free(line);
    buf_done(&out);
    return value;
}

static void the_process_is_described(void **state) {
    assert_true(value_of("process_resident_memory_bytes") > 100 * 1024);
    assert_true(value_of("process_start_time_seconds") > (double)time(NULL) - 3600);
    assert_true(value_of("process_start_time_seconds") < (double)time(NULL) + 5);
    double before = value_of("process_open_fds");
    int fd = dup(0);
    assert_true(fd > 0);
    assert_true(value_of("process_open_fds") == before + 1);
    close(fd);
}

static void used_time_grows(void **state) {
    double before = value_of("process_cpu_seconds_total");
    clock_t until = clock() + CLOCKS_PER_SEC / 20;
    while (clock() < until)
        ;
    assert_true(value_of("process_cpu_seconds_total") >= before + 0.03);
}

static void the_version_is_a_label(void **state) {
    struct buf out = {0};
    web_process_metrics_show(&out);
    assert_non_null(strstr(buf_cstr(&out), "\nweir_build_info{version=\""));
    assert_non_null(strstr(buf_cstr(&out), "\"} 1\n"));
    buf_done(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_process_is_described),
        cmocka_unit_test(used_time_grows),
        cmocka_unit_test(the_version_is_a_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
