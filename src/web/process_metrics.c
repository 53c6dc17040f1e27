/*
 * Written when asked for, from getrusage() and /proc (proc(5)); several of them are no integers,
 * which base/metric.h holds. A value that cannot be read is left out.
 */
#include "web/process_metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "io/file.h"

enum { PROC_BYTES_MAX = 1024 * 1024 };

static void add_head(struct buf *out, const char *name, const char *type, const char *help) {
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_build_info(struct buf *out) {
    add_head(out, "weir_build_info", "gauge", "The version; always 1.");
    buf_printf(out, "weir_build_info{version=\"%s\"} 1\n", WEIR_VERSION);
}

static double seconds(struct timeval time) {
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void add_cpu(struct buf *out) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        return;
    add_head(out, "process_cpu_seconds_total", "counter",
             "User and system time of the process, in seconds.");
    buf_printf(out, "process_cpu_seconds_total %.6f\n",
               seconds(usage.ru_utime) + seconds(usage.ru_stime));
}

static void add_open_fds(struct buf *out) {
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        return;
    int count = 0;
    for (const struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    closedir(directory);
    add_head(out, "process_open_fds", "gauge", "Open file descriptors.");
    buf_printf(out, "process_open_fds %d\n", count - 1); /* without the one that reads them */
}

/* The n-th field of /proc/self/stat, counted from 3: what stands behind the name of the program. */
static bool read_stat_field(int wanted, unsigned long long *ret_value) {
    struct buf text = {0};
    bool found = false;
    if (!file_read_all("/proc/self/stat", PROC_BYTES_MAX, &text, NULL)) {
        const char *at = strrchr(buf_cstr(&text), ')');
        for (int field = 2; at && field < wanted; field++)
            at = strchr(at + 1, ' ');
        found = at && sscanf(at, "%llu", ret_value) == 1;
    }
    buf_done(&text);
    return found;
}

static bool read_boot_time(unsigned long long *ret_seconds) {
    struct buf text = {0};
    bool found = false;
    if (!file_read_all("/proc/stat", PROC_BYTES_MAX, &text, NULL)) {
        const char *at = strstr(buf_cstr(&text), "\nbtime ");
        found = at && sscanf(at, "\nbtime %llu", ret_seconds) == 1;
    }
    buf_done(&text);
    return found;
}

static void add_memory(struct buf *out) {
    unsigned long long pages;
    if (!read_stat_field(24, &pages))
        return;
    add_head(out, "process_resident_memory_bytes", "gauge", "Resident set, in bytes.");
    buf_printf(out, "process_resident_memory_bytes %llu\n",
               pages * (unsigned long long)sysconf(_SC_PAGESIZE));
}

static void add_start_time(struct buf *out) {
    unsigned long long ticks, boot;
    if (!read_stat_field(22, &ticks) || !read_boot_time(&boot))
        return;
    add_head(out, "process_start_time_seconds", "gauge",
             "When the process started, in seconds since 1970.");
    buf_printf(out, "process_start_time_seconds %.2f\n",
               (double)boot + (double)ticks / (double)sysconf(_SC_CLK_TCK));
}

void web_process_metrics_show(struct buf *out) {
    add_cpu(out);
    add_open_fds(out);
    add_memory(out);
    add_start_time(out);
    add_build_info(out);
}
