/*
 * The load generator: publishes to an MQTT server, waits until the server has done everything that
 * it owes, and prints one line of JSON with what that took. fleet.c holds the connections; this
 * file holds the options, the calibration and the report.
 *
 * How many messages. --count N sends N, nothing before. Without it runs of doubling size, which are
 * also the warm-up, go on until one has lasted CALIBRATION_NS; the measured run then has the size
 * that should take --seconds.
 *
 * CPU time. The server's is read from its process CPU clock (clock_getcpuclockid(3),
 * clock_gettime(2)): user and system time of all its threads, also of those that have ended,
 * without its children, in nanoseconds. That is the sum which /proc/PID/stat shows as utime +
 * stime, rounded there to ticks of 10 ms. It is read before the measured run and SETTLE_NS after
 * it, so that what the server still does for the last messages counts.
 *
 * Latencies. `puback`: from the write of a QoS 1 message to the read of its PUBACK. `delivery`
 * (only with --rate and a subscriber): from the moment a message was due to the read of its
 * delivery.
 */
#include "fleet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const uint64_t CALIBRATION_NS = 150 * 1000000ull;
static const uint64_t SETTLE_NS = 20 * 1000000ull;
static const double PACED_WARM_UP_SECONDS = 0.2;

struct plan {
    struct fleet_options fleet;
    int server_pid; /* 0: unknown */
    uint64_t count; /* 0: calibrate */
    double seconds;
};

struct result {
    uint64_t messages, elapsed_ns, server_cpu_ns, load_cpu_ns;
    struct fleet_counts before, after;
};

/* -- options ------------------------------------------------------------- */

/* An option that takes a whole number; its value before parsing is the default. */
struct number {
    const char *name;
    uint32_t *value;
    uint32_t min, max;
    const char *help;
};

static void usage(const struct number *numbers, size_t count) {
    fputs("usage: weir_load --port PORT [options]\n"
          "  --topic TEXT         %d takes the publisher's number (sensors/%d/temp)\n"
          "  --filter TEXT        of the subscribers; must match every topic (sensors/#)\n"
          "  --count N            messages; without it, calibrated to --seconds\n"
          "  --seconds S          length of the measured run (1)\n"
          "  --rate R             messages a second of all publishers together (0: no limit)\n",
          stderr);
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "  --%-18s %s (%u)\n", numbers[i].name, numbers[i].help, *numbers[i].value);
    exit(2);
}

static bool parse_number(const char *text, double min, double max, double *ret_value) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= min && value <= max))
        return false;
    *ret_value = value;
    return true;
}

static bool parse_text_option(struct plan *plan, const char *name, const char *value) {
    double number;
    if (strcmp(name, "topic") == 0)
        plan->fleet.topic = value;
    else if (strcmp(name, "filter") == 0)
        plan->fleet.filter = value;
    else if (strcmp(name, "count") == 0 && parse_number(value, 1, 1e12, &number))
        plan->count = (uint64_t)number;
    else if (strcmp(name, "seconds") == 0 && parse_number(value, 0.01, 3600, &number))
        plan->seconds = number;
    else if (strcmp(name, "rate") == 0 && parse_number(value, 0, 1e8, &number))
        plan->fleet.rate = number;
    else
        return false;
    return true;
}

static bool parse_number_option(const struct number *numbers, size_t count, const char *name,
                                const char *text) {
    double value;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, numbers[i].name) != 0)
            continue;
        if (!parse_number(text, numbers[i].min, numbers[i].max, &value))
            return false;
        *numbers[i].value = (uint32_t)value;
        return true;
    }
    return false;
}

static struct plan parse_options(int argc, char **argv) {
    struct plan plan = {
        .fleet = {.topic = "sensors/%d/temp", .filter = "sensors/#"},
        .seconds = 1,
    };
    uint32_t port = 0, pid = 0, version = 4, qos = 0, subscriber_qos = 0, refill = 0;
    uint32_t publishers = 100, subscribers = 0, payload = 100, batch = 32, window = 100,
             ahead = 256;
    const struct number numbers[] = {
        {"port", &port, 1, 65535, "of the server, on 127.0.0.1"},
        {"server-pid", &pid, 1, INT32_MAX, "whose CPU time is reported"},
        {"mqtt", &version, 4, 5, "protocol level: 4 is 3.1.1, 5 is 5.0"},
        {"publishers", &publishers, 1, FLEET_CONNECTIONS_MAX, "connections that publish"},
        {"subscribers", &subscribers, 0, FLEET_CONNECTIONS_MAX, "connections that subscribe"},
        {"qos", &qos, 0, 1, "of the publishes"},
        {"subscriber-qos", &subscriber_qos, 0, 1, "of the subscriptions"},
        {"payload-bytes", &payload, FLEET_PAYLOAD_BYTES_MIN, FLEET_PAYLOAD_BYTES_MAX, "JSON"},
        {"batch", &batch, 1, FLEET_BATCH_MAX, "most frames in one write"},
        {"window", &window, 1, WIRE_ID_MAX, "unacknowledged messages of a connection, QoS 1"},
        {"refill", &refill, 0, WIRE_ID_MAX, "free window worth a write; 0: half of what fits"},
        {"ahead", &ahead, 1, 1u << 30, "messages sent that not all subscribers have"},
    };
    enum { NUMBERS = sizeof numbers / sizeof *numbers };
    for (int i = 1; i < argc; i += 2) {
        const char *name = strncmp(argv[i], "--", 2) == 0 ? argv[i] + 2 : "";
        if (i + 1 == argc || (!parse_text_option(&plan, name, argv[i + 1]) &&
                              !parse_number_option(numbers, NUMBERS, name, argv[i + 1])))
            usage(numbers, NUMBERS);
    }
    if (!port)
        usage(numbers, NUMBERS);
    uint32_t write_max = batch < window ? batch : window;
    struct fleet_options *f = &plan.fleet;
    f->port = (uint16_t)port;
    f->v5 = version == 5;
    f->publishers = publishers;
    f->subscribers = subscribers;
    f->qos = (uint8_t)qos;
    f->subscriber_qos = (uint8_t)subscriber_qos;
    f->payload_bytes = payload;
    f->batch = batch;
    f->window = window;
    f->refill = refill && refill < write_max ? refill : refill ? write_max : (write_max + 1) / 2;
    f->ahead = ahead;
    plan.server_pid = (int)pid;
    return plan;
}

