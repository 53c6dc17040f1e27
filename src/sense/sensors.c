#include "sense/sensors.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/json_write.h"
#include "base/map.h"
#include "base/mem.h"

enum { FILE_BYTES_MAX = 64 * 1024, NETWORKS_MAX = 64 };

/* Counters of the last round, from which rates are made. */
struct last {
    char *name;
    uint64_t values[2];
    uint64_t wall_ms;
};

struct sensors {
    char *root;
    struct buf file, json;
    struct map last; /* name -> struct last */
    uint64_t wall_ms;
    void (*each)(void *data, struct str name, struct str json);
    void *data;
};

struct sensors *sensors_new(const char *root) {
    struct sensors *sensors = xcalloc(1, sizeof *sensors);
    sensors->root = xstrdup(root);
    return sensors;
}

void sensors_free(struct sensors *sensors) {
    if (!sensors)
        return;
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&sensors->last, &i));) {
        struct last *last = entry->value;
        free(last->name);
        free(last);
    }
    map_done(&sensors->last);
    buf_done(&sensors->file);
    buf_done(&sensors->json);
    free(sensors->root);
    free(sensors);
}

/* The content of ROOT/path; empty if it cannot be read. Valid until the next call. */
static struct str slurp(struct sensors *sensors, const char *path) {
    char *full = xprintf("%s%s", sensors->root, path);
    buf_clear(&sensors->file);
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    free(full);
    if (fd < 0)
        return (struct str){0};
    ssize_t got;
    while (buf_len(&sensors->file) < FILE_BYTES_MAX &&
           (got = read(fd, buf_room(&sensors->file, 4096), 4096)) > 0)
        buf_added(&sensors->file, (size_t)got);
    close(fd);
    return buf_str(&sensors->file);
}

/* ---- one reading ---- */

static void begin(struct sensors *sensors, const char *name) {
    buf_clear(&sensors->json);
    buf_add(&sensors->json, "{", 1);
    json_write_text(&sensors->json, "sensor", str_of(name));
}

static void add(struct sensors *sensors, const char *key, double value, int decimals) {
    json_write_key(&sensors->json, key);
    buf_printf(&sensors->json, "%.*f", decimals, value);
}

static void finish(struct sensors *sensors, const char *name) {
    json_write_key(&sensors->json, "timestamp");
    buf_printf(&sensors->json, "%llu}", (unsigned long long)sensors->wall_ms);
    sensors->each(sensors->data, str_of(name), buf_str(&sensors->json));
}

/* Puts the present counters in place of the last; false when there were none to compare with. */
static bool exchange(struct sensors *sensors, const char *name, const uint64_t now[2],
                     uint64_t ret_grown[2], double *ret_seconds) {
    struct last *last = map_get(&sensors->last, str_of(name));
    bool known = last != NULL;
    if (!known) {
        last = xcalloc(1, sizeof *last);
        last->name = xstrdup(name);
        map_put(&sensors->last, str_of(last->name), last);
    }
    bool usable = known && sensors->wall_ms > last->wall_ms && now[0] >= last->values[0] &&
                  now[1] >= last->values[1];
    if (usable) {
        ret_grown[0] = now[0] - last->values[0];
        ret_grown[1] = now[1] - last->values[1];
        *ret_seconds = (double)(sensors->wall_ms - last->wall_ms) / 1000;
    }
    last->values[0] = now[0];
    last->values[1] = now[1];
    last->wall_ms = sensors->wall_ms;
    return usable;
}

/* ---- the sensors ---- */

static void read_load(struct sensors *sensors) {
    double load[3];
    struct str text = slurp(sensors, "/proc/loadavg");
    if (!text.len ||
        sscanf(buf_cstr(&sensors->file), "%lf %lf %lf", &load[0], &load[1], &load[2]) != 3)
        return;
    begin(sensors, "load");
    add(sensors, "load1", load[0], 2);
    add(sensors, "load5", load[1], 2);
    add(sensors, "load15", load[2], 2);
    finish(sensors, "load");
}

/* Busy and total jiffies of all processors (proc(5), /proc/stat). */
static void read_processor(struct sensors *sensors) {
    unsigned long long t[8] = {0};
    if (!slurp(sensors, "/proc/stat").len ||
        sscanf(buf_cstr(&sensors->file), "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0],
               &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]) < 4)
        return;
    uint64_t total = 0, grown[2];
    for (int i = 0; i < 8; i++)
        total += t[i];
    uint64_t now[2] = {total - t[3] - t[4], total};
    double seconds;
    if (!exchange(sensors, "cpu", now, grown, &seconds) || grown[1] == 0)
        return;
    begin(sensors, "cpu");
    add(sensors, "utilization", 100.0 * (double)grown[0] / (double)grown[1], 1);
    finish(sensors, "cpu");
}

