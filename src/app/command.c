#include "app/command.h"

#include <stdio.h>
#include <string.h>

#include "app/config.h"
#include "base/buf.h"

/* The flag that `text` ("--name", "--name=value", "-n") names; *ret_value is what stands behind
 * '='. */
static const struct command_flag *find_flag(const struct command_flag *flags, const char *text,
                                            const char **ret_value) {
    *ret_value = NULL;
    for (const struct command_flag *flag = flags; flag->name; flag++) {
        if (text[1] != '-') {
            if (flag->letter && text[1] == flag->letter && text[2] == '\0')
                return flag;
            continue;
        }
        size_t len = strlen(flag->name);
        if (strncmp(text + 2, flag->name, len) != 0)
            continue;
        if (text[2 + len] == '\0')
            return flag;
        if (text[2 + len] == '=') {
            *ret_value = text + 3 + len;
            return flag;
        }
    }
    return NULL;
}

static int refuse(const char *flag, const char *what) {
    fprintf(stderr, "weir: %s %s; `weir help` lists what there is\n", flag, what);
    return 0;
}

int command_flags(int *argc, char **argv, const struct command_flag *flags) {
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[kept++] = argv[i];
            continue;
        }
        const char *text = argv[i], *value;
        const struct command_flag *flag = find_flag(flags, text, &value);
        if (!flag)
            return refuse(text, "is not known here");
        if (flag->present && value)
            return refuse(text, "takes no value");
        if (flag->present) {
            *flag->present = 1;
            continue;
        }
        if (!value && i + 1 == *argc)
            return refuse(text, "wants a value");
        *flag->value = value ? value : argv[++i];
    }
    *argc = kept;
    return 1;
}

int command_check(int argc, char **argv) {
    static const struct command_flag none[] = {{0}};
    if (!command_flags(&argc, argv, none) || argc != 2) {
        fputs("usage: weir check FILE\n", stderr);
        return EXIT_USAGE;
    }
    struct config *config;
    struct err err;
    if (config_read(argv[1], &config, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    printf("%s: valid\n", argv[1]);
    config_free(config);
    return 0;
}

static const char usage[] =
    "weir: MQTT -> SQL rules -> durable streams -> functions -> Redis -> page, and -> batches in a "
    "bucket\n"
    "\n"
    "  weir run -c FILE                    runs the pipeline; SIGTERM ends it, SIGHUP reloads\n"
    "  weir check FILE                     validates a configuration\n"
    "  weir sense --url mqtt://HOST:PORT [--prefix TOPIC] [--interval 1s] [--rounds N]\n"
    "                                      publishes this host's own sensors\n"
    "  weir stream ls                      streams, shards, records, bytes of --data DIR (./data), "
    "or, with\n"
    "                                      -c FILE, of what the configuration names: on Kafka and "
    "other\n"
    "                                      Kinesis too\n"
    "  weir stream read NAME [--shard N] [--from POSITION] [--follow] [--raw] [--count N]\n"
    "                                      records as JSON lines, or their payloads with --raw; "
    "POSITION is\n"
    "                                      TRIM_HORIZON, LATEST, a time (RFC 3339) or a sequence "
    "number\n"
    "  weir stream read NAME --consumer CONSUMER [--from POSITION] ...\n"
    "                                      goes on where this consumer stopped; POSITION is where "
    "it "
    "begins\n"
    "  weir stream consumers ls [STREAM] | rm STREAM CONSUMER\n"
    "                                      the consumers and how far they are behind\n"
    "  weir stream verify [DIR]            checks every sum, counter, index and stream.meta below "
    "a "
    "data\n"
    "                                      directory; exit 0: whole, 1: faults, 2: cannot look\n"
    "  weir rule test --sql SQL --topic TOPIC [--payload FILE|-] [--sql-version 2016-03-23]\n"
    "                                      what a rule makes of a message and why, as JSON\n"
    "  weir rule test --config FILE --rule NAME --topic TOPIC [--payload FILE|-]\n"
    "                                      the same for a rule of a file, with its actions\n"
    "  weir rule ls|show NAME|trace NAME [--api URL] [--config FILE]\n"
    "                                      the rules of a running Weir; what each message does to "
    "one, "
    "as it happens\n"
    "  weir client ls [PREFIX] | show ID | kick ID [--forget-session] [--prevent-will]\n"
    "  weir retained ls [FILTER] | show TOPIC | rm TOPIC\n"
    "                                      what a running broker holds, asked at its api listener: "
    "-c FILE, or\n"
    "                                      --api URL (with AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY); --json\n"
    "  weir passwd [--iterations N]        hashes a password from standard input for mqtt.users\n"
    "  weir device create NAME [--policy POLICY] [--directory DIR] [--data DIR]\n"
    "                                      makes NAME.key and NAME.pem, and registers the "
    "certificate\n"
    "  weir device ls [--data DIR]         devices, their status, policies and fingerprints\n"
    "  weir device revoke NAME [--data DIR]\n"
    "                                      refuses the device's certificate; a running Weir knows "
    "of either\n"
    "                                      after SIGHUP\n"
    "  weir help config                    every key of the configuration\n"
    "  weir version\n";

int command_help(int argc, char **argv) {
    if (argc > 1 && strcmp(argv[1], "config") == 0) {
        struct buf out = {0};
        config_show(&out);
        fwrite(buf_at(&out), 1, buf_len(&out), stdout);
        buf_done(&out);
    } else {
        fputs(usage, stdout);
    }
    return 0;
}