/* -- measuring ------------------------------------------------------------ */

static uint64_t clock_ns(clockid_t clock) {
    struct timespec t;
    if (clock_gettime(clock, &t) < 0) {
        perror("the server's CPU clock");
        exit(1);
    }
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static uint64_t server_cpu_ns(const struct plan *plan) {
    clockid_t clock;
    if (!plan->server_pid)
        return 0;
    if (clock_getcpuclockid(plan->server_pid, &clock) != 0) {
        fprintf(stderr, "there is no process %d\n", plan->server_pid);
        exit(1);
    }
    return clock_ns(clock);
}

static void settle(void) {
    struct timespec t = {.tv_nsec = (long)SETTLE_NS};
    nanosleep(&t, NULL);
}

/* Warms the server up and returns the number of messages for the measured run. */
static uint64_t calibrate(const struct plan *plan, struct fleet *fleet) {
    const struct fleet_options *o = &plan->fleet;
    if (o->rate > 0) {
        fleet_run(fleet, (uint64_t)(o->rate * PACED_WARM_UP_SECONDS) + 1);
        return (uint64_t)(o->rate * plan->seconds) + 1;
    }
    uint64_t messages = (uint64_t)o->publishers * o->batch;
    uint64_t elapsed_ns;
    while ((elapsed_ns = fleet_run(fleet, messages)) < CALIBRATION_NS)
        messages *= 2;
    return (uint64_t)((double)messages * plan->seconds * 1e9 / (double)elapsed_ns) + 1;
}

static struct result measure(const struct plan *plan, struct fleet *fleet) {
    struct result r = {.messages = plan->count ? plan->count : calibrate(plan, fleet)};
    settle();
    fleet_forget(fleet);
    r.before = *fleet_counts(fleet);
    uint64_t server_cpu = server_cpu_ns(plan);
    uint64_t load_cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    r.elapsed_ns = fleet_run(fleet, r.messages);
    r.load_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - load_cpu;
    settle();
    r.server_cpu_ns = server_cpu_ns(plan) - server_cpu;
    r.after = *fleet_counts(fleet);
    return r;
}

/* -- report --------------------------------------------------------------- */

static void print_latency(const char *name, const struct histogram *h) {
    if (!h->total)
        return;
    printf(", \"%s_p50_us\": %.1f, \"%s_p99_us\": %.1f", name,
           (double)histogram_quantile_ns(h, 0.5) / 1e3, name,
           (double)histogram_quantile_ns(h, 0.99) / 1e3);
}

static void print_result(const struct plan *plan, const struct fleet *fleet,
                         const struct result *r) {
    double seconds = (double)r->elapsed_ns / 1e9;
    double messages = (double)r->messages;
    printf("{\"messages\": %" PRIu64 ", \"acked\": %" PRIu64 ", \"received\": %" PRIu64,
           r->messages, r->after.acked - r->before.acked, r->after.received - r->before.received);
    printf(", \"sent_total\": %" PRIu64 ", \"acked_total\": %" PRIu64
           ", \"received_total\": %" PRIu64,
           r->after.sent, r->after.acked, r->after.received);
    printf(", \"seconds\": %.6f, \"messages_per_second\": %.0f, \"deliveries_per_second\": %.0f",
           seconds, messages / seconds, (double)(r->after.received - r->before.received) / seconds);
    printf(", \"load_cpu_us\": %.4f", (double)r->load_cpu_ns / 1e3 / messages);
    if (plan->server_pid)
        printf(", \"server_cpu_us\": %.4f", (double)r->server_cpu_ns / 1e3 / messages);
    print_latency("puback", fleet_puback_latency(fleet));
    print_latency("delivery", fleet_delivery_latency(fleet));
    printf("}\n");
}

int main(int argc, char **argv) {
    struct plan plan = parse_options(argc, argv);
    wire_raise_file_limit();
    struct fleet *fleet = fleet_open(&plan.fleet);
    struct result result = measure(&plan, fleet);
    print_result(&plan, fleet, &result);
    fleet_close(fleet);
    return 0;
}
