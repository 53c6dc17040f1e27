#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/command.h"
#include "base/mem.h"
#include "base/option.h"
#include "sense/sense.h"

struct sense_flags {
    struct option_head head;
    int64_t interval_ms, rounds;
};

/* The two numbers, read with the units and bounds that the configuration has too. */
static int read_numbers(const char *interval, const char *rounds, struct sense_flags *ret_flags,
                        struct err *err) {
    const struct option fields[] = {
        {"--interval", OPTION_DURATION, offsetof(struct sense_flags, interval_ms), .min = 10,
         .max = 86400000, .default_text = interval},
        {"--rounds", OPTION_INT, offsetof(struct sense_flags, rounds), .default_text = rounds},
        {0}};
    struct arena arena = {0};
    *ret_flags = (struct sense_flags){0};
    int code = option_load(&arena, fields, NULL, ret_flags, err);
    arena_done(&arena);
    return code;
}

int command_sense(int argc, char **argv) {
    const char *url = "mqtt://127.0.0.1:1883", *prefix = "topic/sensors", *interval = "1s";
    const char *rounds = "0", *client_id = NULL, *ca_path = NULL;
    const struct command_flag flags[] = {{"url", 'u', &url, NULL},
                                         {"prefix", 'p', &prefix, NULL},
                                         {"interval", 'i', &interval, NULL},
                                         {"rounds", 'n', &rounds, NULL},
                                         {"client-id", 0, &client_id, NULL},
                                         {"ca", 0, &ca_path, NULL},
                                         {0}};
    if (!command_flags(&argc, argv, flags) || argc != 1)
        return EXIT_USAGE;
    struct err err;
    struct sense_flags numbers;
    int code = read_numbers(interval, rounds, &numbers, &err);
    char host[48] = "host";
    gethostname(host, sizeof host - 1);
    char *id = client_id ? xstrdup(client_id) : xprintf("sense-%s-%d", host, (int)getpid());
    struct sense_config config = {.url = url,
                                  .prefix = prefix,
                                  .client_id = id,
                                  .ca_path = ca_path,
                                  .interval_ms = numbers.interval_ms,
                                  .round_count = numbers.rounds};
    if (!code)
        code = sense_run(&config, &err);
    if (code)
        fprintf(stderr, "weir sense: %s\n", err.text);
    free(id);
    return code ? 1 : 0;
}