static bool meminfo(const char *text, const char *key, double *ret_mib) {
    const char *at = strstr(text, key);
    unsigned long long kib;
    if (!at || sscanf(at + strlen(key), ": %llu", &kib) != 1)
        return false;
    *ret_mib = (double)kib / 1024;
    return true;
}

static void read_memory(struct sensors *sensors) {
    double total, available;
    if (!slurp(sensors, "/proc/meminfo").len)
        return;
    const char *text = buf_cstr(&sensors->file);
    if (!meminfo(text, "MemTotal", &total) || !meminfo(text, "MemAvailable", &available))
        return;
    begin(sensors, "memory");
    add(sensors, "total_mib", total, 1);
    add(sensors, "available_mib", available, 1);
    finish(sensors, "memory");
}

static void read_disk(struct sensors *sensors) {
    struct statvfs disk;
    char *path = xprintf("%s/", sensors->root);
    int failed = statvfs(path, &disk);
    free(path);
    if (failed)
        return;
    double gib = (double)disk.f_frsize / (1 << 30);
    begin(sensors, "disk");
    add(sensors, "total_gib", gib * (double)disk.f_blocks, 2);
    add(sensors, "free_gib", gib * (double)disk.f_bavail, 2);
    finish(sensors, "disk");
}

/* A kernel name as a topic level. */
static void clean_name(char *name) {
    for (; *name; name++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", *name))
            *name = '_';
}

static void read_network(struct sensors *sensors, const char *interface, const uint64_t now[2]) {
    char name[64];
    uint64_t grown[2];
    double seconds;
    snprintf(name, sizeof name, "net-%.40s", interface);
    clean_name(name);
    if (!exchange(sensors, name, now, grown, &seconds))
        return;
    begin(sensors, name);
    add(sensors, "received_bytes_per_s", (double)grown[0] / seconds, 0);
    add(sensors, "sent_bytes_per_s", (double)grown[1] / seconds, 0);
    finish(sensors, name);
}

static void read_networks(struct sensors *sensors) {
    char *text = str_dup(slurp(sensors, "/proc/net/dev"));
    char *save = NULL;
    int count = 0;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char interface[41];
        unsigned long long in, out;
        if (sscanf(line, " %40[^:]: %llu %*u %*u %*u %*u %*u %*u %*u %llu", interface, &in, &out) !=
            3)
            continue;
        if (count++ == NETWORKS_MAX)
            break;
        read_network(sensors, interface, (const uint64_t[2]){in, out});
    }
    free(text);
}

static void read_temperature(struct sensors *sensors, const char *path, const char *name) {
    long millidegrees;
    if (!slurp(sensors, path).len || sscanf(buf_cstr(&sensors->file), "%ld", &millidegrees) != 1)
        return;
    begin(sensors, name);
    add(sensors, "temperature", (double)millidegrees / 1000, 1);
    finish(sensors, name);
}

/* Each `NAME/file` below a directory of /sys/class whose entries begin with `prefix`. */
static void read_temperatures(struct sensors *sensors, const char *directory, const char *prefix,
                              const char *file) {
    char *full = xprintf("%s%s", sensors->root, directory);
    DIR *entries = opendir(full);
    free(full);
    if (!entries)
        return;
    for (const struct dirent *entry; (entry = readdir(entries));) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        char name[64];
        snprintf(name, sizeof name, "%.60s", entry->d_name);
        clean_name(name);
        char *path = xprintf("%s/%s/%s", directory, entry->d_name, file);
        read_temperature(sensors, path, name);
        free(path);
    }
    closedir(entries);
}

void sensors_read(struct sensors *sensors, uint64_t wall_ms,
                  void (*each)(void *data, struct str name, struct str json), void *data) {
    sensors->wall_ms = wall_ms;
    sensors->each = each;
    sensors->data = data;
    read_load(sensors);
    read_processor(sensors);
    read_memory(sensors);
    read_disk(sensors);
    read_networks(sensors);
    read_temperatures(sensors, "/sys/class/thermal", "thermal_zone", "temp");
    read_temperatures(sensors, "/sys/class/hwmon", "hwmon", "temp1_input");
}
