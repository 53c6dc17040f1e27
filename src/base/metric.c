#include "base/metric.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* The registry is the one list that all threads share; it is touched when parts come and go, never
 * per message. */
static pthread_mutex_t registry_lock = PTHREAD_MUTEX_INITIALIZER;
static struct link registry = {&registry, &registry};

void metric_init(struct metric *metric, enum metric_type type, const char *name, const char *help,
                 const char *labels) {
    atomic_init(&metric->value, 0);
    metric->type = type;
    metric->name = xstrdup(name);
    metric->help = xstrdup(help);
    metric->labels = xstrdup(labels ? labels : "");
    pthread_mutex_lock(&registry_lock);
    list_push_back(&registry, &metric->link);
    pthread_mutex_unlock(&registry_lock);
}

void metric_done(struct metric *metric) {
    if (!metric->name)
        return;
    pthread_mutex_lock(&registry_lock);
    list_remove(&metric->link);
    pthread_mutex_unlock(&registry_lock);
    free(metric->name);
    free(metric->help);
    free(metric->labels);
    *metric = (struct metric){0};
}

void metric_label(struct buf *labels, const char *key, struct str value) {
    buf_printf(labels, "%s%s=\"", buf_len(labels) ? "," : "", key);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        if (c == '\n') {
            buf_add(labels, "\\n", 2);
            continue;
        }
        if (c == '"' || c == '\\')
            buf_add_u8(labels, '\\');
        buf_add_u8(labels, (uint8_t)c);
    }
    buf_add_u8(labels, '"');
}

static int by_name(const void *a, const void *b) {
    const struct metric *left = *(struct metric *const *)a, *right = *(struct metric *const *)b;
    int order = strcmp(left->name, right->name);
    return order ? order : strcmp(left->labels, right->labels);
}

static struct metric **sorted(size_t *ret_count) {
    size_t count = 0, cap = 64;
    struct metric **all = xmalloc(cap * sizeof *all);
    LIST_EACH(item, &registry) {
        if (count == cap)
            all = xrealloc(all, (cap *= 2) * sizeof *all);
        all[count++] = LIST_ITEM(item, struct metric, link);
    }
    qsort(all, count, sizeof *all, by_name);
    *ret_count = count;
    return all;
}

static void show_one(struct buf *out, const struct metric *metric, int64_t value) {
    buf_printf(out, metric->labels[0] ? "%s{%s} %lld\n" : "%s%s %lld\n", metric->name,
               metric->labels, (long long)value);
}

int64_t metric_sum(const char *name, const char *labels) {
    int64_t sum = 0;
    pthread_mutex_lock(&registry_lock);
    LIST_EACH(item, &registry) {
        const struct metric *metric = LIST_ITEM(item, struct metric, link);
        if (strcmp(metric->name, name) == 0 && strcmp(metric->labels, labels) == 0)
            sum += metric_get(metric);
    }
    pthread_mutex_unlock(&registry_lock);
    return sum;
}

void metric_show(struct buf *out) {
    pthread_mutex_lock(&registry_lock);
    size_t count;
    struct metric **all = sorted(&count);
    for (size_t i = 0; i < count;) {
        const struct metric *metric = all[i];
        if (i == 0 || strcmp(all[i - 1]->name, metric->name) != 0)
            buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help,
                       metric->name, metric->type == METRIC_COUNTER ? "counter" : "gauge");
        int64_t sum = 0;
        for (; i < count && by_name(&all[i], &metric) == 0; i++)
            sum += metric_get(all[i]);
        show_one(out, metric, sum);
    }
    free(all);
    pthread_mutex_unlock(&registry_lock);
}
